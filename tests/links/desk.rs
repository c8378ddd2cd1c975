//! A driver without a world: it answers what an engine asks of its surroundings at once, and leaves trackers, strangers
//! and the network to the test.
//!
//! Invariant: after each turn the engine's own `check` holds, and the links it has are those it opened and did not close.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarmreel::engine::{Action, Command, Engine, Event, Input, Limits, Output, Reply, Source};
use swarmreel::ids::{InfoHash, LinkId, OfferId, PeerId, SocketId, TorrentId};
use swarmreel::metainfo::{Builder, BuilderOptions, Metainfo};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use swarmreel::wire::{Decoder, Handshake, Message};

/// What trackers do with our WebSockets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trackers {
    /// Take them.
    Up,
    /// Let them hang.
    Mute,
}

/// An engine and what it has said.
pub(crate) struct Desk {
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    pub(crate) trackers: Trackers,
    pub(crate) sockets: BTreeMap<SocketId, String>,
    pub(crate) live: BTreeSet<LinkId>,
    pub(crate) most_live: usize,
    pub(crate) offers_made: usize,
    pub(crate) announces: Vec<(SocketId, Announce)>,
    pub(crate) answers: Vec<Answer>,
    /// Descriptions of others that the browser was given.
    pub(crate) given: Vec<(LinkId, String)>,
    pub(crate) sent: Vec<(LinkId, Vec<u8>)>,
    pub(crate) left: Vec<&'static str>,
    pub(crate) warnings: Vec<&'static str>,
    /// What the browser puts into its own descriptions.
    pub(crate) candidate: &'static str,
    /// Whether links that are asked for come to anything.
    pub(crate) browser: bool,
}

pub(crate) const RELAYED: &str = "1 1 udp 9 203.0.113.9 3478 typ relay raddr 192.168.7.7 rport 5";
pub(crate) const HOST: &str = "1 1 udp 9 192.168.7.7 50000 typ host";

/// A description with one candidate; `name` tells it from others.
pub(crate) fn sdp(name: u32, candidate: &str) -> String {
    let fingerprint = vec!["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
         c=IN IP4 192.168.7.7\r\na=ice-ufrag:n{name:07}\r\na=ice-pwd:0123456789012345678901\r\n\
         a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=candidate:{candidate}\r\n"
    )
}

/// The address of stranger number `index`, all of them different.
pub(crate) fn public(index: u32) -> String {
    format!(
        "1 1 udp 9 198.{}.{}.{} 50000 typ srflx raddr 0.0.0.0 rport 0",
        18 + index / 65_536,
        index / 256 % 256,
        index % 256
    )
}

/// A peer id that no one else has.
pub(crate) fn stranger(index: u32) -> PeerId {
    let mut id = *b"-XX0100-000000000000";
    id[16..].copy_from_slice(&index.to_be_bytes());
    PeerId(id)
}

/// Content of so many pieces of one block.
pub(crate) fn metainfo(pieces: usize) -> Metainfo {
    let bytes = content(pieces);
    let files = vec![(vec!["film.bin".to_owned()], bytes.len() as u64)];
    let options = BuilderOptions { files, piece_length: Some(16 << 10), ..BuilderOptions::default() };
    let mut builder = Builder::new(options).expect("a good torrent");
    builder.update(&bytes).expect("all bytes");
    builder.finish().expect("a good torrent")
}

pub(crate) fn content(pieces: usize) -> Vec<u8> {
    (0..pieces << 14).map(|at| (at * 7 + (at >> 14)) as u8).collect()
}

impl Desk {
    pub(crate) fn new(seed: u8) -> Self {
        Self::with(seed, Limits::default())
    }

    pub(crate) fn with(seed: u8, limits: Limits) -> Self {
        Self {
            engine: Engine::new(limits, [seed; 32], Moment(0)),
            now: Moment(0),
            trackers: Trackers::Up,
            sockets: BTreeMap::new(),
            live: BTreeSet::new(),
            most_live: 0,
            offers_made: 0,
            announces: Vec::new(),
            answers: Vec::new(),
            given: Vec::new(),
            sent: Vec::new(),
            left: Vec::new(),
            warnings: Vec::new(),
            candidate: HOST,
            browser: true,
        }
    }

    // ---- the user

    pub(crate) fn add(&mut self, source: Source, trackers: &[&str]) -> TorrentId {
        let trackers = trackers.iter().map(|url| (*url).to_owned()).collect();
        self.wish(Command::Add { source, trackers, web_seeds: Vec::new() })
    }

    pub(crate) fn seed(&mut self, metainfo: Metainfo, trackers: &[&str]) -> TorrentId {
        let trackers = trackers.iter().map(|url| (*url).to_owned()).collect();
        self.wish(Command::Seed { metainfo: Box::new(metainfo), trackers, super_seed: false })
    }

    fn wish(&mut self, command: Command) -> TorrentId {
        let reply = self.engine.command(self.now, command).expect("a good wish");
        self.drain();
        let Reply::Torrent(torrent) = reply else { panic!("a torrent is the reply") };
        torrent
    }

    // ---- facts

    pub(crate) fn tell(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    /// Lets time pass, waking the engine as it asks.
    pub(crate) fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.engine.wake_at().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.tell(Input::Wake);
        }
        self.now = until;
    }

    /// A tracker says something to every torrent's peer on that socket.
    pub(crate) fn hear(&mut self, socket: SocketId, message: ServerMessage) {
        self.tell(Input::SocketText(socket, &message.write()));
    }

    /// The tracker counts so many others.
    pub(crate) fn counts(&mut self, socket: SocketId, info_hash: InfoHash, others: u32) {
        let (interval, min_interval, warning) = (Some(90), None, None);
        let (complete, incomplete) = (0, others + 1);
        self.hear(socket, ServerMessage::Response { info_hash, interval, min_interval, complete, incomplete, warning });
    }

    /// A tracker relays a stranger's offer.
    pub(crate) fn offered(&mut self, socket: SocketId, info_hash: InfoHash, peer_id: PeerId, sdp: String) {
        let mut offer_id = [7; 20];
        offer_id[..4].copy_from_slice(&(self.given.len() as u32).to_be_bytes());
        self.hear(socket, ServerMessage::Offer { info_hash, peer_id, offer_id: OfferId(offer_id), sdp });
    }

    /// A stranger's offer is relayed, answered, and its channel opens; says which link that is.
    pub(crate) fn meets(
        &mut self,
        socket: SocketId,
        info_hash: InfoHash,
        peer_id: PeerId,
        candidate: &str,
    ) -> Option<LinkId> {
        let before = self.given.len();
        self.offered(socket, info_hash, peer_id, sdp(1, candidate));
        let link = self.given.get(before)?.0;
        self.tell(Input::LinkOpened { link, message_max: 65_536 });
        let handshake = Handshake { info_hash, peer_id, extensions: false, fast: true };
        self.says(link, &Message::Handshake(handshake));
        Some(link)
    }

    pub(crate) fn says(&mut self, link: LinkId, message: &Message<'_>) {
        self.tell(Input::LinkData(link, &message.to_bytes()));
    }

    /// A peer answers the request of this number, of all that it was ever sent.
    pub(crate) fn delivers(&mut self, link: LinkId, number: usize, content: &[u8]) {
        let stream: Vec<u8> =
            self.sent.iter().filter(|(to, _)| *to == link).flat_map(|(_, bytes)| bytes).copied().collect();
        let (mut decoder, mut input, mut requests) = (Decoder::new(), &stream[..], Vec::new());
        while let Some(message) = decoder.next(&mut input).expect("we keep to the protocol") {
            requests.extend(if let Message::Request(request) = message { Some(request) } else { None });
        }
        let piece = requests[number].piece;
        let data = &content[(piece as usize) << 14..][..1 << 14];
        self.says(link, &Message::Piece { piece, begin: 0, data });
    }

    /// The socket that a URL is connected by.
    pub(crate) fn socket(&self, url: &str) -> SocketId {
        *self.sockets.iter().rfind(|(_, known)| *known == url).expect("it is connected").0
    }

    /// The last announce by a socket.
    pub(crate) fn announce(&self, socket: SocketId) -> &Announce {
        &self.announces.iter().rfind(|(to, _)| *to == socket).expect("it has announced").1
    }

    // ---- what the engine says

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Do(action) => self.act(action),
                Output::Tell(Event::PeerLeft { reason, .. }) => self.left.push(reason),
                Output::Tell(Event::Warning { code, .. }) => self.warnings.push(code),
                Output::Tell(_) => {}
            }
        }
        self.engine.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::OpenSocket { socket, url } => {
                self.sockets.insert(socket, url);
                if self.trackers == Trackers::Up {
                    self.engine.handle(self.now, Input::SocketOpened(socket));
                }
            }
            Action::CloseSocket(socket) => _ = self.sockets.remove(&socket),
            Action::SendText { socket, text } => match ClientMessage::parse(&text).expect("a good message") {
                ClientMessage::Announce(announce) => self.announces.push((socket, announce)),
                ClientMessage::Answer(answer) => self.answers.push(answer),
                ClientMessage::Scrape(_) => {}
            },
            Action::Offer(link) => {
                self.offers_made += 1;
                self.begin(link);
                if self.browser {
                    self.engine.handle(self.now, Input::OfferReady(link, &sdp(link.0, self.candidate)));
                }
            }
            Action::Answer { link, sdp: remote } => {
                self.begin(link);
                self.given.push((link, remote));
                if self.browser {
                    self.engine.handle(self.now, Input::AnswerReady(link, &sdp(link.0, self.candidate)));
                }
            }
            Action::Accept { link, sdp } => self.given.push((link, sdp)),
            Action::CloseLink(link) => _ = self.live.remove(&link),
            Action::Send { link, bytes } => {
                self.engine.handle(self.now, Input::LinkDrained { link, buffered: 0 });
                self.sent.push((link, bytes));
            }
            Action::OpenStore { torrent, .. } => {
                self.engine.handle(self.now, Input::StoreOpened { torrent, info: None, have: None });
            }
            _ => {}
        }
    }

    fn begin(&mut self, link: LinkId) {
        self.live.insert(link);
        self.most_live = self.most_live.max(self.live.len());
    }
}
