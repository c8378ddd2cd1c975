//! A piece on its way in: its bytes, who sent which block, and the hash of the contiguous prefix.
//!
//! Invariant: a block is `Free`, asked of at least one link, or received; the hash has seen exactly the blocks
//! before the first one that is missing. Hashing block by block costs 15 to 35 µs at a time in WebAssembly, so no
//! piece, however long, ever blocks the worker.

use crate::geometry::{BLOCK_LENGTH, Block, Geometry, Piece};
use crate::hash::{Digest, Sha1, sha1};
use crate::ids::LinkId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// Asked of this many links.
    Asked(u16),
    Received(LinkId),
}

/// A piece of which some blocks are asked for or here.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    /// Empty until the first block is here.
    bytes: Vec<u8>,
    size: usize,
    blocks: Vec<State>,
    free: u32,
    received: u32,
    hashed: u32,
    hash: Sha1,
}

impl Partial {
    pub(super) fn new(geometry: &Geometry, piece: Piece) -> Self {
        let blocks = geometry.blocks(piece);
        Self {
            bytes: Vec::new(),
            size: geometry.size(piece) as usize,
            blocks: vec![State::Free; blocks as usize],
            free: blocks,
            received: 0,
            hashed: 0,
            hash: Sha1::new(),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Nothing asked, nothing received.
    pub(super) fn is_idle(&self) -> bool {
        self.free as usize == self.blocks.len()
    }

    pub(super) fn has_free(&self) -> bool {
        self.free > 0
    }

    /// Indices of the blocks that nobody was asked for.
    pub(super) fn free(&self) -> impl Iterator<Item = u32> + '_ {
        let free = self.blocks.iter().enumerate().filter(|(_, state)| **state == State::Free);
        free.map(|(index, _)| index as u32).take(self.free as usize)
    }

    pub(super) fn is_received(&self, block: u32) -> bool {
        matches!(self.blocks[block as usize], State::Received(_))
    }

    pub(super) fn ask(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        *state = match *state {
            State::Free => {
                self.free -= 1;
                State::Asked(1)
            }
            State::Asked(links) => State::Asked(links + 1),
            State::Received(_) => unreachable!("a block that is here is not asked for"),
        };
    }

    /// One link fewer is asked for a block.
    pub(super) fn release(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        *state = match *state {
            State::Asked(1) => {
                self.free += 1;
                State::Free
            }
            State::Asked(links) => State::Asked(links - 1),
            State::Free => unreachable!("a block is released as often as it was asked for"),
            State::Received(link) => State::Received(link),
        };
    }

    /// Takes a block in; false if it is here already.
    pub(super) fn receive(&mut self, block: Block, data: &[u8], from: LinkId) -> bool {
        let state = &mut self.blocks[block.index() as usize];
        match *state {
            State::Received(_) => return false,
            State::Free => self.free -= 1,
            State::Asked(_) => {}
        }
        *state = State::Received(from);
        let begin = block.begin() as usize;
        self.bytes.resize(self.size, 0);
        self.bytes[begin..begin + data.len()].copy_from_slice(data);
        self.received += 1;
        if block.index() == self.hashed {
            self.hash.update(data);
            self.hashed += 1;
            self.hash_on();
        }
        true
    }

    /// Hashes the received blocks behind the prefix.
    fn hash_on(&mut self) {
        let first = self.hashed as usize;
        let run = self.blocks[first..].iter().take_while(|state| matches!(state, State::Received(_))).count();
        if run > 0 {
            let block = BLOCK_LENGTH as usize;
            let end = ((first + run) * block).min(self.size);
            self.hash.update(&self.bytes[first * block..end]);
            self.hashed += run as u32;
        }
    }

    /// The digest, once every block is here.
    pub(super) fn digest(&self) -> Option<Digest> {
        (self.hashed as usize == self.blocks.len()).then(|| self.hash.digest())
    }

    /// The digest of a block that is here.
    pub(super) fn block_digest(&self, block: Block) -> Digest {
        let rest = &self.bytes[block.begin() as usize..];
        sha1(&rest[..rest.len().min(BLOCK_LENGTH as usize)])
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Who sent which block.
    pub(super) fn senders(&self) -> Vec<(u32, LinkId)> {
        let sender = |(index, state): (usize, &State)| match state {
            State::Received(link) => Some((index as u32, *link)),
            _ => None,
        };
        self.blocks.iter().enumerate().filter_map(sender).collect()
    }

    pub(super) fn check(&self) {
        let count = |wanted: fn(&State) -> bool| self.blocks.iter().filter(|state| wanted(state)).count() as u32;
        assert_eq!(self.free, count(|state| *state == State::Free));
        assert_eq!(self.received, count(|state| matches!(state, State::Received(_))));
        let prefix = self.blocks.iter().take_while(|state| matches!(state, State::Received(_))).count() as u32;
        assert_eq!(self.hashed, prefix, "the hash has seen the contiguous prefix");
    }
}
