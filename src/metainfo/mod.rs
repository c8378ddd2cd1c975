//! Torrents: the info dictionary and what surrounds it (BEP 3; protocol.md §4.3 and §4.4).
//!
//! Invariant: a [`Metainfo`] is consistent, so nothing later needs to doubt it: the info hash is that of `info`'s
//! bytes, the files add up to `length`, there is exactly one digest for each piece, no two shown files share a path,
//! and no name leads out of its folder. Only [`Metainfo::from_info`] makes one.

mod builder;
mod error;
mod parse;

pub use builder::{Builder, BuilderOptions, piece_length_for};
pub use error::MetainfoError;

use crate::bencode::{self, Encoded};
use crate::hash::Digest;
use crate::ids::InfoHash;
use crate::magnet::Magnet;

/// The longest info dictionary, bytes: what a peer may be made to fetch before anything is known (threat-model P7).
pub const INFO_BYTES_MAX: usize = 8 << 20;
/// The most pieces (threat-model §1).
pub const PIECES_MAX: usize = 2_000_000;
/// The longest piece, bytes (threat-model §1).
pub const PIECE_LENGTH_MAX: u32 = 32 << 20;

/// A torrent's checked metadata (BEP 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// SHA-1 of `info`.
    pub info_hash: InfoHash,
    /// The info dictionary's original bytes, as hashed and as served to peers (BEP 9).
    pub info: Vec<u8>,
    /// Sanitised name of the file or folder.
    pub name: String,
    /// Bytes per piece; the last may be shorter.
    pub piece_length: u32,
    /// Bytes of content, padding files included.
    pub length: u64,
    /// SHA-1 of each piece.
    pub pieces: Vec<Digest>,
    /// Every file, padding files included, in content order; never empty.
    pub files: Vec<FileEntry>,
    /// BEP 27.
    pub private: bool,
    /// Tracker URLs, tiers flattened in order, without duplicates.
    pub trackers: Vec<String>,
    /// Web seed URLs (BEP 19).
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// The program that made it.
    pub created_by: Option<String>,
    /// Seconds since 1970.
    pub creation_date: Option<i64>,
}

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Sanitised components below the torrent's name; for a single-file torrent just the name.
    pub path: Vec<String>,
    /// Where it starts in the content.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// A padding file (BEP 47): zeros, not shown, never fetched for its own sake.
    pub padding: bool,
}

impl Metainfo {
    /// Bytes of a piece: `piece_length`, less for the last one, 0 past the end.
    pub fn piece_size(&self, piece: u32) -> u32 {
        let start = u64::from(piece) * u64::from(self.piece_length);
        let size = self.length.saturating_sub(start).min(u64::from(self.piece_length));
        size as u32
    }

    /// The link that names this torrent.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            name: Some(self.name.clone()),
            trackers: self.trackers.clone(),
            web_seeds: self.web_seeds.clone(),
            ..Magnet::new(self.info_hash)
        }
    }

    /// The bytes of a `.torrent` file. The info dictionary goes out as it came in, so the info hash stays.
    pub fn to_torrent(&self) -> Vec<u8> {
        let info = bencode::decode(&self.info).expect("the info dictionary was decoded before");
        let texts = |urls: &[String]| bencode::list(urls.iter().map(|url| bencode::text(url)));
        let tiers = || bencode::list(self.trackers.iter().map(|url| texts(std::slice::from_ref(url))));
        let optional = [
            ("announce", self.trackers.first().map(|url| bencode::text(url))),
            ("announce-list", (!self.trackers.is_empty()).then(tiers)),
            ("comment", self.comment.as_deref().map(bencode::text)),
            ("created by", self.created_by.as_deref().map(bencode::text)),
            ("creation date", self.creation_date.map(bencode::int)),
            ("url-list", (!self.web_seeds.is_empty()).then(|| texts(&self.web_seeds))),
        ];
        let present = optional.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let always = [("encoding", bencode::text("UTF-8")), ("info", Encoded::from(info))];
        bencode::dict(present.chain(always)).into_bytes()
    }
}
