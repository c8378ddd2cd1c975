//! See `swarmreel_fuzz::ws_upgrade`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::ws_upgrade(bytes));
