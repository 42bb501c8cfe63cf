//! See `src/digest_cache.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::digest_cache::check(input));
