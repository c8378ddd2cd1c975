//! The order in which missing pieces are begun: rarest first, equally rare ones run by run in a drawn order.
//!
//! Invariant: a piece is listed under its present count.

use std::collections::BTreeSet;

use crate::geometry::{Geometry, Piece};

/// Bytes of a run of neighbouring pieces that are fetched in order: a seeder reads its file megabytes at a time, and
/// reading one for each piece of it, in a random order, costs more than sending it.
const RUN_BYTES: u32 = 4 << 20;
/// And at least so many runs, so that peers who begin together have something to exchange.
const RUNS_MIN: u32 = 32;

#[derive(Clone, Debug)]
pub(super) struct Rarity {
    /// How many connected peers that lack something have each piece. Peers that have all change no order.
    counts: Vec<u16>,
    listed: BTreeSet<(u16, u32, Piece)>,
    shuffle: u32,
    run: u32,
}

impl Rarity {
    /// Nobody has anything, and every piece is listed.
    pub(super) fn new(geometry: &Geometry, shuffle: u32) -> Self {
        let pieces = geometry.pieces();
        let run = (RUN_BYTES / geometry.piece_length()).min(pieces / RUNS_MIN).max(1);
        let mut rarity = Self { counts: vec![0; pieces as usize], listed: BTreeSet::new(), shuffle, run };
        rarity.listed = geometry.all().map(|piece| rarity.rank(piece)).collect();
        rarity
    }

    fn rank(&self, piece: Piece) -> (u16, u32, Piece) {
        // Fibonacci hashing: an order of runs that looks random and differs between peers, without a table.
        let drawn = ((piece.index() / self.run) ^ self.shuffle).wrapping_mul(0x9e37_79b9);
        (self.counts[piece.index() as usize], drawn, piece)
    }

    pub(super) fn list(&mut self, piece: Piece) {
        self.listed.insert(self.rank(piece));
    }

    pub(super) fn unlist(&mut self, piece: Piece) {
        self.listed.remove(&self.rank(piece));
    }

    pub(super) fn is_listed(&self, piece: Piece) -> bool {
        self.listed.contains(&self.rank(piece))
    }

    /// One more (or fewer) peer has this piece.
    pub(super) fn count(&mut self, piece: Piece, more: bool) {
        let listed = self.listed.remove(&self.rank(piece));
        let count = &mut self.counts[piece.index() as usize];
        *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
        if listed {
            self.list(piece);
        }
    }

    /// The listed pieces, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Piece> + '_ {
        self.listed.iter().map(|(_, _, piece)| *piece)
    }
}
