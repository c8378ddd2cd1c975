//! Content in memory: what is seeded, and what was downloaded.
//!
//! Invariant: a piece is here whole or not at all.

use std::collections::BTreeMap;

use swarmreel::metainfo::Metainfo;

/// One torrent's content.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// What is seeded: the info dictionary, and all bytes.
    seeded: Option<(Vec<u8>, Vec<u8>)>,
    pieces: BTreeMap<u32, Vec<u8>>,
}

impl Store {
    /// The whole content of this torrent.
    pub(crate) fn full(metainfo: &Metainfo, bytes: Vec<u8>) -> Self {
        Self { seeded: Some((metainfo.info.clone(), bytes)), pieces: BTreeMap::new() }
    }

    /// The info dictionary, where there is one from the start.
    pub(crate) fn info(&self) -> Option<&[u8]> {
        self.seeded.as_ref().map(|(info, _)| info.as_slice())
    }

    pub(crate) fn write(&mut self, piece: u32, bytes: Vec<u8>) {
        self.pieces.insert(piece, bytes);
    }

    /// A piece: its index, where it starts in the content, its length.
    pub(crate) fn read(&self, piece: u32, offset: u64, length: u32) -> Option<&[u8]> {
        match &self.seeded {
            Some((_, bytes)) => {
                let start = usize::try_from(offset).ok()?;
                bytes.get(start..start.checked_add(length as usize)?)
            }
            None => self.pieces.get(&piece).map(Vec::as_slice),
        }
    }

    /// Every downloaded piece in order: the content, once all are here.
    pub(crate) fn downloaded(&self) -> Vec<u8> {
        self.pieces.values().flatten().copied().collect()
    }
}
