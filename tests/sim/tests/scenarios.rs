//! What may happen to a swarm, one thing at a time. Each run also passes every oracle, and leaves nothing open.

use std::time::Duration;

use swarmreel_sim::film;
use swarmreel_sim::net::Path;
use swarmreel_sim::plan::{Departure, HOME, Origin, PeerPlan, Plan, Source};
use swarmreel_sim::screen::Watched;
use swarmreel_sim::signal::Uptime;
use swarmreel_sim::store::DiskPlan;
use swarmreel_sim::villain::Habit;
use swarmreel_sim::world::{Outcome, Report, run};

const SIZE: u64 = 400_000;

fn seeder() -> PeerPlan {
    PeerPlan::seeder()
}

fn leecher() -> PeerPlan {
    PeerPlan::leecher()
}

fn villain(habit: Habit) -> PeerPlan {
    PeerPlan::villain(habit)
}

/// `SIZE` random bytes, one tracker, these peers.
fn plan(peers: Vec<PeerPlan>) -> Plan {
    Plan { peers, ..Plan::new(1) }
}

/// How long a peer took, from opening the page.
fn done(report: &Report, peer: usize) -> Duration {
    report.done(peer)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn two_peers() {
    let report = run(&plan(vec![seeder(), leecher()]));
    let copied = &report.peers[1];
    assert!((SIZE..SIZE + 20_000).contains(&copied.downloaded), "downloaded {}", copied.downloaded);
    assert_eq!((report.peers[0].uploaded, copied.wasted), (copied.downloaded, 0));
    // 0.2 s for the bytes, and the rest for the tracker, the connection and the metadata.
    assert!(done(&report, 1) < seconds(2), "{:?}", done(&report, 1));
}

#[test]
fn the_same_plan_is_the_same_run() {
    let plan = plan(vec![seeder(), leecher(), leecher()]);
    assert_eq!(run(&plan), run(&plan));
    assert_ne!(run(&Plan { seed: 2, ..plan.clone() }).trace, run(&plan).trace);
}

#[test]
fn the_magnet_is_opened_before_anyone_seeds() {
    let late = PeerPlan { joins: seconds(20), ..seeder() };
    let report = run(&plan(vec![late, leecher()]));
    assert!(done(&report, 1) < seconds(30), "the newcomer is found at once: {:?}", done(&report, 1));
}

#[test]
fn a_swarm_of_twenty_with_mixed_links() {
    let path = |index: u64| Path {
        up: [60_000, 250_000, 1_000_000, 3_000_000][index as usize % 4],
        down: [500_000, 4_000_000, 8_000_000][index as usize % 3],
        latency: Duration::from_millis(5 + index * 7),
        jitter: Duration::from_millis(index),
        ..HOME
    };
    let peer = |index: u64| PeerPlan { path: path(index), joins: Duration::from_millis(index * 300), ..leecher() };
    let slow_seeder = PeerPlan { path: Path { up: 250_000, ..HOME }, ..seeder() };
    let peers = std::iter::once(slow_seeder).chain((1..20).map(peer)).collect();
    let report = run(&plan(peers));
    let by_seeder = report.peers[0].uploaded;
    let total: u64 = report.peers.iter().map(|peer| peer.uploaded).sum();
    assert!(by_seeder * 2 < total, "the seeder sent {by_seeder} of {total}: the others help each other");
    assert!(report.took < seconds(60), "{:?}", report.took);
}

#[test]
fn the_seeder_leaves_after_one_copy_is_out() {
    let leaving = PeerPlan { leaves: Some(Departure::WhenCopied), ..seeder() };
    let slow = PeerPlan { path: Path { up: 200_000, down: 400_000, ..HOME }, ..leecher() };
    let late = PeerPlan { joins: seconds(120), ..leecher() };
    let report = run(&plan(vec![leaving, leecher(), slow, leecher(), late]));
    assert!(report.peers[0].uploaded < 4 * SIZE, "it left before all had everything");
    assert!(done(&report, 4) < seconds(10), "the late one has it from the others: {:?}", done(&report, 4));
}

#[test]
fn a_peer_vanishes_mid_piece() {
    let quick = PeerPlan { path: Path { up: 8_000_000, ..HOME }, ..villain(Habit::VanishAfter(5)) };
    let late = PeerPlan { joins: seconds(4), ..seeder() };
    let report = run(&plan(vec![quick, leecher(), late]));
    // A silent death is noticed by the missing block, not by the connection, which takes 20 s to die.
    assert!(done(&report, 1) < seconds(25), "{:?}", done(&report, 1));
}

#[test]
fn wrong_bytes_are_never_kept() {
    for percent in [100, 40] {
        let report = run(&plan(vec![villain(Habit::WrongBytes(percent)), seeder(), leecher(), leecher()]));
        for peer in [2, 3] {
            assert!(done(&report, peer) < seconds(20), "{:?}", done(&report, peer));
            let wasted = report.peers[peer].wasted;
            assert!(wasted <= SIZE / 2, "{wasted} bytes for nothing");
            let left = &report.peers[peer].left;
            assert!(left.contains_key("it sent data that fails its hash"), "the liar is found out: {left:?}");
        }
    }
}

#[test]
fn metadata_lies_do_not_stop_anyone() {
    for habit in [Habit::WrongMetadata, Habit::WrongMetadataSize] {
        let liars = [villain(habit), villain(habit), villain(habit)];
        let report = run(&plan(liars.into_iter().chain([seeder(), leecher(), leecher()]).collect()));
        for peer in [4, 5] {
            assert!(done(&report, peer) < seconds(40), "{habit:?}: {:?}", done(&report, peer));
        }
    }
}

#[test]
fn metadata_of_several_blocks_is_told_from_lies() {
    let fast = Path { up: 20_000_000, down: 20_000_000, ..HOME };
    let liar = |habit| PeerPlan { path: fast, ..villain(habit) };
    let peers = vec![
        liar(Habit::WrongMetadata),
        liar(Habit::WrongMetadataSize),
        PeerPlan { path: fast, ..seeder() },
        PeerPlan { path: fast, ..leecher() },
    ];
    // 900 digests are 18,000 bytes: two blocks.
    let report = run(&Plan { source: Source::Random(900 << 14), piece_length: 16 << 10, ..plan(peers) });
    assert!(done(&report, 3) < seconds(60), "{:?}", done(&report, 3));
}

#[test]
fn a_stuck_peer_holds_nobody_up() {
    let report = run(&plan(vec![villain(Habit::Stuck), seeder(), leecher()]));
    assert!(done(&report, 2) < seconds(30), "{:?}", done(&report, 2));
}

#[test]
fn silence_noise_and_floods_hurt_nobody() {
    for habit in [Habit::Silent, Habit::Noise, Habit::Flood] {
        let report = run(&plan(vec![villain(habit), villain(habit), seeder(), leecher()]));
        assert!(done(&report, 3) < seconds(30), "{habit:?}: {:?}", done(&report, 3));
    }
}

#[test]
fn the_tracker_restarts() {
    let slow = Path { up: 60_000, ..HOME };
    let late = PeerPlan { joins: seconds(9), ..leecher() };
    let peers = vec![PeerPlan { path: slow, ..seeder() }, leecher(), late];
    let report = run(&Plan { trackers: vec![Uptime::Restart(seconds(3), seconds(10))], ..plan(peers) });
    let clean = SIZE / 60_000;
    assert!(done(&report, 1) < seconds(clean + 5), "who is connected goes on: {:?}", done(&report, 1));
    assert!(done(&report, 2) < seconds(60 + clean), "who comes in between gets in: {:?}", done(&report, 2));
}

#[test]
fn one_of_three_trackers_is_dead() {
    let trackers = vec![Uptime::Never, Uptime::Always, Uptime::Always];
    let report = run(&Plan { trackers, ..plan(vec![seeder(), leecher()]) });
    assert!(done(&report, 1) < seconds(2), "nobody waits for the dead one: {:?}", done(&report, 1));
    assert_eq!(report.peers[1].wasted, 0, "two trackers introduce the same peer, which is one peer");
}

#[test]
fn with_and_without_the_fast_extension() {
    let old = |peer: PeerPlan| PeerPlan { habit: Some(Habit::NoFast), ..peer };
    for peers in [
        vec![old(seeder()), leecher(), leecher()],
        vec![seeder(), old(leecher()), old(leecher())],
        vec![old(seeder()), old(leecher()), leecher()],
    ] {
        let report = run(&plan(peers));
        for peer in [1, 2] {
            assert!(done(&report, peer) < seconds(10), "{:?}", done(&report, peer));
        }
    }
}

#[test]
fn connections_often_fail() {
    let peers = vec![seeder(), leecher(), leecher(), leecher()];
    let report = run(&Plan { ice_failures: 60, ..plan(peers) });
    for peer in 1..4 {
        assert!(done(&report, peer) < seconds(200), "{:?}", done(&report, peer));
    }
}

#[test]
fn a_reload_goes_on_where_it_was() {
    let slow = PeerPlan { path: Path { up: 60_000, ..HOME }, ..seeder() };
    let reload = Departure::After { stay: seconds(4), silently: false, back: Some(seconds(1)) };
    let reloading = PeerPlan { leaves: Some(reload), ..leecher() };
    let report = run(&plan(vec![slow, reloading]));
    // What was under way when the page closed is lost; what was stored is not fetched again.
    let downloaded = report.peers[1].downloaded;
    assert!(downloaded < SIZE + SIZE / 4, "{downloaded} bytes for a file of {SIZE}");
}

#[test]
fn a_damaged_disk_is_not_trusted() {
    let slow = PeerPlan { path: Path { up: 60_000, ..HOME }, ..seeder() };
    let reload = Departure::After { stay: seconds(4), silently: true, back: Some(seconds(1)) };
    let disk = DiskPlan { rots: true, ..DiskPlan::SOUND };
    run(&plan(vec![slow, PeerPlan { leaves: Some(reload), disk, ..leecher() }, leecher()]));
}

#[test]
fn a_full_disk_is_told() {
    let full = PeerPlan { disk: DiskPlan { quota: SIZE / 3, ..DiskPlan::SOUND }, ..leecher() };
    let mut plan = plan(vec![seeder(), full, leecher()]);
    plan.peers[1].leaves = Some(Departure::After { stay: seconds(30), silently: false, back: None });
    plan.peers[2].joins = seconds(32);
    let report = run(&plan);
    assert!(report.peers[1].warnings.contains_key("storage-full"), "{:?}", report.peers[1].warnings);
}

#[test]
fn a_film_is_watched_with_a_full_disk() {
    let disk = DiskPlan { quota: 100_000, ..DiskPlan::SOUND };
    let watching = PeerPlan { watches: true, disk, ..leecher() };
    let film = Source::Film("long-cues-first.webm");
    let report = run(&Plan { source: film, ..plan(vec![seeder(), watching]) });
    assert!(report.peers[1].watched.is_some_and(|watched| watched.to_the_end), "{report:?}");
}

#[test]
fn a_file_is_read_out_in_order() {
    let reading = PeerPlan { reads: true, ..leecher() };
    run(&plan(vec![
        PeerPlan { reads: true, ..seeder() },
        reading.clone(),
        PeerPlan { origin: Origin::Torrent, ..reading },
    ]));
}

#[test]
fn a_file_of_one_byte() {
    run(&Plan { source: Source::Random(1), ..plan(vec![seeder(), leecher()]) });
}

/// Watches a film from a seeder who sends so many bytes a second.
fn watch(film: &'static str, up: u64, jumps: Vec<(Duration, u8)>) -> Watched {
    let slow = PeerPlan { path: Path { up, ..HOME }, ..seeder() };
    let jump_count = jumps.len() as u64;
    let watching = PeerPlan { watches: true, jumps, ..leecher() };
    let report = run(&Plan { source: Source::Film(film), ..plan(vec![slow, watching]) });
    let Outcome { watched, wasted, .. } = report.peers[1];
    // Each jump cancels what is under way, and may ask for it again before it comes.
    assert!(wasted <= 128_000 * jump_count, "{wasted} bytes came twice");
    watched.filter(|watched| watched.to_the_end).expect("it watches to the end")
}

#[test]
fn a_film_plays_while_it_downloads() {
    for film in film::NAMES {
        // 2.4 times as fast as the film plays.
        let watched = watch(film, 60_000, Vec::new());
        assert!(watched.stall_ratio() < 0.05, "{film}: {watched:?}");
        assert!(watched.first_frame.is_some_and(|wait| wait < seconds(2)), "{film}: {watched:?}");
    }
}

#[test]
fn jumps_go_to_what_is_not_there_yet() {
    let jumps = || vec![(Duration::from_millis(300), 75), (seconds(3), 20), (seconds(6), 90)];
    for film in ["long-cues-first.webm", "long-cues-last.webm"] {
        let watched = watch(film, 60_000, jumps());
        // Ahead of each jump's first second, 25 kB, comes what was under way: up to 128 KiB, two seconds' worth.
        assert!(watched.stalled < seconds(6), "{film}: {watched:?}");
        assert!(watched.shown < seconds(12), "nothing is fetched just to be jumped over: {watched:?}");
        let watched = watch(film, 300_000, jumps());
        assert!(watched.stalled < Duration::from_millis(1500), "{film}: {watched:?}");
    }
}
