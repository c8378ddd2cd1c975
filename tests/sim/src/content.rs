//! What is shared: files and their metainfo.

use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo};
use swarmreel::rng::Rng;

use crate::film;
use crate::plan::Source;

/// A torrent with all its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its metadata.
    pub metainfo: Metainfo,
    /// The files, one after the other.
    pub bytes: Vec<u8>,
}

impl Content {
    /// What a plan shares.
    pub fn of(source: Source, piece_length: u32, trackers: Vec<String>, rng: &mut Rng) -> Self {
        match source {
            Source::Random(length) => Self::new(&[("random.bin", length)], random(length, rng), piece_length, trackers),
            Source::Film(name) => {
                let bytes = film::bytes(name);
                Self::new(&[(name, bytes.len())], bytes, piece_length, trackers)
            }
            Source::Files(lengths) => {
                let names: Vec<String> = (0..lengths.len()).map(|index| format!("{index}.bin")).collect();
                let files: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(lengths.iter().copied()).collect();
                Self::new(&files, random(lengths.iter().sum(), rng), piece_length, trackers)
            }
        }
    }

    /// A torrent of these files, by name and length.
    fn new(files: &[(&str, usize)], bytes: Vec<u8>, piece_length: u32, trackers: Vec<String>) -> Self {
        let options = BuilderOptions {
            name: (files.len() > 1).then(|| "files".to_owned()),
            files: files.iter().map(|(name, length)| (vec![(*name).to_owned()], *length as u64)).collect(),
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

    /// A torrent of one file of `length` random bytes.
    pub fn random(length: usize, piece_length: u32, trackers: Vec<String>, rng: &mut Rng) -> Self {
        Self::of(Source::Random(length), piece_length, trackers, rng)
    }

    /// The bytes of a file.
    pub fn file(&self, index: usize) -> &[u8] {
        let file = &self.metainfo.files[index];
        &self.bytes[file.offset as usize..(file.offset + file.length) as usize]
    }

    /// The bytes of a piece; empty if there is no such piece.
    pub fn piece(&self, piece: u32) -> &[u8] {
        self.bytes.chunks(self.metainfo.piece_length as usize).nth(piece as usize).unwrap_or_default()
    }
}

fn random(length: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 20);
    while bytes.len() < length {
        bytes.extend(rng.bytes20());
    }
    bytes.truncate(length);
    bytes
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
