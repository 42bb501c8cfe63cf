//! See `src/snapshot.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::snapshot::check(input));
