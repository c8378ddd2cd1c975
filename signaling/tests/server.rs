//! The server over real loopback sockets. Tests named s3, s5, … are rows of the threat model, with limits shortened so
//! that a deadline passes in a fraction of a second; no test depends on how fast something happens, only on whether.

mod common;

use std::time::Duration;

use futures_util::SinkExt;
use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use swarmreel_signaling::TrackerLimits;
use swarmreel_signaling::server::{Ice, Options, ServerLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use common::{
    HASH, PATIENCE, Server, bytes_until_closed, close_code, frame, leecher, text_until_closed, upgrade, with_offers,
};

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
async fn peers_of_all_workers_meet() {
    let server = Server::start(Options { workers: 4, ..Options::default() }).await;
    let mut clients = Vec::new();
    for name in 0..8 {
        let mut client = server.join().await; // the worker with the fewest connections has it: each has two
        client.expect_alive(name).await;
        clients.push(client);
    }
    server.wait_for_peers(8).await;
    let reply = clients[0].announce(with_offers(0, 7, 1000)).await;
    assert!(matches!(reply, ServerMessage::Response { incomplete: 8, .. }), "{reply:?}");
    for name in 1..8_u8 {
        let client = &mut clients[usize::from(name)];
        let ServerMessage::Offer { peer_id: to_peer_id, offer_id, .. } = client.next().await else {
            panic!("no offer")
        };
        let (peer_id, sdp) = (PeerId([name; 20]), format!("v={name}"));
        let answer = Answer { info_hash: HASH, peer_id, to_peer_id, offer_id, sdp: sdp.clone(), left: None };
        client.send(ClientMessage::Answer(answer)).await;
        let relayed = ServerMessage::Answer { info_hash: HASH, peer_id, offer_id, sdp };
        assert_eq!(clients[0].next().await, relayed);
    }
    // Torrents of all shards in one reply, in the order asked for.
    let hashes: Vec<_> = (0..20).map(|number| InfoHash([number; 20])).collect();
    clients[1].send(ClientMessage::Scrape(hashes.clone())).await;
    let ServerMessage::Scrape(files) = clients[1].next().await else { panic!("no scrape") };
    let counts = hashes.iter().map(|hash| (*hash, if *hash == HASH { 8 } else { 0 }));
    assert_eq!(
        files.iter().map(|(hash, tally)| (*hash, tally.incomplete)).collect::<Vec<_>>(),
        counts.collect::<Vec<_>>()
    );
    // A peer that leaves is gone from another worker's swarm.
    drop(clients.pop());
    server.wait_for_peers(7).await;
    let reply = clients[1].announce(leecher(1)).await;
    assert!(matches!(reply, ServerMessage::Response { incomplete: 7, .. }), "{reply:?}");
    server.stop().await;
}

#[tokio::test]
async fn s11_a_household_has_one_bucket_at_all_workers_together() {
    let tracker =
        TrackerLimits { household_announces_per_second: 1, household_burst_seconds: 20, ..Default::default() };
    let server = Server::start(Options { tracker, workers: 4, ..Options::default() }).await;
    let began = Instant::now();
    let mut served = 0;
    for name in 0..8 {
        let mut client = server.join().await; // each worker has two
        for _ in 0..10 {
            match client.announce(leecher(name)).await {
                ServerMessage::Response { .. } => served += 1,
                ServerMessage::Failure { reason, .. } => assert_eq!(reason, "too many messages"),
                other => panic!("{other:?}"),
            }
        }
    }
    let most = 20 + began.elapsed().as_secs() + 1;
    assert!((20..=most).contains(&served), "{served} of 80, {most} at most");
    server.stop().await;
}

#[tokio::test]
async fn what_is_sent_with_the_handshake_is_read() {
    let server = Server::start(Options::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Two messages in many fragments, the last one in a second write.
    let text = ClientMessage::Scrape(vec![HASH]).write();
    let mut pieces: Vec<_> = text.as_bytes().chunks(20).map(|piece| frame(0x00, piece)).collect();
    pieces[0][0] = 0x01;
    pieces.last_mut().unwrap()[0] = 0x80;
    let message = pieces.concat();
    let head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(&[head.as_bytes(), &message, &message[..30]].concat()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(stream.read_u8().await.unwrap());
    }
    for rest in [&[][..], &message[30..]] {
        stream.write_all(rest).await.unwrap();
        let mut head = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("a reply").unwrap();
        assert_eq!(head[..2], [0x81, 126], "a text of more than 125 bytes");
        let mut reply = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        stream.read_exact(&mut reply).await.unwrap();
        let reply = ServerMessage::parse(std::str::from_utf8(&reply).unwrap()).unwrap();
        assert!(matches!(reply, ServerMessage::Scrape(_)), "{reply:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_have_their_types_and_the_security_headers() {
    let ice = Ice { servers: vec!["stun:stun.example.org".to_owned()], ..Ice::default() };
    let options = Options { ice, ..Options::default() };
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
            "; require-trusted-types-for 'script'; trusted-types swarmreel\r\n",
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
async fn s1_nonsense_gets_one_reply_each_while_a_bystander_is_served() {
    let server = Server::start(Options::default()).await;
    let mut bystander = server.join().await;
    let good: serde_json::Value =
        serde_json::from_str(&ClientMessage::Announce(with_offers(2, 1, 100)).write()).unwrap();
    let wrong = ["true", "5", "-1", "1e400", "\"\"", "\"\\u4e00\"", "[]", "{}", "[null]"];
    for member in ["action", "info_hash", "peer_id", "offers"] {
        let mut client = server.join().await; // ten strikes would end it
        for value in wrong {
            let mut bad = good.clone();
            bad[member] = "%".into();
            client.0.send(Message::text(bad.to_string().replace("\"%\"", value))).await.unwrap();
            client.next().await;
            // Within 50 ms by the row.
            timeout(PATIENCE / 4, bystander.expect_alive(1)).await.expect("a bystander is served");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn s5_slow_and_huge_handshakes_are_closed() {
    // Within 12 s by the row; here, within what everything is waited for.
    let server = Server::start(Options::default()).await;
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
            sleep(Duration::from_secs(1)).await;
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
async fn s15_behind_a_trusted_proxy_the_client_is_counted_and_else_the_header_is_ignored() {
    let sockets = ServerLimits { connections_per_address: 2, ..ServerLimits::default() };
    for (trusted, statuses) in
        [("127.0.0.1/32", ["101", "101", "429", "101"]), ("10.0.0.0/8", ["101", "101", "429", "429"])]
    {
        let trusted_proxies = vec![trusted.parse().unwrap()];
        let server = Server::start(Options { sockets: sockets.clone(), trusted_proxies, ..Options::default() }).await;
        let mut open = Vec::new();
        for (client, status) in ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"].iter().zip(statuses) {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let response = upgrade(&mut stream, &format!("X-Forwarded-For: {client}\r\n")).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{trusted}, {client}: {response}");
            open.push(stream);
        }
        drop(open);
        server.stop().await;
    }
}

#[tokio::test]
async fn s14_behind_a_trusted_proxy_too_nobody_comes_in_the_place_of_all_others() {
    let sockets =
        ServerLimits { accepts_per_second: 1, accept_burst: 8, connections_per_address: 2, ..ServerLimits::default() };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let server = Server::start(Options { sockets, trusted_proxies, ..Options::default() }).await;
    let come = async |client: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        upgrade(&mut stream, &format!("X-Forwarded-For: {client}\r\n")).await
    };
    let mut refused = 0;
    for _ in 0..20 {
        let response = come("192.0.2.1").await;
        let is_refused = response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nretry-after: ");
        refused += usize::from(is_refused);
    }
    assert!((10..=16).contains(&refused), "twice its share, and what time gives: {refused} of 20");
    assert!(come("192.0.2.2").await.starts_with("HTTP/1.1 101 "));
    for _ in 0..50 {
        assert!(server.get("/health").await.starts_with("HTTP/1.1 200 "), "pages are for the proxy to limit");
    }
    server.stop().await;
}

#[tokio::test]
async fn s6_a_client_without_pulse_is_closed_and_leaves_its_swarm() {
    // The statistics may be a second old: it has to be there for longer.
    let (ping, pong) = (Duration::from_millis(200), Duration::from_secs(3));
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
    assert_eq!(timeout(PATIENCE, living).await.unwrap().unwrap(), Some(1012));
}

#[tokio::test]
async fn s6_a_client_that_never_announces_is_closed() {
    let tracker = TrackerLimits { silence: Duration::from_millis(500), ..TrackerLimits::default() };
    let server = Server::start(Options { tracker, ..Options::default() }).await;
    assert_eq!(server.join().await.close_code().await, Some(1000));
    server.stop().await;
}

#[tokio::test]
async fn s9_a_dead_owner_of_a_peer_id_is_found_out_and_a_living_one_stays() {
    let server = Server::start(Options::default()).await;
    let (mut owner, mut claimant) = (server.join().await, server.join().await);
    owner.expect_alive(1).await;
    for _ in 0..3 {
        let reply = claimant.announce(leecher(1)).await;
        assert!(matches!(reply, ServerMessage::Failure { .. }), "{reply:?}");
        owner.expect_alive(1).await; // reads, and so answers the probe
    }
    // From here on the owner does not read: like a computer that was unplugged. It is asked again 3 s after it was last.
    sleep(ServerLimits::default().probe).await;
    let reply = claimant.announce(leecher(1)).await;
    assert!(matches!(reply, ServerMessage::Failure { .. }), "{reply:?}");
    let reply = claimant.next().await; // within 5 s by the row
    assert!(matches!(reply, ServerMessage::Response { .. }), "the name is its own now: {reply:?}");
    server.stop().await;
}

#[tokio::test]
async fn s9_however_often_its_name_is_claimed_a_living_owner_stays() {
    let server = Server::start(Options::default()).await;
    let (mut owner, mut claimant) = (server.join().await, server.join().await);
    owner.expect_alive(1).await;
    for claim in 0..30 {
        let reply = claimant.announce(leecher(1)).await;
        assert!(matches!(reply, ServerMessage::Failure { .. }), "claim {claim}: {reply:?}");
        owner.expect_alive(1).await; // reads, and so answers what it is asked
    }
    server.stop().await;
}

#[tokio::test]
async fn s7_a_client_that_is_back_with_all_its_torrents_gets_every_reply() {
    let server = Server::start(Options::default()).await;
    let mut client = server.join().await;
    let torrents = 0..128;
    for name in torrents.clone() {
        let announce = Announce { info_hash: InfoHash([name; 20]), ..leecher(1) };
        client.0.feed(Message::text(ClientMessage::Announce(announce).write())).await.unwrap();
    }
    client.0.flush().await.unwrap(); // all in one piece
    for name in torrents {
        let reply = client.next().await;
        assert!(matches!(reply, ServerMessage::Response { .. }), "{name}: {reply:?}");
    }
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
        assert_eq!((first.close_code().await, second.close_code().await), (Some(1012), Some(1012)));
        text_until_closed(&mut keep_alive).await;
    };
    tokio::join!(server.stop(), ends);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
