//! Thousands of clients at once over real loopback sockets: rows S5 and S14 of the threat model.
//!
//! Invariant: these tests run one at a time, apart from all others, since each takes most of the files a process may
//! open; where those are few, the crowd is smaller.

mod common;

use std::time::Duration;

use futures_util::future::join_all;
use swarmreel_signaling::server::{Options, ServerLimits};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use common::{PATIENCE, Server, bytes_until_closed, close_code, connect_from, upgrade};

/// For an honest client, on a machine however busy. The row says 100 ms.
const PROMPT: Duration = Duration::from_secs(5);

static ALONE: Mutex<()> = Mutex::const_new(());

/// The limits of a server for so many clients, and as many of them as can be.
fn crowd(wanted: usize) -> (ServerLimits, usize) {
    let sockets = ServerLimits { accept_burst: 100_000, ..ServerLimits::default().with_open_files() };
    // Both ends are in this process.
    let count = wanted.min(sockets.connections / 3);
    (sockets, count)
}

#[tokio::test]
async fn s5_five_thousand_drips_at_once_keep_nobody_out() {
    let _alone = ALONE.lock().await;
    let (sockets, count) = crowd(5000);
    let handshake = sockets.handshake;
    let server = Server::start(Options { sockets, ..Options::default() }).await;
    let mut drips = Vec::new();
    for number in 0..count {
        let mut stream = connect_from(number, server.address).await;
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        drips.push(stream);
    }
    let begun = Instant::now();
    while !drips.is_empty() {
        // The row has 12 s.
        assert!(begun.elapsed() < handshake + PATIENCE, "{} drips are still open", drips.len());
        drips.retain(|stream| stream.try_write(b"X: y\r\n").is_ok() && is_open(stream));
        timeout(PROMPT, async { server.join().await.expect_alive(1).await }).await.expect("an honest client is served");
        sleep(Duration::from_millis(200)).await;
    }
    server.stop().await;
}

fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 512]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn s14_clients_that_are_sent_away_come_back_once_and_spread_out() {
    let _alone = ALONE.lock().await;
    let (sockets, count) = crowd(1500);
    let options = Options { sockets, ..Options::default() };
    let server = Server::start(options.clone()).await;
    let mut streams = Vec::new();
    for number in 0..count {
        let mut stream = connect_from(number, server.address).await;
        assert!(upgrade(&mut stream, "").await.starts_with("HTTP/1.1 101 "));
        streams.push(stream);
    }
    let away = all(streams.into_iter().map(|mut stream| async move { bytes_until_closed(&mut stream).await }));
    let address = server.address;
    server.stop().await;
    let server = Server::start_at(address, options).await;

    let hints: Vec<u64> = away.await.iter().map(|bytes| hint(bytes)).collect();
    for seconds in 1..=3 {
        let share = hints.iter().filter(|&&hint| hint == seconds).count();
        assert!(share > count / 6, "{share} of {count} come back after {seconds} s");
    }
    assert!(hints.iter().all(|hint| (1..=3).contains(hint)), "few clients are back soon");
    let back = all(hints.into_iter().enumerate().map(|(number, hint)| async move {
        sleep(Duration::from_secs(hint)).await;
        let mut stream = connect_from(number, address).await;
        upgrade(&mut stream, "").await.starts_with("HTTP/1.1 101 ")
    }));
    let back = timeout(Duration::from_secs(60), back).await.expect("all are back within a minute");
    assert!(back.into_iter().all(|back| back), "one connection for each is enough");
    server.join().await.expect_alive(1).await;
    server.stop().await;
}

/// The results of all of them, each in a task of its own: at once, and with turns of their own.
fn all<T: Send + 'static>(
    clients: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> impl Future<Output = Vec<T>> {
    let tasks: Vec<_> = clients.map(tokio::spawn).collect();
    async { join_all(tasks).await.into_iter().map(|result| result.expect("no client panics")).collect() }
}

/// The seconds in `retry in 3 s`, of a close with 1012.
fn hint(bytes: &[u8]) -> u64 {
    assert_eq!(close_code(bytes), Some(1012), "{}", bytes.escape_ascii());
    let words = String::from_utf8_lossy(bytes);
    let seconds = words.split_once("retry in ").and_then(|(_, rest)| rest.strip_suffix(" s"));
    seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("{words:?}"))
}

#[tokio::test]
async fn s14_who_is_refused_is_told_when_to_return() {
    let _alone = ALONE.lock().await;
    let few = || ServerLimits { connections_per_address: 1, ..ServerLimits::default() };
    let full = || ServerLimits { connections: 1, ..ServerLimits::default() };
    for (sockets, status, when) in [(few(), "429", 30..60), (full(), "503", 60..120)] {
        let server = Server::start(Options { sockets, ..Options::default() }).await;
        let mut held = server.join().await;
        let hints: Vec<u32> = join_all((0..20).map(|_| server.get("/health")))
            .await
            .iter()
            .map(|page| {
                assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{page}");
                let seconds = page.lines().find_map(|line| line.strip_prefix("Retry-After: ")).expect("when to return");
                seconds.parse().expect("a number")
            })
            .collect();
        assert!(hints.iter().all(|hint| when.contains(hint)), "{status}: {hints:?}");
        assert!(hints.iter().any(|hint| *hint != hints[0]), "they don't come back all at once: {hints:?}");
        held.expect_alive(1).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn s14_too_many_at_once_are_told_when_to_return() {
    let _alone = ALONE.lock().await;
    let sockets = ServerLimits { accepts_per_second: 1, accept_burst: 10, ..ServerLimits::default() };
    let server = Server::start(Options { sockets, ..Options::default() }).await;
    let mut refused = 0;
    for number in 0..60 {
        let page = server.get("/health").await;
        if number < 9 {
            assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        } else if page.starts_with("HTTP/1.1 503 ") {
            let seconds = page.lines().find_map(|line| line.strip_prefix("Retry-After: ")).expect("when to return");
            assert!((2..10).contains(&seconds.parse::<u32>().unwrap()), "{seconds}");
            refused += 1;
        }
    }
    assert!(refused > 0, "not all at once");
    server.stop().await;
}
