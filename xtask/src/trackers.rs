//! `cargo xtask bench signaling`: our tracker, bittorrent-tracker and aquatic_ws under the same load, one after the other
//! on the same processor, in one run.
//!
//! Invariant: every server starts afresh for every scenario, alone on processor 0; the generator has processor 1.

mod contestant;
mod table;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::install;
use crate::process::{cargo, command, run, target};
use contestant::Contestant;

const SCENARIOS: [&str; 4] = ["load", "memory", "flood", "saturation"];
const GENERATOR: &str = "swarmreel-load";

/// What to measure, and how.
pub(crate) struct Plan {
    /// Scenarios and servers; none means all.
    only: Vec<String>,
    /// The length of the `load` window.
    seconds: Option<String>,
    /// KB.
    sdp: String,
    tls: bool,
    /// Servers and generator go before everything else on this machine.
    realtime: bool,
    /// A server that is built already, instead of ours.
    binary: Option<PathBuf>,
}

impl Plan {
    fn parse(flags: &[String]) -> Result<Self> {
        let mut plan =
            Self { only: Vec::new(), seconds: None, sdp: "1".to_owned(), tls: false, realtime: false, binary: None };
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
                _ => bail!(
                    "“bench signaling” takes --only NAME, --seconds N, --sdp 1|3, --tls, --realtime and --binary FILE, not \
                     “{flag}”."
                ),
            }
        }
        let known = |name: &String| SCENARIOS.contains(&name.as_str()) || contestant::NAMES.contains(&name.as_str());
        match plan.only.iter().find(|name| !known(name)) {
            Some(unknown) => {
                bail!("“{unknown}” is none of {}, {}.", SCENARIOS.join(", "), contestant::NAMES.join(", "))
            }
            None => Ok(plan),
        }
    }

    /// Those of `names` that are asked for: all, if `only` names none of them.
    fn chosen<const N: usize>(&self, names: [&'static str; N]) -> Vec<&'static str> {
        let named: Vec<_> = names.into_iter().filter(|name| self.only.iter().any(|only| only == name)).collect();
        if named.is_empty() { names.to_vec() } else { named }
    }

    /// A program that stays on this processor.
    fn pinned(&self, processor: &str, program: PathBuf) -> std::process::Command {
        let mut pinned = command("taskset");
        pinned.args(["-c", processor]);
        if self.realtime {
            pinned.args(["chrt", "--rr", "1"]);
        }
        pinned.arg(program);
        pinned
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
    for name in plan.chosen(contestant::NAMES) {
        let Some(contestant) = Contestant::named(name, &plan)? else { continue };
        let mut measured = Map::new();
        for scenario in plan.chosen(SCENARIOS) {
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
    let server = contestant.start(plan)?;
    let scheme = if plan.tls { "wss" } else { "ws" };
    let mut load = plan.pinned("1", generator());
    load.args([scenario, "--server", &format!("{scheme}://127.0.0.1:{}/", server.port), "--sdp", &plan.sdp]);
    load.args(["--pid", &server.process.id().to_string(), "--authority"]).arg(target().join("load/cert.pem"));
    if let Some(seconds) = plan.seconds.as_ref().filter(|_| scenario == "load") {
        load.args(["--seconds", seconds]);
    }
    let output = load.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the generator failed ({}).", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the generator prints JSON")
}
