//! See `src/changed_list.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::changed_list::check(input));
