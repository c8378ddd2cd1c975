//! `hold`: tens of thousands of connections that announce now and then, as most do most of the time.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, megabytes, open};
use crate::arrivals;
use crate::figures::Latencies;
use crate::process::Process;

/// Holds many connections that announce now and then
#[derive(Clone, Debug, clap::Args)]
pub struct Hold {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers
    #[arg(long, default_value_t = 50_000)]
    pub connections: u32,
    /// Seconds between two announces of a peer
    #[arg(long, default_value_t = 120)]
    pub interval: u64,
    /// Offers an announce
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// How long, once all are connected
    #[arg(long, default_value_t = 250)]
    pub seconds: u64,
}

impl Hold {
    /// Runs it.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let base = server.resident()?;
        let mut fleet = self.common.fleet(self.connections)?;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        let idle = server.resident()?;
        let start = fleet.now();
        let rate = f64::from(self.connections) / self.interval as f64;
        let schedule = arrivals::even(rate, self.seconds * SECOND, self.connections, self.common.seed);
        fleet.latencies = Latencies::new(start..u64::MAX);
        let (cpu, own, traffic) = (server.cpu()?, Process::own().cpu()?, fleet.traffic);
        fleet.keep(start, &schedule, self.offers)?;
        // The last response is under way.
        fleet.rest(start + (self.seconds + 1) * SECOND)?;
        let seconds = (fleet.now() - start) as f64 / SECOND as f64;
        let percent = |used: std::time::Duration| (used.as_secs_f64() * 1000.0 / seconds).round() / 10.0;
        let busy = server.resident()?;
        let each = |bytes: u64| bytes.saturating_sub(base) / u64::from(self.connections);
        Ok(json!({
            "connections": self.connections,
            "connections_at_end": fleet.open(),
            "connections_lost": fleet.traffic.closed,
            "failures": fleet.traffic.failures,
            "announces_due": schedule.len(),
            "announces_answered": fleet.latencies.response.len(),
            "seconds": seconds,
            "rss_mb": megabytes(busy),
            "idle_bytes_per_connection": each(idle),
            "busy_bytes_per_connection": each(busy),
            "server_cpu_percent": percent(server.cpu()?.saturating_sub(cpu)),
            "generator_cpu_percent": percent(Process::own().cpu()?.saturating_sub(own)),
            "traffic": fleet.traffic.since(&traffic).to_json(seconds),
            "latency": fleet.latencies.to_json(),
        }))
    }
}
