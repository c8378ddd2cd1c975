//! Some nodes of a cluster, their clients, a registry and a backplane between them, in virtual time.
//!
//! The registry is the one in memory. Messages and exchanges take 1 to 20 ms; a share of them is lost, and a node
//! can be cut off, stopped and killed. Invariant: one seed makes one run, and each step is followed by every node's own
//! check.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, Event, ServerMessage};
use swarmreel_signaling::cluster::memory::{Entry, Memory};
use swarmreel_signaling::cluster::message::Envelope;
use swarmreel_signaling::cluster::registry::{Input, Output, Sync};
use swarmreel_signaling::cluster::{ClusterLimits, ClusterShard, NodeId};
use swarmreel_signaling::{ConnId, Desk, Output as ToClient, Request, Shard, ShardOutput, Spread, TrackerLimits};

pub(crate) const HASH: InfoHash = InfoHash([7; 20]);
const SHARDS: usize = 2;

/// Which torrents are which shard's.
fn spread() -> Spread {
    Spread::new(SHARDS, [3; 32])
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    desk: Desk,
    shards: Vec<ClusterShard>,
    /// Whether its link works, as far as it knows.
    up: bool,
    /// Whether a table is on its way to it.
    beating: bool,
    /// Whether registry and backplane can be reached.
    pub(crate) reachable: bool,
    /// Neither works nor sees time pass.
    pub(crate) stopped: bool,
    late: Vec<(usize, Input)>,
}

enum Due {
    Beat(usize),
    /// An exchange that a node began, under the id that it had then.
    Exchange(usize, NodeId, Sync),
    /// Who lives, as a node asked under the id that it had then.
    Table(usize, NodeId, Vec<NodeId>),
    Input(usize, Input),
}

#[derive(Default)]
struct Client {
    node: usize,
    inbox: Vec<ServerMessage>,
    closed: Option<u16>,
    /// Answers nothing, not even pings: a probe finds it dead.
    deaf: bool,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    rng: Rng,
    pub(crate) nodes: Vec<Node>,
    pub(crate) registry: Memory,
    clients: BTreeMap<u64, Client>,
    due: BTreeMap<(Moment, u64), Due>,
    count: u64,
    /// Of 100 messages between nodes, how many are lost.
    pub(crate) loss: u64,
    /// Of 100 exchanges with the registry, how many fail.
    pub(crate) failures: u64,
    /// Exchanges that were asked for.
    pub(crate) exchanges: u64,
    /// Pairs of peers that have exchanged offer and answer, the offerer first.
    pub(crate) met: BTreeSet<(PeerId, PeerId)>,
    /// Every offer that a client was given: when, to which connection, of whom.
    pub(crate) given: Vec<(Moment, u64, PeerId)>,
}

impl World {
    pub(crate) fn new(nodes: usize, seed: u8) -> Self {
        let mut world = Self {
            now: Moment(1_000_000),
            rng: Rng::new([seed; 32]),
            nodes: Vec::new(),
            registry: Memory::default(),
            clients: BTreeMap::new(),
            due: BTreeMap::new(),
            count: 0,
            loss: 0,
            failures: 0,
            exchanges: 0,
            met: BTreeSet::new(),
            given: Vec::new(),
        };
        (0..nodes).for_each(|_| world.start());
        world.pass(1.0);
        world
    }

    /// One more node.
    pub(crate) fn start(&mut self) {
        let limits = TrackerLimits::default();
        let shard = |index: u8| {
            let shard = Shard::new(limits.clone(), [index; 32], spread());
            ClusterShard::new(shard, limits.clone(), ClusterLimits::default(), [index; 32])
        };
        let shards = (0..SHARDS).map(|index| shard(index as u8)).collect();
        let desk = Desk::new(limits.clone());
        let id = NodeId(0);
        self.nodes.push(Node {
            id,
            desk,
            shards,
            up: false,
            beating: false,
            reachable: true,
            stopped: false,
            late: Vec::new(),
        });
        self.at(0.0, Due::Beat(self.nodes.len() - 1));
    }

    /// The process is gone, with its connections.
    pub(crate) fn kill(&mut self, node: usize) {
        let limits = TrackerLimits::default();
        self.nodes[node].stopped = true;
        self.nodes[node].desk = Desk::new(limits);
        self.clients.retain(|_, client| client.node != node);
        self.due.retain(|_, due| match due {
            Due::Beat(at) | Due::Exchange(at, ..) | Due::Table(at, ..) | Due::Input(at, _) => *at != node,
        });
    }

    /// It stops working, as by SIGSTOP, or goes on.
    pub(crate) fn stop(&mut self, node: usize, stopped: bool) {
        self.nodes[node].stopped = stopped;
        for (shard, input) in std::mem::take(&mut self.nodes[node].late) {
            self.nodes[node].shards[shard].input(self.now, input);
        }
        self.settle(node);
    }

    pub(crate) fn open(&mut self, conn: u64, node: usize) {
        self.clients.insert(conn, Client { node, ..Client::default() });
        self.nodes[node].desk.opened(self.now, ConnId(conn), IpAddr::from([127, 0, 0, 1]));
    }

    pub(crate) fn close(&mut self, conn: u64) {
        let Some(client) = self.clients.remove(&conn) else { return };
        self.nodes[client.node].desk.closed(self.now, ConnId(conn));
        self.settle(client.node);
    }

    pub(crate) fn deafen(&mut self, conn: u64) {
        self.clients.get_mut(&conn).expect("it is open").deaf = true;
    }

    pub(crate) fn is_open(&self, conn: u64) -> bool {
        self.clients.get(&conn).is_some_and(|client| client.closed.is_none())
    }

    pub(crate) fn send(&mut self, conn: u64, message: ClientMessage) {
        let node = self.clients[&conn].node;
        let Node { desk, shards, .. } = &mut self.nodes[node];
        let text = message.write();
        if let Some(request) = desk.message(self.now, ConnId(conn), &text) {
            shards[request.shard(&spread())].handle(self.now, request);
        }
        self.settle(node);
    }

    /// An announce with offers whose ids are drawn.
    pub(crate) fn joins(&mut self, conn: u64, peer_id: PeerId, left: Option<u64>, offers: usize) {
        let mut offer = || (OfferId(std::array::from_fn(|_| self.rng.below(256) as u8)), format!("v=0 of {conn}\r\n"));
        let offers = (0..offers).map(|_| offer()).collect();
        self.send(conn, ClientMessage::Announce(Announce { left, offers, ..announce(peer_id) }));
    }

    pub(crate) fn stops(&mut self, conn: u64, peer_id: PeerId) {
        let event = Some(Event::Stopped);
        self.send(conn, ClientMessage::Announce(Announce { event, ..announce(peer_id) }));
    }

    /// Everything received since the last look.
    pub(crate) fn received(&mut self, conn: u64) -> Vec<ServerMessage> {
        self.clients.get_mut(&conn).map(|client| std::mem::take(&mut client.inbox)).unwrap_or_default()
    }

    /// Seeders and leechers, as the last response since the last look says.
    pub(crate) fn counts(&mut self, conn: u64) -> Option<(u32, u32)> {
        let counts = |message: &ServerMessage| match message {
            ServerMessage::Response { complete, incomplete, .. } => Some((*complete, *incomplete)),
            _ => None,
        };
        self.received(conn).iter().filter_map(counts).next_back()
    }

    /// Lets this much time pass; clients that are not deaf answer offers at once.
    pub(crate) fn pass(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        loop {
            self.answer_offers();
            let due = self.due.keys().next().map(|(at, _)| *at);
            let wakes = self.nodes.iter().filter(|node| !node.stopped).filter_map(Node::wake_at).min();
            let Some(next) = due.into_iter().chain(wakes).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Due::Beat(node) => self.beat(node),
                Due::Exchange(node, id, sync) => self.exchange(node, id, sync),
                // What an earlier session asked is of no interest to a later one.
                Due::Table(node, id, live) if self.nodes[node].id == id && self.nodes[node].up => {
                    self.nodes[node].beating = false;
                    self.input(node, Input::Nodes(live.into()));
                }
                Due::Table(..) => {}
                Due::Input(node, input) => self.input(node, input),
            }
        }
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.stopped || node.wake_at().is_none_or(|at| at > self.now) {
                continue;
            }
            node.desk.wake(self.now);
            node.shards.iter_mut().for_each(|shard| shard.wake(self.now));
            self.settle(index);
        }
    }

    fn at(&mut self, seconds: f64, due: Due) {
        self.count += 1;
        self.due.insert((self.now + Duration::from_secs_f64(seconds), self.count), due);
    }

    fn delay(&mut self) -> f64 {
        (1 + self.rng.below(20)) as f64 / 1000.0
    }

    /// What the link does every 4 s, and whenever it is asked who lives, unless a table is on its way, which takes longer
    /// than other things.
    fn heartbeat(&mut self, node: usize) {
        let (Node { id, reachable, up, .. }, lease) = (&self.nodes[node], ClusterLimits::default().lease);
        let (id, up) = (*id, *up);
        if !reachable {
            if std::mem::take(&mut self.nodes[node].up) {
                self.input(node, Input::Down);
            }
        } else if let Some(live) = self.registry.renew_lease(self.now, id, lease).filter(|_| up) {
            if !std::mem::replace(&mut self.nodes[node].beating, true) {
                let delay = 5.0 * self.delay();
                self.at(delay, Due::Table(node, id, live));
            }
        } else {
            self.come_up(node);
        }
    }

    /// A new session of a node's link.
    fn come_up(&mut self, node: usize) {
        let (id, lease) = (NodeId::from_random(self.rng.below(u64::MAX)), ClusterLimits::default().lease);
        let former = std::mem::replace(&mut self.nodes[node].id, id);
        self.nodes[node].beating = false;
        let live = self.registry.take_lease(self.now, id, Some(former), lease).into();
        if std::mem::replace(&mut self.nodes[node].up, true) {
            self.input(node, Input::Down);
        }
        self.input(node, Input::Up { node: id, live });
    }

    /// A node's link breaks, as the node sees it at once, and is made again after so many seconds.
    pub(crate) fn cut(&mut self, node: usize, seconds: f64) {
        self.nodes[node].reachable = false;
        self.heartbeat(node);
        self.pass(seconds);
        self.nodes[node].reachable = true;
        self.heartbeat(node);
    }

    fn beat(&mut self, node: usize) {
        if self.nodes[node].stopped {
            return self.at(0.1, Due::Beat(node));
        }
        self.heartbeat(node);
        self.at(4.0, Due::Beat(node));
    }

    fn exchange(&mut self, node: usize, id: NodeId, sync: Sync) {
        if !self.nodes[node].reachable || self.rng.below(100) < self.failures {
            let delay = 2.0;
            return self
                .at(delay, Due::Input(node, Input::Unsynced { info_hash: sync.info_hash, serial: sync.serial }));
        }
        let (delay, first) = (self.delay(), self.rng.below(1000) as usize);
        let synced = self.registry.exchange(self.now, id, &sync, first);
        self.at(delay, Due::Input(node, Input::Synced(synced)));
    }

    /// What the registry keeps of the swarm that most tests are about.
    pub(crate) fn entry(&self) -> &Entry {
        self.registry.entry(&HASH).expect("somebody is in it")
    }

    /// How many claims a node has there.
    pub(crate) fn claims_of(&self, node: NodeId) -> usize {
        let claims = self.registry.entry(&HASH).into_iter().flat_map(|entry| entry.claims.values());
        claims.filter(|(holder, _)| *holder == node).count()
    }

    fn input(&mut self, index: usize, input: Input) {
        let hash = match &input {
            Input::Synced(synced) => Some(synced.info_hash),
            Input::Unsynced { info_hash, .. } => Some(*info_hash),
            Input::Received(envelope) => Some(envelope.info_hash),
            Input::Up { .. } | Input::Down | Input::Nodes(_) => None,
        };
        let node = &mut self.nodes[index];
        for shard in (0..SHARDS).filter(|shard| hash.is_none_or(|hash| spread().shard_of(&hash) == *shard)) {
            if node.stopped {
                node.late.push((shard, input.clone()));
            } else {
                node.shards[shard].input(self.now, input.clone());
            }
        }
        self.settle(index);
    }

    /// A message that somebody wrote into the backplane.
    pub(crate) fn forge(&mut self, to: usize, envelope: Envelope) {
        self.input(to, Input::Received(envelope));
    }

    /// Carries everything between desk, shards, clients and the world outside until there is nothing left.
    fn settle(&mut self, index: usize) {
        if self.nodes[index].stopped {
            return;
        }
        while self.nodes[index].carry(self.now) {}
        while let Some(output) = self.nodes[index].desk.poll() {
            self.serve_client(output);
        }
        for shard in 0..SHARDS {
            while let Some(output) = self.nodes[index].shards[shard].poll_output() {
                self.serve_node(index, output);
            }
            self.nodes[index].shards[shard].check();
        }
    }

    fn serve_client(&mut self, output: ToClient) {
        match output {
            ToClient::Send { conn, text, .. } => {
                let Some(client) = self.clients.get_mut(&conn.0) else { return };
                client.inbox.push(ServerMessage::parse(&text).expect("the tracker writes what clients read"));
            }
            ToClient::Close { conn, code, .. } => {
                self.clients.get_mut(&conn.0).expect("it is open").closed = Some(code);
            }
            ToClient::Probe { conn } => {
                if self.clients.get(&conn.0).is_some_and(|client| client.deaf) {
                    self.close(conn.0);
                }
            }
        }
    }

    fn serve_node(&mut self, from: usize, output: Output) {
        let delay = self.delay();
        match output {
            Output::Sync(sync) => {
                self.exchanges += 1;
                self.at(delay, Due::Exchange(from, self.nodes[from].id, sync));
            }
            Output::Table => {
                self.heartbeat(from);
            }
            Output::Publish { to, envelope } => {
                let envelope = Envelope::decode(&envelope.encode().expect("it is short")).expect("it is well-formed");
                let to = self.nodes.iter().position(|node| node.id == to).filter(|to| self.nodes[*to].reachable);
                if let Some(to) = to.filter(|_| self.nodes[from].reachable && self.rng.below(100) >= self.loss) {
                    self.at(delay, Due::Input(to, Input::Received(envelope)));
                }
            }
        }
    }

    fn answer_offers(&mut self) {
        let answering = self.clients.iter().filter(|(_, client)| !client.deaf && !client.inbox.is_empty());
        for conn in answering.map(|(conn, _)| *conn).collect::<Vec<_>>() {
            let Some(me) = self.peer_of(conn) else { continue };
            let mut inbox = std::mem::take(&mut self.clients.get_mut(&conn).expect("it is open").inbox);
            for message in &inbox {
                match message {
                    ServerMessage::Offer { info_hash, peer_id, offer_id, .. } => {
                        self.given.push((self.now, conn, *peer_id));
                        let (info_hash, to_peer_id, offer_id) = (*info_hash, *peer_id, *offer_id);
                        let sdp = "v=0 \"answer\"".to_owned();
                        let answer = Answer { info_hash, peer_id: me, to_peer_id, offer_id, sdp, left: None };
                        self.send(conn, ClientMessage::Answer(answer));
                    }
                    ServerMessage::Answer { peer_id, .. } => drop(self.met.insert((me, *peer_id))),
                    _ => {}
                }
            }
            inbox.retain(|message| !matches!(message, ServerMessage::Offer { .. } | ServerMessage::Answer { .. }));
            if let Some(client) = self.clients.get_mut(&conn) {
                inbox.append(&mut client.inbox);
                client.inbox = inbox;
            }
        }
    }

    /// The peer of a connection, in any one of its swarms.
    fn peer_of(&self, conn: u64) -> Option<PeerId> {
        let node = &self.nodes[self.clients[&conn].node];
        node.desk.peers().find(|(peer, _)| peer.conn == ConnId(conn)).map(|(peer, _)| peer.peer_id)
    }

    /// Where each peer of a swarm is bound.
    pub(crate) fn bound(&self, info_hash: InfoHash) -> BTreeMap<PeerId, Vec<usize>> {
        let mut bound: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.stopped) {
            let peers = node.shards.iter().flat_map(|shard| shard.shard().peers());
            for (peer, _) in peers.filter(|(peer, _)| peer.info_hash == info_hash) {
                bound.entry(peer.peer_id).or_default().push(index);
            }
        }
        bound
    }

    /// The sum of what a node's shards count.
    pub(crate) fn counters(&self, node: usize, figure: impl Fn(&ClusterShard) -> u64) -> u64 {
        self.nodes[node].shards.iter().map(figure).sum()
    }
}

impl Node {
    /// Swarms of which its shards know something.
    pub(crate) fn swarms_known(&self) -> usize {
        self.shards.iter().map(ClusterShard::swarms_known).sum()
    }

    fn wake_at(&self) -> Option<Moment> {
        self.desk.wake_at().into_iter().chain(self.shards.iter().filter_map(ClusterShard::wake_at)).min()
    }

    /// One round between desk and shards; false when nothing moved.
    fn carry(&mut self, now: Moment) -> bool {
        let mut moved = false;
        for index in 0..SHARDS {
            while let Some(output) = self.shards[index].poll() {
                moved = true;
                match output {
                    ShardOutput::Deliver(delivery) => self.desk.delivered(now, delivery),
                    ShardOutput::Forward(request) => self.handle(now, request),
                    ShardOutput::Tallied { .. } => {}
                }
            }
        }
        while let Some(request) = self.desk.poll_request() {
            moved = true;
            self.handle(now, request);
        }
        moved
    }

    fn handle(&mut self, now: Moment, request: Request<'_>) {
        self.shards[request.shard(&spread())].handle(now, request);
    }
}

pub(crate) fn peer(name: u8) -> PeerId {
    PeerId([name; 20])
}

/// A periodic announce without offers.
pub(crate) fn announce(peer_id: PeerId) -> Announce {
    let (info_hash, event, left, numwant) = (HASH, None, None, None);
    Announce { info_hash, peer_id, event, left, uploaded: 0, downloaded: 0, numwant, offers: vec![] }
}
