//! What a villain says that nobody should: a table of messages that break the protocol or flood the listener
//! (threat-model P1 to P5).
//!
//! Invariant: each row is bytes and nothing else; when it is said is the villain's business.

use swarmreel::rng::Rng;

use crate::frames::{EXTENDED, HAVE_ALL, message};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junk {
    /// A message of 4 GiB is announced (P1).
    EndlessMessage,
    /// A `have` that says it is 5,000 bytes long (P1).
    LongHave,
    /// An `unchoke` with a body (P1).
    FatUnchoke,
    /// A message that nobody knows. To be ignored (P2).
    UnknownId,
    /// An extended message that nobody agreed on. To be ignored (P2).
    UnknownExtension,
    /// A `have` of one byte (P2).
    ShortHave,
    /// A `request` of eight bytes (P2).
    ShortRequest,
    /// An extended handshake that is not bencoded (P2).
    BrokenHello,
    /// A handshake where a message should be (P2).
    SecondHandshake,
    /// What it has, again and again (P2).
    BitfieldAgain,
    /// A bitfield that is a byte too long (P3).
    LongBitfield,
    /// A bitfield that is a byte too short (P3).
    ShortBitfield,
    /// A bitfield with its spare bits set (P3).
    SpareBits,
    /// A piece that does not exist (P3).
    HaveBeyond,
    /// 3,000 times the same piece (P4).
    HaveFlood,
    /// 3,000 times `choke` and `unchoke` (P4).
    Flapping,
    /// 3,000 keep-alives and ports (P4).
    PortFlood,
    /// 1,000 requests for one good block (P5).
    RequestFlood,
    /// Requests beyond the end of a piece (P5).
    RequestsPastEnd,
    /// Requests for pieces that do not exist (P5).
    RequestsOfNothing,
    /// A request of 256 KiB (P5).
    LongRequest,
    /// 3,000 cancels of what was never asked for (P5).
    CancelFlood,
}

const BLOCK: u32 = 16 << 10;

impl Junk {
    /// Its messages, for a torrent of so many pieces.
    pub fn messages(self, pieces: u32, rng: &mut Rng) -> Vec<Vec<u8>> {
        let any = rng.below(u64::from(pieces)) as u32;
        match self {
            Self::EndlessMessage => vec![[0xFF; 64].to_vec()],
            Self::LongHave => vec![[&5_000_u32.to_be_bytes()[..], &[4; 5_000]].concat()],
            Self::FatUnchoke => vec![message(1, &[0; 9])],
            Self::UnknownId => vec![message(99, &[1, 2, 3])],
            Self::UnknownExtension => vec![message(EXTENDED, b"\x63d5:added0:e")],
            Self::ShortHave => vec![message(4, &[0])],
            Self::ShortRequest => vec![message(6, &[0; 8])],
            Self::BrokenHello => vec![message(EXTENDED, b"\x00d1:mi")],
            Self::SecondHandshake => vec![[b"\x13BitTorrent protocol", &[0; 48][..]].concat()],
            Self::BitfieldAgain => repeat(20, message(HAVE_ALL, &[])),
            Self::LongBitfield => vec![message(5, &vec![0; pieces.div_ceil(8) as usize + 1])],
            Self::ShortBitfield => vec![message(5, &vec![0; pieces.div_ceil(8) as usize - 1])],
            Self::SpareBits => vec![message(5, &vec![0xFF; pieces.div_ceil(8) as usize])],
            Self::HaveBeyond => vec![message(4, &pieces.to_be_bytes())],
            Self::HaveFlood => repeat(3_000, message(4, &any.to_be_bytes())),
            Self::Flapping => repeat(3_000, [message(0, &[]), message(1, &[])].concat()),
            Self::PortFlood => repeat(3_000, [vec![0; 4], message(9, &[0x1A, 0xE1])].concat()),
            Self::RequestFlood => repeat(1_000, request(6, any, 0, BLOCK)),
            Self::RequestsPastEnd => repeat(400, request(6, any, 1 << 30, BLOCK)),
            Self::RequestsOfNothing => repeat(400, request(6, pieces + any, 0, BLOCK)),
            Self::LongRequest => vec![request(6, any, 0, 256 << 10)],
            Self::CancelFlood => repeat(3_000, request(8, any, 0, BLOCK)),
        }
    }
}

fn repeat(count: usize, message: Vec<u8>) -> Vec<Vec<u8>> {
    // In parts that any channel takes.
    let per_part = (5_000 / message.len()).max(1);
    let parts = count.div_ceil(per_part);
    (0..parts).map(|part| message.repeat(per_part.min(count - part * per_part))).collect()
}

fn request(id: u8, piece: u32, begin: u32, length: u32) -> Vec<u8> {
    message(id, &[piece, begin, length].map(u32::to_be_bytes).concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Framer;

    #[test]
    fn floods_are_many_whole_messages_in_small_parts() {
        let parts = Junk::CancelFlood.messages(7, &mut Rng::new([0; 32]));
        assert!(parts.iter().all(|part| part.len() <= 5_000));
        let mut framer = Framer::greeted();
        let frames: usize = parts.iter().map(|part| framer.push(part).len()).sum();
        assert_eq!((frames, framer.is_whole()), (3_000, true));
    }

    #[test]
    fn spare_bits_are_those_beyond_the_last_piece() {
        assert_eq!(Junk::SpareBits.messages(7, &mut Rng::new([0; 32])), [message(5, &[0xFF])]);
        assert_eq!(Junk::LongBitfield.messages(7, &mut Rng::new([0; 32])), [message(5, &[0, 0])]);
    }
}
