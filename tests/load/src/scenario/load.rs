//! `load`: announces at a fixed rate, each with offers that are all answered; what the server needs for that.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, join, open};
use crate::arrivals;
use crate::figures::{Latencies, Traffic, within};
use crate::fleet::Fleet;
use crate::process::Process;

/// What takes longer did not arrive in time (µs).
pub(super) const IN_TIME: u64 = SECOND;
/// The load goes on for so long after the window, so that the window's last messages arrive under it.
const TAIL: u64 = 2 * SECOND;

/// Announces at a fixed rate, all offers answered
#[derive(Clone, Debug, clap::Args)]
pub struct Load {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers
    #[arg(long, default_value_t = 2000)]
    pub connections: u32,
    /// Announces a second
    #[arg(long, default_value_t = 800.0)]
    pub rate: f64,
    /// Offers an announce
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// Seconds that are not measured
    #[arg(long, default_value_t = 5)]
    pub warm_up: u64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 15)]
    pub seconds: u64,
}

impl Load {
    /// Runs it.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let mut fleet = self.common.fleet(self.connections)?;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        join(&mut fleet)?;
        let mut report = measure(&mut fleet, server, self)?.to_json();
        report["connections"] = json!(self.connections);
        report["closed"] = json!(fleet.traffic.closed);
        report["failures"] = json!(fleet.traffic.failures);
        report["sdp_kb"] = json!(self.common.sdp);
        Ok(report)
    }
}

/// What one window came to.
pub struct Measured {
    /// Announces a second, as offered.
    pub(super) rate: f64,
    /// The window in s.
    pub(super) seconds: f64,
    /// What passed while the window lasted.
    pub(super) traffic: Traffic,
    /// Of the window's announces, whenever it was that their messages arrived.
    pub(super) latencies: Latencies,
    pub(super) due: Due,
    pub(super) server_cpu: f64,
    pub(super) server_rss: u64,
    pub(super) generator_cpu: f64,
}

/// What the window's announces ask of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) announces: u64,
    pub(super) offers: u64,
    /// Offers that have a receiver, and as many answers.
    pub(super) owed: u64,
}

/// Offers a load at the plan's rate: warm-up, window, and a tail in which late messages arrive.
///
/// # Errors
/// The server ended.
pub fn measure(fleet: &mut Fleet, server: Process, plan: &Load) -> Result<Measured> {
    let cpu = || Ok::<_, anyhow::Error>((server.cpu()?.as_secs_f64(), Process::own().cpu()?.as_secs_f64()));
    let (opens, closes) = (plan.warm_up * SECOND, (plan.warm_up + plan.seconds) * SECOND);
    let schedule = arrivals::poisson(plan.rate, closes + TAIL, fleet.len(), plan.common.seed);
    let part = |from, to| {
        let place = |at| schedule.partition_point(|arrival| arrival.at < at);
        &schedule[place(from)..place(to)]
    };
    let window = part(opens, closes);
    let due = Due {
        announces: window.len() as u64,
        offers: window.len() as u64 * u64::from(plan.offers),
        owed: window.iter().map(|arrival| fleet.owed(arrival.peer, plan.offers)).sum(),
    };
    let start = fleet.now();
    fleet.latencies = Latencies::new(start + opens..start + closes);
    fleet.keep(start, part(0, opens), plan.offers)?;
    let (traffic, began, before) = (fleet.traffic, fleet.now(), cpu()?);
    fleet.keep(start, window, plan.offers)?;
    let after = cpu()?;
    let seconds = (fleet.now() - began) as f64 / SECOND as f64;
    let traffic = fleet.traffic.since(&traffic);
    let server_rss = server.resident()?;
    fleet.keep(start, part(closes, u64::MAX), plan.offers)?;
    fleet.rest(fleet.now() + SECOND / 5)?;
    let latencies = std::mem::replace(&mut fleet.latencies, Latencies::new(0..0));
    let (server_cpu, generator_cpu) = (after.0 - before.0, after.1 - before.1);
    Ok(Measured { rate: plan.rate, seconds, traffic, latencies, due, server_cpu, server_rss, generator_cpu })
}

impl Measured {
    /// Share of the window's announces that were responded to in time.
    pub fn responded(&self) -> f64 {
        within(&self.latencies.response, IN_TIME) as f64 / self.due.announces.max(1) as f64
    }

    /// Share of the answers owed that were delivered in time. More than was owed is nothing gained.
    pub fn answered(&self) -> f64 {
        (within(&self.latencies.round, IN_TIME) as f64 / self.due.owed.max(1) as f64).min(1.0)
    }

    /// Whether the generator itself had no time to spare, or was kept from its processor, so that the figures are its own.
    pub fn is_generators(&self) -> bool {
        self.generator_cpu / self.seconds > 0.92 || self.latencies.lateness.value_at_quantile(0.99) > IN_TIME / 4
    }

    /// Everything, for people and programs.
    pub fn to_json(&self) -> Value {
        let per_message = |cpu: f64| (cpu * 1e8 / self.traffic.messages().max(1) as f64).round() / 100.0;
        let percent = |cpu: f64| (cpu * 1000.0 / self.seconds).round() / 10.0;
        let share = |share: f64| (share * 1e4).round() / 1e4;
        let (responses, offers, answers) =
            (self.latencies.response.len(), self.latencies.offer.len(), self.latencies.round.len());
        json!({
            "offered_announces_per_second": self.rate,
            "seconds": self.seconds,
            "window": {
                "announces_due": self.due.announces,
                "announces_unanswered": self.due.announces.saturating_sub(responses),
                "offers_made": self.due.offers,
                "offers_owed": self.due.owed,
                "offers_lost": self.due.owed.saturating_sub(offers),
                "answers_lost": self.due.owed.saturating_sub(answers),
                "announces_in_time": share(self.responded()),
                "answers_in_time": share(self.answered()),
            },
            "traffic": self.traffic.to_json(self.seconds),
            "latency": self.latencies.to_json(),
            "server": {
                "cpu_us_per_message": per_message(self.server_cpu),
                "cpu_us_per_announce": (self.server_cpu * 1e7 / self.traffic.announces.max(1) as f64).round() / 10.0,
                "cpu_percent": percent(self.server_cpu),
                "rss_bytes": self.server_rss,
            },
            "generator": {
                "cpu_us_per_message": per_message(self.generator_cpu),
                "cpu_percent": percent(self.generator_cpu),
                "is_bottleneck": self.is_generators(),
            },
        })
    }
}
