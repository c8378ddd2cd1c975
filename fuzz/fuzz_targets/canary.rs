//! See `swarmreel_fuzz::canary`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::canary(bytes));
