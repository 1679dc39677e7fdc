//! See `tests/fuzz/exchange.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::exchange::run(bytes));
