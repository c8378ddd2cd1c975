//! The figures that the repository keeps (`figures.txt`): how soon and how smoothly films play, and how close a crowd
//! comes to the bound of its links, in a few standard scenes.
//!
//! Invariant: virtual time only, so the same code gives the same text on every machine; a change that makes anything
//! slower shows as a difference.

use std::fmt::Write;
use std::time::Duration;

use crate::net::Path;
use crate::plan::{HOME, PeerPlan, Plan, Source};
use crate::screen::Watched;
use crate::world::{Report, run};

/// A scene: its name, with how many seeds it is played, and how.
pub type Scene = (&'static str, u64, fn(u64) -> Plan);

/// Every scene.
pub const SCENES: [Scene; 8] = [
    ("film: 1 seeder, 1 viewer", 4, |seed| film(seed, 1, HOME.up)),
    ("film: 1 seeder, 5 viewers", 4, |seed| film(seed, 5, HOME.up)),
    ("film: 1 seeder, 20 viewers", 4, |seed| film(seed, 20, HOME.up)),
    ("film: slow seeder, 5 viewers", 4, |seed| film(seed, 5, 40_000)),
    ("file: 1 seeder, 5 leechers", 4, |seed| crowd(seed, 5, equal)),
    ("flash crowd of 100, equal links", 1, |seed| crowd(seed, 100, equal)),
    ("flash crowd of 100, mixed links", 1, |seed| crowd(seed, 100, mixed)),
    ("5 seeders, 195 leechers", 1, many),
];

/// A link of the crowds: 4 MB take 16 s up, and an eighth of that down.
fn equal(_: u64) -> Path {
    Path { up: 250_000, down: 2_000_000, ..HOME }
}

/// A third of the peers has a quarter of the usual uplink, and a third four times as much.
fn mixed(index: u64) -> Path {
    let (up, down) = [(62_500, 1_000_000), (250_000, 2_000_000), (1_000_000, 8_000_000)][index as usize % 3];
    Path { up, down, latency: Duration::from_millis(5 + index % 10 * 8), ..HOME }
}

/// A film of 20 s at 25 kB/s, with viewers who come a second after each other, over mixed links.
fn film(seed: u64, viewers: u64, up: u64) -> Plan {
    let viewer = |index: u64| PeerPlan {
        watches: true,
        joins: Duration::from_secs(2 + index),
        path: if viewers == 1 { HOME } else { mixed(index) },
        ..PeerPlan::leecher()
    };
    let seeder = PeerPlan { path: Path { up, ..HOME }, ..PeerPlan::seeder() };
    let peers = std::iter::once(seeder).chain((0..viewers).map(viewer)).collect();
    Plan {
        peers,
        source: Source::Film("long-cues-first.webm"),
        piece_length: 32 << 10,
        checks_every: 20,
        ..Plan::new(seed)
    }
}

/// Everyone wants the file at the same moment, and one has it.
pub fn crowd(seed: u64, leechers: u64, path: fn(u64) -> Path) -> Plan {
    let seeder = PeerPlan { path: equal(0), ..PeerPlan::seeder() };
    let leecher = |index| PeerPlan { path: path(index), ..PeerPlan::leecher() };
    let peers = std::iter::once(seeder).chain((0..leechers).map(leecher)).collect();
    Plan { peers, source: Source::Random(4_000_000), checks_every: 500, ..Plan::new(seed) }
}

/// Two hundred, who come within ten seconds.
fn many(seed: u64) -> Plan {
    let seeder = || PeerPlan { path: equal(0), ..PeerPlan::seeder() };
    let leecher = |index: u64| PeerPlan {
        path: mixed(index),
        joins: Duration::from_millis(2_000 + index * 50),
        ..PeerPlan::leecher()
    };
    let peers = (0..5).map(|_| seeder()).chain((0..195).map(leecher)).collect();
    Plan { peers, source: Source::Random(2_000_000), checks_every: 500, ..Plan::new(seed) }
}

/// No crowd can be done sooner: the seeder must send the file once, the slowest must receive it once, and all together
/// must send it once for each leecher.
pub fn bound(plan: &Plan) -> Duration {
    let Source::Random(bytes) = plan.source else { return Duration::ZERO };
    let is_leecher = |peer: &&PeerPlan| peer.joins > Duration::ZERO;
    let seeders: u64 = plan.peers.iter().filter(|peer| !is_leecher(peer)).map(|peer| peer.path.up).sum();
    let slowest = plan.peers.iter().map(|peer| peer.path.down).min().unwrap_or(1);
    let everyone: u64 = plan.peers.iter().map(|peer| peer.path.up).sum();
    let copies = plan.peers.iter().filter(is_leecher).count() as u64;
    let micros = |bytes: u64, rate: u64| Duration::from_micros(bytes * 1_000_000 / rate);
    let bytes = bytes as u64;
    micros(bytes, seeders).max(micros(bytes, slowest)).max(micros(bytes * copies, everyone))
}

/// How long the last one took, as a multiple of the bound.
pub fn over_bound(plan: &Plan, report: &Report) -> f64 {
    let last = report.peers.iter().filter_map(|peer| peer.done).max().unwrap_or_default();
    last.as_secs_f64() / bound(plan).as_secs_f64()
}

/// The whole file.
pub fn figures() -> String {
    let mut text = String::from(HEAD);
    for (name, seeds, scene) in SCENES {
        let runs: Vec<(Plan, Report)> = (0..seeds).map(scene).map(|plan| (plan.clone(), run(&plan))).collect();
        writeln!(text, "{}", line(name, &runs)).expect("a text takes any text");
    }
    text
}

const HEAD: &str = "\
What the simulated world measures, in virtual time: `cargo xtask sim --figures` writes it. First frame in milliseconds
after opening the magnet link, stalls in percent of the time after it; files in seconds, and the last one's as a multiple
of the bound max(file / seeders' up, file / slowest down, copies × file / total up).

                                    first frame     stalls        done
scene                                p50    p95    p50   p95    p50    last  bound
";

fn line(name: &str, runs: &[(Plan, Report)]) -> String {
    let peers = || runs.iter().flat_map(|(_, report)| &report.peers);
    let watched: Vec<Watched> = peers().filter_map(|peer| peer.watched).collect();
    if watched.is_empty() {
        let mut done: Vec<f64> = peers().filter_map(|peer| peer.done).map(|done| done.as_secs_f64()).collect();
        let over = runs.iter().map(|(plan, report)| over_bound(plan, report)).fold(0.0, f64::max);
        return format!("{name:33} {:>26}  {:>6.1} {:>6.1} {over:>6.2}", "", at(&mut done, 50), at(&mut done, 100));
    }
    let millis = |watched: &Watched| watched.first_frame.map_or(f64::INFINITY, |wait| wait.as_secs_f64() * 1e3);
    let mut waits: Vec<f64> = watched.iter().map(millis).collect();
    let mut stalls: Vec<f64> = watched.iter().map(|watched| watched.stall_ratio() * 100.0).collect();
    let (wait, wait_95) = (at(&mut waits, 50), at(&mut waits, 95));
    format!("{name:33} {wait:>6.0} {wait_95:>6.0} {:>6.1} {:>5.1}", at(&mut stalls, 50), at(&mut stalls, 95))
}

/// The value below which so many percent lie.
fn at(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_tightest_of_three() {
        let plan = crowd(0, 100, equal);
        assert_eq!(bound(&plan), Duration::from_secs(16));
        let mut slow = plan.clone();
        slow.peers[7].path.down = 100_000;
        assert_eq!(bound(&slow), Duration::from_secs(40));
        let mut stingy = plan;
        stingy.peers.iter_mut().skip(1).for_each(|peer| peer.path.up = 25_000);
        assert_eq!(bound(&stingy), Duration::from_micros(400_000_000_000_000 / 2_750_000));
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        let mut values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!([50, 95, 100].map(|percent| at(&mut values, percent)), [11.0, 20.0, 20.0]);
    }
}
