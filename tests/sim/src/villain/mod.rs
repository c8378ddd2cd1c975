//! Peers that misbehave. A villain is an honest engine whose bytes are tampered with on the way out (and, for a peer
//! without the fast extension, on the way in).
//!
//! Invariant: a villain only speaks; what it stores and shows is nobody's concern.

mod junk;
mod lies;

use std::collections::BTreeMap;

pub use junk::Junk;
use swarmreel::ids::LinkId;
use swarmreel::rng::Rng;

use crate::frames::{Frame, HAVE_ALL, REJECT, UNCHOKE, message};

/// What is wrong with a peer. The letters name rows of the threat model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Flips a bit in this many percent of the blocks it sends (P10, F5, F6).
    WrongBytes(u8),
    /// Flips a bit in one block of each piece, so that others' blocks are wasted and suspected with it (P11).
    WrongOneOfEach,
    /// Sends each block again (P6).
    Twice,
    /// Sends a good block of another place behind each one (P6).
    Unasked,
    /// Sends blocks that are a byte short (P6).
    Short,
    /// Says that blocks begin a byte later than they do (P6).
    Shifted,
    /// Sends wrong metadata (P8).
    WrongMetadata,
    /// Says that the metadata has another size than it has (P7).
    WrongMetadataSize,
    /// Says that the metadata has this size (P7).
    MetadataSize(&'static str),
    /// Takes requests and never answers them (P12).
    Stuck,
    /// Lets nobody download (P12).
    NeverUnchokes,
    /// Says nothing at all, not even a handshake (P12).
    Silent,
    /// Sends blocks at so many bytes a second, a hundred at a time, and the third one never to its end (P12, F7).
    Drips(u32),
    /// Is gone without a word in the middle of its block of this number (F1).
    VanishAfter(u32),
    /// The same, but its connections are closed (F1).
    CloseAfter(u32),
    /// Follows each message after the first three with junk (P1 to P5).
    Says(Junk),
    /// Sends junk before its handshake (P2).
    SpeaksFirst,
    /// Sends messages of the fast extension without having it (P2).
    FastUnasked,
    /// Follows each message with many that nobody asked for (P4).
    Flood,
    /// Sends bytes that are not the protocol (P2).
    Noise,
    /// Has the id of every other peer with this habit (P14).
    Twin,
    /// Does not know the fast extension (BEP 6). An honest peer otherwise.
    NoFast,
    /// Sends every byte of what is no block as a message of its own. An honest peer otherwise (P1).
    Crumbles,
}

impl Habit {
    /// Whether such a peer may be trusted with content, and must end up with all of it.
    pub fn is_honest(self) -> bool {
        matches!(self, Self::NoFast | Self::Crumbles)
    }
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These go out in its place.
    Say(Vec<Vec<u8>>),
    /// These go out in its place, at so many bytes a second.
    Drip(Vec<Vec<u8>>, u32),
    /// This goes out, and the peer is gone: without a word, or closing its connections.
    Vanish(Vec<u8>, Silently),
}

/// Whether the others must find out for themselves.
pub type Silently = bool;

/// A peer's habit at work.
#[derive(Debug)]
pub struct Villain {
    habit: Habit,
    pieces: u32,
    blocks: u32,
    gone: bool,
    said: BTreeMap<LinkId, u32>,
    rng: Rng,
}

/// Handshake, extended handshake, and what it has: junk comes after.
const GREETING: u32 = 3;

impl Villain {
    /// A peer with this habit, in a torrent of so many pieces.
    pub fn new(habit: Habit, pieces: u32, rng: Rng) -> Self {
        Self { habit, pieces, blocks: 0, gone: false, said: BTreeMap::new(), rng }
    }

    /// What is wrong with the peer.
    pub fn habit(&self) -> Habit {
        self.habit
    }

    /// Whether what others say must reach its engine as `hear` has it.
    pub fn hears_otherwise(&self) -> bool {
        self.habit == Habit::NoFast
    }

    /// What goes out on a link instead of `frame`.
    pub fn tamper(&mut self, link: LinkId, frame: Frame) -> Verdict {
        if self.gone {
            return Verdict::Say(Vec::new());
        }
        let said = self.said.entry(link).or_default();
        *said += 1;
        let is_past_greeting = *said > GREETING;
        if frame.block().is_some() {
            self.blocks += 1;
            return self.tamper_block(frame);
        }
        Verdict::Say(match self.habit {
            Habit::WrongMetadata => vec![lies::flip_metadata(frame, &mut self.rng)],
            Habit::WrongMetadataSize => vec![lies::metadata_size(frame, "7340033")],
            Habit::MetadataSize(digits) => vec![lies::metadata_size(frame, digits)],
            // `reject` would free the request for someone else.
            Habit::Stuck if frame.id() == Some(REJECT) => Vec::new(),
            Habit::NeverUnchokes if frame.id() == Some(UNCHOKE) => Vec::new(),
            Habit::Silent => Vec::new(),
            Habit::Says(junk) if is_past_greeting => {
                [vec![frame.bytes], junk.messages(self.pieces, &mut self.rng)].concat()
            }
            Habit::SpeaksFirst if frame.is_handshake => vec![message(HAVE_ALL, &[]), frame.bytes],
            Habit::FastUnasked => vec![lies::without_fast(frame), message(HAVE_ALL, &[])],
            Habit::Flood => lies::flood(frame, &mut self.rng),
            Habit::Noise => vec![lies::noise(frame.bytes.len(), &mut self.rng)],
            Habit::Twin => vec![lies::twin(frame)],
            Habit::NoFast => vec![lies::without_fast(frame)],
            Habit::Crumbles => frame.bytes.chunks(1).map(<[u8]>::to_vec).collect(),
            Habit::Drips(rate) => return Verdict::Drip(vec![frame.bytes], rate),
            _ => vec![frame.bytes],
        })
    }

    fn tamper_block(&mut self, frame: Frame) -> Verdict {
        let is_first_of_piece = frame.block().is_some_and(|(_, begin, _)| begin == 0);
        Verdict::Say(match self.habit {
            Habit::WrongBytes(percent) if self.rng.below(100) < u64::from(percent) => {
                vec![lies::flip_block(frame, &mut self.rng)]
            }
            Habit::WrongOneOfEach if is_first_of_piece => vec![lies::flip_block(frame, &mut self.rng)],
            Habit::Twice => vec![frame.bytes.clone(), frame.bytes],
            Habit::Unasked => vec![frame.bytes.clone(), lies::of_another_piece(frame, self.pieces)],
            Habit::Short => vec![lies::short(frame)],
            Habit::Shifted => vec![lies::shifted(frame)],
            Habit::Stuck | Habit::Silent => Vec::new(),
            Habit::Says(junk) => [vec![frame.bytes], junk.messages(self.pieces, &mut self.rng)].concat(),
            Habit::Flood => lies::flood(frame, &mut self.rng),
            Habit::Noise => vec![lies::noise(frame.bytes.len(), &mut self.rng)],
            Habit::Drips(_) if self.blocks > 3 => Vec::new(),
            Habit::Drips(rate) => {
                let end = if self.blocks == 3 { frame.bytes.len() / 2 } else { frame.bytes.len() };
                return Verdict::Drip(frame.bytes[..end].chunks(100).map(<[u8]>::to_vec).collect(), rate);
            }
            Habit::VanishAfter(blocks) | Habit::CloseAfter(blocks) if self.blocks >= blocks => {
                self.gone = true;
                let silently = self.habit == Habit::VanishAfter(blocks);
                return Verdict::Vanish(frame.bytes[..frame.bytes.len() / 2].to_vec(), silently);
            }
            _ => vec![frame.bytes],
        })
    }

    /// What the peer's own engine hears of `frame`.
    pub fn hear(&self, frame: Frame) -> Vec<u8> {
        if self.hears_otherwise() { lies::without_fast(frame) } else { frame.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::EXTENDED;

    const LINK: LinkId = LinkId(1);

    fn villain(habit: Habit) -> Villain {
        Villain::new(habit, 7, Rng::new([1; 32]))
    }

    fn block() -> Frame {
        Frame { is_handshake: false, bytes: message(7, &[&[0; 8][..], &[9; 100]].concat()) }
    }

    fn said(villain: &mut Villain, frame: Frame) -> Vec<Vec<u8>> {
        match villain.tamper(LINK, frame) {
            Verdict::Say(said) => said,
            other => panic!("it speaks: {other:?}"),
        }
    }

    #[test]
    fn one_vanishes_mid_block() {
        for (habit, silently) in [(Habit::VanishAfter(2), true), (Habit::CloseAfter(2), false)] {
            let mut villain = villain(habit);
            assert_eq!(said(&mut villain, block()), [block().bytes]);
            assert_eq!(villain.tamper(LINK, block()), Verdict::Vanish(block().bytes[..56].to_vec(), silently));
        }
    }

    #[test]
    fn junk_follows_the_greeting() {
        let mut villain = villain(Habit::Says(Junk::ShortHave));
        let hello = || Frame { is_handshake: false, bytes: message(EXTENDED, b"\x00de") };
        for count in [1, 1, 1, 2, 2] {
            assert_eq!(said(&mut villain, hello()).len(), count);
        }
    }

    #[test]
    fn one_drips_two_blocks_and_a_half() {
        let mut villain = villain(Habit::Drips(100));
        for length in [113, 113, 56] {
            let Verdict::Drip(parts, 100) = villain.tamper(LINK, block()) else { panic!("it drips") };
            assert_eq!(parts.concat().len(), length);
        }
        assert!(said(&mut villain, block()).is_empty());
    }

    #[test]
    fn no_fast_clears_one_bit_both_ways() {
        let mut villain = villain(Habit::NoFast);
        let handshake = Frame { is_handshake: true, bytes: vec![0xFF; 68] };
        let mut expected = vec![0xFF; 68];
        expected[27] = 0xFB;
        assert_eq!(villain.hear(handshake.clone()), expected);
        assert_eq!(said(&mut villain, handshake), [expected]);
    }
}
