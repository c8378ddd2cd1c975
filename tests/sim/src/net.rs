//! The network between the peers: WebRTC connections with one data channel each, over paths with latency, jitter,
//! bandwidth and loss; it may fall apart into two for a while.
//!
//! Invariant: a channel is reliable and ordered until it closes; what is under way when it closes is lost. A peer's
//! channels share its uplink fairly, one message at a time, and each may have at most `WINDOW` bytes under way, so a
//! slow receiver fills the sender's `bufferedAmount` and not the world's memory.

mod path;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub use path::{Path, fair_rate};
use path::{recovery_time, transfer_time};
use swarmreel::ids::LinkId;
use swarmreel::rng::Rng;
use swarmreel::time::Moment;

use crate::fact::Fact;
use crate::queue::{Event, NodeId, Queue};
use crate::sdp::{self, End};

/// Bytes a channel may have sent but not yet heard to have arrived.
const WINDOW: usize = 256 << 10;
/// Gathering candidates takes this long, and up to as much more.
const GATHERING: Duration = Duration::from_millis(30);
/// An attempt that came to nothing is reported after this long (ICE gives up).
const ICE_PATIENCE: Duration = Duration::from_secs(15);
/// A peer that vanished without a word is missed after this long (ICE consent expires, RFC 7675).
pub const CONSENT: Duration = Duration::from_secs(20);
/// A laptop that was opened again learns this late that its connections are gone.
const WAKING: Duration = Duration::from_secs(5);

/// Something that happens on the way.
#[derive(Clone, Debug)]
pub enum Transit {
    /// Both ends have each other's description, and the checks succeed.
    Connect(End, End),
    /// Its sender's uplink is done with a message.
    Sent(End, Vec<u8>),
    /// A message reaches the receiver's downlink.
    Reached(End, Vec<u8>),
    /// A message comes out of the receiver's downlink.
    Arrived(End, Vec<u8>),
    /// The sender hears that so many bytes arrived.
    Acknowledged(End, usize),
    /// The driver looks at a channel's buffer.
    Looked(End),
    /// A lossy channel of this peer may send again.
    Rested(NodeId),
    /// An end learns that the connection is gone.
    Lost(End),
    /// An end has heard nothing for long, if the network is still apart.
    CutOff(End),
    /// An end stops trying if it is not connected by now.
    GaveUp(End),
}

/// One end of a connection.
#[derive(Debug, Default)]
struct Half {
    remote: Option<End>,
    open: bool,
    waiting: VecDeque<Vec<u8>>,
    buffered: usize,
    under_way: usize,
    last_arrival: Moment,
    /// The largest message the other side takes, once connected.
    message_max: usize,
    /// A lossy way takes no more before this.
    rests_until: Moment,
}

#[derive(Debug)]
struct Host {
    path: Path,
    /// On which side it is when the network falls apart.
    side: bool,
    sending: bool,
    served_last: Option<End>,
    downlink_free: Moment,
}

/// Every connection of the world.
#[derive(Debug)]
pub struct Net {
    hosts: BTreeMap<NodeId, Host>,
    halves: BTreeMap<End, Half>,
    low_water: usize,
    failures: u8,
    apart: bool,
    /// What waits for the network to heal.
    held: Vec<(End, Vec<u8>)>,
    rng: Rng,
}

impl Net {
    /// `low_water`: the channels' `bufferedAmountLowThreshold`. Of a hundred attempts to connect, `failures` fail.
    pub fn new(low_water: usize, failures: u8, rng: Rng) -> Self {
        let (hosts, halves) = (BTreeMap::new(), BTreeMap::new());
        Self { hosts, halves, low_water, failures, apart: false, held: Vec::new(), rng }
    }

    /// A peer gets connected to the network, on one of the sides into which it may fall apart.
    pub fn join(&mut self, node: NodeId, path: Path, side: bool) {
        let host = Host { path, side, sending: false, served_last: None, downlink_free: Default::default() };
        self.hosts.insert(node, host);
    }

    /// The network falls apart: what goes to the other side waits, and connections die if that lasts.
    pub fn fall_apart(&mut self, queue: &mut Queue) {
        self.apart = true;
        for (end, half) in &self.halves {
            if half.open && half.remote.is_some_and(|remote| self.is_cut(end.0, remote.0)) {
                queue.after(CONSENT, Event::Net(Transit::CutOff(*end)));
            }
        }
    }

    /// The network is whole again.
    pub fn heal(&mut self, queue: &mut Queue) {
        self.apart = false;
        for (end, bytes) in std::mem::take(&mut self.held) {
            queue.after(Duration::ZERO, Event::Net(Transit::Reached(end, bytes)));
        }
    }

    fn is_cut(&self, a: NodeId, b: NodeId) -> bool {
        let side = |node| self.hosts.get(&node).map(|host| host.side);
        self.apart && side(a).zip(side(b)).is_some_and(|(a, b)| a != b)
    }

    /// A peer's laptop is closed: the others lose it.
    pub fn sleep(&mut self, node: NodeId, queue: &mut Queue) {
        for remote in self.ends_of(node).into_iter().filter_map(|end| self.halves[&end].remote) {
            queue.after(CONSENT, Event::Net(Transit::Lost(remote)));
        }
    }

    /// A peer's laptop is opened: it learns what it has lost.
    pub fn wake(&mut self, node: NodeId, queue: &mut Queue) {
        for end in self.ends_of(node) {
            if self.halves[&end].remote.is_some_and(|remote| !self.halves.contains_key(&remote)) {
                queue.after(WAKING, Event::Net(Transit::Lost(end)));
            }
        }
    }

    /// A peer is gone. Where it goes `silently` the others must find out for themselves.
    pub fn leave(&mut self, node: NodeId, silently: bool, queue: &mut Queue) {
        for end in self.ends_of(node) {
            let remote = self.halves.remove(&end).and_then(|half| half.remote);
            let notice = if silently { CONSENT } else { self.latency(end, remote.unwrap_or(end)) };
            self.lose(end, remote, notice, queue);
        }
        self.hosts.remove(&node);
    }

    /// The ends of all connections and attempts of a peer.
    pub fn ends_of(&self, node: NodeId) -> Vec<End> {
        self.halves.range(all_of(node)).map(|(end, _)| *end).collect()
    }

    /// `Action::Offer`.
    pub fn offer(&mut self, end: End, queue: &mut Queue) {
        self.halves.insert(end, Half::default());
        let sdp = sdp::write(end, "actpass", self.hosts[&end.0].path.message_max);
        queue.after(self.gathering(), Event::Fact(end.0, Fact::OfferReady(end.1, sdp)));
    }

    /// `Action::Answer`.
    pub fn answer(&mut self, end: End, offer: &str, queue: &mut Queue) {
        let remote = sdp::author(offer);
        self.halves.insert(end, Half { remote, ..Half::default() });
        if remote.is_none() {
            return queue.after(Duration::ZERO, Event::Net(Transit::GaveUp(end)));
        }
        let sdp = sdp::write(end, "active", self.hosts[&end.0].path.message_max);
        queue.after(self.gathering(), Event::Fact(end.0, Fact::AnswerReady(end.1, sdp)));
        queue.after(ICE_PATIENCE, Event::Net(Transit::GaveUp(end)));
    }

    /// `Action::Accept`.
    pub fn accept(&mut self, end: End, answer: &str, queue: &mut Queue) {
        let Some(half) = self.halves.get_mut(&end) else { return };
        half.remote = sdp::author(answer);
        let Some(remote) = half.remote else {
            return queue.after(Duration::ZERO, Event::Net(Transit::GaveUp(end)));
        };
        // ICE checks, the DTLS handshake and the SCTP one: four round trips.
        let handshakes = self.latency(end, remote) * 8;
        queue.after(handshakes, Event::Net(Transit::Connect(end, remote)));
        queue.after(ICE_PATIENCE, Event::Net(Transit::GaveUp(end)));
    }

    /// `Action::CloseLink`.
    pub fn close(&mut self, end: End, queue: &mut Queue) {
        let remote = self.halves.remove(&end).and_then(|half| half.remote);
        self.lose(end, remote, self.latency(end, remote.unwrap_or(end)), queue);
    }

    /// Whether `Action::Send` is allowed: the channel was reported open.
    pub fn is_open(&self, end: End) -> bool {
        self.halves.get(&end).is_some_and(|half| half.open)
    }

    /// The other end, where it is known.
    pub fn remote(&self, end: End) -> Option<End> {
        self.halves.get(&end)?.remote
    }

    /// The largest message the other side takes.
    pub fn message_max(&self, end: End) -> usize {
        self.halves.get(&end).map_or(0, |half| half.message_max)
    }

    /// `bufferedAmount`: bytes given to the channel that have not left yet.
    pub fn buffered(&self, end: End) -> usize {
        self.halves.get(&end).map_or(0, |half| half.buffered)
    }

    /// `Action::Send`.
    pub fn send(&mut self, end: End, bytes: Vec<u8>, queue: &mut Queue) {
        let Some(half) = self.halves.get_mut(&end) else { return };
        half.buffered += bytes.len();
        half.waiting.push_back(bytes);
        // No event tells of a buffer that was never above the mark: the driver looks after each message.
        if half.buffered <= self.low_water {
            queue.after(Duration::ZERO, Event::Net(Transit::Looked(end)));
        }
        self.pump(end.0, queue);
    }

    /// Lets something happen. Returns what an engine is told at once.
    pub fn step(&mut self, transit: Transit, queue: &mut Queue) -> Option<(NodeId, Fact)> {
        match transit {
            Transit::Connect(a, b) => self.connect(a, b, queue),
            Transit::Sent(end, bytes) => self.sent(end, bytes, queue),
            Transit::Reached(end, bytes) => self.reached(end, bytes, queue),
            Transit::Arrived(end, bytes) => self.arrived(end, bytes, queue),
            Transit::Acknowledged(end, count) => {
                self.halves.get_mut(&end)?.under_way -= count;
                self.pump(end.0, queue);
                None
            }
            Transit::Looked(end) => {
                let buffered = self.halves.get(&end)?.buffered;
                Some((end.0, Fact::LinkDrained { link: end.1, buffered })).filter(|_| buffered <= self.low_water)
            }
            Transit::Rested(node) => {
                self.pump(node, queue);
                None
            }
            Transit::CutOff(end) => {
                let remote = self.halves.get(&end)?.remote?;
                self.is_cut(end.0, remote.0).then(|| self.halves.remove(&end))?;
                Some((end.0, Fact::LinkClosed(end.1)))
            }
            Transit::Lost(end) => self.halves.remove(&end).map(|_| (end.0, Fact::LinkClosed(end.1))),
            Transit::GaveUp(end) if self.is_open(end) => None,
            Transit::GaveUp(end) => self.halves.remove(&end).map(|_| (end.0, Fact::LinkClosed(end.1))),
        }
    }

    fn connect(&mut self, offerer: End, answerer: End, queue: &mut Queue) -> Option<(NodeId, Fact)> {
        let is_pair = self.halves.get(&offerer)?.remote == Some(answerer)
            && self.halves.get(&answerer)?.remote == Some(offerer)
            && !self.is_open(offerer)
            && !self.is_open(answerer);
        if !is_pair || self.is_cut(offerer.0, answerer.0) || self.rng.below(100) < u64::from(self.failures) {
            return None;
        }
        for (end, other) in [(offerer, answerer), (answerer, offerer)] {
            let message_max = self.hosts.get(&other.0)?.path.message_max;
            let half = self.halves.get_mut(&end)?;
            (half.open, half.message_max) = (true, message_max);
        }
        let opened = |end: End, message_max| (end.0, Fact::LinkOpened { link: end.1, message_max });
        let (node, fact) = opened(offerer, self.message_max(offerer));
        queue.after(Duration::ZERO, Event::Fact(node, fact));
        Some(opened(answerer, self.message_max(answerer)))
    }

    /// Gives the uplink its next message, of the channel whose turn it is.
    fn pump(&mut self, node: NodeId, queue: &mut Queue) {
        let Some(host) = self.hosts.get_mut(&node) else { return };
        if host.sending {
            return;
        }
        let now = queue.now();
        let is_ready = |half: &Half| half.under_way < WINDOW && !half.waiting.is_empty() && half.rests_until <= now;
        let mut ready = self.halves.range(all_of(node)).filter(|(_, half)| is_ready(half)).map(|(end, _)| *end);
        let first = ready.next();
        let Some(end) = [first].into_iter().flatten().chain(ready).find(|end| Some(*end) > host.served_last).or(first)
        else {
            return;
        };
        host.served_last = Some(end);
        host.sending = true;
        let half = self.halves.get_mut(&end).expect("it was just found");
        let bytes = half.waiting.pop_front().expect("a ready channel has a message");
        half.under_way += bytes.len();
        queue.after(transfer_time(bytes.len(), host.path.up), Event::Net(Transit::Sent(end, bytes)));
    }

    fn sent(&mut self, end: End, bytes: Vec<u8>, queue: &mut Queue) -> Option<(NodeId, Fact)> {
        self.hosts.get_mut(&end.0)?.sending = false;
        self.pump(end.0, queue);
        let remote = self.halves.get(&end)?.remote?;
        let rest = self.rest(end, remote, bytes.len(), queue);
        let delay = self.latency(end, remote) + self.jitter(end) + rest;
        let half = self.halves.get_mut(&end)?;
        let was_high = half.buffered > self.low_water;
        half.buffered -= bytes.len();
        half.last_arrival = half.last_arrival.max(queue.now() + delay);
        let drained = Fact::LinkDrained { link: end.1, buffered: half.buffered };
        let is_drained = was_high && half.buffered <= self.low_water;
        queue.at(half.last_arrival, Event::Net(Transit::Reached(remote, bytes)));
        is_drained.then_some((end.0, drained))
    }

    /// How long a message takes over a lossy way, besides the latency; until then the channel sends nothing more.
    fn rest(&mut self, end: End, remote: End, bytes: usize, queue: &mut Queue) -> Duration {
        let loss = [end, remote].iter().filter_map(|end| self.hosts.get(&end.0)).map(|host| host.path.loss).sum();
        if loss == 0 {
            return Duration::ZERO;
        }
        let round_trip = self.latency(end, remote) * 2;
        let rest = transfer_time(bytes, fair_rate(round_trip, loss));
        if let Some(half) = self.halves.get_mut(&end) {
            half.rests_until = queue.now() + rest;
        }
        queue.after(rest, Event::Net(Transit::Rested(end.0)));
        rest + recovery_time(bytes, round_trip, loss, &mut self.rng)
    }

    fn reached(&mut self, end: End, bytes: Vec<u8>, queue: &mut Queue) -> Option<(NodeId, Fact)> {
        let remote = self.halves.get(&end)?.remote?;
        if self.is_cut(end.0, remote.0) {
            self.held.push((end, bytes));
            return None;
        }
        let host = self.hosts.get_mut(&end.0)?;
        let start = host.downlink_free.max(queue.now());
        host.downlink_free = start + transfer_time(bytes.len(), host.path.down);
        queue.at(host.downlink_free, Event::Net(Transit::Arrived(end, bytes)));
        None
    }

    fn arrived(&mut self, end: End, bytes: Vec<u8>, queue: &mut Queue) -> Option<(NodeId, Fact)> {
        let remote = self.halves.get(&end).filter(|half| half.open)?.remote?;
        let acknowledged = Transit::Acknowledged(remote, bytes.len());
        queue.after(self.latency(end, remote), Event::Net(acknowledged));
        Some((end.0, Fact::LinkData(end.1, bytes)))
    }

    /// `left` is gone: tells the other end, if they were connected. One that never opened runs out of patience, as ICE does.
    fn lose(&self, left: End, other: Option<End>, delay: Duration, queue: &mut Queue) {
        let connected = |end: &End| self.halves.get(end).is_some_and(|half| half.open && half.remote == Some(left));
        if let Some(end) = other.filter(connected) {
            let delay = if self.is_cut(left.0, end.0) { CONSENT } else { delay };
            queue.after(delay, Event::Net(Transit::Lost(end)));
        }
    }

    fn latency(&self, a: End, b: End) -> Duration {
        [a, b].iter().filter_map(|end| self.hosts.get(&end.0)).map(|host| host.path.latency).sum()
    }

    fn gathering(&mut self) -> Duration {
        GATHERING + Duration::from_micros(self.rng.below(GATHERING.as_micros() as u64))
    }

    fn jitter(&mut self, end: End) -> Duration {
        let bound = self.hosts.get(&end.0).map_or(0, |host| host.path.jitter.as_micros() as u64);
        Duration::from_micros(self.rng.below(bound))
    }
}

/// All ends of a peer.
fn all_of(node: NodeId) -> std::ops::RangeInclusive<End> {
    (node, LinkId(0))..=(node, LinkId(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: End = (NodeId(0), LinkId(10));
    const B: End = (NodeId(1), LinkId(20));

    struct World {
        net: Net,
        queue: Queue,
    }

    /// Two peers that can send `up` bytes a second, 10 ms apart.
    fn world(up: u64) -> World {
        let path = Path {
            up,
            down: 100_000_000,
            latency: Duration::from_millis(5),
            jitter: Duration::from_millis(3),
            loss: 0,
            message_max: 65_536,
        };
        let mut net = Net::new(100_000, 0, Rng::new([0; 32]));
        net.join(A.0, path, false);
        net.join(B.0, path, true);
        World { net, queue: Queue::default() }
    }

    impl World {
        /// The next fact that a peer is told, and when, in milliseconds.
        fn next(&mut self) -> Option<(u64, NodeId, Fact)> {
            loop {
                let told = match self.queue.advance()? {
                    Event::Fact(node, fact) => Some((node, fact)),
                    Event::Net(transit) => self.net.step(transit, &mut self.queue),
                    _ => None,
                };
                if let Some((node, fact)) = told {
                    return Some((self.queue.now().0 / 1000, node, fact));
                }
            }
        }

        fn connect(&mut self) {
            self.net.offer(A, &mut self.queue);
            let Some((_, _, Fact::OfferReady(_, offer))) = self.next() else { panic!("an offer comes") };
            self.net.answer(B, &offer, &mut self.queue);
            let Some((_, _, Fact::AnswerReady(_, answer))) = self.next() else { panic!("an answer comes") };
            self.net.accept(A, &answer, &mut self.queue);
            for _ in 0..2 {
                assert!(matches!(self.next(), Some((_, _, Fact::LinkOpened { message_max: 65_536, .. }))));
            }
        }

        /// The bytes that `end` hears until nothing more happens.
        fn heard(&mut self, end: End) -> Vec<u8> {
            let mut heard = Vec::new();
            while let Some((_, node, fact)) = self.next() {
                if let Fact::LinkData(link, bytes) = fact
                    && (node, link) == end
                {
                    heard.extend(bytes);
                }
            }
            heard
        }
    }

    #[test]
    fn a_channel_keeps_order_and_bytes() {
        let mut world = world(1_000_000);
        world.connect();
        let sent: Vec<u8> = (0..200).collect();
        for chunk in sent.chunks(7) {
            world.net.send(A, chunk.to_vec(), &mut world.queue);
        }
        assert_eq!(world.heard(B), sent);
    }

    #[test]
    fn the_uplink_sets_the_pace() {
        let mut world = world(100_000);
        world.connect();
        let start = world.queue.now();
        world.net.send(A, vec![0; 50_000], &mut world.queue);
        let arrival = std::iter::from_fn(|| world.next()).find(|(_, _, fact)| matches!(fact, Fact::LinkData(..)));
        let (millis, ..) = arrival.expect("it arrives");
        assert!((510..520).contains(&(millis - start.0 / 1000)), "half a second on the uplink, 10 ms on the way");
    }

    #[test]
    fn two_channels_share_the_uplink() {
        let mut world = world(100_000);
        world.connect();
        let (c, d) = ((A.0, LinkId(11)), (B.0, LinkId(21)));
        world.net.halves.insert(c, Half { remote: Some(d), open: true, ..Half::default() });
        world.net.halves.insert(d, Half { remote: Some(c), open: true, ..Half::default() });
        for _ in 0..4 {
            world.net.send(A, vec![1; 1000], &mut world.queue);
        }
        for _ in 0..4 {
            world.net.send(c, vec![2; 1000], &mut world.queue);
        }
        let order: Vec<LinkId> = std::iter::from_fn(|| world.next())
            .filter_map(|(_, _, fact)| if let Fact::LinkData(link, _) = fact { Some(link) } else { None })
            .collect();
        let (b, d) = (B.1, d.1);
        assert_eq!(order, [b, d, b, d, b, d, b, d]);
    }

    #[test]
    fn a_drained_channel_says_so_once_it_is_low() {
        let mut world = world(1_000_000);
        world.connect();
        for _ in 0..3 {
            world.net.send(A, vec![0; 60_000], &mut world.queue);
        }
        assert_eq!(world.net.buffered(A), 180_000);
        let drained: Vec<usize> = std::iter::from_fn(|| world.next())
            .filter_map(
                |(_, _, fact)| if let Fact::LinkDrained { buffered, .. } = fact { Some(buffered) } else { None },
            )
            .collect();
        assert_eq!(drained, [60_000], "when the third begins to leave");
    }

    #[test]
    fn a_peer_that_does_not_take_fills_the_senders_buffer() {
        let mut world = world(10_000_000);
        world.connect();
        world.net.leave(B.0, true, &mut world.queue);
        for _ in 0..20 {
            world.net.send(A, vec![0; 50_000], &mut world.queue);
        }
        while let Some(Event::Net(transit)) =
            world.queue.advance().filter(|event| !matches!(event, Event::Net(Transit::Lost(_))))
        {
            world.net.step(transit, &mut world.queue);
        }
        assert!(world.net.buffered(A) >= 1_000_000 - WINDOW - 50_000);
    }

    #[test]
    fn the_other_end_learns_of_a_close_soon_and_of_silence_late() {
        for (silently, delay) in [(false, 10), (true, 20_000)] {
            let mut world = world(1_000_000);
            world.connect();
            let start = world.queue.now().0 / 1000;
            world.net.leave(B.0, silently, &mut world.queue);
            let closed = std::iter::from_fn(|| world.next()).find(|(_, _, fact)| matches!(fact, Fact::LinkClosed(_)));
            let (millis, node, _) = closed.expect("it is told");
            assert_eq!((millis - start, node), (delay, A.0));
        }
    }

    #[test]
    fn what_is_held_arrives_when_the_network_heals() {
        let mut world = world(1_000_000);
        world.connect();
        world.net.fall_apart(&mut world.queue);
        world.net.send(A, vec![1; 10], &mut world.queue);
        world.queue.after(Duration::from_secs(10), Event::Join(0));
        while !matches!(world.queue.advance(), Some(Event::Join(_))) {}
        world.net.step(Transit::Reached(B, vec![1; 10]), &mut world.queue);
        world.net.heal(&mut world.queue);
        assert_eq!(world.heard(B), [1; 10]);
    }

    #[test]
    fn an_answer_to_one_who_left_fails_in_the_end() {
        let mut world = world(1_000_000);
        world.net.offer(A, &mut world.queue);
        let Some((_, _, Fact::OfferReady(_, offer))) = world.next() else { panic!("an offer comes") };
        world.net.close(A, &mut world.queue);
        world.net.answer(B, &offer, &mut world.queue);
        assert!(matches!(world.next(), Some((_, _, Fact::AnswerReady(..)))));
        assert!(matches!(world.next(), Some((_, node, Fact::LinkClosed(_))) if node == B.0));
    }
}
