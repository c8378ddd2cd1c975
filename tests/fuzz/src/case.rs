//! Small torrents for whole sessions, made once.

use std::sync::LazyLock;

use swarmreel::bencode;
use swarmreel::hash::sha1;
use swarmreel::ids::PeerId;
use swarmreel::metainfo::Metainfo;

use crate::driver::{TRACKER, offer};

/// Peers that may come.
pub(crate) const PEERS: usize = 7;

/// Content and what describes it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) content: Vec<u8>,
    pub(crate) metainfo: Metainfo,
    /// The `.torrent` file.
    pub(crate) torrent: Vec<u8>,
    /// The offer of each peer, as the tracker relays it.
    pub(crate) offers: [String; PEERS],
}

/// A peer's id.
pub(crate) fn peer_id(peer: usize) -> PeerId {
    PeerId([b'a' + peer as u8; 20])
}

/// Pieces of less than a block; pieces of two blocks; a film.
pub(crate) static CASES: LazyLock<[Case; 3]> = LazyLock::new(|| {
    let film = include_bytes!("../../vectors/media/mp4-hevc.mp4");
    [
        Case::new(&[("a", &noise(300)), ("b", &noise(0)), ("c", &noise(250))], 64, 0),
        Case::new(&[("a.mp3", &noise(20_000)), ("b", &noise(20_000))], 16_384 + 64, 0),
        Case::new(&[("film.mp4", film)], 1024, 0),
    ]
});

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * at % 251) as u8).collect()
}

impl Case {
    /// `padding` bytes make the info dictionary longer than one block of metadata.
    pub(crate) fn new(files: &[(&str, &[u8])], piece_length: usize, padding: usize) -> Self {
        let content: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let file = |(name, bytes): &(&str, &[u8])| {
            let length = bencode::int(bytes.len() as i64);
            bencode::dict([("length", length), ("path", bencode::list([bencode::text(name)]))])
        };
        let digests: Vec<u8> = content.chunks(piece_length).flat_map(sha1).collect();
        let info = bencode::dict([
            ("files", bencode::list(files.iter().map(file))),
            ("name", bencode::text("case")),
            ("piece length", bencode::int(piece_length as i64)),
            ("pieces", bencode::bytes(&digests)),
            ("x-padding", bencode::bytes(&noise(padding))),
        ]);
        let metainfo = Metainfo::from_info(info.into_bytes(), vec![TRACKER.to_owned()], Vec::new());
        let metainfo = metainfo.expect("a case is a torrent");
        let offers = std::array::from_fn(|peer| offer(metainfo.info_hash, peer_id(peer)));
        Self { content, torrent: metainfo.to_torrent(), metainfo, offers }
    }

    pub(crate) fn pieces(&self) -> u32 {
        self.metainfo.pieces.len() as u32
    }

    /// A piece's bytes.
    pub(crate) fn piece(&self, index: u32) -> &[u8] {
        let start = index as usize * self.metainfo.piece_length as usize;
        &self.content[start..start + self.metainfo.piece_size(index) as usize]
    }

    /// What a request names, if it lies within a piece.
    pub(crate) fn block(&self, piece: u32, begin: u32, length: u32) -> Option<&[u8]> {
        let bytes = (piece < self.pieces()).then(|| self.piece(piece))?;
        bytes.get(begin as usize..begin as usize + length as usize)
    }
}
