//! The fuzz targets under libFuzzer: installs what that takes, runs each target, and says how much ran.
//!
//! Invariant: before anything else the canary dies, so that a fuzzer that finds nothing is known to look.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install;
use crate::process::{command, root, run, target};

/// The bodies are in tests/fuzz, where every test run replays what was found.
const TARGETS: [&str; 13] = [
    "bencode_decode",
    "metainfo",
    "magnet",
    "wire_stream",
    "peer_session",
    "ut_metadata",
    "tracker_json_server",
    "backplane_msg",
    "signaling_model",
    "tracker_json_client",
    "ws_upgrade",
    "picker",
    "ban_attribution",
];
const CANARY: &str = "canary";
/// Seconds in which it must die: it takes less than one.
const CANARY_SECONDS: u32 = 60;
/// Bytes of an input: short ones run fast, and say more.
const INPUT_BYTES_MAX: u32 = 256;
/// Inputs of a target that are kept with the sources.
const KEPT_MAX: usize = 40;

struct Plan<'a> {
    targets: Vec<&'a str>,
    /// As libFuzzer takes it.
    budget: String,
    asan: bool,
    keep: bool,
}

/// `cargo xtask fuzz [TARGET] [--runs N | --minutes N] [--asan] [--keep]`
pub(crate) fn run_targets(arguments: &[String]) -> Result<()> {
    let plan = plan(arguments)?;
    install::nightly()?;
    let tool = install::cargo_fuzz()?;
    let canary = fuzz(&tool, CANARY, &plan, &format!("-max_total_time={CANARY_SECONDS}"))?;
    if !canary.crashed {
        bail!("the canary lives: the fuzzer does not look.");
    }
    let mut crashed = Vec::new();
    for name in &plan.targets {
        let outcome = fuzz(&tool, name, &plan, &plan.budget)?;
        let end = if outcome.crashed { "it broke: see" } else { "nothing broke;" };
        println!("{name}: {} executions, {end} {}", outcome.executions, outcome.log.display());
        if outcome.crashed {
            crashed.push(*name);
        } else if plan.keep {
            keep(&tool, name, &plan)?;
        }
    }
    if !crashed.is_empty() {
        bail!("broken inputs of {} are in {}.", crashed.join(", "), folder("artifacts", "").display());
    }
    Ok(())
}

fn plan(arguments: &[String]) -> Result<Plan<'_>> {
    let mut plan =
        Plan { targets: TARGETS.to_vec(), budget: "-max_total_time=60".to_owned(), asan: false, keep: false };
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        let mut number = || rest.next().and_then(|number| number.parse::<u64>().ok());
        match argument {
            "--asan" => plan.asan = true,
            "--keep" => plan.keep = true,
            "--runs" => plan.budget = format!("-runs={}", number().context("“--runs” needs a number")?),
            "--minutes" => {
                plan.budget = format!("-max_total_time={}", 60 * number().context("“--minutes” needs a number")?);
            }
            name => match TARGETS.iter().find(|target| **target == name) {
                Some(name) => plan.targets = vec![*name],
                None => bail!("there is no fuzz target “{name}”: {}.", TARGETS.join(", ")),
            },
        }
    }
    Ok(plan)
}

/// What came of a run.
struct Outcome {
    executions: u64,
    crashed: bool,
    log: PathBuf,
}

/// Runs one target. What it learns stays in `target/fuzz`, so that the next run goes on from there.
fn fuzz(tool: &Path, name: &str, plan: &Plan<'_>, budget: &str) -> Result<Outcome> {
    let log = folder("logs", "").join(format!("{name}.log"));
    let artifacts = folder("artifacts", name);
    let learnt = folder("corpus", name);
    for folder in [log.parent().expect("a log lies in a folder"), &artifacts, &learnt] {
        fs::create_dir_all(folder)?;
    }
    let dictionary = root().join("tests/fuzz/dictionaries").join(format!("{name}.dict"));
    let mut libfuzzer = cargo_fuzz(tool, "run", name, plan);
    libfuzzer.arg(learnt).args(kept(name)).args(["--", budget]);
    libfuzzer.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    libfuzzer.args(["-timeout=5", "-rss_limit_mb=1024", "-entropic=0", "-print_final_stats=1"]);
    if dictionary.is_file() {
        libfuzzer.arg(format!("-dict={}", dictionary.display()));
    }
    eprintln!("{name}: running, see {}", log.display());
    let status = libfuzzer.stderr(File::create(&log)?).status().context("cargo-fuzz can't be started")?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let executions = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executions = executions.and_then(|number| number.trim().parse().ok());
    let Some(executions) = executions else { bail!("{name} did not run: see {}.", log.display()) };
    Ok(Outcome { executions, crashed: !status.success(), log })
}

/// Puts a few inputs into the corpus that the tests replay: of the fewest that reach everything, the longest.
fn keep(tool: &Path, name: &str, plan: &Plan<'_>) -> Result<()> {
    let corpus = root().join("tests/fuzz/corpus").join(name);
    let chosen = folder("chosen", name);
    drop(fs::remove_dir_all(&chosen));
    fs::create_dir_all(&chosen)?;
    let mut merge = cargo_fuzz(tool, "run", name, plan);
    merge.arg(&chosen).arg(folder("corpus", name)).args(kept(name));
    run(merge.args(["--", "-set_cover_merge=1", "-use_counters=0"]))?;
    drop(fs::remove_dir_all(&corpus));
    fs::create_dir_all(&corpus)?;
    let sized =
        |entry: std::io::Result<fs::DirEntry>| entry.and_then(|entry| Ok((entry.metadata()?.len(), entry.path())));
    let mut inputs = fs::read_dir(chosen)?.map(sized).collect::<std::io::Result<Vec<_>>>()?;
    inputs.sort();
    for (_, path) in inputs.iter().rev().take(KEPT_MAX) {
        fs::copy(path, corpus.join(path.file_name().expect("an entry has a name")))?;
    }
    Ok(())
}

/// A cargo-fuzz command for one target. Without a sanitizer it is faster, and safe Rust has little to gain from one.
fn cargo_fuzz(tool: &Path, subcommand: &str, name: &str, plan: &Plan<'_>) -> Command {
    let mut command = command(tool);
    // The cargo that runs us is a stable one; cargo-fuzz asks for the one in PATH.
    command.env_remove("CARGO").env("RUSTUP_TOOLCHAIN", "nightly").args(["fuzz", subcommand]);
    let (sanitizer, folder) = if plan.asan { ("address", "asan") } else { ("none", "none") };
    command.args(["--sanitizer", sanitizer, "--target-dir"]).arg(target().join("fuzz").join(folder));
    if !plan.asan {
        command.arg("--no-trace-compares");
    }
    command.arg(name);
    command
}

/// Where a target's files of a kind are.
fn folder(kind: &str, name: &str) -> PathBuf {
    target().join("fuzz").join(kind).join(name)
}

/// The inputs that are kept with the sources.
fn kept(name: &str) -> impl Iterator<Item = PathBuf> {
    let folders = ["corpus", "regressions"].map(|kind| root().join("tests/fuzz").join(kind).join(name));
    folders.into_iter().filter(|folder| folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_from_its_words() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (all, one) = (words("--minutes 2"), words("picker --runs 10 --asan"));
        assert_eq!(
            (plan(&all).unwrap().targets.len(), plan(&all).unwrap().budget),
            (TARGETS.len(), "-max_total_time=120".to_owned())
        );
        let one = plan(&one).unwrap();
        assert_eq!((one.targets, one.budget, one.asan, one.keep), (vec!["picker"], "-runs=10".to_owned(), true, false));
        assert!(plan(&words("pickr")).is_err() && plan(&words("--runs many")).is_err());
    }

    #[test]
    fn every_target_has_its_shell() {
        for name in TARGETS.iter().chain([&CANARY]) {
            assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).is_file(), "{name}");
        }
    }
}
