//! `saturation`: the highest rate of announces that the server keeps up with.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, Load, SECOND, losses, measure, open};
use crate::process::Process;

/// A server that takes longer than this (p99, ms) has fallen behind.
const P99_MAX_MS: f64 = 500.0;
/// A server that responds to fewer of the announces than this has fallen behind.
const COMPLETION_MIN: f64 = 0.95;
/// How much higher the next step is.
const STEP: f64 = 1.3;
/// Highest step: beyond any server on one core.
const RATE_MAX: f64 = 16_000.0;

/// Steps the rate up until the server falls behind
#[derive(Clone, Debug, clap::Args)]
pub struct Saturation {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers
    #[arg(long, default_value_t = 8000)]
    pub connections: u32,
    /// Announces a second to begin with
    #[arg(long, default_value_t = 800.0)]
    pub rate: f64,
    /// Offers an announce
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// Seconds that are measured of each step
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
}

impl Saturation {
    /// Runs it: up in large steps, then one step half as large from the last good rate.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let mut fleet = self.common.fleet(self.connections)?;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        let plan = Load {
            common: self.common.clone(),
            connections: self.connections,
            rate: self.rate,
            offers: self.offers,
            warm_up: 2,
            seconds: self.seconds,
        };
        let (mut best, mut limit, mut steps) = (Value::Null, Value::Null, Vec::new());
        let (mut rate, mut factor) = (self.rate, STEP);
        while rate <= RATE_MAX {
            let (good, step) = self.step(&mut fleet, server, &plan, rate)?;
            steps.push(
                json!({ "rate": rate, "kept_up": good, "completion": step["completion"], "latency": step["latency"] }),
            );
            if good {
                best = step;
            } else if factor < STEP {
                break;
            } else {
                limit = step["generator"]["is_bottleneck"].clone();
                rate /= factor;
                factor = factor.sqrt();
            }
            rate *= factor;
        }
        Ok(
            json!({ "best": best, "generator_was_bottleneck": limit, "connections_lost": losses(&mut fleet), "steps": steps }),
        )
    }

    fn step(&self, fleet: &mut crate::fleet::Fleet, server: Process, plan: &Load, rate: f64) -> Result<(bool, Value)> {
        let measured = measure(fleet, Some(server), plan, rate)?;
        let good = measured.completion >= COMPLETION_MIN && measured.latencies.worst_ms(0.99) <= P99_MAX_MS;
        if !good {
            // What has piled up must not weigh on the next step.
            fleet.rest(fleet.now() + 5 * SECOND)?;
        }
        let lost: Vec<u32> = (0..fleet.len()).filter(|peer| !fleet.is_connected(*peer)).collect();
        for peer in lost {
            open(fleet, peer..peer + 1, self.common.connect_rate)?;
        }
        Ok((good, measured.to_json()))
    }
}
