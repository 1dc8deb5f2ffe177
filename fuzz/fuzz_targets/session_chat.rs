//! Text frames of `session_chat`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| tidewire_fuzz::session_chat(text));
