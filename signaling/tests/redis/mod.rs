//! A Redis server of one's own on a loopback port: keeps nothing, and ends with the test.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// For what must happen, on a machine however busy.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Redis {
    pub(crate) port: u16,
    arguments: Vec<String>,
    folder: PathBuf,
    process: Child,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With more of Redis' own options; `{free}` in them is a free port.
    pub(crate) fn with(options: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("swarmreel-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let arguments: Vec<_> =
            options.iter().map(|option| option.replace("{free}", &free_port().to_string())).collect();
        let process = spawn(port, &folder, &arguments);
        let redis = Self { port, arguments, folder, process };
        redis.wait();
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, with all it knows.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again, empty.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.port, &self.folder, &self.arguments);
        self.wait();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// What redis-cli prints for a command.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let Output { stdout, stderr, .. } = self.cli().args(arguments).output().expect("redis-cli runs");
        assert!(stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8_lossy(&stdout).trim().to_owned()
    }

    /// Gives bytes as the last argument.
    pub(crate) fn ask_with_bytes(&self, arguments: &[&str], bytes: &[u8]) -> String {
        let mut child =
            self.cli().arg("-x").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), bytes).unwrap();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).trim().to_owned()
    }

    fn cli(&self) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }

    fn wait(&self) {
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "Redis never came up");
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, folder: &PathBuf, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder).args(options).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("Debian's package redis-server is installed (`cargo xtask test` installs it)")
}
