//! See `src/format.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::format::check(input));
