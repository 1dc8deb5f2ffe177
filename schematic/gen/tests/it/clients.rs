//! The committed clients, so that the test run compiles them, each beside its types.

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/kinds"]
pub(crate) mod kinds {
    pub(crate) use crate::written::kinds as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/envelope"]
pub(crate) mod envelope {
    pub(crate) use crate::written::envelope as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/names"]
pub(crate) mod names {
    pub(crate) use crate::written::names as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/tagged"]
pub(crate) mod tagged {
    pub(crate) use crate::written::tagged as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/deepgram"]
pub(crate) mod deepgram {
    pub(crate) use crate::written::deepgram as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/discord"]
pub(crate) mod discord {
    pub(crate) use crate::written::discord as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/elevenlabs"]
pub(crate) mod elevenlabs {
    pub(crate) use crate::written::elevenlabs as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/graphql_transport_ws"]
pub(crate) mod graphql_transport_ws {
    pub(crate) use crate::written::graphql_transport_ws as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/home_assistant"]
pub(crate) mod home_assistant {
    pub(crate) use crate::written::home_assistant as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}

#[allow(dead_code, unreachable_pub)]
#[path = "../golden/openai_realtime"]
pub(crate) mod openai_realtime {
    pub(crate) use crate::written::openai_realtime as wire;
    #[rustfmt::skip]
    pub(crate) mod client;
}
