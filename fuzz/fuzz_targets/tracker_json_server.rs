//! See `swarmreel_fuzz::tracker_json_server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swarmreel_fuzz::tracker_json_server(bytes));
