//! Up to three nodes of a cluster, a registry and a backplane between them that delay, lose and reorder, and nodes that are
//! cut off.
//!
//! Invariant: whatever is said in whatever order, an answer passes only where its offer went, once (S8), and what one client
//! says puts no other out (S9). When quiet returns, every peer is bound once, where its claim is, and every count is true.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use swarmreel_signaling::cluster::memory::Memory;
use swarmreel_signaling::cluster::message::Envelope;
use swarmreel_signaling::cluster::registry::{Input, Output as Asked, Sync};
use swarmreel_signaling::cluster::{ClusterLimits, ClusterShard, NodeId};
use swarmreel_signaling::{ConnId, Desk, Leave, Output, Shard, ShardOutput, Spread, TrackerLimits};

use super::record::Record;
use super::{CONNECTIONS, STEPS_MAX, TORRENTS, announce, hash, peer};
use crate::script::Script;

const NODES_MAX: usize = 3;
const HEARTBEAT: Duration = Duration::from_secs(4);

/// Plays the script on several nodes; then quiet returns, all is true, all connections close, and nothing is left.
pub(super) fn together(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(1 + script.below(NODES_MAX));
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
    world.calm();
    world.check_truth();
    (0..CONNECTIONS).for_each(|place| world.close(place));
    world.pass(25);
    for node in &world.nodes {
        assert_eq!(node.shard.shard().torrents(), 0, "no swarm is without a peer");
        assert_eq!((node.shard.swarms_known(), node.desk.wake_at()), (0, None), "nothing is left");
    }
    let mut counts = world.registry.swarms().flat_map(|(_, entry)| entry.counts.keys());
    assert!(counts.all(|id| world.nodes.iter().all(|node| node.id != *id)), "nor in the registry");
}

struct Node {
    id: NodeId,
    desk: Desk,
    shard: ClusterShard,
    /// Whether it reaches registry and backplane.
    up: bool,
    beat_at: Moment,
    beating: bool,
}

/// What is on its way, from or to a node under one id.
enum Wire {
    Exchange(Sync),
    Table,
    Input(Input),
}

#[derive(Clone, Copy)]
struct Client {
    conn: ConnId,
    node: usize,
    /// A probe finds it dead.
    deaf: bool,
}

struct World {
    now: Moment,
    nodes: Vec<Node>,
    registry: Memory,
    wires: Vec<(usize, NodeId, Wire)>,
    clients: [Option<Client>; CONNECTIONS],
    minted: u64,
    record: Record,
}

impl World {
    fn new(count: usize) -> Self {
        let mut world = Self {
            now: Moment(1_000_000),
            nodes: (0..count).map(|index| Node::new(index as u8)).collect(),
            registry: Memory::default(),
            wires: Vec::new(),
            clients: [None; CONNECTIONS],
            minted: 0,
            record: Record::default(),
        };
        (0..count).for_each(|node| world.connect(node));
        world
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let place = script.below(CONNECTIONS);
        match script.below(12) {
            0 => self.close(place),
            1..=4 => self.announce(place, script),
            5 => self.answer(place, script),
            6 => self.sleep(Duration::from_millis(script.u16().into())),
            7 => self.sleep(Duration::from_millis(script.byte().into())),
            8 => self.cut_or_connect(place % self.nodes.len()),
            9 => self.lose(script.below(16)),
            10 => self.clients[place].iter_mut().for_each(|client| client.deaf = true),
            _ => self.carry(script.below(16)),
        }
        if script.flag() {
            self.deliver();
        }
    }

    fn open(&mut self, place: usize) -> Client {
        if let Some(client) = self.clients[place] {
            return client;
        }
        let client = Client { conn: ConnId(self.minted), node: place % self.nodes.len(), deaf: false };
        self.minted += 1;
        self.clients[place] = Some(client);
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, place as u8 / 2 + 1));
        self.nodes[client.node].desk.opened(self.now, client.conn, address);
        client
    }

    fn close(&mut self, place: usize) {
        if let Some(client) = self.clients[place].take() {
            self.nodes[client.node].desk.closed(self.now, client.conn);
            self.settle(client.node);
        }
    }

    fn announce(&mut self, place: usize, script: &mut Script<'_>) {
        let client = self.open(place);
        let announce = announce(script);
        self.record.announced(client.conn, &announce);
        self.say(client, ClientMessage::Announce(announce));
    }

    /// Mostly to an offer that somebody saw, and in half of all cases not by whom it was made to.
    fn answer(&mut self, place: usize, script: &mut Script<'_>) {
        let Some(seen) = self.record.seen(script.below(256)) else { return };
        let receiver = self.clients.iter().flatten().find(|client| client.conn == seen.to);
        let client = receiver.copied().filter(|_| script.flag()).unwrap_or_else(|| self.open(place));
        let is_own = |(peer, _): &(Leave, bool)| (peer.conn, peer.info_hash) == (client.conn, seen.info_hash);
        let own = self.nodes[client.node].desk.peers().find(is_own);
        let peer_id = own.map(|(peer, _)| peer.peer_id).filter(|_| script.below(4) > 0);
        let (peer_id, sdp) = (peer_id.unwrap_or_else(|| peer(script)), "v=0".to_owned());
        let (info_hash, to_peer_id, offer_id) = (seen.info_hash, seen.offerer, seen.offer_id);
        let answer = Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, left: None };
        self.record.answered(client.conn, &answer);
        self.say(client, ClientMessage::Answer(answer));
    }

    fn say(&mut self, client: Client, message: ClientMessage) {
        let before = self.bound();
        let Node { desk, shard, .. } = &mut self.nodes[client.node];
        let text = message.write();
        if let Some(request) = desk.message(self.now, client.conn, &text) {
            shard.handle(self.now, request);
        }
        self.settle(client.node);
        let after = self.bound();
        for (name, conns) in before {
            for conn in conns.into_iter().filter(|conn| *conn != client.conn && self.is_open(*conn)) {
                assert!(after.get(&name).is_some_and(|conns| conns.contains(&conn)), "S9: nobody else is put out");
            }
        }
    }

    fn is_open(&self, conn: ConnId) -> bool {
        self.clients.iter().flatten().any(|client| client.conn == conn)
    }

    /// Which connections each peer is bound to.
    fn bound(&self) -> BTreeMap<(InfoHash, PeerId), Vec<ConnId>> {
        let mut bound: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (peer, _) in self.nodes.iter().flat_map(|node| node.shard.shard().peers()) {
            bound.entry((peer.info_hash, peer.peer_id)).or_default().push(peer.conn);
        }
        bound
    }

    fn sleep(&mut self, span: Duration) {
        self.now = self.now + span;
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            node.desk.wake(self.now);
            node.shard.wake(self.now);
            if node.up && node.beat_at <= self.now {
                self.beat(index);
            }
            self.settle(index);
        }
    }

    fn cut_or_connect(&mut self, index: usize) {
        if std::mem::take(&mut self.nodes[index].up) {
            self.nodes[index].shard.input(self.now, Input::Down);
            self.settle(index);
        } else {
            self.connect(index);
        }
    }

    /// A new session of a node's link.
    fn connect(&mut self, index: usize) {
        self.minted += 1;
        let (now, id) = (self.now, NodeId::from_random(self.minted));
        let node = &mut self.nodes[index];
        let former = std::mem::replace(&mut node.id, id);
        let live = self.registry.take_lease(now, id, Some(former), ClusterLimits::default().lease);
        (node.up, node.beating, node.beat_at) = (true, false, now + HEARTBEAT);
        node.shard.input(now, Input::Up { node: id, live: live.into() });
        self.settle(index);
    }

    fn beat(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.beat_at = self.now + HEARTBEAT;
        if !std::mem::replace(&mut node.beating, true) {
            self.wires.push((index, node.id, Wire::Table));
        }
    }

    /// One of the things that are on their way arrives.
    fn carry(&mut self, which: usize) {
        let Some(which) = which.checked_rem(self.wires.len()) else { return };
        let (index, id, wire) = self.wires.remove(which);
        let (now, node) = (self.now, &mut self.nodes[index]);
        // What an earlier session asked is of no interest to a later one; but its exchanges may still be done.
        let is_current = node.up && node.id == id;
        match wire {
            Wire::Exchange(sync) => {
                let synced = self.registry.exchange(now, id, &sync, which);
                self.wires.push((index, id, Wire::Input(Input::Synced(synced))));
            }
            Wire::Table if is_current => match self.registry.renew_lease(now, id, ClusterLimits::default().lease) {
                Some(live) => self.wires.push((index, id, Wire::Input(Input::Nodes(live.into())))),
                None => {
                    node.shard.input(now, Input::Down);
                    self.connect(index);
                }
            },
            Wire::Input(input) if is_current => {
                node.beating &= !matches!(input, Input::Nodes(_));
                node.shard.input(now, input);
                self.settle(index);
            }
            Wire::Table | Wire::Input(_) => {}
        }
    }

    /// Or it does not: an exchange has failed then, though it may have been done; a message has not.
    fn lose(&mut self, which: usize) {
        let Some(which) = which.checked_rem(self.wires.len()) else { return };
        let (index, id, wire) = self.wires.remove(which);
        let failed = |info_hash, serial| Wire::Input(Input::Unsynced { info_hash, serial });
        match wire {
            Wire::Exchange(sync) => self.wires.push((index, id, failed(sync.info_hash, sync.serial))),
            Wire::Input(Input::Synced(synced)) => {
                self.wires.push((index, id, failed(synced.info_hash, synced.serial)));
            }
            Wire::Table | Wire::Input(Input::Nodes(_)) => self.nodes[index].beating = false,
            Wire::Input(Input::Unsynced { info_hash, serial }) => {
                self.wires.push((index, id, failed(info_hash, serial)));
            }
            Wire::Input(_) => {}
        }
    }

    /// Everything arrives.
    fn deliver(&mut self) {
        for _ in 0..1000 {
            if self.wires.is_empty() {
                return;
            }
            self.carry(0);
        }
        panic!("they never end");
    }

    /// Carries everything between a node's desk and shard, to its clients and to the world.
    fn settle(&mut self, index: usize) {
        while self.nodes[index].carry(self.now) {}
        while let Some(output) = self.nodes[index].desk.poll() {
            self.serve_client(output);
        }
        while let Some(asked) = self.nodes[index].shard.poll_output() {
            let id = self.nodes[index].id;
            match asked {
                Asked::Sync(sync) => self.wires.push((index, id, Wire::Exchange(sync))),
                Asked::Table => self.beat(index),
                Asked::Publish { to, envelope } => {
                    let bytes = envelope.encode().expect("it is short");
                    let input = Input::Received(Envelope::decode(&bytes).expect("it is well-formed"));
                    if let Some(receiver) = self.nodes.iter().position(|node| node.id == to) {
                        self.wires.push((receiver, to, Wire::Input(input)));
                    }
                }
            }
        }
        self.nodes[index].shard.check();
        self.nodes[index].desk.check();
    }

    fn serve_client(&mut self, output: Output) {
        match output {
            Output::Send { conn, text, .. } => {
                self.record.told(conn, &ServerMessage::parse(&text).expect("a client can read it"));
            }
            Output::Close { conn, .. } => {
                self.clients.iter_mut().for_each(|client| *client = client.filter(|client| client.conn != conn));
            }
            Output::Probe { conn } => {
                let is_dead = |client: &Option<Client>| client.is_some_and(|client| client.conn == conn && client.deaf);
                if let Some(place) = self.clients.iter().position(is_dead) {
                    self.close(place);
                }
            }
        }
    }

    /// Nothing is lost any more, and everybody announces now and then.
    fn calm(&mut self) {
        for index in 0..self.nodes.len() {
            if !self.nodes[index].up {
                self.connect(index);
            }
        }
        for _ in 0..4 {
            self.pass(3);
            let peers: Vec<_> = self.nodes.iter().flat_map(|node| node.desk.peers()).collect();
            for (peer, complete) in peers {
                let client = self.clients.iter().flatten().find(|client| client.conn == peer.conn);
                let Some(client) = client.copied() else { continue };
                let (info_hash, peer_id, left) = (peer.info_hash, peer.peer_id, Some(u64::from(!complete)));
                let (event, numwant, offers) = (None, None, vec![]);
                let again = Announce { info_hash, peer_id, event, left, uploaded: 0, downloaded: 0, numwant, offers };
                self.say(client, ClientMessage::Announce(again));
            }
        }
        self.pass(7);
    }

    /// So many heartbeats.
    fn pass(&mut self, beats: u32) {
        for _ in 0..beats {
            self.deliver();
            self.sleep(HEARTBEAT);
        }
        self.deliver();
    }

    fn check_truth(&mut self) {
        let bound = self.bound();
        for ((info_hash, peer_id), conns) in &bound {
            assert_eq!(conns.len(), 1, "S9: a peer is bound once");
            let client = self.clients.iter().flatten().find(|client| client.conn == conns[0]);
            let home = self.nodes[client.expect("it is open").node].id;
            let entry = self.registry.entry(info_hash).expect("the registry knows the swarm");
            assert_eq!(entry.claims.get(peer_id).map(|(holder, _)| *holder), Some(home), "where its claim is");
        }
        for info_hash in (0..TORRENTS).map(hash) {
            let truth = bound.keys().filter(|(of, _)| *of == info_hash).count() as u32;
            for place in 0..self.nodes.len() {
                let client = self.open(place);
                self.say(client, ClientMessage::Scrape(vec![info_hash]));
                self.deliver();
                assert_eq!(self.record.scraped(client.conn), Some(truth), "counts are true");
            }
        }
    }
}

impl Node {
    fn new(index: u8) -> Self {
        let limits = TrackerLimits::default();
        let shard = Shard::new(limits.clone(), [index; 32], Spread::new(1, [index; 32]));
        let shard = ClusterShard::new(shard, limits.clone(), ClusterLimits::default(), [index; 32]);
        let (id, beat_at) = (NodeId(index.into()), Moment(0));
        Self { id, desk: Desk::new(limits), shard, up: false, beat_at, beating: false }
    }

    /// One round between desk and shard; false when nothing moved.
    fn carry(&mut self, now: Moment) -> bool {
        let mut moved = false;
        while let Some(output) = self.shard.poll() {
            moved = true;
            match output {
                ShardOutput::Deliver(delivery) => self.desk.delivered(now, delivery),
                ShardOutput::Forward(request) => self.shard.handle(now, request),
                ShardOutput::Tallied { .. } => panic!("nobody has a ticket"),
            }
        }
        while let Some(request) = self.desk.poll_request() {
            moved = true;
            self.shard.handle(now, request);
        }
        moved
    }
}
