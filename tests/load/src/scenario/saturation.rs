//! `saturation`: the highest rate of announces that the server keeps up with, all that they lead to included.
//!
//! Invariant: a rate counts as kept up with only by what arrived in time, so that a server gains nothing by dropping.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, Load, Measured, SECOND, join, measure, open};
use crate::fleet::Fleet;
use crate::process::Process;

/// Share of the announces due that are responded to in time by a server that keeps up.
const ANNOUNCES_MIN: f64 = 0.99;
/// Share of the answers owed that are delivered in time by a server that keeps up.
const ANSWERS_MIN: f64 = 0.95;
/// How much higher the next step is.
const STEP: f64 = 1.3;
/// Highest step: beyond, ours would refuse offers, as every peer would announce more than twice a second.
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

/// The best rate so far, and why there is no better.
#[derive(Default)]
struct Climb {
    best: Value,
    /// The server may do more: the generator, or the highest step, ended the climb.
    at_least: bool,
    steps: Vec<Value>,
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
        join(&mut fleet)?;
        let climb = self.climb(&mut fleet, server)?;
        Ok(json!({
            "definition": definition(),
            "best": climb.best,
            "at_least": climb.at_least,
            "closed": fleet.traffic.closed,
            "failures": fleet.traffic.failures,
            "steps": climb.steps,
        }))
    }

    fn climb(&self, fleet: &mut Fleet, server: Process) -> Result<Climb> {
        let mut climb = Climb::default();
        let (mut rate, mut factor) = (self.rate, STEP);
        loop {
            if rate > RATE_MAX {
                climb.at_least = true;
                return Ok(climb);
            }
            let measured = self.step(fleet, server, rate)?;
            let kept_up = keeps_up(&measured);
            climb.steps.push(json!({ "kept_up": kept_up, "measured": measured.to_json() }));
            if kept_up {
                climb.best = measured.to_json();
            } else {
                climb.at_least = measured.is_generators();
                if factor < STEP || climb.best.is_null() {
                    return Ok(climb);
                }
                rate /= factor;
                factor = factor.sqrt();
            }
            if kept_up && factor < STEP {
                return Ok(climb);
            }
            rate *= factor;
        }
    }

    fn step(&self, fleet: &mut Fleet, server: Process, rate: f64) -> Result<Measured> {
        let (common, connections) = (self.common.clone(), self.connections);
        let plan = Load { common, connections, rate, offers: self.offers, warm_up: 2, seconds: self.seconds };
        let measured = measure(fleet, server, &plan)?;
        if !keeps_up(&measured) {
            // What has piled up must not weigh on the next step.
            fleet.rest(fleet.now() + 5 * SECOND)?;
        }
        let lost: Vec<u32> = (0..fleet.len()).filter(|peer| !fleet.is_connected(*peer)).collect();
        for peer in lost {
            open(fleet, peer..peer + 1, self.common.connect_rate)?;
        }
        Ok(measured)
    }
}

fn keeps_up(measured: &Measured) -> bool {
    measured.responded() >= ANNOUNCES_MIN && measured.answered() >= ANSWERS_MIN
}

/// In words, for whoever reads the figures.
fn definition() -> String {
    format!(
        "the highest rate at which, within {} s of the moment an announce was due, it is responded to ({} % of all) and the \
         answers to its offers are delivered ({} % of those owed: one for each offer that has a receiver, seeders being owed \
         leechers only); ≥ where the generator's processor or the highest rate, {RATE_MAX}/s, was the limit",
        super::load::IN_TIME / SECOND,
        ANNOUNCES_MIN * 100.0,
        ANSWERS_MIN * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::super::load::Due;
    use super::*;
    use crate::figures::{Latencies, Traffic};

    /// A window of 100 announces with five offers each, so many of which came to something.
    fn measured(responses: u64, rounds: u64, took: u64) -> Measured {
        let mut latencies = Latencies::new(0..1);
        (0..responses).for_each(|_| latencies.record(|all| &mut all.response, 0, 1000));
        (0..rounds).for_each(|_| latencies.record(|all| &mut all.round, 0, took));
        let due = Due { announces: 100, offers: 500, owed: 400 };
        let (seconds, traffic) = (1.0, Traffic::default());
        Measured { rate: 100.0, seconds, traffic, latencies, due, server_cpu: 0.0, server_rss: 0, generator_cpu: 0.0 }
    }

    #[test]
    fn who_drops_offers_or_is_late_does_not_keep_up() {
        assert!(keeps_up(&measured(100, 400, 1000)));
        assert!(keeps_up(&measured(99, 380, SECOND / 2)));
        assert!(!keeps_up(&measured(98, 400, 1000)), "announces without a response");
        assert!(!keeps_up(&measured(100, 370, 1000)), "offers dropped");
        assert!(!keeps_up(&measured(100, 0, 1000)), "all offers dropped");
        assert!(!keeps_up(&measured(100, 400, 2 * SECOND)), "everything late");
    }
}
