//! What a fresh machine lacks: installed where that can be done without asking, named in one sentence elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, command, find, output, root, run, target};

/// The oldest Node that runs the tests.
const NODE_MAJOR_MIN: u32 = 20;

/// The TURN server and the Redis of the tests, which their packages also set up as services of the machine: nobody asked
/// for that.
const TURN: &str = "coturn";
const REDIS: &str = "redis-server";

/// A program that the browser tests drive. `tests/browser/lib/people.mjs` looks for browsers in the same places.
struct Program {
    /// The variable that holds its path.
    variable: Option<&'static str>,
    /// Its names in PATH: any will do.
    names: &'static [&'static str],
    /// The Debian package that brings it.
    package: &'static str,
}

/// The tracker that is built from its crate for the browser tests, and its version: the one behind
/// tracker.webtorrent.dev.
const AQUATIC: (&str, &str) = ("aquatic_ws", "0.9.0");

const BROWSER_PROGRAMS: [Program; 4] = [
    Program {
        variable: Some("CHROMIUM_BIN"),
        names: &["chromium", "chromium-browser", "google-chrome"],
        package: "chromium",
    },
    Program { variable: Some("FIREFOX_BIN"), names: &["firefox-esr", "firefox"], package: "firefox-esr" },
    Program { variable: None, names: &["ffmpeg"], package: "ffmpeg" },
    Program { variable: None, names: &["turnserver"], package: TURN },
];

impl Program {
    /// Whether it is there. A variable that is set decides: what it names is used, or nothing.
    fn is_found(&self) -> Result<bool> {
        let named = self.variable.and_then(|variable| Some((variable, std::env::var_os(variable)?)));
        match named.filter(|(_, path)| !path.is_empty()) {
            None => Ok(self.names.iter().any(|name| find(name).is_some())),
            Some((_, path)) if Path::new(&path).is_file() => Ok(true),
            Some((variable, path)) => bail!("there is no {}, which {variable} names.", path.display()),
        }
    }
}

/// Rust's standard library for another target.
pub(crate) fn rust_target(target: &str) -> Result<()> {
    let folder = output(command("rustc").args(["--print", "target-libdir", "--target", target]));
    if folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Ok(());
    }
    run(command("rustup").args(["target", "add", target]))
        .with_context(|| format!("install Rust's “{target}” target (with rustup: `rustup target add {target}`)"))
}

/// rustfmt or clippy.
pub(crate) fn rust_component(component: &str, subcommand: &str) -> Result<()> {
    if output(&mut cargo([subcommand, "--version"])).is_some() {
        return Ok(());
    }
    run(command("rustup").args(["component", "add", component])).with_context(|| format!("install {component}"))
}

/// The nightly compiler, which libFuzzer's instrumentation needs.
pub(crate) fn nightly() -> Result<()> {
    if output(command("rustup").args(["run", "nightly", "rustc", "--version"])).is_some() {
        return Ok(());
    }
    run(command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))
        .context("install a nightly Rust with rustup (rustup.rs)")
}

/// cargo-fuzz; gives its path.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    let tools = target().join("tools");
    let own = tools.join("bin").join(format!("cargo-fuzz{}", std::env::consts::EXE_SUFFIX));
    if let Some(found) = own.is_file().then(|| own.clone()).or_else(|| find("cargo-fuzz")) {
        return Ok(found);
    }
    run(cargo(["install", "cargo-fuzz", "--locked", "--root"]).arg(tools))?;
    Ok(own)
}

/// Node is not installed for anyone: people have their own ways to keep it.
pub(crate) fn node() -> Result<()> {
    let version = output(command("node").arg("--version")).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MAJOR_MIN && find("npm").is_some() => Ok(()),
        _ => bail!("install Node {NODE_MAJOR_MIN} or newer with npm (nodejs.org), then run this again."),
    }
}

/// The packages of the browser tests, as their lock file has them.
pub(crate) fn node_packages() -> Result<()> {
    node()?;
    let folder = root().join("tests/browser");
    let changed = |file: &str| folder.join(file).metadata().and_then(|metadata| metadata.modified()).ok();
    if changed("node_modules/.package-lock.json") >= changed("package-lock.json") {
        return Ok(());
    }
    run(command("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder))
}

/// Browsers, ffmpeg, and a TURN server.
pub(crate) fn browsers() -> Result<()> {
    let mut packages = Vec::new();
    for program in &BROWSER_PROGRAMS {
        if !program.is_found()? {
            packages.push(program.package);
        }
    }
    debian(&packages, "the browser tests")
}

/// libtorrent, with which the native tests exchange data: a module of the system's own Python.
pub(crate) fn libtorrent() -> Result<()> {
    let is_found = output(command("/usr/bin/python3").args(["-c", "import libtorrent"])).is_some();
    debian(if is_found { &[] } else { &["python3-libtorrent"] }, "the tests against libtorrent")
}

/// Redis, by which the cluster tests' servers share their swarms.
pub(crate) fn redis() -> Result<()> {
    debian(if find("redis-server").is_some() { &[] } else { &[REDIS] }, "the cluster tests")
}

/// aquatic's tracker, into `target/tools/bin`: 4 minutes, once. Where it can't be built the scenes that need it are
/// skipped, and say so.
pub(crate) fn aquatic() {
    let (name, version) = AQUATIC;
    let folder = target().join("tools");
    if folder.join("bin").join(name).is_file() {
        return;
    }
    if !cfg!(target_os = "linux") {
        return eprintln!("xtask: {name} runs on Linux only: the scenes that need it are skipped.");
    }
    let mut install = cargo(["install", name, "--version", version, "--locked", "--no-default-features"]);
    install.args(["--features", "mimalloc", "--root"]).arg(folder);
    if let Err(error) = run(&mut install) {
        eprintln!("xtask: {error:#} The scenes that need {name} are skipped.");
    }
}

/// Installs Debian's packages where that can be done without asking; else names them in one sentence.
fn debian(packages: &[&str], purpose: &str) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let is_root = output(command("id").arg("-u")).as_deref() == Some("0");
    if !is_root || !Path::new("/etc/debian_version").exists() {
        bail!("install {} for {purpose}, then run this again.", packages.join(", "));
    }
    run(command("apt-get").arg("update"))?;
    let install = ["install", "--yes", "--no-install-recommends"];
    run(command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(install).args(packages))?;
    for service in [TURN, REDIS].iter().filter(|service| packages.contains(service)) {
        if find("systemctl").is_some() {
            // Where no systemd runs, `--now` has nothing to stop, and says so.
            _ = output(command("systemctl").args(["disable", "--now", service]));
        }
    }
    Ok(())
}
