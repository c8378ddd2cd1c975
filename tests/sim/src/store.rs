//! A peer's disk: what the browser keeps in its private file system, with a quota, faults and a delay.
//!
//! Invariant: what was reported `Stored` is there after a reload, unless the plan says that it rots.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use swarmreel::engine::Action;
use swarmreel::ids::{InfoHash, TorrentId};
use swarmreel::rng::Rng;

use crate::content::Content;
use crate::fact::Fact;

/// What a disk is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// Bytes of content that fit.
    pub quota: u64,
    /// Of a hundred writes, so many fail.
    pub failing: u8,
    /// How long a read or a write takes.
    pub latency: Duration,
    /// One stored piece is damaged while the page is closed.
    pub rots: bool,
}

impl DiskPlan {
    /// Large, quick and free of faults.
    pub const SOUND: Self = Self { quota: u64::MAX, failing: 0, latency: Duration::from_millis(2), rots: false };

    /// Whether everything that is written is there in the end.
    pub fn is_sound(&self) -> bool {
        self.quota == u64::MAX && self.failing == 0
    }
}

/// What is stored of one torrent.
#[derive(Clone, Debug, Default)]
struct Kept {
    info: Option<Vec<u8>>,
    piece_count: usize,
    pieces: BTreeMap<u32, Vec<u8>>,
}

impl Kept {
    /// The stored bitfield (BEP 3 layout).
    fn have(&self) -> Vec<u8> {
        let mut bits = vec![0; self.piece_count.div_ceil(8)];
        for piece in self.pieces.keys() {
            bits[*piece as usize / 8] |= 0x80 >> (piece % 8);
        }
        bits
    }
}

/// What answers for an open torrent.
#[derive(Clone, Debug)]
enum Backing {
    /// The file that the user dropped.
    Source(Rc<Content>),
    /// The disk.
    Disk(InfoHash),
}

/// One peer's store. It outlives the peer's engines.
#[derive(Clone, Debug)]
pub struct Store {
    plan: DiskPlan,
    kept: BTreeMap<InfoHash, Kept>,
    open: BTreeMap<TorrentId, Backing>,
    rng: Rng,
}

impl Store {
    /// An empty disk.
    pub fn new(plan: DiskPlan, rng: Rng) -> Self {
        Self { plan, kept: BTreeMap::new(), open: BTreeMap::new(), rng }
    }

    /// How long an answer takes.
    pub fn latency(&self) -> Duration {
        self.plan.latency
    }

    /// From now on the torrent's content is a file that the user has.
    pub fn seed(&mut self, torrent: TorrentId, content: &Rc<Content>) {
        self.open.insert(torrent, Backing::Source(Rc::clone(content)));
    }

    /// The page was closed: files are closed, and what may rot does.
    pub fn reload(&mut self) {
        self.open.clear();
        if self.plan.rots
            && let Some(mut piece) = self.kept.values_mut().find_map(|kept| kept.pieces.first_entry())
            && let Some(byte) = piece.get_mut().first_mut()
        {
            *byte ^= 1;
        }
    }

    /// The stored pieces of a torrent.
    pub fn pieces(&self, info_hash: InfoHash) -> impl Iterator<Item = (u32, &[u8])> {
        let kept = self.kept.get(&info_hash).into_iter();
        kept.flat_map(|kept| kept.pieces.iter().map(|(piece, bytes)| (*piece, bytes.as_slice())))
    }

    /// Whether any torrent is open.
    pub fn is_closed(&self) -> bool {
        self.open.is_empty()
    }

    /// Does what an engine asks of its store. Returns what it is told after `latency`.
    pub fn act(&mut self, action: Action) -> Option<Fact> {
        match action {
            Action::OpenStore { torrent, info_hash } => Some(self.open(torrent, info_hash)),
            Action::SizeStore { torrent, info, length, piece_length } => {
                if let Some(kept) = self.disk(torrent) {
                    kept.info = Some(info);
                    kept.piece_count = length.div_ceil(u64::from(piece_length)) as usize;
                }
                None
            }
            Action::Store { torrent, piece, bytes } => Some(self.write(torrent, piece, bytes)),
            Action::Load { torrent, piece, offset, length } => Some(self.read(torrent, piece, offset, length)),
            Action::CloseStore { torrent, forget } => {
                if let Some(Backing::Disk(info_hash)) = self.open.remove(&torrent).filter(|_| forget) {
                    self.kept.remove(&info_hash);
                }
                None
            }
            other => panic!("not for a store: {other:?}"),
        }
    }

    fn open(&mut self, torrent: TorrentId, info_hash: InfoHash) -> Fact {
        if let Some(Backing::Source(content)) = self.open.get(&torrent) {
            let all = vec![0xFF; content.metainfo.pieces.len().div_ceil(8)];
            return Fact::StoreOpened { torrent, info: Some(content.metainfo.info.clone()), have: Some(all) };
        }
        self.open.insert(torrent, Backing::Disk(info_hash));
        let kept = self.kept.entry(info_hash).or_default();
        let have = (kept.piece_count > 0).then(|| kept.have());
        Fact::StoreOpened { torrent, info: kept.info.clone(), have }
    }

    fn write(&mut self, torrent: TorrentId, piece: u32, bytes: Vec<u8>) -> Fact {
        let used: usize = self.kept.values().flat_map(|kept| kept.pieces.values()).map(Vec::len).sum();
        let fits = (used + bytes.len()) as u64 <= self.plan.quota;
        let fails = !fits || self.rng.below(100) < u64::from(self.plan.failing);
        let Some(kept) = self.disk(torrent).filter(|_| !fails) else { return Fact::StoreFailed(torrent, piece) };
        assert!((piece as usize) < kept.piece_count, "piece {piece} was stored before its store was sized");
        kept.pieces.insert(piece, bytes);
        Fact::Stored(torrent, piece)
    }

    fn read(&mut self, torrent: TorrentId, piece: u32, offset: u64, length: u32) -> Fact {
        let (offset, length) = (offset as usize, length as usize);
        let bytes = match self.open.get(&torrent) {
            Some(Backing::Source(content)) => content.bytes.get(offset..offset + length),
            Some(Backing::Disk(hash)) => self.kept[hash].pieces.get(&piece).and_then(|bytes| bytes.get(..length)),
            None => None,
        };
        bytes.map_or(Fact::LoadFailed(torrent, piece), |bytes| Fact::Loaded(torrent, piece, bytes.to_vec()))
    }

    fn disk(&mut self, torrent: TorrentId) -> Option<&mut Kept> {
        match self.open.get(&torrent)? {
            Backing::Disk(info_hash) => self.kept.get_mut(info_hash),
            Backing::Source(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TORRENT: TorrentId = TorrentId(1);
    const HASH: InfoHash = InfoHash([1; 20]);

    fn opened(plan: DiskPlan) -> Store {
        let mut store = Store::new(plan, Rng::new([0; 32]));
        store.act(Action::OpenStore { torrent: TORRENT, info_hash: HASH });
        store.act(Action::SizeStore { torrent: TORRENT, info: b"de".to_vec(), length: 25, piece_length: 10 });
        store
    }

    fn write(store: &mut Store, piece: u32) -> Option<Fact> {
        store.act(Action::Store { torrent: TORRENT, piece, bytes: vec![piece as u8; 10] })
    }

    fn read(store: &mut Store, piece: u32) -> Option<Fact> {
        store.act(Action::Load { torrent: TORRENT, piece, offset: u64::from(piece) * 10, length: 10 })
    }

    #[test]
    fn what_was_stored_survives_a_reload() {
        let mut store = opened(DiskPlan::SOUND);
        assert!(matches!(write(&mut store, 1), Some(Fact::Stored(TORRENT, 1))));
        store.reload();
        let fact = store.act(Action::OpenStore { torrent: TorrentId(2), info_hash: HASH });
        let Some(Fact::StoreOpened { info, have, .. }) = fact else { panic!("a store opens") };
        assert_eq!((info, have), (Some(b"de".to_vec()), Some(vec![0b0100_0000])));
    }

    #[test]
    fn the_quota_holds() {
        let mut store = opened(DiskPlan { quota: 15, ..DiskPlan::SOUND });
        assert!(matches!(write(&mut store, 0), Some(Fact::Stored(..))));
        assert!(matches!(write(&mut store, 1), Some(Fact::StoreFailed(TORRENT, 1))));
        assert!(matches!(read(&mut store, 0), Some(Fact::Loaded(TORRENT, 0, bytes)) if bytes == [0; 10]));
        assert!(matches!(read(&mut store, 1), Some(Fact::LoadFailed(TORRENT, 1))));
    }

    #[test]
    fn forgotten_is_gone() {
        let mut store = opened(DiskPlan::SOUND);
        write(&mut store, 0);
        store.act(Action::CloseStore { torrent: TORRENT, forget: true });
        assert_eq!(store.pieces(HASH).count(), 0);
        assert!(store.is_closed());
    }
}
