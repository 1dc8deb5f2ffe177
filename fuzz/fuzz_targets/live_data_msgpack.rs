//! Binary frames of `live_data`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidewire_protocols::Incoming;

fuzz_target!(|bytes: &[u8]| tidewire_fuzz::live_data(Incoming::Binary(bytes)));
