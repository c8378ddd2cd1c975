//! The binary: what it prints, and how it ends.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

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
    started(&mut command(arguments))
}

fn started(command: &mut Command) -> (Child, u16, BufReader<ChildStdout>) {
    let mut child = command.spawn().expect("the binary runs");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let port = line.strip_prefix("Swarmreel is at http://localhost:").and_then(|rest| rest.strip_suffix("/\n"));
    (child, port.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap(), output)
}

/// Stops a server, which must end well. What it has logged.
fn stopped(child: &mut Child, signal: Signal) -> String {
    kill_process(Pid::from_child(child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    errors
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn signals_end_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut child, port, mut output) = start(&["--listen", "127.0.0.1:0", "--ice-server=stun:127.0.0.1"]);
        let page = get(port, "/config.json");
        let stun = format!(r#""stun":{{"port":{port}}}"#);
        assert!(page.ends_with(&format!(r#"{{"iceServers":[{{"urls":"stun:127.0.0.1"}}],{stun}}}"#)), "{page}");

        let errors = stopped(&mut child, signal);
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(errors.lines().all(|line| line.contains(" INFO ")) && errors.ends_with("stopped\n"), "{errors}");
    }
}

#[test]
fn who_asks_to_stop_twice_does_not_wait() {
    let patient = ["--listen", "127.0.0.1:0", "--lame-duck-seconds", "3600", "--drain-seconds", "3600"];
    let (mut child, port, _output) = start(&patient);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    while !get(port, "/ready").starts_with("HTTP/1.1 503 ") {
        sleep(Duration::from_millis(20));
    }
    assert!(get(port, "/health").starts_with("HTTP/1.1 200 "), "it serves, as load balancers may not know yet");
    stopped(&mut child, Signal::INT);
}

#[test]
fn a_taken_port_is_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sentence = format!("Another program listens on {address} already; --listen ADDRESS:PORT chooses another.\n");
    assert_eq!(run(&["--listen", &address]), (Some(2), String::new(), sentence));
}

#[test]
fn the_stun_server_has_the_same_port_if_that_is_free() {
    // A port that is free for TCP, and taken for UDP.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let _taken = UdpSocket::bind(address).unwrap();
    drop(free);
    let (mut child, port, _output) = start(&["--listen", &address.to_string()]);
    assert!(get(port, "/config.json").ends_with(r#"{"iceServers":[]}"#), "pages are not sent to another program");
    let errors = stopped(&mut child, Signal::TERM);
    let warning = format!("There is no STUN server, as UDP port {port} cannot be had: ");
    assert_eq!(errors.lines().filter(|line| line.contains(" WARN ") && line.contains(&warning)).count(), 1, "{errors}");

    let (code, output, error) = run(&["--listen", "127.0.0.1:0", "--stun-listen", &address.to_string()]);
    let sentence = format!("The STUN server cannot listen on UDP {address}: ");
    assert_eq!((code, output.as_str()), (Some(2), ""), "what was asked for is not left out");
    assert!(error.starts_with(&sentence) && error.lines().count() == 1, "{error}");

    let (mut child, port, _output) = start(&["--listen", "127.0.0.1:0", "--no-stun"]);
    assert!(get(port, "/config.json").ends_with(r#"{"iceServers":[]}"#));
    UdpSocket::bind(("127.0.0.1", port)).expect("nobody listens there");
    stopped(&mut child, Signal::TERM);
}

#[test]
fn pages_behind_a_proxy_are_not_sent_to_a_stun_server_that_only_the_proxy_reaches() {
    let behind = ["--listen", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"];
    for stun in [&[][..], &["--stun-listen", "127.0.0.1:0"]] {
        let (mut child, port, _output) = start(&[&behind[..], stun].concat());
        assert_eq!(get(port, "/config.json").contains("\"stun\""), !stun.is_empty());
        let errors = stopped(&mut child, Signal::TERM);
        assert_eq!(errors.contains("--stun-listen"), stun.is_empty(), "{errors}");
    }
}

#[test]
fn neither_junk_for_stun_nor_turn_credentials_are_logged() {
    let turn = ["--turn-url", "turn:turn.example.org", "--turn-secret", "north"];
    let (mut child, port, _output) = start(&[&["--listen", "127.0.0.1:0", "--log-level=debug"][..], &turn].concat());
    let page = get(port, "/config.json");
    assert!(page.contains("\r\ncache-control: no-store\r\n"), "{page}");
    let config: serde_json::Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
    let server = &config["iceServers"][0];
    let junk = UdpSocket::bind("127.0.0.1:0").unwrap();
    let cut_off = *b"\0\x01\0\x04\x21\x12\xa4\x42twelve bytes\x80\x22\0\x05";
    for packet in [&b"junk"[..], &cut_off, &cut_off[..20]] {
        junk.send_to(packet, ("127.0.0.1", port)).unwrap();
    }
    let errors = stopped(&mut child, Signal::TERM);
    for secret in ["north", server["username"].as_str().unwrap(), server["credential"].as_str().unwrap()] {
        assert!(!errors.contains(secret), "{errors}");
    }
    assert!(!errors.contains("WARN") && !errors.contains("malformed"), "{errors}");
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
    for option in [
        "--allow-list",
        "--check-config",
        "--cluster",
        "--config",
        "--deny-list",
        "--drain-seconds",
        "--help",
        "--ice-server",
        "--interval",
        "--lame-duck-seconds",
        "--listen",
        "--log-format",
        "--log-level",
        "--max-connections",
        "--max-per-ip",
        "--metrics-from",
        "--no-site",
        "--no-stun",
        "--node-name",
        "--origin",
        "--stun-listen",
        "--stun-url",
        "--tls-cert",
        "--tls-key",
        "--trusted-proxy",
        "--turn-secret-file",
        "--turn-ttl",
        "--turn-url",
        "--version",
        "--workers",
    ] {
        assert!(output.contains(&format!("{option} ")) || output.contains(&format!("{option}\n")), "{option}");
    }
    assert_eq!(run(&["--version"]).1, concat!("swarmreel-signaling ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// A file in a folder of its own, which goes with it.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("swarmreel-command-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
        Self(folder.join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// What `/config.json` and the limits come to shows who wins.
#[test]
fn a_flag_goes_before_a_variable_and_that_before_the_file() {
    let file = TempFile::new("order.toml", "listen = \"127.0.0.1:0\"\nice-server = [\"stun:file\", \"stun:too\"]\n");
    let variable = ("SWARMREEL_ICE_SERVER", "stun:variable,stun:comma");
    for (flag, variable, expected) in [
        (None, None, "stun:file stun:too"),
        (None, Some(variable), "stun:variable stun:comma"),
        (Some("--ice-server=stun:flag"), Some(variable), "stun:flag"),
    ] {
        let mut command = command(&["--config", file.path()]);
        command.args(flag).envs(variable);
        let (mut child, port, _output) = started(&mut command);
        let page = get(port, "/config.json");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        child.wait().unwrap();
        let urls: Vec<_> = page.split('"').filter(|word| word.starts_with("stun:")).collect();
        assert_eq!(urls.join(" "), expected, "{page}");
    }
}

#[test]
fn mistakes_in_the_file_are_named_with_its_line() {
    for (text, sentence) in [
        ("listen = \"[::]:1\"\nmax-per-ip = 0\n", "line 2: max-per-ip needs a number from 1 up, not \"0\"."),
        ("listen = 1", "line 1: listen needs ADDRESS:PORT, like 127.0.0.1:8080 or [::]:8080, not \"1\"."),
        ("# words\n\nmax_per_ip = 1\n", "line 3: there is no option \"max_per_ip\"."),
        ("config = \"x\"", "line 1: there is no option \"config\"."),
        ("max-per-ip = [1, 2]", "line 1: max-per-ip needs one value."),
        ("[listen]\nport = 1", "line 1: listen needs a value or a list of values."),
        (
            "ice-server = [\"stun:a\", \"http:b\"]",
            "line 1: ice-server needs a URL like stun:stun.example.org:3478, not",
        ),
        ("no-site = \"perhaps\"", "line 1: no-site needs true or false."),
        ("no-site = true\nno-site = true", "line 2: duplicate key"),
        ("listen = ", "line 1: "),
    ] {
        let file = TempFile::new("bad.toml", text);
        let (code, output, error) = run(&["--check-config", "--config", file.path()]);
        assert_eq!((code, output.as_str()), (Some(2), ""), "{text}");
        let expected = format!("{}, {sentence}", file.path());
        assert!(error.starts_with(&expected) && error.lines().count() == 1, "{text}: {error}");
    }
    let good = TempFile::new("good.toml", "max-per-ip = 7\nno-site = true\nlog-format = \"json\"\n");
    let expected = (Some(0), "The configuration is good.\n".to_owned(), String::new());
    assert_eq!(run(&["--check-config", "--config", good.path()]), expected);
}

#[test]
fn a_mistake_in_a_variable_names_it() {
    let Output { status, stderr, .. } = command(&[]).env("SWARMREEL_MAX_PER_IP", "0").output().unwrap();
    let sentence = "SWARMREEL_MAX_PER_IP needs a number from 1 up, not \"0\".\n";
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(2), sentence));
}

#[test]
fn without_the_site_there_are_only_the_pages() {
    let (mut child, port, _output) = start(&["--listen", "127.0.0.1:0", "--no-site"]);
    let pages = ["/", "/health"].map(|path| get(port, path)[9..12].to_owned());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    assert_eq!(pages, ["404", "200"]);
}

/// A certificate for localhost and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn files_that_options_name_are_checked() {
    let (pem, secret) = certificate();
    let (chain, key) = (TempFile::new("chain.pem", &pem), TempFile::new("key.pem", &secret));
    let foreign = TempFile::new("foreign.pem", &certificate().1);
    let (good, bad) = (TempFile::new("good.list", "# none\n"), TempFile::new("bad.list", "\n07\n"));
    for (arguments, sentence) in [
        (
            vec!["--tls-cert", chain.path(), "--tls-key", key.path(), "--deny-list", good.path()],
            "The configuration is good.",
        ),
        (vec!["--tls-cert", chain.path()], "--tls-cert needs --tls-key."),
        (vec!["--tls-key", key.path()], "--tls-key needs --tls-cert."),
        (
            vec!["--tls-cert", chain.path(), "--tls-key", foreign.path()],
            "foreign.pem: it is not the key of the certificate.",
        ),
        (vec!["--tls-cert", "/nowhere/a", "--tls-key", key.path()], "/nowhere/a cannot be read: "),
        (vec!["--tls-cert", key.path(), "--tls-key", key.path()], "key.pem: there is no certificate in it."),
        (vec!["--allow-list", bad.path()], "bad.list, line 2: an info hash has 40 hexadecimal digits."),
        (
            vec!["--allow-list", good.path(), "--deny-list", bad.path()],
            "--allow-list and --deny-list exclude each other.",
        ),
        (vec!["--trusted-proxy", "10.0.0.0/33"], "--trusted-proxy needs a network like"),
        (vec!["--origin", "example.org"], "--origin needs an origin like https://example.org, not \"example.org\"."),
    ] {
        let (code, output, error) = run(&[&["--check-config"], &arguments[..]].concat());
        let good = sentence.ends_with("is good.");
        assert_eq!(code, Some(if good { 0 } else { 2 }), "{arguments:?}: {error}");
        let said = if good { output } else { error };
        assert!(said.contains(sentence) && said.lines().count() == 1 && said.ends_with(".\n"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_hangup_reads_the_files_again_and_tells_what_is_wrong() {
    let (pem, secret) = certificate();
    let (chain, key) = (TempFile::new("hup-chain.pem", &pem), TempFile::new("hup-key.pem", &secret));
    let list = TempFile::new("hup.list", &format!("{}\n", "07".repeat(20)));
    let arguments = ["--tls-cert", chain.path(), "--tls-key", key.path(), "--allow-list", list.path()];
    let mut child = command(&[&["--listen", "127.0.0.1:0"], &arguments[..]].concat()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Swarmreel is at https://localhost:"), "{line}");
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let pid = Pid::from_child(&child);
    let mut hangup = |expected: [&str; 2]| {
        kill_process(pid, Signal::HUP).unwrap();
        for words in expected {
            log.find(|line| line.contains(words)).unwrap_or_else(|| panic!("never: {words}"));
        }
    };
    hangup(["the certificate was read again", "the access list was read again count=1"]);
    std::fs::write(&chain.0, "").unwrap();
    hangup(["there is no certificate in it; the old certificate stays", "the access list was read again"]);
    std::fs::write(&chain.0, &pem).unwrap();
    std::fs::write(&list.0, "7\n").unwrap();
    hangup([
        "the certificate was read again",
        "line 1: an info hash has 40 hexadecimal digits; the old access list stays",
    ]);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// So many peers join and announce, each a torrent of its own, and leave without a word.
#[cfg(target_os = "linux")]
fn crowd(port: u16, peers: usize) {
    let mut streams: Vec<TcpStream> = Vec::new();
    for number in 0..peers {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let announce = format!(
            r#"{{"action":"announce","info_hash":"{number:020}","peer_id":"{number:020}","left":1,"offers":[],"note":"{}"}}"#,
            "n".repeat(900)
        );
        // A mask of zeros leaves the text as it is (RFC 6455 §5.3).
        let [high, low] = u16::try_from(announce.len()).unwrap().to_be_bytes();
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(&[0x81, 0xfe, high, low, 0, 0, 0, 0]).unwrap();
        stream.write_all(announce.as_bytes()).unwrap();
        streams.push(stream);
    }
    for stream in &mut streams {
        let (mut reply, mut part) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&reply).contains("\"interval\"") {
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&reply));
            reply.extend_from_slice(&part[..count]);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn memory_returns_when_the_peers_leave() {
    let (mut child, port, _output) = start(&["--listen", "127.0.0.1:0", "--max-per-ip", "5000"]);
    let status = format!("/proc/{}/status", child.id());
    let own = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("proc(5)");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("proc(5)")
    };
    let wait = |enough: &dyn Fn() -> bool| {
        (0..600).any(|_| {
            enough() || {
                sleep(Duration::from_millis(100));
                false
            }
        })
    };
    let is_empty = || get(port, "/stats.json").contains(r#""peersAll":0"#);
    crowd(port, 100); // what the first peers bring into being may stay
    assert!(wait(&is_empty));
    let before = own();
    // Many enough for what a thread's caches would keep to weigh, and all of them connected at a time.
    let files = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files }).unwrap();
    crowd(port, 3500);
    assert!(wait(&is_empty));
    assert!(wait(&|| own() <= before + before / 20), "{} KiB, and {before} KiB before", own());
    stopped(&mut child, Signal::TERM);
}
