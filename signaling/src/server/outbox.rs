//! What waits to be sent to one client, as whole WebSocket messages.
//!
//! Invariant: never more than the limit of bytes, but for what is already half sent and a few control frames; and no offer
//! beyond the limit of messages. A full outbox loses its oldest offers, never a reply; a client that leaves no room even
//! so is closed (threat-model S7). Nothing follows the close, and an empty outbox holds no memory.

use std::collections::VecDeque;

use super::limits::ServerLimits;
use crate::websocket::{FrameHead, Opcode, close_payload};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Frame>,
    /// Bytes of all payloads.
    bytes: usize,
    /// Bytes of the first frame that are sent, head and payload.
    sent: usize,
    closing: bool,
}

#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    droppable: bool,
    payload: Vec<u8>,
}

impl Frame {
    fn head(&self) -> FrameHead {
        FrameHead::new(self.opcode, self.payload.len())
    }
}

impl Outbox {
    /// Queues a text; tells how many messages were dropped for want of room, this one included.
    pub(super) fn text(&mut self, limits: &ServerLimits, text: String, droppable: bool) -> u64 {
        let mut dropped = 0;
        while !self.closing && !self.has_room(limits, text.len()) {
            if self.drop_oldest_droppable() {
                dropped += 1;
            } else if droppable {
                return dropped + 1;
            } else if self.bytes + text.len() > limits.queue_bytes {
                return dropped + self.give_up() + 1;
            } else {
                break; // Short replies may be many: a client that is back announces all its torrents at once.
            }
        }
        if !self.closing {
            self.push(self.frames.len(), Opcode::Text, droppable, text.into_bytes());
        }
        dropped
    }

    /// Queues a ping or pong before all messages; of those that still wait only the latest is kept, which the RFC allows
    /// (RFC 6455 §5.5.3).
    pub(super) fn control(&mut self, opcode: Opcode, payload: Vec<u8>) {
        if self.closing {
            return;
        }
        let next = usize::from(self.sent > 0);
        let waiting = self.frames.range(next..).take_while(|frame| frame.opcode.is_control());
        match waiting.clone().position(|frame| frame.opcode == opcode) {
            Some(index) => {
                let old = std::mem::replace(&mut self.frames[next + index].payload, payload);
                self.bytes = self.bytes - old.len() + self.frames[next + index].payload.len();
            }
            None => self.push(next, opcode, false, payload),
        }
    }

    /// Queues the last frame. What was queued before is still sent.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        if !self.closing {
            self.push(self.frames.len(), Opcode::Close, false, close_payload(code, reason));
            self.closing = true;
        }
    }

    /// Whether the close is queued or sent.
    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Copies what is to be sent next, as far as there is room; returns its length.
    pub(super) fn peek(&self, into: &mut [u8]) -> usize {
        let (mut skip, mut filled) = (self.sent, 0);
        for frame in &self.frames {
            for part in [frame.head().as_bytes(), &frame.payload] {
                let begun = skip.min(part.len());
                let count = (part.len() - begun).min(into.len() - filled);
                into[filled..filled + count].copy_from_slice(&part[begun..begun + count]);
                skip -= begun;
                filled += count;
            }
            if filled == into.len() {
                break;
            }
        }
        filled
    }

    /// Forgets what was sent; tells how many frames it ended.
    pub(super) fn advance(&mut self, sent: usize) -> u64 {
        self.sent += sent;
        let mut ended = 0;
        while let Some(first) = self.frames.front() {
            let length = first.head().as_bytes().len() + first.payload.len();
            if self.sent < length {
                return ended;
            }
            self.sent -= length;
            self.bytes -= first.payload.len();
            self.frames.pop_front();
            ended += 1;
        }
        self.frames = VecDeque::new();
        ended
    }

    fn has_room(&self, limits: &ServerLimits, more: usize) -> bool {
        self.frames.len() < limits.queue_messages && self.bytes + more <= limits.queue_bytes
    }

    fn push(&mut self, index: usize, opcode: Opcode, droppable: bool, payload: Vec<u8>) {
        self.bytes += payload.len();
        self.frames.insert(index, Frame { opcode, droppable, payload });
    }

    fn drop_oldest_droppable(&mut self) -> bool {
        let begun = usize::from(self.sent > 0);
        let oldest = self.frames.range(begun..).position(|frame| frame.droppable);
        let dropped = oldest.and_then(|index| self.frames.remove(begun + index));
        self.bytes -= dropped.as_ref().map_or(0, |frame| frame.payload.len());
        dropped.is_some()
    }

    /// Keeps only what is half sent, and closes.
    fn give_up(&mut self) -> u64 {
        let kept = usize::from(self.sent > 0);
        let dropped = (self.frames.len() - kept) as u64;
        self.frames.truncate(kept);
        self.bytes = self.frames.iter().map(|frame| frame.payload.len()).sum();
        self.close(1008, "reading too slowly");
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> ServerLimits =
        || ServerLimits { queue_messages: 3, queue_bytes: 10, ..ServerLimits::default() };

    /// All that is sent, in pieces of so many bytes: texts as they are, `?` and `!` for pings and pongs, close codes.
    fn contents(outbox: &mut Outbox, piece: usize) -> String {
        let (mut stream, mut buffer) = (Vec::new(), vec![0; piece]);
        while !outbox.is_empty() {
            let count = outbox.peek(&mut buffer);
            stream.extend(&buffer[..count]);
            outbox.advance(count);
        }
        assert_eq!((outbox.bytes, outbox.sent, outbox.frames.capacity()), (0, 0, 0));
        let mut words = Vec::new();
        let mut rest: &[u8] = &stream;
        while let &[first, length, ref more @ ..] = rest {
            let (payload, more) = more.split_at(usize::from(length));
            words.push(match first {
                0x81 => String::from_utf8(payload.to_vec()).unwrap(),
                0x89 => "?".to_owned(),
                0x8a => format!("!{}", payload.escape_ascii()),
                _ => u16::from_be_bytes([payload[0], payload[1]]).to_string(),
            });
            rest = more;
        }
        words.join(" ")
    }

    /// An outbox for 3 messages and 10 bytes, after these sends; offers are in capitals.
    fn after(sends: &str) -> (String, u64) {
        let mut outbox = Outbox::default();
        let mut dropped = 0;
        for word in sends.split(' ') {
            dropped += outbox.text(&LIMITS(), word.to_owned(), word.chars().all(char::is_uppercase));
            assert!(outbox.closing || outbox.bytes <= 10);
        }
        (contents(&mut outbox, 7), dropped)
    }

    #[test]
    fn s7_a_full_outbox_loses_the_oldest_offers_only() {
        assert_eq!(after("a B c"), ("a B c".to_owned(), 0));
        assert_eq!(after("a B C d"), ("a C d".to_owned(), 1), "too many");
        assert_eq!(after("aaaa BBBB cccc"), ("aaaa cccc".to_owned(), 1), "too long");
        assert_eq!(after("A B C DDDDDDDDD"), ("C DDDDDDDDD".to_owned(), 2));
        assert_eq!(after("a b c D e"), ("a b c e".to_owned(), 1), "short replies are not offers");
        assert_eq!(after("aaaa bbbb cccc"), ("1008".to_owned(), 3), "nothing left to lose");
        assert_eq!(after("a b c D"), ("a b c".to_owned(), 1));
    }

    #[test]
    fn s7_a_message_that_is_half_sent_is_sent_to_its_end() {
        for sent in [1, 2, 3] {
            let mut outbox = Outbox::default();
            outbox.text(&LIMITS(), "OOO".to_owned(), true);
            let mut first = [0; 5];
            assert_eq!(outbox.peek(&mut first[..sent]), sent);
            outbox.advance(sent);
            outbox.control(Opcode::Ping, Vec::new());
            for text in ["aaa", "bbb", "ccc"] {
                outbox.text(&LIMITS(), text.to_owned(), false);
            }
            outbox.peek(&mut first[sent..]);
            assert_eq!(first, [0x81, 3, b'O', b'O', b'O']);
            outbox.advance(5 - sent);
            assert_eq!(contents(&mut outbox, 100), "1008");
        }
    }

    #[test]
    fn controls_come_first_and_the_close_last() {
        for piece in [1, 2, 3, 100] {
            let mut outbox = Outbox::default();
            outbox.text(&LIMITS(), "a".to_owned(), false);
            outbox.control(Opcode::Pong, b"1".to_vec());
            outbox.control(Opcode::Ping, Vec::new());
            outbox.control(Opcode::Pong, b"23".to_vec());
            outbox.close(1001, "first");
            outbox.close(1002, "second");
            outbox.text(&LIMITS(), "b".to_owned(), false);
            outbox.control(Opcode::Ping, Vec::new());
            assert_eq!(contents(&mut outbox, piece), "? !23 a 1001");
        }
    }
}
