//! `memory`: what a connection costs the server, idle, with offers outstanding, and when it has left.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, megabytes, open};
use crate::arrivals;
use crate::fleet::Fleet;
use crate::process::Process;

/// What a server needs to come to rest.
const SETTLE: u64 = 3 * SECOND;
/// Who comes first.
const FEW: u32 = 200;

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
    #[arg(long, default_value_t = 800.0)]
    pub rate: f64,
    /// Offers of each, which nobody answers
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// Seconds after they left
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
}

/// How much more than before may be left (threat-model, "survives").
const LEFT_MAX: f64 = 1.05;

impl Memory {
    /// Runs it.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let fresh = server.resident()?;
        let mut fleet = self.common.fleet(self.connections)?;
        fleet.answers = false;
        let base = self.serve_a_few(&mut fleet, server)?;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        fleet.rest(fleet.now() + SETTLE)?;
        let idle = server.resident()?;
        let duration = (f64::from(self.connections) / self.rate * SECOND as f64) as u64;
        let schedule = arrivals::even(self.rate, duration, self.connections, self.common.seed);
        fleet.keep(fleet.now(), &schedule, self.offers)?;
        fleet.rest(fleet.now() + SETTLE)?;
        let announced = server.resident()?;
        (0..self.connections).for_each(|peer| fleet.close(peer));
        let (left, returned) = self.wait(&mut fleet, server, base)?;
        let each = |bytes: u64| bytes.saturating_sub(base) / u64::from(self.connections);
        Ok(json!({
            "connections": self.connections,
            "closed": fleet.traffic.closed,
            "failures": fleet.traffic.failures,
            "fresh_mb": megabytes(fresh),
            "base_mb": megabytes(base),
            "idle_bytes_per_connection": each(idle),
            "announced_bytes_per_connection": each(announced),
            "announced_mb": megabytes(announced),
            "left_mb": megabytes(left),
            "left_bytes_per_connection": each(left),
            "left_to_base": (left as f64 / base as f64 * 1000.0).round() / 1000.0,
            "returned_after_s": returned,
            "traffic": fleet.traffic.to_json(duration as f64 / SECOND as f64),
        }))
    }

    /// A few come, announce and leave, so that the program itself is in memory. What it takes then.
    fn serve_a_few(&self, fleet: &mut Fleet, server: Process) -> Result<u64> {
        let few = 0..self.connections.min(FEW);
        open(fleet, few.clone(), self.common.connect_rate)?;
        few.clone().for_each(|peer| fleet.announce(peer, fleet.now(), self.offers));
        fleet.rest(fleet.now() + SETTLE)?;
        few.for_each(|peer| fleet.close(peer));
        fleet.rest(fleet.now() + SETTLE)?;
        server.resident()
    }

    /// Waits for memory to come back: what is in use in the end, and the second from which it was little more than before.
    fn wait(&self, fleet: &mut Fleet, server: Process, base: u64) -> Result<(u64, Option<u64>)> {
        let start = fleet.now();
        let (mut left, mut returned) = (server.resident()?, None);
        for second in 1..=self.seconds {
            fleet.rest(start + second * SECOND)?;
            left = server.resident()?;
            let is_back = left as f64 <= base as f64 * LEFT_MAX;
            returned = returned.filter(|_| is_back).or(is_back.then_some(second));
        }
        Ok((left, returned))
    }
}
