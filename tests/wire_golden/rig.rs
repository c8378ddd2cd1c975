//! A torrent on a bench: bytes go in on a link, and what it says comes out as hex, one string a data-channel message.

use std::collections::BTreeMap;
use std::time::Duration;

use swarmreel::ids::{LinkId, PeerId, TorrentId};
use swarmreel::limits::Limits;
use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo};
use swarmreel::output::{Action, Event, Output};
use swarmreel::time::Moment;
use swarmreel::torrent::{Seedling, Torrent};

/// Bytes of a piece: two blocks.
pub(crate) const PIECE: usize = 32 << 10;
/// Eleven pieces, the last of 100 bytes.
pub(crate) const LENGTH: usize = 10 * PIECE + 100;
/// The peers that the tests play, by their ids' first bytes (BEP 20).
pub(crate) const WEBTORRENT: &[u8; 8] = b"-WW0300-";
pub(crate) const OTHER: &[u8; 8] = b"-XX0100-";
/// A peer with the fast extension, and one without: byte 7 of the reserved ones.
pub(crate) const FAST: u8 = 0x04;
pub(crate) const NO_FAST: u8 = 0;

/// Any bytes that differ from block to block.
pub(crate) fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8 ^ (at >> 14) as u8).collect()
}

/// The torrent of `content`.
pub(crate) fn metainfo() -> Metainfo {
    let mut builder = Builder::new(BuilderOptions {
        name: Some("golden".to_owned()),
        files: vec![(vec!["golden".to_owned()], LENGTH as u64)],
        piece_length: Some(PIECE as u32),
        ..BuilderOptions::default()
    })
    .expect("a torrent");
    builder.update(&content()).expect("its length is right");
    builder.finish().expect("a torrent")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| (byte as char).to_digit(16).expect("hex") as u8;
    digits.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// An extended message (BEP 10) with its length.
pub(crate) fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    [&(2 + payload.len() as u32).to_be_bytes()[..], &[20, id], payload].concat()
}

/// A block of `content` as a `piece` message.
pub(crate) fn block(piece: u32, begin: u32, length: usize) -> Vec<u8> {
    let start = piece as usize * PIECE + begin as usize;
    let data = &content()[start..start + length];
    [&(9 + length as u32).to_be_bytes()[..], &[7], &piece.to_be_bytes(), &begin.to_be_bytes(), data].concat()
}

/// `request`, `cancel` or `reject`, by its id.
pub(crate) fn about_block(id: u8, piece: u32, begin: u32, length: u32) -> Vec<u8> {
    [&[0, 0, 0, 13, id][..], &piece.to_be_bytes(), &begin.to_be_bytes(), &length.to_be_bytes()].concat()
}

/// The bench.
pub(crate) struct Rig {
    pub(crate) torrent: Torrent,
    pub(crate) now: Moment,
    said: BTreeMap<LinkId, Vec<Vec<u8>>>,
    /// Pieces stored.
    pub(crate) stored: Vec<u32>,
    /// Why peers were dropped.
    pub(crate) dropped: BTreeMap<LinkId, &'static str>,
    /// Pieces that the store can't give any more.
    pub(crate) lost: Vec<u32>,
    /// Pieces loaded.
    pub(crate) loads: Vec<u32>,
    /// Loads wait for `load`.
    pub(crate) slow_store: bool,
    loading: Vec<(u32, u64, u32)>,
}

impl Rig {
    fn new(limits: &Limits) -> Self {
        let seedling = Seedling {
            id: TorrentId(1),
            info_hash: metainfo().info_hash,
            peer_id: PeerId(*b"-SR0100-golden-bench"),
            trackers: Vec::new(),
            shuffle: 0,
        };
        Self {
            torrent: Torrent::resolve(seedling, limits),
            now: Moment(1_000_000),
            said: BTreeMap::new(),
            stored: Vec::new(),
            dropped: BTreeMap::new(),
            lost: Vec::new(),
            loads: Vec::new(),
            slow_store: false,
            loading: Vec::new(),
        }
    }

    /// Knows the info hash and nothing else.
    pub(crate) fn magnet() -> Self {
        Self::new(&Limits::default())
    }

    /// Has the `.torrent`, and nothing of the content.
    pub(crate) fn leecher() -> Self {
        let mut rig = Self::magnet();
        rig.torrent.know(rig.now, metainfo());
        rig.settle();
        rig
    }

    /// Has everything.
    pub(crate) fn seed() -> Self {
        Self::seed_with(&Limits::default(), false)
    }

    pub(crate) fn seed_with(limits: &Limits, super_seed: bool) -> Self {
        let mut rig = Self::new(limits);
        rig.torrent.seed(rig.now, metainfo(), super_seed);
        rig.settle();
        rig
    }

    /// Opens a link and hears the peer's handshake over it.
    pub(crate) fn meet(&mut self, link: u32, client: &[u8; 8], fast: u8) -> LinkId {
        let link = self.open(link);
        self.said(link);
        let handshake = self.handshake(link, client, fast);
        self.hear(link, &handshake);
        link
    }

    /// The same, and all that it says to this is put aside.
    pub(crate) fn met(&mut self, link: u32, client: &[u8; 8], fast: u8) -> LinkId {
        let link = self.meet(link, client, fast);
        self.said(link);
        link
    }

    pub(crate) fn open(&mut self, link: u32) -> LinkId {
        let link = LinkId(link);
        self.torrent.open(self.now, link, true, None, 65_536);
        self.settle();
        link
    }

    /// protocol.md §3.12.
    pub(crate) fn handshake(&self, link: LinkId, client: &[u8; 8], fast: u8) -> Vec<u8> {
        let start = bytes("13 426974546f7272656e742070726f746f636f6c 0000000000100000");
        let id = [&client[..], format!("{:012}", link.0).as_bytes()].concat();
        let mut bytes = [start, metainfo().info_hash.0.to_vec(), id].concat();
        bytes[27] |= fast;
        bytes
    }

    /// Bytes come in on a link, in one data-channel message.
    pub(crate) fn hear(&mut self, link: LinkId, bytes: &[u8]) {
        self.torrent.data(self.now, link, bytes);
        self.settle();
    }

    /// The same, in hex.
    pub(crate) fn hears(&mut self, link: LinkId, hex: &str) {
        self.hear(link, &bytes(hex));
    }

    /// Time passes, a tick at a time.
    pub(crate) fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.now = self.now + Duration::from_millis(500);
            self.torrent.tick(self.now);
            self.settle();
        }
    }

    /// What was said on a link since the last call, as hex: one string a data-channel message.
    pub(crate) fn said(&mut self, link: LinkId) -> Vec<String> {
        self.said.remove(&link).unwrap_or_default().iter().map(|bytes| hex(bytes)).collect()
    }

    /// The same as one stream of messages, without regard to where data-channel messages end.
    pub(crate) fn messages(&mut self, link: LinkId) -> Vec<String> {
        let stream = self.said.remove(&link).unwrap_or_default().concat();
        let (mut rest, mut messages) = (&stream[..], Vec::new());
        while let Some((prefix, _)) = rest.split_first_chunk::<4>() {
            let (message, later) = rest.split_at(4 + u32::from_be_bytes(*prefix) as usize);
            messages.push(hex(message));
            rest = later;
        }
        messages
    }

    /// Answers requests with blocks until no more come. What else was said meanwhile.
    pub(crate) fn feed(&mut self, link: LinkId) -> Vec<String> {
        let mut others = Vec::new();
        loop {
            let (requests, rest): (Vec<String>, Vec<String>) =
                self.messages(link).into_iter().partition(|message| message.starts_with("0000000d06"));
            others.extend(rest);
            if requests.is_empty() {
                return others;
            }
            for request in requests {
                let number = |at: usize| u32::from_str_radix(&request[at..at + 8], 16).expect("hex");
                self.hear(link, &block(number(10), number(18), number(26) as usize));
            }
        }
    }

    /// Answers the loads that have waited.
    pub(crate) fn load(&mut self) {
        for (piece, offset, length) in std::mem::take(&mut self.loading) {
            let whole = &content()[offset as usize..][..length as usize];
            let there = !self.lost.contains(&piece);
            self.torrent.loaded(self.now, piece, there.then_some(whole));
        }
        self.settle();
    }

    /// Does what the torrent says until it says nothing more.
    pub(crate) fn settle(&mut self) {
        loop {
            self.torrent.flush(self.now);
            let outputs: Vec<Output> = self.torrent.drain().collect();
            if outputs.is_empty() {
                break;
            }
            outputs.into_iter().for_each(|output| self.carry_out(output));
        }
        self.torrent.check();
        if !self.slow_store && !self.loading.is_empty() {
            self.load();
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Do(Action::Send { link, bytes }) => {
                self.torrent.drained(link, 0);
                self.said.entry(link).or_default().push(bytes);
            }
            Output::Do(Action::Store { piece, bytes, .. }) => {
                assert_eq!(bytes, content()[piece as usize * PIECE..][..bytes.len()], "only what is right is stored");
                self.stored.push(piece);
                self.torrent.stored(piece);
            }
            Output::Do(Action::Load { piece, offset, length, .. }) => {
                self.loads.push(piece);
                self.loading.push((piece, offset, length));
            }
            Output::Tell(Event::PeerLeft { link, reason, .. }) => _ = self.dropped.insert(link, reason),
            Output::Do(Action::CloseLink(link)) => _ = self.dropped.entry(link).or_insert("closed before a handshake"),
            Output::Do(_) | Output::Tell(_) => {}
        }
    }
}
