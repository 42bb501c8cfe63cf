//! See `src/map.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::map::check(input));
