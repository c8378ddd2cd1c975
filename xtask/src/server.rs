//! The server that embeds the site: built, run, and put together for a release.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::install;
use crate::process::{cargo, command, run, target};
use crate::site::{self, Optimise};

const PACKAGE: &str = "swarmreel-signaling";

/// Builds the site and the server; gives the server's path.
pub(crate) fn build() -> Result<PathBuf> {
    build_with(Optimise::IfFound)
}

/// Builds both and runs the server with these flags, until it is stopped.
pub(crate) fn serve(flags: &[String]) -> Result<()> {
    let server = build()?;
    replace(command(server).args(flags).current_dir(std::env::current_dir()?))
}

/// Builds what is released into `target/dist`: the server, and the site for other web servers.
pub(crate) fn dist() -> Result<()> {
    let server = build_with(Optimise::Required)?;
    let dist = target().join("dist");
    std::fs::create_dir_all(&dist)?;
    let name = server.file_name().expect("a program has a name");
    std::fs::copy(&server, dist.join(name)).context("the server can't be copied")?;
    site::copy(&dist.join("site"))?;
    println!("{}", dist.display());
    Ok(())
}

/// Prints how large the page is: what a first visit costs.
pub(crate) fn size() -> Result<()> {
    install::node()?;
    run(command("node").arg("xtask/size.mjs").arg(site::build(Optimise::IfFound)?))
}

fn build_with(optimise: Optimise) -> Result<PathBuf> {
    let site = site::build(optimise)?;
    run(cargo(["build", "--release", "-p", PACKAGE, "--bin", PACKAGE]).env("SWARMREEL_SITE", site))?;
    Ok(target().join("release").join(format!("{PACKAGE}{}", std::env::consts::EXE_SUFFIX)))
}

/// Becomes the server, so that a signal sent to `cargo xtask serve` reaches it.
#[cfg(unix)]
fn replace(command: &mut std::process::Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).context("the server can't be started")
}

#[cfg(not(unix))]
fn replace(command: &mut std::process::Command) -> Result<()> {
    run(command)
}
