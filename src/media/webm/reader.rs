//! The stretch of the file that is being parsed.
//!
//! Invariant: the bytes held are contiguous; more are asked for only directly behind them, or, after a jump, where the
//! reader stands. Nothing is asked for that was announced but is not needed: an element that is skipped is not read.

use std::ops::Range;

use super::ebml::{self, Malformed};

/// Asked for at a time: little, since nothing of a chunk is played before all of it is there.
pub(super) const CHUNK_BYTES: u64 = 64 << 10;

/// What one step of reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An element was dealt with.
    On,
    /// More bytes are needed.
    Starved,
    /// What was read for is reached, or the end of the Segment is.
    Done,
}

/// A cursor in the file, and the bytes held from there on.
#[derive(Debug)]
pub(super) struct Reader {
    length: u64,
    at: u64,
    held: Vec<u8>,
    held_at: u64,
    want: u64,
    taken: u64,
}

/// An element in the file; offsets are the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// See `ids`.
    pub(super) id: u32,
    /// Where its header starts.
    pub(super) at: u64,
    /// Where its body starts.
    pub(super) body: u64,
    /// Where it ends: perhaps past the file; `None` for unknown size.
    pub(super) end: Option<u64>,
}

impl Element {
    /// Where it ends, for elements that must say so.
    pub(super) fn known_end(&self) -> Result<u64, Malformed> {
        self.end.ok_or(Malformed("an element that needs a size has none"))
    }
}

impl Reader {
    /// Stands at the start of a file of so many bytes.
    pub(super) fn new(length: u64) -> Self {
        Self { length, at: 0, held: Vec::new(), held_at: 0, want: 0, taken: 0 }
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Offset of the next byte to be parsed.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes supplied so far, repeated ones counted again.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether no byte is left to ask for.
    pub(super) fn exhausted(&self) -> bool {
        self.demand(CHUNK_BYTES).is_none()
    }

    /// What to ask for next: about `chunk` bytes, to a multiple of it, or more where an element at hand is longer.
    pub(super) fn demand(&self, chunk: u64) -> Option<Range<u64>> {
        let start = self.held_end().max(self.at);
        let aligned = start.saturating_add(chunk / 2).checked_next_multiple_of(chunk).unwrap_or(u64::MAX);
        let end = aligned.max(self.want).min(self.length);
        (start < end).then_some(start..end)
    }

    /// Takes the bytes that were asked for.
    pub(super) fn supply(&mut self, bytes: &[u8]) {
        if self.at >= self.held_end() {
            self.held.clear();
            self.held_at = self.at;
        } else {
            self.held.drain(..(self.at - self.held_at) as usize);
            self.held_at = self.at;
        }
        self.held.extend_from_slice(bytes);
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        self.want = 0;
    }

    /// The bytes held from the cursor on.
    pub(super) fn rest(&self) -> &[u8] {
        usize::try_from(self.at - self.held_at).ok().and_then(|skip| self.held.get(skip..)).unwrap_or(&[])
    }

    /// Moves the cursor; what is held there is kept.
    pub(super) fn jump(&mut self, to: u64) {
        if to < self.held_at {
            self.held.clear();
            self.held_at = to;
        }
        self.at = to;
        self.want = 0;
    }

    /// Moves the cursor and forgets every byte held, so that there is something to ask for.
    pub(super) fn restart(&mut self, to: u64) {
        self.held.clear();
        self.held_at = to;
        self.at = to;
        self.want = 0;
    }

    /// The element at the cursor; `None` when more bytes are needed to tell.
    pub(super) fn element(&self) -> Result<Option<Element>, Malformed> {
        let Some(header) = ebml::header(self.rest())? else { return Ok(None) };
        let body = self.at + header.len as u64;
        let end = match header.size {
            Some(size) => Some(body.checked_add(size).ok_or(Malformed("an element's end is out of range"))?),
            None => None,
        };
        Ok(Some(Element { id: header.id, at: self.at, body, end }))
    }

    /// The body of the element at the cursor; `None` when more bytes are needed, which the next demand asks for. An
    /// element longer than `bytes_max` is refused unread.
    pub(super) fn body(&mut self, element: &Element, bytes_max: u64) -> Result<Option<&[u8]>, Malformed> {
        let end = element.known_end()?;
        if end - element.at > bytes_max {
            return Err(Malformed("an element is too long to be true"));
        }
        if end > self.held_end() {
            self.want = end;
            return Ok(None);
        }
        Ok(self.held.get((element.body - self.held_at) as usize..(end - self.held_at) as usize))
    }

    fn held_end(&self) -> u64 {
        self.held_at + self.held.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_for_what_follows_and_skips_what_is_jumped_over() {
        let mut reader = Reader::new(1000);
        assert_eq!(reader.demand(64), Some(0..64));
        reader.supply(&[0; 64]);
        assert_eq!(reader.demand(64), Some(64..128));
        reader.jump(300);
        assert_eq!(reader.demand(64), Some(300..384), "to a multiple of the chunk, at least half of one");
        reader.jump(990);
        assert_eq!(reader.demand(64), Some(990..1000));
        reader.jump(1000);
        assert!(reader.exhausted());
    }

    #[test]
    fn a_long_element_is_asked_for_at_once_but_not_one_that_is_too_long() {
        let mut reader = Reader::new(10_000);
        reader.supply(&[0xA3, 0x50, 0x00, 1, 2, 3]);
        let element = reader.element().expect("well formed").expect("a whole header");
        assert_eq!(element, Element { id: 0xA3, at: 0, body: 3, end: Some(4099) });
        assert!(reader.body(&element, 4098).is_err());
        assert_eq!(reader.body(&element, 5000), Ok(None));
        assert_eq!(reader.demand(64), Some(6..4099));
    }

    #[test]
    fn going_back_keeps_what_is_held_until_more_comes() {
        let mut reader = Reader::new(100);
        reader.supply(&[1, 2, 3, 4]);
        reader.jump(3);
        reader.jump(1);
        assert_eq!(reader.rest(), [2, 3, 4]);
        reader.supply(&[5]);
        assert_eq!((reader.at(), reader.rest()), (1, &[2, 3, 4, 5][..]));
        reader.jump(0);
        assert_eq!((reader.rest(), reader.demand(8)), (&[][..], Some(0..8)));
    }
}
