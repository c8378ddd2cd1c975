//! Whole verified pieces in memory: for players, readers and uploads.
//!
//! Invariant: a piece that is on its way to the store is never dropped; the others go, least recently used first, when
//! the cache is over its size.

use std::collections::BTreeMap;

use crate::geometry::Piece;

#[derive(Clone, Debug)]
struct Entry {
    bytes: Vec<u8>,
    used: u64,
    droppable: bool,
}

/// The piece cache of one torrent.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Piece, Entry>,
    bytes: usize,
    /// Of these, on their way to the store.
    undroppable: usize,
    clock: u64,
}

impl Cache {
    /// Puts a piece in. Returns what had to go: what was used longest ago, but never the piece just put in.
    pub(super) fn insert(&mut self, piece: Piece, bytes: Vec<u8>, droppable: bool, bytes_max: usize) -> Vec<Piece> {
        self.remove(piece);
        self.clock += 1;
        self.bytes += bytes.len();
        self.undroppable += if droppable { 0 } else { bytes.len() };
        self.entries.insert(piece, Entry { bytes, used: self.clock, droppable });
        let mut dropped = Vec::new();
        while self.bytes > bytes_max {
            let droppable = self.entries.iter().filter(|(other, entry)| entry.droppable && **other != piece);
            let Some(oldest) = droppable.min_by_key(|(_, entry)| entry.used).map(|(other, _)| *other) else { break };
            self.remove(oldest);
            dropped.push(oldest);
        }
        dropped
    }

    pub(super) fn remove(&mut self, piece: Piece) {
        if let Some(entry) = self.entries.remove(&piece) {
            self.bytes -= entry.bytes.len();
            self.undroppable -= if entry.droppable { 0 } else { entry.bytes.len() };
        }
    }

    /// The store has the piece, or never will.
    pub(super) fn droppable(&mut self, piece: Piece) {
        if let Some(entry) = self.entries.get_mut(&piece) {
            self.undroppable -= if entry.droppable { 0 } else { entry.bytes.len() };
            entry.droppable = true;
        }
    }

    /// Bytes of the pieces on their way to the store.
    pub(super) fn undroppable_bytes(&self) -> usize {
        self.undroppable
    }

    pub(super) fn has(&self, piece: Piece) -> bool {
        self.entries.contains_key(&piece)
    }

    pub(super) fn get(&mut self, piece: Piece) -> Option<&[u8]> {
        self.clock += 1;
        let entry = self.entries.get_mut(&piece)?;
        entry.used = self.clock;
        Some(&entry.bytes)
    }

    pub(super) fn check(&self) {
        let sum = |kept: fn(&&Entry) -> bool| self.entries.values().filter(kept).map(|entry| entry.bytes.len()).sum();
        assert_eq!((self.bytes, self.undroppable), (sum(|_| true), sum(|entry| !entry.droppable)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;

    #[test]
    fn the_least_recently_used_goes_and_the_undroppable_stays() {
        let piece = |index| Geometry::new(100, 10).piece(index).unwrap();
        let mut cache = Cache::default();
        cache.insert(piece(0), vec![0; 10], false, 30);
        cache.insert(piece(1), vec![1; 10], true, 30);
        cache.insert(piece(2), vec![2; 10], true, 30);
        assert!(cache.get(piece(1)).is_some());
        cache.insert(piece(3), vec![3; 10], true, 30);
        assert!(cache.has(piece(0)) && cache.has(piece(1)) && !cache.has(piece(2)) && cache.has(piece(3)));
        cache.droppable(piece(0));
        assert_eq!(cache.insert(piece(4), vec![4; 10], true, 30), [piece(0)]);
        cache.check();
    }
}
