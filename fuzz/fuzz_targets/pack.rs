//! See `src/pack.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::pack::check(input));
