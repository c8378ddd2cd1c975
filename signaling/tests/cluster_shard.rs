//! One shard of a node, in virtual time and without a world around it: what waits there, and what is open.

use std::time::{Duration, Instant};

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel_signaling::cluster::message::{Envelope, Message, Offers};
use swarmreel_signaling::cluster::registry::{Input, Output};
use swarmreel_signaling::cluster::{ClusterLimits, ClusterShard, NodeId};
use swarmreel_signaling::{Announce, Answer, ConnId, Network, Request, Sdp, Shard, Spread, TrackerLimits};

const HASH: InfoHash = InfoHash([7; 20]);
const NODE: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

/// A shard whose cluster is up, and whose registry says nothing.
fn shard(limits: ClusterLimits) -> ClusterShard {
    let tracker = TrackerLimits::default();
    let shard = Shard::new(tracker.clone(), [0; 32], Spread::new(1, [0; 32]));
    let mut shard = ClusterShard::new(shard, tracker, limits, [0; 32]);
    shard.input(Moment(0), Input::Up { node: NODE, live: [NODE, OTHER].into() });
    shard
}

fn peer(number: u64) -> PeerId {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    PeerId(bytes)
}

fn announce(conn: u64) -> Request<'static> {
    let (info_hash, peer_id, network) = (HASH, peer(conn), Network(conn));
    let (complete, offers, too_often) = (false, Vec::new(), false);
    Request::Announce(Announce { conn: ConnId(conn), network, info_hash, peer_id, complete, offers, too_often })
}

/// To an offer of a peer at the other node.
fn answer(conn: u64, offer: u8) -> Request<'static> {
    let (info_hash, peer_id, to_peer_id, offer_id) = (HASH, peer(conn), peer(u64::MAX), OfferId([offer; 20]));
    Request::Answer(Answer { conn: ConnId(conn), info_hash, peer_id, to_peer_id, offer_id, sdp: Sdp::escape("v=0") })
}

/// That offer, on its way here.
fn offer(offer: u8) -> Input {
    let offers = vec![(OfferId([offer; 20]), "v=0".to_owned())];
    let message = Message::Offers(Offers { offerer: peer(u64::MAX), complete: true, network: 9, offers });
    Input::Received(Envelope { sender: OTHER, info_hash: HASH, message })
}

/// Whether the shard sends an answer to the other node.
fn is_answered(shard: &mut ClusterShard) -> bool {
    let is_answer = |output: Output| match output {
        Output::Publish { to, envelope } => to == OTHER && matches!(envelope.message, Message::Answer(_)),
        _ => false,
    };
    std::iter::from_fn(|| shard.poll_output()).any(is_answer)
}

/// Lets the time pass that the shard wants to.
fn wake_until_idle(shard: &mut ClusterShard, end: Moment) {
    while let Some(now) = shard.wake_at().filter(|due| *due <= end) {
        shard.wake(now);
        while shard.poll().is_some() || shard.poll_output().is_some() {}
    }
    shard.check();
}

#[test]
fn what_waits_is_not_looked_through_for_each_that_comes_or_goes() {
    const CONNS: u64 = 64;
    const EACH: u64 = 1000;
    let limits = ClusterLimits { parked_bytes: 64 << 20, ..ClusterLimits::default() };
    let mut shard = shard(limits.clone());
    let begin = Instant::now();
    let mut now = Moment(0);
    for conn in 0..CONNS {
        shard.handle(now, announce(conn));
        for _ in 1..EACH {
            now = now + Duration::from_micros(1);
            shard.handle(now, answer(conn, 0));
        }
    }
    assert_eq!(shard.counters().parked, CONNS * EACH);
    wake_until_idle(&mut shard, now + limits.parked);
    let taken = begin.elapsed();
    assert_eq!(shard.counters().overdue, CONNS * EACH);
    assert_eq!(shard.shard().peers().count() as u64, CONNS);
    assert!(taken < Duration::from_secs(20), "{taken:?} for {} requests", CONNS * EACH);
}

#[test]
fn a_shard_has_nothing_to_do_for_what_waits_no_more() {
    let mut shard = shard(ClusterLimits::default());
    shard.handle(Moment(0), announce(1));
    let waits = shard.wake_at().expect("it waits no longer than the limit");
    shard.input(Moment(1000), Input::Down);
    assert_eq!(shard.shard().peers().count(), 1, "it is served");
    assert_ne!(shard.wake_at(), Some(waits));
    shard.check();
}

#[test]
fn an_answered_offer_takes_no_room() {
    let limits = ClusterLimits { offers: 3, ..ClusterLimits::default() };
    let mut shard = shard(limits.clone());
    shard.handle(Moment(0), announce(1));
    let now = Moment(0) + limits.parked;
    shard.wake(now);
    shard.input(now, offer(100));
    for id in 0..20 {
        shard.input(now, offer(id));
        shard.handle(now, answer(1, id));
        assert!(is_answered(&mut shard));
    }
    shard.handle(now, answer(1, 100));
    assert!(is_answered(&mut shard), "it is the only one that is open");
    (0..4).for_each(|id| shard.input(now, offer(id)));
    assert_eq!(shard.counters().offers_evicted, 1, "the oldest of four");
    shard.handle(now, answer(1, 0));
    assert!(!is_answered(&mut shard));
    shard.handle(now, answer(1, 1));
    assert!(is_answered(&mut shard));
}
