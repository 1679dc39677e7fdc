//! See `tests/fuzz/request_head.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::request_head::run(bytes));
