//! Runs the world on many seeds: `swarmreel-sim --seeds N [--from K]`, or on one: `swarmreel-sim --seed K`; `--chaos N`
//! runs large worlds. `--figures` writes `figures.txt` anew. `--traces N` only prints the traces, to be compared with
//! those of another platform.
//!
//! Each run is done twice, and must leave the same trace. Prints the failures with their seeds, and what the runs that
//! went well say about watching: virtual time to the first frame, and the part of the time spent waiting.

#![expect(clippy::print_stdout, reason = "it is a command")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use swarmreel_sim::figures::figures;
use swarmreel_sim::plan::Plan;
use swarmreel_sim::screen::Watched;
use swarmreel_sim::world::{Report, run};

const USAGE: &str = "usage: swarmreel-sim --seeds N [--from K] | --seed K | --chaos N | --figures | --traces N";

/// Where the figures are kept.
const FIGURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--figures"] {
        return write_figures();
    }
    let pairs: Option<Vec<(&str, u64)>> = arguments.chunks(2).map(option).collect();
    match pairs.as_deref() {
        Some([("--seeds", count)]) => run_all(0..*count, Plan::draw),
        Some([("--seeds", count), ("--from", first)]) => run_all(*first..first + count, Plan::draw),
        Some([("--seed", seed)]) => run_all(*seed..seed + 1, Plan::draw),
        Some([("--chaos", count)]) => run_all(0..*count, Plan::chaos),
        Some([("--traces", count)]) => print_traces(*count),
        _ => {
            println!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn write_figures() -> ExitCode {
    let text = figures();
    print!("{text}");
    match std::fs::write(FIGURES, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{FIGURES} can't be written: {error}");
            ExitCode::FAILURE
        }
    }
}

fn option(pair: &[String]) -> Option<(&str, u64)> {
    let [name, value] = pair else { return None };
    Some((name, value.parse().ok()?))
}

fn print_traces(count: u64) -> ExitCode {
    for seed in 0..count {
        println!("seed {seed}: {}", hex(&run(&Plan::draw(seed))));
    }
    ExitCode::SUCCESS
}

fn hex(report: &Report) -> String {
    report.trace.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run_all(seeds: Range<u64>, draw: fn(u64) -> Plan) -> ExitCode {
    let total = seeds.end - seeds.start;
    let (mut failed, mut watched) = (Vec::new(), Vec::new());
    for seed in seeds {
        let plan = draw(seed);
        if total == 1 {
            println!("{plan}");
        }
        let runs = catch_unwind(AssertUnwindSafe(|| (run(&plan), run(&plan))));
        match runs {
            Ok((first, second)) if first == second => {
                if total == 1 {
                    print_report(&first);
                }
                watched.extend(first.peers.iter().filter_map(|peer| peer.watched).filter(|watched| watched.to_the_end));
            }
            Ok(_) => {
                println!("seed {seed}: two runs left different traces");
                failed.push(seed);
            }
            Err(_) => failed.push(seed),
        }
    }
    print_watched(&watched);
    println!("{} of {total} seeds went well", total - failed.len() as u64);
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}

fn print_report(report: &Report) {
    println!("trace {} of {} steps, {:.1} virtual seconds", hex(report), report.steps, report.took.as_secs_f64());
    for (index, peer) in report.peers.iter().enumerate() {
        println!("{index}: {peer:?}");
    }
}

fn print_watched(watched: &[Watched]) {
    let mut first_frames: Vec<Duration> = watched.iter().filter_map(|watched| watched.first_frame).collect();
    let mut stalls: Vec<f64> = watched.iter().map(Watched::stall_ratio).collect();
    first_frames.sort();
    stalls.sort_by(f64::total_cmp);
    let (p50, p95) = (watched.len() / 2, watched.len() * 95 / 100);
    if let (Some(median), Some(late)) = (first_frames.get(p50), first_frames.get(p95)) {
        println!("{} watched to the end: first frame after {median:.2?} (p50), {late:.2?} (p95)", watched.len());
        println!("waiting took {:.1} % (p50), {:.1} % (p95) of the time", stalls[p50] * 100.0, stalls[p95] * 100.0);
    }
}
