//! Torrents: the info dictionary and what surrounds it.

use crate::hash::Digest;
use crate::ids::InfoHash;

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
