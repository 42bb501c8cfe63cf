//! See `src/delta.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::delta::check(input));
