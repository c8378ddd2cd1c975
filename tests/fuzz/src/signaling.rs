//! Target 10: a desk and two shards, whose messages to each other take their time, against a plain model of who is who. What
//! the model asserts: an answer passes only where its offer went, once and in time (S8); a peer id is its connection's until
//! that leaves (S9); counts are true; no swarm is without a peer, and no seeder is offered to a seeder. Then the same script
//! on up to three nodes of a cluster (`nodes`).

mod model;
mod nodes;
mod record;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, Event};
use swarmreel_signaling::{ConnId, Delivery, Desk, Output, Request, Shard, ShardOutput, Spread, TrackerLimits};

use crate::script::Script;
use model::Model;

const CONNECTIONS: usize = 8;
const TORRENTS: usize = 3;
const PEER_IDS: usize = 4;
const SHARDS: usize = 2;
const STEPS_MAX: usize = 60;

/// Which torrents are which shard's.
fn spread() -> Spread {
    Spread::new(SHARDS, [3; 32])
}

/// Plays the script on one node, and on several.
pub fn signaling_model(bytes: &[u8]) {
    alone(bytes);
    nodes::together(bytes);
}

/// Plays the script; then all messages arrive, all connections close, and nothing is left.
fn alone(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
    world.settle();
    (0..world.minted).for_each(|conn| world.desk.closed(world.now, ConnId(conn)));
    world.drain();
    world.settle();
    assert!(world.shards.iter().all(|shard| shard.torrents() == 0), "nothing is left");
    assert_eq!(world.desk.wake_at(), None);
}

/// An offer as a receiver saw it.
#[derive(Clone, Copy)]
struct Seen {
    to: ConnId,
    info_hash: InfoHash,
    offerer: PeerId,
    offer_id: OfferId,
}

struct World {
    desk: Desk,
    shards: Vec<Shard>,
    model: Model,
    now: Moment,
    /// The connection at each place: its number, and whether it is open.
    conns: [ConnId; CONNECTIONS],
    open: [bool; CONNECTIONS],
    minted: u64,
    asked: [VecDeque<Request<'static>>; SHARDS],
    delivered: [VecDeque<Delivery>; SHARDS],
    seen: Vec<Seen>,
}

impl World {
    fn new() -> Self {
        let limits = TrackerLimits::default();
        Self {
            desk: Desk::new(limits.clone()),
            shards: (0..SHARDS).map(|shard| Shard::new(limits.clone(), [shard as u8; 32], spread())).collect(),
            model: Model::new(limits),
            now: Moment(1_000_000),
            conns: [ConnId(0); CONNECTIONS],
            open: [false; CONNECTIONS],
            minted: 0,
            asked: Default::default(),
            delivered: Default::default(),
            seen: Vec::new(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let place = script.below(CONNECTIONS);
        match script.below(8) {
            0 if self.open[place] => self.close(place),
            0..=3 => self.announce(place, script),
            4 => self.answer(place, script),
            5 => self.scrape(place, script),
            6 => self.sleep(Duration::from_millis(script.u16().into())),
            _ => {
                self.carry(script.below(SHARDS), script.flag());
            }
        }
        if script.flag() {
            self.settle();
        }
    }

    fn open(&mut self, place: usize) -> ConnId {
        if !self.open[place] {
            self.conns[place] = ConnId(self.minted);
            self.minted += 1;
            self.open[place] = true;
            // Some are neighbours.
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, place as u8 / 2 + 1));
            self.desk.opened(self.now, self.conns[place], address);
        }
        self.conns[place]
    }

    fn close(&mut self, place: usize) {
        self.open[place] = false;
        self.desk.closed(self.now, self.conns[place]);
        self.drain();
    }

    fn announce(&mut self, place: usize, script: &mut Script<'_>) {
        let conn = self.open(place);
        self.say(conn, ClientMessage::Announce(announce(script)));
    }

    /// Mostly to an offer that somebody saw, and in half of all cases not by whom it was made to.
    fn answer(&mut self, place: usize, script: &mut Script<'_>) {
        let Some(seen) = self.seen.get(script.below(self.seen.len().max(1))).copied() else { return };
        let conn = if script.flag() { seen.to } else { self.open(place) };
        let names = self.desk.peers().filter(|(peer, _)| (peer.conn, peer.info_hash) == (conn, seen.info_hash));
        let own = names.map(|(peer, _)| peer.peer_id).next();
        let peer_id = own.filter(|_| script.below(4) > 0).unwrap_or_else(|| peer(script));
        let (to_peer_id, offer_id, sdp) = (seen.offerer, seen.offer_id, "v=0".to_owned());
        let answer = Answer { info_hash: seen.info_hash, peer_id, to_peer_id, offer_id, sdp, left: None };
        self.say(conn, ClientMessage::Answer(answer));
    }

    fn scrape(&mut self, place: usize, script: &mut Script<'_>) {
        let conn = self.open(place);
        let hashes = (0..=script.below(3)).map(|_| hash(script.below(TORRENTS))).collect();
        self.say(conn, ClientMessage::Scrape(hashes));
    }

    fn say(&mut self, conn: ConnId, message: ClientMessage) {
        let text = message.write();
        if let Some(request) = self.desk.message(self.now, conn, &text) {
            self.asked[request.shard(&spread())].push_back(request.into_owned());
        }
        self.drain();
    }

    fn sleep(&mut self, span: Duration) {
        self.now = self.now + span;
        self.desk.wake(self.now);
        self.drain();
    }

    /// What the desk wants goes to the shards in time; whom it closed is closed.
    fn drain(&mut self) {
        while let Some(request) = self.desk.poll_request() {
            self.asked[request.shard(&spread())].push_back(request);
        }
        while let Some(output) = self.desk.poll() {
            if let Output::Close { conn, .. } = output {
                let place = self.conns.iter().position(|other| *other == conn).expect("a known connection");
                self.open[place] = false;
            }
        }
        self.desk.check();
    }

    /// One message arrives at a shard, or comes from it. False if there was none.
    fn carry(&mut self, shard: usize, back: bool) -> bool {
        if back {
            let Some(delivery) = self.delivered[shard].pop_front() else { return false };
            self.desk.delivered(self.now, delivery);
            self.drain();
            return true;
        }
        let Some(request) = self.asked[shard].pop_front() else { return false };
        self.model.asked(self.now, &request);
        self.shards[shard].handle(self.now, request);
        while let Some(output) = self.shards[shard].poll() {
            match output {
                ShardOutput::Forward(request) => self.asked[request.shard(&spread())].push_back(request),
                ShardOutput::Tallied { .. } => panic!("nobody has a ticket"),
                ShardOutput::Deliver(delivery) => {
                    self.seen.extend(self.model.delivered(self.now, &delivery));
                    self.delivered[shard].push_back(delivery);
                }
            }
        }
        self.shards[shard].check();
        self.model.check(self.shards.iter().flat_map(Shard::peers));
        true
    }

    /// Everything arrives: then the desk's members are the shards' peers.
    fn settle(&mut self) {
        while (0..SHARDS).any(|shard| self.carry(shard, false) || self.carry(shard, true)) {}
        let sorted = |mut peers: Vec<_>| {
            peers.sort_by_key(|(peer, _): &(swarmreel_signaling::Leave, bool)| {
                (peer.conn, peer.info_hash, peer.peer_id)
            });
            peers
        };
        let bound = sorted(self.shards.iter().flat_map(Shard::peers).collect());
        assert_eq!(sorted(self.desk.peers().collect()), bound, "the desk knows what the shards have");
    }
}

fn announce(script: &mut Script<'_>) -> Announce {
    let (info_hash, peer_id) = (hash(script.below(TORRENTS)), peer(script));
    let event = [None, Some(Event::Started), Some(Event::Completed), Some(Event::Stopped)][script.below(4)];
    let left = [None, Some(0), Some(5)][script.below(3)];
    let offers = (0..script.below(4)).map(|_| (OfferId([script.byte(); 20]), "v=0".to_owned())).collect();
    Announce { info_hash, peer_id, event, left, uploaded: 0, downloaded: 0, numwant: None, offers }
}

fn hash(number: usize) -> InfoHash {
    InfoHash([number as u8; 20])
}

fn peer(script: &mut Script<'_>) -> PeerId {
    PeerId([b'a' + script.below(PEER_IDS) as u8; 20])
}

#[cfg(test)]
mod tests {
    use swarmreel::rng::Rng;

    use super::*;

    #[test]
    fn s8_s9_hold_whatever_is_said_in_whatever_order() {
        for seed in 0..1000u64 {
            let mut rng = Rng::new(std::array::from_fn(|at| seed.to_be_bytes()[at % 8]));
            let script: Vec<u8> = (0..30).flat_map(|_| rng.bytes20()).collect();
            let result = std::panic::catch_unwind(|| signaling_model(&script));
            assert!(result.is_ok(), "seed {seed}");
        }
    }
}
