//! Who may use the tracker, and for what, over real loopback sockets: threat-model S15, S16, S20.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::tracker::message::{Announce, ServerMessage};
use swarmreel_signaling::server::{AccessList, ListKind, Options, ServerLimits};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use common::{HASH, PATIENCE, Server, leecher, upgrade};

/// A list in a folder of its own, which goes with it.
struct TempList(PathBuf);

impl TempList {
    fn new(name: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("swarmreel-lists-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let list = Self(folder.join("list"));
        list.write(text);
        list
    }

    fn write(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }

    fn load(&self, kind: ListKind) -> Arc<AccessList> {
        AccessList::load(kind, self.0.clone()).unwrap().into()
    }
}

impl Drop for TempList {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn of(torrent: u8) -> Announce {
    Announce { info_hash: InfoHash([torrent; 20]), ..leecher(torrent) }
}

/// A peer like nobody before.
fn stranger() -> PeerId {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    PeerId::from_slice(format!("{number:020}").as_bytes()).expect("20 digits")
}

async fn is_served(server: &Server, torrent: u8) -> bool {
    match server.join().await.announce(Announce { peer_id: stranger(), ..of(torrent) }).await {
        ServerMessage::Response { .. } => true,
        ServerMessage::Failure { info_hash: Some(hash), reason, .. } => {
            assert_eq!((hash, reason.as_str()), (InfoHash([torrent; 20]), "this tracker does not serve this torrent"));
            false
        }
        other => panic!("{other:?}"),
    }
}

async fn wait_until_served(server: &Server, torrent: u8, served: bool) {
    let began = Instant::now();
    while is_served(server, torrent).await != served {
        assert!(began.elapsed() < PATIENCE, "the new list is never in force");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn s20_a_list_takes_the_place_of_the_old_one_and_a_broken_one_does_not() {
    let file = TempList::new("swap", &HASH.to_hex());
    let list = file.load(ListKind::Allow);
    let server = Server::start(Options { access: Some(list.clone()), workers: 2, ..Options::default() }).await;
    wait_until_served(&server, 7, true).await;
    assert!(!is_served(&server, 8).await);

    file.write(&format!("{}\n# count 2\n", "09".repeat(20)));
    list.reload().unwrap_err();
    assert!(is_served(&server, 7).await && !is_served(&server, 9).await, "cut off: the old list stays");

    file.write(&"08".repeat(20));
    list.reload().unwrap();
    wait_until_served(&server, 8, true).await;
    wait_until_served(&server, 7, false).await;
    server.stop().await;
}

#[tokio::test]
async fn s20_what_is_denied_is_not_served_and_its_peers_leave() {
    let file = TempList::new("deny", "");
    let list = file.load(ListKind::Deny);
    let server = Server::start(Options { access: Some(list.clone()), ..Options::default() }).await;
    let mut client = server.join().await;
    assert!(matches!(client.announce(of(7)).await, ServerMessage::Response { .. }));
    file.write(&HASH.to_hex());
    list.reload().unwrap();
    wait_until_served(&server, 7, false).await;
    assert!(matches!(client.announce(of(7)).await, ServerMessage::Failure { .. }));
    server.wait_for_peers(0).await;
    assert!(matches!(client.announce(of(8)).await, ServerMessage::Response { .. }), "no strike for it");
    server.stop().await;
}

/// A bystander is answered all the while a million hashes are read. By the row, that takes a second, and no answer more than
/// 50 ms: so they do on a calm machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_nobody_waits_for_a_list_of_a_million() {
    let mut text = String::new();
    (0..1_000_000_u32).for_each(|number| writeln!(text, "{number:040x}").unwrap());
    let file = TempList::new("million", &text);
    let list = file.load(ListKind::Deny);
    let server = Server::start(Options { access: Some(list.clone()), workers: 1, ..Options::default() }).await;
    let reload = tokio::task::spawn_blocking(move || list.reload().unwrap());
    let (mut longest, began) = (Duration::ZERO, Instant::now());
    while !reload.is_finished() {
        let asked = Instant::now();
        assert!(server.get("/health").await.starts_with("HTTP/1.1 200 "));
        longest = longest.max(asked.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(reload.await.unwrap(), 1_000_000);
    let took = began.elapsed();
    assert!(took < PATIENCE, "{took:?}");
    assert!(longest < (took / 4).max(Duration::from_millis(500)), "{longest:?} of {took:?}");
    server.stop().await;
}

#[tokio::test]
async fn s16_foreign_and_absent_origins_are_refused_before_the_upgrade() {
    let origins = vec!["https://example.org".to_owned()];
    let listed = Server::start(Options { origins, ..Options::default() }).await;
    let open = Server::start(Options::default()).await;
    for (origin, under_a_list) in [
        ("Origin: https://example.org\r\n", "101"),
        ("Origin: https://attacker.test\r\n", "403"),
        ("Origin: null\r\n", "403"),
        ("", "403"),
    ] {
        for (server, status) in [(&listed, under_a_list), (&open, "101")] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let response = upgrade(&mut stream, origin).await;
            assert_eq!(&response[9..12], status, "{origin}: {response}");
            assert!(!response.to_ascii_lowercase().contains("set-cookie"), "{response}");
        }
    }
    // The pages are for everybody; credentials for TURN are not.
    let get = async |path: &str, origin: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n");
        listed.request(&head).await
    };
    assert!(get("/health", "https://attacker.test").await.starts_with("HTTP/1.1 200 "));
    assert!(get("/config.json", "https://attacker.test").await.starts_with("HTTP/1.1 403 "));
    assert!(get("/config.json", "https://example.org").await.starts_with("HTTP/1.1 200 "));
    assert!(listed.get("/config.json").await.starts_with("HTTP/1.1 200 "), "our own page sends no origin");
    listed.stop().await;
    open.stop().await;
}

async fn upgraded(address: SocketAddr, forwarded: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let response = upgrade(&mut stream, &format!("X-Forwarded-For: {forwarded}\r\n")).await;
    (stream, response[9..12].to_owned())
}

#[tokio::test]
async fn s15_shares_are_of_the_address_behind_a_trusted_proxy() {
    let sockets = || ServerLimits { connections_per_address: 2, ..ServerLimits::default() };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let proxied = Server::start(Options { sockets: sockets(), trusted_proxies, ..Options::default() }).await;
    let mut held = Vec::new();
    for (client, status) in [
        ("198.51.100.1", "101"),
        ("10.9.9.9, 198.51.100.1", "101"),
        ("198.51.100.1", "429"),
        ("203.0.113.1, 198.51.100.1", "429"),
        ("198.51.100.2", "101"),
        ("2001:db8::1", "101"),
        ("2001:db8::2", "101"),
        ("2001:db8::ffff:3", "429"),
    ] {
        let (stream, found) = upgraded(proxied.address, client).await;
        assert_eq!(found, status, "{client}");
        held.push(stream);
    }
    drop(held);
    proxied.stop().await;

    let direct = Server::with_sockets(sockets()).await;
    let mut held = Vec::new();
    for number in 0..2 {
        let (stream, status) = upgraded(direct.address, &format!("198.51.100.{number}")).await;
        assert_eq!(status, "101");
        held.push(stream);
    }
    let mut third = TcpStream::connect(direct.address).await.unwrap();
    let _ = third.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n").await;
    let response = common::text_until_closed(&mut third).await;
    assert!(response.starts_with("HTTP/1.1 429 "), "a forged header makes no other client: {response}");
    direct.stop().await;
}
