//! See `src/file_ref.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::file_ref::check(input));
