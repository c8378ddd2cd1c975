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

use super::{Common, SECOND, join, open};
use crate::fleet::{End, Event, Fleet};
use crate::process::Process;
use crate::sdp::Chance;
use crate::target::Target;

/// As the client's: the first wait, doubled every time up to the last.
const FIRST_WAIT: u64 = 2 * SECOND;
const LAST_WAIT: u64 = 30 * SECOND;
/// What threat-model S14 asks for.
const BACK_WITHIN: u64 = 60 * SECOND;
const CONNECTIONS_MAX: f64 = 1.5;
const CPU_MAX: f64 = 0.9;
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
    /// Until when a client was told to stay away; 0 if it was not.
    banished_until: Vec<u64>,
    chance: Chance,
    told: u64,
    /// Connections since the restart that reached the server, whatever came of them.
    connections: u64,
    /// Tries that found nobody there.
    in_vain: u64,
    /// Clients that were back before they had been told to be.
    early: u64,
}

/// How the server did.
struct Recovery {
    stop_took: u64,
    back_after: u64,
    cpu_mean: f64,
    /// Of the worst second.
    cpu_peak: f64,
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
        join(&mut fleet)?;
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
        let stop_took = fleet.now() - signalled_at;
        server = Server::start(&self.command)?;
        returns.connections = 0;
        let recovery = self.recover(&mut fleet, &mut returns, server.process(), stop_took)?;
        Ok(self.report(&returns, &recovery))
    }

    /// Until all clients are back.
    fn recover(&self, fleet: &mut Fleet, returns: &mut Returns, server: Process, stop_took: u64) -> Result<Recovery> {
        let started_at = fleet.now();
        let mut cpu_peak: f64 = 0.0;
        let mut sample = (started_at, Duration::ZERO);
        while fleet.open() < self.connections as usize {
            returns.turn(fleet)?;
            if fleet.now() - started_at > PATIENCE {
                bail!("only {} of {} clients are back.", fleet.open(), self.connections);
            }
            if fleet.now() - sample.0 >= SECOND {
                let cpu = server.cpu()?;
                cpu_peak = cpu_peak.max((cpu - sample.1).as_micros() as f64 / (fleet.now() - sample.0) as f64);
                sample = (fleet.now(), cpu);
            }
        }
        let back_after = fleet.now() - started_at;
        let cpu_mean = server.cpu()?.as_micros() as f64 / back_after as f64;
        Ok(Recovery { stop_took, back_after, cpu_mean, cpu_peak })
    }

    fn report(&self, returns: &Returns, recovery: &Recovery) -> Value {
        let seconds = |micros: u64| micros as f64 / SECOND as f64;
        let percent = |share: f64| (share * 1000.0).round() / 10.0;
        let each = |count: u64| count as f64 / f64::from(self.connections);
        let met = recovery.back_after <= BACK_WITHIN
            && each(returns.connections) <= CONNECTIONS_MAX
            && returns.early == 0
            && recovery.cpu_peak < CPU_MAX;
        json!({
            "met": met,
            "bar": format!(
                "all are back {} s after the server was started again, with at most {CONNECTIONS_MAX} connections each, none before \
                 it was told to, and the server below {} % of a processor in every second",
                BACK_WITHIN / SECOND,
                CPU_MAX * 100.0
            ),
            "clients": self.connections,
            "killed": self.kill,
            "told_when_to_return": returns.told,
            "stop_took_s": seconds(recovery.stop_took),
            "all_back_after_s": seconds(recovery.back_after),
            "connections_per_client": each(returns.connections),
            "back_before_their_delay": returns.early,
            "tries_in_vain_per_client": each(returns.in_vain),
            "server_cpu_percent_mean": percent(recovery.cpu_mean),
            "server_cpu_percent_peak_second": percent(recovery.cpu_peak),
        })
    }
}

impl Returns {
    fn new(peers: u32, seed: u64) -> Self {
        Self {
            due: BTreeSet::new(),
            failures: vec![0; peers as usize],
            banished_until: vec![0; peers as usize],
            chance: Chance::new(seed),
            told: 0,
            connections: 0,
            in_vain: 0,
            early: 0,
        }
    }

    /// Lets those return whose time has come, and notes who is out.
    fn turn(&mut self, fleet: &mut Fleet) -> Result<()> {
        let now = fleet.now();
        while let Some(&(due, peer)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            self.connections += 1;
            fleet.connect(peer);
        }
        let next = self.due.first().map_or(u64::MAX, |(due, _)| *due);
        fleet.turn(next.min(now + SECOND / 50))?;
        let now = fleet.now();
        for event in fleet.events() {
            match event {
                Event::Opened(peer) => {
                    self.failures[peer as usize] = 0;
                    self.early += u64::from(now < std::mem::take(&mut self.banished_until[peer as usize]));
                }
                Event::Ended(peer, end) => {
                    let wait = self.wait(peer, end, now);
                    self.due.insert((now + wait, peer));
                }
            }
        }
        Ok(())
    }

    /// For how long the client stays away: as told and up to a second more, else twice as long as the last time at most.
    fn wait(&mut self, peer: u32, end: End, now: u64) -> u64 {
        let told = match end {
            End::Refused { retry_after, .. } | End::Closed { retry_after, .. } => retry_after,
            End::Absent | End::Broken => None,
        };
        if let Some(told) = told.map(|told| told.as_micros() as u64) {
            self.told += 1;
            self.banished_until[peer as usize] = now + told;
            return told + self.chance.within(0..SECOND);
        }
        if end == End::Absent {
            // It never reached the server.
            self.connections = self.connections.saturating_sub(1);
            self.in_vain += 1;
        }
        let failures = &mut self.failures[peer as usize];
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
