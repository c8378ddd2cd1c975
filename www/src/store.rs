//! Where pieces are kept: files of the origin's private file system, memory where there are none, or the very files
//! that are being seeded.
//!
//! Invariant: the stored bitfield never runs ahead of the data: data is written and flushed before the bits that
//! claim it. Names in the file system are hex digits and constants, never anything that a torrent says.

mod memory;
mod opfs;
mod source;

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use swarmreel::engine::Action;
use swarmreel::ids::{InfoHash, TorrentId};
use wasm_bindgen_futures::spawn_local;

use crate::driver;
use memory::Memory;
use opfs::Opfs;
pub(crate) use source::Source;

/// Why a piece could not be kept or found. What it was does not matter: the engine fetches it anew.
#[derive(Debug)]
pub(crate) struct StoreError;

/// The store of one torrent.
pub(crate) enum Store {
    /// Files.
    Opfs(Opfs),
    /// Gone with the tab.
    Memory(Memory),
    /// What is seeded. Read only.
    Source(Source),
}

/// A store as an earlier session left it.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) info: Option<Vec<u8>>,
    pub(crate) have: Option<Vec<u8>>,
    /// Files were wanted, and could not be had.
    pub(crate) fell_back: bool,
}

/// Every store.
pub(crate) struct Stores {
    open: BTreeMap<TorrentId, Store>,
    opening: BTreeMap<TorrentId, Opening>,
    /// File system work that must wait, done one after the other: what is opened again has been closed or deleted.
    jobs: UnboundedSender<Job>,
}

/// A store that is on its way. What is meant for it waits, for a download does not wait for its store.
struct Opening {
    info_hash: InfoHash,
    waiting: Vec<Action>,
}

enum Job {
    Open(TorrentId, InfoHash),
    Delete(InfoHash),
}

impl Stores {
    /// None yet. `persistent`: use files where the browser has them.
    pub(crate) fn new(persistent: bool) -> Self {
        let (jobs, queue) = unbounded();
        spawn_local(work(queue, persistent));
        Self { open: BTreeMap::new(), opening: BTreeMap::new(), jobs }
    }

    /// Starts to open the store of a torrent; ends in `Driver::store_opened`.
    pub(crate) fn begin(&mut self, torrent: TorrentId, info_hash: InfoHash) {
        self.opening.insert(torrent, Opening { info_hash, waiting: Vec::new() });
        let _ = self.jobs.unbounded_send(Job::Open(torrent, info_hash));
    }

    /// Whether the torrent's store is on its way.
    pub(crate) fn is_opening(&self, torrent: TorrentId) -> bool {
        self.opening.contains_key(&torrent)
    }

    /// Keeps an action until the torrent's store is there.
    pub(crate) fn postpone(&mut self, torrent: TorrentId, action: Action) {
        if let Some(opening) = self.opening.get_mut(&torrent) {
            opening.waiting.push(action);
        }
    }

    /// A store that was begun is there. What has waited for it; `None` if it was closed meanwhile.
    pub(crate) fn opened(&mut self, torrent: TorrentId, store: Store) -> Option<Vec<Action>> {
        let Opening { waiting, .. } = self.opening.remove(&torrent)?;
        self.open.insert(torrent, store);
        Some(waiting)
    }

    /// A torrent is served from its source.
    pub(crate) fn serve(&mut self, torrent: TorrentId, source: Source) {
        self.opening.remove(&torrent);
        self.open.insert(torrent, Store::Source(source));
    }

    /// Keeps the info dictionary, and learns the torrent's shape.
    pub(crate) fn size(&mut self, torrent: TorrentId, info: &[u8], length: u64, piece_length: u32) {
        if let Some(Store::Opfs(opfs)) = self.open.get_mut(&torrent) {
            opfs.size(info, length, piece_length);
        }
    }

    /// Keeps a piece.
    pub(crate) fn put(&mut self, torrent: TorrentId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        let held: u64 =
            self.open.values().map(|store| if let Store::Memory(memory) = store { memory.held() } else { 0 }).sum();
        match self.open.get_mut(&torrent) {
            Some(Store::Opfs(opfs)) => opfs.put(piece, bytes),
            Some(Store::Memory(memory)) => memory.put(piece, bytes, held),
            // A piece is only put here when the user's file has changed under us, which we do not mend.
            Some(Store::Source(_)) => Err(StoreError),
            None => Err(StoreError),
        }
    }

    /// Reads a piece into `bytes`, which it fills.
    pub(crate) fn load(
        &mut self,
        torrent: TorrentId,
        piece: u32,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), StoreError> {
        match self.open.get_mut(&torrent) {
            Some(Store::Opfs(opfs)) => opfs.load(offset, bytes),
            Some(Store::Memory(memory)) => memory.load(piece, bytes),
            Some(Store::Source(source)) => source.load(offset, bytes),
            None => Err(StoreError),
        }
    }

    /// Notes what has been written since the last time.
    pub(crate) fn save(&mut self) {
        for store in self.open.values_mut() {
            if let Store::Opfs(opfs) = store {
                opfs.save();
            }
        }
    }

    /// Closes a store; `forget` deletes what is in it.
    pub(crate) fn close(&mut self, torrent: TorrentId, forget: bool) {
        if let Some(opening) = self.opening.remove(&torrent)
            && forget
        {
            let _ = self.jobs.unbounded_send(Job::Delete(opening.info_hash));
        }
        if let Some(Store::Opfs(opfs)) = self.open.remove(&torrent)
            && (forget || opfs.is_unused())
        {
            let _ = self.jobs.unbounded_send(Job::Delete(opfs.info_hash()));
        }
    }
}

async fn work(mut queue: UnboundedReceiver<Job>, persistent: bool) {
    while let Some(job) = queue.next().await {
        match job {
            Job::Open(torrent, info_hash) => {
                let opened = open(info_hash, persistent).await;
                driver::enter(|driver| driver.store_opened(torrent, opened));
            }
            Job::Delete(info_hash) => opfs::delete(info_hash).await,
        }
    }
}

async fn open(info_hash: InfoHash, persistent: bool) -> Opened {
    if persistent && let Ok(opened) = opfs::open(info_hash).await {
        return opened;
    }
    Opened { store: Store::Memory(Memory::default()), info: None, have: None, fell_back: persistent }
}
