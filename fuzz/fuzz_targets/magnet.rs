//! See `swarmreel_fuzz::magnet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::magnet(bytes));
