//! `swarmreel-load SCENARIO --server URL --pid PID`: one scenario against one server; a JSON object on standard output.
//!
//! Exit codes: 0 after a scenario, 1 if it could not be run to its end, 3 if it was and its own bar is not met.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("The load generator runs on Linux only.");
    std::process::ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
use {
    anyhow::Result,
    clap::{Parser, Subcommand},
    std::path::PathBuf,
    std::process::ExitCode,
    swarmreel_load::{process, scenario, target},
};

/// An open-loop load generator for WebTorrent trackers
#[cfg(target_os = "linux")]
#[derive(Parser)]
struct Arguments {
    /// Stay on this processor
    #[arg(long, global = true)]
    cpu: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[cfg(target_os = "linux")]
#[derive(Subcommand)]
enum Command {
    Load(scenario::Load),
    Saturation(scenario::Saturation),
    Memory(scenario::Memory),
    Flood(scenario::Flood),
    Hold(scenario::Hold),
    Storm(scenario::Storm),
    Soak(scenario::Soak),
    /// Writes a certificate for loopback: cert.pem and key.pem
    Certificate {
        /// The folder to write into
        folder: PathBuf,
    },
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("swarmreel-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the report has no bar, or meets it.
#[cfg(target_os = "linux")]
fn run(arguments: &Arguments) -> Result<bool> {
    process::raise_open_files();
    if let Some(cpu) = arguments.cpu {
        process::pin(cpu)?;
    }
    let report = match &arguments.command {
        Command::Load(scenario) => scenario.run()?,
        Command::Saturation(scenario) => scenario.run()?,
        Command::Memory(scenario) => scenario.run()?,
        Command::Flood(scenario) => scenario.run()?,
        Command::Hold(scenario) => scenario.run()?,
        Command::Storm(scenario) => scenario.run()?,
        Command::Soak(scenario) => scenario.run()?,
        Command::Certificate { folder } => return target::write_certificate(folder).map(|()| true),
    };
    println!("{report:#}");
    Ok(report["met"] != false)
}
