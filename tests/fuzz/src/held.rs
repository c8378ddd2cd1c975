//! What a tracker holds in memory for its peers, counted by the allocator of this package (threat-model S12).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, ClientMessage};
use swarmreel_signaling::{ConnId, Tracker, TrackerLimits};

use crate::heap;

const PEERS: u32 = 8000;
/// Heap bytes of a peer with five offers that nobody answers, its connection and its part of the swarm, at most.
const PEER_BYTES: isize = 670;
/// The same of one that is alone in its swarm.
const LONE_BYTES: isize = 800;
/// What is left when all are gone: queues that once were longer.
const REST_BYTES: isize = 4096;

/// A tracker whose peers come, in swarms of so many, announce twice, and go. The bytes held for each meanwhile.
fn held(peers_per_swarm: u32) -> isize {
    let mut tracker = Tracker::new(TrackerLimits::default(), [1; 32]);
    let mut now = Moment(0);
    let before = heap::live();
    for number in 0..PEERS {
        tracker.opened(now, ConnId(number.into()), IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)));
    }
    for _ in 0..2 {
        for number in 0..PEERS {
            now = now + Duration::from_secs(90) / PEERS;
            tracker.message(now, ConnId(number.into()), &announce(number, peers_per_swarm));
            while tracker.poll().is_some() {}
        }
    }
    let held = (heap::live() - before) / PEERS as isize;
    (0..PEERS).for_each(|number| tracker.closed(now, ConnId(number.into())));
    let rest = heap::live() - before;
    assert!(rest <= REST_BYTES, "{rest} bytes are held for nobody");
    held
}

fn announce(number: u32, peers_per_swarm: u32) -> String {
    let id = |number: u32| std::array::from_fn(|at| number.to_be_bytes()[at % 4]);
    let offers = (0..5).map(|index| (OfferId(id(number * 5 + index)), "v=0".to_owned())).collect();
    let (info_hash, peer_id) = (InfoHash(id(number / peers_per_swarm)), PeerId(id(number)));
    let announce = Announce {
        info_hash,
        peer_id,
        event: None,
        left: Some(u64::from(number % 10)),
        uploaded: 0,
        downloaded: 0,
        numwant: Some(5),
        offers,
    };
    ClientMessage::Announce(announce).write()
}

#[test]
fn s12_a_peer_is_cheap_and_nothing_stays_when_it_is_gone() {
    let [crowd, few, lone] = [2000, 20, 1].map(held);
    assert!(crowd <= PEER_BYTES && few <= PEER_BYTES, "{crowd} and {few} bytes a peer");
    assert!(lone <= LONE_BYTES, "{lone} bytes for one alone");
}
