//! `load`: announces at a fixed rate, each with offers that are all answered; what the server needs for that.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, losses, open};
use crate::arrivals;
use crate::figures::{Latencies, Traffic};
use crate::fleet::Fleet;
use crate::process::Process;

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
        let measured = measure(&mut fleet, Some(server), self, self.rate)?;
        let mut report = measured.to_json();
        report["connections"] = json!(self.connections);
        report["connections_lost"] = json!(losses(&mut fleet));
        report["sdp_kb"] = json!(self.common.sdp);
        Ok(report)
    }
}

/// What one window came to.
pub struct Measured {
    /// Announces a second, as offered.
    pub rate: f64,
    /// The window in s.
    pub seconds: f64,
    /// The window's messages.
    pub traffic: Traffic,
    /// The window's latencies.
    pub latencies: Latencies,
    /// Share of the window's announces that were responded to, sooner or later.
    pub completion: f64,
    server_cpu: f64,
    server_rss: u64,
    generator_cpu: f64,
}

/// Offers a load of `rate` announces a second: warm-up, window, and a tail in which late messages arrive.
///
/// # Errors
/// The server ended.
pub fn measure(fleet: &mut Fleet, server: Option<Process>, plan: &Load, rate: f64) -> Result<Measured> {
    let cpu = |process: Option<Process>| process.map_or(Ok(0.0), |process| process.cpu().map(|cpu| cpu.as_secs_f64()));
    let (opens, closes) = (plan.warm_up * SECOND, (plan.warm_up + plan.seconds) * SECOND);
    let schedule = arrivals::poisson(rate, closes + TAIL, fleet.len(), plan.common.seed);
    let part = |from, to| {
        let place = |at| schedule.partition_point(|arrival| arrival.at < at);
        &schedule[place(from)..place(to)]
    };
    let start = fleet.now();
    fleet.latencies = Latencies::new(start + opens..start + closes);
    fleet.keep(start, part(0, opens), plan.offers)?;
    let (traffic, began) = (fleet.traffic, fleet.now());
    let before = (cpu(server)?, cpu(Some(Process::own()))?);
    fleet.keep(start, part(opens, closes), plan.offers)?;
    let after = (cpu(server)?, cpu(Some(Process::own()))?);
    let seconds = (fleet.now() - began) as f64 / SECOND as f64;
    let traffic = fleet.traffic.since(&traffic);
    let server_rss = server.map_or(Ok(0), Process::resident)?;
    fleet.keep(start, part(closes, u64::MAX), plan.offers)?;
    fleet.rest(fleet.now() + SECOND / 5)?;
    let latencies = std::mem::replace(&mut fleet.latencies, Latencies::new(0..0));
    let completion = latencies.response.len() as f64 / part(opens, closes).len().max(1) as f64;
    let (server_cpu, generator_cpu) = (after.0 - before.0, after.1 - before.1);
    Ok(Measured { rate, seconds, traffic, latencies, completion, server_cpu, server_rss, generator_cpu })
}

impl Measured {
    /// Whether the generator itself had no time to spare, so that the figures are its own.
    pub fn is_generators(&self) -> bool {
        self.generator_cpu / self.seconds > 0.92
    }

    /// Everything, for people and programs.
    pub fn to_json(&self) -> Value {
        let per_message = |cpu: f64| (cpu * 1e8 / self.traffic.messages().max(1) as f64).round() / 100.0;
        let percent = |cpu: f64| (cpu * 1000.0 / self.seconds).round() / 10.0;
        json!({
            "offered_announces_per_second": self.rate,
            "seconds": self.seconds,
            "completion": self.completion,
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
