//! How one message becomes another: the edits that villains make.
//!
//! Invariant: what an edit is not about goes through untouched.

use swarmreel::rng::Rng;

use crate::frames::{EXTENDED, Frame, PIECE_HEADER, message};

/// Where the peer's id stands in a handshake.
const ID_IN_HANDSHAKE: std::ops::Range<usize> = 48..68;

/// A block with one bit changed.
pub(super) fn flip_block(frame: Frame, rng: &mut Rng) -> Vec<u8> {
    flip(frame.bytes, PIECE_HEADER, rng)
}

/// Metadata with one bit changed.
pub(super) fn flip_metadata(frame: Frame, rng: &mut Rng) -> Vec<u8> {
    // BEP 9 data: a dictionary with `msg_type` 1 and `total_size` last, then the bytes.
    let is_data = frame.id() == Some(EXTENDED) && find(&frame.bytes, b"8:msg_typei1e").is_some();
    match find(&frame.bytes, b"ee").filter(|end| is_data && end + 2 < frame.bytes.len()) {
        Some(end) => flip(frame.bytes, end + 2, rng),
        None => frame.bytes,
    }
}

/// An extended handshake with this `metadata_size`.
pub(super) fn metadata_size(frame: Frame, size: &str) -> Vec<u8> {
    let key = b"13:metadata_sizei";
    let bytes = &frame.bytes;
    let Some(start) = find(bytes, key).map(|at| at + key.len()).filter(|_| frame.id() == Some(EXTENDED)) else {
        return frame.bytes;
    };
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let body = [&bytes[5..start], size.as_bytes(), &bytes[start + digits..]].concat();
    message(EXTENDED, &body)
}

/// The same data, as if it belonged to the next piece.
pub(super) fn of_another_piece(mut frame: Frame, pieces: u32) -> Vec<u8> {
    let piece = frame.block().map_or(0, |(piece, ..)| (piece + 1) % pieces);
    frame.bytes[5..9].copy_from_slice(&piece.to_be_bytes());
    frame.bytes
}

/// A block without its last byte.
pub(super) fn short(frame: Frame) -> Vec<u8> {
    message(7, &frame.bytes[5..frame.bytes.len() - 1])
}

/// A block that says to begin a byte later.
pub(super) fn shifted(mut frame: Frame) -> Vec<u8> {
    let begin = frame.block().map_or(0, |(_, begin, _)| begin + 1);
    frame.bytes[9..13].copy_from_slice(&begin.to_be_bytes());
    frame.bytes
}

/// A message with forty others behind it.
pub(super) fn flood(frame: Frame, rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut messages = vec![frame.bytes];
    for _ in 0..40 {
        let junk = rng.bytes20();
        messages.push(match rng.below(7) {
            0 => message(4, &[0, 0, 0, junk[0]]),                                    // have
            1 => message(rng.below(2) as u8, &[]),                                   // choke, unchoke
            2 => message(2 + rng.below(2) as u8, &[]),                               // interested, not interested
            3 => message(7, &[&[0, 0, 0, junk[0], 0, 0, 0, 0], &junk[..]].concat()), // a block nobody wants
            4 => message(6, &[0, 0, 0, junk[0], 0, 0, 0, 0, 0, 0, 64, 0]),           // request
            5 => message(8, &[0, 0, 0, junk[0], 0, 0, 0, 0, 0, 0, 64, 0]),           // cancel
            _ => vec![0; 4],                                                         // keep-alive
        });
    }
    messages
}

/// So many random bytes.
pub(super) fn noise(length: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        bytes.extend(rng.bytes20());
    }
    bytes.truncate(length.max(1));
    bytes
}

/// A handshake with the id that all twins share.
pub(super) fn twin(mut frame: Frame) -> Vec<u8> {
    if frame.is_handshake {
        frame.bytes[ID_IN_HANDSHAKE].copy_from_slice(b"-SR0100-twintwintwin");
    }
    frame.bytes
}

/// A handshake without the fast extension.
pub(super) fn without_fast(mut frame: Frame) -> Vec<u8> {
    // Byte 7 of the eight reserved ones, which follow the protocol's name (BEP 6).
    if frame.is_handshake {
        frame.bytes[27] &= !0x04;
    }
    frame.bytes
}

fn flip(mut bytes: Vec<u8>, from: usize, rng: &mut Rng) -> Vec<u8> {
    let place = from + rng.below((bytes.len() - from) as u64) as usize;
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1 << rng.below(8);
    }
    bytes
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> Rng {
        Rng::new([1; 32])
    }

    fn block() -> Frame {
        Frame { is_handshake: false, bytes: message(7, &[&[0, 0, 0, 2, 0, 0, 64, 0][..], &[9; 100]].concat()) }
    }

    fn extended(body: &[u8]) -> Frame {
        Frame { is_handshake: false, bytes: message(EXTENDED, body) }
    }

    fn read(bytes: Vec<u8>) -> (u32, u32, usize) {
        let frame = Frame { is_handshake: false, bytes };
        let (piece, begin, data) = frame.block().expect("it is a block");
        (piece, begin, data.len())
    }

    #[test]
    fn wrong_bytes_change_the_data_and_nothing_else() {
        let (honest, said) = (block().bytes, flip_block(block(), &mut rng()));
        assert_eq!(said[..PIECE_HEADER], honest[..PIECE_HEADER]);
        assert_eq!(said.iter().zip(&honest).filter(|(a, b)| a != b).count(), 1);
    }

    #[test]
    fn blocks_are_moved_and_cut() {
        assert_eq!(read(block().bytes), (2, 0x4000, 100));
        assert_eq!(read(of_another_piece(block(), 3)), (0, 0x4000, 100));
        assert_eq!(read(shifted(block())), (2, 0x4001, 100));
        assert_eq!(read(short(block())), (2, 0x4000, 99));
    }

    #[test]
    fn metadata_lies_hit_metadata_only() {
        let data = extended(b"\x01d8:msg_typei1e5:piecei0e10:total_sizei9eed4:infoi1ee");
        let said = flip_metadata(data.clone(), &mut rng());
        assert_ne!(said, data.bytes);
        assert!(said.starts_with(&data.bytes[..data.bytes.len() - 11]));

        let greeting = extended(b"\x00d1:md11:ut_metadatai1ee13:metadata_sizei31235ee");
        let expected = extended(b"\x00d1:md11:ut_metadatai1ee13:metadata_sizei-1ee");
        assert_eq!(metadata_size(greeting, "-1"), expected.bytes);
        assert_eq!(metadata_size(block(), "-1"), block().bytes);
    }
}
