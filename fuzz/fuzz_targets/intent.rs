//! See `src/intent.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::intent::check(input));
