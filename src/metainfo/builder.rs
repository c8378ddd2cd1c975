//! Making torrents: content goes in as a stream, a [`Metainfo`] comes out (protocol.md §4.4).
//!
//! Invariant: what is built is read back by the same code that reads other people's torrents, so it obeys the same
//! limits; they are checked before the first byte is hashed.

use super::{Metainfo, MetainfoError, PIECE_LENGTH_MAX, PIECES_MAX};
use crate::bencode::{self, Encoded};
use crate::hash::Sha1;
use crate::names;

/// The shortest piece made, bytes: one block of the wire protocol.
const PIECE_LENGTH_MIN: u32 = 16 << 10;

/// What a torrent is to be made of.
#[derive(Clone, Debug, Default)]
pub struct BuilderOptions {
    /// The torrent's name. Without one: the folder that holds all files, else the first file's name.
    pub name: Option<String>,
    /// Path and length in bytes of each file, in content order.
    pub files: Vec<(Vec<String>, u64)>,
    /// Bytes; a power of two from 16 KiB to 32 MiB. [`piece_length_for`] picks one when there is none.
    pub piece_length: Option<u32>,
    /// Tracker URLs, the preferred first.
    pub trackers: Vec<String>,
    /// Web seed URLs (BEP 19).
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// BEP 27.
    pub private: bool,
    /// Seconds since 1970.
    pub creation_date: Option<i64>,
}

/// A torrent in the making.
#[derive(Debug)]
pub struct Builder {
    layout: Layout,
    /// The torrent with digests of nothing: shows that it keeps the limits, and holds all that is not a digest.
    draft: Metainfo,
    given: u64,
    digests: Vec<u8>,
    piece: Sha1,
    piece_filled: u64,
}

/// What is in the info dictionary besides the digests.
#[derive(Debug)]
struct Layout {
    name: String,
    piece_length: u32,
    content: Content,
    private: bool,
}

#[derive(Debug)]
enum Content {
    /// A single-file torrent, of this length.
    File(u64),
    /// Paths below the torrent's name, and lengths.
    Folder(Vec<(Vec<String>, u64)>),
}

/// The default piece length for this much content: a 1024th, rounded (by its logarithm) to a power of two from
/// 16 KiB to 4 MiB. The same as create-torrent picks, so that equal content gets equal info hashes.
pub fn piece_length_for(length: u64) -> u32 {
    let length = length.max(1);
    let below = length.ilog2();
    let is_nearer_above = u128::from(length).pow(2) >> (2 * below + 1) > 0;
    1 << (below + u32::from(is_nearer_above)).saturating_sub(10).clamp(14, 22)
}

impl Builder {
    /// Checks the options. Names are sanitised and made unique here.
    pub fn new(options: BuilderOptions) -> Result<Self, MetainfoError> {
        let too_long = MetainfoError::Malformed("length");
        let mut lengths = options.files.iter().map(|(_, length)| *length);
        let length = lengths.try_fold(0u64, u64::checked_add).filter(|&length| length <= i64::MAX as u64);
        let length = length.ok_or(too_long)?;
        let piece_length = options.piece_length.unwrap_or_else(|| piece_length_for(length));
        if !piece_length.is_power_of_two() || !(PIECE_LENGTH_MIN..=PIECE_LENGTH_MAX).contains(&piece_length) {
            return Err(MetainfoError::Malformed("piece length"));
        }
        let pieces = length.div_ceil(u64::from(piece_length));
        let pieces = usize::try_from(pieces).ok().filter(|&pieces| pieces <= PIECES_MAX);
        let blank = vec![0; 20 * pieces.ok_or(MetainfoError::TooManyPieces)?];
        let (name, content) = arrange(options.name, options.files)?;
        let layout = Layout { name, piece_length, content, private: options.private };
        let draft = Metainfo {
            comment: options.comment,
            created_by: options.created_by,
            creation_date: options.creation_date,
            ..Metainfo::from_info(layout.info(&blank), options.trackers, options.web_seeds)?
        };
        let digests = Vec::with_capacity(blank.len());
        Ok(Self { layout, draft, given: 0, digests, piece: Sha1::new(), piece_filled: 0 })
    }

    /// Takes the next bytes of the content: all files' bytes in order, cut anywhere.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), MetainfoError> {
        if bytes.len() as u64 > self.remaining() {
            let given = self.given.saturating_add(bytes.len() as u64);
            return Err(MetainfoError::Content { expected: self.draft.length, given });
        }
        while !bytes.is_empty() {
            let room = u64::from(self.layout.piece_length) - self.piece_filled;
            let (now, later) = bytes.split_at(bytes.len().min(room as usize));
            self.piece.update(now);
            self.given += now.len() as u64;
            self.piece_filled += now.len() as u64;
            if now.len() as u64 == room || self.remaining() == 0 {
                self.end_piece();
            }
            bytes = later;
        }
        Ok(())
    }

    /// Bytes of content still to come.
    pub fn remaining(&self) -> u64 {
        self.draft.length - self.given
    }

    /// Bytes of a piece.
    pub fn piece_length(&self) -> u32 {
        self.layout.piece_length
    }

    /// The torrent, once all content has come.
    pub fn finish(self) -> Result<Metainfo, MetainfoError> {
        if self.remaining() > 0 {
            return Err(MetainfoError::Content { expected: self.draft.length, given: self.given });
        }
        let Metainfo { trackers, web_seeds, comment, created_by, creation_date, .. } = self.draft;
        let metainfo = Metainfo::from_info(self.layout.info(&self.digests), trackers, web_seeds)?;
        Ok(Metainfo { comment, created_by, creation_date, ..metainfo })
    }

    fn end_piece(&mut self) {
        self.digests.extend_from_slice(&self.piece.digest());
        self.piece = Sha1::new();
        self.piece_filled = 0;
    }
}

impl Layout {
    /// The info dictionary's bytes.
    fn info(&self, digests: &[u8]) -> Vec<u8> {
        let content = match &self.content {
            Content::File(length) => ("length", bencode::int(*length as i64)),
            Content::Folder(files) => ("files", bencode::list(files.iter().map(encode_file))),
        };
        let private = self.private.then(|| ("private", bencode::int(1)));
        let always = [
            content,
            ("name", bencode::text(&self.name)),
            ("piece length", bencode::int(self.piece_length.into())),
            ("pieces", bencode::bytes(digests)),
        ];
        bencode::dict(always.into_iter().chain(private)).into_bytes()
    }
}

fn encode_file((path, length): &(Vec<String>, u64)) -> Encoded {
    let path = bencode::list(path.iter().map(|component| bencode::text(component)));
    bencode::dict([("length", bencode::int(*length as i64)), ("path", path)])
}

/// Names the torrent, and makes the names below it safe: one file with a bare name makes a single-file torrent.
fn arrange(name: Option<String>, files: Vec<(Vec<String>, u64)>) -> Result<(String, Content), MetainfoError> {
    let mut files: Vec<_> = files.into_iter().map(|(path, length)| (safe(&path), length)).collect();
    let name = name.and_then(|name| names::sanitise(&name));
    let (first, length) = files.first().ok_or(MetainfoError::Empty)?;
    let first = first.first().cloned().ok_or(MetainfoError::Malformed("path"))?;
    if files.len() == 1 && files[0].0.len() == 1 {
        return Ok((name.unwrap_or(first), Content::File(*length)));
    }
    if files.iter().all(|(path, _)| path.len() > 1 && path[0] == first) {
        files.iter_mut().for_each(|(path, _)| drop(path.remove(0)));
    }
    if files.iter().any(|(path, _)| path.is_empty()) {
        return Err(MetainfoError::Malformed("path"));
    }
    names::deduplicate(files.iter_mut().map(|(path, _)| path));
    Ok((name.unwrap_or(first), Content::Folder(files)))
}

fn safe(path: &[String]) -> Vec<String> {
    path.iter().filter_map(|component| names::sanitise(component)).collect()
}
