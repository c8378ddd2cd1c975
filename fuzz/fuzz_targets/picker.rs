//! See `swarmreel_fuzz::picker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::picker(bytes));
