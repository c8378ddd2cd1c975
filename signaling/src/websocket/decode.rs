//! A client's bytes to its messages, however they are cut.
//!
//! Invariant: what is kept between calls is one incomplete frame and the fragments before it, together within the limit
//! of a message and a control frame; a stream whose frames come whole keeps nothing, and is unmasked where it lies.

use std::borrow::Cow;
use std::time::Duration;

use swarmreel::time::Moment;

use super::head::{HEAD_BYTES_MAX, Head, Opcode, Parsed};
use super::{Limits, Violation};

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message. Some clients send their JSON as binary, so both kinds are text here (protocol.md §1.1).
    Message(Cow<'a, str>),
    /// To be answered by a pong with the same payload.
    Ping(Cow<'a, [u8]>),
    /// The client lives.
    Pong,
    /// The client's last frame, with its code if it has one. Nothing after it means anything.
    Close(Option<u16>),
}

/// A head and its payload.
type Frame<'a> = (Head, Cow<'a, [u8]>);

/// One client's incoming stream.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The frame being received, as it came.
    frame: Vec<u8>,
    /// The message being received, as far as whole fragments go.
    message: Vec<u8>,
    /// How many those are; 0 between messages.
    fragments: u16,
    /// Control frames since `since`.
    controls: u16,
    since: Moment,
}

impl Decoder {
    /// The next event in these bytes, which are cut down to what is behind it; they are unmasked where they lie. `None`
    /// once all of them are taken.
    ///
    /// # Errors
    /// The client broke a rule. The stream can't be read on.
    pub fn next<'b>(
        &mut self,
        limits: &Limits,
        now: Moment,
        bytes: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, Violation> {
        while let Some((head, payload)) = self.frame(limits, bytes)? {
            self.count(limits, now, head.opcode)?;
            if let Some(event) = self.event(&head, payload)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Bytes kept of an incomplete message.
    pub fn kept(&self) -> usize {
        self.frame.len() + self.message.len()
    }

    /// The next whole frame, its payload unmasked.
    fn frame<'b>(&mut self, limits: &Limits, bytes: &mut &'b mut [u8]) -> Result<Option<Frame<'b>>, Violation> {
        if self.frame.is_empty()
            && let Parsed::Whole(head) = self.head(limits, bytes)?
            && head.frame_bytes() <= bytes.len()
        {
            let payload = &mut cut(bytes, head.frame_bytes())[head.len..];
            unmask(payload, head.mask);
            return Ok(Some((head, Cow::Borrowed(payload))));
        }
        loop {
            let (head, wanted) = match self.head(limits, &self.frame)? {
                Parsed::Whole(head) => (Some(head), head.frame_bytes()),
                Parsed::Needs(wanted) => (None, wanted),
            };
            let missing = wanted - self.frame.len();
            if missing == 0
                && let Some(head) = head
            {
                let mut payload = std::mem::take(&mut self.frame).split_off(head.len);
                unmask(&mut payload, head.mask);
                return Ok(Some((head, Cow::Owned(payload))));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            let more = missing.min(bytes.len());
            self.frame.extend_from_slice(cut(bytes, more));
        }
    }

    /// Reads and judges the head of the next frame, as far as it is here.
    fn head(&self, limits: &Limits, bytes: &[u8]) -> Result<Parsed, Violation> {
        let beginning = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let parsed = Head::parse(beginning, limits.message_bytes)?;
        let Parsed::Whole(head) = parsed else { return Ok(parsed) };
        if !head.opcode.is_control() {
            if (head.opcode == Opcode::Continuation) != (self.fragments > 0) {
                return Err(Violation::Protocol);
            }
            if self.message.len() + head.payload > limits.message_bytes {
                return Err(Violation::TooBig);
            }
        }
        Ok(parsed)
    }

    /// Counts fragments and control frames (threat-model S4).
    fn count(&mut self, limits: &Limits, now: Moment, opcode: Opcode) -> Result<(), Violation> {
        if !opcode.is_control() {
            self.fragments += 1;
        } else if now.since(self.since) >= Duration::from_secs(1) {
            (self.since, self.controls) = (now, 1);
        } else {
            self.controls += 1;
        }
        if self.fragments > limits.fragments || self.controls > limits.controls_per_second {
            return Err(Violation::TooManyFrames);
        }
        Ok(())
    }

    /// What a frame tells; `None` if it is a fragment that others follow.
    fn event<'b>(&mut self, head: &Head, payload: Cow<'b, [u8]>) -> Result<Option<Event<'b>>, Violation> {
        match head.opcode {
            Opcode::Ping => return Ok(Some(Event::Ping(payload))),
            Opcode::Pong => return Ok(Some(Event::Pong)),
            Opcode::Close => return close_code(&payload).map(|code| Some(Event::Close(code))),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
        }
        if head.fin && self.fragments == 1 {
            self.fragments = 0;
            return text(payload).map(|text| Some(Event::Message(text)));
        }
        self.message.extend_from_slice(&payload);
        if !head.fin {
            return Ok(None);
        }
        self.fragments = 0;
        text(Cow::Owned(std::mem::take(&mut self.message))).map(|text| Some(Event::Message(text)))
    }
}

/// Cuts off the first bytes.
fn cut<'b>(bytes: &mut &'b mut [u8], count: usize) -> &'b mut [u8] {
    let (first, rest) = std::mem::take(bytes).split_at_mut(count);
    *bytes = rest;
    first
}

/// Takes the mask off, or puts it on (RFC 6455 §5.3): eight bytes at a time.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

fn text(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Violation> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Violation::NotUtf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Violation::NotUtf8),
    }
}

/// The code of a close frame, which it need not have (RFC 6455 §5.5.1, §7.4).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::Protocol) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol);
    }
    std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    Ok(Some(code))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
