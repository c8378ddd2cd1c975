//! What must hold for an honest peer, at every step.
//!
//! Invariant: nothing here asks an engine. Bytes are compared with the original, and the wire is read by `frames`.

use std::rc::Rc;

use swarmreel::engine::Limits;

use crate::content::Content;
use crate::frames::Frame;

/// Where the torrent's hash stands in a handshake.
const HASH_IN_HANDSHAKE: std::ops::Range<usize> = 28..48;
/// The messages of the fast extension (BEP 6).
const FAST: std::ops::RangeInclusive<u8> = 13..=17;

/// Which of the torrents a handshake is about.
///
/// # Panics
/// If it is about none of them.
pub fn topic(handshake: &Frame, contents: &[Rc<Content>]) -> usize {
    let hash = &handshake.bytes[HASH_IN_HANDSHAKE];
    let named = contents.iter().position(|content| hash == content.metainfo.info_hash.0);
    named.expect("a handshake names a torrent that is shared")
}

/// What an honest peer said in one message on a link.
pub fn check_said(frames: &[Frame], content: &Content, knows_fast: bool) {
    // protocol.md §3.3: what comes with the handshake in one message may be lost on webtorrent.js.
    let is_first = frames.first().is_some_and(|frame| frame.is_handshake);
    assert!(!is_first || frames.len() == 1, "the handshake goes alone, as one message");
    for frame in frames {
        check_frame(frame, content, knows_fast);
    }
}

/// What a peer without the fast extension heard.
pub fn check_heard_without_fast(frames: &[Frame]) {
    assert!(!frames.iter().any(is_fast), "a message of the fast extension, to a peer that does not know it");
}

fn is_fast(frame: &Frame) -> bool {
    frame.id().is_some_and(|id| FAST.contains(&id))
}

fn check_frame(frame: &Frame, content: &Content, knows_fast: bool) {
    if let Some((piece, begin, data)) = frame.block() {
        let end = begin as usize + data.len();
        let original = content.piece(piece).get(begin as usize..end);
        assert!(original == Some(data), "an honest peer served bytes of piece {piece} that are not the original's");
    }
    assert!(knows_fast || !is_fast(frame), "a message of the fast extension, which was not agreed on");
}

/// A piece about to be stored, or read back from the store at the end.
pub fn check_piece(content: &Content, piece: u32, bytes: &[u8]) {
    assert!(content.piece(piece) == bytes, "piece {piece} was stored with bytes that are not the original's");
}

/// A message is about to be given to a channel that has `buffered` bytes waiting.
pub fn check_send(limits: &Limits, message: usize, message_max: usize, buffered: usize) {
    assert!(message > 0, "an empty message");
    let most = message_max.min(limits.message_bytes_max_own);
    assert!(message <= most, "a message of {message} bytes where {most} are allowed");
    let high = limits.link_buffer_high;
    assert!(buffered <= high, "more is sent on a channel with {buffered} bytes waiting, above {high}");
}

/// A peer with so many torrents has so many connections and attempts at one.
pub fn check_links(limits: &Limits, torrents: usize, count: usize) {
    let most = (limits.links_per_torrent_max * torrents).min(limits.links_max);
    assert!(count <= most, "{count} connections at once, above {most}");
}

/// Why a peer may end its link to an honest one: nothing that accuses it.
const INNOCENT: &[&str] = &[
    "the connection closed",
    "it is connected already",
    "it is ourselves",
    "it came back over another connection",
    "it makes room for others",
    "both have everything",
    "it sent no handshake",
    "it fell silent",
    "it does not deliver",
];

/// An honest peer ended its link to another honest peer, for this reason.
pub fn check_parting(reason: &str) {
    assert!(INNOCENT.contains(&reason), "an honest peer was accused: {reason}");
}

#[cfg(test)]
mod tests {
    use swarmreel::rng::Rng;

    use super::*;
    use crate::frames::{Framer, message};

    fn content() -> Content {
        Content::random(20_000, 16_384, Vec::new(), &mut Rng::new([0; 32]))
    }

    fn handshake(content: &Content) -> Vec<u8> {
        let mut bytes = vec![0; 68];
        bytes[HASH_IN_HANDSHAKE].copy_from_slice(&content.metainfo.info_hash.0);
        bytes
    }

    fn piece(content: &Content, flip: u8) -> Vec<u8> {
        let mut data = content.piece(1)[4..12].to_vec();
        data[0] ^= flip;
        message(7, &[&[0, 0, 0, 1, 0, 0, 0, 4], &data[..]].concat())
    }

    fn said(bytes: &[&[u8]], content: &Content, knows_fast: bool) {
        let mut framer = Framer::default();
        for bytes in bytes {
            check_said(&framer.push(bytes), content, knows_fast);
        }
    }

    #[test]
    fn the_truth_passes() {
        let content = content();
        said(&[&handshake(&content), &piece(&content, 0), &message(14, &[])], &content, true);
    }

    #[test]
    #[should_panic(expected = "not the original's")]
    fn a_wrong_block_does_not() {
        let content = content();
        said(&[&handshake(&content), &piece(&content, 1)], &content, true);
    }

    #[test]
    #[should_panic(expected = "the handshake goes alone")]
    fn nor_a_handshake_with_company() {
        let content = content();
        said(&[&[handshake(&content), message(2, &[])].concat()], &content, true);
    }

    #[test]
    #[should_panic(expected = "not agreed on")]
    fn nor_fast_messages_to_one_that_does_not_know_them() {
        let content = content();
        said(&[&handshake(&content), &message(14, &[])], &content, false);
    }
}
