//! See `swarmreel_fuzz::ban_attribution`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::ban_attribution(bytes));
