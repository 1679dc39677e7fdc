//! See `tests/fuzz/proxy_header.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::proxy_header::run(bytes));
