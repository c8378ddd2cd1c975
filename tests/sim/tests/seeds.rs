//! Drawn plans, always the same ones: thirty small worlds, a few in chaos, and those that once failed.
//! `cargo xtask sim --seeds N` and `--chaos N` run more.

use std::ops::Range;
use std::time::Duration;

use swarmreel_sim::plan::Plan;
use swarmreel_sim::world::{Report, run};

fn run_all(seeds: Range<u64>) {
    for seed in seeds {
        run(&Plan::draw(seed));
    }
}

#[test]
fn seeds_0_to_9() {
    run_all(0..10);
}

#[test]
fn seeds_10_to_19() {
    run_all(10..20);
}

#[test]
fn seeds_20_to_29() {
    run_all(20..30);
}

#[test]
fn a_seed_leaves_the_same_trace_twice() {
    for seed in [3, 13, 23] {
        let plan = Plan::draw(seed);
        assert_eq!(run(&plan), run(&plan), "{plan}");
    }
}

/// Every honest peer's time, sorted.
fn times(report: &Report) -> Vec<Duration> {
    let mut times: Vec<Duration> = report.peers.iter().filter_map(|peer| peer.done).collect();
    times.sort();
    times
}

#[test]
fn f28_chaos_costs_no_more_than_it_must() {
    for seed in 0..4 {
        let plan = Plan::chaos(seed);
        let (chaos, calm) = (run(&plan), run(&plan.calm()));
        // Who is cut off or asleep does not get on meanwhile.
        let apart = plan.partition.map_or(Duration::ZERO, |partition| partition.lasts);
        let slept = plan.peers.iter().filter_map(|peer| peer.sleeps).map(|sleep| sleep.lasts).max().unwrap_or_default();
        let last = |report: &Report| times(report).last().copied().expect("they are done");
        assert!(
            last(&chaos) <= last(&calm) * 3 + apart.max(slept),
            "seed {seed}: {:?}, {:?}",
            last(&chaos),
            last(&calm)
        );
        let median = |report: &Report| times(report)[times(report).len() / 2];
        assert!(median(&chaos) <= median(&calm) * 3, "seed {seed}: {:?}, {:?}", median(&chaos), median(&calm));
    }
}

#[test]
fn what_once_failed() {
    for line in include_str!("../regressions.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (kind, seed) = (words.next(), words.next().and_then(|seed| seed.parse().ok()));
        match (kind, seed) {
            (Some("draw"), Some(seed)) => drop(run(&Plan::draw(seed))),
            (Some("chaos"), Some(seed)) => drop(run(&Plan::chaos(seed))),
            _ => panic!("regressions.txt: “{line}” names no plan"),
        }
    }
}
