//! See `src/tree.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::tree::check(input));
