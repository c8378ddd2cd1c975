//! `cargo xtask bench signaling`: our tracker, bittorrent-tracker and aquatic_ws under the same load, in turns on the same
//! processor, in one run.
//!
//! Invariant: every server starts afresh for every measurement, alone on processor 0; the generator has processor 1.

mod contestant;
mod hold;
mod rows;
mod table;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::install;
use crate::process::{cargo, command, run, target};
use contestant::Contestant;

/// A measurement: a scenario of the generator, and how it is run.
struct Measurement {
    name: &'static str,
    scenario: &'static str,
    /// For the generator.
    flags: &'static [&'static str],
    seconds: Option<&'static str>,
    tls: bool,
    /// The servers take turns so many times.
    repeats: usize,
    /// It takes long and is about ours: it runs where it is asked for by name.
    is_long: bool,
}

const PLAIN: Measurement =
    Measurement { name: "", scenario: "", flags: &[], seconds: None, tls: false, repeats: 1, is_long: false };
const LOAD: Measurement =
    Measurement { name: "load", scenario: "load", flags: &["--warm-up=2"], seconds: Some("5"), repeats: 3, ..PLAIN };
const LONG: Measurement = Measurement { is_long: true, ..PLAIN };

const MEASUREMENTS: [Measurement; 10] = [
    LOAD,
    Measurement { name: "load-3kb", flags: &["--warm-up=2", "--sdp=3"], ..LOAD },
    Measurement { name: "load-wss", tls: true, ..LOAD },
    Measurement { name: "memory", scenario: "memory", ..PLAIN },
    Measurement { name: "flood", scenario: "flood", ..PLAIN },
    Measurement { name: "saturation", scenario: "saturation", seconds: Some("4"), ..PLAIN },
    Measurement { name: "hold", scenario: "hold", ..LONG },
    Measurement { name: "storm", scenario: "storm", ..LONG },
    Measurement { name: "storm-kill", scenario: "storm", flags: &["--kill"], ..LONG },
    Measurement { name: "soak", scenario: "soak", ..LONG },
];
const GENERATOR: &str = "swarmreel-load";
/// The generator's exit code when all went well but the scenario's own bar is not met.
const NOT_MET: i32 = 3;

/// What to measure, and how.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    /// Measurements and servers; none means all.
    only: Vec<String>,
    /// How long a scenario of a fixed length is measured.
    seconds: Option<String>,
    tls: bool,
    /// Servers and generator go before everything else on this machine, for one that is busy.
    realtime: bool,
    /// A server that is built already, instead of ours.
    binary: Option<PathBuf>,
    /// Open files that servers and generators are granted, if that is to be other than what we are.
    files: Option<u64>,
    /// For the generator.
    flags: Vec<String>,
}

impl Plan {
    fn parse(flags: &[String]) -> Result<Self> {
        let mut plan = Self::default();
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            let mut value = || flags.next().cloned().with_context(|| format!("{flag} needs a value."));
            match flag.as_str() {
                "--only" => plan.only.push(value()?),
                "--seconds" => plan.seconds = Some(value()?),
                "--tls" => plan.tls = true,
                "--realtime" => plan.realtime = true,
                "--binary" => plan.binary = Some(std::path::absolute(value()?)?),
                "--" => plan.flags.extend(flags.by_ref().cloned()),
                _ => bail!(
                    "“bench signaling” takes --only NAME, --seconds N, --tls, --realtime, --binary FILE, and flags of the \
                     generator after --, not “{flag}”."
                ),
            }
        }
        let names = || MEASUREMENTS.iter().map(|measurement| measurement.name).chain(contestant::NAMES);
        match plan.only.iter().find(|only| !names().any(|name| name == *only)) {
            Some(unknown) => bail!("“{unknown}” is none of {}.", names().collect::<Vec<_>>().join(", ")),
            None => Ok(plan),
        }
    }

    fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }

    fn measurements(&self) -> Vec<&'static Measurement> {
        let named: Vec<_> = MEASUREMENTS.iter().filter(|measurement| self.names(measurement.name)).collect();
        if named.is_empty() { MEASUREMENTS.iter().filter(|measurement| !measurement.is_long).collect() } else { named }
    }

    fn contestants(&self, measurement: &Measurement) -> Vec<&'static str> {
        let named: Vec<_> = contestant::NAMES.into_iter().filter(|name| self.names(name)).collect();
        match named.is_empty() {
            false => named,
            true if measurement.is_long => contestant::NAMES[..1].to_vec(),
            true => contestant::NAMES.to_vec(),
        }
    }

    /// A program that stays on this processor.
    fn pinned(&self, processor: &str, program: PathBuf) -> Command {
        let mut pinned = match self.files {
            None => command("taskset"),
            Some(files) => {
                let mut granted = command("prlimit");
                granted.arg(format!("--nofile={files}:{files}")).arg("taskset");
                granted
            }
        };
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
    fn generator(&self, measurement: &Measurement, port: u16) -> Command {
        let scheme = if self.tls { "wss" } else { "ws" };
        let mut load = self.pinned("1", generator());
        load.args([measurement.scenario, "--server", &format!("{scheme}://127.0.0.1:{port}/")]);
        load.arg("--authority").arg(contestant::file("cert.pem"));
        let seconds = self.seconds.as_deref().or(measurement.seconds);
        if let Some(seconds) = seconds.filter(|_| measurement.scenario != "storm") {
            load.args(["--seconds", seconds]);
        }
        load.args(measurement.flags).args(&self.flags).stdin(Stdio::null()).stderr(Stdio::inherit());
        load
    }
}

/// Measures; a table on standard error, JSON on standard output. Fails if a bar is not met.
pub(crate) fn bench(flags: &[String]) -> Result<()> {
    let plan = Plan::parse(flags)?;
    if !cfg!(target_os = "linux") {
        bail!("the load generator runs on Linux only.");
    }
    prepare(&plan)?;
    let mut report = Map::new();
    for measurement in plan.measurements() {
        report.insert(measurement.name.to_owned(), Value::Object(take_turns(&plan, measurement)?));
    }
    println!("{:#}", Value::Object(report.clone()));
    eprint!("{}", table::render(&report));
    match table::complaints(&report) {
        complaints if complaints.is_empty() => Ok(()),
        complaints => bail!("the bars are not all met, or a run failed:\n{}", complaints.join("\n")),
    }
}

fn prepare(plan: &Plan) -> Result<()> {
    let folder = target().join("load");
    std::fs::create_dir_all(&folder)?;
    run(&mut cargo(["build", "--release", "-p", GENERATOR]))?;
    if plan.binary.is_none() {
        run(&mut cargo(["build", "--release", "-p", "swarmreel-signaling"]))?;
    }
    install::node_packages()?;
    install::aquatic();
    run(command(generator()).arg("certificate").arg(&folder))
}

/// One measurement of every server, as often as it asks for: by server, a list of figures.
fn take_turns(plan: &Plan, measurement: &Measurement) -> Result<Map<String, Value>> {
    let plan = &Plan { tls: plan.tls || measurement.tls, ..plan.clone() };
    let mut figures = Map::new();
    for turn in 1..=measurement.repeats {
        for name in plan.contestants(measurement) {
            let Some(contestant) = Contestant::named(name, plan)? else { continue };
            eprintln!("{name}: {} ({turn} of {}) …", measurement.name, measurement.repeats);
            let found = measure(plan, &contestant, measurement)
                .unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
            let all = figures.entry(name).or_insert_with(|| json!([]));
            all.as_array_mut().expect("a list").push(found);
        }
    }
    Ok(figures)
}

fn generator() -> PathBuf {
    target().join("release").join(GENERATOR)
}

fn measure(plan: &Plan, contestant: &Contestant, measurement: &Measurement) -> Result<Value> {
    match measurement.scenario {
        "hold" => hold::measure(plan, contestant, measurement),
        // It starts the server itself, twice.
        "storm" => {
            let port = contestant::free_port()?;
            let server = contestant.command(plan, port)?;
            let mut storm = plan.generator(measurement, port);
            figures(plan, storm.arg("--").arg(server.get_program()).args(server.get_args()))
        }
        _ => {
            let server = contestant.start(plan)?;
            figures(plan, plan.generator(measurement, server.port).args(["--pid", &server.process.id().to_string()]))
        }
    }
}

/// What the generator prints.
fn figures(plan: &Plan, generator: &mut Command) -> Result<Value> {
    let generator = generator.stdout(Stdio::piped()).spawn()?;
    plan.prefer(&generator)?;
    report(generator)
}

fn report(generator: Child) -> Result<Value> {
    let output = generator.wait_with_output()?;
    if !output.status.success() && output.status.code() != Some(NOT_MET) {
        bail!("the generator failed ({}).", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the generator prints JSON")
}
