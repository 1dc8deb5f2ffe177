//! Generated Rust clients at work: they are the committed output of the generator, and talk to a mock server.

mod discord;
mod elevenlabs;
mod others;
mod phases;
mod support;

#[rustfmt::skip]
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../gen/tests/golden/deepgram"]
mod deepgram {
    pub(crate) mod client;
    pub(crate) mod wire;
}

#[rustfmt::skip]
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../gen/tests/golden/discord"]
mod discord_gateway {
    pub(crate) mod client;
    pub(crate) mod wire;
}

#[rustfmt::skip]
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../gen/tests/golden/elevenlabs"]
mod eleven_labs {
    pub(crate) mod client;
    pub(crate) mod wire;
}

#[rustfmt::skip]
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../gen/tests/golden/graphql_transport_ws"]
mod graphql {
    pub(crate) mod client;
    pub(crate) mod wire;
}

#[rustfmt::skip]
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../gen/tests/golden/home_assistant"]
mod home {
    pub(crate) mod client;
    pub(crate) mod wire;
}
