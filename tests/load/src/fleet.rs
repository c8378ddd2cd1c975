//! Thousands of peers on one thread: connects them, sends their announces, answers every offer at once, and counts.
//!
//! Invariant: data flows one way. A scenario says what to do; what happened to a connection comes back as an
//! [`Event`], and what happened to messages as figures.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::arrivals::{self, Arrival};
use crate::figures::{Latencies, Traffic};
use crate::frame;
pub use crate::link::End;
use crate::link::{Link, Status};
use crate::message::{self, Identity, Incoming, OfferTag, Reader, Writer, hexadecimal};
use crate::sdp::Chance;
use crate::target::Target;

/// A connection whose output has piled up so high is not given announces: it is stuck.
const BACKLOG_MAX: usize = 512 << 10;
/// A close frame's code (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;
/// Announces sent in a row before the sockets are looked at again.
const BURST: usize = 32;

/// Who takes part.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Peers, one connection each.
    pub peers: u32,
    /// Torrents they are spread over.
    pub swarms: u32,
    /// One peer in so many has all bytes.
    pub seeder_in: u32,
    /// Peers that share a source address. Addresses are 127.x.y.z.
    pub per_address: u32,
    /// Size of an SDP.
    pub sdp_bytes: usize,
    /// The same seed makes the same peers.
    pub seed: u64,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its handshake is done.
    Opened(u32),
    /// The other side ended it.
    Ended(u32, End),
}

struct Peer {
    identity: Identity,
    from: Ipv4Addr,
    /// Others in its swarm that it has something to trade with, while everybody is there: two seeders have nothing.
    partners: u32,
    link: Option<Link>,
    has_announced: bool,
    /// When the announces were meant to leave that have no response yet.
    unanswered: VecDeque<u64>,
}

/// See the module.
pub struct Fleet {
    target: Target,
    epoll: OwnedFd,
    started: Instant,
    peers: Vec<Peer>,
    open: usize,
    writer: Writer,
    reader: Reader,
    events: Vec<Event>,
    /// Offers are answered; else they are only counted.
    pub answers: bool,
    /// Counts since the beginning.
    pub traffic: Traffic,
    /// Latencies of the present window.
    pub latencies: Latencies,
    ready: Vec<epoll::Event>,
    incoming: Vec<Incoming>,
    room: Vec<u8>,
    text: Vec<u8>,
    frames: Vec<u8>,
}

impl Fleet {
    /// A fleet without connections.
    ///
    /// # Errors
    /// The system has no epoll instance left.
    pub fn new(target: Target, crowd: &Crowd) -> io::Result<Self> {
        let chosen = arrivals::zipf(crowd.peers, crowd.swarms, crowd.seed);
        let mut peers: Vec<_> = (0..).zip(&chosen).map(|(number, swarm)| Peer::new(number, *swarm, crowd)).collect();
        introduce(&mut peers, &chosen, crowd.swarms);
        Ok(Self {
            target,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            started: Instant::now(),
            peers,
            open: 0,
            writer: Writer::new(crowd.sdp_bytes, Chance::new(crowd.seed)),
            reader: Reader::default(),
            events: Vec::new(),
            answers: true,
            traffic: Traffic::default(),
            latencies: Latencies::new(0..0),
            ready: Vec::with_capacity(1024),
            incoming: Vec::new(),
            room: vec![0; 256 << 10],
            text: Vec::new(),
            frames: Vec::new(),
        })
    }

    /// µs since the fleet was made.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Connections whose handshake is done.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Peers, connected or not.
    pub fn len(&self) -> u32 {
        u32::try_from(self.peers.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Whether this peer has a connection, open or on the way.
    pub fn is_connected(&self, peer: u32) -> bool {
        self.peers[peer as usize].link.is_some()
    }

    /// Whether this peer's handshake is done.
    pub fn is_open(&self, peer: u32) -> bool {
        self.peers[peer as usize].link.as_ref().is_some_and(Link::is_open)
    }

    /// What happened since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Begins to connect a peer. One that can't even begin ends at once.
    pub fn connect(&mut self, peer: u32) {
        let place = &mut self.peers[peer as usize];
        let link = Link::connect(&self.target, place.from).and_then(|link| {
            use epoll::EventFlags as On;
            let data = epoll::EventData::new_u64(peer.into());
            epoll::add(&self.epoll, &link, data, On::IN | On::OUT | On::RDHUP | On::ET)?;
            Ok(link)
        });
        match link {
            Ok(link) => place.link = Some(link),
            Err(error) => self.ended(peer, End::of(&error)),
        }
    }

    /// Says goodbye for a peer, as a page that is left does: `stopped`, then a close frame. The other side ends it.
    pub fn leave(&mut self, peer: u32) {
        let place = &mut self.peers[peer as usize];
        let Some(link) = place.link.as_mut().filter(|link| link.is_open()) else { return self.close(peer) };
        self.text.clear();
        let tag = OfferTag { moment: 0, peer, number: 0 };
        self.writer.announce(&mut self.text, &place.identity, message::Event::Stopped, tag, 0);
        self.frames.clear();
        frame::write(&mut self.frames, frame::TEXT, &self.text, self.writer.mask());
        frame::write(&mut self.frames, frame::CLOSE, &NORMAL.to_be_bytes(), self.writer.mask());
        if link.send(&self.frames).is_err() {
            self.ended(peer, End::Broken);
        }
    }

    /// Drops a peer's connection without a word, as a closed tab does.
    pub fn close(&mut self, peer: u32) {
        let peer = &mut self.peers[peer as usize];
        self.open -= usize::from(peer.link.take().is_some_and(|link| link.is_open()));
        peer.unanswered = VecDeque::new();
        peer.has_announced = false;
    }

    /// Makes somebody else of a peer that is not connected, with a client name of its own: one that begins as no client's
    /// does, so that it is new to every list of clients.
    pub fn rename(&mut self, peer: u32, chance: &mut Chance) {
        let id = &mut self.peers[peer as usize].identity.peer_id;
        id[1] = b'.';
        for place in &mut id[2..8] {
            *place = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-."[chance.within(0..64) as usize];
        }
        hexadecimal(&mut id[8..], chance.next());
    }

    /// Sends a peer's announce with so many offers, meant to leave at `meant` (µs).
    pub fn announce(&mut self, peer: u32, meant: u64, offers: u8) {
        let now = self.now();
        self.latencies.record(|all| &mut all.lateness, meant, now);
        let place = &mut self.peers[peer as usize];
        let Some(link) = place.link.as_mut().filter(|link| link.is_open() && link.backlog() < BACKLOG_MAX) else {
            self.traffic.withheld += 1;
            return;
        };
        let event = if place.has_announced { message::Event::Update } else { message::Event::Started };
        place.has_announced = true;
        self.traffic.offers_owed += u64::from(place.partners.min(offers.into()));
        place.unanswered.push_back(meant);
        self.text.clear();
        self.writer.announce(
            &mut self.text,
            &place.identity,
            event,
            OfferTag { moment: meant, peer, number: 0 },
            offers,
        );
        self.frames.clear();
        frame::write(&mut self.frames, frame::TEXT, &self.text, self.writer.mask());
        self.traffic.announces += 1;
        self.traffic.offers += u64::from(offers);
        if link.send(&self.frames).is_err() {
            self.ended(peer, End::Broken);
        }
    }

    /// Of so many offers of a peer, how many have somebody to go to.
    pub fn owed(&self, peer: u32, offers: u8) -> u64 {
        self.peers[peer as usize].partners.min(offers.into()).into()
    }

    /// Bytes that a peer's socket has not taken yet.
    pub fn backlog(&self, peer: u32) -> usize {
        self.peers[peer as usize].link.as_ref().map_or(0, Link::backlog)
    }

    /// Handles what the sockets have, waiting for that until `until` (µs) at most.
    ///
    /// # Errors
    /// None that a correct program meets.
    pub fn turn(&mut self, until: u64) -> io::Result<()> {
        let wait = Duration::from_micros(until.saturating_sub(self.now()));
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let mut ready = std::mem::take(&mut self.ready);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in ready.drain(..) {
            let (peer, flags) = (event.data.u64() as u32, event.flags);
            if let Err(end) = self.serve(peer, flags) {
                self.ended(peer, end);
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Keeps to a schedule that begins at `start` (µs), until its end.
    ///
    /// # Errors
    /// As [`Fleet::turn`].
    pub fn keep(&mut self, start: u64, schedule: &[Arrival], offers: u8) -> io::Result<()> {
        let mut schedule = schedule.iter().peekable();
        while let Some(next) = schedule.peek() {
            self.turn(start + next.at)?;
            for _ in 0..BURST {
                let Some(due) = schedule.next_if(|arrival| start + arrival.at <= self.now()) else { break };
                self.announce(due.peer, start + due.at, offers);
            }
        }
        Ok(())
    }

    /// Does nothing of its own until `until` (µs).
    ///
    /// # Errors
    /// As [`Fleet::turn`].
    pub fn rest(&mut self, until: u64) -> io::Result<()> {
        while self.now() < until {
            self.turn(until)?;
        }
        Ok(())
    }

    fn serve(&mut self, peer: u32, flags: epoll::EventFlags) -> Result<(), End> {
        use epoll::EventFlags as On;
        let place = &mut self.peers[peer as usize];
        let Some(link) = &mut place.link else { return Ok(()) };
        if flags.contains(On::OUT) || link.backlog() > 0 {
            link.flush().map_err(|error| End::of(&error))?;
        }
        if !flags.intersects(On::IN | On::HUP | On::RDHUP | On::ERR) {
            return Ok(());
        }
        let Self { reader, incoming, frames, writer, room, .. } = self;
        incoming.clear();
        frames.clear();
        let is_ending = flags.intersects(On::HUP | On::RDHUP | On::ERR);
        let outcome = link.read(room, is_ending, |frame| match frame.opcode {
            frame::PING => frame::write(frames, frame::PONG, frame.payload, writer.mask()),
            frame::PONG => {}
            _ => incoming.push(reader.read(frame.payload)),
        });
        if let Ok(Status::Opened) = outcome {
            self.open += 1;
            self.events.push(Event::Opened(peer));
        }
        self.receive(peer).map_err(|_| End::Broken)?;
        outcome.map(drop)
    }

    /// Counts what came for a peer, and sends what it says to that.
    fn receive(&mut self, peer: u32) -> io::Result<()> {
        let incoming = std::mem::take(&mut self.incoming);
        let now = self.now();
        for message in &incoming {
            match *message {
                Incoming::Response => {
                    self.traffic.responses += 1;
                    if let Some(meant) = self.peers[peer as usize].unanswered.pop_front() {
                        self.latencies.record(|all| &mut all.response, meant, now);
                    }
                }
                Incoming::Failure => {
                    self.traffic.failures += 1;
                    self.peers[peer as usize].unanswered.pop_front();
                }
                Incoming::Offer { offer_id, from } => self.offered(peer, now, offer_id, from),
                Incoming::Answer { offer_id, moment } => {
                    self.traffic.answers_relayed += 1;
                    self.latencies.record(|all| &mut all.answer, moment, now);
                    match OfferTag::of(&offer_id).filter(|tag| tag.peer == peer) {
                        Some(tag) => self.latencies.record(|all| &mut all.round, tag.moment, now),
                        None => self.traffic.misdelivered += 1,
                    }
                }
                Incoming::Other => self.traffic.unknown += 1,
            }
        }
        self.incoming = incoming;
        match &mut self.peers[peer as usize].link {
            Some(link) if !self.frames.is_empty() => link.send(&self.frames),
            _ => Ok(()),
        }
    }

    fn offered(&mut self, peer: u32, now: u64, offer_id: message::Id, from: message::Id) {
        self.traffic.offers_relayed += 1;
        let Some(tag) = OfferTag::of(&offer_id).filter(|tag| tag.peer != peer) else {
            self.traffic.misdelivered += 1;
            return;
        };
        self.latencies.record(|all| &mut all.offer, tag.moment, now);
        if self.answers {
            self.text.clear();
            let identity = &self.peers[peer as usize].identity;
            self.writer.answer(&mut self.text, identity, &offer_id, &from, now);
            frame::write(&mut self.frames, frame::TEXT, &self.text, self.writer.mask());
            self.traffic.answers += 1;
        }
    }

    fn ended(&mut self, peer: u32, end: End) {
        self.close(peer);
        self.traffic.closed += 1;
        self.events.push(Event::Ended(peer, end));
    }
}

impl Peer {
    fn new(number: u32, swarm: u32, crowd: &Crowd) -> Self {
        let mut drawn = Chance::new(crowd.seed ^ u64::from(swarm) << 32);
        let mut info_hash = [0; 20];
        hexadecimal(&mut info_hash[..10], drawn.next());
        hexadecimal(&mut info_hash[10..], drawn.next());
        let mut peer_id = *b"-SR0001-____________";
        hexadecimal(&mut peer_id[8..], Chance::new(crowd.seed ^ u64::from(number)).next());
        let left = if number % crowd.seeder_in == crowd.seeder_in - 1 { 0 } else { 1_000_000_000 };
        let address = number / crowd.per_address;
        Self {
            identity: Identity { info_hash, peer_id, left },
            // From 127.1.0.1 up, ending in 1 to 250.
            from: Ipv4Addr::from(0x7f01_0000 + address / 250 * 256 + address % 250 + 1),
            partners: 0,
            link: None,
            has_announced: false,
            unanswered: VecDeque::new(),
        }
    }

    fn is_seeder(&self) -> bool {
        self.identity.left == 0
    }
}

/// Tells every peer how many partners it has: a seeder the leechers of its swarm, a leecher everybody else.
fn introduce(peers: &mut [Peer], chosen: &[u32], swarms: u32) {
    let mut leechers = vec![0; swarms as usize];
    let mut all = leechers.clone();
    for (peer, swarm) in peers.iter().zip(chosen) {
        all[*swarm as usize] += 1;
        leechers[*swarm as usize] += u32::from(!peer.is_seeder());
    }
    for (peer, swarm) in peers.iter_mut().zip(chosen) {
        let swarm = *swarm as usize;
        peer.partners = if peer.is_seeder() { leechers[swarm] } else { all[swarm] - 1 };
    }
}
