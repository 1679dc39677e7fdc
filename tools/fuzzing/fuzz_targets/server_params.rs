//! See `tests/fuzz/server_params.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::server_params::run(bytes));
