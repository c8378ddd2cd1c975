//! One peer: an engine, and what its driver keeps for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use swarmreel::engine::{Engine, Limits};
use swarmreel::ids::{LinkId, ReadId, SocketId, TorrentId};
use swarmreel::time::Moment;

use crate::content::Content;
use crate::frames::Framer;
use crate::queue::Event;
use crate::screen::Screen;
use crate::villain::Villain;

/// An engine and its surroundings, from the opening of a page to its end.
#[derive(Debug)]
pub struct Node {
    /// Its index in the plan.
    pub peer: usize,
    /// The engine.
    pub engine: Engine,
    /// Its torrents, in the plan's order.
    pub torrents: Vec<TorrentId>,
    /// When the engine is to be woken next.
    pub alarm: Option<Moment>,
    /// When the page was opened.
    pub since: Moment,
    /// WebSockets that the engine has opened and not closed.
    pub sockets: BTreeSet<SocketId>,
    /// What was said on each link so far, up to a whole message.
    pub said: BTreeMap<LinkId, Framer>,
    /// What was heard on each link so far; only for peers that hear other things than were said.
    pub heard: BTreeMap<LinkId, Framer>,
    /// What is wrong with the peer.
    pub villain: Option<Villain>,
    /// Until when what it has held back is said, on each link.
    pub dripping: BTreeMap<LinkId, Moment>,
    /// Which torrent each link is about, once its handshake was said.
    pub topics: BTreeMap<LinkId, usize>,
    /// What has to wait until its laptop is opened, if it is closed.
    pub asleep: Option<Vec<Event>>,
    /// How many facts it was told.
    pub facts: u64,
    /// How many turns its engine had.
    pub turns: u64,
    /// Its player.
    pub screen: Option<Screen>,
    /// Its reader.
    pub reader: Option<Reader>,
    /// Torrents of which every piece is verified.
    pub done: BTreeSet<TorrentId>,
}

impl Node {
    /// Opens the page of a peer of the plan.
    pub fn new(peer: usize, villain: Option<Villain>, seed: [u8; 32], now: Moment) -> Self {
        Self {
            peer,
            engine: Engine::new(Limits::default(), seed, now),
            torrents: Vec::new(),
            alarm: None,
            since: now,
            sockets: BTreeSet::new(),
            said: BTreeMap::new(),
            heard: BTreeMap::new(),
            villain,
            dripping: BTreeMap::new(),
            topics: BTreeMap::new(),
            asleep: None,
            facts: 0,
            turns: 0,
            screen: None,
            reader: None,
            done: BTreeSet::new(),
        }
    }
}

/// Someone who takes a file out in order, a little at a time.
#[derive(Debug)]
pub struct Reader {
    /// The engine's name for it.
    pub read: ReadId,
    /// Index of the file.
    pub file: usize,
    next: u64,
    credit: u64,
    finished: bool,
}

/// Credit given at a time, bytes.
pub const CREDIT: u64 = 50_000;

impl Reader {
    /// Starts to read a file from its first byte, with `CREDIT` given.
    pub fn new(read: ReadId, file: usize) -> Self {
        Self { read, file, next: 0, credit: CREDIT, finished: false }
    }

    /// The last byte has come.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes the next bytes, checked against the original. Says how much credit to give now.
    pub fn take(&mut self, bytes: &[u8], last: bool, content: &Content) -> Option<u64> {
        let count = bytes.len() as u64;
        assert!(!self.finished, "bytes after the last");
        assert!(count <= self.credit, "{count} bytes were delivered on a credit of {}", self.credit);
        let range: Range<usize> = self.next as usize..self.next as usize + bytes.len();
        let original = content.file(self.file);
        assert!(original.get(range) == Some(bytes), "bytes were delivered that are not the original's");
        self.next += count;
        self.credit -= count;
        self.finished = last;
        assert!(!last || self.next == original.len() as u64, "the last byte came too early");
        if self.credit > 0 || last {
            return None;
        }
        self.credit = CREDIT;
        Some(CREDIT)
    }
}

#[cfg(test)]
mod tests {
    use swarmreel::rng::Rng;

    use super::*;

    #[test]
    fn a_reader_pays_as_it_goes() {
        let content = Content::random(60_000, 16_384, Vec::new(), &mut Rng::new([0; 32]));
        let mut reader = Reader::new(ReadId(0), 0);
        assert_eq!(reader.take(&content.bytes[..20_000], false, &content), None);
        assert_eq!(reader.take(&content.bytes[20_000..50_000], false, &content), Some(CREDIT));
        assert_eq!(reader.take(&content.bytes[50_000..], true, &content), None);
        assert!(reader.is_finished());
    }

    #[test]
    #[should_panic(expected = "not the original's")]
    fn a_reader_compares() {
        let content = Content::random(100, 16_384, Vec::new(), &mut Rng::new([0; 32]));
        Reader::new(ReadId(0), 0).take(&content.bytes[1..], false, &content);
    }
}
