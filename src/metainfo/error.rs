//! Why bytes are not a usable torrent, in words for the person who opened it.

use std::fmt;

use super::{INFO_BYTES_MAX, PIECE_LENGTH_MAX, PIECES_MAX};
use crate::bencode::DecodeError;

/// Why bytes are not a usable torrent, or why one can't be made. Its `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetainfoError {
    /// Not bencode.
    Bencode(DecodeError),
    /// A required key is absent.
    Missing(&'static str),
    /// A key's value can't be: of the wrong kind, or out of range.
    Malformed(&'static str),
    /// There is not exactly one digest for each piece.
    PieceCount {
        /// As length and piece length say.
        expected: u64,
        /// Digests.
        found: u64,
    },
    /// Not a byte of content.
    Empty,
    /// The info dictionary is longer than [`INFO_BYTES_MAX`].
    InfoTooLong,
    /// More pieces than [`PIECES_MAX`].
    TooManyPieces,
    /// Made for BitTorrent v2 only (BEP 52).
    V2Only,
    /// The content given to a builder is not as long as its files are.
    Content {
        /// Bytes, as the files say.
        expected: u64,
        /// Bytes given; more were refused if this is above `expected`.
        given: u64,
    },
}

impl From<DecodeError> for MetainfoError {
    fn from(error: DecodeError) -> Self {
        Self::Bencode(error)
    }
}

impl fmt::Display for MetainfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bencode(error) => write!(f, "This is not a torrent: {error}."),
            Self::Missing(key) => write!(f, "This torrent is damaged: it has no “{key}”."),
            Self::Malformed("piece length") => {
                write!(f, "The piece length of this torrent is not between 1 byte and {} MiB.", PIECE_LENGTH_MAX >> 20)
            }
            Self::Malformed(key) => write!(f, "This torrent is damaged: its “{key}” makes no sense."),
            Self::PieceCount { expected, found } => {
                write!(f, "This torrent is damaged: it should have {expected} piece hashes, and has {found}.")
            }
            Self::Empty => f.write_str("There is nothing in it: all files are empty."),
            Self::InfoTooLong => {
                write!(f, "The description of this torrent is longer than {} MiB.", INFO_BYTES_MAX >> 20)
            }
            Self::TooManyPieces => write!(f, "This torrent has more than {PIECES_MAX} pieces."),
            Self::V2Only => {
                f.write_str("This is a BitTorrent v2 torrent, which can't be opened here; a v1 or hybrid one can.")
            }
            Self::Content { expected, given } => {
                write!(f, "The content changed while it was read: {expected} bytes were expected, {given} came.")
            }
        }
    }
}

impl std::error::Error for MetainfoError {}
