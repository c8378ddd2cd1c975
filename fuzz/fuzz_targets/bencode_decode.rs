//! See `swarmreel_fuzz::bencode_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::bencode_decode(bytes));
