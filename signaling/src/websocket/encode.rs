//! The frames that a server sends: whole messages, unmasked (RFC 6455 §5.1, §5.2).
//!
//! Invariant: the shortest form of every length, as the RFC demands.

use super::head::{CONTROL_BYTES_MAX, Opcode};

/// The head of a frame that is a whole message.
#[derive(Clone, Copy, Debug)]
pub struct FrameHead {
    bytes: [u8; 10],
    len: u8,
}

impl FrameHead {
    /// The head of a frame with a payload of so many bytes.
    pub fn new(opcode: Opcode, payload: usize) -> Self {
        let first = 0x80 | opcode.bits();
        let mut bytes = [first, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let len = match (u8::try_from(payload), u16::try_from(payload)) {
            (Ok(short @ ..126), _) => {
                bytes[1] = short;
                2
            }
            (_, Ok(medium)) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, len }
    }

    /// What goes before the payload.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The payload of a close frame; a reason too long for one is cut.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let longest = reason.len().min(CONTROL_BYTES_MAX - 2);
    let room = (0..=longest).rev().find(|&end| reason.is_char_boundary(end)).unwrap_or(0);
    [&code.to_be_bytes(), &reason.as_bytes()[..room]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        for (payload, head) in [
            (5, &[0x81, 5][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 255, 255]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(FrameHead::new(Opcode::Text, payload).as_bytes(), head);
        }
        assert_eq!(FrameHead::new(Opcode::Ping, 0).as_bytes(), [0x89, 0]);
        assert_eq!(FrameHead::new(Opcode::Pong, 5).as_bytes(), [0x8a, 5], "RFC 6455 §5.7");
    }

    #[test]
    fn a_close_fits_a_control_frame() {
        assert_eq!(close_payload(1012, "retry in 3 s"), b"\x03\xf4retry in 3 s");
        let long = close_payload(1000, &"ä".repeat(100));
        assert_eq!((long.len(), std::str::from_utf8(&long[2..]).is_ok()), (124, true));
    }
}
