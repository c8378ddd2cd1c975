//! The WebSocket protocol as a server speaks it (RFC 6455): bytes to messages and back, and the verdict on an upgrade.
//!
//! Pure: no socket and no clock. Invariant: however a client's bytes are cut, they decode to the same messages and end
//! in the same violation, and nothing is kept but one incomplete message within the [`Limits`].

mod decode;
mod encode;
mod head;
mod upgrade;

use std::fmt;

use swarmreel::tracker::message::MESSAGE_BYTES_MAX;

pub use decode::{Decoder, Event};
pub use encode::{FrameHead, close_payload};
pub use head::Opcode;
pub use upgrade::{Upgrade, judge};

/// What one client may send (threat-model.md §1).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a message, and of a frame: a smaller frame would refuse legal announces.
    pub message_bytes: usize,
    /// Frames a message may be cut into.
    pub fragments: u16,
    /// Pings, pongs and closes in one second.
    pub controls_per_second: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: MESSAGE_BYTES_MAX, fragments: 64, controls_per_second: 10 }
    }
}

/// Why nothing more is read from a client. Its `Display` is the reason for the close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame or message longer than the limit.
    TooBig,
    /// A message, or the reason of a close, that is not UTF-8.
    NotUtf8,
    /// Too many fragments or control frames.
    TooManyFrames,
    /// Something RFC 6455 forbids.
    Protocol,
}

impl Violation {
    /// The close code that says so (RFC 6455 §7.4.1).
    pub fn code(self) -> u16 {
        match self {
            Violation::TooBig => 1009,
            Violation::NotUtf8 => 1007,
            Violation::TooManyFrames => 1008,
            Violation::Protocol => 1002,
        }
    }

    /// A few words for the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Violation::TooBig => "message too big",
            Violation::NotUtf8 => "not UTF-8",
            Violation::TooManyFrames => "too many frames",
            Violation::Protocol => "not the WebSocket protocol",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Violation {}
