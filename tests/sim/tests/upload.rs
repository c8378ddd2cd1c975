//! Who gets what from whom: choking, the first unchoke, super-seeding (BEP 3, 16).

use std::time::Duration;

use swarmreel_sim::net::Path;
use swarmreel_sim::plan::{Departure, HOME, PeerPlan, Plan, Source};
use swarmreel_sim::world::{Report, run};

const SIZE: usize = 1_000_000;

/// 31 pieces.
fn plan(peers: Vec<PeerPlan>) -> Plan {
    Plan { source: Source::Random(SIZE), piece_length: 32 << 10, peers, ..Plan::new(7) }
}

fn with_up(up: u64, peer: PeerPlan) -> PeerPlan {
    PeerPlan { path: Path { up, ..HOME }, ..peer }
}

fn done(report: &Report, peer: usize) -> Duration {
    report.peers[peer].done.expect("it is done")
}

fn mean_done(report: &Report, peers: std::ops::Range<usize>) -> Duration {
    let count = peers.len() as u32;
    peers.map(|peer| done(report, peer)).sum::<Duration>() / count
}

#[test]
fn who_gives_gets_sooner_and_who_does_not_gets_it_too() {
    let givers = (0..12).map(|_| with_up(200_000, PeerPlan::leecher()));
    let takers = (0..16).map(|_| with_up(3_000, PeerPlan::leecher()));
    let peers = [with_up(100_000, PeerPlan::seeder())].into_iter().chain(givers).chain(takers).collect();
    let report = run(&plan(peers));
    let (givers, takers) = (mean_done(&report, 1..13), mean_done(&report, 13..29));
    assert!(givers < takers.mul_f64(0.9), "givers {givers:?}, takers {takers:?}");
}

#[test]
fn a_newcomer_gets_its_first_block_within_five_seconds() {
    // More than a seed has slots for, that hardly help each other: it is busy for half a minute.
    let crowd = (0..16).map(|_| with_up(10_000, PeerPlan::leecher()));
    let newcomer = PeerPlan { joins: Duration::from_secs(14), ..PeerPlan::leecher() };
    let peers = [with_up(500_000, PeerPlan::seeder())].into_iter().chain(crowd).chain([newcomer]).collect();
    let report = run(&plan(peers));
    let first = report.peers[17].first_block.expect("it has everything");
    assert!(first < Duration::from_secs(5), "{first:?}");
    assert!(report.took > Duration::from_secs(20), "the swarm was busy: {:?}", report.took);
}

#[test]
fn a_seed_serves_everyone_in_turn() {
    // They hardly help each other, and are three times as many as the seed has slots. Alone it would need two minutes.
    let crowd = (0..24).map(|_| with_up(5_000, PeerPlan::leecher()));
    let peers = [with_up(200_000, PeerPlan::seeder())].into_iter().chain(crowd).collect();
    let report = run(&plan(peers));
    let waits = report.peers[1..].iter().map(|peer| peer.first_block.expect("it has everything"));
    let longest = waits.max().expect("somebody");
    assert!(longest < Duration::from_secs(30), "the last one served waited {longest:?}");
}

/// Bytes that a seed sends until the others have every piece between them.
fn first_copy(super_seeds: bool) -> u64 {
    let seeder = PeerPlan { super_seeds, leaves: Some(Departure::WhenCopied), ..PeerPlan::seeder() };
    let report = run(&plan([seeder].into_iter().chain((0..15).map(|_| PeerPlan::leecher())).collect()));
    report.peers[0].uploaded
}

#[test]
fn a_super_seed_sends_hardly_more_than_one_copy() {
    let (normal, sparing) = (first_copy(false) as f64 / SIZE as f64, first_copy(true) as f64 / SIZE as f64);
    assert!(sparing <= 1.1, "{sparing:.2} copies");
    assert!(normal > sparing, "{normal:.2} copies without, {sparing:.2} with");
}

#[test]
fn a_super_seed_serves_one_peer_alone_and_one_without_the_fast_extension() {
    use swarmreel_sim::villain::Habit;
    let seeder = PeerPlan { super_seeds: true, ..PeerPlan::seeder() };
    for leecher in [PeerPlan::leecher(), PeerPlan { habit: Some(Habit::NoFast), ..PeerPlan::leecher() }] {
        let report = run(&plan(vec![seeder.clone(), leecher]));
        assert!(done(&report, 1) < Duration::from_secs(30), "{:?}", done(&report, 1));
    }
}
