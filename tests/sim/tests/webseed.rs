//! Web servers beside, instead of and against peers. Each run also passes every oracle: nothing but original bytes is
//! stored or shown, and no fetch is left behind.

use std::time::Duration;

use swarmreel_sim::net::Path;
use swarmreel_sim::plan::{HOME, Origin, PeerPlan, Plan, Source};
use swarmreel_sim::signal::Uptime;
use swarmreel_sim::store::DiskPlan;
use swarmreel_sim::villain::Habit;
use swarmreel_sim::web::{Fault, NEAR, WebPlan};
use swarmreel_sim::world::{Report, run};

const SIZE: usize = 4_000_000;

fn alone() -> PeerPlan {
    PeerPlan { origin: Origin::Torrent, joins: Duration::ZERO, ..PeerPlan::leecher() }
}

fn plan(web: Vec<WebPlan>, peers: Vec<PeerPlan>) -> Plan {
    Plan { source: Source::Random(SIZE), web, peers, ..Plan::new(1) }
}

fn faulty(fault: Fault) -> WebPlan {
    WebPlan { fault: Some(fault), ..NEAR }
}

fn done(report: &Report, peer: usize) -> Duration {
    report.peers[peer].done.expect("it is done")
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_web_seed_alone_without_any_tracker() {
    let plan = Plan { trackers: vec![Uptime::Never], ..plan(vec![NEAR], vec![alone()]) };
    let report = run(&plan);
    assert_eq!((report.peers[0].downloaded, report.peers[0].wasted), (SIZE as u64, 0));
    // One second for the bytes, and a round trip for each request that could not overlap with another.
    assert!(done(&report, 0) < Duration::from_millis(1600), "{:?}", done(&report, 0));
    assert_eq!(run(&plan), report, "the same plan is the same run");
}

#[test]
fn a_film_plays_and_jumps_on_a_web_seed_alone() {
    for name in ["long-cues-last.webm", "mp4-moov-last.mp4"] {
        let watcher = PeerPlan { watches: true, jumps: vec![(seconds(1), 80), (seconds(3), 10)], ..alone() };
        let plan = Plan {
            source: Source::Film(name),
            trackers: vec![Uptime::Never],
            ..plan(vec![WebPlan { up: 100_000, ..NEAR }], vec![watcher])
        };
        let watched = run(&plan).peers[0].watched.expect("it was watched");
        assert!(watched.first_frame.is_some_and(|frame| frame < seconds(5)), "{name}: {watched:?}");
    }
}

#[test]
fn a_web_seed_and_a_peer_are_faster_than_either() {
    let slow_web = WebPlan { up: 500_000, ..NEAR };
    let slow_peer = PeerPlan { path: Path { up: 500_000, ..HOME }, ..PeerPlan::seeder() };
    let both = run(&plan(vec![slow_web], vec![slow_peer, alone()]));
    // Eight seconds from one of them.
    assert!(done(&both, 1) < Duration::from_millis(5500), "{:?}", done(&both, 1));
    let copied = &both.peers[1];
    assert!(copied.wasted < SIZE as u64 / 20, "{} bytes came twice", copied.wasted);
    assert!(both.peers[0].uploaded > SIZE as u64 / 3, "the peer gave its part: {}", both.peers[0].uploaded);
}

#[test]
fn the_first_frame_comes_from_whoever_is_first() {
    let watcher = || PeerPlan { watches: true, ..alone() };
    let film = |web, peers| {
        let plan = Plan { source: Source::Film("mp4-moov-first.mp4"), ..plan(web, peers) };
        run(&plan).peers.into_iter().find_map(|peer| peer.watched).expect("it was watched").first_frame.expect("shown")
    };
    let crawling = WebPlan { up: 2_000, ..NEAR };
    let by_peer = film(vec![crawling], vec![PeerPlan::seeder(), watcher()]);
    let peer_alone = film(vec![], vec![PeerPlan::seeder(), watcher()]);
    assert!(by_peer < peer_alone + Duration::from_millis(1500), "{by_peer:?}, {peer_alone:?} without the web seed");
    let slow = PeerPlan { path: Path { up: 2_000, ..HOME }, ..PeerPlan::seeder() };
    let by_web = film(vec![NEAR], vec![slow, watcher()]);
    assert!(by_web < seconds(2), "{by_web:?}");
}

#[test]
fn faults_of_a_server_cost_time_and_nothing_else() {
    let faults = [
        Fault::NoRanges,
        Fault::Truncates(300_000),
        Fault::WrongBytes,
        Fault::BusyUntil(seconds(15)),
        Fault::Stalls(100_000),
        Fault::NoCors,
    ];
    for fault in faults {
        let report = run(&plan(vec![faulty(fault)], vec![PeerPlan::seeder(), alone()]));
        assert!(done(&report, 1) < seconds(30), "{fault:?}: {:?}", done(&report, 1));
        let banned = report.peers[1].warnings.contains_key("web-seed-banned");
        assert_eq!(banned, fault == Fault::WrongBytes, "{fault:?}: {:?}", report.peers[1].warnings);
        assert!(report.peers[1].left.is_empty(), "{fault:?}: the honest peer was blamed: {:?}", report.peers[1].left);
    }
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let report = run(&plan(vec![faulty(Fault::BusyUntil(seconds(20)))], vec![alone()]));
    assert!(done(&report, 0) < seconds(60), "{:?}", done(&report, 0));
}

#[test]
fn bad_servers_beside_a_good_one() {
    let web = vec![faulty(Fault::WrongBytes), faulty(Fault::NoCors), faulty(Fault::Truncates(50_000)), NEAR];
    let report = run(&plan(web, vec![alone()]));
    assert!(done(&report, 0) < seconds(20), "{:?}", done(&report, 0));
}

#[test]
fn a_lying_peer_beside_a_good_server() {
    let report = run(&plan(vec![NEAR], vec![PeerPlan::villain(Habit::WrongBytes(100)), alone()]));
    assert!(!report.peers[1].warnings.contains_key("web-seed-banned"), "{:?}", report.peers[1].warnings);
}

#[test]
fn a_slow_disk_does_not_let_bytes_pile_up() {
    let slow = DiskPlan { latency: seconds(2), ..DiskPlan::SOUND };
    let fast = WebPlan { up: 50_000_000, ..NEAR };
    let plan =
        Plan { source: Source::Random(60_000_000), ..plan(vec![fast], vec![PeerPlan { disk: slow, ..alone() }]) };
    assert!(done(&run(&plan), 0) > seconds(2), "it waits for the disk");
}

#[test]
fn several_who_download_from_one_server_share_what_they_have() {
    let server = WebPlan { up: 1_000_000, ..NEAR };
    let report = run(&plan(vec![server], vec![alone(), alone(), alone()]));
    let by_peers: u64 = report.peers.iter().map(|peer| peer.uploaded).sum();
    assert!(by_peers > SIZE as u64 / 2, "{by_peers} bytes went from peer to peer");
    assert!((0..3).all(|peer| done(&report, peer) < seconds(9)), "the server alone would take twelve seconds");
}

#[test]
fn drawn_plans_with_web_servers_of_every_kind() {
    let faults = [
        None,
        Some(Fault::NoRanges),
        Some(Fault::Truncates(40_000)),
        Some(Fault::WrongBytes),
        Some(Fault::BusyUntil(seconds(12))),
        Some(Fault::Stalls(70_000)),
        Some(Fault::NoCors),
    ];
    for seed in 0..14 {
        let fault = |shift: usize| faults[(seed as usize + shift) % faults.len()];
        let up = [30_000, 300_000, 3_000_000][seed as usize % 3];
        let web = vec![WebPlan { fault: fault(0), up, ..NEAR }, WebPlan { fault: fault(3), up, ..NEAR }];
        run(&Plan { web, ..Plan::draw(seed) });
    }
}
