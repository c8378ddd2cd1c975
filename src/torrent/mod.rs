//! One swarm: resolving metadata, exchanging pieces, playing and reading.
//!
//! Invariant: whatever a peer does, the worst that comes of it is that its link is dropped, with a reason.

mod bans;
mod cache;
mod choking;
mod content;
mod download;
mod exchange;
mod extended;
mod links;
mod play;
mod read;
mod resolve;
mod superseed;
mod upload;
mod web;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::time::Duration;

use bans::Bans;
use content::Content;
pub use links::Verdict;
use play::Play;
use read::Read;
use resolve::Resolver;
use superseed::SuperSeed;
use web::Web;
use wishes::Wants;

use crate::choker::Choker;
use crate::ids::{InfoHash, LinkId, PeerId, PlayId, ReadId, TorrentId};
use crate::limits::Limits;
use crate::metainfo::Metainfo;
use crate::output::{Action, Event, Output, PeerStats, Stats};
use crate::peer::{Peer, Rate};
use crate::time::Moment;

/// A link was closed, or must be: why, in a word for a person.
type Drop = &'static str;

/// One torrent and its peers.
#[derive(Debug)]
pub struct Torrent {
    id: TorrentId,
    info_hash: InfoHash,
    /// Our id in handshakes.
    peer_id: PeerId,
    limits: Limits,
    shuffle: u32,
    phase: Phase,
    /// For the metadata, once it comes from peers.
    trackers: Vec<String>,
    web: Web,
    /// What the store claims, until the metadata says how to read it.
    claimed: Option<Vec<u8>>,
    peers: BTreeMap<LinkId, Peer>,
    choker: Choker,
    super_seed: Option<SuperSeed>,
    /// Greetings say that we only upload (BEP 21).
    upload_only: bool,
    /// For whom a piece was loaded last: the others' turn comes before.
    loaded_for: LinkId,
    bans: Bans,
    plays: BTreeMap<PlayId, Play>,
    /// Asked for before the metadata was known.
    early_plays: Vec<(PlayId, Option<usize>)>,
    reads: BTreeMap<ReadId, Read>,
    /// Links to look at before the next drain: something to send, or to ask for.
    dirty: BTreeSet<LinkId>,
    /// A player or reader moved, or pieces came: what is wanted must be looked at again.
    moved: bool,
    /// How much of a link's rate is asked ahead: less while somebody plays.
    span: Duration,
    down: Rate,
    up: Rate,
    wasted: u64,
    outbox: Vec<Output>,
    closed: Vec<LinkId>,
    judged: Vec<(LinkId, Verdict)>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a torrent")]
enum Phase {
    Resolving(Resolver),
    Sharing(Content),
}

/// How the content begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Nothing is there.
    Empty,
    /// Everything is.
    Seed,
    /// Everything is, and shown to the others a piece at a time (BEP 16).
    SuperSeed,
}

/// What a torrent is made from.
#[derive(Clone, Debug)]
pub struct Seedling {
    /// Its name in this engine.
    pub id: TorrentId,
    /// The swarm.
    pub info_hash: InfoHash,
    /// Our id in handshakes.
    pub peer_id: PeerId,
    /// Announced in magnets and metadata.
    pub trackers: Vec<String>,
    /// Drawn: makes the order of rare pieces differ between peers, and decides who is lucky.
    pub shuffle: u32,
}

impl Torrent {
    /// A torrent of which only the hash is known.
    pub fn resolve(seedling: Seedling, limits: &Limits) -> Self {
        Self {
            id: seedling.id,
            info_hash: seedling.info_hash,
            peer_id: seedling.peer_id,
            limits: limits.clone(),
            shuffle: seedling.shuffle,
            phase: Phase::Resolving(Resolver::new(seedling.info_hash)),
            trackers: seedling.trackers,
            web: Web::default(),
            claimed: None,
            peers: BTreeMap::new(),
            choker: Choker::new(seedling.shuffle, limits),
            super_seed: None,
            upload_only: false,
            loaded_for: LinkId(0),
            bans: Bans::default(),
            span: limits.pipeline_span,
            plays: BTreeMap::new(),
            early_plays: Vec::new(),
            reads: BTreeMap::new(),
            dirty: BTreeSet::new(),
            moved: false,
            down: Rate::default(),
            up: Rate::default(),
            wasted: 0,
            outbox: Vec::new(),
            closed: Vec::new(),
            judged: Vec::new(),
        }
    }

    /// The metadata is known from the start, by a `.torrent` file.
    pub fn know(&mut self, now: Moment, metainfo: Metainfo) {
        if matches!(self.phase, Phase::Resolving(_)) {
            self.begin(now, metainfo, Start::Empty);
        }
    }

    /// Everything is in the driver's store from now on: from the start, or because the user has the file of what was being
    /// downloaded. `super_seed` only counts from the start: who knows what we have can't be told otherwise.
    pub fn seed(&mut self, now: Moment, metainfo: Metainfo, super_seed: bool) {
        if matches!(self.phase, Phase::Resolving(_)) {
            self.begin(now, metainfo, if super_seed { Start::SuperSeed } else { Start::Seed });
            return;
        }
        self.take_all_back(now);
        let Phase::Sharing(content) = &mut self.phase else { return };
        for piece in content.keep_all() {
            self.announce_piece(now, piece);
        }
        self.moved = true;
        self.completed();
    }

    /// The metadata is checked: from now on there are pieces.
    fn begin(&mut self, now: Moment, metainfo: Metainfo, start: Start) {
        let mut content = Content::new(metainfo, self.shuffle);
        if start == Start::Empty {
            let (torrent, info) = (self.id, content.metainfo.info.clone());
            let (length, piece_length) = (content.metainfo.length, content.metainfo.piece_length);
            self.outbox.push(Output::Do(Action::SizeStore { torrent, info, length, piece_length }));
        } else {
            content.pieces.keep_all();
        }
        if start == Start::SuperSeed {
            self.super_seed = Some(SuperSeed::new(content.pieces.geometry().pieces()));
        }
        if let Some(claimed) = self.claimed.take() {
            content.claim(&claimed);
        }
        self.phase = Phase::Sharing(content);
        self.upload_only = start == Start::Seed;
        self.outbox.push(Output::Tell(Event::Ready(self.id)));
        self.learn_pieces(now);
        self.learn_layout();
        for (play, file) in std::mem::take(&mut self.early_plays) {
            self.play(now, play, file);
        }
        self.moved = true;
        self.completed();
    }

    // ---- what the engine asks

    /// The swarm.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The metadata, once known.
    pub fn metainfo(&self) -> Option<&Metainfo> {
        self.content().map(|content| &content.metainfo)
    }

    /// Announced in magnets and metadata.
    pub fn trackers(&self) -> &[String] {
        &self.trackers
    }

    /// One more tracker to announce in magnets.
    pub fn add_tracker(&mut self, url: String) {
        if !self.trackers.contains(&url) {
            self.trackers.push(url);
        }
    }

    /// Every piece is verified.
    pub fn is_complete(&self) -> bool {
        self.content().is_some_and(Content::is_complete)
    }

    /// Bytes still missing; `None` while the metadata is unknown.
    pub fn left(&self) -> Option<u64> {
        self.content().map(|content| content.metainfo.length - content.pieces.verified_bytes())
    }

    /// Payload bytes received and sent.
    pub fn totals(&self) -> (u64, u64) {
        (self.down.total(), self.up.total())
    }

    /// Number of open links.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// What came of the last calls, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output> {
        self.outbox.drain(..)
    }

    /// Links that this torrent closed since the last call.
    pub fn take_closed(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.closed)
    }

    /// What may be shown. `trackers` and `connecting` are the engine's to fill in.
    pub fn stats(&self, now: Moment) -> Stats {
        let mut stats = Stats {
            downloaded: self.down.total(),
            uploaded: self.up.total(),
            download_speed: self.down.per_second(now),
            upload_speed: self.up.per_second(now),
            wasted: self.wasted,
            peers: self.peers.values().filter_map(|peer| peer_stats(peer, now)).collect(),
            web_seeds: self.web_seed_stats(now),
            ..Stats::default()
        };
        if let Some(content) = self.content() {
            stats.verified = content.pieces.verified_bytes();
            stats.length = content.metainfo.length;
            let files = content.metainfo.files.iter();
            stats.files_verified =
                files.map(|file| content.verified_in(file.offset..file.offset + file.length)).collect();
        }
        stats
    }

    fn content(&self) -> Option<&Content> {
        if let Phase::Sharing(content) = &self.phase { Some(content) } else { None }
    }

    // ---- the store

    /// What an earlier session left of the content.
    pub fn store_opened(&mut self, now: Moment, info: Option<&[u8]>, have: Option<&[u8]>) {
        self.web.open();
        match &mut self.phase {
            Phase::Sharing(content) => content.claim(have.unwrap_or_default()),
            Phase::Resolving(_) => {
                self.claimed = have.map(<[u8]>::to_vec);
                self.resolved(now, info.unwrap_or_default().to_vec());
            }
        }
        self.check_stored();
    }

    /// An info dictionary, from the store or from peers: taken if its hash is right.
    fn resolved(&mut self, now: Moment, info: Vec<u8>) {
        if crate::hash::sha1(&info) != self.info_hash.0 {
            return;
        }
        match Metainfo::from_info(info, self.trackers.clone(), self.web_seeds()) {
            Ok(metainfo) => self.begin(now, metainfo, Start::Empty),
            Err(error) => {
                let (torrent, message) = (self.id, format!("The torrent's own description is unusable: {error}."));
                self.outbox.push(Output::Tell(Event::Failed { torrent, code: "bad-torrent", message }));
            }
        }
    }

    fn warn(&mut self, code: &'static str, message: String) {
        self.outbox.push(Output::Tell(Event::Warning { torrent: self.id, code, message }));
    }

    /// A piece is in the store.
    pub fn stored(&mut self, index: u32) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        if let Some(piece) = content.pieces.geometry().piece(index) {
            content.stored(piece);
        }
    }

    /// A piece could not be stored.
    pub fn store_failed(&mut self, index: u32) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let Some(piece) = content.pieces.geometry().piece(index) else { return };
        let first = !content.storage_full;
        content.store_failed(piece);
        self.moved = true;
        if first {
            let words = "There is no room to store more. What is played is still fetched; the rest has to wait.";
            self.warn("storage-full", words.to_string());
        }
    }

    /// A piece was loaded, or (`None`) could not be.
    pub fn loaded(&mut self, now: Moment, index: u32, bytes: Option<&[u8]>) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let Some(piece) = content.pieces.geometry().piece(index) else { return };
        let proven = content.pieces.has(piece);
        match bytes {
            Some(bytes) if content.loaded(piece, bytes, &self.limits) => {
                if !proven && content.pieces.has(piece) {
                    self.announce_piece(now, piece);
                }
            }
            _ => {
                content.lose(piece);
                if proven {
                    let words = "A stored piece is gone or changed; it is fetched again.";
                    self.warn("storage-lost", words.to_string());
                }
            }
        }
        self.settle_lost(now);
        self.moved = true;
        self.dirty.extend(self.peers.keys());
        self.completed();
    }

    /// Hashes a few more of the pieces that an earlier session stored.
    pub fn check_stored(&mut self) {
        if let Phase::Sharing(content) = &mut self.phase {
            content.check_claims(self.id, &self.limits, &mut self.outbox);
        }
    }

    /// Stored pieces are still to be hashed: wake soon.
    pub fn is_checking(&self) -> bool {
        self.content().is_some_and(Content::is_checking)
    }

    fn completed(&mut self) {
        if let Phase::Sharing(content) = &mut self.phase
            && content.is_complete()
            && !std::mem::replace(&mut content.completed, true)
        {
            self.outbox.push(Output::Tell(Event::Done(self.id)));
            self.renew_greeting();
        }
    }

    // ---- playing and reading

    /// Begins to play a file, or the one that looks most playable.
    pub fn play(&mut self, now: Moment, play: PlayId, file: Option<usize>) {
        let Phase::Sharing(content) = &self.phase else {
            self.early_plays.push((play, file));
            return;
        };
        let files = &content.metainfo.files;
        let entry = file.or_else(|| most_playable(&content.metainfo)).and_then(|index| files.get(index));
        match entry {
            Some(entry) => {
                let name = entry.path.last().map_or("", String::as_str);
                self.plays.insert(play, Play::new(now, play, name, entry.offset..entry.offset + entry.length));
                self.moved = true;
                self.advance(now);
                self.cancel_unwanted(now);
            }
            None => {
                let message = "This torrent has no such file to play.".to_string();
                self.outbox.push(Output::Tell(Event::PlayFailed { play, code: "no-such-file", message }));
            }
        }
    }

    /// Ends a play.
    pub fn stop(&mut self, play: PlayId) {
        self.early_plays.retain(|(early, _)| *early != play);
        self.plays.remove(&play);
        self.moved = true;
    }

    /// The browser can play these tracks.
    pub fn media_support(&mut self, play: PlayId, playable: &[bool]) {
        if let Some(play) = self.plays.get_mut(&play) {
            play.choose(playable, &mut self.outbox);
            self.moved = true;
        }
    }

    /// The player stands here.
    pub fn position(&mut self, now: Moment, play: PlayId, time: Duration) {
        if let Some(play) = self.plays.get_mut(&play) {
            play.moved(now, time);
            self.moved = true;
        }
    }

    /// The user jumped.
    pub fn seek(&mut self, now: Moment, play: PlayId, to: Duration) {
        if let Some(play) = self.plays.get_mut(&play) {
            play.seek(now, to);
            self.moved = true;
            self.advance(now);
            self.cancel_unwanted(now);
        }
    }

    /// Begins to read bytes of a file. `None` if the metadata is unknown or there is no such file.
    pub fn read(&mut self, read: ReadId, file: usize, range: Range<u64>) -> Option<()> {
        let entry = self.content()?.metainfo.files.get(file)?;
        let place = |at: u64| entry.offset + at.min(entry.length);
        let range = place(range.start)..place(range.end.max(range.start));
        self.reads.insert(read, Read::new(read, range));
        self.moved = true;
        Some(())
    }

    /// A read may deliver more.
    pub fn read_more(&mut self, read: ReadId, credit: u64) {
        if let Some(read) = self.reads.get_mut(&read) {
            read.allow(credit);
            self.moved = true;
        }
    }

    /// Ends a read.
    pub fn close_read(&mut self, read: ReadId) {
        self.reads.remove(&read);
        self.moved = true;
    }

    /// Plays and reads take what is there; then what they wait for is wished for.
    fn advance(&mut self, now: Moment) {
        self.moved = false;
        let Phase::Sharing(content) = &mut self.phase else { return };
        for play in self.plays.values_mut() {
            play.advance(self.id, content, &self.limits, &mut self.outbox);
        }
        for read in self.reads.values_mut() {
            read.advance(self.id, content, &self.limits, &mut self.outbox);
        }
        self.reads.retain(|_, read| !read.ended);
        let mut limits = self.limits.clone();
        if content.storage_full {
            // When nothing more can be stored, what is fetched ahead must fit in the cache until it is used.
            limits.ahead_bytes = limits.cache_bytes_max as u64 / 4;
        }
        let plays = self.plays.values().any(|play| play.is_live(now, &limits));
        self.span = if plays { limits.pipeline_span_playing } else { limits.pipeline_span };
        let live = self.plays.values().filter(|play| play.is_live(now, &limits)).map(|play| play.wants(&limits));
        let wants: Vec<Wants> = live.chain(self.reads.values().map(|read| read.wants(&limits))).collect();
        let wishes = wishes::wishes(content, wants);
        if wishes != content.wishes {
            content.wishes = wishes;
            self.web.stir();
            self.dirty.extend(self.peers.keys());
        }
    }

    // ---- time

    /// Called a few times a second: what is late, silent or due.
    pub fn tick(&mut self, now: Moment) {
        self.check_stored();
        self.tick_peers(now);
        self.pass_over_slow_sources(now);
        // A player that does not move may be paused by now.
        self.moved |= !self.plays.is_empty();
        self.tick_web(now);
        if let Phase::Resolving(resolver) = &mut self.phase {
            resolver.expire(now, &self.limits);
            self.request_metadata(now);
        }
        self.dirty.extend(self.peers.keys());
    }

    /// Before a drain: everything that the inputs since the last one brought is turned into messages.
    pub fn flush(&mut self, now: Moment) {
        if self.moved {
            self.advance(now);
        }
        let mut turn = self.loaded_for;
        while let Some(link) = self.next_dirty(turn) {
            turn = link;
            self.refill(now, link);
            self.serve(now, link);
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            while let Some(bytes) = peer.next_message(&self.limits, now) {
                self.outbox.push(Output::Do(Action::Send { link, bytes }));
            }
        }
        self.fetch_more(now);
    }

    /// The next link to look at, in a round that begins after the one for which a piece was loaded last.
    fn next_dirty(&mut self, after: LinkId) -> Option<LinkId> {
        let later = self.dirty.range((Bound::Excluded(after), Bound::Unbounded)).next();
        let next = later.or(self.dirty.first()).copied()?;
        self.dirty.remove(&next);
        Some(next)
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        let Some(content) = self.content() else { return };
        content.check();
        self.check_web();
        for peer in self.peers.values() {
            assert!(peer.uploads.len() <= self.limits.request_queue_max);
            assert!(content.pieces.outstanding(peer.link) <= self.limits.request_queue_max);
            if let crate::peer::Has::Known(bits) = &peer.has {
                let useful = bits.iter().filter(|index| !content.pieces.have().has(*index)).count();
                assert_eq!(peer.useful as usize, useful, "useful pieces of {:?}", peer.link);
            }
        }
    }
}

/// The largest file that a player might take, by its name; else the largest.
fn most_playable(metainfo: &Metainfo) -> Option<usize> {
    const EXTENSIONS: [&str; 12] =
        ["mp4", "m4v", "mov", "webm", "mkv", "m4a", "mp3", "ogg", "opus", "flac", "wav", "aac"];
    let playable = |name: &str| {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
        EXTENSIONS.contains(&extension.as_str())
    };
    let files = metainfo.files.iter().enumerate().filter(|(_, file)| !file.padding);
    let rank = |file: &crate::metainfo::FileEntry| (file.path.last().is_some_and(|name| playable(name)), file.length);
    files.max_by_key(|(index, file)| (rank(file), usize::MAX - index)).map(|(index, _)| index)
}

fn peer_stats(peer: &Peer, now: Moment) -> Option<PeerStats> {
    Some(PeerStats {
        link: peer.link,
        peer_id: peer.peer_id()?,
        client: peer.client_name(),
        progress: peer.progress(),
        downloaded: peer.down.total(),
        uploaded: peer.up.total(),
        download_speed: peer.down.per_second(now),
        upload_speed: peer.up.per_second(now),
        unchoked_us: !peer.choking_us,
        interested_in_us: peer.interested_in_us,
    })
}
