//! Reading torrents: from a `.torrent` file, or from an info dictionary that peers gave (BEP 9).
//!
//! Lenient in what does not matter (unsorted keys, odd names, unknown keys, bytes after the end), strict in every
//! number: sizes are checked before they are added, and digests are counted before they are used.

use super::{FileEntry, INFO_BYTES_MAX, Metainfo, MetainfoError, PIECE_LENGTH_MAX, PIECES_MAX};
use crate::bencode::{self, DEPTH_MAX, Value};
use crate::hash::{Digest, sha1};
use crate::ids::InfoHash;
use crate::{magnet, names};

/// What a file or torrent is called of whose name nothing can be kept.
const UNNAMED: &str = "unnamed";

impl Metainfo {
    /// Reads a `.torrent` file. A hybrid one (BEP 52) is read as v1.
    pub fn from_torrent(bytes: &[u8]) -> Result<Self, MetainfoError> {
        let (torrent, _) = bencode::decode_prefix(bytes)?;
        let info = torrent.get("info").ok_or(MetainfoError::Missing("info"))?;
        let metainfo = Self::from_info(info.raw().to_vec(), announce_urls(torrent), url_list(torrent))?;
        Ok(Self {
            comment: torrent.get("comment").and_then(Value::text),
            created_by: torrent.get("created by").and_then(Value::text),
            creation_date: torrent.get("creation date").and_then(Value::int),
            ..metainfo
        })
    }

    /// Reads an info dictionary's bytes. The caller compares `info_hash` with the one it asked for.
    pub fn from_info(info: Vec<u8>, trackers: Vec<String>, web_seeds: Vec<String>) -> Result<Self, MetainfoError> {
        if info.len() > INFO_BYTES_MAX {
            return Err(MetainfoError::InfoTooLong);
        }
        let dict = bencode::decode(&info)?;
        let name = preferred(dict, "name.utf-8", "name").and_then(Value::text).ok_or(MetainfoError::Missing("name"))?;
        let name = names::sanitise(&name).unwrap_or_else(|| UNNAMED.to_owned());
        let piece_length = piece_length(dict)?;
        let digests = digests(dict)?;
        let files = files(dict, &name)?;
        let length = files.last().map_or(0, |file| file.offset + file.length);
        if files.iter().all(|file| file.padding || file.length == 0) {
            return Err(MetainfoError::Empty);
        }
        let (expected, found) = (length.div_ceil(u64::from(piece_length)), digests.len() as u64);
        if expected != found {
            return Err(MetainfoError::PieceCount { expected, found });
        }
        Ok(Self {
            info_hash: InfoHash(sha1(&info)),
            name,
            piece_length,
            length,
            pieces: digests,
            files,
            private: dict.get("private").and_then(Value::int).is_some_and(|flag| flag != 0),
            trackers: magnet::trackers(trackers),
            web_seeds: magnet::web_seeds(web_seeds),
            comment: None,
            created_by: None,
            creation_date: None,
            info,
        })
    }
}

impl Metainfo {
    /// The torrent's name, and the components of each file's path below it (none for a single-file torrent), as the info
    /// dictionary spells them: so web servers know them (BEP 19). Not sanitised.
    pub fn spelling(&self) -> (&[u8], Vec<Vec<&[u8]>>) {
        let Ok(dict) = bencode::decode(&self.info) else { return (&[], Vec::new()) };
        let name = preferred(dict, "name.utf-8", "name").and_then(Value::bytes).unwrap_or_default();
        let components = |file| {
            let path = preferred(file, "path.utf-8", "path").and_then(Value::list);
            path.into_iter().flatten().filter_map(Value::bytes).collect()
        };
        let Some(files) = dict.get("files").and_then(Value::list) else { return (name, vec![Vec::new()]) };
        (name, files.map(components).collect())
    }
}

/// Every tracker; `announce-list` (BEP 12) replaces `announce` unless it is empty.
fn announce_urls(torrent: Value<'_>) -> Vec<String> {
    let tiers = torrent.get("announce-list").and_then(Value::list).into_iter().flatten();
    let listed: Vec<String> = tiers.flat_map(texts).collect();
    if listed.is_empty() { torrent.get("announce").map(texts).unwrap_or_default() } else { listed }
}

fn url_list(torrent: Value<'_>) -> Vec<String> {
    torrent.get("url-list").map(texts).unwrap_or_default()
}

/// A string, or the strings of a list: writers differ.
fn texts(value: Value<'_>) -> Vec<String> {
    match value.list() {
        Some(items) => items.filter_map(Value::text).collect(),
        None => value.text().into_iter().collect(),
    }
}

fn preferred<'a>(dict: Value<'a>, first: &str, second: &str) -> Option<Value<'a>> {
    dict.get(first).or_else(|| dict.get(second))
}

fn piece_length(info: Value<'_>) -> Result<u32, MetainfoError> {
    let value = info.get("piece length").ok_or(MetainfoError::Missing("piece length"))?;
    let length = value.int().and_then(|length| u32::try_from(length).ok());
    length.filter(|length| (1..=PIECE_LENGTH_MAX).contains(length)).ok_or(MetainfoError::Malformed("piece length"))
}

fn digests(info: Value<'_>) -> Result<Vec<Digest>, MetainfoError> {
    let Some(pieces) = info.get("pieces") else {
        let is_v2 = info.get("file tree").is_some();
        return Err(if is_v2 { MetainfoError::V2Only } else { MetainfoError::Missing("pieces") });
    };
    let (digests, rest) = pieces.bytes().ok_or(MetainfoError::Malformed("pieces"))?.as_chunks();
    if !rest.is_empty() {
        return Err(MetainfoError::Malformed("pieces"));
    }
    if digests.len() > PIECES_MAX {
        return Err(MetainfoError::TooManyPieces);
    }
    Ok(digests.to_vec())
}

/// The files with their offsets; a single-file torrent has one, called like the torrent.
fn files(info: Value<'_>, name: &str) -> Result<Vec<FileEntry>, MetainfoError> {
    let Some(list) = info.get("files") else {
        let length = length(info)?;
        return Ok(vec![FileEntry { path: vec![name.to_owned()], offset: 0, length, padding: false }]);
    };
    let mut files = Vec::new();
    let mut offset = 0u64;
    for item in list.list().ok_or(MetainfoError::Malformed("files"))? {
        let file = file(item, offset)?;
        offset = offset.checked_add(file.length).ok_or(MetainfoError::Malformed("length"))?;
        files.push(file);
    }
    names::deduplicate(files.iter_mut().filter(|file| !file.padding).map(|file| &mut file.path));
    Ok(files)
}

fn file(item: Value<'_>, offset: u64) -> Result<FileEntry, MetainfoError> {
    let length = length(item)?;
    let path = preferred(item, "path.utf-8", "path").ok_or(MetainfoError::Missing("path"))?;
    let components = path.list().ok_or(MetainfoError::Malformed("path"))?;
    let raw: Option<Vec<String>> = components.take(DEPTH_MAX + 1).map(Value::text).collect();
    let raw = raw.filter(|raw| raw.len() <= DEPTH_MAX).ok_or(MetainfoError::Malformed("path"))?;
    let mut path: Vec<String> = raw.iter().filter_map(|component| names::sanitise(component)).collect();
    if path.is_empty() {
        path.push(UNNAMED.to_owned());
    }
    Ok(FileEntry { path, offset, length, padding: is_padding(item, &raw) })
}

/// `attr` holds a `p` (BEP 47), or the path is `.pad/N` as older writers have it.
fn is_padding(item: Value<'_>, path: &[String]) -> bool {
    let marked = item.get("attr").and_then(Value::bytes).is_some_and(|attr| attr.contains(&b'p'));
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    marked || matches!(path, [folder, name] if folder == ".pad" && is_number(name))
}

fn length(dict: Value<'_>) -> Result<u64, MetainfoError> {
    let value = dict.get("length").ok_or(MetainfoError::Missing("length"))?;
    value.int().and_then(|length| u64::try_from(length).ok()).ok_or(MetainfoError::Malformed("length"))
}
