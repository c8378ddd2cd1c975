//! A server on a loopback port, and clients of it: what the tests over real sockets share.
//!
//! Invariant: everything that is waited for comes within [`PATIENCE`], or the test fails.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Announce, ClientMessage, ServerMessage};
use swarmreel_signaling::server::{Options, ServerLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, client_async};

pub(crate) const HASH: InfoHash = InfoHash([7; 20]);
/// For what must happen, on a machine however busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(options: Options) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), options).await
    }

    pub(crate) async fn start_at(address: SocketAddr, options: Options) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, options, async { drop(stopped.await) }));
        Self { address, stop, task }
    }

    /// With limits so short that the clocks have to be looked at often.
    pub(crate) async fn with_sockets(sockets: ServerLimits) -> Self {
        let sockets = ServerLimits { tick: Duration::from_millis(20), ..sockets };
        Self::start(Options { sockets, ..Options::default() }).await
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.expect("the server stops").unwrap().unwrap();
    }

    pub(crate) async fn join(&self) -> Client {
        let request = format!("ws://{}/announce", self.address).into_client_request().unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client(client_async(request, stream).await.expect("a WebSocket").0)
    }

    /// A connection that was upgraded by hand, and sends what bytes it likes.
    pub(crate) async fn raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        upgrade(&mut stream, "").await;
        stream
    }

    /// What the server sends for this request until it closes the connection.
    pub(crate) async fn request(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        text_until_closed(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    /// A member of /stats.json, which may be a second old.
    pub(crate) async fn wait_for_peers(&self, count: u64) {
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

/// A connection from one of many loopback addresses, of which each gives way to the next after 50.
pub(crate) async fn connect_from(number: usize, to: SocketAddr) -> TcpStream {
    let [.., high, low] = (number / 50).to_be_bytes();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 1, high, low), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

pub(crate) struct Client(pub(crate) WebSocketStream<TcpStream>);

impl Client {
    pub(crate) async fn send(&mut self, message: ClientMessage) {
        self.0.send(Message::text(message.write())).await.expect("the connection is open");
    }

    /// The next message of the tracker.
    pub(crate) async fn next(&mut self) -> ServerMessage {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message").expect("an open connection").unwrap() {
                Message::Text(text) => return ServerMessage::parse(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads to the end: the close code, or none if the connection just ended.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = timeout(PATIENCE, self.0.next()).await.expect("the connection ends") {
            if let Message::Close(Some(CloseFrame { code: found, .. })) = message {
                code = Some(found.into());
            }
        }
        code
    }

    pub(crate) async fn announce(&mut self, announce: Announce) -> ServerMessage {
        self.send(ClientMessage::Announce(announce)).await;
        self.next().await
    }

    /// Shows that the connection works.
    pub(crate) async fn expect_alive(&mut self, name: u8) {
        let reply = self.announce(leecher(name)).await;
        assert!(matches!(reply, ServerMessage::Response { .. }), "{reply:?}");
    }
}

/// Bytes of the process that are in memory; 0 where there is no /proc.
pub(crate) fn resident() -> usize {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc(5)");
    let kib: usize = line.trim().trim_end_matches(" kB").parse().expect("proc(5)");
    kib << 10
}

pub(crate) fn leecher(name: u8) -> Announce {
    let (info_hash, peer_id) = (HASH, PeerId([name; 20]));
    Announce { info_hash, peer_id, event: None, left: None, uploaded: 0, downloaded: 0, numwant: None, offers: vec![] }
}

pub(crate) fn with_offers(name: u8, count: u8, sdp_bytes: usize) -> Announce {
    let offers = (0..count).map(|index| (OfferId([index; 20]), "s".repeat(sdp_bytes))).collect();
    Announce { offers, ..leecher(name) }
}

pub(crate) async fn upgrade(stream: &mut TcpStream, more: &str) -> String {
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
pub(crate) async fn bytes_until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = timeout(PATIENCE, stream.read(&mut piece)).await.expect("the connection ends") {
        bytes.extend(&piece[..count]);
    }
    bytes
}

pub(crate) async fn text_until_closed(stream: &mut TcpStream) -> String {
    String::from_utf8(bytes_until_closed(stream).await).unwrap()
}

/// The code of the close frame in what a server sent.
pub(crate) fn close_code(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(2).position(|pair| pair[0] == 0x88 && pair[1] >= 2)?;
    Some(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]))
}

/// A masked frame with a mask of zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}
