//! Consecutive content bytes on their way from a web seed, file by file: cut into blocks as they come.
//!
//! Invariant: at most one unfinished block is kept; a block comes out only when every byte of it has passed.

use std::borrow::Cow;
use std::ops::Range;

use super::address::Part;
use crate::geometry::{Block, Geometry};
use crate::ids::LinkId;
use crate::time::Moment;

/// Bytes on their way.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Whom they come from.
    pub(super) link: LinkId,
    /// The next content byte.
    pub(super) at: u64,
    /// Behind the last wanted one.
    pub(super) end: u64,
    /// What is being fetched.
    pub(super) part: Part,
    /// The server serves no parts: whole files pass by, and what we lack is taken.
    pub(super) whole: bool,
    /// When something came last.
    pub(super) heard_at: Moment,
    /// A whole block that we lacked came from the server.
    pub(super) brought: bool,
    /// The head of the block that holds `at`.
    head: Vec<u8>,
}

impl Stream {
    /// These bytes, of which `part` comes first.
    pub(super) fn new(link: LinkId, content: Range<u64>, part: Part, whole: bool, now: Moment) -> Self {
        Self { link, at: content.start, end: content.end, part, whole, heard_at: now, brought: false, head: Vec::new() }
    }

    /// Bytes still to come.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// Bytes still to come of the part being fetched.
    pub(super) fn part_left(&self) -> u64 {
        self.part.content.end.min(self.end).saturating_sub(self.at)
    }

    /// Goes on with another part.
    pub(super) fn turn_to(&mut self, part: Part, now: Moment) {
        if part.content.start != self.at {
            self.head.clear();
        }
        self.at = part.content.start;
        self.part = part;
        self.heard_at = now;
    }

    /// The server sends the whole file instead of a part: starts at the file's first byte, goes on to the content's end.
    pub(super) fn become_whole(&mut self, content_end: u64) {
        self.at = self.part.file_start();
        self.part.content = self.at..self.at + self.part.file_length;
        self.part.offset = 0;
        self.end = content_end;
        self.whole = true;
        self.head.clear();
    }

    /// Takes bytes from the front of `input`, up to the end of the next block. That block, if it is whole.
    pub(super) fn cut<'i>(&mut self, geometry: &Geometry, input: &mut &'i [u8]) -> Option<(Block, Cow<'i, [u8]>)> {
        while !input.is_empty() {
            let block = geometry.block_of(self.at)?;
            let range = geometry.block_range(block);
            let missing = (range.end - self.at) as usize;
            let (now, later) = input.split_at(missing.min(input.len()));
            let begun = self.at - range.start;
            self.at += now.len() as u64;
            *input = later;
            if begun != self.head.len() as u64 {
                continue; // Its head never passed here: it can't become whole.
            }
            let whole = now.len() == missing;
            match (whole, begun) {
                (true, 0) => return Some((block, Cow::Borrowed(now))),
                (true, _) => {
                    let mut data = std::mem::take(&mut self.head);
                    data.extend_from_slice(now);
                    return Some((block, Cow::Owned(data)));
                }
                (false, _) => self.head.extend_from_slice(now),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(content: Range<u64>) -> Stream {
        let part = Part { file: 0, content: content.clone(), offset: 0, file_length: content.end, padding: false };
        Stream::new(LinkId(1), content, part, false, Moment(0))
    }

    /// Feeds `bytes` of the content in chunks of `chunk`; what comes out, as piece.block.
    fn cut(stream: &mut Stream, geometry: &Geometry, content: &[u8], bytes: Range<usize>, chunk: usize) -> String {
        let mut blocks = Vec::new();
        for mut input in content[bytes].chunks(chunk) {
            while let Some((block, data)) = stream.cut(geometry, &mut input) {
                let range = geometry.block_range(block);
                assert_eq!(&data[..], &content[range.start as usize..range.end as usize]);
                blocks.push(format!("{}.{}", block.piece.index(), block.index()));
            }
        }
        blocks.join(" ")
    }

    #[test]
    fn blocks_come_out_whole_however_the_bytes_are_cut() {
        let geometry = Geometry::new(100_000, 40_000);
        let content: Vec<u8> = (0..100_000u32).map(|byte| (byte % 253) as u8).collect();
        for chunk in [1, 1000, 16_384, 20_000, 100_000] {
            let shown = cut(&mut stream(0..100_000), &geometry, &content, 0..100_000, chunk);
            assert_eq!(shown, "0.0 0.1 0.2 1.0 1.1 1.2 2.0 2.1", "chunks of {chunk}");
        }
    }

    #[test]
    fn a_block_whose_head_never_passed_is_left_out() {
        let geometry = Geometry::new(100_000, 40_000);
        let content = vec![7; 100_000];
        assert_eq!(cut(&mut stream(10_000..60_000), &geometry, &content, 10_000..60_000, 999), "0.1 0.2 1.0");
    }

    #[test]
    fn nothing_comes_out_past_the_end_of_the_content() {
        let geometry = Geometry::new(20_000, 40_000);
        let mut stream = stream(16_384..20_000);
        let mut input = &[7u8; 9_000][..];
        assert!(stream.cut(&geometry, &mut input).is_some());
        assert!(stream.cut(&geometry, &mut input).is_none());
    }
}
