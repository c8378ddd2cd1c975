//! One engine with one torrent, and the run loop around it.
//!
//! Invariant: the engine is only touched by the thread that calls [`Peer::run_for`]; whatever happens elsewhere becomes
//! a turn in its queue.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use swarmreel::engine::{Action, Command, CommandError, Engine, Event, Input, Limits, Output, Reply, Source, Stats};
use swarmreel::ids::{LinkId, OfferId, PeerId, SocketId, TorrentId};
use swarmreel::metainfo::Metainfo;
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::ServerMessage;

use crate::link::{Link, Transcript};
use crate::sdp;
use crate::store::Store;

/// The tracker that the engine believes to speak with. Nothing is sent anywhere.
const TRACKER: &str = "ws://tracker.invalid/";
/// Bytes of one message.
const MESSAGE_MAX: usize = 64 << 10;
/// New connections are looked for this often.
const ACCEPT_EVERY: Duration = Duration::from_millis(5);

/// Something that happened, and what the peer does about it.
pub(crate) struct Turn(Box<dyn FnOnce(&mut Peer) + Send>);

impl Turn {
    pub(crate) fn new(act: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Self(Box::new(act))
    }
}

/// A peer that listens on loopback.
#[derive(Debug)]
pub struct Peer {
    engine: Engine,
    limits: Limits,
    torrent: TorrentId,
    socket: Option<SocketId>,
    store: Store,
    listener: TcpListener,
    /// Connections that were made to us and wait for the engine to answer.
    callers: BTreeMap<SocketAddr, TcpStream>,
    links: BTreeMap<LinkId, Link>,
    transcripts: BTreeMap<LinkId, Transcript>,
    events: Vec<Event>,
    turns: (Sender<Turn>, Receiver<Turn>),
    rng: Rng,
    started: Instant,
}

impl Peer {
    /// A peer that has all of a torrent.
    ///
    /// # Errors
    /// The engine refuses the torrent.
    pub fn seeding(metainfo: &Metainfo, bytes: Vec<u8>) -> Result<Self, CommandError> {
        let store = Store::full(metainfo, bytes);
        let trackers = vec![TRACKER.to_owned()];
        Self::start(store, Command::Seed { metainfo: Box::new(metainfo.clone()), trackers, super_seed: false })
    }

    /// A peer that wants a torrent.
    ///
    /// # Errors
    /// The engine refuses the source.
    pub fn adding(source: Source) -> Result<Self, CommandError> {
        Self::start(
            Store::default(),
            Command::Add { source, trackers: vec![TRACKER.to_owned()], web_seeds: Vec::new() },
        )
    }

    fn start(store: Store, wish: Command) -> Result<Self, CommandError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be polled");
        let (started, limits) = (Instant::now(), Limits::default());
        // Ports differ between peers that run at the same time, so their ids do.
        let port = listener.local_addr().expect("a listener has an address").port();
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&port.to_be_bytes());
        let mut engine = Engine::new(limits.clone(), seed, Moment(0));
        let Reply::Torrent(torrent) = engine.command(Moment(0), wish)? else {
            unreachable!("adding and seeding give a torrent")
        };
        let mut peer = Self {
            engine,
            limits,
            torrent,
            socket: None,
            store,
            listener,
            callers: BTreeMap::new(),
            links: BTreeMap::new(),
            transcripts: BTreeMap::new(),
            events: Vec::new(),
            turns: mpsc::channel(),
            rng: Rng::new(seed),
            started,
        };
        peer.drain();
        Ok(peer)
    }

    /// Where others connect to.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a listener has an address")
    }

    /// Connects to another peer.
    pub fn dial(&mut self, address: SocketAddr) {
        self.later(move |peer| peer.relay_offer(address));
    }

    /// Numbers of the torrent.
    pub fn stats(&self) -> Stats {
        self.engine.stats(self.now(), self.torrent).expect("the torrent is never removed")
    }

    /// The metadata, once known.
    pub fn metainfo(&self) -> Option<&Metainfo> {
        self.engine.metainfo(self.torrent)
    }

    /// Everything that was downloaded, in order.
    pub fn downloaded(&self) -> Vec<u8> {
        self.store.downloaded()
    }

    /// What the engine told so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What went over each link so far, in the order of their opening.
    pub fn transcripts(&self) -> impl Iterator<Item = &Transcript> {
        self.transcripts.values()
    }

    /// Lets things happen for this long.
    pub fn run_for(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.accept();
            if self.engine.wake_at().is_some_and(|at| at <= self.now()) {
                self.tell(Input::Wake);
            }
            if let Ok(Turn(act)) = self.turns.1.recv_timeout(self.patience(end)) {
                act(self);
            }
            self.drain();
        }
    }

    fn patience(&self, end: Instant) -> Duration {
        let to_wake = self.engine.wake_at().map_or(ACCEPT_EVERY, |at| at.since(self.now()));
        ACCEPT_EVERY.min(to_wake).min(end.saturating_duration_since(Instant::now()))
    }

    fn now(&self) -> Moment {
        Moment(self.started.elapsed().as_micros().try_into().unwrap_or(u64::MAX))
    }

    fn later(&self, act: impl FnOnce(&mut Peer) + Send + 'static) {
        self.turns.0.send(Turn::new(act)).expect("the peer holds the other end");
    }

    pub(crate) fn tell(&mut self, input: Input<'_>) {
        self.engine.handle(self.now(), input);
    }

    // ---- connections

    fn accept(&mut self) {
        while let Ok((stream, address)) = self.listener.accept() {
            self.callers.insert(address, stream);
            self.later(move |peer| peer.relay_offer(address));
        }
    }

    /// Whoever is at the address has made an offer, so the engine is told.
    fn relay_offer(&mut self, address: SocketAddr) {
        let (Some(socket), Some(info_hash)) = (self.socket, self.engine.info_hash(self.torrent)) else { return };
        let (peer_id, offer_id) = (PeerId(self.rng.bytes20()), OfferId(self.rng.bytes20()));
        let offer = ServerMessage::Offer { info_hash, peer_id, offer_id, sdp: sdp::write(address) };
        self.tell(Input::SocketText(socket, &offer.write()));
    }

    fn answer(&mut self, link: LinkId, sdp: &str) {
        let address = sdp::address(sdp).expect("every offer was made here");
        let stream = self.callers.remove(&address).map_or_else(|| TcpStream::connect(address), Ok);
        let low = self.limits.link_buffer_low;
        let opened = stream.and_then(|stream| {
            stream.set_nonblocking(false)?;
            Link::open(link, stream, low, self.turns.0.clone())
        });
        match opened {
            Ok(open) => {
                self.links.insert(link, open);
                self.tell(Input::AnswerReady(link, &sdp::write(self.address())));
                self.tell(Input::LinkOpened { link, message_max: MESSAGE_MAX });
            }
            Err(_) => self.tell(Input::LinkClosed(link)),
        }
    }

    pub(crate) fn heard(&mut self, link: LinkId, bytes: &[u8]) {
        self.transcripts.entry(link).or_default().heard.extend(bytes);
        self.tell(Input::LinkData(link, bytes));
    }

    pub(crate) fn hung_up(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.tell(Input::LinkClosed(link));
        }
    }

    fn send(&mut self, link: LinkId, bytes: Vec<u8>) {
        self.transcripts.entry(link).or_default().said.extend(&bytes);
        if let Some(link) = self.links.get(&link) {
            link.send(bytes);
        }
    }

    // ---- what the engine wants

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Do(action) => self.act(action),
                Output::Tell(event) => self.events.push(event),
            }
        }
        self.engine.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::OpenSocket { socket, .. } => {
                self.socket = Some(socket);
                self.later(move |peer| peer.tell(Input::SocketOpened(socket)));
            }
            // Nobody is at the other end of the made-up tracker.
            Action::SendText { .. } | Action::CloseSocket(_) | Action::Accept { .. } => {}
            Action::Offer(link) => {
                let sdp = sdp::write(self.address());
                self.later(move |peer| peer.tell(Input::OfferReady(link, &sdp)));
            }
            Action::Answer { link, sdp } => self.later(move |peer| peer.answer(link, &sdp)),
            Action::Send { link, bytes } => self.send(link, bytes),
            Action::CloseLink(link) => drop(self.links.remove(&link)),
            Action::OpenStore { torrent, .. } => self.later(move |peer| peer.open_store(torrent)),
            Action::SizeStore { .. } | Action::CloseStore { .. } => {}
            Action::Store { torrent, piece, bytes } => {
                self.store.write(piece, bytes);
                self.later(move |peer| peer.tell(Input::Stored(torrent, piece)));
            }
            Action::Load { torrent, piece, offset, length } => {
                self.later(move |peer| peer.load(torrent, piece, offset, length));
            }
            other => unreachable!("nothing is played, read or fetched here: {other:?}"),
        }
    }

    fn open_store(&mut self, torrent: TorrentId) {
        let info = self.store.info().map(<[u8]>::to_vec);
        self.tell(Input::StoreOpened { torrent, info: info.as_deref(), have: None });
    }

    fn load(&mut self, torrent: TorrentId, piece: u32, offset: u64, length: u32) {
        let now = self.now();
        let input = match self.store.read(piece, offset, length) {
            Some(bytes) => Input::Loaded(torrent, piece, bytes),
            None => Input::LoadFailed(torrent, piece),
        };
        self.engine.handle(now, input);
    }
}
