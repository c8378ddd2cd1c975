//! `memory`: what a connection costs the server, idle, with offers outstanding, and when it has left.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, losses, megabytes, open};
use crate::arrivals;

/// What a server needs to come to rest.
const SETTLE: u64 = 3 * SECOND;

/// Memory of a connection: idle, after an announce, after it left
#[derive(Clone, Debug, clap::Args)]
pub struct Memory {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers
    #[arg(long, default_value_t = 8000)]
    pub connections: u32,
    /// Announces a second
    #[arg(long, default_value_t = 400.0)]
    pub rate: f64,
    /// Offers of each, which nobody answers
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// Seconds after they left
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
}

impl Memory {
    /// Runs it.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let base = server.resident()?;
        let mut fleet = self.common.fleet(self.connections)?;
        fleet.answers = false;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        fleet.rest(fleet.now() + SETTLE)?;
        let idle = server.resident()?;
        let duration = (f64::from(self.connections) / self.rate * SECOND as f64) as u64;
        let schedule = arrivals::even(self.rate, duration, self.connections, self.common.seed);
        fleet.keep(fleet.now(), &schedule, self.offers)?;
        fleet.rest(fleet.now() + SETTLE)?;
        let announced = server.resident()?;
        let lost = losses(&mut fleet);
        (0..self.connections).for_each(|peer| fleet.close(peer));
        fleet.rest(fleet.now() + self.seconds * SECOND)?;
        let left = server.resident()?;
        let each = |bytes: u64| bytes.saturating_sub(base) / u64::from(self.connections);
        Ok(json!({
            "connections": self.connections,
            "connections_lost": lost,
            "base_mb": megabytes(base),
            "idle_bytes_per_connection": each(idle),
            "announced_bytes_per_connection": each(announced),
            "left_bytes_per_connection": each(left),
            "left_above_base_mb": megabytes(left.saturating_sub(base)),
            "traffic": fleet.traffic.to_json(duration as f64 / SECOND as f64),
        }))
    }
}
