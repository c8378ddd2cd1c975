//! The servers that are compared, each set up so that the load is legal to it.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Plan;
use crate::process::{find, root, target};

/// Ours first.
pub(crate) const NAMES: [&str; 3] = ["swarmreel", "bittorrent-tracker", "aquatic_ws"];

/// One of them, ready to start.
pub(crate) struct Contestant {
    program: PathBuf,
    arguments: Arguments,
}

/// For this port, with or without TLS.
type Arguments = fn(port: u16, tls: bool) -> Result<Vec<String>>;

/// A running one, which ends with this value.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) port: u16,
}

impl Contestant {
    /// `None` where it can't be had on this machine.
    pub(crate) fn named(name: &str, plan: &Plan) -> Result<Option<Self>> {
        let (program, arguments): (_, Arguments) = match name {
            "swarmreel" => {
                let built = || target().join("release/swarmreel-signaling");
                (plan.binary.clone().unwrap_or_else(built), swarmreel)
            }
            "bittorrent-tracker" => (find("node").context("Node is missing")?, bittorrent_tracker),
            _ => (target().join("tools/bin/aquatic_ws"), aquatic),
        };
        Ok(program.is_file().then_some(Self { program, arguments }))
    }

    /// How it is started on this port.
    pub(crate) fn command(&self, plan: &Plan, port: u16) -> Result<Command> {
        let mut command = plan.pinned("0", self.program.clone());
        command.args((self.arguments)(port, plan.tls)?);
        Ok(command)
    }

    /// Starts it on a free port of loopback, and waits until it listens.
    pub(crate) fn start(&self, plan: &Plan) -> Result<Server> {
        let port = free_port()?;
        let process = self.command(plan, port)?.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut server = Server { process: process.context("the server can't be started")?, port };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.process.try_wait()? {
                bail!("the server ended ({status}).");
            }
            if started.elapsed() > Duration::from_secs(20) {
                bail!("the server does not listen.");
            }
            sleep(Duration::from_millis(50));
        }
        // What it does after it listens is not the load's.
        sleep(Duration::from_secs(1));
        plan.prefer(&server.process)?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Of loopback; not all servers take port 0 and say what they got.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What the comparison writes.
pub(crate) fn file(name: &str) -> String {
    target().join("load").join(name).display().to_string()
}

fn swarmreel(port: u16, tls: bool) -> Result<Vec<String>> {
    let mut arguments = vec![format!("--listen=127.0.0.1:{port}"), "--log-level=warn".to_owned()];
    if tls {
        arguments.extend([format!("--tls-cert={}", file("cert.pem")), format!("--tls-key={}", file("key.pem"))]);
    }
    Ok(arguments)
}

fn bittorrent_tracker(port: u16, tls: bool) -> Result<Vec<String>> {
    let script = root().join("tests/load/bittorrent-tracker.mjs").display().to_string();
    let mut arguments = vec![script, port.to_string()];
    if tls {
        arguments.extend([file("cert.pem"), file("key.pem")]);
    }
    Ok(arguments)
}

/// One worker of each kind, as its documentation says for few processors; frames as large as messages.
fn aquatic(port: u16, tls: bool) -> Result<Vec<String>> {
    let settings = format!(
        "socket_workers = 1\nswarm_workers = 1\n[network]\naddress = \"127.0.0.1:{port}\"\n\
         websocket_max_frame_size = 65536\nenable_tls = {tls}\ntls_certificate_path = {:?}\ntls_private_key_path = {:?}\n",
        file("cert.pem"),
        file("key.pem"),
    );
    std::fs::write(target().join("load/aquatic.toml"), settings)?;
    Ok(vec!["--config-file".to_owned(), file("aquatic.toml")])
}
