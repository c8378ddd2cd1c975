//! The trackers, and the WebSockets to them. The tracker is the real one (`swarmreel_signaling::Tracker`); only the
//! wire and the fate of its machine are simulated.
//!
//! Invariant: a WebSocket is reliable and ordered until either side closes it or the tracker's machine stops.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarmreel::ids::SocketId;
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel_signaling::{ConnId, Output, Tracker, TrackerLimits};

use crate::chance;
use crate::fact::Fact;
use crate::queue::{Event, NodeId, Queue};

/// A connection that nobody answers fails after this long.
const REFUSED: Duration = Duration::from_secs(2);

/// A server misses a peer that vanished without a word after this long (threat-model.md §1).
const PING_TIMEOUT: Duration = Duration::from_secs(75);
/// And after this long when its tracker asks.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Those who are sent away are told to be back within so many seconds, spread evenly.
const RETURN_SPREAD: u64 = 30;

/// What becomes of a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uptime {
    /// It is up all the time.
    Always,
    /// It is never there.
    Never,
    /// It stops after the first span, and is back, with nothing remembered, after the second.
    Restart(Duration, Duration),
    /// As `Restart`, but it is asked to stop: it tells everyone when to return (1012, service restart).
    Drain(Duration, Duration),
}

/// How trackers pass answers on (F24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As they come.
    PassedOn,
    /// Every second one this much later, when its offer is long closed.
    EverySecondLate(Duration),
    /// Each one twice.
    Twice,
    /// Each one to somebody else too, who made no such offer.
    ToOthersToo,
}

/// Something that happens at a tracker (by its index), or on the way there.
#[derive(Clone, Debug)]
pub enum Signal {
    /// The WebSocket's handshake is done, if the tracker is up.
    Connected(usize, ConnId),
    /// A message from a peer.
    Text(usize, ConnId, String),
    /// A peer closed its socket.
    Closed(usize, ConnId),
    /// The server's ping was not answered, if the peer's page is still gone or asleep.
    Missed(usize, ConnId),
    /// The tracker wanted to be woken now.
    Wake(usize),
    /// The tracker's machine stops.
    Stop(usize),
    /// The tracker is asked to stop.
    Drain(usize),
    /// The tracker's machine starts.
    Start(usize),
}

#[derive(Debug)]
struct Socket {
    node: NodeId,
    socket: SocketId,
    latency: Duration,
    connected: bool,
    /// Its page vanished without a word, or sleeps; the tracker's server has not noticed yet.
    dead: bool,
}

#[derive(Debug)]
struct Site {
    tracker: Option<Tracker>,
    sockets: BTreeMap<u64, Socket>,
    alarm: Option<Moment>,
}

/// Every tracker of the world.
#[derive(Debug)]
pub struct Signaling {
    seed: u64,
    sites: Vec<Site>,
    minted: u64,
    answers: Answers,
    answered: u64,
    /// Who has been told to come back, and not before when.
    away: BTreeMap<(usize, NodeId), Moment>,
}

/// The URL of the tracker of this index.
pub fn url(index: usize) -> String {
    format!("wss://tracker{index}.example/announce")
}

impl Signaling {
    /// Sets the trackers up, and plans their stops and starts.
    pub fn new(seed: u64, uptimes: &[Uptime], answers: Answers, queue: &mut Queue) -> Self {
        let site = || Site { tracker: None, sockets: BTreeMap::new(), alarm: None };
        for (index, uptime) in uptimes.iter().enumerate() {
            if *uptime != Uptime::Never {
                queue.after(Duration::ZERO, Event::Signal(Signal::Start(index)));
            }
            if let Uptime::Restart(stops, back) | Uptime::Drain(stops, back) = *uptime {
                let how = if matches!(uptime, Uptime::Drain(..)) { Signal::Drain } else { Signal::Stop };
                queue.after(stops, Event::Signal(how(index)));
                queue.after(stops + back, Event::Signal(Signal::Start(index)));
            }
        }
        Self {
            seed,
            sites: uptimes.iter().map(|_| site()).collect(),
            minted: 0,
            answers,
            answered: 0,
            away: BTreeMap::new(),
        }
    }

    /// `Action::OpenSocket`.
    pub fn open(&mut self, node: NodeId, socket: SocketId, to: &str, latency: Duration, queue: &mut Queue) {
        let Some(index) = (0..self.sites.len()).find(|index| url(*index) == to) else {
            return queue.after(REFUSED, Event::Fact(node, Fact::socket_lost(socket)));
        };
        let returns = self.away.remove(&(index, node)).is_none_or(|until| until <= queue.now());
        assert!(returns, "{node:?} is back at tracker {index} before its delay");
        self.minted += 1;
        self.sites[index].sockets.insert(self.minted, Socket { node, socket, latency, connected: false, dead: false });
        // TCP, TLS and the upgrade: three round trips.
        queue.after(latency * 6, Event::Signal(Signal::Connected(index, ConnId(self.minted))));
    }

    /// `Action::SendText`.
    pub fn send(&mut self, node: NodeId, socket: SocketId, text: String, queue: &mut Queue) {
        if let Some((index, conn, latency)) = self.find(node, socket) {
            queue.after(latency, Event::Signal(Signal::Text(index, ConnId(conn), text)));
        }
    }

    /// `Action::CloseSocket`.
    pub fn close(&mut self, node: NodeId, socket: SocketId, queue: &mut Queue) {
        if let Some((index, conn, latency)) = self.find(node, socket) {
            queue.after(latency, Event::Signal(Signal::Closed(index, ConnId(conn))));
        }
    }

    /// A peer's page is closed, and all its sockets with it. Where it goes `silently` the servers' pings find out.
    pub fn leave(&mut self, node: NodeId, silently: bool, queue: &mut Queue) {
        for (index, site) in self.sites.iter_mut().enumerate() {
            for (conn, socket) in site.sockets.iter_mut().filter(|(_, socket)| socket.node == node) {
                socket.dead = silently;
                let (notice, signal) = match silently {
                    true => (PING_TIMEOUT, Signal::Missed(index, ConnId(*conn))),
                    false => (socket.latency, Signal::Closed(index, ConnId(*conn))),
                };
                queue.after(notice, Event::Signal(signal));
            }
        }
    }

    /// A peer's page, which was as good as gone, is there again.
    pub fn wake(&mut self, node: NodeId) {
        let sockets = self.sites.iter_mut().flat_map(|site| site.sockets.values_mut());
        sockets.filter(|socket| socket.node == node).for_each(|socket| socket.dead = false);
    }

    /// Lets something happen.
    pub fn step(&mut self, signal: Signal, queue: &mut Queue) {
        let now = queue.now();
        match signal {
            Signal::Connected(index, conn) => self.connected(index, conn, queue),
            Signal::Text(index, conn, text) => {
                self.with(index, conn, queue, |tracker| tracker.message(now, conn, &text))
            }
            Signal::Closed(index, conn) => {
                self.with(index, conn, queue, |tracker| tracker.closed(now, conn));
                self.sites[index].sockets.remove(&conn.0);
            }
            Signal::Missed(index, conn) => {
                let Some(socket) = self.sites[index].sockets.get(&conn.0).filter(|socket| socket.dead) else { return };
                // A sleeper finds its socket closed.
                queue.after(Duration::ZERO, Event::Fact(socket.node, Fact::socket_lost(socket.socket)));
                self.step(Signal::Closed(index, conn), queue);
            }
            Signal::Wake(index) => {
                if self.sites[index].alarm == Some(now) {
                    self.sites[index].alarm = None;
                    self.turn(index, queue, |tracker| tracker.wake(now));
                }
            }
            Signal::Stop(index) => {
                self.sites[index].tracker = None;
                for socket in std::mem::take(&mut self.sites[index].sockets).into_values() {
                    queue.after(socket.latency, Event::Fact(socket.node, Fact::socket_lost(socket.socket)));
                }
            }
            Signal::Drain(index) => {
                self.farewell(index, queue);
                self.step(Signal::Stop(index), queue);
            }
            Signal::Start(index) => {
                let seed = chance::seed(self.seed, &format!("tracker {index} from {}", now.0));
                self.sites[index].tracker = Some(Tracker::new(TrackerLimits::default(), seed));
            }
        }
    }

    /// Sends everyone away for a time of their own.
    fn farewell(&mut self, index: usize, queue: &mut Queue) {
        let mut rng = Rng::new(chance::seed(self.seed, &format!("drain of tracker {index}")));
        for (_, socket) in std::mem::take(&mut self.sites[index].sockets) {
            let delay = Duration::from_secs(1 + rng.below(RETURN_SPREAD));
            let reason = format!("retry in {} s", delay.as_secs());
            let farewell = Fact::SocketClosed { socket: socket.socket, code: 1012, reason };
            queue.after(socket.latency, Event::Fact(socket.node, farewell));
            self.away.insert((index, socket.node), queue.now() + socket.latency + delay);
        }
    }

    fn connected(&mut self, index: usize, conn: ConnId, queue: &mut Queue) {
        let site = &mut self.sites[index];
        if site.tracker.is_none() {
            if let Some(socket) = site.sockets.remove(&conn.0) {
                queue.after(REFUSED, Event::Fact(socket.node, Fact::socket_lost(socket.socket)));
            }
            return;
        }
        let Some(socket) = site.sockets.get_mut(&conn.0) else { return };
        socket.connected = true;
        let [high, low] = socket.node.0.to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, high, low));
        queue.after(Duration::ZERO, Event::Fact(socket.node, Fact::SocketOpened(socket.socket)));
        let now = queue.now();
        self.turn(index, queue, |tracker| tracker.opened(now, conn, address));
    }

    /// A turn of a tracker about a connection that it knows.
    fn with(&mut self, index: usize, conn: ConnId, queue: &mut Queue, turn: impl FnOnce(&mut Tracker)) {
        if self.sites[index].sockets.get(&conn.0).is_some_and(|socket| socket.connected) {
            self.turn(index, queue, turn);
        }
    }

    /// Lets a tracker do something, and carries out what it says.
    fn turn(&mut self, index: usize, queue: &mut Queue, turn: impl FnOnce(&mut Tracker)) {
        let site = &mut self.sites[index];
        let Some(tracker) = &mut site.tracker else { return };
        turn(tracker);
        let outputs: Vec<Output> = std::iter::from_fn(|| tracker.poll()).collect();
        if let Some(alarm) = tracker.wake_at().filter(|alarm| site.alarm != Some(*alarm)) {
            site.alarm = Some(alarm.max(queue.now()));
            queue.at(alarm, Event::Signal(Signal::Wake(index)));
        }
        outputs.into_iter().for_each(|output| self.carry_out(index, output, queue));
    }

    fn carry_out(&mut self, index: usize, output: Output, queue: &mut Queue) {
        match output {
            Output::Send { conn, text, .. } => {
                let delay =
                    if text.contains("\"answer\"") { self.tamper(index, conn, &text, queue) } else { Duration::ZERO };
                let Some(socket) = self.sites[index].sockets.get(&conn.0) else { return };
                queue.after(socket.latency + delay, Event::Fact(socket.node, Fact::SocketText(socket.socket, text)));
            }
            Output::Probe { conn } => {
                if self.sites[index].sockets.get(&conn.0).is_some_and(|socket| socket.dead) {
                    queue.after(PROBE_TIMEOUT, Event::Signal(Signal::Missed(index, conn)));
                }
            }
            Output::Close { conn, .. } => {
                let Some(socket) = self.sites[index].sockets.remove(&conn.0) else { return };
                queue.after(socket.latency, Event::Fact(socket.node, Fact::socket_lost(socket.socket)));
            }
        }
    }

    /// What else becomes of an answer that is passed on to `conn`. Returns how late it is.
    fn tamper(&mut self, index: usize, conn: ConnId, text: &str, queue: &mut Queue) -> Duration {
        self.answered += 1;
        let sockets = &self.sites[index].sockets;
        let copy_to = match self.answers {
            Answers::EverySecondLate(by) if self.answered % 2 == 1 => return by,
            Answers::EverySecondLate(_) | Answers::PassedOn => None,
            Answers::Twice => sockets.get(&conn.0),
            Answers::ToOthersToo => sockets.iter().find(|(other, _)| **other != conn.0).map(|(_, socket)| socket),
        };
        if let Some(socket) = copy_to {
            let copy = Fact::SocketText(socket.socket, text.to_owned());
            queue.after(socket.latency, Event::Fact(socket.node, copy));
        }
        Duration::ZERO
    }

    fn find(&self, node: NodeId, socket: SocketId) -> Option<(usize, u64, Duration)> {
        self.sites.iter().enumerate().find_map(|(index, site)| {
            let (conn, found) = site.sockets.iter().find(|(_, other)| (other.node, other.socket) == (node, socket))?;
            Some((index, *conn, found.latency))
        })
    }
}
