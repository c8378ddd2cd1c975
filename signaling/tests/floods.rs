//! Floods over real loopback sockets, and what they cost: rows S3, S4, S7, S11 and S12 of the threat model.
//!
//! Invariant: these tests run one at a time, apart from all others, so what the process grows by meanwhile (on Linux) is
//! the flood's. The bounds leave room for the allocator; a flood that is stored exceeds them several times over.

mod common;

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_util::SinkExt;
use swarmreel::ids::InfoHash;
use swarmreel::tracker::message::{Announce, ClientMessage, MESSAGE_BYTES_MAX, ServerMessage};
use swarmreel_signaling::TrackerLimits;
use swarmreel_signaling::server::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use common::{Client, HASH, PATIENCE, Server, bytes_until_closed, close_code, frame, leecher, resident, with_offers};

const MIB: usize = 1 << 20;
/// For what must happen at once, on a machine however busy. The row says 1 s.
const PROMPT: Duration = Duration::from_secs(5);

static ALONE: Mutex<()> = Mutex::const_new(());

/// Notes how much memory the process has at most, from now on.
struct Memory {
    before: usize,
    stop: Sender<()>,
    highest: JoinHandle<usize>,
}

impl Memory {
    fn watch() -> Self {
        let (stop, stopped) = mpsc::channel();
        let before = resident();
        let highest = thread::spawn(move || {
            let mut highest = before;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_millis(1)) {
                highest = highest.max(resident());
            }
            highest.max(resident())
        });
        Self { before, stop, highest }
    }

    /// Ends the watch: by how many bytes the process grew.
    fn growth(self) -> usize {
        drop(self.stop);
        self.highest.join().unwrap().saturating_sub(self.before)
    }

    #[track_caller]
    fn assert_growth_at_most(self, bytes: usize) {
        let growth = self.growth();
        assert!(growth <= bytes, "the process grew by {} KiB, not {} KiB at most", growth >> 10, bytes >> 10);
    }
}

#[tokio::test]
async fn s3_oversized_messages_are_closed_with_1009() {
    let _alone = ALONE.lock().await;
    let server = Server::start(Options::default()).await;
    let mut bystander = server.join().await;

    let mut largest = server.join().await;
    largest.0.send(Message::text(" ".repeat(MESSAGE_BYTES_MAX))).await.unwrap();
    assert!(matches!(largest.next().await, ServerMessage::Failure { .. }), "the largest message gets a reply");
    largest.0.send(Message::text(" ".repeat(MESSAGE_BYTES_MAX + 1))).await.unwrap();
    assert_eq!(largest.close_code().await, Some(1009));

    let body = vec![b' '; 32 * MIB];
    let memory = Memory::watch();
    oversized(&server, &body).await;
    memory.assert_growth_at_most(2 * MIB);
    // The row's 128 KiB are less than what an allocator may take for each thread, once.
    let mut rounds = Vec::new();
    while rounds.iter().all(|growth| *growth > 128 << 10) {
        assert!(rounds.len() < 20, "it grows again and again: {rounds:?}");
        let memory = Memory::watch();
        oversized(&server, &body).await;
        rounds.push(memory.growth());
    }

    bystander.expect_alive(1).await;
    server.stop().await;
}

/// Messages that are too large, each of a connection of its own.
async fn oversized(server: &Server, body: &[u8]) {
    // With the head of the frame alone, and with as much of the rest as the server takes.
    for length in [70 << 10, 1 << 20, 32 << 20, 1_u64 << 63] {
        for sent in [0, body.len().min(usize::try_from(length).unwrap_or(usize::MAX))] {
            let mut stream = server.raw().await;
            stream.write_all(&[&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()).await.unwrap();
            let _ = stream.write_all(&body[..sent]).await; // the server may have closed already
            // The close frame may be lost: what is still unread resets the connection.
            let code = close_code(&bytes_until_closed(&mut stream).await);
            assert!(matches!(code, Some(1009 | 1002)) || (code.is_none() && sent > 0), "{length}: {code:?}");
        }
    }
    // A message may not grow beyond the cap by fragments either.
    let mut stream = server.raw().await;
    let large = [&[0x01, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], &[b' '; 65535]].concat();
    stream.write_all(&large).await.unwrap();
    stream.write_all(&frame(0x00, b"    ")).await.unwrap();
    assert_eq!(close_code(&bytes_until_closed(&mut stream).await), Some(1009));
}

#[tokio::test]
async fn s4_floods_of_fragments_and_pings_are_closed_at_once() {
    let _alone = ALONE.lock().await;
    let server = Server::start(Options::default()).await;
    let mut bystander = server.join().await;
    expect_fragments_allowed(&server).await;

    let flood = |first: u8, count| frame(first, b"").repeat(count);
    let floods = [
        ("fragments", [frame(0x01, b"x"), flood(0x00, 1_000_000)].concat()),
        ("fragments with text", [frame(0x01, b"x"), frame(0x00, b"x").repeat(1_000_000)].concat()),
        ("pings", flood(0x89, 1_000_000)),
        ("pongs", flood(0x8a, 1_000_000)),
    ];
    for (name, bytes) in &floods {
        expect_closed(&server, name, bytes).await;
    }
    let memory = Memory::watch();
    for (name, bytes) in &floods {
        expect_closed(&server, name, bytes).await;
    }
    memory.assert_growth_at_most(MIB);
    bystander.expect_alive(1).await;
    server.stop().await;
}

/// A flood is closed at once; so it takes the worker no time, of which the row allows a fifth.
async fn expect_closed(server: &Server, name: &str, flood: &[u8]) {
    let mut stream = server.raw().await;
    let closed = async {
        let _ = stream.write_all(flood).await; // the server may have closed already
        bytes_until_closed(&mut stream).await
    };
    let heard = timeout(PROMPT, closed).await.unwrap_or_else(|_| panic!("{name}: not closed within {PROMPT:?}"));
    // The close frame may be lost: the flood that is still unread resets the connection.
    let code = close_code(&heard);
    assert!(matches!(code, None | Some(1008)), "{name}: {code:?}");
}

/// A message of 60 fragments with a ping between them gets its pong and its reply.
async fn expect_fragments_allowed(server: &Server) {
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
}

#[tokio::test]
async fn s7_a_deaf_client_is_closed_and_nobody_waits_for_it() {
    let _alone = ALONE.lock().await;
    // One talker stands for many; what is shown is the sockets' limits, which are the default ones.
    let (announce_burst, household_announces_per_second) = (100_000, 100_000);
    let tracker = TrackerLimits { announce_burst, household_announces_per_second, ..TrackerLimits::default() };
    let server = Server::start(Options { tracker, ..Options::default() }).await;
    let (mut deaf, mut talker, mut bystander) = (deaf(&server).await, server.join().await, server.join().await);
    for torrent in 0..TORRENTS {
        deaf.send(ClientMessage::Announce(of(torrent, leecher(1)))).await;
    }
    server.wait_for_peers(1).await;

    let memory = Memory::watch();
    // Sixteen offers of 16 KB in each torrent are eight times what kernels keep for a socket. No more come as long as
    // none is answered.
    for torrent in (0..16).flat_map(|_| 0..TORRENTS) {
        let reply = talker.announce(of(torrent, with_offers(2, 1, 15 << 10))).await;
        assert!(matches!(reply, ServerMessage::Response { .. }), "{reply:?}");
        if torrent == 0 {
            timeout(PROMPT, bystander.announce(of(200, leecher(3)))).await.expect("a bystander does not wait");
        }
    }
    // Its outbox is full, and it takes nothing. The row has 12 s.
    timeout(2 * PATIENCE, server.wait_for_peers(2)).await.expect("the deaf one is closed");
    memory.assert_growth_at_most(2 * MIB);
    timeout(PROMPT, bystander.announce(of(200, leecher(3)))).await.expect("a bystander does not wait");
    server.stop().await;
}

/// As many torrents as a connection may be in.
const TORRENTS: u8 = 128;

fn of(torrent: u8, announce: Announce) -> Announce {
    Announce { info_hash: InfoHash([torrent; 20]), ..announce }
}

/// A client whose kernel keeps little for it, so that what it does not read soon waits at the server.
async fn deaf(server: &Server) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream: TcpStream = socket.connect(server.address).await.unwrap();
    let request = format!("ws://{}/", server.address).into_client_request().unwrap();
    Client(client_async(request, stream).await.unwrap().0)
}

#[tokio::test]
async fn s11_an_offer_flood_is_bounded_and_closed() {
    let _alone = ALONE.lock().await;
    let server = Server::start(Options::default()).await;
    let (mut victim, mut flooder) = (server.join().await, server.join().await);
    victim.expect_alive(1).await;
    let text = ClientMessage::Announce(with_offers(2, 10, 1500)).write();
    let memory = Memory::watch();
    let flood = async {
        loop {
            if let Err(error) = flooder.0.feed(Message::text(text.clone())).await {
                return error;
            }
        }
    };
    let refused = timeout(PATIENCE * 2, flood).await.expect("whoever goes on for ten seconds is closed");
    assert!(matches!(refused, Error::Io(_)), "{refused:?}");
    let code = flooder.close_code().await;
    assert!(matches!(code, None | Some(1008)), "{code:?}");
    memory.assert_growth_at_most(5 * MIB);
    victim.send(ClientMessage::Scrape(vec![HASH])).await;
    let mut offers = 0;
    while let ServerMessage::Offer { .. } = victim.next().await {
        offers += 1;
    }
    assert!((1..=64).contains(&offers), "{offers}");
    server.stop().await;
}

#[tokio::test]
async fn s12_swarms_leave_no_memory_behind() {
    let _alone = ALONE.lock().await;
    let (announce_burst, household_announces_per_second, torrents_per_connection) = (100_000, 100_000, 2000);
    let tracker = TrackerLimits {
        announce_burst,
        household_announces_per_second,
        torrents_per_connection,
        ..TrackerLimits::default()
    };
    let server = Server::start(Options { tracker, ..Options::default() }).await;
    for round in 0..2 {
        swarm_flood(&server, round).await; // what the allocator keeps for itself is there from now on
    }
    let before = resident();
    for round in 2..4 {
        swarm_flood(&server, round).await;
    }
    let growth = resident().saturating_sub(before);
    assert!(growth <= before / 20 + 2 * MIB, "the process grew by {} KiB", growth >> 10);
    server.stop().await;
}

/// 10 sockets announce 2,000 torrents each, and leave.
async fn swarm_flood(server: &Server, round: u8) {
    let mut clients = Vec::new();
    for name in 0..10 {
        let mut client = server.join().await;
        for number in 0..2000_u16 {
            let [high, low] = number.to_be_bytes();
            let mut hash = [round; 20];
            hash[..3].copy_from_slice(&[name, high, low]);
            let reply = client.announce(Announce { info_hash: InfoHash(hash), ..leecher(name) }).await;
            assert!(matches!(reply, ServerMessage::Response { .. }), "{reply:?}");
        }
        clients.push(client);
    }
    drop(clients);
    timeout(PATIENCE, server.wait_for_peers(0)).await.expect("swarms end with their last peer");
}
