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
#[path = "../golden/names/wire.rs"]
pub(crate) mod names;

#[rustfmt::skip]
#[allow(dead_code, unreachable_pub)]
#[path = "../golden/tagged/wire.rs"]
pub(crate) mod tagged;
