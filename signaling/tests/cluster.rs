//! Several nodes with one registry, in virtual time. Tests named c1, c3, … are rows of the threat model.

mod nodes;

use nodes::{HASH, World, announce, peer};
use swarmreel::ids::{OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Answer, ClientMessage, ServerMessage, Tally};
use swarmreel_signaling::cluster::message::{self, Envelope, Message};
use swarmreel_signaling::cluster::{Count, NodeId};

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
fn c1_a_fifth_of_all_messages_is_lost() {
    for seed in 0..10 {
        let mut world = World::new(3, seed);
        world.loss = 20;
        for conn in 0..6 {
            world.open(conn, (conn % 3) as usize);
        }
        for round in 0..4 {
            for conn in 0..6 {
                world.joins(conn, peer(conn as u8), if conn == 0 { SEEDER } else { LEECHER }, 5);
                world.pass(0.5);
            }
            world.pass(if round == 3 { 5.0 } else { 87.0 });
        }
        for (a, b) in (0..6).flat_map(|a| (0..a).map(move |b| (peer(a), peer(b)))) {
            assert!(world.met.contains(&(a, b)) || world.met.contains(&(b, a)), "seed {seed}: {a} and {b} never met");
        }
    }
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
fn c5_without_the_registry_each_node_serves_its_own_peers() {
    let mut world = World::new(3, 9);
    for conn in 0..9 {
        world.open(conn, (conn % 3) as usize);
        world.joins(conn, peer(conn as u8), LEECHER, 0);
    }
    world.pass(5.0);
    assert_eq!(world.nodes.len(), 3);
    world.nodes.iter_mut().for_each(|node| node.reachable = false);
    // The first announce after the cut, before anybody noticed, waits no longer than a moment.
    world.open(10, 0);
    world.joins(10, peer(10), LEECHER, 5);
    world.pass(0.3);
    assert!(world.counts(10).is_some(), "it is served");
    world.pass(60.0);
    world.met.clear();
    for conn in 0..9 {
        world.joins(conn, peer(conn as u8), LEECHER, 5);
    }
    world.pass(0.1);
    assert_eq!(world.counts(0), Some((0, 4)), "only those of the node, connection 10 among them");
    let local = |a, b| world.met.contains(&(peer(a), peer(b))) || world.met.contains(&(peer(b), peer(a)));
    assert!(local(1, 4) && local(1, 7) && local(4, 7), "local pairs meet: {:?}", world.met);
    assert!(!local(1, 2));
    world.nodes.iter_mut().for_each(|node| node.reachable = true);
    world.pass(30.0);
    for conn in 0..9 {
        world.joins(conn, peer(conn as u8), LEECHER, 0);
    }
    world.pass(0.5);
    for conn in 0..9 {
        assert_eq!(world.counts(conn), Some((0, 10)), "connection {conn}");
    }
}

#[test]
fn c5_who_moved_while_nodes_were_cut_off_is_bound_once_after() {
    let mut world = World::new(2, 10);
    (1..=4).for_each(|conn| world.open(conn, usize::from(conn > 2)));
    world.joins(1, peer(1), LEECHER, 0);
    world.joins(2, peer(2), LEECHER, 0);
    world.pass(1.0);
    world.nodes.iter_mut().for_each(|node| node.reachable = false);
    world.pass(20.0);
    world.deafen(1);
    world.joins(3, peer(1), LEECHER, 0); // the owner, back at another node
    world.joins(4, peer(2), LEECHER, 0); // somebody else under a living peer's name
    world.pass(1.0);
    assert_eq!(world.bound(HASH)[&peer(1)], [0, 1]);
    world.nodes.iter_mut().for_each(|node| node.reachable = true);
    world.pass(30.0);
    assert_eq!(world.bound(HASH)[&peer(1)], [1], "the dead connection made way");
    assert_eq!(world.bound(HASH)[&peer(2)].len(), 1);
}

#[test]
fn c6_f12_peers_of_a_killed_node_vanish_and_come_back_elsewhere() {
    let mut world = World::new(3, 11);
    for conn in 0..30 {
        world.open(conn, (conn % 3) as usize);
        world.joins(conn, peer(conn as u8), if conn < 3 { SEEDER } else { LEECHER }, 0);
    }
    world.pass(10.0);
    world.kill(1);
    world.pass(17.0);
    world.joins(0, peer(0), SEEDER, 0);
    world.pass(0.5);
    assert_eq!(world.counts(0), Some((2, 18)), "the dead node's peers are not counted");
    let killed_at = world.now;
    // A third of them returns under their names, to the others and to the node that was started again.
    world.start();
    world.pass(1.0);
    for (conn, node) in [(4, 0), (7, 2), (10, 3)] {
        world.open(100 + conn, node);
        world.joins(100 + conn, peer(conn as u8), LEECHER, 5);
    }
    world.pass(1.0);
    for (conn, node) in [(4, 0), (7, 2), (10, 3)] {
        assert!(world.counts(100 + conn).is_some(), "connection {conn}");
        assert_eq!(world.bound(HASH)[&peer(conn as u8)], [node]);
    }
    assert_eq!(world.met.len(), 15, "all offers of the three were answered: none went to a ghost");
    assert!(world.given.iter().all(|(at, ..)| *at > killed_at));
}

#[test]
fn c6_f12_who_announces_once_after_its_node_died_is_back_within_20_s() {
    let mut world = World::new(2, 17);
    world.open(1, 1);
    world.joins(1, peer(1), LEECHER, 0);
    world.pass(10.0);
    world.kill(1);
    world.pass(1.0);
    world.open(2, 0);
    world.joins(2, peer(1), LEECHER, 5);
    world.pass(0.5);
    assert_eq!(reason(&world.received(2)), "this peer_id is in use by another connection");
    world.pass(19.0);
    assert_eq!(world.counts(2), Some((0, 1)), "it is let in when the dead node's lease has ended");
}

#[test]
fn c6_what_the_dead_left_in_the_registry_is_removed() {
    let mut world = World::new(3, 12);
    for conn in 0..30 {
        world.open(conn, (conn % 3) as usize);
        world.joins(conn, peer(conn as u8), LEECHER, 0);
    }
    world.pass(5.0);
    let dead = world.nodes[1].id;
    assert_eq!(world.registry[&HASH].claims.values().filter(|node| **node == dead).count(), 10);
    world.kill(1);
    for _ in 0..60 {
        world.pass(30.0);
        (0..30).filter(|conn| conn % 3 != 1).for_each(|conn| world.joins(conn, peer(conn as u8), LEECHER, 0));
    }
    assert!(!world.registry[&HASH].counts.contains_key(&dead));
    assert_eq!(world.registry[&HASH].claims.values().filter(|node| **node == dead).count(), 0);
}

#[test]
fn c2_a_node_that_slept_is_back_within_10_s() {
    let mut world = World::new(3, 13);
    for conn in 0..9 {
        world.open(conn, (conn % 3) as usize);
        world.joins(conn, peer(conn as u8), LEECHER, 0);
    }
    world.pass(5.0);
    world.stop(2, true);
    world.pass(17.0);
    world.joins(0, peer(0), LEECHER, 0);
    world.pass(0.5);
    assert_eq!(world.counts(0), Some((0, 6)));
    world.stop(2, false);
    world.pass(10.0);
    world.met.clear();
    for conn in 0..9 {
        world.joins(conn, peer(conn as u8), LEECHER, 8);
    }
    world.pass(0.5);
    assert_eq!(world.counts(0), Some((0, 9)));
    assert!((0..2).all(|name| world.met.contains(&(peer(name), peer(2)))), "{:?}", world.met);
    assert!(world.bound(HASH).values().all(|nodes| nodes.len() == 1), "nobody is there twice");
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
    assert!(!world.registry[&HASH].claims.contains_key(&peer(1)));
    world.close(2);
    world.pass(60.0);
    let entry = &world.registry[&HASH];
    assert!(entry.counts.is_empty() && entry.claims.is_empty(), "nothing stays");
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

/// Peers come, go, move, fall silent; nodes sleep and are cut off; a tenth of everything is lost. When quiet returns,
/// every node counts what there is, and every peer is bound once, where its claim is.
#[test]
fn whatever_happens_the_nodes_agree_in_the_end() {
    for seed in 0..100 {
        let mut world = World::new(3, 100 + seed);
        let mut chance = swarmreel::rng::Rng::new([seed; 32]);
        let mut draw = move |below: u64| chance.below(below);
        let mut next = 0;
        let mut open: Vec<(u64, PeerId)> = Vec::new();
        (world.loss, world.failures) = (10, 10);
        for _ in 0..200 {
            match draw(12) {
                0..=3 => {
                    next += 1;
                    let name = peer(draw(12) as u8);
                    world.open(next, draw(3) as usize);
                    open.push((next, name));
                    world.joins(next, name, if draw(3) == 0 { SEEDER } else { LEECHER }, draw(6) as usize);
                }
                4..=6 if !open.is_empty() => {
                    let (conn, name) = open[draw(open.len() as u64) as usize];
                    world.joins(conn, name, LEECHER, draw(6) as usize);
                }
                7 | 8 if !open.is_empty() => {
                    let (conn, _) = open.swap_remove(draw(open.len() as u64) as usize);
                    world.close(conn);
                }
                9 if !open.is_empty() => world.deafen(open[draw(open.len() as u64) as usize].0),
                10 => {
                    let node = draw(3) as usize;
                    world.nodes[node].reachable = !world.nodes[node].reachable;
                }
                11 => {
                    let node = draw(3) as usize;
                    world.stop(node, true);
                    world.pass(draw(20) as f64);
                    world.stop(node, false);
                }
                _ => {}
            }
            world.pass(draw(3000) as f64 / 1000.0);
            open.retain(|(conn, _)| world.is_open(*conn));
        }
        (world.loss, world.failures) = (0, 0);
        world.nodes.iter_mut().for_each(|node| node.reachable = true);
        for _ in 0..4 {
            world.pass(25.0);
            open.retain(|(conn, _)| world.is_open(*conn));
            for &(conn, name) in &open {
                world.joins(conn, name, LEECHER, 0);
            }
        }
        world.pass(10.0);
        let bound = world.bound(HASH);
        assert!(bound.values().all(|nodes| nodes.len() == 1), "seed {seed}: {bound:?}");
        let entry = world.registry.get(&HASH);
        for (name, nodes) in &bound {
            assert_eq!(entry.unwrap().claims.get(name), Some(&world.nodes[nodes[0]].id), "seed {seed}: {name}");
        }
        let (truth, sum) = (bound.len() as u32, entry_sum(&world));
        assert_eq!(sum.seeders + sum.leechers, truth, "seed {seed}");
        for &(conn, name) in open.iter().take(5) {
            world.received(conn);
            world.joins(conn, name, LEECHER, 0);
            // Who is refused was counted for a moment, and such counts are believed for another.
            world.pass(8.0);
            if let Some((complete, incomplete)) = world.counts(conn) {
                assert_eq!(complete + incomplete, truth, "seed {seed}: connection {conn}");
            }
        }
    }
}

fn entry_sum(world: &World) -> Count {
    let counts = world.registry.get(&HASH).map(|entry| entry.counts.values().copied().collect::<Vec<_>>());
    counts.unwrap_or_default().into_iter().fold(Count::NONE, |sum, count| sum + count)
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
    assert!(world.registry.values().all(|entry| entry.counts.is_empty() && entry.claims.is_empty()));
    for node in &world.nodes {
        assert_eq!(node.swarms_known(), 0);
    }
    assert!(world.now > Moment(0));
}
