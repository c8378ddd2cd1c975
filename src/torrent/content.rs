//! The content of a torrent whose metadata is known: pieces, cache, store traffic.
//!
//! Invariant: bytes that leave here were hashed in this session, or come from a store that gave a piece this session
//! hashed; a piece is loaded once at a time, however many wait for it.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use super::cache::Cache;
use crate::geometry::{Geometry, Piece};
use crate::ids::TorrentId;
use crate::limits::Limits;
use crate::metainfo::Metainfo;
use crate::output::{Action, Output};
use crate::picker::Wishes;
use crate::pieces::{Bitfield, Pieces, Status};

/// What is there of some content bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    /// All in memory.
    Here,
    /// All verified, some only in the store: these pieces must be loaded.
    Stored(Vec<Piece>),
    /// Some are missing.
    Missing,
}

/// Metadata, pieces and their bytes.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) metainfo: Metainfo,
    pub(super) pieces: Pieces,
    pub(super) wishes: Wishes,
    cache: Cache,
    loading: BTreeSet<Piece>,
    /// Pieces that an earlier session left, still to be hashed.
    claims: VecDeque<Piece>,
    /// Pieces that were verified and are gone, until the torrent has taken note.
    lost: Vec<Piece>,
    pub(super) storage_full: bool,
    pub(super) completed: bool,
    /// It was said that nobody here has good data.
    pub(super) warned_of_sources: bool,
}

impl Content {
    pub(super) fn new(metainfo: Metainfo, shuffle: u32) -> Self {
        let geometry = Geometry::new(metainfo.length, metainfo.piece_length);
        let pieces = Pieces::new(geometry, metainfo.pieces.clone(), shuffle);
        Self {
            metainfo,
            pieces,
            wishes: Wishes { rest: true, ..Wishes::default() },
            cache: Cache::default(),
            loading: BTreeSet::new(),
            claims: VecDeque::new(),
            lost: Vec::new(),
            storage_full: false,
            completed: false,
            warned_of_sources: false,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.pieces.have().is_full()
    }

    /// The driver's store has everything from now on. The pieces that were not verified before.
    pub(super) fn keep_all(&mut self) -> Vec<Piece> {
        let new = self.pieces.geometry().all().filter(|piece| !self.pieces.has(*piece)).collect();
        self.claims.clear();
        self.storage_full = false;
        self.pieces.keep_all();
        new
    }

    // ---- resuming

    /// An earlier session says that it stored these pieces.
    pub(super) fn claim(&mut self, have: &[u8]) {
        let geometry = *self.pieces.geometry();
        let Some(have) = Bitfield::from_bytes(have, geometry.pieces()) else { return };
        for piece in have.iter().filter_map(|index| geometry.piece(index)) {
            self.pieces.claim(piece);
            if self.pieces.status(piece) == Status::Claimed {
                self.claims.push_back(piece);
            }
        }
    }

    /// Stored pieces are still being hashed.
    pub(super) fn is_checking(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Loads the next claimed pieces, a limited number of bytes at a time.
    pub(super) fn check_claims(&mut self, torrent: TorrentId, limits: &Limits, out: &mut Vec<Output>) {
        let mut budget = limits.check_bytes_at_once;
        while budget > 0
            && let Some(piece) = self.claims.pop_front()
        {
            budget = budget.saturating_sub(self.pieces.geometry().size(piece) as usize);
            self.load(torrent, piece, out);
        }
    }

    // ---- loading

    /// May a piece be loaded for a peer, besides those that are being loaded?
    pub(super) fn loads_for_peers(&self, piece_length: u32, limits: &Limits) -> bool {
        let bytes = (self.loading.len() + 1) * piece_length as usize;
        self.loading.is_empty() || bytes <= self.cache_bytes(limits) / 2
    }

    /// The cache holds a few pieces, however long they are: a range that crosses their border needs both.
    fn cache_bytes(&self, limits: &Limits) -> usize {
        limits.cache_bytes_max.max(4 * self.metainfo.piece_length as usize)
    }

    /// Asks the store for a piece, unless it was asked already.
    pub(super) fn load(&mut self, torrent: TorrentId, piece: Piece, out: &mut Vec<Output>) {
        if self.loading.insert(piece) {
            let geometry = self.pieces.geometry();
            let (offset, length) = (geometry.offset(piece), geometry.size(piece));
            out.push(Output::Do(Action::Load { torrent, piece: piece.index(), offset, length }));
        }
    }

    /// A piece was loaded. False if its bytes are not what they should be: it is missing again.
    pub(super) fn loaded(&mut self, piece: Piece, bytes: &[u8], limits: &Limits) -> bool {
        self.loading.remove(&piece);
        let right = match self.pieces.status(piece) {
            Status::Claimed => self.pieces.prove(piece, bytes),
            Status::Kept => bytes.len() == self.pieces.geometry().size(piece) as usize,
            _ => return true,
        };
        if !right {
            self.lose(piece);
        } else if self.pieces.has(piece) {
            self.cache_piece(piece, bytes.to_vec(), true, limits);
        }
        right
    }

    fn cache_piece(&mut self, piece: Piece, bytes: Vec<u8>, droppable: bool, limits: &Limits) {
        let bytes_max = self.cache_bytes(limits);
        for dropped in self.cache.insert(piece, bytes, droppable, bytes_max) {
            // Verified and not kept: the store could not take it, and the cache held the only copy.
            if self.pieces.status(dropped) == Status::Verified {
                self.lose(dropped);
            }
        }
    }

    /// The bytes of a piece are gone.
    pub(super) fn lose(&mut self, piece: Piece) {
        self.loading.remove(&piece);
        self.cache.remove(piece);
        if self.pieces.has(piece) {
            self.lost.push(piece);
            self.completed = false;
        }
        self.pieces.lose(piece);
    }

    /// Pieces that were verified and are gone since the last call.
    pub(super) fn take_lost(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.lost)
    }

    // ---- verified pieces

    /// A piece was verified: into the cache, and to the store.
    pub(super) fn verified(&mut self, torrent: TorrentId, piece: Piece, bytes: Vec<u8>, limits: &Limits) -> Action {
        self.cache_piece(piece, bytes.clone(), false, limits);
        Action::Store { torrent, piece: piece.index(), bytes }
    }

    /// The store has it.
    pub(super) fn stored(&mut self, piece: Piece) {
        self.storage_full = false;
        self.pieces.keep(piece);
        self.cache.droppable(piece);
    }

    /// The store can't take it: it stays verified as long as the cache holds it.
    pub(super) fn store_failed(&mut self, piece: Piece) {
        self.storage_full = true;
        self.cache.droppable(piece);
    }

    /// More may be begun for web seeds: not too much is begun, or on its way to the store.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.pieces.partial_bytes() + self.cache.undroppable_bytes() < limits.web_unstored_bytes_max
    }

    // ---- reading

    /// Kept, and not in memory.
    pub(super) fn is_stored_only(&self, piece: Piece) -> bool {
        self.pieces.status(piece) == Status::Kept && !self.cache.has(piece)
    }

    pub(super) fn cached(&mut self, piece: Piece) -> Option<&[u8]> {
        self.cache.get(piece)
    }

    pub(super) fn availability(&self, range: &Range<u64>) -> Availability {
        let mut stored = Vec::new();
        for piece in self.pieces.geometry().covering(range) {
            if !self.pieces.has(piece) {
                return Availability::Missing;
            }
            if !self.cache.has(piece) {
                stored.push(piece);
            }
        }
        if stored.is_empty() { Availability::Here } else { Availability::Stored(stored) }
    }

    /// Copies content bytes that are all `Here`; `None` if they are not.
    pub(super) fn read(&mut self, range: &Range<u64>) -> Option<Vec<u8>> {
        let geometry = *self.pieces.geometry();
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        for piece in geometry.covering(range) {
            let whole = geometry.range(piece);
            let from = range.start.max(whole.start) - whole.start;
            let to = range.end.min(whole.end) - whole.start;
            bytes.extend_from_slice(&self.cache.get(piece)?[from as usize..to as usize]);
        }
        Some(bytes)
    }

    /// Verified bytes among some content bytes.
    pub(super) fn verified_in(&self, range: Range<u64>) -> u64 {
        let geometry = self.pieces.geometry();
        let pieces = geometry.covering(&range).filter(|piece| self.pieces.has(*piece));
        let shared = |piece| {
            let whole = geometry.range(piece);
            range.end.min(whole.end) - range.start.max(whole.start)
        };
        pieces.map(shared).sum()
    }

    pub(super) fn check(&self) {
        self.pieces.check();
        self.cache.check();
    }
}
