//! `soak`: clients come and go, each with a name of its own, and somebody watches the metrics (threat-model S13).
//!
//! Invariant: every client keeps a rhythm of its own, from its first announce until it leaves, so that none is ever silent
//! for longer than the interval.

mod watcher;

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, megabytes, open};
use crate::figures::{Line, median};
use crate::fleet::{End, Event, Fleet};
use crate::process::Process;
use crate::sdp::Chance;
use crate::target::Target;
use watcher::{Page, Watcher};

/// How often memory is looked at, and the metrics are.
const SAMPLE: u64 = 5 * SECOND;
const SAMPLES_A_MINUTE: usize = 12;
/// What memory may grow by in MiB an hour.
const SLOPE_MAX: f64 = 1.0;

/// Clients come and go for a long time; memory must not
#[derive(Clone, Debug, clap::Args)]
pub struct Soak {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers at a time
    #[arg(long, default_value_t = 5000)]
    pub connections: u32,
    /// Peers that leave and are replaced a second
    #[arg(long, default_value_t = 50)]
    pub churn: u64,
    /// Seconds between two announces of a peer
    #[arg(long, default_value_t = 120)]
    pub interval: u64,
    /// Offers an announce
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// Page of the metrics
    #[arg(long, default_value = "/metrics")]
    pub metrics: String,
    /// Seconds whose memory does not count
    #[arg(long, default_value_t = 600)]
    pub warm_up: u64,
    /// How long, the warm-up included
    #[arg(long, default_value_t = 1800)]
    pub seconds: u64,
}

impl Soak {
    /// Runs it. Each minute's memory is told on standard error.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let target = Target::new(&self.common.server, self.common.authority.as_deref())?;
        let watcher = Watcher::new(target.address, self.metrics.clone());
        let mut fleet = self.common.fleet_for(target, self.connections)?;
        let mut chance = Chance::new(!self.common.seed);
        (0..self.connections).for_each(|peer| fleet.rename(peer, &mut chance));
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        fleet.events();
        let mut life = Life::new(self, &fleet);
        let (start, samples) = (fleet.now(), self.seconds * SECOND / SAMPLE);
        let mut memory = Vec::new();
        for sample in 1..=samples {
            life.go_on(&mut fleet, start + sample * SAMPLE)?;
            memory.push(server.resident()?);
            watcher.ask();
            if memory.len().is_multiple_of(SAMPLES_A_MINUTE) {
                tell(&memory, &fleet, &life);
            }
        }
        self.report(&fleet, &life, &memory, &watcher.pages(), server)
    }

    fn report(&self, fleet: &Fleet, life: &Life, memory: &[u64], pages: &[Page], server: Process) -> Result<Value> {
        let minutes: Vec<f64> = memory.as_chunks::<SAMPLES_A_MINUTE>().0.iter().map(mebibytes).collect();
        let skipped = (self.warm_up / 60) as usize;
        let points: Vec<_> =
            minutes.iter().enumerate().skip(skipped).map(|(minute, mib)| (minute as f64 / 60.0, *mib)).collect();
        let line = Line::through(&points);
        let counted = pages.get(skipped * SAMPLES_A_MINUTE..).unwrap_or_default();
        let series = || counted.iter().filter(|page| page.status == 200).map(|page| page.series);
        let constant = series().min() == series().max() && series().min().is_some();
        let failed = pages.iter().filter(|page| page.status != 200).count();
        let round = |number: f64| (number * 100.0).round() / 100.0;
        let met = points.len() > 2 && line.slope < SLOPE_MAX && constant && failed == 0 && life.lost == 0;
        Ok(json!({
            "met": met,
            "bar": format!(
                "RSS grows by less than {SLOPE_MAX} MiB/h (least squares through each minute's median, from minute {skipped} on), \
                 the number of metric series stays the same, every look at the metrics succeeds, nobody is thrown out"
            ),
            "rss_slope_mib_per_hour": round(line.slope),
            "rss_slope_standard_error": round(line.error),
            "rss_mib_by_minute": minutes.iter().map(|mib| round(*mib)).collect::<Vec<_>>(),
            "rss_mb": megabytes(memory.last().copied().unwrap_or(0)),
            "connections": self.connections,
            "connections_at_end": fleet.open(),
            "connections_lost": life.lost,
            "left_cleanly": life.left_cleanly,
            "left_abruptly": life.left_abruptly,
            "seconds": self.seconds,
            "metrics_looked_at": pages.len(),
            "metrics_failed": failed,
            "metric_series_least": series().min(),
            "metric_series_most": series().max(),
            "server_cpu_s": server.cpu()?.as_secs_f64(),
            "traffic": fleet.traffic.to_json(self.seconds as f64),
        }))
    }
}

#[expect(clippy::print_stderr, reason = "a long run says how it goes")]
fn tell(memory: &[u64], fleet: &Fleet, life: &Life) {
    if let Some(minute) = memory.last_chunk() {
        let (minutes, mib) = (memory.len() / SAMPLES_A_MINUTE, mebibytes(minute));
        eprintln!("minute {minutes}: {mib:.2} MiB, {} open, {} closed by the server", fleet.open(), life.lost);
    }
}

/// The median in MiB.
fn mebibytes(minute: &[u64; SAMPLES_A_MINUTE]) -> f64 {
    median(&minute.map(|bytes| bytes as f64 / f64::from(1 << 20)))
}

/// Who announces when, and who comes and goes.
struct Life {
    chance: Chance,
    offers: u8,
    interval: u64,
    /// Between two departures (µs).
    stay: u64,
    leaves_at: u64,
    /// Next announces: when, whose.
    due: BTreeSet<(u64, u32)>,
    /// Each peer's place there.
    announces_at: Vec<Option<u64>>,
    is_leaving: Vec<bool>,
    left_cleanly: u64,
    left_abruptly: u64,
    /// Connections that the server ended of itself.
    lost: u64,
}

impl Life {
    /// Everybody's first announce comes within the first interval.
    fn new(soak: &Soak, fleet: &Fleet) -> Self {
        let mut life = Self {
            chance: Chance::new(soak.common.seed),
            offers: soak.offers,
            interval: soak.interval * SECOND,
            stay: SECOND / soak.churn.max(1),
            leaves_at: if soak.churn == 0 { u64::MAX } else { fleet.now() },
            due: BTreeSet::new(),
            announces_at: vec![None; fleet.len() as usize],
            is_leaving: vec![false; fleet.len() as usize],
            left_cleanly: 0,
            left_abruptly: 0,
            lost: 0,
        };
        for peer in 0..fleet.len() {
            let at = fleet.now() + life.chance.within(0..life.interval);
            life.plan(peer, Some(at));
        }
        life
    }

    /// Does what falls due until then.
    fn go_on(&mut self, fleet: &mut Fleet, until: u64) -> Result<()> {
        while fleet.now() < until {
            let next = self.due.first().map_or(until, |(at, _)| *at);
            fleet.turn(next.min(self.leaves_at).min(until))?;
            for event in fleet.events() {
                self.happened(fleet, event);
            }
            let now = fleet.now();
            while let Some(&(at, peer)) = self.due.first()
                && at <= now
            {
                fleet.announce(peer, at, self.offers);
                self.plan(peer, Some(at + self.interval));
            }
            while self.leaves_at <= now {
                self.leaves_at += self.stay;
                self.send_away(fleet);
            }
        }
        Ok(())
    }

    fn plan(&mut self, peer: u32, at: Option<u64>) {
        let before = std::mem::replace(&mut self.announces_at[peer as usize], at);
        if let Some(before) = before {
            self.due.remove(&(before, peer));
        }
        self.due.extend(at.map(|at| (at, peer)));
    }

    /// Somebody leaves: one in two without a word.
    fn send_away(&mut self, fleet: &mut Fleet) {
        let peer = self.chance.within(0..fleet.len().into()) as u32;
        if !fleet.is_open(peer) || self.is_leaving[peer as usize] {
            return;
        }
        self.plan(peer, None);
        if self.chance.within(0..2) == 0 {
            self.is_leaving[peer as usize] = true;
            fleet.leave(peer);
        } else {
            self.left_abruptly += 1;
            fleet.close(peer);
            self.replace(fleet, peer);
        }
    }

    /// Somebody else comes in its place.
    fn replace(&mut self, fleet: &mut Fleet, peer: u32) {
        fleet.rename(peer, &mut self.chance);
        fleet.connect(peer);
    }

    fn happened(&mut self, fleet: &mut Fleet, event: Event) {
        match event {
            Event::Opened(peer) => {
                let now = fleet.now();
                fleet.announce(peer, now, self.offers);
                self.plan(peer, Some(now + self.interval));
            }
            Event::Ended(peer, end) => {
                let was_leaving = std::mem::take(&mut self.is_leaving[peer as usize]);
                if was_leaving && matches!(end, End::Closed { .. }) {
                    self.left_cleanly += 1;
                } else {
                    self.lost += 1;
                }
                self.plan(peer, None);
                self.replace(fleet, peer);
            }
        }
    }
}
