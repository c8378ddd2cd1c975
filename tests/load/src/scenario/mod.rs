//! What can be measured, one module a scenario. Each gives one JSON object.
//!
//! Invariant: a scenario ends by itself, whatever the server does.

mod flood;
mod hold;
mod load;
mod memory;
mod saturation;
mod soak;
mod storm;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::arrivals;
use crate::fleet::{Crowd, End, Event, Fleet};
use crate::process::Process;
use crate::target::Target;

pub use flood::Flood;
pub use hold::Hold;
pub use load::{Load, Measured, measure};
pub use memory::Memory;
pub use saturation::Saturation;
pub use soak::Soak;
pub use storm::Storm;

const SECOND: u64 = 1_000_000;
/// Announces without offers: little to do for any server.
const JOINS_PER_SECOND: u64 = 1500;

/// What all scenarios ask for.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// The tracker: ws://HOST:PORT/ or wss://HOST:PORT/
    #[arg(long)]
    pub server: String,
    /// PEM file of the certificate that a wss:// server is trusted by
    #[arg(long)]
    pub authority: Option<PathBuf>,
    /// The server's process, for CPU time and memory
    #[arg(long)]
    pub pid: Option<u32>,
    /// Size of an SDP in KB
    #[arg(long, default_value_t = 1)]
    pub sdp: usize,
    /// Swarms that the peers are spread over by Zipf's law
    #[arg(long)]
    pub swarms: Option<u32>,
    /// Peers behind one source address
    #[arg(long, default_value_t = 8)]
    pub per_address: u32,
    /// New connections a second
    #[arg(long, default_value_t = 1500)]
    pub connect_rate: u32,
    /// The same seed makes the same load
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Common {
    /// A fleet of so many peers, by default in swarms of 40 on average.
    fn fleet(&self, peers: u32) -> Result<Fleet> {
        let target = Target::new(&self.server, self.authority.as_deref())?;
        self.fleet_for(target, peers)
    }

    fn fleet_for(&self, target: Target, peers: u32) -> Result<Fleet> {
        let crowd = Crowd {
            peers,
            swarms: self.swarms.unwrap_or(peers.div_ceil(40)).clamp(1, peers),
            seeder_in: 10,
            per_address: self.per_address.max(1),
            sdp_bytes: self.sdp.clamp(1, 15) << 10,
            seed: self.seed,
        };
        Ok(Fleet::new(target, &crowd)?)
    }

    /// The server's process.
    fn process(&self) -> Result<Process> {
        Ok(Process { pid: self.pid.context("--pid is needed: the server's process.")? })
    }
}

/// Connects these peers, so many a second; a refused one tries again. Fails if that takes two minutes longer than it
/// should.
fn open(fleet: &mut Fleet, peers: std::ops::Range<u32>, rate: u32) -> Result<()> {
    let (wanted, start) = (fleet.open() + peers.len(), fleet.now());
    let deadline = start + (peers.len() as u64 / u64::from(rate) + 120) * SECOND;
    let mut waiting: VecDeque<(u64, u32)> =
        peers.zip(0_u64..).map(|(peer, place)| (start + place * SECOND / u64::from(rate), peer)).collect();
    while fleet.open() < wanted {
        let now = fleet.now();
        if now > deadline {
            bail!("only {} of {wanted} connections could be opened.", fleet.open());
        }
        while let Some(&(due, peer)) = waiting.front()
            && due <= now
        {
            waiting.pop_front();
            fleet.connect(peer);
        }
        fleet.turn(waiting.front().map_or(now + SECOND / 10, |(due, _)| *due))?;
        for event in fleet.events() {
            if let Event::Ended(peer, end) = event {
                let wait = match end {
                    End::Refused { retry_after, .. } | End::Closed { retry_after, .. } => retry_after,
                    End::Absent | End::Broken => None,
                };
                let wait = wait.unwrap_or(Duration::from_millis(500)).as_micros() as u64;
                waiting.push_back((now + wait, peer));
            }
        }
    }
    Ok(())
}

/// Has every peer announce once, without offers, so that the swarms are whole.
fn join(fleet: &mut Fleet) -> Result<()> {
    let duration = u64::from(fleet.len()) * SECOND / JOINS_PER_SECOND;
    let schedule = arrivals::even(JOINS_PER_SECOND as f64, duration, fleet.len(), 0);
    fleet.keep(fleet.now(), &schedule, 0)?;
    fleet.rest(fleet.now() + SECOND / 5)?;
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1e4).round() / 100.0
}
