//! What happens to a cluster when nodes, links and the registry fail, in virtual time. Tests named c1, c2, … are rows of
//! the threat model.

mod nodes;

use nodes::{HASH, World, announce, peer};
use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::tracker::message::{Announce, ClientMessage, ServerMessage};
use swarmreel_signaling::cluster::Count;

const SEEDER: Option<u64> = Some(0);
const LEECHER: Option<u64> = None;

/// The last of what was received: a failure.
fn reason(messages: &[ServerMessage]) -> &str {
    match messages {
        [.., ServerMessage::Failure { reason, .. }] => reason,
        other => panic!("no failure at the end of {other:?}"),
    }
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
    assert_eq!(world.claims_of(dead), 10);
    world.kill(1);
    for _ in 0..60 {
        world.pass(30.0);
        (0..30).filter(|conn| conn % 3 != 1).for_each(|conn| world.joins(conn, peer(conn as u8), LEECHER, 0));
    }
    assert!(!world.entry().counts.contains_key(&dead));
    assert_eq!(world.claims_of(dead), 0);
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
fn c2_a_link_that_was_lost_for_a_moment_leaves_no_ghosts() {
    let mut world = World::new(3, 18);
    for conn in 0..9 {
        world.open(conn, (conn % 3) as usize);
        world.joins(conn, peer(conn as u8), LEECHER, 0);
    }
    // A swarm that nobody is in when the link is back.
    let other = InfoHash([0x80; 20]);
    world.open(20, 0);
    let elsewhere = |name| Announce { info_hash: other, ..announce(peer(name)) };
    world.send(20, ClientMessage::Announce(elsewhere(20)));
    world.pass(5.0);
    let before = world.nodes[0].id;
    world.nodes[0].reachable = false;
    world.close(20);
    world.close(3);
    world.cut(0, 3.0);
    let leave_at = world.now;
    world.pass(10.0);
    assert_ne!(world.nodes[0].id, before, "an id is a session's");
    assert!(!world.entry().counts.contains_key(&before));
    assert_eq!(world.bound(HASH).len(), 8);
    world.open(30, 1);
    world.open(31, 2);
    world.joins(30, peer(3), LEECHER, 0);
    world.send(31, ClientMessage::Announce(elsewhere(31)));
    world.pass(1.0);
    assert_eq!(world.counts(30), Some((0, 9)), "its name was free, and nobody is counted twice");
    assert_eq!(world.counts(31), Some((0, 1)), "nor is anybody who left");
    assert_eq!(world.claims_of(before), 0);
    world.pass(10.0);
    assert!(!world.registry.entry(&other).expect("31 is in it").counts.contains_key(&before));
    for node in &world.nodes {
        assert_ne!(node.id, before);
    }
    assert!(world.given.iter().all(|(at, ..)| *at < leave_at));
}

#[test]
fn c3_s9_a_peer_id_is_not_stolen_while_its_node_is_cut_off() {
    // The victim's node alone is cut off, for less and for more than a lease; then everybody is. At first the victim's
    // node is back first, then the other.
    for (all, seconds, first) in [(false, 3.0, 0), (false, 40.0, 0), (true, 20.0, 0), (true, 20.0, 1), (true, 20.0, 2)]
    {
        let what = format!("all: {all}, {seconds} s, {first}");
        let mut world = World::new(3, 19);
        (1..=3).for_each(|conn| world.open(conn, conn as usize - 1));
        world.joins(1, peer(1), SEEDER, 0);
        world.pass(10.0);
        let cut: Vec<usize> = if all { vec![0, 1, 2] } else { vec![0] };
        cut.iter().for_each(|node| world.nodes[*node].reachable = false);
        world.pass(seconds - 1.0);
        world.joins(2, peer(1), SEEDER, 0);
        world.pass(1.0);
        world.nodes[first].reachable = true;
        world.pass(5.0);
        cut.iter().for_each(|node| world.nodes[*node].reachable = true);
        world.pass(10.0);
        assert_eq!(world.bound(HASH)[&peer(1)], [0], "{what}: the victim stays, and nobody else has its name");
        assert_eq!(reason(&world.received(2)), "this peer_id is in use by another connection", "{what}");
        assert_eq!(world.entry().claims[&peer(1)].0, world.nodes[0].id, "{what}");
        world.joins(3, peer(3), LEECHER, 3);
        world.pass(1.0);
        assert!(world.met.contains(&(peer(3), peer(1))), "{what}: the victim goes on to receive offers");
        assert!(world.given.iter().all(|(_, conn, _)| *conn == 1), "{what}: {:?}", world.given);
    }
}

#[test]
fn c3_s9_whose_claim_was_taken_learns_it_though_the_message_is_lost() {
    let mut world = World::new(2, 20);
    (1..=2).for_each(|conn| world.open(conn, conn as usize - 1));
    world.joins(1, peer(1), SEEDER, 0);
    world.pass(10.0);
    world.nodes[0].reachable = false;
    world.pass(30.0);
    world.joins(2, peer(1), SEEDER, 0);
    world.pass(5.0);
    world.loss = 100;
    world.nodes[0].reachable = true;
    world.pass(5.0);
    assert_eq!(world.bound(HASH)[&peer(1)], [0, 1]);
    world.loss = 0;
    for _ in 0..3 {
        world.joins(2, peer(1), SEEDER, 0);
        world.pass(6.0);
    }
    assert_eq!(world.bound(HASH)[&peer(1)], [0]);
}

#[test]
fn a_newcomer_is_not_taken_for_dead_because_of_an_older_table() {
    for seed in 0..50 {
        let mut world = World::new(2, seed);
        (1..=3).for_each(|conn| world.open(conn, usize::from(conn == 2)));
        // The first node asks who lives; then somebody comes, is met, and only then the table arrives.
        world.pass(3.0);
        world.start();
        world.pass(0.001);
        world.open(2, 2);
        world.joins(2, peer(2), LEECHER, 0);
        world.pass(0.03);
        world.joins(3, peer(2), LEECHER, 0);
        world.pass(2.0);
        assert_eq!(world.bound(HASH)[&peer(2)], [2], "seed {seed}: nobody takes its peers");
    }
}

#[test]
fn c5_a_registry_that_fails_is_asked_less_and_less() {
    let mut world = World::new(1, 21);
    for conn in 0..200u64 {
        world.open(conn, 0);
        let info_hash = InfoHash([conn as u8; 20]);
        world.send(conn, ClientMessage::Announce(Announce { info_hash, ..announce(peer(1)) }));
    }
    world.pass(10.0);
    let join = |world: &mut World, from: u64| {
        for conn in from..from + 200u64 {
            world.open(conn, 0);
            let info_hash = InfoHash([conn as u8; 20]);
            let announce = Announce { info_hash, ..announce(peer(from as u8)) };
            world.send(conn, ClientMessage::Announce(announce));
        }
    };
    world.failures = 100;
    world.exchanges = 0;
    join(&mut world, 1000);
    world.pass(10.0);
    let at_first = std::mem::take(&mut world.exchanges);
    world.pass(10.0);
    // One after another, 2 s each, by either shard.
    assert!(world.exchanges <= 12, "{at_first} at first, then {}", world.exchanges);
    world.failures = 0;
    world.pass(10.0);
    let claims = world.registry.swarms().map(|(_, entry)| entry.claims.len()).sum::<usize>();
    assert_eq!(claims, 400, "all is told in the end");
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
        for (name, nodes) in &bound {
            let holder = world.entry().claims.get(name).map(|(holder, _)| *holder);
            assert_eq!(holder, Some(world.nodes[nodes[0]].id), "seed {seed}: {name}");
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
    let counts = world.registry.entry(&HASH).into_iter().flat_map(|entry| entry.counts.values().copied());
    counts.fold(Count::NONE, |sum, count| sum + count)
}
