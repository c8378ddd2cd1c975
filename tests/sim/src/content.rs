//! What is shared: a file and its metainfo.

use swarmreel::hash::sha1;
use swarmreel::ids::InfoHash;
use swarmreel::metainfo::{FileEntry, Metainfo};
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
    /// A torrent of this file. `trackers` go into the `.torrent`.
    pub fn new(name: &str, bytes: Vec<u8>, piece_length: u32, trackers: Vec<String>) -> Self {
        let pieces: Vec<_> = bytes.chunks(piece_length as usize).map(sha1).collect();
        let mut info = format!("d6:lengthi{}e4:name{}:{name}", bytes.len(), name.len()).into_bytes();
        info.extend(format!("12:piece lengthi{piece_length}e6:pieces{}:", pieces.len() * 20).into_bytes());
        info.extend(pieces.concat());
        info.push(b'e');
        let length = bytes.len() as u64;
        let metainfo = Metainfo {
            info_hash: InfoHash(sha1(&info)),
            info,
            name: name.to_owned(),
            piece_length,
            length,
            pieces,
            files: vec![FileEntry { path: vec![name.to_owned()], offset: 0, length, padding: false }],
            private: false,
            trackers,
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        };
        Self { metainfo, bytes }
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

    /// The `.torrent` file.
    pub fn torrent(&self) -> Vec<u8> {
        let mut torrent = b"d".to_vec();
        if let Some(first) = self.metainfo.trackers.first() {
            torrent.extend(format!("8:announce{}:{first}13:announce-listl", first.len()).into_bytes());
            for tracker in &self.metainfo.trackers {
                torrent.extend(format!("l{}:{tracker}e", tracker.len()).into_bytes());
            }
            torrent.push(b'e');
        }
        torrent.extend(b"4:info");
        torrent.extend(&self.metainfo.info);
        torrent.push(b'e');
        torrent
    }

    /// The magnet link, with every tracker.
    pub fn magnet(&self) -> String {
        let escape = |url: &String| url.replace(':', "%3A").replace('/', "%2F");
        let trackers: String = self.metainfo.trackers.iter().map(|url| format!("&tr={}", escape(url))).collect();
        format!("magnet:?xt=urn:btih:{}{trackers}", self.metainfo.info_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_file() {
        let content = Content::random(100, 32, vec!["wss://a.example/".to_owned()], &mut Rng::new([0; 32]));
        let pieces: Vec<u8> = (0..5).flat_map(|piece| content.piece(piece).to_vec()).collect();
        assert_eq!(pieces, content.bytes);
        assert_eq!(content.metainfo.pieces.len(), 4);
        assert!(content.magnet().ends_with("&tr=wss%3A%2F%2Fa.example%2F"));
    }
}
