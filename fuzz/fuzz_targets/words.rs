//! See `src/words.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::words::check(input));
