//! An engine with one tracker, run as a page's worker runs it, for the targets that need a whole peer.

use std::time::Duration;

use swarmreel::engine::{Action, Engine, Input, Limits, Output};
use swarmreel::ids::{InfoHash, LinkId, OfferId, PeerId, SocketId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::ServerMessage;

/// The tracker's address.
pub(crate) const TRACKER: &str = "ws://tracker.test";

/// What a browser says of a data channel.
pub(crate) const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
    a=candidate:1 1 udp 2113937151 10.0.0.1 50000 typ host\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

/// The engine, its time, and its tracker.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) now: Moment,
    /// The socket that the engine opened last; it is open at once.
    pub(crate) socket: Option<SocketId>,
    /// What the tracker was told.
    pub(crate) said: Vec<String>,
}

impl Driver {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = Moment(1_000_000);
        Self { engine: Engine::new(limits, [7; 32], now), now, socket: None, said: Vec::new() }
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
    }

    /// Time passes; the engine is woken at the end, and at most once on the way.
    pub(crate) fn sleep(&mut self, span: Duration) {
        let end = self.now + span;
        if let Some(at) = self.engine.wake_at().filter(|at| *at < end) {
            self.now = self.now.max(at);
            self.handle(Input::Wake);
        }
        self.now = end;
        self.handle(Input::Wake);
    }

    /// What the engine wants done, without what its tracker and its own offers need, which is done.
    pub(crate) fn drain(&mut self) -> Vec<Output> {
        let mut rest = Vec::new();
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Do(Action::OpenSocket { socket, .. }) => {
                    self.socket = Some(socket);
                    self.handle(Input::SocketOpened(socket));
                }
                Output::Do(Action::Offer(link)) => self.handle(Input::OfferReady(link, SDP)),
                Output::Do(Action::SendText { text, .. }) => self.said.push(text),
                other => rest.push(other),
            }
        }
        rest
    }

    /// The tracker relays another peer's offer, and if the engine takes it, the channel opens. What else the engine wants
    /// done, too.
    pub(crate) fn connect(&mut self, offer: &str) -> (Option<LinkId>, Vec<Output>) {
        let mut rest = self.drain();
        let Some(socket) = self.socket else { return (None, rest) };
        self.handle(Input::SocketText(socket, offer));
        rest.extend(self.drain());
        let answers = |output: &Output| matches!(output, Output::Do(Action::Answer { .. }));
        let Some(at) = rest.iter().position(answers) else { return (None, rest) };
        let Output::Do(Action::Answer { link, .. }) = rest.remove(at) else { return (None, rest) };
        self.handle(Input::AnswerReady(link, SDP));
        self.handle(Input::LinkOpened { link, message_max: 65_536 });
        rest.extend(self.drain());
        (Some(link), rest)
    }
}

/// A peer's offer, as the tracker relays it. Each peer has an address of its own.
pub(crate) fn offer(info_hash: InfoHash, peer_id: PeerId) -> String {
    let sdp = SDP.replace("10.0.0.1", &format!("10.0.0.{}", peer_id.0[0]));
    ServerMessage::Offer { info_hash, peer_id, offer_id: OfferId(peer_id.0), sdp }.write()
}
