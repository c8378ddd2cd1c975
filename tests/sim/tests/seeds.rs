//! Thirty drawn plans, always the same ones. `cargo xtask sim --seeds N` runs more.

use std::ops::Range;

use swarmreel_sim::plan::Plan;
use swarmreel_sim::world::run;

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
