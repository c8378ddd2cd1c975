//! TLS over real loopback sockets (threat-model S21).

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use swarmreel::tracker::message::{ClientMessage, ServerMessage};
use swarmreel_signaling::server::{Options, ServerLimits, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use common::{PATIENCE, Server, connect_from, leecher};

/// Two certificates for localhost with their keys, and the files that hold one of them.
struct Certificates {
    folder: PathBuf,
    pairs: [(String, String); 2],
    roots: RootCertStore,
}

impl Certificates {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("swarmreel-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut roots = RootCertStore::empty();
        let pairs = [(); 2].map(|()| {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            roots.add(made.cert.der().clone()).unwrap();
            (made.cert.pem(), made.signing_key.serialize_pem())
        });
        let this = Self { folder, pairs, roots };
        this.write(0);
        this
    }

    /// Puts one of them into the files.
    fn write(&self, index: usize) {
        let (certificate, key) = &self.pairs[index];
        fs::write(self.folder.join("chain.pem"), certificate).unwrap();
        fs::write(self.folder.join("key.pem"), key).unwrap();
    }

    fn load(&self) -> Arc<Tls> {
        Tls::load(self.folder.join("chain.pem"), self.folder.join("key.pem")).unwrap().into()
    }

    /// Which of them the server shows.
    fn shown<S>(&self, stream: &TlsStream<S>) -> Option<usize> {
        let [shown] = stream.get_ref().1.peer_certificates()? else { return None };
        let pems = self.pairs.each_ref().map(|(pem, _)| pem);
        pems.iter().position(|pem| {
            use tokio_rustls::rustls::pki_types::pem::PemObject;
            CertificateDer::from_pem_slice(pem.as_bytes()).unwrap() == *shown
        })
    }

    async fn connect(&self, server: &Server) -> TlsStream<TcpStream> {
        self.connect_with(server, &[&version::TLS13, &version::TLS12]).await
    }

    async fn connect_with(
        &self,
        server: &Server,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(server.address).await.unwrap();
        self.agree(stream, versions).await
    }

    /// A connection whose client says nothing at first.
    async fn connect_after(&self, server: &Server, silence: Duration) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(server.address).await.unwrap();
        sleep(silence).await;
        self.agree(stream, &[&version::TLS13]).await
    }

    async fn agree(&self, stream: TcpStream, versions: &[&'static SupportedProtocolVersion]) -> TlsStream<TcpStream> {
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
        let builder = builder.with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let handshake = connector.connect("localhost".try_into().unwrap(), stream);
        timeout(PATIENCE, handshake).await.expect("a handshake in time").expect("a handshake")
    }

    async fn join(&self, server: &Server) -> WebSocketStream<TlsStream<TcpStream>> {
        let stream = self.connect(server).await;
        client_async("wss://localhost/", stream).await.expect("a WebSocket").0
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn expect_alive(name: u8, socket: &mut WebSocketStream<TlsStream<TcpStream>>) {
    let announce = ClientMessage::Announce(leecher(name)).write();
    socket.send(Message::text(announce)).await.unwrap();
    let reply = timeout(PATIENCE, socket.next()).await.expect("a reply").expect("an open connection").unwrap();
    let reply = ServerMessage::parse(reply.to_text().unwrap()).unwrap();
    assert!(matches!(reply, ServerMessage::Response { .. }), "{reply:?}");
}

async fn get(mut stream: TlsStream<TcpStream>, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut page = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut page)).await.expect("an answer").unwrap();
    String::from_utf8(page).unwrap()
}

#[tokio::test]
async fn s21_new_connections_see_the_new_certificate_and_open_ones_go_on() {
    let certificates = Certificates::new("swap");
    let tls = certificates.load();
    let server = Server::start(Options { tls: Some(tls.clone()), ..Options::default() }).await;
    let mut first = certificates.join(&server).await;
    assert_eq!(certificates.shown(first.get_ref()), Some(0));
    expect_alive(1, &mut first).await;

    certificates.write(1);
    tls.reload().unwrap();
    let mut second = certificates.join(&server).await;
    assert_eq!(certificates.shown(second.get_ref()), Some(1));
    expect_alive(1, &mut first).await;
    expect_alive(2, &mut second).await;

    fs::write(certificates.folder.join("chain.pem"), "-----BEGIN CERTIFICATE-----\nMII").unwrap();
    tls.reload().unwrap_err();
    let mut third = certificates.join(&server).await;
    assert_eq!(certificates.shown(third.get_ref()), Some(1), "a broken file keeps the old one");
    for (name, socket) in [(1, &mut first), (2, &mut second), (3, &mut third)] {
        expect_alive(name, socket).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn both_versions_speak_http_1_and_pages_ask_to_stay_with_tls() {
    let certificates = Certificates::new("versions");
    let server = Server::start(Options { tls: Some(certificates.load()), ..Options::default() }).await;
    for version in [&version::TLS12, &version::TLS13] {
        let stream = certificates.connect_with(&server, &[version]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let page = get(stream, "/health").await;
        assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("\r\n\r\nok\n"), "{page}");
        assert!(page.contains("strict-transport-security: max-age="), "{page}");
    }
    server.stop().await;
    let plain = Server::start(Options::default()).await;
    assert!(!plain.get("/health").await.contains("strict-transport-security"));
    plain.stop().await;
}

#[tokio::test]
async fn s21_half_open_handshakes_are_closed_and_honest_ones_served() {
    let certificates = Certificates::new("half-open");
    let sockets = ServerLimits::default().with_open_files();
    let server = Server::start(Options { tls: Some(certificates.load()), sockets, ..Options::default() }).await;
    // The head of a record with a ClientHello that never comes, plain HTTP apart.
    let starts: [&[u8]; 3] = [b"", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], &[0x16]];
    let mut half_open = Vec::new();
    for number in 0..1000 {
        let mut stream = connect_from(number, server.address).await;
        stream.write_all(starts[number % starts.len()]).await.unwrap();
        half_open.push(stream);
    }
    let mut honest = certificates.join(&server).await;
    expect_alive(1, &mut honest).await;
    let closed = async {
        for stream in &mut half_open {
            while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
        }
    };
    // Within 12 s by the row.
    timeout(PATIENCE, closed).await.expect("all are closed in time");
    expect_alive(1, &mut honest).await;
    server.stop().await;
}

#[tokio::test]
async fn s5_tls_and_the_head_of_the_request_have_one_deadline_together() {
    let certificates = Certificates::new("deadline");
    let handshake = Duration::from_secs(4);
    let sockets = ServerLimits { handshake, ..ServerLimits::default() };
    let server = Server::start(Options { tls: Some(certificates.load()), sockets, ..Options::default() }).await;
    let began = Instant::now();
    let mut slow = certificates.connect_after(&server, Duration::from_secs(3)).await;
    slow.write_all(b"GET / HT").await.unwrap();
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, slow.read_to_end(&mut heard)).await.expect("it is closed");
    // With 10 s, the row has 12 s for both; one after the other they would take at least 7 s here.
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn s21_half_open_handshakes_count_for_their_address() {
    let certificates = Certificates::new("share");
    let sockets = ServerLimits { connections_per_address: 3, ..ServerLimits::default() };
    let server = Server::start(Options { tls: Some(certificates.load()), sockets, ..Options::default() }).await;
    let mut honest = certificates.join(&server).await;
    let _half_open =
        [TcpStream::connect(server.address).await.unwrap(), TcpStream::connect(server.address).await.unwrap()];
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, refused.read_to_end(&mut heard)).await.expect("it is closed");
    expect_alive(1, &mut honest).await;
    server.stop().await;
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_closed() {
    let certificates = Certificates::new("plain");
    let server = Server::start(Options { tls: Some(certificates.load()), ..Options::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it is closed");
    assert!(!heard.starts_with(b"HTTP/"), "nothing is served in the clear");
    expect_alive(1, &mut certificates.join(&server).await).await;
    server.stop().await;
}
