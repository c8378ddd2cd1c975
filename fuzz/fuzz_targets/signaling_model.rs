//! See `swarmreel_fuzz::signaling_model`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::signaling_model(bytes));
