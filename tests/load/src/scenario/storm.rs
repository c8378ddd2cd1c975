//! `storm`: the server is restarted under its clients, and all come back (threat-model S14).
//!
//! The clients do what ours does: they come back when they are told to, and else after a drawn time that doubles.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Common, SECOND, open};
use crate::arrivals;
use crate::fleet::{End, Event, Fleet};
use crate::process::Process;
use crate::sdp::Chance;
use crate::target::Target;

/// As the client's: the first wait, doubled every time up to the last.
const FIRST_WAIT: u64 = 2 * SECOND;
const LAST_WAIT: u64 = 30 * SECOND;
/// Nobody waits longer than this for the storm to end.
const PATIENCE: u64 = 180 * SECOND;

/// Restarts the server under its clients
#[derive(Clone, Debug, clap::Args)]
pub struct Storm {
    /// What all scenarios ask for. The server is started here: `--pid` is not needed.
    #[command(flatten)]
    pub common: Common,
    /// Peers
    #[arg(long, default_value_t = 10_000)]
    pub connections: u32,
    /// Kill the server instead of asking it to stop
    #[arg(long)]
    pub kill: bool,
    /// How the server is started
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// A server that ends with us.
struct Server(Child);

impl Server {
    fn start(command: &[String]) -> Result<Self> {
        let (program, arguments) = command.split_first().context("a command is needed after --")?;
        // Standard output is the report's.
        let process = Command::new(program).args(arguments).stdout(Stdio::null()).spawn();
        Ok(Self(process.with_context(|| format!("{program} can't be started"))?))
    }

    fn process(&self) -> Process {
        Process { pid: self.0.id() }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.0), signal)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The clients that are out, and when each tries again.
struct Returns {
    due: BTreeSet<(u64, u32)>,
    failures: Vec<u32>,
    chance: Chance,
    told: u64,
    /// Handshakes that reached the server after the restart, successful or refused.
    connections: u64,
    /// Tries that found no server.
    in_vain: u64,
}

impl Storm {
    /// Runs it.
    ///
    /// # Errors
    /// The server can't be started or reached, or not all clients come back.
    pub fn run(&self) -> Result<Value> {
        let target = Target::new(&self.common.server, self.common.authority.as_deref())?;
        let mut server = Server::start(&self.command)?;
        until_up(&target)?;
        let mut fleet = self.common.fleet_for(target, self.connections)?;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        let rate = 1000.0;
        let once =
            arrivals::even(rate, u64::from(self.connections) * SECOND / 1000, self.connections, self.common.seed);
        fleet.keep(fleet.now(), &once, 0)?;
        fleet.events();
        let mut returns = Returns::new(self.connections, self.common.seed);
        let signalled_at = fleet.now();
        server.signal(if self.kill { Signal::KILL } else { Signal::TERM })?;
        while server.0.try_wait()?.is_none() {
            returns.turn(&mut fleet)?;
            if fleet.now() - signalled_at > PATIENCE {
                bail!("the server does not stop.");
            }
        }
        let down_at = fleet.now();
        server = Server::start(&self.command)?;
        let started_at = fleet.now();
        let mut peak: f64 = 0.0;
        let mut sample = (started_at, Duration::ZERO);
        while fleet.open() < self.connections as usize {
            returns.turn(&mut fleet)?;
            if fleet.now() - started_at > PATIENCE {
                bail!("only {} of {} clients are back.", fleet.open(), self.connections);
            }
            if fleet.now() - sample.0 >= SECOND {
                let cpu = server.process().cpu()?;
                peak = peak.max((cpu - sample.1).as_micros() as f64 / (fleet.now() - sample.0) as f64);
                sample = (fleet.now(), cpu);
            }
        }
        let seconds = |micros: u64| micros as f64 / SECOND as f64;
        let back_after = fleet.now() - started_at;
        let mean = server.process().cpu()?.as_micros() as f64 / back_after as f64;
        Ok(json!({
            "clients": self.connections,
            "told_when_to_return": returns.told,
            "stop_took_s": seconds(down_at - signalled_at),
            "all_back_after_s": seconds(back_after),
            "connections_per_client": returns.connections as f64 / f64::from(self.connections),
            "tries_in_vain_per_client": returns.in_vain as f64 / f64::from(self.connections),
            "server_cpu_percent_mean": (mean * 1000.0).round() / 10.0,
            "server_cpu_percent_peak_second": (peak * 1000.0).round() / 10.0,
        }))
    }
}

impl Returns {
    fn new(peers: u32, seed: u64) -> Self {
        let failures = vec![0; peers as usize];
        Self { due: BTreeSet::new(), failures, chance: Chance::new(seed), told: 0, connections: 0, in_vain: 0 }
    }

    /// Lets those return whose time has come, and notes who is out.
    fn turn(&mut self, fleet: &mut Fleet) -> Result<()> {
        let now = fleet.now();
        while let Some(&(due, peer)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            fleet.connect(peer);
        }
        let next = self.due.first().map_or(u64::MAX, |(due, _)| *due);
        fleet.turn(next.min(now + SECOND / 50))?;
        for event in fleet.events() {
            match event {
                Event::Opened(peer) => {
                    self.connections += 1;
                    self.failures[peer as usize] = 0;
                }
                Event::Ended(peer, end) => {
                    let wait = self.wait(peer, end);
                    self.due.insert((fleet.now() + wait, peer));
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self, peer: u32, end: End) -> u64 {
        let told = match end {
            End::Refused { retry_after, .. } => {
                self.connections += 1;
                retry_after
            }
            End::Closed { retry_after, .. } => retry_after,
            End::Broken => None,
        };
        if let Some(told) = told {
            self.told += 1;
            return told.as_micros() as u64 + self.chance.within(0..SECOND);
        }
        let failures = &mut self.failures[peer as usize];
        self.in_vain += u64::from(*failures > 0);
        let most = (FIRST_WAIT << (*failures).min(10)).min(LAST_WAIT);
        *failures += 1;
        FIRST_WAIT / 2 + self.chance.within(0..most)
    }
}

fn until_up(target: &Target) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect(target.address).is_err() {
        if started.elapsed() > Duration::from_secs(30) {
            bail!("nobody listens on {}.", target.host);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
