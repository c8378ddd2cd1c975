//! The world around the engine, driven by the script, and its oracles.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swarmreel::engine::{Action, Command, Event, Input, Limits, Output, Reply, Source};
use swarmreel::ids::{LinkId, PlayId, ReadId, TorrentId};
use swarmreel::wire::Message;

use super::message;
use super::web::{self, Web};
use crate::case::{CASES, Case, peer_id};
use crate::driver::{Driver, TRACKER};
use crate::far::Far;
use crate::script::Script;

/// Peers at once.
const PEERS_MAX: usize = 5;

/// A byte range being read, as the engine should deliver it.
struct Reading {
    at: u64,
    end: u64,
    credit: u64,
}

pub(super) struct World {
    driver: Driver,
    case: &'static Case,
    torrent: TorrentId,
    fars: Vec<Far>,
    /// Pieces whose hash the engine has seen to be right, once at least.
    verified: Vec<bool>,
    stores: VecDeque<u32>,
    loads: VecDeque<u32>,
    reads: BTreeMap<ReadId, Reading>,
    plays: Vec<PlayId>,
    web: Web,
    /// Bytes that came in.
    input: usize,
    /// Payload that came in, was verified, and went out to peers that are gone.
    fed: u64,
    stored: u64,
    sent: u64,
}

/// Limits so low that a short script meets them.
fn limits() -> Limits {
    Limits {
        link_buffer_high: 40_000,
        link_buffer_low: 20_000,
        request_queue_max: 6,
        pipeline_first: 3,
        control_per_second_max: 30,
        has_resets_max: 4,
        invalid_requests_max: 3,
        waste_max: 20_000,
        upload_slots_min: 1,
        upload_slots_max: 2,
        newcomer_slots: 1,
        metadata_bytes_max: 100_000,
        partial_bytes_max: 20_000,
        cache_bytes_max: 2000,
        check_bytes_at_once: 1000,
        deliver_bytes_max: 100,
        web_run_bytes_min: 1000,
        web_run_bytes_max: 20_000,
        urgent_bytes: 1000,
        ahead_bytes: 2000,
        play_ahead_bytes: 3000,
        allowed_fast_after: Duration::from_secs(1),
        ..Limits::default()
    }
}

impl World {
    /// A torrent known by its link, by its file, half stored, or complete, and a few peers.
    pub(super) fn new(script: &mut Script<'_>) -> Self {
        let case = &CASES[script.below(CASES.len())];
        let mut driver = Driver::new(limits());
        let start = script.below(5);
        let trackers = vec![TRACKER.to_owned()];
        let web_seeds = vec![web::URL.to_owned(); usize::from(script.flag())];
        let command = match start {
            0 => Command::Add { source: Source::Text(case.metainfo.info_hash.to_hex()), trackers, web_seeds },
            1 | 2 => Command::Add { source: Source::Torrent(case.torrent.clone()), trackers, web_seeds },
            _ => Command::Seed { metainfo: Box::new(case.metainfo.clone()), trackers, super_seed: start == 4 },
        };
        let Ok(Reply::Torrent(torrent)) = driver.engine.command(driver.now, command) else { panic!("it is added") };
        let mut world = Self {
            driver,
            case,
            torrent,
            fars: Vec::new(),
            verified: vec![start > 2; case.pieces() as usize],
            stores: VecDeque::new(),
            loads: VecDeque::new(),
            reads: BTreeMap::new(),
            plays: Vec::new(),
            web: Web::default(),
            input: case.content.len() + case.metainfo.info.len(),
            fed: 0,
            stored: 0,
            sent: 0,
        };
        if start == 1 {
            world.driver.handle(Input::StoreOpened { torrent, info: None, have: None });
        }
        if start == 2 {
            let have = vec![0xff; case.pieces().div_ceil(8) as usize];
            let have = if script.flag() { have } else { script.take(2).to_vec() };
            world.driver.handle(Input::StoreOpened { torrent, info: None, have: Some(&have) });
        }
        world.settle();
        for _ in 0..=script.below(PEERS_MAX) {
            world.connect(script);
        }
        world
    }

    /// One thing happens.
    pub(super) fn step(&mut self, script: &mut Script<'_>) {
        match script.below(28) {
            0..=8 => self.speak(script),
            9..=12 => self.answer(script),
            13 => self.driver.sleep(Duration::from_millis(100 * u64::from(script.byte()))),
            14 => self.driver.sleep(Duration::from_secs(u64::from(script.byte()))),
            15 | 16 => self.command(script),
            17 => self.store(script),
            18 => self.load(script),
            19 => self.drain_link(script),
            20 => self.reconnect(script),
            21 => self.player(script),
            22 => self.late(script),
            23..=25 => {
                let body = self.web.step(script, &mut self.driver, self.case);
                self.input += body;
                self.fed += body as u64;
            }
            26 => self.network(script),
            _ => self.garbage(script),
        }
        self.settle();
        self.driver.engine.check();
        self.check_sums();
    }

    /// The bytes that came in.
    pub(super) fn end(mut self) -> usize {
        let _ = self.driver.engine.command(self.driver.now, Command::Remove { torrent: self.torrent, forget: true });
        self.settle();
        self.driver.engine.check();
        self.input
    }

    // ---- what happens

    fn data(&mut self, link: LinkId, bytes: &[u8]) {
        self.input += bytes.len();
        self.driver.handle(Input::LinkData(link, bytes));
    }

    fn speak(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.fars.len());
        let Some(far) = self.fars.get_mut(at) else { return };
        let bytes = message::next(script, far, self.case);
        if let [_, _, _, _, 7, rest @ ..] = &bytes[..] {
            self.fed += rest.len().saturating_sub(8) as u64;
        }
        let link = far.link;
        self.data(link, &bytes);
    }

    /// A peer sends what it was asked for first: mostly right, mostly whole.
    fn answer(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.fars.len());
        let Some(far) = self.fars.get_mut(at).filter(|far| !far.asked.is_empty()) else { return };
        let request = far.asked.remove(0);
        let link = far.link;
        let mut data = self.case.block(request.piece, request.begin, request.length).expect("it was checked").to_vec();
        match script.below(8) {
            0 => data[0] ^= 1,
            1 => drop(data.pop()),
            _ => {}
        }
        self.fed += data.len() as u64;
        let block = Message::Piece { piece: request.piece, begin: request.begin, data: &data }.to_bytes();
        self.data(link, &block);
    }

    fn garbage(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.fars.len());
        let Some(link) = self.fars.get(at).map(|far| far.link) else { return };
        let length = script.below(40);
        let bytes = script.take(length);
        // It may complete a block.
        self.fed += bytes.len() as u64;
        self.data(link, bytes);
    }

    fn connect(&mut self, script: &mut Script<'_>) {
        if self.fars.len() >= PEERS_MAX {
            return;
        }
        // Six ids: two links to one peer, and one who comes back, are common.
        let peer = script.below(6);
        let (link, outputs) = self.driver.connect(&self.case.offers[peer]);
        let Some(link) = link else { return self.carry_out(outputs) };
        self.fars.push(Far::new(link, self.case.pieces()));
        self.carry_out(outputs);
        if let Some(far) = self.fars.iter_mut().find(|far| far.link == link) {
            let hello = message::handshake(script, far, self.case, peer_id(peer));
            self.data(link, &hello);
        }
        self.settle();
    }

    fn reconnect(&mut self, script: &mut Script<'_>) {
        let at = script.below(8);
        match self.fars.get(at).map(|far| far.link) {
            Some(link) => {
                self.driver.handle(Input::LinkClosed(link));
                self.forget(link);
            }
            None if at == 7 => {
                if let Some(socket) = self.driver.socket {
                    self.driver.handle(Input::SocketClosed { socket, code: 1006, reason: "" });
                }
            }
            None => self.connect(script),
        }
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let torrent = self.torrent;
        let files = self.case.metainfo.files.len();
        let command = match script.below(8) {
            0 | 1 => {
                let start = u64::from(script.u16());
                let end = start + u64::from(script.u16());
                Command::Read { torrent, file: script.below(files + 1), range: start..end }
            }
            2 | 3 => match self.reads.iter_mut().next() {
                Some((read, reading)) => {
                    let credit = u64::from(script.u16());
                    reading.credit += credit;
                    Command::ReadMore { read: *read, credit }
                }
                None => return,
            },
            4 => match self.reads.pop_first() {
                Some((read, _)) => Command::CloseRead { read },
                None => return,
            },
            5 => Command::Play { torrent, file: [None, Some(0), Some(1), Some(9)][script.below(4)] },
            6 => match self.plays.pop() {
                Some(play) => Command::Stop { play },
                None => return,
            },
            _ if script.below(4) == 0 => {
                self.verified.fill(true);
                let metainfo = Box::new(self.case.metainfo.clone());
                Command::Seed { metainfo, trackers: Vec::new(), super_seed: script.flag() }
            }
            _ => {
                let source = Source::Torrent(self.case.torrent.clone());
                Command::Add { source, trackers: Vec::new(), web_seeds: Vec::new() }
            }
        };
        let reading = if let Command::Read { file, range, .. } = &command { self.reading(*file, range) } else { None };
        match self.driver.engine.command(self.driver.now, command) {
            Ok(Reply::Play(play)) => self.plays.push(play),
            Ok(Reply::Read(read)) => drop(self.reads.insert(read, reading.expect("only files that exist are read"))),
            _ => {}
        }
    }

    /// What a read of these bytes of a file should deliver.
    fn reading(&self, file: usize, range: &std::ops::Range<u64>) -> Option<Reading> {
        let file = self.case.metainfo.files.get(file)?;
        let place = |at: u64| file.offset + at.min(file.length);
        Some(Reading { at: place(range.start), end: place(range.end), credit: 0 })
    }

    fn store(&mut self, script: &mut Script<'_>) {
        let Some(piece) = self.stores.pop_front() else { return };
        let fails = script.below(4) == 0;
        let torrent = self.torrent;
        self.driver.handle(if fails { Input::StoreFailed(torrent, piece) } else { Input::Stored(torrent, piece) });
    }

    /// The store gives what it was asked for. Of pieces that the engine has not hashed yet, it may give anything.
    fn load(&mut self, script: &mut Script<'_>) {
        let Some(piece) = self.loads.pop_front() else { return };
        let mut bytes = self.case.piece(piece).to_vec();
        let trusted = &mut self.verified[piece as usize];
        match script.below(8) {
            0 => return self.driver.handle(Input::LoadFailed(self.torrent, piece)),
            1 => drop(bytes.pop()),
            2 if !*trusted => bytes[0] ^= 1,
            _ => *trusted = true,
        }
        self.input += bytes.len();
        self.driver.handle(Input::Loaded(self.torrent, piece, &bytes));
    }

    fn drain_link(&mut self, script: &mut Script<'_>) {
        let at = script.below(self.fars.len());
        let Some(link) = self.fars.get(at).map(|far| far.link) else { return };
        self.driver.handle(Input::LinkDrained { link, buffered: script.below(3) * 20_000 });
    }

    fn player(&mut self, script: &mut Script<'_>) {
        let Some(play) = self.plays.last().copied() else { return };
        let time = Duration::from_millis(u64::from(script.u16()));
        match script.below(3) {
            0 => self.driver.handle(Input::MediaSupport(play, &[script.flag(), script.flag()])),
            1 => self.driver.handle(Input::Position { play, time, buffered_to: time }),
            _ => self.driver.handle(Input::Seek { play, to: time }),
        }
    }

    fn network(&mut self, script: &mut Script<'_>) {
        match self.fars.get(script.below(8)).map(|far| far.link) {
            Some(link) => self.driver.handle(Input::LinkReachable { link, reachable: script.flag() }),
            None => self.driver.handle(Input::NetworkChanged),
        }
    }

    /// Facts about what the engine does not know any more, or never did.
    fn late(&mut self, script: &mut Script<'_>) {
        let (torrent, piece) = (self.torrent, script.u32() % (self.case.pieces() + 2));
        match script.below(6) {
            0 => self.driver.handle(Input::Stored(TorrentId(99), piece)),
            1 => self.driver.handle(Input::LoadFailed(torrent, piece)),
            2 => self.driver.handle(Input::LinkData(LinkId(9999), &[1])),
            3 => self.driver.handle(Input::StoreOpened { torrent, info: Some(&[7; 50]), have: Some(script.take(2)) }),
            4 => self.driver.handle(Input::MediaSupport(PlayId(9999), &[true])),
            _ => self.driver.handle(Input::LinkClosed(LinkId(9999))),
        }
    }

    // ---- what comes of it

    fn settle(&mut self) {
        let outputs = self.driver.drain();
        self.carry_out(outputs);
    }

    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Do(Action::Send { link, bytes }) => {
                    let far = self.fars.iter_mut().find(|far| far.link == link).expect("only open links are sent to");
                    far.hear(&bytes, self.case, &self.verified);
                }
                Output::Do(Action::CloseLink(link)) => self.forget(link),
                Output::Do(Action::Store { piece, bytes, .. }) => {
                    assert!(bytes == self.case.piece(piece), "what is stored is the content");
                    self.verified[piece as usize] = true;
                    self.stored += bytes.len() as u64;
                    self.stores.push_back(piece);
                }
                Output::Do(action @ (Action::Fetch { .. } | Action::CancelFetch(_))) => {
                    self.web.note(&action, self.case);
                }
                Output::Do(Action::Load { piece, .. }) => self.loads.push_back(piece),
                Output::Do(Action::Deliver { read, bytes, last }) => self.delivered(read, &bytes, last),
                Output::Do(Action::SizeStore { info, .. }) => assert_eq!(info, self.case.metainfo.info),
                Output::Tell(Event::Done(_)) => assert!(self.verified.iter().all(|verified| *verified)),
                Output::Do(_) | Output::Tell(_) => {}
            }
        }
    }

    fn delivered(&mut self, read: ReadId, bytes: &[u8], last: bool) {
        let reading = self.reads.get_mut(&read).expect("only open reads are delivered to");
        let end = reading.at + bytes.len() as u64;
        assert!(end <= reading.end && bytes.len() as u64 <= reading.credit, "more than asked for, or allowed");
        assert!(bytes == &self.case.content[reading.at as usize..end as usize], "what is delivered is the content");
        reading.at = end;
        reading.credit -= bytes.len() as u64;
        assert_eq!(last, reading.at == reading.end);
        if last {
            self.reads.remove(&read);
        }
    }

    fn forget(&mut self, link: LinkId) {
        if let Some(at) = self.fars.iter().position(|far| far.link == link) {
            self.sent += self.fars.remove(at).received;
        }
    }

    /// Payload bytes add up: what came in was wasted, verified, or is not a whole piece yet.
    fn check_sums(&self) {
        let Some(stats) = self.driver.engine.stats(self.driver.now, self.torrent) else { return };
        assert!(stats.downloaded <= self.fed, "{} bytes counted of {}", stats.downloaded, self.fed);
        assert!(stats.wasted + self.stored <= stats.downloaded, "a byte is wasted or verified, once");
        let sent = self.sent + self.fars.iter().map(|far| far.received).sum::<u64>();
        assert!(sent <= stats.uploaded, "{sent} bytes were sent, {} counted", stats.uploaded);
        assert!(stats.verified <= stats.length && stats.peers.len() <= self.fars.len());
    }
}
