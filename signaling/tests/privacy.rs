//! What the log of the binary says of people: nothing (threat-model V3).
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use futures_util::SinkExt;
use rustix::process::{Pid, Signal, kill_process};
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use common::{Client, HASH, leecher, with_offers};

const SDP: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\na=ice-ufrag:secretufrag\r\na=ice-pwd:secretpwd\r\n\
                   a=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\na=candidate:2 1 udp 1 2001:db8::7 9 typ host\r\n";

struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(level: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swarmreel-signaling"));
        let command = command.args(["--listen", "127.0.0.1:0", "--log-level", level, "--trusted-proxy", "127.0.0.1"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        Self { child, address: ([127, 0, 0, 1], port).into() }
    }

    async fn join(&self) -> Client {
        let mut request = format!("ws://{}/", self.address).into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", "198.51.100.23".parse().unwrap());
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client(client_async(request, stream).await.expect("a WebSocket").0)
    }

    /// Ends it; all that it logged.
    fn log(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

/// Offers, answers, forged answers, junk until the connection is closed, junk for STUN, a reload: whatever might be told.
async fn much_happens(server: &Running) {
    let (mut seeder, mut viewer) = (server.join().await, server.join().await);
    seeder.announce(Announce { left: Some(0), ..leecher(1) }).await;
    let mut announce = with_offers(2, 1, 10);
    announce.offers[0].1 = SDP.to_owned();
    viewer.announce(announce).await;
    let ServerMessage::Offer { peer_id, offer_id, .. } = seeder.next().await else { panic!("no offer") };
    let answer = || Answer {
        info_hash: HASH,
        peer_id: leecher(1).peer_id,
        to_peer_id: peer_id,
        offer_id,
        sdp: SDP.to_owned(),
        left: Some(0),
    };
    seeder.send(ClientMessage::Answer(answer())).await;
    assert!(matches!(viewer.next().await, ServerMessage::Answer { .. }));
    seeder.send(ClientMessage::Answer(answer())).await;
    assert!(matches!(seeder.next().await, ServerMessage::Failure { .. }));
    let mut hostile = server.join().await;
    for _ in 0..10 {
        let _ = hostile.0.send(Message::text(format!("{{\"sdp\":{SDP:?}}}"))).await;
    }
    assert_eq!(hostile.close_code().await, Some(1008));
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(SDP.as_bytes(), server.address).unwrap();
    kill_process(Pid::from_child(&server.child), Signal::HUP).unwrap();
    viewer.expect_alive(2).await;
}

fn addresses(log: &str) -> Vec<&str> {
    let words = log.split(|c: char| !c.is_ascii_hexdigit() && !matches!(c, '.' | ':'));
    let is_address = |word: &&str| word.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok();
    words.map(|word| word.trim_end_matches(['.', ':'])).filter(is_address).collect()
}

#[tokio::test]
async fn v3_the_log_names_no_address_no_torrent_and_no_description() {
    for level in ["info", "debug"] {
        let server = Running::start(level);
        much_happens(&server).await;
        let log = server.log();
        assert!(log.contains("serving") && log.contains("stopped"), "the log works: {log}");
        for secret in ["ufrag", "pwd", "candidate", "IN IP4", "192.0.2.7", "2001:db8"] {
            assert!(!log.contains(secret), "{level}: {secret}: {log}");
        }
        if level == "info" {
            assert_eq!(addresses(&log), [""; 0], "{log}");
            assert!(!log.contains(&HASH.to_hex()), "{log}");
        }
    }
}

#[test]
fn addresses_are_found_in_a_log() {
    let log = "2026-01-02T03:04:05.000006Z  INFO a=10.1.2.3:80 b=[2001:db8::1]:80 version=\"0.1.0\" 198.51.100.1, ::1.";
    assert_eq!(addresses(log), ["10.1.2.3:80", "2001:db8::1", "198.51.100.1", "::1"]);
}
