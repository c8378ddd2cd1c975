//! `flood`: one socket announces with ten offers as fast as the server takes them (threat-model S11).

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, megabytes, open};
use crate::fleet::Event;

/// One socket announces as fast as it can
#[derive(Clone, Debug, clap::Args)]
pub struct Flood {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers in the same swarm that listen
    #[arg(long, default_value_t = 1)]
    pub listeners: u32,
    /// Offers an announce
    #[arg(long, default_value_t = 10)]
    pub offers: u8,
    /// How long
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
}

const FLOODER: u32 = 0;

impl Flood {
    /// Runs it. A flooder that is thrown out comes back at once.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let mut common = self.common.clone();
        common.swarms = Some(1);
        let mut fleet = common.fleet(self.listeners + 1)?;
        fleet.answers = false;
        open(&mut fleet, 0..self.listeners + 1, common.connect_rate)?;
        for peer in 1..=self.listeners {
            fleet.announce(peer, fleet.now(), 0);
        }
        fleet.rest(fleet.now() + SECOND)?;
        let before = server.resident()?;
        let (mut most, mut sampled_at, mut thrown_out, mut told) = (before, 0, 0, 0);
        let end = fleet.now() + self.seconds * SECOND;
        while fleet.now() < end {
            if fleet.backlog(FLOODER) == 0 && fleet.is_open(FLOODER) {
                fleet.announce(FLOODER, fleet.now(), self.offers);
            }
            let wait = if fleet.backlog(FLOODER) == 0 && fleet.is_open(FLOODER) { 0 } else { SECOND / 1000 };
            fleet.turn(fleet.now() + wait)?;
            for event in fleet.events() {
                if let Event::Ended(peer, _) = event {
                    thrown_out += u32::from(peer == FLOODER);
                    fleet.connect(peer);
                } else if let Event::Opened(peer) = event
                    && peer != FLOODER
                {
                    told += 1;
                    fleet.announce(peer, fleet.now(), 0);
                }
            }
            if fleet.now() - sampled_at > SECOND / 5 {
                sampled_at = fleet.now();
                most = most.max(server.resident()?);
            }
        }
        let after = server.resident()?;
        Ok(json!({
            "seconds": self.seconds,
            "before_mb": megabytes(before),
            "growth_mb": megabytes(most.saturating_sub(before)),
            "growth_at_end_mb": megabytes(after.saturating_sub(before)),
            "flooder_thrown_out": thrown_out,
            "listeners_lost": told,
            "traffic": fleet.traffic.to_json(self.seconds as f64),
        }))
    }
}
