//! What one node's link carries through one Redis on this machine: exchanges with the registry, and offers of 1 KB from one
//! node to another; and for how long a worker with a million peers is busy at once, when the link begins anew and at a
//! heartbeat. Needs `redis-server`. Invariant: so much is on its way at a time that nobody waits for want of work, and
//! nothing is lost.
#![allow(clippy::disallowed_types, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

#[path = "../tests/redis/mod.rs"]
mod redis;

use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use redis::Redis;
use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel_signaling::cluster::message::{Envelope, Message, Offers};
use swarmreel_signaling::cluster::redis::{ClusterOptions, Link};
use swarmreel_signaling::cluster::registry::{Claim, Input, Output, Sync};
use swarmreel_signaling::cluster::{ClusterLimits, ClusterShard, Count, NodeId};
use swarmreel_signaling::{Announce, ConnId, Network, Request, Shard, Spread, TrackerLimits};

const EXCHANGES: u64 = 100_000;
const EXCHANGES_AT_A_TIME: u64 = 256;
const SWARMS: u64 = 1000;
const MESSAGES: u64 = 200_000;
const MESSAGES_AT_A_TIME: u64 = 1000;
const SDP_BYTES: usize = 1024;
const PEERS: u64 = 1_000_000;
const PEERS_IN_A_SWARM: u64 = 2;
/// The kernel's unit of processor time.
const TICKS_PER_SECOND: f64 = 100.0;

struct Node {
    link: Link,
    inputs: Receiver<Input>,
    id: NodeId,
}

impl Node {
    fn start(redis: &Redis) -> Self {
        let (sender, inputs) = mpsc::channel();
        let (address, prefix, node_name) = (redis.url().parse().expect("a URL"), "bench".to_owned(), String::new());
        let options = ClusterOptions { address, ca: None, prefix, node_name, limits: ClusterLimits::default() };
        let link = Link::start(options, move |input| sender.send(input).is_ok()).expect("a thread");
        let id = inputs.iter().find_map(|input| if let Input::Up { node, .. } = input { Some(node) } else { None });
        Self { link, inputs, id: id.expect("the link lives") }
    }

    /// Waits for the next input that is none of the others.
    fn next(&self, wanted: impl Fn(&Input) -> bool) {
        let is_failure = |input: &Input| matches!(input, Input::Unsynced { .. } | Input::Down);
        let input = self.inputs.iter().find(|input| wanted(input) || is_failure(input));
        assert!(input.is_some_and(|input| !is_failure(&input)), "too much at a time");
    }
}

fn main() {
    let redis = Redis::start();
    let (a, b) = (Node::start(&redis), Node::start(&redis));
    for claims in [1, 0] {
        let what = format!("exchanges with {claims} claims");
        measure(&what, EXCHANGES, &redis, || exchanges(&a, claims));
    }
    measure("messages from one node to another", MESSAGES, &redis, || messages(&a, &b));
    assert_eq!(a.link.sender().stats().lost() + b.link.sender().stats().lost(), 0);
    pauses();
}

/// How long a worker is busy with nothing else.
fn pauses() {
    let (limits, now) = (TrackerLimits::default(), Moment(1_000_000));
    let shard = Shard::new(limits.clone(), [1; 32], Spread::new(1, [1; 32]));
    let mut shard = ClusterShard::new(shard, limits, ClusterLimits::default(), [1; 32]);
    for number in 0..PEERS {
        let (info_hash, peer_id) = (InfoHash(bytes(number / PEERS_IN_A_SWARM)), PeerId(bytes(number)));
        let (conn, network, offers) = (ConnId(number), Network(number), Vec::new());
        let announce = Announce { conn, network, info_hash, peer_id, complete: false, offers, too_often: false };
        shard.handle(now, Request::Announce(announce));
        while shard.poll().is_some() {}
    }
    let [node, other] = [1, 2].map(NodeId::from_random);
    let mut pause = |what: &str, input: Input| {
        let begin = Instant::now();
        shard.input(now, input);
        println!("{PEERS} peers in swarms of {PEERS_IN_A_SWARM}: {what} takes {:?} at once", begin.elapsed());
    };
    pause("to begin anew", Input::Up { node, live: [node].into() });
    pause("a heartbeat that brings a node", Input::Nodes([node, other].into()));
    pause("a heartbeat by which one has died", Input::Nodes([node].into()));
}

fn exchanges(node: &Node, claims: u64) {
    for serial in 0..EXCHANGES + EXCHANGES_AT_A_TIME {
        if serial >= EXCHANGES_AT_A_TIME {
            node.next(|input| matches!(input, Input::Synced(_)));
        }
        if serial < EXCHANGES {
            let claim = |_| Claim { peer_id: PeerId(bytes(serial)), from: None, age: Default::default() };
            let (info_hash, count) = (InfoHash(bytes(serial % SWARMS)), Count { seeders: 1, leechers: 3 });
            let claims = (0..claims).map(claim).collect();
            let sync = Sync { info_hash, serial, count, claims, discards: vec![], forgets: vec![] };
            node.link.sender().send(Output::Sync(sync));
        }
    }
}

fn messages(from: &Node, to: &Node) {
    for serial in 0..MESSAGES + MESSAGES_AT_A_TIME {
        if serial >= MESSAGES_AT_A_TIME {
            to.next(|input| matches!(input, Input::Received(_)));
        }
        if serial < MESSAGES {
            let offers = vec![(OfferId(bytes(serial)), "s".repeat(SDP_BYTES))];
            let offers = Offers { offerer: PeerId(bytes(serial)), complete: false, network: 1, offers };
            let (sender, info_hash) = (from.id, InfoHash(bytes(serial % SWARMS)));
            let envelope = Envelope { sender, info_hash, message: Message::Offers(offers) };
            from.link.sender().send(Output::Publish { to: to.id, envelope });
        }
    }
}

/// Prints how many there were in a second, and what one cost.
fn measure(what: &str, count: u64, redis: &Redis, work: impl FnOnce()) {
    let (begin, own, of_redis) = (Instant::now(), own_seconds(), redis_seconds(redis));
    work();
    let (took, own, of_redis) = (begin.elapsed(), own_seconds() - own, redis_seconds(redis) - of_redis);
    let micros = |seconds: f64| seconds * 1e6 / count as f64;
    println!(
        "{what}: {:.0} a second; processor time of each: {:.1} µs here, {:.1} µs in Redis",
        count as f64 / took.as_secs_f64(),
        micros(own),
        micros(of_redis)
    );
}

/// Of this process, both nodes and the benchmark itself.
fn own_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().expect("a number"));
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

fn redis_seconds(redis: &Redis) -> f64 {
    let page = redis.ask(&["INFO", "cpu"]);
    let value = |name| page.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
    let seconds = |name| value(name).and_then(|value| value.parse::<f64>().ok()).expect("Redis says so");
    seconds("used_cpu_user") + seconds("used_cpu_sys")
}

fn bytes(number: u64) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes
}
