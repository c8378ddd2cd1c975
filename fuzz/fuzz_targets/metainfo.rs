//! See `swarmreel_fuzz::metainfo`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::metainfo(bytes));
