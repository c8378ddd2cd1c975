//! The pages for operators and for clients without a WebSocket.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use swarmreel::bencode;
use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::tracker::message::{Announce, ServerMessage};
use swarmreel_signaling::server::Options;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use common::{HASH, Server, bytes_until_closed, close_code, leecher, text_until_closed, upgrade};

fn local() -> Options {
    Options { metrics_from: vec!["127.0.0.0/8".parse().unwrap()], ..Options::default() }
}

fn header<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let head = page.split_once("\r\n\r\n").expect("a head").0;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(page: &str) -> &str {
    page.split_once("\r\n\r\n").expect("a head").1
}

#[tokio::test]
async fn health_ready_and_proper_refusals() {
    let server = Server::start(local()).await;
    for (request, status) in [
        ("GET /health", "200"),
        ("HEAD /health", "200"),
        ("GET /ready", "200"),
        ("GET /nothing", "404"),
        ("HEAD /nothing", "404"),
        ("POST /stats", "405"),
        ("DELETE /metrics", "405"),
        ("OPTIONS /scrape", "405"),
    ] {
        let page = server.request(&format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(&page[9..12], status, "{request}: {page}");
        assert_eq!(body(&page).is_empty(), request.starts_with("HEAD"), "{request}: {page}");
        assert_eq!(header(&page, "permissions-policy").map(|policy| policy.contains("camera=()")), Some(true));
        assert_eq!(header(&page, "cross-origin-embedder-policy"), Some("require-corp"));
        assert_eq!(header(&page, "set-cookie"), None);
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "x".repeat(7000));
    assert!(matches!(&server.request(&long).await[9..12], "404" | "414"));
    server.stop().await;
}

/// A peer that would write into the pages, if its name were written there.
async fn with_a_hostile_peer(server: &Server) {
    let mut client = server.join().await;
    for (torrent, name) in [(1, b"<script>alert(1)</sc"), (2, b"-WW\"}\n{\x00-<script>ab\n")] {
        let announce = Announce { info_hash: InfoHash([torrent; 20]), peer_id: PeerId(*name), ..leecher(torrent) };
        let reply = client.announce(announce).await;
        assert!(matches!(reply, ServerMessage::Response { .. }), "{reply:?}");
    }
    server.wait_for_peers(1).await;
    for path in ["/stats", "/stats.json", "/metrics"] {
        let page = server.get(path).await;
        assert!(page.starts_with("HTTP/1.1 200 "), "{path}: {page}");
        assert!(!page.contains("<script") && !page.contains("alert"), "{path}: {page}");
        let html = header(&page, "content-type").unwrap().starts_with("text/html");
        assert_eq!(html, path == "/stats", "{path}: {page}");
        assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
        // No peer id breaks a line: each that is no comment is a name, perhaps labels, and a number.
        for line in body(&page).lines().filter(|line| path == "/metrics" && !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            assert!(value.parse::<f64>().is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase()), "{line:?}");
        }
    }
}

#[tokio::test]
async fn s19_no_peer_id_gets_into_a_page() {
    let server = Server::start(local()).await;
    with_a_hostile_peer(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn statistics_for_people_and_programs() {
    let server = Server::start(local()).await;
    let _client = {
        let mut client = server.join().await;
        client.announce(Announce { peer_id: PeerId(*b"-WW0300-abcdefghijkl"), ..leecher(1) }).await;
        client
    };
    server.wait_for_peers(1).await;
    let page = server.get("/stats").await;
    assert!(body(&page).contains("<th scope=row>WebTorrent 0300</th><td>1</td>"), "{page}");
    assert!(server.get("/stats.css").await.contains("content-type: text/css"));
    let json = "GET /stats HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    let json = server.request(json).await;
    assert_eq!(header(&json, "content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_str(body(&json)).unwrap();
    assert_eq!((&json["torrents"], &json["clients"]["WebTorrent"]["0300"]), (&1.into(), &1.into()));

    let metrics = server.get("/metrics").await;
    assert!(header(&metrics, "content-type").unwrap().starts_with("application/openmetrics-text"), "{metrics}");
    for line in [
        "swarmreel_websockets 1.0",
        "swarmreel_torrents 1.0",
        "swarmreel_peers{role=\"leecher\"} 1.0",
        "swarmreel_peers_by_client{client=\"WebTorrent\"} 1.0",
        "swarmreel_websockets_opened_total 1.0",
        "swarmreel_connections_refused_total{cause=\"address\"} 0.0",
        "swarmreel_tracker_messages_total{kind=\"announce\"} 1.0",
        "swarmreel_offers_relayed_total 0.0",
        "swarmreel_tracker_refusals_total{cause=\"peer_id_in_use\"} 0.0",
        "# TYPE process_cpu_seconds counter",
        "# EOF",
    ] {
        assert!(body(&metrics).lines().any(|found| found == line), "{line}: {metrics}");
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_for_the_networks_of_the_list() {
    let asked = |options: Options, headers: &'static str| async move {
        let server = Server::start(options).await;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
        let status = server.request(&request).await[9..12].to_owned();
        server.stop().await;
        status
    };
    assert_eq!(asked(local(), "").await, "200");
    assert_eq!(asked(Options::default(), "").await, "404");
    // Through a proxy on this machine that the server was not told of.
    assert_eq!(asked(local(), "X-Forwarded-For: 198.51.100.1\r\n").await, "404");
    let proxied = || Options { trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..local() };
    assert_eq!(asked(proxied(), "X-Forwarded-For: 198.51.100.1\r\n").await, "404");
    assert_eq!(asked(proxied(), "X-Forwarded-For: 127.0.0.5\r\n").await, "200");
}

/// The bencoded body of an answer to `/scrape`.
async fn scrape(server: &Server, query: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /scrape{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let page = bytes_until_closed(&mut stream).await;
    assert!(page.starts_with(b"HTTP/1.1 200 "), "{}", page.escape_ascii());
    let end = page.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    page[end..].to_vec()
}

#[tokio::test]
async fn http_scrape_counts_what_is_named() {
    let server = Server::start(Options { workers: 2, ..local() }).await;
    let (mut viewer, mut seeder) = (server.join().await, server.join().await);
    viewer.announce(leecher(1)).await;
    seeder.announce(Announce { left: Some(0), ..leecher(2) }).await;

    let other = InfoHash([0xff; 20]);
    let query = |hash: &InfoHash| hash.0.map(|byte| format!("%{byte:02x}")).concat();
    let body = scrape(&server, &format!("?info_hash={}&info_hash={}", query(&HASH), query(&other))).await;
    let reply = bencode::decode(&body).unwrap();
    let files: Vec<_> = reply.get("files").and_then(|files| files.dict()).expect("files").collect();
    let counts = |file: bencode::Value<'_>| ["complete", "incomplete"].map(|name| file.get(name).unwrap().int());
    let found: Vec<_> = files.into_iter().map(|(hash, file)| (hash.to_vec(), counts(file))).collect();
    assert_eq!(found, [(HASH.0.to_vec(), [Some(1), Some(1)]), (other.0.to_vec(), [Some(0), Some(0)])]);

    for (query, reason) in [("", "needed"), ("?info_hash=abc", "20 bytes"), ("?info_hash=", "20 bytes")] {
        let body = scrape(&server, query).await;
        let failure = bencode::decode(&body).unwrap().get("failure reason").and_then(|value| value.text());
        assert!(failure.as_ref().is_some_and(|failure| failure.contains(reason)), "{query}: {failure:?}");
    }
    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(server.get("/scrape").await[9..12].to_owned());
    }
    assert!(statuses.iter().any(|status| status == "429"), "nobody scrapes without end");
    server.stop().await;
}

/// A load balancer learns that the server leaves while it still says goodbye to its clients.
#[tokio::test]
async fn ready_is_no_more_while_the_server_drains() {
    let server = Server::start(local()).await;
    let deaf = server.raw().await; // never answers the close, and so is waited for
    let address = server.address;
    let stopping = tokio::spawn(server.stop());
    until_not_ready(address).await;
    stopping.await.unwrap();
    drop(deaf);
}

/// Load balancers ask now and then: until they have, they send clients.
#[tokio::test]
async fn who_comes_before_load_balancers_know_is_served_and_sent_away_with_the_others() {
    let mut options = local();
    options.sockets.lame_duck = Duration::from_secs(5);
    let server = Server::start(options).await;
    let address = server.address;
    let mut early = server.raw().await;
    let stopping = tokio::spawn(server.stop());
    until_not_ready(address).await;
    let mut late = TcpStream::connect(address).await.unwrap();
    let response = upgrade(&mut late, "").await;
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    for client in [&mut early, &mut late] {
        assert_eq!(close_code(&bytes_until_closed(client).await), Some(1012));
    }
    stopping.await.unwrap();
}

/// Asks `/ready` until it says no.
async fn until_not_ready(address: SocketAddr) {
    let page = loop {
        let mut stream = TcpStream::connect(address).await.expect("it still listens");
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        match text_until_closed(&mut stream).await {
            page if page.starts_with("HTTP/1.1 200 ") => {}
            page => break page,
        }
    };
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
}
