//! The committed outputs, so that the test run compiles them.

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/kinds/wire.rs"]
pub(crate) mod kinds;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/envelope/wire.rs"]
pub(crate) mod envelope;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/elevenlabs/wire.rs"]
pub(crate) mod elevenlabs;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/elevenlabs_rest/wire.rs"]
pub(crate) mod elevenlabs_rest;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/names/wire.rs"]
pub(crate) mod names;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/tagged/wire.rs"]
pub(crate) mod tagged;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/deepgram/wire.rs"]
pub(crate) mod deepgram;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/discord/wire.rs"]
pub(crate) mod discord;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/graphql_transport_ws/wire.rs"]
pub(crate) mod graphql_transport_ws;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/home_assistant/wire.rs"]
pub(crate) mod home_assistant;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/openai_realtime/wire.rs"]
pub(crate) mod openai_realtime;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/rest_kinds/wire.rs"]
pub(crate) mod rest_kinds;

#[rustfmt::skip]
#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../golden/rest_names/wire.rs"]
pub(crate) mod rest_names;
