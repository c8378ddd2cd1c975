//! What the fuzzer runs: each target an ordinary function from bytes, which panics when an oracle is broken.
//!
//! Invariant: a body is a pure function of its bytes, so that a crash found by `cargo xtask fuzz` is found again by the
//! ordinary tests (`tests/replay.rs`), which run every file of `corpus/` and `regressions/`.

mod bencode;
mod case;
mod driver;
mod far;
mod heap;
mod magnet;
mod metainfo;
mod script;
mod session;
mod wire;

pub use bencode::bencode_decode;
pub use magnet::magnet;
pub use metainfo::metainfo;
pub use session::peer_session;
pub use wire::wire_stream;

/// A fuzz target's body.
pub type Body = fn(&[u8]);

/// Every target of threat-model.md §3 that is here, in its order, by the name of its corpus.
pub const TARGETS: [(&str, Body); 5] = [
    ("bencode_decode", bencode_decode),
    ("metainfo", metainfo),
    ("magnet", magnet),
    ("wire_stream", wire_stream),
    ("peer_session", peer_session),
];

/// Target 27: must crash, so that a fuzzer that finds nothing is noticed.
///
/// # Panics
/// If the input starts with a word that no seed holds.
pub fn canary(bytes: &[u8]) {
    let alike = bytes.iter().zip(b"coal gas").take_while(|(byte, letter)| byte == letter).count();
    assert!(alike < 8, "the canary is dead, as it should be");
}
