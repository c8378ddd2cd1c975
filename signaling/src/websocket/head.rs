//! The head of a client's frame: flags, opcode, length, mask (RFC 6455 §5.2).
//!
//! Invariant: a head that breaks a rule is refused as soon as the bytes that break it are here.

use super::Violation;

/// Bytes of the longest head.
pub(super) const HEAD_BYTES_MAX: usize = 14;
/// Bytes of a control frame's payload (RFC 6455 §5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation,
    /// Text, or the beginning of it.
    Text,
    /// Bytes, or the beginning of them.
    Binary,
    /// The sender's last frame.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    /// Whether frames of this kind stand between those of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }

    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The last frame of its message.
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Bytes of the head itself.
    pub(super) len: usize,
    /// Bytes of the payload.
    pub(super) payload: usize,
}

/// As much of a head as could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Whole(Head),
    /// The head has at least this many bytes.
    Needs(usize),
}

impl Head {
    /// Reads the head that a frame begins with, whose payload may have `payload_max` bytes.
    pub(super) fn parse(bytes: &[u8], payload_max: usize) -> Result<Parsed, Violation> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(Parsed::Needs(2)) };
        let (fin, opcode) = (first & 0x80 != 0, Opcode::of(first & 0x0f).ok_or(Violation::Protocol)?);
        let (masked, short) = (second & 0x80 != 0, usize::from(second & 0x7f));
        let reserved = first & 0x70 != 0;
        if reserved || !masked || (opcode.is_control() && (!fin || short > CONTROL_BYTES_MAX)) {
            return Err(Violation::Protocol);
        }
        let length_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let len = 2 + length_bytes + 4;
        let Some((length, rest)) = rest.split_at_checked(length_bytes) else { return Ok(Parsed::Needs(len)) };
        let long = length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let payload = if length.is_empty() { short } else { usize::try_from(long).unwrap_or(usize::MAX) };
        if payload > payload_max {
            return Err(Violation::TooBig);
        }
        let Some(&mask) = rest.first_chunk() else { return Ok(Parsed::Needs(len)) };
        Ok(Parsed::Whole(Head { fin, opcode, mask, len, payload }))
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> usize {
        self.len + self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Result<Parsed, Violation> {
        Head::parse(bytes, 70_000)
    }

    fn whole(fin: bool, opcode: Opcode, mask: [u8; 4], len: usize, payload: usize) -> Result<Parsed, Violation> {
        Ok(Parsed::Whole(Head { fin, opcode, mask, len, payload }))
    }

    #[test]
    fn heads_of_every_length() {
        use Opcode::*;
        let mask = [1, 2, 3, 4];
        assert_eq!(head(&[0x81, 0x85, 1, 2, 3, 4, 99]), whole(true, Text, mask, 6, 5));
        assert_eq!(head(&[0x02, 0xfe, 1, 0, 1, 2, 3, 4]), whole(false, Binary, mask, 8, 256));
        assert_eq!(
            head(&[0x80, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]),
            whole(true, Continuation, mask, 14, 65_536)
        );
        assert_eq!(head(&[0x89, 0xfd, 1, 2, 3, 4]), whole(true, Ping, mask, 6, 125));
    }

    #[test]
    fn a_head_says_how_much_of_it_is_missing() {
        assert_eq!(head(&[]), Ok(Parsed::Needs(2)));
        assert_eq!(head(&[0x81]), Ok(Parsed::Needs(2)));
        for (whole, length) in [(&[0x81, 0x85, 1, 2, 3, 4][..], 6), (&[0x81, 0xfe, 1, 0, 1, 2, 3, 4], 8)] {
            for cut in 2..length {
                assert_eq!(head(&whole[..cut]), Ok(Parsed::Needs(length)), "{cut}");
            }
        }
    }

    #[test]
    fn broken_rules_are_refused_with_the_byte_that_breaks_them() {
        for (bytes, rule) in [
            ([0xc1, 0x85], "RSV1 without an extension"),
            ([0xa1, 0x85], "RSV2"),
            ([0x91, 0x85], "RSV3"),
            ([0x83, 0x85], "a reserved data opcode"),
            ([0x8b, 0x85], "a reserved control opcode"),
            ([0x81, 0x05], "no mask"),
            ([0x09, 0x85], "a fragmented ping"),
            ([0x89, 0xfe], "a long ping"),
            ([0x88, 0xff], "a long close"),
        ] {
            assert_eq!(head(&bytes), Err(Violation::Protocol), "{rule}");
        }
    }

    #[test]
    fn s3_a_length_beyond_the_cap_is_refused_before_the_mask() {
        for length in [70_001, 1 << 20, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
            assert_eq!(head(&[&[0x82, 0xff][..], &length.to_be_bytes()].concat()), Err(Violation::TooBig), "{length}");
        }
        assert_eq!(Head::parse(&[0x82, 0xfe, 1, 0], 255), Err(Violation::TooBig));
        assert_eq!(Head::parse(&[0x82, 0x85], 4), Err(Violation::TooBig));
    }
}
