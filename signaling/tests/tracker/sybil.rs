//! Many peers of one address in a swarm of others (threat-model S10).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarmreel::ids::{OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, ClientMessage, ServerMessage};
use swarmreel_signaling::{ConnId, Output, Tracker, TrackerLimits};

use crate::room::{HASH, update};

const HONEST: u64 = 20;
const SYBILS: u64 = 200;
const ALL: u64 = HONEST + SYBILS;
const OFFERS: u64 = 5;
const ROUNDS: u64 = 100;

fn peer(conn: u64) -> PeerId {
    let mut id = *b"-SR0100-............";
    id[8..16].copy_from_slice(&conn.to_be_bytes());
    PeerId(id)
}

fn is_sybil(conn: u64) -> bool {
    conn >= HONEST
}

/// Every second Sybil says that it is a seeder, which leechers are introduced to first; of the honest, two are.
fn announce(conn: u64) -> String {
    let left = if is_sybil(conn) { conn % 2 } else { conn.saturating_sub(1) };
    let offers = (0..OFFERS).map(|index| (OfferId([index as u8; 20]), "v=0".to_owned())).collect();
    ClientMessage::Announce(Announce { peer_id: peer(conn), left: Some(left), offers, ..update(conn) }).write()
}

#[test]
fn s10_two_hundred_peers_of_one_address_are_a_quarter_at_most_of_what_honest_peers_meet() {
    let mut tracker = Tracker::new(TrackerLimits::default(), [5; 32]);
    let mut now = Moment(1_000_000);
    for conn in 0..ALL {
        let host = if is_sybil(conn) { 99 } else { conn as u8 };
        tracker.opened(now, ConnId(conn), IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)));
    }
    // Offers that each honest peer received: of the honest, and of Sybils.
    let mut received = BTreeMap::<u64, [u64; 2]>::new();
    for turn in 0..(1 + ROUNDS) * ALL {
        now = now + Duration::from_secs(90) / ALL as u32;
        let conn = turn * 91 % ALL; // 91 and 220 have no common divisor: everybody in turn, and mixed
        tracker.message(now, ConnId(conn), &announce(conn));
        let receivers = receivers(&mut tracker);
        if turn < ALL {
            continue; // not everybody is there yet
        }
        let sybils = receivers.iter().filter(|to| is_sybil(**to)).count();
        assert!(is_sybil(conn) || sybils <= (receivers.len() / 4).max(1), "of one round: {receivers:?}");
        for to in receivers.into_iter().filter(|to| !is_sybil(*to)) {
            received.entry(to).or_default()[usize::from(is_sybil(conn))] += 1;
        }
    }
    assert_eq!(received.len() as u64, HONEST);
    for (conn, [honest, sybil]) in received {
        assert!(honest > ROUNDS, "peer {conn}: {honest} offers of the honest");
        assert!(honest >= 3 * sybil, "peer {conn}: {honest} offers of the honest, {sybil} of Sybils");
    }
}

fn receivers(tracker: &mut Tracker) -> Vec<u64> {
    let mut receivers = Vec::new();
    while let Some(output) = tracker.poll() {
        let Output::Send { conn, text, droppable: true } = output else { continue };
        assert!(matches!(ServerMessage::parse(&text), Ok(ServerMessage::Offer { info_hash: HASH, .. })));
        receivers.push(conn.0);
    }
    receivers
}

#[test]
fn s10_two_hundred_peer_ids_on_one_socket_are_one_peer() {
    let mut tracker = Tracker::new(TrackerLimits::default(), [5; 32]);
    tracker.opened(Moment(0), ConnId(0), IpAddr::V4(Ipv4Addr::LOCALHOST));
    for id in 0..200 {
        tracker.message(
            Moment(0),
            ConnId(0),
            &ClientMessage::Announce(Announce { peer_id: peer(id), ..update(0) }).write(),
        );
    }
    let stats = tracker.stats();
    assert!(stats.peers_all <= 1 && stats.torrents <= 1, "{stats:?}");
}

#[test]
fn a_class_behind_one_address_meets_though_others_are_there() {
    let mut tracker = Tracker::new(TrackerLimits::default(), [5; 32]);
    let mut now = Moment(1_000_000);
    let (class, all) = (0..30_u64, 0..34_u64);
    for conn in all.clone() {
        let host = if class.contains(&conn) { 99 } else { conn as u8 };
        tracker.opened(now, ConnId(conn), IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)));
    }
    for turn in 0..10 * all.end {
        now = now + Duration::from_secs(90) / all.end as u32;
        let conn = turn % all.end;
        let offers = (0..OFFERS).map(|index| (OfferId([index as u8; 20]), "v=0".to_owned())).collect();
        let text = ClientMessage::Announce(Announce { peer_id: peer(conn), offers, ..update(conn) }).write();
        tracker.message(now, ConnId(conn), &text);
        let receivers = receivers(&mut tracker);
        if turn >= all.end && class.contains(&conn) {
            assert_eq!(receivers.len() as u64, OFFERS, "no offer of a classmate is in vain: {receivers:?}");
        }
    }
}
