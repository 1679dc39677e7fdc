//! See `tests/fuzz/chunked_body.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::chunked_body::run(bytes));
