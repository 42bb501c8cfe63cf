//! See `src/tags.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::tags::check(input));
