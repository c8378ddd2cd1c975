//! See `swarmreel_fuzz::peer_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::peer_session(bytes));
