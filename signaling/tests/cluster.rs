//! Several nodes with one registry, in virtual time. Tests named c1, c3, … are rows of the threat model.

mod nodes;

use nodes::{HASH, World, announce, peer};
use swarmreel::ids::OfferId;
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Answer, ClientMessage, ServerMessage, Tally};
use swarmreel_signaling::cluster::NodeId;
use swarmreel_signaling::cluster::message::{self, Envelope, Message};

const SEEDER: Option<u64> = Some(0);
const LEECHER: Option<u64> = None;

/// The last of what was received: a failure.
fn reason(messages: &[ServerMessage]) -> &str {
    match messages {
        [.., ServerMessage::Failure { reason, .. }] => reason,
        other => panic!("no failure at the end of {other:?}"),
    }
}

fn offer_of(messages: &[ServerMessage]) -> Option<OfferId> {
    messages.iter().find_map(|message| match message {
        ServerMessage::Offer { offer_id, .. } => Some(*offer_id),
        _ => None,
    })
}

#[test]
fn peers_of_different_nodes_meet() {
    let mut world = World::new(2, 1);
    world.open(1, 0);
    world.open(2, 1);
    world.joins(1, peer(1), SEEDER, 0);
    world.pass(0.1);
    world.joins(2, peer(2), LEECHER, 5);
    world.pass(0.2);
    assert_eq!(world.counts(2), Some((1, 1)), "the response to the first announce counts both");
    assert!(world.met.contains(&(peer(2), peer(1))), "{:?}", world.met);
    assert_eq!(world.given.len(), 1, "one offer for one peer");
}

#[test]
fn a_leecher_without_a_seeder_here_finds_one_elsewhere() {
    let mut world = World::new(2, 2);
    (1..=8).for_each(|conn| world.open(conn, 0));
    (1..=7).for_each(|conn| world.joins(conn, peer(conn as u8), LEECHER, 0));
    world.open(20, 1);
    world.joins(20, peer(20), SEEDER, 0);
    world.pass(0.5);
    world.joins(8, peer(8), LEECHER, 5);
    world.pass(0.5);
    assert!(world.met.contains(&(peer(8), peer(20))), "{:?}", world.met);
    assert_eq!(world.met.len(), 5, "the others stayed here");
}

#[test]
fn pairing_stays_local_when_there_are_enough_peers() {
    let mut world = World::new(2, 3);
    for conn in 1..=20 {
        world.open(conn, (conn % 2) as usize);
        world.joins(conn, peer(conn as u8), if conn <= 2 { SEEDER } else { LEECHER }, 0);
    }
    world.pass(1.0);
    for conn in 1..=20 {
        world.joins(conn, peer(conn as u8), if conn <= 2 { SEEDER } else { LEECHER }, 5);
        world.pass(0.1);
    }
    assert_eq!(world.given.len(), 100);
    let away = |shard: &swarmreel_signaling::cluster::ClusterShard| shard.counters().offers_out;
    assert_eq!(world.counters(0, away) + world.counters(1, away), 0);
}

#[test]
fn seeders_of_different_nodes_do_not_meet() {
    let mut world = World::new(3, 4);
    for conn in 0..9 {
        world.open(conn, (conn % 3) as usize);
        world.joins(conn, peer(conn as u8), SEEDER, 5);
    }
    world.pass(1.0);
    (0..9).for_each(|conn| world.joins(conn, peer(conn as u8), SEEDER, 5));
    world.pass(1.0);
    assert_eq!(world.given.len(), 0);
}

#[test]
fn c3_s9_a_peer_id_is_bound_to_one_node() {
    let mut world = World::new(2, 5);
    (1..=3).for_each(|conn| world.open(conn, usize::from(conn == 2)));
    world.joins(1, peer(1), SEEDER, 0);
    world.pass(0.1);
    world.joins(2, peer(1), LEECHER, 5);
    world.pass(0.3);
    assert_eq!(reason(&world.received(2)), "this peer_id is in use by another connection");
    world.stops(2, peer(1));
    world.pass(0.3);
    world.received(1);
    world.joins(3, peer(3), LEECHER, 1);
    world.pass(0.3);
    assert!(world.met.contains(&(peer(3), peer(1))), "the victim goes on to receive offers");
    assert!(world.given.iter().all(|(_, conn, _)| *conn == 1));
    world.pass(10.0);
    assert_eq!(world.bound(HASH)[&peer(1)], [0]);
    assert!(world.is_open(1), "its connection lives");
}

#[test]
fn c3_s9_an_owner_that_lost_its_connection_is_back_within_5_s() {
    let mut world = World::new(2, 6);
    world.open(1, 0);
    world.open(2, 1);
    world.joins(1, peer(1), LEECHER, 0);
    world.pass(0.1);
    world.deafen(1);
    world.joins(2, peer(1), LEECHER, 5);
    world.pass(5.0);
    assert!(matches!(world.received(2)[..], [ServerMessage::Failure { .. }, ServerMessage::Response { .. }]));
    assert_eq!(world.bound(HASH)[&peer(1)], [1]);
}

#[test]
fn c3_s8_only_the_receiver_of_an_offer_answers_it_and_once() {
    let mut world = World::new(3, 7);
    for (conn, node) in [(1, 0), (2, 1), (3, 2), (4, 1), (5, 0)] {
        world.open(conn, node);
    }
    world.joins(1, peer(1), SEEDER, 0);
    world.pass(5.0);
    world.deafen(1);
    world.joins(2, peer(2), LEECHER, 1);
    world.pass(0.3);
    let offer_id = offer_of(&world.received(1)).expect("the seeder was given the offer");
    for conn in 3..=5 {
        world.joins(conn, peer(conn as u8), SEEDER, 0);
    }
    world.pass(0.3);
    let answer = |name, offer_id| {
        let (info_hash, peer_id, to_peer_id, sdp) = (HASH, peer(name), peer(2), "v=0 by hand".to_owned());
        ClientMessage::Answer(Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, left: None })
    };
    // From its own node, from others, under the receiver's name, and for an offer that was never made.
    for (conn, name, offer_id) in
        [(5, 5, offer_id), (4, 4, offer_id), (3, 3, offer_id), (3, 1, offer_id), (1, 1, OfferId([1; 20]))]
    {
        world.send(conn, answer(name, offer_id));
        world.pass(0.1);
        assert_eq!(reason(&world.received(conn)[..]), "this answers no offer that is open", "from {conn} as {name}");
        assert_eq!(world.met.len(), 0);
    }
    world.send(1, answer(1, offer_id));
    world.pass(0.1);
    assert!(world.met.contains(&(peer(2), peer(1))));
    world.send(1, answer(1, offer_id));
    world.pass(0.1);
    assert_eq!(reason(&world.received(1)), "this answers no offer that is open");
}

#[test]
fn c3_s8_answers_that_another_node_makes_up_are_dropped() {
    let mut world = World::new(3, 8);
    world.open(1, 0);
    world.open(2, 1);
    world.joins(2, peer(2), SEEDER, 0);
    world.pass(0.2);
    world.deafen(2);
    world.joins(1, peer(1), LEECHER, 1);
    world.pass(0.2);
    let offer_id = offer_of(&world.received(2)).expect("the seeder was given the offer");
    let forged = |sender, offerer, offer_id, sdp: &str| {
        let answer = message::Answer { answerer: peer(2), offerer, offer_id, sdp: sdp.to_owned() };
        Envelope { sender, info_hash: HASH, message: Message::Answer(answer) }
    };
    let (owner, other) = (world.nodes[1].id, world.nodes[2].id);
    for envelope in [
        forged(other, peer(1), offer_id, "v=0"),
        forged(NodeId(1), peer(1), offer_id, "v=0"),
        forged(owner, peer(2), offer_id, "v=0"),
        forged(owner, peer(1), OfferId([9; 20]), "v=0"),
        forged(owner, peer(1), offer_id, "\",\"injected\":\""),
    ] {
        world.forge(0, envelope);
        world.pass(0.1);
        assert_eq!(world.met.len(), 0);
    }
    world.forge(0, forged(owner, peer(1), offer_id, "v=0"));
    world.pass(0.1);
    assert_eq!(world.met.len(), 1, "the node that was sent the offer may answer");
}

#[test]
fn a_stopped_peer_is_gone_everywhere() {
    let mut world = World::new(2, 14);
    world.open(1, 0);
    world.open(2, 1);
    world.joins(1, peer(1), SEEDER, 0);
    world.joins(2, peer(2), LEECHER, 0);
    world.pass(10.0);
    world.stops(1, peer(1));
    world.pass(10.0);
    world.joins(2, peer(2), LEECHER, 3);
    world.pass(6.0);
    world.received(2);
    world.joins(2, peer(2), LEECHER, 3);
    world.pass(0.2);
    assert_eq!(world.counts(2), Some((0, 1)));
    assert!(!world.entry().claims.contains_key(&peer(1)));
    world.close(2);
    world.pass(60.0);
    assert_eq!(world.registry.swarms().count(), 0, "nothing stays");
}

#[test]
fn a_scrape_counts_the_peers_of_all_nodes() {
    let mut world = World::new(3, 15);
    (0..3).for_each(|conn| world.open(conn, conn as usize));
    world.joins(1, peer(1), SEEDER, 0);
    world.joins(2, peer(2), LEECHER, 0);
    world.pass(1.0);
    let other = swarmreel::ids::InfoHash([0x80; 20]);
    world.send(0, ClientMessage::Scrape(vec![other, HASH]));
    world.pass(0.3);
    match &world.received(0)[..] {
        [ServerMessage::Scrape(tallies)] => {
            let counts = |hash| tallies.iter().find(|(found, _)| *found == hash).map(|(_, tally)| *tally);
            let both = Tally { complete: 1, incomplete: 1, downloaded: 1 };
            assert_eq!((counts(HASH), counts(other)), (Some(both), Some(Tally::default())));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_announce_does_not_go_with_another_whose_patience_is_over() {
    let mut world = World::new(2, 22);
    (1..=2).for_each(|conn| world.open(conn, 0));
    world.joins(1, peer(1), LEECHER, 0);
    world.pass(0.24);
    world.joins(2, peer(2), LEECHER, 0);
    world.pass(1.0);
    assert_eq!(world.counts(2), Some((0, 2)));
    assert_eq!(world.counters(0, |shard| shard.counters().overdue), 0);
}

#[test]
fn an_announce_that_waits_for_counts_does_not_go_with_the_next_table() {
    for seed in 0..50 {
        let mut world = World::new(2, seed);
        (1..=2).for_each(|conn| world.open(conn, conn as usize - 1));
        (1..=2).for_each(|conn| world.joins(conn, peer(conn as u8), LEECHER, 0));
        world.pass(10.0);
        world.stops(2, peer(2));
        world.pass(5.0);
        world.received(1);
        world.joins(1, peer(1), LEECHER, 0);
        world.pass(1.0);
        assert_eq!(world.counts(1), Some((0, 1)), "seed {seed}: what it is told is new");
    }
}

#[test]
fn nothing_is_kept_of_swarms_that_are_gone() {
    let mut world = World::new(2, 16);
    for conn in 0..50u64 {
        world.open(conn, (conn % 2) as usize);
        let info_hash = swarmreel::ids::InfoHash([conn as u8; 20]);
        let message = swarmreel::tracker::message::Announce { info_hash, ..announce(peer(conn as u8)) };
        world.send(conn, ClientMessage::Announce(message));
    }
    world.pass(5.0);
    (0..50).for_each(|conn| world.close(conn));
    world.pass(120.0);
    assert_eq!(world.registry.swarms().count(), 0);
    for node in &world.nodes {
        assert_eq!(node.swarms_known(), 0);
    }
    assert!(world.now > Moment(0));
}
