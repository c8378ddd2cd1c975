//! Every developer command, for people and for CI: `cargo xtask …`.
//!
//! Invariant: a fresh machine needs Rust for `serve`, and Node besides for `test`; what else is missing is installed
//! here, or named in one sentence.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod fuzz;
mod install;
mod process;
mod server;
mod site;
mod stages;
mod tidy;
mod trackers;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  serve [FLAGS]        build the page and the server, and serve them at http://localhost:8080/
                       (FLAGS go to swarmreel-signaling: --listen ADDR:PORT, --help, …)
  test [--only STAGE]  run every test, or one stage: fmt, lint, tidy, rust, wasm, page, browser
  build                build the page into target/site and the server that embeds it
  dist                 build what is released, into target/dist
  sim [FLAGS]          run the simulated world: --seeds N, --chaos N, or --figures to measure it anew
  fuzz [TARGET] [--runs N | --minutes N] [--asan] [--keep]
                       look for inputs that break the core, a minute a target; --keep the ones that reach most
  bench [FLAGS]        measure against WebTorrent and a bare data channel in real browsers; prints JSON
  bench picker         measure the picker natively: picks a second in good and bad circumstances
  bench tracker        measure the tracker without its sockets: microseconds a message
  bench signaling [--only NAME] [--seconds N] [--tls] [--realtime] [--binary FILE] [-- FLAGS]
                       measure our tracker beside bittorrent-tracker and aquatic_ws, on one core, against the bars; a
                       table, and JSON. NAME is one of these or of load, load-3kb, load-wss, memory, flood, saturation;
                       by name only: hold, storm, storm-kill, soak (ours alone)
  profile [FLAGS]      tell where the workers of a download spend their time, by function, per GB
  size                 show how large the page is
  tidy                 check the rules of the house that no compiler knows";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else { bail!("a command is missing.\n\n{USAGE}") };
    match (name.as_str(), rest) {
        ("serve", flags) => server::serve(flags),
        ("test", rest) => stages::run_named(&only(rest)?),
        ("sim", flags) => process::run(process::cargo(["run", "--release", "-p", "swarmreel-sim", "--"]).args(flags)),
        ("fuzz", flags) => fuzz::run_targets(flags),
        ("bench", [part]) if part == "tracker" => process::run(&mut process::cargo([
            "bench",
            "--quiet",
            "-p",
            "swarmreel-signaling",
            "--no-default-features",
            "--bench",
            "tracker",
        ])),
        ("bench", [part]) if part == "picker" => {
            process::run(&mut process::cargo(["bench", "--quiet", "-p", "swarmreel", "--bench", "picker"]))
        }
        ("bench", [part, flags @ ..]) if part == "signaling" => trackers::bench(flags),
        ("bench", flags) => stages::bench(flags),
        ("profile", flags) => stages::profile(flags),
        ("build", []) => server::build().map(drop),
        ("dist", []) => server::dist(),
        ("size", []) => server::size(),
        ("tidy", []) => tidy::run(),
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(())
        }
        ("build" | "dist" | "size" | "tidy", [unknown, ..]) => bail!("“{name}” takes no “{unknown}”."),
        _ => bail!("there is no command “{name}”.\n\n{USAGE}"),
    }
}

/// The stages named by `--only`; none means all.
fn only(arguments: &[String]) -> Result<Vec<&str>> {
    let mut stages = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument.strip_prefix("--only=").or_else(|| (argument == "--only").then(|| rest.next()).flatten()) {
            Some(stage) => stages.push(stage),
            None => bail!("“test” takes only “--only STAGE”, not “{argument}”."),
        }
    }
    Ok(stages)
}
