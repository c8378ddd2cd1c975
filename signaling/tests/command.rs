//! The binary: what it prints, and how it ends.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmreel-signaling"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(arguments).output().expect("the binary runs");
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running server and the port it prints.
fn start(arguments: &[&str]) -> (Child, u16, BufReader<ChildStdout>) {
    let mut child = command(arguments).spawn().expect("the binary runs");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let port = line.strip_prefix("Swarmreel is at http://localhost:").and_then(|rest| rest.strip_suffix("/\n"));
    (child, port.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap(), output)
}

#[test]
fn signals_end_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, port, mut output) = start(&["--listen", "127.0.0.1:0", "--ice-server=stun:127.0.0.1"]);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"GET /config.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.ends_with(r#"{"iceServers":[{"urls":"stun:127.0.0.1"}]}"#), "{page}");

        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let (mut rest, mut errors) = (String::new(), String::new());
        output.read_to_string(&mut rest).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!((rest.as_str(), errors.as_str()), ("", ""));
    }
}

#[test]
fn a_taken_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sentence = format!("Another program listens on {address} already; --listen ADDRESS:PORT chooses another.\n");
    assert_eq!(run(&["--listen", &address]), (Some(2), String::new(), sentence));
}

#[test]
fn mistakes_are_one_sentence() {
    let turn = "--ice-server=turn:turn.example.org";
    for arguments in [&["--frobnicate"][..], &["--listen"], &["--listen", "8080"], &["--max-per-ip", "0"], &[turn]] {
        let (code, output, error) = run(arguments);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(error.ends_with(".\n") && error.lines().count() == 1, "{arguments:?}: {error}");
    }
}

#[test]
fn help_names_every_option() {
    let (code, output, error) = run(&["--help"]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    for option in ["--listen", "--ice-server", "--max-per-ip", "--version", "--help"] {
        assert!(output.contains(option), "{option}");
    }
    assert_eq!(run(&["--version"]).1, concat!("swarmreel-signaling ", env!("CARGO_PKG_VERSION"), "\n"));
}
