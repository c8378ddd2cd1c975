//! Pieces kept in memory, for pages that have no file system: an insecure origin, private browsing, a second tab.
//!
//! Invariant: all torrents together hold at most `HELD_MAX` bytes. They lie outside WebAssembly memory, which could
//! not be given back.

use std::collections::BTreeMap;

use js_sys::Uint8Array;

use super::StoreError;

/// Bytes of all torrents together: what a tab of a phone may use.
const HELD_MAX: u64 = 1 << 30;

/// The pieces of one torrent.
#[derive(Default)]
pub(crate) struct Memory {
    pieces: BTreeMap<u32, Uint8Array>,
    held: u64,
}

impl Memory {
    /// Bytes held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Keeps a piece if there is room; `held_by_all` counts every torrent.
    pub(super) fn put(&mut self, piece: u32, bytes: &[u8], held_by_all: u64) -> Result<(), StoreError> {
        if held_by_all + bytes.len() as u64 > HELD_MAX {
            return Err(StoreError);
        }
        if self.pieces.insert(piece, Uint8Array::from(bytes)).is_none() {
            self.held += bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads a piece of exactly that many bytes.
    pub(super) fn load(&self, piece: u32, bytes: &mut [u8]) -> Result<(), StoreError> {
        let kept = self.pieces.get(&piece).filter(|kept| kept.length() as usize == bytes.len());
        kept.map(|kept| kept.copy_to(bytes)).ok_or(StoreError)
    }
}
