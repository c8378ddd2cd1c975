//! See `swarmreel_fuzz::backplane_msg`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::backplane_msg(bytes));
