//! Definitions of APIs, as JSON or YAML: what is accepted can be generated from.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| tidewire_fuzz::definition(text));
