//! `cargo xtask bench signaling`: our tracker, bittorrent-tracker and aquatic_ws under the same load, one after the other
//! on the same processor, in one run.
//!
//! Invariant: every server starts afresh for every scenario, alone on processor 0; the generator has processor 1.

mod contestant;
mod hold;
mod table;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::install;
use crate::process::{cargo, command, run, target};
use contestant::Contestant;

const SCENARIOS: [&str; 4] = ["load", "memory", "flood", "saturation"];
/// These take long: they run where they are asked for by name.
const LONG: [&str; 3] = ["hold", "storm", "soak"];
const GENERATOR: &str = "swarmreel-load";

/// What to measure, and how.
#[derive(Default)]
pub(crate) struct Plan {
    /// Scenarios and servers; none means all.
    only: Vec<String>,
    /// How long a scenario of a fixed length is measured.
    seconds: Option<String>,
    /// KB.
    sdp: String,
    tls: bool,
    /// Servers and generator go before everything else on this machine, for one that is busy.
    realtime: bool,
    /// A server that is built already, instead of ours.
    binary: Option<PathBuf>,
    /// For the generator.
    flags: Vec<String>,
}

impl Plan {
    fn parse(flags: &[String]) -> Result<Self> {
        let mut plan = Self { sdp: "1".to_owned(), ..Self::default() };
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            let mut value = || flags.next().cloned().with_context(|| format!("{flag} needs a value."));
            match flag.as_str() {
                "--only" => plan.only.push(value()?),
                "--seconds" => plan.seconds = Some(value()?),
                "--sdp" => plan.sdp = value()?,
                "--tls" => plan.tls = true,
                "--realtime" => plan.realtime = true,
                "--binary" => plan.binary = Some(std::path::absolute(value()?)?),
                "--" => plan.flags.extend(flags.by_ref().cloned()),
                _ => bail!(
                    "“bench signaling” takes --only NAME, --seconds N, --sdp 1|3, --tls, --realtime, --binary FILE, and flags \
                     of the generator after --, not “{flag}”."
                ),
            }
        }
        let names = || SCENARIOS.into_iter().chain(LONG).chain(contestant::NAMES);
        match plan.only.iter().find(|only| !names().any(|name| name == *only)) {
            Some(unknown) => bail!("“{unknown}” is none of {}.", names().collect::<Vec<_>>().join(", ")),
            None => Ok(plan),
        }
    }

    /// Those of `names` that are asked for.
    fn named<const N: usize>(&self, names: [&'static str; N]) -> Vec<&'static str> {
        names.into_iter().filter(|name| self.only.iter().any(|only| only == name)).collect()
    }

    fn scenarios(&self) -> Vec<&'static str> {
        let named = [self.named(SCENARIOS), self.named(LONG)].concat();
        if named.is_empty() { SCENARIOS.to_vec() } else { named }
    }

    /// The long scenarios are about ours.
    fn contestants(&self) -> Vec<&'static str> {
        match self.named(contestant::NAMES) {
            named if !named.is_empty() => named,
            _ if self.named(LONG).is_empty() => contestant::NAMES.to_vec(),
            _ => contestant::NAMES[..1].to_vec(),
        }
    }

    /// A program that stays on this processor.
    fn pinned(&self, processor: &str, program: PathBuf) -> Command {
        let mut pinned = command("taskset");
        pinned.args(["-c", processor]).arg(program);
        pinned
    }

    /// Puts a running process before everything else, if that is wanted. Not from its start: aquatic_ws's threads wait for
    /// each other by spinning then, and would hang.
    fn prefer(&self, process: &Child) -> Result<()> {
        if !self.realtime {
            return Ok(());
        }
        run(command("chrt").args(["--all-tasks", "--rr", "--pid", "1", &process.id().to_string()]))
    }

    /// The generator, for a server on this port.
    fn generator(&self, scenario: &str, port: u16) -> Command {
        let scheme = if self.tls { "wss" } else { "ws" };
        let mut load = self.pinned("1", generator());
        load.args([scenario, "--server", &format!("{scheme}://127.0.0.1:{port}/"), "--sdp", &self.sdp]);
        load.arg("--authority").arg(contestant::file("cert.pem"));
        if let Some(seconds) = self.seconds.as_ref().filter(|_| !["saturation", "storm"].contains(&scenario)) {
            load.args(["--seconds", seconds]);
        }
        load.args(&self.flags).stdin(Stdio::null()).stderr(Stdio::inherit());
        load
    }
}

/// Measures; a table on standard error, JSON on standard output.
pub(crate) fn bench(flags: &[String]) -> Result<()> {
    let plan = Plan::parse(flags)?;
    if !cfg!(target_os = "linux") {
        bail!("the load generator runs on Linux only.");
    }
    let folder = target().join("load");
    std::fs::create_dir_all(&folder)?;
    run(&mut cargo(["build", "--release", "-p", GENERATOR]))?;
    if plan.binary.is_none() {
        run(&mut cargo(["build", "--release", "-p", "swarmreel-signaling"]))?;
    }
    install::node_packages()?;
    install::aquatic();
    run(command(generator()).arg("certificate").arg(&folder))?;
    let mut report = Map::new();
    for name in plan.contestants() {
        let Some(contestant) = Contestant::named(name, &plan)? else { continue };
        let mut measured = Map::new();
        for scenario in plan.scenarios() {
            eprintln!("{name}: {scenario} …");
            let figures = measure(&plan, &contestant, scenario).unwrap_or_else(|error| {
                eprintln!("xtask: {name}: {scenario}: {error:#}");
                Value::String(format!("{error:#}"))
            });
            measured.insert(scenario.to_owned(), figures);
        }
        report.insert(name.to_owned(), Value::Object(measured));
    }
    eprint!("{}", table::render(&report));
    println!("{:#}", Value::Object(report));
    Ok(())
}

fn generator() -> PathBuf {
    target().join("release").join(GENERATOR)
}

fn measure(plan: &Plan, contestant: &Contestant, scenario: &str) -> Result<Value> {
    match scenario {
        "hold" => hold::measure(plan, contestant),
        // It starts the server itself, twice.
        "storm" => {
            let port = contestant::free_port()?;
            let server = contestant.command(plan, port)?;
            let mut storm = plan.generator(scenario, port);
            figures(plan, storm.arg("--").arg(server.get_program()).args(server.get_args()))
        }
        _ => {
            let server = contestant.start(plan)?;
            figures(plan, plan.generator(scenario, server.port).args(["--pid", &server.process.id().to_string()]))
        }
    }
}

/// What the generator prints.
fn figures(plan: &Plan, generator: &mut Command) -> Result<Value> {
    let generator = generator.stdout(Stdio::piped()).spawn()?;
    plan.prefer(&generator)?;
    let output = generator.wait_with_output()?;
    if !output.status.success() {
        bail!("the generator failed ({}).", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the generator prints JSON")
}
