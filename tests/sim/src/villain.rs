//! Peers that misbehave. A villain is an honest engine whose bytes are tampered with on the way out (and, for a peer
//! without the fast extension, on the way in).
//!
//! Invariant: a villain only speaks; what it stores and shows is nobody's concern.

use swarmreel::rng::Rng;

use crate::frames::{EXTENDED, Frame, PIECE_HEADER, message};

/// What is wrong with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Flips a bit in this many percent of the blocks it sends.
    WrongBytes(u8),
    /// Sends wrong metadata.
    WrongMetadata,
    /// Says that the metadata has another size than it has.
    WrongMetadataSize,
    /// Takes requests and never answers them.
    Stuck,
    /// Says nothing at all, not even a handshake.
    Silent,
    /// Follows each message with many that nobody asked for.
    Flood,
    /// Sends bytes that are not the protocol.
    Noise,
    /// Is gone in the middle of its block of this number.
    VanishAfter(u32),
    /// Does not know the fast extension (BEP 6). An honest peer otherwise.
    NoFast,
}

impl Habit {
    /// Whether such a peer may be trusted with content, and must end up with all of it.
    pub fn is_honest(self) -> bool {
        self == Self::NoFast
    }
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These go out in its place.
    Say(Vec<Vec<u8>>),
    /// This goes out, and the peer is gone.
    Vanish(Vec<u8>),
}

/// A peer's habit at work.
#[derive(Debug)]
pub struct Villain {
    habit: Habit,
    blocks: u32,
    rng: Rng,
}

impl Villain {
    /// A peer with this habit.
    pub fn new(habit: Habit, rng: Rng) -> Self {
        Self { habit, blocks: 0, rng }
    }

    /// What is wrong with the peer.
    pub fn habit(&self) -> Habit {
        self.habit
    }

    /// What goes out instead of `frame`.
    pub fn tamper(&mut self, frame: Frame) -> Verdict {
        let is_block = frame.block().is_some();
        self.blocks += u32::from(is_block);
        match self.habit {
            Habit::WrongBytes(percent) if is_block && self.rng.below(100) < u64::from(percent) => {
                Verdict::Say(vec![self.flip(frame.bytes, PIECE_HEADER)])
            }
            Habit::WrongMetadata => Verdict::Say(vec![self.flip_metadata(frame)]),
            Habit::WrongMetadataSize => Verdict::Say(vec![other_metadata_size(frame)]),
            // `reject` (16) would free the request for someone else.
            Habit::Stuck if is_block || frame.id() == Some(16) => Verdict::Say(Vec::new()),
            Habit::Silent => Verdict::Say(Vec::new()),
            Habit::Flood => Verdict::Say(self.flood(frame)),
            Habit::Noise => Verdict::Say(vec![self.noise(frame.bytes.len())]),
            Habit::VanishAfter(blocks) if is_block && self.blocks >= blocks => {
                Verdict::Vanish(frame.bytes[..frame.bytes.len() / 2].to_vec())
            }
            Habit::NoFast => Verdict::Say(vec![without_fast(frame)]),
            _ => Verdict::Say(vec![frame.bytes]),
        }
    }

    /// What the peer's own engine hears of `frame`.
    pub fn hear(&self, frame: Frame) -> Vec<u8> {
        if self.habit == Habit::NoFast { without_fast(frame) } else { frame.bytes }
    }

    fn flip(&mut self, mut bytes: Vec<u8>, from: usize) -> Vec<u8> {
        let place = from + self.rng.below((bytes.len() - from) as u64) as usize;
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1 << self.rng.below(8);
        }
        bytes
    }

    fn flip_metadata(&mut self, frame: Frame) -> Vec<u8> {
        // BEP 9 data: a dictionary with `msg_type` 1 and `total_size` last, then the bytes.
        let is_data = frame.id() == Some(EXTENDED) && find(&frame.bytes, b"8:msg_typei1e").is_some();
        match find(&frame.bytes, b"ee").filter(|end| is_data && end + 2 < frame.bytes.len()) {
            Some(end) => self.flip(frame.bytes, end + 2),
            None => frame.bytes,
        }
    }

    fn flood(&mut self, frame: Frame) -> Vec<Vec<u8>> {
        let mut messages = vec![frame.bytes];
        for _ in 0..40 {
            let junk = self.rng.bytes20();
            messages.push(match self.rng.below(7) {
                0 => message(4, &[0, 0, 0, junk[0]]),                                    // have
                1 => message(self.rng.below(2) as u8, &[]),                              // choke, unchoke
                2 => message(2 + self.rng.below(2) as u8, &[]),                          // interested, not interested
                3 => message(7, &[&[0, 0, 0, junk[0], 0, 0, 0, 0], &junk[..]].concat()), // a block nobody wants
                4 => message(6, &[0, 0, 0, junk[0], 0, 0, 0, 0, 0, 0, 64, 0]),           // request
                5 => message(8, &[0, 0, 0, junk[0], 0, 0, 0, 0, 0, 0, 64, 0]),           // cancel
                _ => vec![0; 4],                                                         // keep-alive
            });
        }
        messages
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            bytes.extend(self.rng.bytes20());
        }
        bytes.truncate(length.max(1));
        bytes
    }
}

fn without_fast(mut frame: Frame) -> Vec<u8> {
    // Byte 7 of the eight reserved ones, which follow the protocol's name (BEP 6).
    if frame.is_handshake {
        frame.bytes[27] &= !0x04;
    }
    frame.bytes
}

fn other_metadata_size(frame: Frame) -> Vec<u8> {
    let key = b"13:metadata_sizei";
    let bytes = &frame.bytes;
    let Some(start) = find(bytes, key).map(|at| at + key.len()).filter(|_| frame.id() == Some(EXTENDED)) else {
        return frame.bytes;
    };
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let body = [&bytes[5..start], b"7340033", &bytes[start + digits..]].concat();
    message(EXTENDED, &body)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn villain(habit: Habit) -> Villain {
        Villain::new(habit, Rng::new([1; 32]))
    }

    fn block() -> Frame {
        Frame { is_handshake: false, bytes: message(7, &[&[0; 8][..], &[9; 100]].concat()) }
    }

    fn extended(body: &[u8]) -> Frame {
        Frame { is_handshake: false, bytes: message(EXTENDED, body) }
    }

    #[test]
    fn wrong_bytes_change_the_data_and_nothing_else() {
        let Verdict::Say(said) = villain(Habit::WrongBytes(100)).tamper(block()) else { panic!("it speaks") };
        let honest = block().bytes;
        assert_eq!(said[0][..PIECE_HEADER], honest[..PIECE_HEADER]);
        assert_eq!(said[0].iter().zip(&honest).filter(|(a, b)| a != b).count(), 1);
    }

    #[test]
    fn metadata_lies_hit_metadata_only() {
        let data = extended(b"\x01d8:msg_typei1e5:piecei0e10:total_sizei9eed4:infoi1ee");
        let Verdict::Say(said) = villain(Habit::WrongMetadata).tamper(data.clone()) else { panic!("it speaks") };
        assert_ne!(said[0], data.bytes);
        assert!(said[0].starts_with(&data.bytes[..data.bytes.len() - 11]));

        let greeting = extended(b"\x00d1:md11:ut_metadatai1ee13:metadata_sizei31235ee");
        let Verdict::Say(said) = villain(Habit::WrongMetadataSize).tamper(greeting) else { panic!("it speaks") };
        assert_eq!(said[0], extended(b"\x00d1:md11:ut_metadatai1ee13:metadata_sizei7340033ee").bytes);
    }

    #[test]
    fn one_vanishes_mid_block() {
        let mut villain = villain(Habit::VanishAfter(2));
        assert_eq!(villain.tamper(block()), Verdict::Say(vec![block().bytes]));
        assert_eq!(villain.tamper(block()), Verdict::Vanish(block().bytes[..56].to_vec()));
    }

    #[test]
    fn no_fast_clears_one_bit_both_ways() {
        let mut villain = villain(Habit::NoFast);
        let handshake = Frame { is_handshake: true, bytes: vec![0xFF; 68] };
        let mut expected = vec![0xFF; 68];
        expected[27] = 0xFB;
        assert_eq!(villain.hear(handshake.clone()), expected);
        assert_eq!(villain.tamper(handshake), Verdict::Say(vec![expected]));
    }
}
