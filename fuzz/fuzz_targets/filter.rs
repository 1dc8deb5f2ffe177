//! The filter grammar: what is understood means the same to the store and to watches.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| tidewire_fuzz::filter(text));
