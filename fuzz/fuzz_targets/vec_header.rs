//! See `src/vec_header.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::vec_header::check(input));
