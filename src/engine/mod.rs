//! The one coordinator: input, output, timers, routing, limits.

use crate::ids::{InfoHash, TorrentId};
pub use crate::input::{Command, Input, Reply, Source};
pub use crate::limits::Limits;
use crate::metainfo::Metainfo;
pub use crate::output::{Action, Event, Output, PeerStats, Stats};
use crate::time::Moment;

/// Why a `Command` was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// For programs: `bad-magnet`, `bad-torrent`, `unknown-torrent`, `no-such-file`, `not-ready`, `too-many`.
    pub code: &'static str,
    /// One sentence for a person.
    pub message: String,
}

/// The peer.
#[derive(Debug)]
pub struct Engine {}

#[expect(clippy::unimplemented, unused_variables, missing_docs, reason = "being written")]
impl Engine {
    pub fn new(limits: Limits, seed: [u8; 32], now: Moment) -> Self {
        Self {}
    }
    pub fn command(&mut self, now: Moment, command: Command) -> Result<Reply, CommandError> {
        unimplemented!()
    }
    pub fn handle(&mut self, now: Moment, input: Input<'_>) {}
    pub fn poll(&mut self) -> Option<Output> {
        None
    }
    pub fn wake_at(&self) -> Option<Moment> {
        None
    }
    pub fn check(&self) {}
    pub fn stats(&self, now: Moment, torrent: TorrentId) -> Option<Stats> {
        None
    }
    pub fn metainfo(&self, torrent: TorrentId) -> Option<&Metainfo> {
        None
    }
    pub fn info_hash(&self, torrent: TorrentId) -> Option<InfoHash> {
        None
    }
    /// The magnet link to share: hash, name, trackers, web seeds.
    pub fn magnet(&self, torrent: TorrentId) -> Option<String> {
        None
    }
}
