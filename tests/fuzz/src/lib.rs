//! What the fuzzer runs: each target an ordinary function from bytes, which panics when an oracle is broken.
//!
//! Invariant: a body is a pure function of its bytes, so that a crash found by `cargo xtask fuzz` is found again by the
//! ordinary tests (`tests/replay.rs`), which run every file of `corpus/` and `regressions/`.

mod backplane;
mod bencode;
mod blame;
mod case;
mod driver;
mod far;
mod heap;
#[cfg(test)]
mod held;
mod incoming;
mod magnet;
mod metadata;
mod metainfo;
mod picker;
mod script;
mod session;
mod signaling;
mod tracker;
mod websocket;
mod wire;

pub use backplane::backplane_msg;
pub use bencode::bencode_decode;
pub use blame::ban_attribution;
pub use incoming::tracker_json_server;
pub use magnet::magnet;
pub use metadata::ut_metadata;
pub use metainfo::metainfo;
pub use picker::picker;
pub use session::peer_session;
pub use signaling::signaling_model;
pub use tracker::tracker_json_client;
pub use websocket::ws_upgrade;
pub use wire::wire_stream;

/// A fuzz target's body.
pub type Body = fn(&[u8]);

/// Targets 1 to 6, 8 to 12, 22 and 23 of threat-model.md §3, by the name of their corpus.
pub const TARGETS: [(&str, Body); 13] = [
    ("bencode_decode", bencode_decode),
    ("metainfo", metainfo),
    ("magnet", magnet),
    ("wire_stream", wire_stream),
    ("peer_session", peer_session),
    ("ut_metadata", ut_metadata),
    ("tracker_json_server", tracker_json_server),
    ("backplane_msg", backplane_msg),
    ("signaling_model", signaling_model),
    ("tracker_json_client", tracker_json_client),
    ("ws_upgrade", ws_upgrade),
    ("picker", picker),
    ("ban_attribution", ban_attribution),
];

/// Target 27: must crash, so that a fuzzer that finds nothing is noticed.
///
/// # Panics
/// If the input starts with a word that no seed holds.
pub fn canary(bytes: &[u8]) {
    let alike = bytes.iter().zip(b"coal gas").take_while(|(byte, letter)| byte == letter).count();
    assert!(alike < 8, "the canary is dead, as it should be");
}
