//! The server over real loopback sockets. Tests named s3, s5, … are rows of the threat model, with limits shortened so
//! that a deadline passes in a fraction of a second; no test depends on how fast something happens, only on whether.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, MESSAGE_BYTES_MAX, ServerMessage};
use swarmreel_signaling::TrackerLimits;
use swarmreel_signaling::server::{Options, ServerLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const HASH: InfoHash = InfoHash([7; 20]);
/// For what must happen, on a machine however busy.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, options, async { drop(stopped.await) }));
        Self { address, stop, task }
    }

    async fn with_sockets(sockets: ServerLimits) -> Self {
        Self::start(Options { sockets, ..Options::default() }).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.expect("the server stops").unwrap();
    }

    async fn join(&self) -> Client {
        let request = format!("ws://{}/announce", self.address).into_client_request().unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client(client_async(request, stream).await.expect("a WebSocket").0)
    }

    /// A connection that was upgraded by hand, and sends what bytes it likes.
    async fn raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        upgrade(&mut stream, "").await;
        stream
    }

    /// What the server sends for this request until it closes the connection.
    async fn request(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        text_until_closed(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    /// A member of /stats.json, which may be a second old.
    async fn wait_for_peers(&self, count: u64) {
        for _ in 0..200 {
            let page = self.get("/stats.json").await;
            let body = page.split_once("\r\n\r\n").unwrap().1;
            if serde_json::from_str::<serde_json::Value>(body).unwrap()["peersAll"] == count {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("there were never {count} peers");
    }
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn send(&mut self, message: ClientMessage) {
        self.0.send(Message::text(message.write())).await.expect("the connection is open");
    }

    /// The next message of the tracker.
    async fn next(&mut self) -> ServerMessage {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message").expect("an open connection").unwrap() {
                Message::Text(text) => return ServerMessage::parse(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads to the end: the close code, or none if the connection just ended.
    async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = timeout(PATIENCE, self.0.next()).await.expect("the connection ends") {
            if let Message::Close(Some(CloseFrame { code: found, .. })) = message {
                code = Some(found.into());
            }
        }
        code
    }

    async fn announce(&mut self, announce: Announce) -> ServerMessage {
        self.send(ClientMessage::Announce(announce)).await;
        self.next().await
    }

    /// Shows that the connection works.
    async fn expect_alive(&mut self, name: u8) {
        let reply = self.announce(leecher(name)).await;
        assert!(matches!(reply, ServerMessage::Response { .. }), "{reply:?}");
    }
}

fn leecher(name: u8) -> Announce {
    let (info_hash, peer_id) = (HASH, PeerId([name; 20]));
    Announce { info_hash, peer_id, event: None, left: None, uploaded: 0, downloaded: 0, numwant: None, offers: vec![] }
}

fn with_offers(name: u8, count: u8, sdp_bytes: usize) -> Announce {
    let offers = (0..count).map(|index| (OfferId([index; 20]), "s".repeat(sdp_bytes))).collect();
    Announce { offers, ..leecher(name) }
}

async fn upgrade(stream: &mut TcpStream, more: &str) -> String {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(timeout(PATIENCE, stream.read_u8()).await.expect("a response").expect("a whole response"));
    }
    String::from_utf8(response).unwrap()
}

/// Bytes until the connection ends, whether properly or not.
async fn bytes_until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = timeout(PATIENCE, stream.read(&mut piece)).await.expect("the connection ends") {
        bytes.extend(&piece[..count]);
    }
    bytes
}

async fn text_until_closed(stream: &mut TcpStream) -> String {
    String::from_utf8(bytes_until_closed(stream).await).unwrap()
}

/// The code of the close frame in what a server sent.
fn close_code(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(2).position(|pair| pair[0] == 0x88 && pair[1] >= 2)?;
    Some(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]))
}

/// A masked frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

#[tokio::test]
async fn two_peers_exchange_offer_and_answer() {
    let server = Server::start(Options::default()).await;
    let (mut seeder, mut viewer) = (server.join().await, server.join().await);
    seeder.announce(Announce { left: Some(0), ..leecher(1) }).await;
    let reply = viewer.announce(with_offers(2, 3, 1000)).await;
    assert!(matches!(reply, ServerMessage::Response { complete: 1, incomplete: 1, .. }), "{reply:?}");
    let ServerMessage::Offer { peer_id, offer_id, .. } = seeder.next().await else { panic!("no offer") };
    assert_eq!(peer_id, PeerId([2; 20]));
    let (peer_id, to_peer_id) = (PeerId([1; 20]), peer_id);
    let answer = Answer { info_hash: HASH, peer_id, to_peer_id, offer_id, sdp: "v=0".to_owned(), left: Some(0) };
    seeder.send(ClientMessage::Answer(answer)).await;
    let sdp = "v=0".to_owned();
    assert_eq!(viewer.next().await, ServerMessage::Answer { info_hash: HASH, peer_id, offer_id, sdp });

    drop(viewer);
    server.wait_for_peers(1).await;
    // JSON in a binary frame is read too.
    let text = ClientMessage::Scrape(vec![HASH]).write();
    seeder.0.send(Message::binary(text.into_bytes())).await.unwrap();
    let ServerMessage::Scrape(files) = seeder.next().await else { panic!("no scrape") };
    assert_eq!((files[0].1.complete, files[0].1.incomplete), (1, 0));
    server.stop().await;
}

#[tokio::test]
async fn pages_have_their_types_and_the_security_headers() {
    let options = Options { ice_servers: vec!["stun:stun.example.org".to_owned()], ..Options::default() };
    let server = Server::start(options).await;
    for (path, status, kind, body) in [
        ("/", "200", "text/html; charset=utf-8", "<!doctype html>"),
        ("/index.html", "200", "text/html; charset=utf-8", "<!doctype html>"),
        ("/health", "200", "text/plain; charset=utf-8", "ok"),
        ("/stats.json", "200", "application/json", "{\"torrents\":0,"),
        ("/config.json", "200", "application/json", "{\"iceServers\":[{\"urls\":\"stun:stun.example.org\"}]}"),
        ("/nothing", "404", "text/plain; charset=utf-8", "There is nothing here."),
    ] {
        let page = server.get(path).await.replace("<!DOCTYPE", "<!doctype");
        let (head, found) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
        assert!(head.contains(&format!("content-type: {kind}\r\n")), "{path}: {head}");
        assert!(found.starts_with(body), "{path}: {found}");
        for header in [
            "content-security-policy: default-src 'self'; script-src 'self' 'wasm-unsafe-eval';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(header), "{path} has {header}: {head}");
        }
    }
    let post = server.request("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD"), "{post}");
    let head = server.request("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("cache-control: no-cache\r\n"), "{head}");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an entity tag");
    let again = format!("GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\nConnection: close\r\n\r\n");
    assert!(server.request(&again).await.starts_with("HTTP/1.1 304 "));
    server.stop().await;
}

#[tokio::test]
async fn s18_compression_is_not_negotiated() {
    let server = Server::start(Options::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let response = upgrade(&mut stream, extension).await.to_ascii_lowercase();
    assert!(response.starts_with("http/1.1 101 "), "{response}");
    assert!(response.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "RFC 6455 §1.3: {response}");
    assert!(!response.contains("extensions"), "{response}");
    // A compressed frame all the same: its reserved bit breaks the protocol.
    stream.write_all(&frame(0xc1, b"x")).await.unwrap();
    assert_eq!(close_code(&bytes_until_closed(&mut stream).await), Some(1002));

    for (request, status) in [
        ("Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n", "426"),
        ("Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n", "400"),
        ("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\nConnection: close\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: x\r\n{request}\r\n").as_bytes()).await.unwrap();
        let mut response = [0; 12];
        stream.read_exact(&mut response).await.unwrap();
        assert_eq!(&response[9..], status.as_bytes(), "{request}");
    }
    server.stop().await;
}

#[tokio::test]
async fn s2_text_that_is_not_utf8_is_closed_with_1007() {
    let server = Server::start(Options::default()).await;
    for first in [0x81, 0x82] {
        let mut stream = server.raw().await;
        stream.write_all(&frame(first, b"{\"action\":\"\xff\"}")).await.unwrap();
        assert_eq!(close_code(&bytes_until_closed(&mut stream).await), Some(1007), "{first:x}");
    }
    server.stop().await;
}

#[tokio::test]
async fn s3_oversized_messages_are_closed_with_1009() {
    let server = Server::start(Options::default()).await;
    let mut bystander = server.join().await;

    let mut largest = server.join().await;
    largest.0.send(Message::text(" ".repeat(MESSAGE_BYTES_MAX))).await.unwrap();
    assert!(matches!(largest.next().await, ServerMessage::Failure { .. }), "the largest message gets a reply");
    largest.0.send(Message::text(" ".repeat(MESSAGE_BYTES_MAX + 1))).await.unwrap();
    assert_eq!(largest.close_code().await, Some(1009));

    // Only the head of the frame is sent: nothing waits for the rest.
    for length in [70 << 10, 1 << 20, 10 << 20, 1_u64 << 63] {
        let mut stream = server.raw().await;
        stream.write_all(&[&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()).await.unwrap();
        let code = close_code(&bytes_until_closed(&mut stream).await);
        assert!(matches!(code, Some(1009 | 1002)), "{length}: {code:?}");
    }
    // A message may not grow beyond the cap by fragments either.
    let mut stream = server.raw().await;
    let large = [&[0x01, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], &[b' '; 65535]].concat();
    stream.write_all(&large).await.unwrap();
    stream.write_all(&frame(0x00, b"    ")).await.unwrap();
    assert_eq!(close_code(&bytes_until_closed(&mut stream).await), Some(1009));

    bystander.expect_alive(1).await;
    server.stop().await;
}

#[tokio::test]
async fn s4_floods_of_fragments_and_pings_are_closed() {
    let server = Server::start(Options::default()).await;
    let mut bystander = server.join().await;

    // What is allowed: 64 fragments, with a ping between them.
    let text = format!("{:64}", ClientMessage::Scrape(vec![HASH]).write());
    let mut pieces: Vec<_> = text.as_bytes().chunks(text.len().div_ceil(60)).map(|piece| frame(0x00, piece)).collect();
    pieces[0][0] = 0x01;
    pieces.last_mut().unwrap()[0] = 0x80;
    pieces.insert(5, frame(0x89, b"hi"));
    let mut stream = server.raw().await;
    stream.write_all(&pieces.concat()).await.unwrap();
    let mut reply = [0; 8];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[..4], [0x8a, 2, b'h', b'i'], "the pong");
    assert_eq!(reply[4], 0x81, "the reply");

    let flood = |first: u8, count| frame(first, b"").repeat(count);
    for (name, bytes) in [
        ("fragments", [frame(0x01, b"x"), flood(0x00, 10_000)].concat()),
        ("fragments with text", [frame(0x01, b"x"), frame(0x00, b"x").repeat(10_000)].concat()),
        ("pings", flood(0x89, 10_000)),
        ("pongs", flood(0x8a, 10_000)),
    ] {
        let mut stream = server.raw().await;
        let _ = stream.write_all(&bytes).await; // the server may have closed already
        // The close frame may be lost: the flood that is still unread resets the connection.
        let code = close_code(&bytes_until_closed(&mut stream).await);
        assert!(matches!(code, None | Some(1008)), "{name}: {code:?}");
    }
    bystander.expect_alive(1).await;
    server.stop().await;
}

#[tokio::test]
async fn s5_slow_and_huge_handshakes_are_closed() {
    let sockets = ServerLimits { handshake: Duration::from_millis(500), ..ServerLimits::default() };
    let server = Server::with_sockets(sockets).await;
    let mut slow = Vec::new();
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let drip = async {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while stream.write_all(b"X: y\r\n").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let honest = async { server.join().await.expect_alive(1).await };
    let (dripped, ()) = tokio::join!(timeout(PATIENCE, drip), honest);
    dripped.expect("a drip is closed");
    for mut stream in slow {
        assert_eq!(text_until_closed(&mut stream).await, "", "slow ones are closed without a word");
    }
    let huge = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(65));
    for head in [huge, many] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let _ = stream.write_all(head.as_bytes()).await; // the server may have closed already
        let response = text_until_closed(&mut stream).await;
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 431 "), "{response}");
    }
    server.stop().await;
}

#[tokio::test]
async fn s15_connections_of_one_address_are_capped() {
    let sockets = ServerLimits { connections_per_address: 5, ..ServerLimits::default() };
    let server = Server::with_sockets(sockets).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.join().await);
    }
    let idle = [TcpStream::connect(server.address).await.unwrap(), TcpStream::connect(server.address).await.unwrap()];
    assert!(server.get("/health").await.starts_with("HTTP/1.1 429 "), "handshakes count too");
    drop(idle);
    clients[0].expect_alive(1).await;
    for _ in 0..200 {
        if server.get("/health").await.starts_with("HTTP/1.1 200 ") {
            return server.stop().await;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("closed connections still count");
}

#[tokio::test]
async fn s6_a_client_without_pulse_is_closed_and_leaves_its_swarm() {
    let (ping, pong) = (Duration::from_millis(100), Duration::from_millis(700));
    let server = Server::with_sockets(ServerLimits { ping, pong, ..ServerLimits::default() }).await;
    let mut living = server.join().await;
    living.expect_alive(1).await;
    let mut dead = server.raw().await;
    let announce = ClientMessage::Announce(leecher(2)).write();
    assert!(announce.len() > 125);
    let head = [&[0x81, 0xfe][..], &(announce.len() as u16).to_be_bytes(), &[0; 4], announce.as_bytes()].concat();
    dead.write_all(&head).await.unwrap();
    let living = tokio::spawn(async move { living.close_code().await }); // reads, and so answers pings
    server.wait_for_peers(2).await;
    let heard = bytes_until_closed(&mut dead).await;
    assert!(heard.windows(2).any(|pair| pair == [0x89, 0]), "it was pinged");
    server.wait_for_peers(1).await;
    assert!(!living.is_finished());
    server.stop().await;
    assert_eq!(timeout(PATIENCE, living).await.unwrap().unwrap(), Some(1001));
}

#[tokio::test]
async fn s6_a_client_that_never_announces_is_closed() {
    let tracker = TrackerLimits { silence: Duration::from_millis(500), ..TrackerLimits::default() };
    let server = Server::start(Options { tracker, ..Options::default() }).await;
    assert_eq!(server.join().await.close_code().await, Some(1000));
    server.stop().await;
}

#[tokio::test]
async fn s7_a_deaf_client_is_closed_and_nobody_waits_for_it() {
    let tracker = TrackerLimits { announce_burst: 100_000, offers_outstanding: 100_000, ..TrackerLimits::default() };
    let sockets = ServerLimits { blocked: Duration::from_millis(300), ..ServerLimits::default() };
    let server = Server::start(Options { tracker, sockets, ..Options::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(server.address).await.unwrap();
    let request = format!("ws://{}/", server.address).into_client_request().unwrap();
    let mut deaf = Client(client_async(request, stream).await.unwrap().0);
    deaf.expect_alive(1).await;

    // The only other peer takes all offers, until it is found not to read them.
    let mut talker = server.join().await;
    let mut rounds = 0;
    loop {
        let reply = talker.announce(with_offers(2, 1, 16 << 10)).await;
        let ServerMessage::Response { incomplete, .. } = reply else { panic!("{reply:?}") };
        if incomplete == 1 {
            break;
        }
        rounds += 1;
        assert!(rounds < 50_000, "a deaf client stays");
    }
    assert!(rounds > 10);
    server.stop().await;
}

#[tokio::test]
async fn s9_a_dead_owner_of_a_peer_id_is_found_out_and_a_living_one_stays() {
    let sockets = ServerLimits { probe: Duration::from_millis(500), ..ServerLimits::default() };
    let server = Server::with_sockets(sockets).await;
    let (mut owner, mut claimant) = (server.join().await, server.join().await);
    owner.expect_alive(1).await;
    for _ in 0..3 {
        let reply = claimant.announce(leecher(1)).await;
        assert!(matches!(reply, ServerMessage::Failure { .. }), "{reply:?}");
        owner.expect_alive(1).await; // reads, and so answers the probe
    }
    // From here on the owner does not read: like a computer that was unplugged.
    for _ in 0..200 {
        if matches!(claimant.announce(leecher(1)).await, ServerMessage::Response { .. }) {
            return server.stop().await;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the name of a dead peer is never free");
}

#[tokio::test]
async fn s11_an_offer_flood_is_bounded_and_closed() {
    let server = Server::start(Options::default()).await;
    let (mut victim, mut flooder) = (server.join().await, server.join().await);
    victim.expect_alive(1).await;
    let text = ClientMessage::Announce(with_offers(2, 10, 100)).write();
    let mut refused = None;
    for _ in 0..2000 {
        if let Err(error) = flooder.0.feed(Message::text(text.clone())).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, None | Some(Error::Io(_))), "{refused:?}");
    let code = flooder.close_code().await;
    assert!(matches!(code, None | Some(1008)), "{code:?}");
    victim.send(ClientMessage::Scrape(vec![HASH])).await;
    let mut offers = 0;
    while let ServerMessage::Offer { .. } = victim.next().await {
        offers += 1;
    }
    assert!((1..=64).contains(&offers), "{offers}");
    server.stop().await;
}

#[tokio::test]
async fn a_stop_says_goodbye_to_everybody() {
    let server = Server::start(Options::default()).await;
    let mut clients = [server.join().await, server.join().await];
    clients[0].expect_alive(1).await;
    let mut keep_alive = TcpStream::connect(server.address).await.unwrap();
    keep_alive.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    keep_alive.read_exact(&mut [0; 12]).await.unwrap();
    let address = server.address;
    let ends = async {
        let [first, second] = &mut clients;
        assert_eq!((first.close_code().await, second.close_code().await), (Some(1001), Some(1001)));
        text_until_closed(&mut keep_alive).await;
    };
    tokio::join!(server.stop(), ends);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
