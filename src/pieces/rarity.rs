//! The order in which missing pieces are begun: rarest first, equally rare ones in a drawn order, an extent of
//! neighbours at a time.
//!
//! Invariant: `order` is sorted by level and `place` is its inverse, so that news of a piece costs the same however
//! many pieces there are.

use std::ops::Range;

use crate::geometry::{Geometry, Piece};
use crate::limits::{EXTENT_BYTES, EXTENT_PIECES_MAX, EXTENTS_MIN};

#[derive(Clone, Debug)]
pub(super) struct Rarity {
    /// How many connected peers that lack something have each piece. Peers that have all change no order.
    counts: Vec<u16>,
    /// Every piece, level by level: those that are not listed, then those that no peer has, one peer, two, …
    order: Vec<Piece>,
    /// Where each piece stands in `order`.
    place: Vec<u32>,
    /// Where each level begins in `order`; the last one ends with it.
    starts: Vec<u32>,
    /// State of the draws.
    draw: u32,
    shuffle: u32,
    /// Pieces of an extent.
    extent: u32,
}

impl Rarity {
    /// Nobody has anything, and every piece is listed.
    pub(super) fn new(geometry: &Geometry, shuffle: u32) -> Self {
        let pieces = geometry.pieces();
        let most = (EXTENT_BYTES / geometry.piece_length()).min(pieces / EXTENTS_MIN);
        let mut rarity = Self {
            counts: vec![0; pieces as usize],
            order: geometry.all().collect(),
            place: (0..pieces).collect(),
            starts: vec![0, 0],
            draw: shuffle,
            shuffle,
            extent: most.clamp(1, EXTENT_PIECES_MAX),
        };
        for place in (1..pieces).rev() {
            let other = rarity.below(place + 1);
            rarity.swap(place, other);
        }
        rarity
    }

    /// A number below `bound`, from a linear congruential generator (Numerical Recipes): a torrent has up to millions of
    /// pieces, and nobody gains by guessing their order.
    fn below(&mut self, bound: u32) -> u32 {
        self.draw = self.draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(self.draw) * u64::from(bound)) >> 32) as u32
    }

    fn swap(&mut self, a: u32, b: u32) {
        self.order.swap(a as usize, b as usize);
        for place in [a, b] {
            self.place[self.order[place as usize].index() as usize] = place;
        }
    }

    pub(super) fn is_listed(&self, piece: Piece) -> bool {
        self.place[piece.index() as usize] >= self.starts[1]
    }

    pub(super) fn list(&mut self, piece: Piece) {
        if !self.is_listed(piece) {
            self.rise(piece, 0, self.level(piece));
            self.mix(piece);
        }
    }

    pub(super) fn unlist(&mut self, piece: Piece) {
        if self.is_listed(piece) {
            self.sink(piece, self.level(piece), 0);
        }
    }

    /// One more (or fewer) peer has this piece.
    pub(super) fn count(&mut self, piece: Piece, more: bool) {
        let listed = self.is_listed(piece);
        let before = self.level(piece);
        let count = &mut self.counts[piece.index() as usize];
        *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
        if listed {
            let after = self.level(piece);
            self.rise(piece, before, after);
            self.sink(piece, before, after);
            self.mix(piece);
        }
    }

    /// The level of a listed piece.
    fn level(&self, piece: Piece) -> usize {
        usize::from(self.counts[piece.index() as usize]) + 1
    }

    fn rise(&mut self, piece: Piece, from: usize, to: usize) {
        for level in from + 1..=to {
            if level == self.starts.len() {
                self.starts.push(self.order.len() as u32);
            }
            self.starts[level] -= 1;
            self.swap(self.place[piece.index() as usize], self.starts[level]);
        }
    }

    fn sink(&mut self, piece: Piece, from: usize, to: usize) {
        for level in (to + 1..=from).rev() {
            self.swap(self.place[piece.index() as usize], self.starts[level]);
            self.starts[level] += 1;
        }
    }

    /// A drawn place in its level: peers that hear the same news would otherwise want the same piece next.
    fn mix(&mut self, piece: Piece) {
        let level = self.level(piece);
        let start = self.starts[level];
        let end = self.starts.get(level + 1).map_or(self.order.len() as u32, |end| *end);
        let other = start + self.below(end - start);
        self.swap(self.place[piece.index() as usize], other);
    }

    /// The listed pieces, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Piece> + '_ {
        self.order[self.starts[1] as usize..].iter().copied()
    }

    /// The same order as a key, extent by extent, for sorting a few pieces.
    pub(super) fn rank(&self, piece: Piece) -> (u16, u32, Piece) {
        // Fibonacci hashing: an order of extents that looks random and differs between peers, without a table.
        let drawn = ((piece.index() / self.extent) ^ self.shuffle).wrapping_mul(0x9e37_79b9);
        (self.counts[piece.index() as usize], drawn, piece)
    }

    /// The index of a drawn piece.
    pub(super) fn drawn(&self) -> u32 {
        ((u64::from(self.shuffle) * self.order.len() as u64) >> 32) as u32
    }

    /// The indices of a piece's extent.
    pub(super) fn extent(&self, piece: Piece) -> Range<u32> {
        let start = piece.index() / self.extent * self.extent;
        start..(start + self.extent).min(self.order.len() as u32)
    }

    /// As many peers have the one as the other.
    pub(super) fn are_equal(&self, a: Piece, b: Piece) -> bool {
        self.counts[a.index() as usize] == self.counts[b.index() as usize]
    }

    pub(super) fn check(&self) {
        for (place, piece) in self.order.iter().enumerate() {
            assert_eq!(self.place[piece.index() as usize] as usize, place);
        }
        for (level, start) in self.starts.iter().enumerate().skip(1) {
            let end = self.starts.get(level + 1).map_or(self.order.len(), |end| *end as usize);
            assert!(self.order[*start as usize..end].iter().all(|piece| self.level(*piece) == level));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_news_keeps_the_order() {
        let geometry = Geometry::new(50, 1);
        let mut rarity = Rarity::new(&geometry, 7);
        for step in 0..5000 {
            let piece = geometry.piece(rarity.below(50)).unwrap();
            match rarity.below(4) {
                0 => rarity.list(piece),
                1 => rarity.unlist(piece),
                2 => rarity.count(piece, false),
                _ => rarity.count(piece, true),
            }
            if step % 100 == 0 {
                rarity.check();
                assert!(rarity.iter().map(|piece| rarity.rank(piece).0).is_sorted());
                assert!(
                    geometry.all().all(|piece| rarity.is_listed(piece) == rarity.iter().any(|other| other == piece))
                );
            }
        }
    }

    #[test]
    fn peers_draw_different_orders() {
        let geometry = Geometry::new(100, 1);
        let first = |shuffle: u32| Rarity::new(&geometry, shuffle).iter().next().unwrap();
        let different: std::collections::BTreeSet<Piece> = (0..100).map(|peer| first(peer * 0x0101_0101)).collect();
        assert!(different.len() > 40, "{} first pieces", different.len());
    }

    #[test]
    fn what_two_peers_hear_of_at_once_they_do_not_want_at_once() {
        let geometry = Geometry::new(100, 1);
        let mut same = 0;
        for seed in 0..100 {
            let (mut one, mut other) = (Rarity::new(&geometry, seed), Rarity::new(&geometry, seed + 1_000_000));
            for piece in geometry.all() {
                one.count(piece, true);
                other.count(piece, true);
            }
            same += u32::from(one.iter().next() == other.iter().next());
        }
        assert!(same < 10, "{same} of 100 pairs begin with the same piece");
    }
}
