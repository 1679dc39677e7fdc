//! See `tests/fuzz/rule_set.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| elb::targets::rule_set::run(bytes));
