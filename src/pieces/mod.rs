//! What we have of a torrent, and what we asked for.
//!
//! Invariant: a piece is in exactly one state. `Missing` ⇄ `Partial` → `Verified` → `Kept`; `Claimed` (an earlier
//! session says it is stored) → `Kept` or `Missing`. Only bytes whose hash is right ever leave this module.

mod bitfield;
mod partial;
mod rarity;
mod requests;
mod suspects;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

pub use bitfield::Bitfield;
use partial::Partial;
use rarity::Rarity;
use requests::Requests;
use suspects::{Evidence, Suspects};

use crate::geometry::{Block, Geometry, Piece};
use crate::hash::{Digest, sha1};
use crate::ids::LinkId;
use crate::time::Moment;

/// Where a piece stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing of it is here or asked for.
    Missing,
    /// Stored by an earlier session, not yet hashed in this one.
    Claimed,
    /// Some blocks are here or asked for.
    Partial,
    /// Its hash is right; it is on its way to the store.
    Verified,
    /// Its hash is right and it is stored.
    Kept,
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was not asked of this link, or is here already.
    Unwanted,
    /// It is in.
    Block {
        /// Other links that were asked for it and need not send it any more.
        cancel: Vec<LinkId>,
    },
    /// It was the last of its piece, whose hash is right.
    Piece {
        /// Other links that were asked for the block.
        cancel: Vec<LinkId>,
        /// The whole piece.
        bytes: Vec<u8>,
        /// Links that a good copy now proves to have sent other bytes before.
        liars: Vec<LinkId>,
    },
    /// It was the last of its piece, whose hash is wrong; the piece is missing again.
    Corrupt {
        /// Other links that were asked for the block.
        cancel: Vec<LinkId>,
        /// Every block came from this link, so it is proven to lie.
        liar: Option<LinkId>,
        /// How often this piece has failed by now.
        failures: u32,
    },
}

/// The piece map of one torrent.
#[derive(Clone, Debug)]
pub struct Pieces {
    geometry: Geometry,
    hashes: Vec<Digest>,
    status: Vec<Status>,
    have: Bitfield,
    /// The pieces that are `Missing`.
    missing: Bitfield,
    /// The `Partial` pieces of which some blocks are not asked for.
    open: Bitfield,
    verified_bytes: u64,
    partial: BTreeMap<Piece, Partial>,
    partial_bytes: usize,
    requests: Requests,
    suspects: Suspects,
    rarity: Rarity,
}

impl Pieces {
    /// Everything missing.
    ///
    /// # Panics
    /// If there are not as many hashes as pieces.
    pub fn new(geometry: Geometry, hashes: Vec<Digest>, shuffle: u32) -> Self {
        let count = geometry.pieces();
        assert_eq!(hashes.len(), count as usize, "one hash a piece");
        Self {
            geometry,
            hashes,
            status: vec![Status::Missing; count as usize],
            have: Bitfield::none(count),
            missing: Bitfield::all(count),
            open: Bitfield::none(count),
            verified_bytes: 0,
            partial: BTreeMap::new(),
            partial_bytes: 0,
            requests: Requests::default(),
            suspects: Suspects::default(),
            rarity: Rarity::new(&geometry, shuffle),
        }
    }

    /// The torrent's shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Where a piece stands.
    pub fn status(&self, piece: Piece) -> Status {
        self.status[piece.index() as usize]
    }

    /// Its hash is right.
    pub fn has(&self, piece: Piece) -> bool {
        self.have.has(piece.index())
    }

    /// The pieces whose hash is right.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Bytes of the pieces whose hash is right.
    pub fn verified_bytes(&self) -> u64 {
        self.verified_bytes
    }

    /// Memory taken by partial pieces, bytes.
    pub fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    fn set_status(&mut self, piece: Piece, status: Status) {
        if status == Status::Missing {
            self.rarity.list(piece);
            self.missing.insert(piece.index());
        } else {
            self.rarity.unlist(piece);
            self.missing.remove(piece.index());
        }
        self.status[piece.index() as usize] = status;
        self.note_free(piece);
        let size = u64::from(self.geometry.size(piece));
        if matches!(status, Status::Verified | Status::Kept) {
            if self.have.insert(piece.index()) {
                self.verified_bytes += size;
            }
        } else if self.have.remove(piece.index()) {
            self.verified_bytes -= size;
        }
    }

    /// Keeps `open` true after a block of the piece was asked for, released or received.
    fn note_free(&mut self, piece: Piece) {
        if self.partial.get(&piece).is_some_and(Partial::has_free) {
            self.open.insert(piece.index());
        } else {
            self.open.remove(piece.index());
        }
    }

    // ---- what is stored

    /// An earlier session says that this piece is stored. Only a missing piece can be claimed.
    pub fn claim(&mut self, piece: Piece) {
        if self.status(piece) == Status::Missing {
            self.set_status(piece, Status::Claimed);
        }
    }

    /// The claimed piece's stored bytes: kept if their hash is right, else missing. True if kept.
    pub fn prove(&mut self, piece: Piece, bytes: &[u8]) -> bool {
        let right = self.is_right(piece, bytes);
        if self.status(piece) == Status::Claimed {
            self.set_status(piece, if right { Status::Kept } else { Status::Missing });
        }
        right
    }

    /// Are these the bytes of this piece?
    pub fn is_right(&self, piece: Piece, bytes: &[u8]) -> bool {
        bytes.len() == self.geometry.size(piece) as usize && sha1(bytes) == self.hashes[piece.index() as usize]
    }

    /// The store has the piece: a verified one becomes kept.
    pub fn keep(&mut self, piece: Piece) {
        if self.status(piece) == Status::Verified {
            self.set_status(piece, Status::Kept);
        }
    }

    /// Everything is stored already: a seed. What was on its way in is dropped.
    ///
    /// # Panics
    /// If blocks are still asked for.
    pub fn keep_all(&mut self) {
        self.requests.check_empty();
        self.partial.clear();
        self.partial_bytes = 0;
        self.suspects.clear();
        self.geometry.all().for_each(|piece| self.set_status(piece, Status::Kept));
    }

    /// The bytes are gone: claimed, verified or kept becomes missing.
    pub fn lose(&mut self, piece: Piece) {
        if matches!(self.status(piece), Status::Claimed | Status::Verified | Status::Kept) {
            self.set_status(piece, Status::Missing);
        }
    }

    // ---- what peers have

    /// One more (or fewer) connected peer has this piece.
    pub fn count_peer(&mut self, index: u32, more: bool) {
        if let Some(piece) = self.geometry.piece(index) {
            self.rarity.count(piece, more);
        }
    }

    // ---- what the picker looks at

    /// The missing pieces, rarest first, equally rare ones in an order that differs between peers.
    pub fn rarest(&self) -> impl Iterator<Item = Piece> + '_ {
        self.rarity.iter()
    }

    /// The index of a drawn piece, another one for each peer; 0 if there is none.
    pub fn drawn(&self) -> u32 {
        self.rarity.drawn()
    }

    /// A key to sort missing pieces by: the rarest first, equally rare ones extent by extent.
    pub fn rank(&self, piece: Piece) -> impl Ord + use<> {
        self.rarity.rank(piece)
    }

    /// As many peers that lack something have the one as the other.
    pub fn are_equally_rare(&self, a: Piece, b: Piece) -> bool {
        self.rarity.are_equal(a, b)
    }

    /// The indices of the neighbours a piece is best fetched with.
    pub fn extent(&self, piece: Piece) -> Range<u32> {
        self.rarity.extent(piece)
    }

    /// The partial pieces, in order.
    pub fn begun(&self) -> impl Iterator<Item = Piece> + '_ {
        self.partial.keys().copied()
    }

    /// The missing pieces of a range that are in a set, in order.
    pub fn missing_in<'a>(&'a self, set: &'a Bitfield, range: Range<u32>) -> impl Iterator<Item = Piece> + 'a {
        set.common([&self.missing], range).filter_map(|index| self.geometry.piece(index))
    }

    /// The partial pieces of a range that are in a set and of which some blocks are not asked for, in order.
    pub fn open_in<'a>(&'a self, set: &'a Bitfield, range: Range<u32>) -> impl Iterator<Item = Piece> + 'a {
        set.common([&self.open], range).filter_map(|index| self.geometry.piece(index))
    }

    /// Both kinds, in order.
    pub fn wanted_in<'a>(&'a self, set: &'a Bitfield, range: Range<u32>) -> impl Iterator<Item = Piece> + 'a {
        set.common([&self.missing, &self.open], range).filter_map(|index| self.geometry.piece(index))
    }

    /// Every block that we lack is asked of somebody.
    pub fn all_asked(&self) -> bool {
        self.missing.count() == 0 && self.open.count() == 0
    }

    /// The pieces whose hash failed and that are not here yet, in order.
    pub fn suspects(&self) -> impl Iterator<Item = Piece> + '_ {
        self.suspects.iter()
    }

    // ---- requests

    /// The blocks of a piece that nobody was asked for and this link may be asked for now, in order.
    pub fn free_blocks(&self, piece: Piece, link: LinkId, now: Moment) -> impl Iterator<Item = Block> + '_ {
        let barred = self.suspects.bar(piece, link, now);
        let whole = if self.status(piece) == Status::Missing { self.geometry.blocks(piece) } else { 0 };
        let partial = self.partial.get(&piece).into_iter().flat_map(Partial::free);
        let free = (0..whole).chain(partial).take_while(move |_| !barred);
        free.filter_map(move |index| self.geometry.block(piece, index))
    }

    /// The blocks of a piece that other links were asked for and this one was not: of whom, and since when. None of a
    /// suspect piece, which comes from one link alone.
    pub fn asked_of_others(&self, piece: Piece, link: LinkId) -> Vec<(Block, Vec<(LinkId, Moment)>)> {
        if self.suspects.contains(piece) {
            return Vec::new();
        }
        let mut asked = self.requests.asked(piece);
        asked.retain(|(_, holders)| holders.iter().all(|(holder, _)| *holder != link));
        asked
    }

    /// This link may be asked for the block, whoever else was.
    pub fn lacks(&self, block: Block, link: LinkId, now: Moment) -> bool {
        let partial = self.partial.get(&block.piece);
        let here = partial.is_some_and(|partial| partial.is_received(block.index()));
        let lacking = matches!(self.status(block.piece), Status::Missing | Status::Partial);
        lacking && !here && !self.is_asked(block, link) && !self.suspects.bar(block.piece, link, now)
    }

    /// Notes that a block is asked of a link.
    ///
    /// # Panics
    /// If the block is here already, or was asked of this link before.
    pub fn ask(&mut self, block: Block, link: LinkId, now: Moment) {
        assert!(!self.requests.contains(block, link), "a block is asked of a link once");
        let piece = block.piece;
        if self.status(piece) == Status::Missing {
            self.set_status(piece, Status::Partial);
            let partial = Partial::new(&self.geometry, piece);
            self.partial_bytes += partial.size();
            self.partial.insert(piece, partial);
        }
        self.partial.get_mut(&piece).expect("only missing and partial pieces are asked for").ask(block.index());
        self.requests.insert(block, link, now);
        self.suspects.asked(piece, link, now);
        self.note_free(piece);
    }

    /// A link will not send a block. False if it was not asked.
    pub fn release(&mut self, block: Block, link: LinkId) -> bool {
        let asked = self.requests.remove(block, link);
        if asked && let Some(partial) = self.partial.get_mut(&block.piece) {
            partial.release(block.index());
            let abandoned = self.suspects.is_source(block.piece, link) && !self.requests.has_piece(block.piece);
            if partial.is_idle() || abandoned {
                self.forget_partial(block.piece);
            }
            self.note_free(block.piece);
        }
        asked
    }

    /// The blocks asked of a link, in order.
    pub fn asked_of(&self, link: LinkId) -> Vec<Block> {
        self.requests.of_link(link)
    }

    /// The blocks asked of a link that hold any of these content bytes, in order.
    pub fn asked_within(&self, link: LinkId, content: Range<u64>) -> impl DoubleEndedIterator<Item = Block> + '_ {
        let end = content.end.min(self.geometry.length());
        let first = self.geometry.block_of(content.start).filter(|_| content.start < end);
        let last = end.checked_sub(1).and_then(|last| self.geometry.block_of(last));
        first.zip(last).into_iter().flat_map(move |(first, last)| self.requests.between(link, first, last))
    }

    /// A link is gone, or choked us: everything asked of it is free again. The blocks, in order.
    pub fn release_link(&mut self, link: LinkId) -> Vec<Block> {
        let blocks = self.requests.of_link(link);
        for block in &blocks {
            self.release(*block, link);
        }
        self.abandon(link);
        blocks
    }

    /// A link will not go on with the suspect pieces that only it may send: they are free for another.
    pub fn abandon(&mut self, link: LinkId) {
        for piece in self.suspects.of_source(link) {
            if !self.requests.has_piece(piece) {
                self.forget_partial(piece);
            }
        }
    }

    /// Takes the suspect pieces whose only source has had them for too long from it: they are free for another. What was
    /// asked of which link and is no more.
    pub fn pass_over(&mut self, now: Moment, patience: Duration) -> Vec<(Block, LinkId)> {
        let mut released = Vec::new();
        for (piece, link) in self.suspects.pass_over(now, patience) {
            for block in self.requests.of_link(link).into_iter().filter(|block| block.piece == piece) {
                self.release(block, link);
                released.push((block, link));
            }
            self.forget_partial(piece);
        }
        released
    }

    /// A piece that failed its hash again and again is asked of nobody before this.
    pub fn rest(&mut self, piece: Piece, until: Moment) {
        self.suspects.rest(piece, until);
    }

    fn forget_partial(&mut self, piece: Piece) {
        if let Some(partial) = self.partial.remove(&piece) {
            self.partial_bytes -= partial.size();
            self.set_status(piece, Status::Missing);
        }
        self.suspects.forget_source(piece);
    }

    /// Was this block asked of this link?
    pub fn is_asked(&self, block: Block, link: LinkId) -> bool {
        self.requests.contains(block, link)
    }

    /// When this block was asked of this link.
    pub fn asked_at(&self, block: Block, link: LinkId) -> Option<Moment> {
        self.requests.at(block, link)
    }

    /// Number of blocks asked of a link.
    pub fn outstanding(&self, link: LinkId) -> usize {
        self.requests.count(link)
    }

    /// A block arrives.
    pub fn receive(&mut self, block: Block, link: LinkId, data: &[u8]) -> Received {
        let piece = block.piece;
        if !self.requests.remove(block, link) {
            return Received::Unwanted;
        }
        let Some(partial) = self.partial.get_mut(&piece) else { return Received::Unwanted };
        if !partial.receive(block, data, link) {
            return Received::Unwanted;
        }
        let digest = partial.digest();
        self.note_free(piece);
        let cancel: Vec<LinkId> = self.requests.of_block(block).collect();
        for other in &cancel {
            self.requests.remove(block, *other);
        }
        match digest {
            None => Received::Block { cancel },
            Some(digest) if digest == self.hashes[piece.index() as usize] => self.complete(piece, cancel),
            Some(_) => self.reject(piece, cancel),
        }
    }

    fn complete(&mut self, piece: Piece, cancel: Vec<LinkId>) -> Received {
        let partial = self.partial.remove(&piece).expect("the piece was partial");
        self.partial_bytes -= partial.size();
        let bytes = partial.into_bytes();
        self.set_status(piece, Status::Verified);
        let liars = self.suspects.convict(piece, &bytes);
        Received::Piece { cancel, bytes, liars }
    }

    fn reject(&mut self, piece: Piece, cancel: Vec<LinkId>) -> Received {
        let partial = self.partial.remove(&piece).expect("the piece was partial");
        self.partial_bytes -= partial.size();
        self.set_status(piece, Status::Missing);
        let senders = partial.senders();
        let sole = senders.first().map(|(_, link)| *link);
        let liar = sole.filter(|sole| senders.iter().all(|(_, link)| link == sole));
        let blocks = senders.into_iter().filter(|_| liar.is_none());
        let blocks = blocks.filter_map(|(index, link)| Some((self.geometry.block(piece, index)?, link)));
        let evidence = blocks.map(|(block, link)| Evidence { block, link, digest: partial.block_digest(block) });
        let failures = self.suspects.failed(piece, evidence);
        Received::Corrupt { cancel, liar, failures }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        self.requests.check();
        self.suspects.check();
        self.rarity.check();
        let mut partial_bytes = 0;
        for piece in self.geometry.all() {
            let status = self.status(piece);
            assert_eq!(self.partial.contains_key(&piece), status == Status::Partial, "{piece:?} {status:?}");
            assert_eq!(self.has(piece), matches!(status, Status::Verified | Status::Kept));
            assert_eq!(self.rarity.is_listed(piece), status == Status::Missing);
            assert_eq!(self.missing.has(piece.index()), status == Status::Missing);
            let open = self.partial.get(&piece).is_some_and(Partial::has_free);
            assert_eq!(self.open.has(piece.index()), open, "{piece:?}");
        }
        for partial in self.partial.values() {
            partial.check();
            assert!(!partial.is_idle(), "an idle piece is missing, not partial");
            partial_bytes += partial.size();
        }
        assert_eq!(partial_bytes, self.partial_bytes);
        for (block, link, _) in self.requests.iter() {
            let partial = &self.partial[&block.piece];
            assert!(!partial.is_received(block.index()), "{block:?} is here and still asked of {link:?}");
        }
    }
}

#[cfg(test)]
mod tests;
