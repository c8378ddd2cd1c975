//! The one coordinator: input, output, timers, routing, limits.
//!
//! Invariant: only this module fills the output queue; everything that happens is an input, a command, or a `Wake`.

mod announce;
mod budget;
mod links;
mod network;
mod relay;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use budget::Memory;
use links::{Links, Stage, TrackerId};
use network::Clock;

use crate::ids::{InfoHash, PeerId, PlayId, ReadId, TorrentId};
pub use crate::input::{Answer, Command, FetchFailure, Input, Reply, Source};
pub use crate::limits::Limits;
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;
pub use crate::output::{Action, Event, Output, PeerStats, Stats, WebSeedState, WebSeedStats};
use crate::rng::Rng;
use crate::time::Moment;
use crate::torrent::{Seedling, Torrent};
use crate::tracker::session::{Session, draw_peer_id};

/// How often lateness is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Why a `Command` was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// For programs: `bad-magnet`, `bad-torrent`, `unknown-torrent`, `no-such-file`, `not-ready`, `too-many`.
    pub code: &'static str,
    /// One sentence for a person.
    pub message: String,
}

impl CommandError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The peer: all torrents of one page, or one process.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    rng: Rng,
    /// Our id in handshakes.
    peer_id: PeerId,
    clock: Clock,
    /// The engine's own time.
    now: Moment,
    /// When the network changed last.
    network_at: Option<Moment>,
    torrents: BTreeMap<TorrentId, Torrent>,
    trackers: BTreeMap<TrackerId, Session>,
    links: Links,
    memory: Memory,
    /// Torrents whose users know that no relay was found.
    relay_missed: BTreeSet<TorrentId>,
    plays: BTreeMap<PlayId, TorrentId>,
    reads: BTreeMap<ReadId, TorrentId>,
    next_tracker: TrackerId,
    next_socket: u32,
    /// Torrents, plays and reads share one count.
    next_id: u32,
    tick_at: Moment,
    /// No offer is made before this.
    offers_from: Moment,
    outputs: VecDeque<Output>,
    /// Inputs came since the last flush.
    stirred: bool,
}

impl Engine {
    /// An engine with nothing to do. `seed` should be 32 bytes of the system's randomness; the same seed and inputs
    /// give the same outputs.
    pub fn new(limits: Limits, seed: [u8; 32], now: Moment) -> Self {
        let mut rng = Rng::new(seed);
        let peer_id = draw_peer_id(&mut rng);
        Self {
            limits,
            rng,
            peer_id,
            clock: Clock::new(now),
            now,
            network_at: None,
            torrents: BTreeMap::new(),
            trackers: BTreeMap::new(),
            links: Links::default(),
            memory: Memory::default(),
            relay_missed: BTreeSet::new(),
            plays: BTreeMap::new(),
            reads: BTreeMap::new(),
            next_tracker: 0,
            next_socket: 0,
            next_id: 0,
            tick_at: now + TICK,
            offers_from: now,
            outputs: VecDeque::new(),
            stirred: false,
        }
    }

    /// Carries out a user's wish, or says why not.
    ///
    /// # Errors
    /// The wish makes no sense, or is over a limit; nothing has changed.
    pub fn command(&mut self, now: Moment, command: Command) -> Result<Reply, CommandError> {
        let now = self.begin_turn(now);
        let reply = match command {
            Command::Add { source, trackers, web_seeds } => {
                self.add(now, source, &trackers, &web_seeds).map(Reply::Torrent)
            }
            Command::Seed { metainfo, trackers, super_seed } => {
                self.seed(now, *metainfo, &trackers, super_seed).map(Reply::Torrent)
            }
            Command::Remove { torrent, forget } => self.remove(torrent, forget),
            Command::Play { torrent, file } => self.play(torrent, file),
            Command::Stop { play } => {
                self.with_play(play, |torrent| torrent.stop(play));
                self.plays.remove(&play);
                Ok(Reply::Done)
            }
            Command::Read { torrent, file, range } => {
                let read = ReadId(self.mint());
                let torrents = &mut self.torrents;
                let entry = torrents.get_mut(&torrent).ok_or_else(unknown_torrent)?;
                if entry.metainfo().is_none() {
                    return Err(CommandError::new("not-ready", "The torrent's list of files is not known yet."));
                }
                entry.read(read, file, range).ok_or_else(no_such_file)?;
                self.reads.insert(read, torrent);
                Ok(Reply::Read(read))
            }
            Command::ReadMore { read, credit } => {
                self.with_read(read, |torrent| torrent.read_more(read, credit));
                Ok(Reply::Done)
            }
            Command::CloseRead { read } => {
                self.with_read(read, |torrent| torrent.close_read(read));
                self.reads.remove(&read);
                Ok(Reply::Done)
            }
        };
        self.announce(now);
        reply
    }

    /// Takes in a fact.
    pub fn handle(&mut self, now: Moment, input: Input<'_>) {
        let now = self.begin_turn(now);
        match input {
            Input::Wake => self.wake(now),
            Input::NetworkChanged => self.network_changed(now),
            Input::LinkReachable { link, reachable } => self.link_reachable(now, link, reachable),
            Input::SocketOpened(socket) => self.socket_opened(now, socket),
            Input::SocketText(socket, text) => self.socket_text(now, socket, text),
            Input::SocketClosed { socket, code, reason } => self.socket_closed(now, socket, code, reason),
            Input::OfferReady(link, sdp) => self.offer_ready(now, link, sdp),
            Input::AnswerReady(link, sdp) => self.answer_ready(now, link, sdp),
            Input::LinkOpened { link, message_max } => self.link_opened(now, link, message_max),
            Input::LinkClosed(link) => self.link_closed(link),
            Input::LinkData(link, bytes) => {
                return self.with_link(link, |torrent| torrent.data(now, link, bytes));
            }
            Input::LinkDrained { link, buffered } => {
                return self.with_link(link, |torrent| torrent.drained(link, buffered));
            }
            Input::FetchAnswered { fetch, answer } => {
                let number = fetch.number;
                return self.with_torrent(fetch.torrent, |torrent| torrent.fetch_answered(now, number, &answer));
            }
            Input::FetchData(fetch, bytes) => {
                return self.with_torrent(fetch.torrent, |torrent| torrent.fetch_data(now, fetch.number, bytes));
            }
            Input::FetchEnded(fetch) => {
                self.with_torrent(fetch.torrent, |torrent| torrent.fetch_ended(now, fetch.number));
            }
            Input::FetchFailed(fetch, failure) => {
                self.with_torrent(fetch.torrent, |torrent| torrent.fetch_failed(now, fetch.number, failure));
            }
            Input::StoreOpened { torrent, info, have } => {
                self.with_torrent(torrent, |torrent| torrent.store_opened(now, info, have));
            }
            Input::Stored(torrent, piece) => return self.with_torrent(torrent, |torrent| torrent.stored(piece)),
            Input::StoreFailed(torrent, piece) => self.with_torrent(torrent, |torrent| torrent.store_failed(piece)),
            Input::Loaded(torrent, piece, bytes) => {
                return self.with_torrent(torrent, |torrent| torrent.loaded(now, piece, Some(bytes)));
            }
            Input::LoadFailed(torrent, piece) => {
                self.with_torrent(torrent, |torrent| torrent.loaded(now, piece, None));
            }
            Input::MediaSupport(play, playable) => {
                return self.with_play(play, |torrent| torrent.media_support(play, playable));
            }
            Input::Position { play, time, .. } => {
                return self.with_play(play, |torrent| torrent.position(now, play, time));
            }
            Input::Seek { play, to } => return self.with_play(play, |torrent| torrent.seek(now, play, to)),
        }
        self.announce(now);
    }

    /// The next thing to do or to tell. Drained until `None` after a turn's inputs; what they brought is turned into
    /// messages here, once, however many they were.
    pub fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && std::mem::take(&mut self.stirred) {
            let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
            for id in ids {
                if let Some(torrent) = self.torrents.get_mut(&id) {
                    torrent.flush(self.now);
                }
                self.collect(id);
            }
        }
        self.outputs.pop_front()
    }

    /// When `Input::Wake` is due; `None` while there is nothing to wait for.
    pub fn wake_at(&self) -> Option<Moment> {
        if self.torrents.is_empty() {
            return None;
        }
        if self.torrents.values().any(Torrent::is_checking) {
            return Some(self.clock.for_driver(self.now));
        }
        let connects = self.trackers.values().filter_map(Session::connect_at);
        let hashes = || self.torrents.values().map(Torrent::info_hash);
        let dues = self.trackers.values().flat_map(|session| hashes().filter_map(|hash| session.due_at(hash)));
        // What is overdue waits for an offer, and is looked at with every tick.
        let next = connects.chain(dues).filter(|at| *at > self.now).chain([self.tick_at]).min();
        next.map(|at| self.clock.for_driver(at))
    }

    fn wake(&mut self, now: Moment) {
        let ticks = now >= self.tick_at;
        if ticks {
            self.tick_at = now + TICK;
            self.tick_links(now);
        }
        let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in ids {
            self.with_torrent(id, |torrent| if ticks { torrent.tick(now) } else { torrent.check_stored() });
        }
    }

    // ---- commands

    fn mint(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn add(
        &mut self,
        now: Moment,
        source: Source,
        trackers: &[String],
        web_seeds: &[String],
    ) -> Result<TorrentId, CommandError> {
        let (magnet, metainfo) = match source {
            Source::Text(text) => {
                let magnet: Magnet =
                    text.trim().parse().map_err(|error: crate::magnet::MagnetError| bad("bad-magnet", &error))?;
                (magnet, None)
            }
            Source::Torrent(bytes) => {
                let metainfo = Metainfo::from_torrent(&bytes).map_err(|error| bad("bad-torrent", &error))?;
                (metainfo.magnet(), Some(metainfo))
            }
        };
        let urls: Vec<String> = magnet.trackers.iter().chain(trackers).cloned().collect();
        let known = self.torrent_of(magnet.info_hash);
        let id = match known {
            Some(id) => id,
            None => self.plant(magnet.info_hash, &urls)?,
        };
        let Some(torrent) = self.torrents.get_mut(&id) else { return Err(unknown_torrent()) };
        urls.iter().for_each(|url| torrent.add_tracker(url.clone()));
        torrent.add_web_seeds(&magnet.web_seeds);
        torrent.add_web_seeds(web_seeds);
        if let Some(metainfo) = metainfo {
            torrent.know(now, metainfo);
        }
        torrent.add_sources(now, &magnet.sources);
        if known.is_none() {
            self.act(Action::OpenStore { torrent: id, info_hash: magnet.info_hash });
            self.offer(now, id);
        }
        self.collect(id);
        self.join(now, id, &urls);
        Ok(id)
    }

    fn seed(
        &mut self,
        now: Moment,
        metainfo: Metainfo,
        trackers: &[String],
        super_seed: bool,
    ) -> Result<TorrentId, CommandError> {
        let urls: Vec<String> = metainfo.trackers.iter().chain(trackers).cloned().collect();
        let id = match self.torrent_of(metainfo.info_hash) {
            Some(id) => id,
            None => self.plant(metainfo.info_hash, &urls)?,
        };
        if let Some(torrent) = self.torrents.get_mut(&id) {
            torrent.add_web_seeds(&metainfo.web_seeds);
            torrent.seed(now, metainfo, super_seed);
        }
        self.collect(id);
        self.join(now, id, &urls);
        Ok(id)
    }

    fn plant(&mut self, info_hash: InfoHash, trackers: &[String]) -> Result<TorrentId, CommandError> {
        if self.torrents.len() >= self.limits.torrents_max {
            let words = format!("No more than {} torrents can be open at once.", self.limits.torrents_max);
            return Err(CommandError::new("too-many", words));
        }
        let id = TorrentId(self.mint());
        let mut once: Vec<String> = Vec::new();
        trackers.iter().for_each(|url| {
            if !once.contains(url) {
                once.push(url.clone())
            }
        });
        let shuffle = self.rng.below(u64::from(u32::MAX)) as u32;
        let seedling = Seedling { id, info_hash, peer_id: self.peer_id, trackers: once, shuffle };
        self.torrents.insert(id, Torrent::resolve(seedling, &self.limits));
        Ok(id)
    }

    fn remove(&mut self, id: TorrentId, forget: bool) -> Result<Reply, CommandError> {
        if !self.torrents.contains_key(&id) {
            return Err(unknown_torrent());
        }
        self.part(id);
        self.with_torrent(id, Torrent::stop_fetching);
        let links: Vec<_> = self.links.of(id).map(|(link, _)| link).collect();
        links.into_iter().for_each(|link| self.close_link(link));
        self.relay_missed.remove(&id);
        self.plays.retain(|_, torrent| *torrent != id);
        self.reads.retain(|_, torrent| *torrent != id);
        self.torrents.remove(&id);
        self.act(Action::CloseStore { torrent: id, forget });
        Ok(Reply::Done)
    }

    fn play(&mut self, id: TorrentId, file: Option<usize>) -> Result<Reply, CommandError> {
        let torrent = self.torrents.get(&id).ok_or_else(unknown_torrent)?;
        let beyond = |metainfo: &Metainfo| file.is_some_and(|file| file >= metainfo.files.len());
        if torrent.metainfo().is_some_and(beyond) {
            return Err(no_such_file());
        }
        let play = PlayId(self.mint());
        self.plays.insert(play, id);
        let now = self.now;
        self.with_torrent(id, |torrent| torrent.play(now, play, file));
        Ok(Reply::Play(play))
    }

    // ---- routing

    fn with_torrent(&mut self, id: TorrentId, act: impl FnOnce(&mut Torrent)) {
        if let Some(torrent) = self.torrents.get_mut(&id) {
            act(torrent);
            self.collect(id);
        }
    }

    fn with_link(&mut self, link: crate::ids::LinkId, act: impl FnOnce(&mut Torrent)) {
        if let Some(id) = self.links.get(link).filter(|entry| entry.stage == Stage::Open).map(|entry| entry.torrent) {
            self.with_torrent(id, act);
        }
    }

    fn with_play(&mut self, play: PlayId, act: impl FnOnce(&mut Torrent)) {
        if let Some(id) = self.plays.get(&play) {
            self.with_torrent(*id, act);
        }
    }

    fn with_read(&mut self, read: ReadId, act: impl FnOnce(&mut Torrent)) {
        if let Some(id) = self.reads.get(&read) {
            self.with_torrent(*id, act);
        }
    }

    /// Takes over what a torrent brought forth.
    fn collect(&mut self, id: TorrentId) {
        let Some(torrent) = self.torrents.get_mut(&id) else { return };
        self.outputs.extend(torrent.drain());
        let (judged, closed) = (torrent.take_judged(), torrent.take_closed());
        self.remember(id, judged);
        for link in closed {
            self.forget_link(link);
        }
    }

    // ---- what may be shown

    /// What may be shown of a torrent.
    pub fn stats(&self, now: Moment, id: TorrentId) -> Option<Stats> {
        let torrent = self.torrents.get(&id)?;
        let mut stats = torrent.stats(self.clock.read(now));
        let standings: Vec<bool> =
            self.trackers.values().filter_map(|session| session.works_for(torrent.info_hash())).collect();
        stats.trackers = standings.len();
        stats.trackers_working = standings.iter().filter(|works| **works).count();
        stats.connecting = self.links.count(id, |stage| matches!(stage, Stage::Connecting | Stage::Answering { .. }));
        Some(stats)
    }

    /// The metadata, once known.
    pub fn metainfo(&self, torrent: TorrentId) -> Option<&Metainfo> {
        self.torrents.get(&torrent)?.metainfo()
    }

    /// The swarm of a torrent.
    pub fn info_hash(&self, torrent: TorrentId) -> Option<InfoHash> {
        Some(self.torrents.get(&torrent)?.info_hash())
    }

    /// The magnet link to share: hash, name, trackers, web seeds.
    pub fn magnet(&self, torrent: TorrentId) -> Option<String> {
        let torrent = self.torrents.get(&torrent)?;
        let mut magnet = Magnet::new(torrent.info_hash());
        magnet.name = torrent.metainfo().map(|metainfo| metainfo.name.clone());
        magnet.trackers = torrent.trackers().to_vec();
        magnet.web_seeds = torrent.web_seeds();
        Some(magnet.to_string())
    }

    /// Checks every invariant; the simulator and the fuzzers call it after each step.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        assert!(self.links.len() <= self.limits.links_max);
        for (id, torrent) in &self.torrents {
            torrent.check();
            assert_eq!(self.links.count(*id, |stage| *stage == Stage::Open), torrent.peers(), "links of {id:?}");
        }
    }
}

fn bad(code: &'static str, error: &impl std::fmt::Display) -> CommandError {
    CommandError::new(code, error.to_string())
}

fn unknown_torrent() -> CommandError {
    CommandError::new("unknown-torrent", "This torrent is not here any more.")
}

fn no_such_file() -> CommandError {
    CommandError::new("no-such-file", "The torrent has no such file.")
}
