//! Requests of `live_data` over HTTP: the route's number, the format, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tidewire_fuzz::live_data_http(bytes));
