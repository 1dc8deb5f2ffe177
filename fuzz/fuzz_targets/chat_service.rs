//! Text frames of `chat_service`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| tidewire_fuzz::chat_service(text));
