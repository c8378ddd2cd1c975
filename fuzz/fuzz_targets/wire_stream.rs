//! See `swarmreel_fuzz::wire_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::wire_stream(bytes));
