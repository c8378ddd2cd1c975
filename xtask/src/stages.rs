//! The tests, stage by stage, and the benchmark. Each stage ends with its own runner's summary.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::process::{cargo, command, output, root, run};
use crate::site::{self, Optimise};
use crate::{install, server, tidy};

type Stage = (&'static str, fn() -> Result<()>);

/// Every stage, the quickest to fail first.
const STAGES: [Stage; 7] = [
    ("fmt", format),
    ("lint", lint),
    ("tidy", tidy::run),
    ("rust", rust),
    ("wasm", wasm),
    ("page", page),
    ("browser", browser),
];

/// Where the core's tests run as WebAssembly: `wasm32-wasip1` rather than the page's `wasm32-unknown-unknown`, because
/// there the standard test runner works as it is. The core uses nothing of the system, so the code is the same.
const WASM_TEST_TARGET: &str = "wasm32-wasip1";
const WASM_RUNNER: &str = "CARGO_TARGET_WASM32_WASIP1_RUNNER";

/// Runs these stages; none means all. Later stages run even if an earlier one fails.
pub(crate) fn run_named(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !STAGES.iter().any(|(stage, _)| stage == *name)) {
        bail!("there is no stage “{unknown}”: {}.", STAGES.map(|(stage, _)| stage).join(", "));
    }
    let mut failed = Vec::new();
    for (name, stage) in STAGES.iter().filter(|(stage, _)| names.is_empty() || names.contains(stage)) {
        eprintln!("\n== {name}");
        if let Err(error) = stage() {
            eprintln!("xtask: {name}: {error:#}");
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}.", failed.join(", "));
    }
    Ok(())
}

/// Measures in real browsers; JSON on standard output.
pub(crate) fn bench(flags: &[String]) -> Result<()> {
    install::browsers()?;
    install::node_packages()?;
    let server = server::build()?;
    run(command("node").arg("tests/browser/bench.mjs").args(flags).env("SWARMREEL_BIN", server))
}

/// Profiles a download's two workers.
pub(crate) fn profile(flags: &[String]) -> Result<()> {
    install::browsers()?;
    install::node_packages()?;
    let server = server::build()?;
    let site = site::build_named()?;
    let mut profile = command("node");
    run(profile.arg("tests/browser/profile.mjs").args(flags).env("SWARMREEL_BIN", server).env("SWARMREEL_SITE", site))
}

fn format() -> Result<()> {
    install::rust_component("rustfmt", "fmt")?;
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn lint() -> Result<()> {
    install::rust_component("clippy", "clippy")?;
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
}

/// Units, golden vectors, the server over loopback, a cluster of three, the simulator's fixed seeds, libtorrent.
fn rust() -> Result<()> {
    install::libtorrent()?;
    install::redis()?;
    run(&mut cargo(["test", "--workspace"]))
}

/// The page's module; the core's tests under Node; and a simulated world, which must run the same there as natively.
fn wasm() -> Result<()> {
    install::node()?;
    site::build(Optimise::IfFound)?;
    install::rust_target(WASM_TEST_TARGET)?;
    run(cargo(["test", "-p", "swarmreel", "--target", WASM_TEST_TARGET]).env(WASM_RUNNER, wasm_runner()))?;
    let native = output(&mut simulate(&[]));
    let wasm = output(simulate(&["--target", WASM_TEST_TARGET]).env(WASM_RUNNER, wasm_runner()));
    match (native, wasm) {
        (Some(native), Some(wasm)) if native == wasm => {
            println!("Ten simulated worlds run the same natively and as WebAssembly:\n{native}");
            Ok(())
        }
        (Some(native), Some(wasm)) => {
            bail!("a simulated world differs. Natively:\n{native}\nAs WebAssembly:\n{wasm}")
        }
        _ => bail!("the simulated worlds can't be run: see `cargo xtask sim --traces 10`."),
    }
}

fn wasm_runner() -> String {
    format!("node {}", root().join("xtask/wasi.mjs").display())
}

fn simulate(target: &[&str]) -> Command {
    let mut command = cargo(["run", "--quiet", "-p", "swarmreel-sim"]);
    command.args(target).args(["--", "--traces", "10"]).stderr(Stdio::inherit());
    command
}

/// The page's types, and its own tests.
fn page() -> Result<()> {
    install::node_packages()?;
    for project in ["www", "tests/browser"] {
        run(command("node").args(["tests/browser/node_modules/typescript/bin/tsc", "--noEmit", "--project", project]))?;
    }
    let is_test = |path: &PathBuf| path.to_string_lossy().ends_with(".test.js");
    let tests: Vec<_> = tidy::sources(&root().join("www/js"))?.into_iter().filter(is_test).collect();
    run(command("node").args(["--test", "--test-reporter=spec"]).args(tests))
}

/// Real browsers, one process per person.
fn browser() -> Result<()> {
    install::browsers()?;
    install::node_packages()?;
    install::aquatic();
    let server = server::build()?;
    run(command("npm")
        .args(["--silent", "test"])
        .current_dir(root().join("tests/browser"))
        .env("SWARMREEL_BIN", server))
}
