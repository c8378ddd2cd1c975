//! What the link to a real Redis loses, and what it tells of that. Tests named v3, … are rows of the threat model.
#![cfg(unix)]

mod link;
mod redis;

use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use link::{HASH, Node, PATIENCE, eventually, nothing, options, peer};
use redis::Redis;
use rustix::process::Signal;
use swarmreel::ids::OfferId;
use swarmreel_signaling::cluster::ClusterLimits;
use swarmreel_signaling::cluster::message::{Answer, Message, Offers};
use swarmreel_signaling::cluster::redis::{ClusterOptions, Link};
use swarmreel_signaling::cluster::registry::{Input, Output, Sync};

#[tokio::test]
async fn messages_beyond_the_queue_are_lost_and_counted() {
    let redis = Redis::start();
    let limits = ClusterLimits { queue_bytes: 100_000, ..ClusterLimits::default() };
    let a = Node::with(&redis.url(), limits).await;
    redis.signal(Signal::STOP);
    let (offerer, answerer, offer_id) = (peer(1), peer(2), OfferId([0; 20]));
    for _ in 0..1000 {
        let sdp = "s".repeat(10_000);
        a.says(a.id, Message::Answer(Answer { answerer, offerer, offer_id, sdp }));
    }
    assert!(a.link.sender().stats().lost() >= 980, "{}", a.link.sender().stats().lost());
    redis.signal(Signal::CONT);
}

#[tokio::test]
async fn offers_are_lost_before_answers_and_answers_before_claims() {
    let redis = Redis::start();
    let limits = ClusterLimits { queue_bytes: 100_000, patience: PATIENCE, ..ClusterLimits::default() };
    let a = Node::with(&redis.url(), limits).await;
    redis.signal(Signal::STOP);
    let (offerer, answerer, offer_id) = (peer(1), peer(2), OfferId([0; 20]));
    let offers = || {
        let offers = vec![(offer_id, "s".repeat(10_000))];
        Message::Offers(Offers { offerer, complete: false, network: 0, offers })
    };
    let answer = || Message::Answer(Answer { answerer, offerer, offer_id, sdp: "s".repeat(10_000) });
    let claim = || Message::Claim(offerer);
    let lost = |count: u64, message: &dyn Fn() -> Message| {
        let before = a.link.sender().stats().lost();
        (0..count).for_each(|_| drop(a.says(a.id, message())));
        a.link.sender().stats().lost() - before
    };
    assert!(lost(20, &offers) > 5);
    assert_eq!(lost(1, &answer), 0, "offers leave room for answers");
    assert!(lost(20, &answer) > 10);
    assert_eq!(lost(100, &claim), 0, "both leave room for claims");
    assert!(lost(10_000, &claim) > 1000, "nothing queues without bound");
    assert!(a.link.sender().stats().lost_claims() > 1000);
    redis.signal(Signal::CONT);
}

/// What is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_with(&self, word: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn v3_what_redis_refuses_is_told_once_and_by_its_code() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let redis = Redis::start();
    let rule = "ACL SETUSER swarmreel on >hush ~test:nodes &test:* +@all";
    assert_eq!(redis.ask(&rule.split(' ').collect::<Vec<_>>()), "OK");
    let mut node = Node::start(&format!("redis://swarmreel:hush@127.0.0.1:{}", redis.port)).await;
    for serial in 0..3 {
        node.link.sender().send(Output::Sync(Sync { serial, ..nothing(HASH) }));
        node.wait(|input| (input == Input::Unsynced { info_hash: HASH, serial }).then_some(())).await;
    }
    eventually("it is told", || !log.lines_with("NOPERM").is_empty()).await;
    assert_eq!(node.link.sender().stats().syncs_failed(), 3);
    let denied = format!("redis://swarmreel:wrong@127.0.0.1:{}", redis.port).parse().unwrap();
    let _link = Link::start(ClusterOptions { address: denied, ..options(&redis.url()) }, |_| true).unwrap();
    eventually("why it cannot be reached", || !log.lines_with("WRONGPASS").is_empty()).await;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _link = Link::start(options(&format!("redis://{address}")), |_| true).unwrap();
    eventually("why nobody is there", || !log.lines_with("connection refused").is_empty()).await;
    assert_eq!(log.lines_with("NOPERM").len(), 1, "once");
    for secret in ["hush", "wrong", "127.0.0.1", &HASH.to_hex()] {
        assert_eq!(log.lines_with(secret), [""; 0], "{secret}");
    }
}
