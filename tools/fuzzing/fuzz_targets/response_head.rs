//! See `tests/fuzz/response_head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::response_head::run(bytes));
