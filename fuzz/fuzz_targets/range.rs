//! See `src/range.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::range::check(input));
