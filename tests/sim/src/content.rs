//! What is shared: a file and its metainfo.

use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo};
use swarmreel::rng::Rng;

/// A single-file torrent with all its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its metadata.
    pub metainfo: Metainfo,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Content {
    /// A torrent of this file.
    pub fn new(name: &str, bytes: Vec<u8>, piece_length: u32, trackers: Vec<String>) -> Self {
        let options = BuilderOptions {
            files: vec![(vec![name.to_owned()], bytes.len() as u64)],
            piece_length: Some(piece_length),
            trackers,
            ..BuilderOptions::default()
        };
        let build = || {
            let mut builder = Builder::new(options)?;
            builder.update(&bytes)?;
            builder.finish()
        };
        Self { metainfo: build().expect("a plan shares what can be shared"), bytes }
    }

    /// A torrent of `length` random bytes.
    pub fn random(length: usize, piece_length: u32, trackers: Vec<String>, rng: &mut Rng) -> Self {
        let mut bytes = Vec::with_capacity(length + 20);
        while bytes.len() < length {
            bytes.extend(rng.bytes20());
        }
        bytes.truncate(length);
        Self::new("random.bin", bytes, piece_length, trackers)
    }

    /// The bytes of a piece; empty if there is no such piece.
    pub fn piece(&self, piece: u32) -> &[u8] {
        self.bytes.chunks(self.metainfo.piece_length as usize).nth(piece as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_file() {
        let content = Content::random(60_000, 16_384, Vec::new(), &mut Rng::new([0; 32]));
        let pieces: Vec<u8> = (0..5).flat_map(|piece| content.piece(piece).to_vec()).collect();
        assert_eq!(pieces, content.bytes);
        assert_eq!(content.metainfo.pieces.len(), 4);
    }
}
