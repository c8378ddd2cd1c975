//! See `swarmreel_fuzz::ut_metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::ut_metadata(bytes));
