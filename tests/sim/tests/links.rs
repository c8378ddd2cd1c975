//! Connections in a swarm: everyone gets in when a crowd comes at once, and seeds do not hold on to each other.

use std::time::Duration;

use swarmreel_sim::net::Path;
use swarmreel_sim::plan::{HOME, PeerPlan, Plan, Source};
use swarmreel_sim::world::{Report, run};

fn plan(peers: Vec<PeerPlan>) -> Plan {
    Plan { peers, ..Plan::new(1) }
}

fn times<T: Clone>(count: usize, one: T) -> impl Iterator<Item = T> {
    std::iter::repeat_n(one, count)
}

fn done(report: &Report, peer: usize) -> Duration {
    report.peers[peer].done.expect("it is done")
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_crowd_that_comes_at_once_gets_in() {
    let seeder = PeerPlan { path: Path { up: 4_000_000, ..HOME }, ..PeerPlan::seeder() };
    let crowd = times(100, PeerPlan::leecher());
    let report = run(&Plan { source: Source::Random(1_000_000), ..plan([seeder].into_iter().chain(crowd).collect()) });
    let last = (1..=100).map(|peer| done(&report, peer)).max().expect("a crowd");
    assert!(last < seconds(60), "{last:?}");
}

#[test]
fn a_swarm_of_seeds_falls_asleep() {
    let late = PeerPlan { joins: seconds(60), ..PeerPlan::leecher() };
    let report = run(&plan(times(4, PeerPlan::leecher()).chain([PeerPlan::seeder(), late]).collect()));
    let parted: usize = report.peers[..5].iter().filter_map(|peer| peer.left.get("both have everything")).sum();
    assert!(parted >= 4, "all are done after seconds, and let each other go: {parted}");
    assert!(done(&report, 5) < seconds(5), "and yet they are there when somebody comes: {:?}", done(&report, 5));
}
