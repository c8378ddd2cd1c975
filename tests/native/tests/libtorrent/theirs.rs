//! A libtorrent peer: `theirs.py` in the system's Python, one line of JSON for each command and each answer.
//!
//! Invariant: it ends with the test, and its files are gone.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// Debian's, which has Debian's modules.
const PYTHON: &str = "/usr/bin/python3";

/// One running libtorrent with one torrent.
pub(crate) struct Theirs {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    folder: PathBuf,
    address: SocketAddr,
}

impl Theirs {
    /// One that has these files, below the torrent's folder of this name where there are several.
    pub(crate) fn seeding(torrent: &[u8], files: &[(PathBuf, &[u8])]) -> Self {
        let folder = fresh_folder();
        for (path, bytes) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
            fs::write(path, bytes).expect("a file can be written");
        }
        let path = folder.join("their.torrent");
        fs::write(&path, torrent).expect("a file can be written");
        Self::start(folder, |folder| json!({ "do": "add", "folder": folder, "path": path }))
    }

    /// One that wants what a magnet link names.
    pub(crate) fn adding(magnet: &str) -> Self {
        Self::start(fresh_folder(), |folder| json!({ "do": "add", "folder": folder, "magnet": magnet }))
    }

    fn start(folder: PathBuf, add: impl FnOnce(&Path) -> Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libtorrent/theirs.py");
        let mut command = Command::new(PYTHON);
        let mut process = command
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("/usr/bin/python3 is there (Debian's packages python3 and python3-libtorrent)");
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
        let (stdin, stdout) = (stdin.expect("it is piped"), BufReader::new(stdout.expect("it is piped")));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut theirs = Self { process, stdin, stdout, folder, address };
        let answer = theirs.ask(&add(&theirs.folder));
        theirs.address.set_port(answer["port"].as_u64().and_then(|port| port.try_into().ok()).expect("it listens"));
        theirs
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it connect to somebody.
    pub(crate) fn dials(&mut self, address: SocketAddr) {
        self.ask(&json!({ "do": "connect", "port": address.port() }));
    }

    /// Changes settings of its session, by libtorrent's names.
    pub(crate) fn sets(&mut self, name: &str, value: i64) {
        self.ask(&json!({ "do": "settings", name: value }));
    }

    /// What it says of its torrent.
    pub(crate) fn status(&mut self) -> Value {
        self.ask(&json!({ "do": "status" }))
    }

    /// What it has downloaded of a file.
    pub(crate) fn reads(&self, path: &Path) -> Vec<u8> {
        fs::read(self.folder.join(path)).expect("a complete file is there")
    }

    fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.stdin, "{command}").expect("libtorrent runs: install Debian's python3-libtorrent");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("its answer is text");
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("libtorrent ended at {command}: is Debian's python3-libtorrent installed?"))
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn fresh_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("libtorrent-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
