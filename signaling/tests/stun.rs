//! The STUN responder over real UDP, and what the page is told of it.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::spawn;
use std::time::Duration;

use swarmreel_signaling::server::{Ice, Options, Stun, Turn};
use tokio::time::{sleep, timeout};

use common::{PATIENCE, Server};

const HEADER: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 9, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/// A server with a responder at this address.
async fn start(address: &str) -> (Server, Stun) {
    let stun = Stun::bind(address.parse().unwrap()).unwrap();
    (
        Server::start(Options { ice: Ice { stun: Some(stun.clone()), ..Ice::default() }, ..Options::default() }).await,
        stun,
    )
}

/// Asks as a NAT would let it: only the address that was asked may answer. Asks again where a packet got lost.
fn ask(from: &str, to: SocketAddr) -> (SocketAddr, Vec<u8>) {
    let socket = UdpSocket::bind(from).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answer = [0; 1500];
    for _ in 0..PATIENCE.as_millis() / 500 {
        socket.send(&HEADER).unwrap();
        if let Ok(length) = socket.recv(&mut answer) {
            return (socket.local_addr().unwrap(), answer[..length].to_vec());
        }
    }
    panic!("{to} does not answer {from}");
}

/// The address in a success response to `HEADER` (RFC 8489 §14.2).
fn mapped(answer: &[u8]) -> SocketAddr {
    assert_eq!((&answer[..2], &answer[4..20]), (&[1, 1][..], &HEADER[4..]));
    assert_eq!(answer[20..22], [0, 0x20]);
    let plain: Vec<u8> = answer[26..].iter().zip(HEADER[4..6].iter().chain(&HEADER[4..])).map(|(a, b)| a ^ b).collect();
    let port = u16::from_be_bytes([plain[0], plain[1]]);
    match answer[25] {
        1 => (<[u8; 4]>::try_from(&plain[2..]).unwrap(), port).into(),
        2 => (<[u8; 16]>::try_from(&plain[2..]).unwrap(), port).into(),
        family => panic!("family {family}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_where_a_packet_came_from_over_both_ip_versions() {
    let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
    for (listen, from, to) in [
        ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "[::1]:0", "::1"),
        ("[::]:0", "[::1]:0", "::1"),
        ("[::]:0", "127.0.0.1:0", "127.0.0.1"),
    ] {
        if listen.starts_with('[') && !has_ipv6 {
            continue;
        }
        let (server, stun) = start(listen).await;
        let (own, answer) = ask(from, SocketAddr::new(to.parse().unwrap(), stun.port()));
        assert_eq!(mapped(&answer), own, "{listen} from {from}");
        server.stop().await;
    }
}

#[cfg(target_os = "linux")] // the whole of 127/8 is there
#[tokio::test(flavor = "multi_thread")]
async fn it_answers_from_the_address_that_was_asked() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let Ok(_) = UdpSocket::bind(listen) else { continue };
        let (server, stun) = start(listen).await;
        ask("127.0.0.1:0", SocketAddr::new("127.0.0.99".parse().unwrap(), stun.port()));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_dropped_and_counted_and_an_honest_client_is_answered() {
    let (server, stun) = start("127.0.0.1:0").await;
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), stun.port());
    let junk = UdpSocket::bind("127.0.0.1:0").unwrap();
    junk.connect(to).unwrap();
    let indication = [&[0, 0x11], &HEADER[2..]].concat();
    for packet in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 1400], &[0xff; 65_000], &HEADER[..19], &indication] {
        junk.send(packet).unwrap();
    }
    let (own, answer) = ask("127.0.0.1:0", to);
    assert_eq!(mapped(&answer), own);
    let counts = stun.counts();
    let count = |outcome: &str| counts.iter().find(|(name, _)| *name == outcome).unwrap().1;
    assert!(count("answered") >= 1 && count("malformed") == 4 && count("not_binding") == 1, "{counts:?}");
    junk.set_nonblocking(true).unwrap();
    assert!(junk.recv(&mut [0; 99]).is_err(), "nothing is said to junk");
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_packets_keeps_no_page_waiting() {
    let (server, stun) = start("127.0.0.1:0").await;
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), stun.port());
    let floods = Arc::new(AtomicBool::new(true));
    let flooders: Vec<_> = (0..3)
        .map(|_| {
            let floods = floods.clone();
            spawn(move || {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                while floods.load(Relaxed) {
                    let _ = socket.send_to(&HEADER, to); // the receiver's buffer may be full
                }
            })
        })
        .collect();
    let seen = || stun.counts().iter().map(|(_, count)| count).sum::<u64>();
    timeout(PATIENCE, async {
        while seen() < 1000 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("the flood arrives");
    for _ in 0..20 {
        let page = timeout(PATIENCE, server.get("/health")).await.expect("a page in spite of the flood");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    }
    floods.store(false, Relaxed);
    flooders.into_iter().for_each(|flooder| flooder.join().unwrap());
    assert!(stun.counts().contains(&("malformed", 0)), "{:?}", stun.counts());
    server.stop().await;
}

#[tokio::test]
async fn s16_turn_credentials_are_for_our_own_pages_and_not_for_farming() {
    let turn = Turn::new(vec!["turn:turn.test".to_owned()], "north", Duration::from_secs(60));
    let ice = Ice { turn: Some(turn), ..Ice::default() };
    let origins = vec!["https://reel.test".to_owned()];
    let server = Server::start(Options { ice, origins, ..Options::default() }).await;
    let ask = async |origin: &str| {
        let head = format!("GET /config.json HTTP/1.1\r\nHost: reel.test\r\n{origin}Connection: close\r\n\r\n");
        server.request(&head).await
    };
    for origin in ["Origin: https://other.test\r\n", "Origin: null\r\n"] {
        let refusal = ask(origin).await;
        assert!(refusal.starts_with("HTTP/1.1 403 ") && !refusal.contains("\"credential\""), "{refusal}");
    }
    for origin in ["", "Origin: https://reel.test\r\n"] {
        let page = ask(origin).await;
        assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("credential"), "{page}");
        assert!(page.contains("cache-control: no-store\r\n"), "{page}");
        assert!(page.contains("cross-origin-resource-policy: same-origin\r\n"), "{page}");
    }
    let mut refusals = 0;
    for _ in 0..1000 {
        let page = ask("").await;
        if !page.starts_with("HTTP/1.1 200 ") {
            assert!(page.starts_with("HTTP/1.1 429 ") && page.contains("retry-after: "), "{page}");
            refusals += 1;
            if refusals == 3 {
                return server.stop().await;
            }
        }
    }
    panic!("credentials are given to anyone at any rate");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_server() {
    let (server, stun) = start("127.0.0.1:0").await;
    let to = SocketAddr::new("127.0.0.1".parse().unwrap(), stun.port());
    ask("127.0.0.1:0", to);
    server.stop().await;
    drop(stun);
    UdpSocket::bind(to).expect("the port is free again");
}
