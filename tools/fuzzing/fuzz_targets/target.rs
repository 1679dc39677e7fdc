//! See `tests/fuzz/target.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::target::run(bytes));
