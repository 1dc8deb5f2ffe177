//! Text frames of `live_data`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewire_protocols::Incoming;

fuzz_target!(|text: &str| tidewire_fuzz::live_data(Incoming::Text(text)));
