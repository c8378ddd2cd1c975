//! The link to a real Redis: what it tells, asks and survives. Tests named c4, c7, … are rows of the threat model.
#![cfg(unix)]

mod link;
mod redis;

use std::time::{Duration, Instant};

use link::{HASH, Node, claim, eventually, nothing, options, peer};
use redis::Redis;
use rustix::process::Signal;
use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel_signaling::cluster::memory::Memory;
use swarmreel_signaling::cluster::message::{Answer, Envelope, Message};
use swarmreel_signaling::cluster::redis::{ClusterOptions, Link};
use swarmreel_signaling::cluster::registry::{Claim, Input, Output, Sync};
use swarmreel_signaling::cluster::{ClusterLimits, Count, NodeId};
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::test]
async fn nodes_see_each_other_and_what_each_has() {
    let redis = Redis::start();
    let mut a = Node::start(&redis.url()).await;
    let mut b = Node::start(&redis.url()).await;
    let mut both = [a.id, b.id];
    both.sort_unstable();
    let mut table = a.table().await.to_vec();
    table.sort_unstable();
    assert_eq!(table, both);

    let count = Count { seeders: 3, leechers: 14 };
    let synced =
        a.sync(Sync { count, claims: vec![claim(peer(1), None), claim(peer(2), None)], ..nothing(HASH) }).await;
    assert_eq!(synced.holders, [(peer(1), a.id), (peer(2), a.id)]);
    assert_eq!(synced.counts, [(a.id, count)]);
    let claims = vec![claim(peer(1), None), claim(peer(2), Some(a.id)), claim(peer(3), Some(a.id))];
    let synced = b.sync(Sync { claims, count: Count { seeders: 1, leechers: 0 }, ..nothing(HASH) }).await;
    assert_eq!(synced.holders, [(peer(1), a.id), (peer(2), b.id), (peer(3), b.id)], "only what is named is taken");
    assert_eq!(synced.counts.len(), 2);
    assert!(!synced.sample.is_empty());

    let discards = vec![(peer(1), b.id), (peer(2), b.id)];
    a.sync(Sync { discards, forgets: vec![b.id], ..nothing(HASH) }).await;
    let claims = vec![claim(peer(1), None), claim(peer(2), None)];
    let synced = a.sync(Sync { claims, ..nothing(HASH) }).await;
    assert_eq!(synced.holders, [(peer(1), a.id), (peer(2), a.id)]);
    assert_eq!(synced.counts, [], "who has nothing is not listed, nor who is forgotten");
}

#[tokio::test]
async fn nodes_hear_each_other() {
    let redis = Redis::start();
    let a = Node::start(&redis.url()).await;
    let mut b = Node::start(&redis.url()).await;
    let (offerer, answerer, offer_id) = (peer(1), peer(2), OfferId([0; 20]));
    let long = Message::Answer(Answer { answerer, offerer, offer_id, sdp: "s\r\n\0".repeat(16_000) });
    for message in [Message::Claim(peer(9)), long, Message::Freed(peer(9))] {
        let envelope = a.says(b.id, message);
        assert_eq!(b.received().await, envelope);
    }
    a.says(NodeId(1), Message::Claim(peer(9)));
    eventually("what nobody takes is counted as lost", || a.link.sender().stats().lost() == 1).await;
    assert_eq!(a.link.sender().stats().published(), 3);
}

#[tokio::test]
async fn c4_garbage_in_the_backplane_is_counted_and_no_more() {
    let redis = Redis::start();
    let a = Node::start(&redis.url()).await;
    let mut b = Node::start(&redis.url()).await;
    let channel = format!("test:node:{}", b.id);
    let whole = Envelope { sender: a.id, info_hash: HASH, message: Message::Claim(peer(1)) }.encode().unwrap();
    let mut newer = whole.clone();
    newer[2] = 2;
    let garbage = [b"".to_vec(), b"SR".to_vec(), whole[..40].to_vec(), newer, vec![0xff; 100_000], b"\0".repeat(1000)];
    for bytes in &garbage {
        assert_eq!(redis.ask_with_bytes(&["SPUBLISH", &channel], bytes), "1");
    }
    eventually("all are counted", || b.link.sender().stats().malformed() == garbage.len() as u64).await;
    let envelope = a.says(b.id, Message::Freed(peer(1)));
    assert_eq!(b.received().await, envelope, "the node lives");
    assert_eq!(b.link.sender().stats().received(), 1);
}

#[tokio::test]
async fn c4_a_foreign_registry_is_passed_over() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    let [counts, claims] = ["nodes", "peers"].map(|kind| format!("test:{{{HASH}}}:{kind}"));
    redis.ask(&["HSET", &counts, "not a node", "1 1", "0123456789abcdef", "many", "1123456789abcdef", "2 3"]);
    redis.ask(&["HSET", &claims, "short", "0123456789abcdef"]);
    redis.ask(&["ZADD", "test:nodes", "99999999999999", "nobody"]);
    let synced = node.sync(nothing(HASH)).await;
    assert_eq!(synced.counts, [(NodeId(0x1123_4567_89ab_cdef), Count { seeders: 2, leechers: 3 })]);
    assert_eq!(synced.sample, []);
    assert_eq!(&*node.table().await, [node.id]);
    redis.ask(&["DEL", &counts]);
    redis.ask(&["SET", &counts, "not a hash"]);
    node.link.sender().send(Output::Sync(nothing(HASH)));
    assert_eq!(node.next().await, Input::Unsynced { info_hash: HASH, serial: 1 });
    assert!(node.link.sender().stats().up());
}

#[tokio::test]
async fn c7_an_exchange_touches_the_two_keys_of_its_swarm() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    for info_hash in [*b"*************{*}***?", *b"{a}\r\nDEL *\r\n.>\0[a-z]", *b":nodes:peers:nodes\xff\xfe"] {
        let info_hash = InfoHash(info_hash);
        let sync =
            Sync { count: Count::one(true), claims: vec![claim(PeerId(info_hash.0), None)], ..nothing(info_hash) };
        assert_eq!(node.sync(sync).await.holders, [(PeerId(info_hash.0), node.id)]);
        let mut keys: Vec<_> = redis.ask(&["KEYS", "*"]).lines().map(str::to_owned).collect();
        keys.sort_unstable();
        let named = |kind| format!("test:{{{info_hash}}}:{kind}");
        assert_eq!(keys, ["test:nodes".to_owned(), named("nodes"), named("peers")]);
        let discards = vec![(PeerId(info_hash.0), node.id)];
        node.sync(Sync { discards, ..nothing(info_hash) }).await;
        assert_eq!(redis.ask(&["KEYS", "*"]), "test:nodes", "a swarm without peers leaves nothing");
    }
}

#[tokio::test]
async fn a_swarm_that_nobody_mentions_is_forgotten() {
    let redis = Redis::start();
    let mut node = Node::start(&redis.url()).await;
    node.sync(Sync { count: Count::one(true), claims: vec![claim(peer(1), None)], ..nothing(HASH) }).await;
    for kind in ["nodes", "peers"] {
        let seconds: i64 = redis.ask(&["TTL", &format!("test:{{{HASH}}}:{kind}")]).parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{kind}: {seconds} s");
    }
}

#[tokio::test]
async fn c5_redis_dies_and_comes_back_empty() {
    let mut redis = Redis::start();
    let mut a = Node::start(&redis.url()).await;
    let mut b = Node::start(&redis.url()).await;
    redis.kill();
    a.down().await;
    b.down().await;
    assert!(!a.link.sender().stats().up());
    a.link.sender().send(Output::Sync(nothing(HASH)));
    a.says(b.id, Message::Claim(peer(1)));
    redis.restart();
    a.up().await;
    b.up().await;
    let envelope = a.says(b.id, Message::Claim(peer(2)));
    assert_eq!(b.received().await, envelope, "what was said meanwhile is lost");
}

#[tokio::test]
async fn c5_redis_hangs() {
    let redis = Redis::start();
    let limits = ClusterLimits { heartbeat: Duration::from_millis(250), ..ClusterLimits::default() };
    let limits = ClusterLimits { patience: Duration::from_millis(250), lease: Duration::from_secs(5), ..limits };
    let mut a = Node::with(&redis.url(), limits).await;
    redis.signal(Signal::STOP);
    for serial in 0..3 {
        a.link.sender().send(Output::Sync(Sync { serial, ..nothing(HASH) }));
        let next = a.wait(|input| (!matches!(input, Input::Nodes(_))).then_some(input)).await;
        assert_eq!(next, Input::Unsynced { info_hash: HASH, serial }, "too slow, and no more");
    }
    redis.signal(Signal::CONT);
    a.wait(|input| matches!(input, Input::Nodes(_)).then_some(())).await;
    assert_eq!(a.link.sender().stats().connects(), 1, "a slow server is no reason to begin anew");
    a.sync(nothing(HASH)).await;
    redis.signal(Signal::STOP);
    a.down().await;
    redis.signal(Signal::CONT);
    a.up().await;
}

/// Scripts and memory give the same replies, whatever two nodes ask.
#[tokio::test]
async fn the_registry_in_memory_does_what_the_scripts_do() {
    let redis = Redis::start();
    let (mut a, mut b) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    let (mut memory, begin) = (Memory::default(), Instant::now());
    let mut rng = swarmreel::rng::Rng::new([1; 32]);
    let ids = [a.id, b.id, NodeId(1 << 63)];
    for serial in 0..400 {
        let (name, node) = (|draw: u64| peer(draw as u8), |draw: u64| ids[draw as usize]);
        let claims = (0..rng.below(4)).map(|index| Claim {
            peer_id: name(index * 3 + rng.below(3)),
            from: Some(node(rng.below(3))).filter(|_| rng.below(2) == 0),
            // Ages so far apart that no delay confuses them.
            age: Duration::from_secs(10_000 * rng.below(10)),
        });
        let sync = Sync {
            serial,
            claims: claims.collect(),
            count: Count { seeders: rng.below(2) as u32, leechers: rng.below(2) as u32 },
            discards: (0..rng.below(3)).map(|_| (name(rng.below(9)), node(rng.below(3)))).collect(),
            forgets: (0..rng.below(2)).map(|_| node(rng.below(3))).collect(),
            ..nothing(HASH)
        };
        let asker = if rng.below(2) == 0 { &mut a } else { &mut b };
        let now = swarmreel::time::Moment(1 << 50) + begin.elapsed();
        let mut expected = memory.exchange(now, asker.id, &sync, 0);
        let mut found = asker.sync(sync.clone()).await;
        found.counts.sort_unstable_by_key(|(node, _)| *node);
        (expected.sample, found.sample) = (vec![], vec![]);
        assert_eq!(found, expected, "{sync:?}");
    }
}

#[tokio::test]
async fn c3_an_elder_claim_is_not_lost_to_a_younger_one() {
    let redis = Redis::start();
    let (mut a, mut b) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    let aged = |seconds| vec![Claim { age: Duration::from_secs(seconds), ..claim(peer(1), None) }];
    let synced = b.sync(Sync { claims: aged(0), ..nothing(HASH) }).await;
    assert_eq!((synced.holders, synced.ousted), (vec![(peer(1), b.id)], vec![]));
    let synced = a.sync(Sync { claims: aged(60), ..nothing(HASH) }).await;
    assert_eq!((synced.holders, synced.ousted), (vec![(peer(1), a.id)], vec![(peer(1), b.id)]));
    let synced = b.sync(Sync { claims: aged(30), ..nothing(HASH) }).await;
    assert_eq!((synced.holders, synced.ousted), (vec![(peer(1), a.id)], vec![]));
}

#[tokio::test]
async fn c2_a_cut_connection_is_made_again() {
    let redis = Redis::start();
    let mut a = Node::start(&redis.url()).await;
    redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let before = a.id;
    a.down().await;
    assert_eq!(*a.up().await, [a.id], "one node: its lease took the place of the one before");
    assert_ne!(a.id, before, "an id is a session's");
    redis.ask(&["ZREM", "test:nodes", &format!("{} a node", a.id)]);
    let before = a.id;
    a.link.sender().send(Output::Table);
    a.down().await;
    a.up().await;
    assert_ne!(a.id, before, "others took it for dead");
    assert_eq!(redis.ask(&["PUBSUB", "SHARDNUMSUB", &format!("test:node:{}", a.id)]).lines().nth(1), Some("1"));
}

#[tokio::test]
async fn c6_a_lease_ends_with_its_node() {
    let redis = Redis::start();
    let limits = ClusterLimits { lease: Duration::from_secs(2), ..ClusterLimits::default() };
    let mut a = Node::with(&redis.url(), limits.clone()).await;
    let b = Node::with(&redis.url(), limits).await;
    assert_eq!(a.table().await.len(), 2);
    let id = b.id;
    b.link.stop().await;
    assert!(!a.table().await.contains(&id), "who stops gives its lease back");
    redis.ask(&["ZADD", "test:nodes", "1", "00000000000000ff killed"]);
    assert_eq!(&*a.table().await, [a.id], "who is killed loses it");
}

#[tokio::test]
async fn c4_redis_with_a_password() {
    let redis = Redis::with(&["--requirepass", "secret"]);
    let mut node = Node::start(&format!("redis://:secret@127.0.0.1:{}", redis.port)).await;
    assert_eq!(node.table().await.len(), 1);
}

#[tokio::test]
async fn a_redis_cluster_serves_as_one_server_does() {
    let servers: Vec<_> =
        (0..3).map(|_| Redis::with(&["--cluster-enabled", "yes", "--cluster-port", "{free}"])).collect();
    let hosts: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let create: Vec<_> = ["--cluster", "create"].into_iter().chain(hosts.iter().map(String::as_str)).collect();
    servers[0].ask(&[&create[..], &["--cluster-yes"]].concat());
    let is_ready = || servers.iter().all(|server| server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    eventually("the servers agree", is_ready).await;

    let url = format!("redis-cluster://{}", hosts.join(","));
    let mut a = Node::start(&url).await;
    let mut b = Node::start(&url).await;
    assert_eq!(a.table().await.len(), 2);
    for first in 0..20 {
        let info_hash = InfoHash([first; 20]);
        let sync = Sync { count: Count::one(true), claims: vec![claim(peer(1), None)], ..nothing(info_hash) };
        assert_eq!(a.sync(sync.clone()).await.holders, [(peer(1), a.id)]);
        assert_eq!(b.sync(sync).await.holders, [(peer(1), a.id)]);
    }
    let sizes: Vec<_> = servers.iter().map(|server| server.ask(&["DBSIZE"])).collect();
    assert!(!sizes.contains(&"0".to_owned()), "the swarms are spread: {sizes:?}");
    for name in 0..20 {
        let envelope = a.says(b.id, Message::Claim(peer(name)));
        assert_eq!(b.received().await, envelope);
    }
    let heard: u64 = servers.iter().map(|server| info(server, "pubsubshard_channels")).sum();
    assert_eq!(heard, 2, "each node's channel is known to one server only");
}

/// The rights that docs/CLUSTER.md gives a node are enough, and are no more than it says.
#[tokio::test]
async fn c4_a_node_needs_few_rights() {
    let page = include_str!("../../docs/CLUSTER.md");
    let (_, rule) = page.split_once("user swarmreel on >PASSWORD ").expect("a rule");
    let (rule, _) = rule.split_once("```").expect("its end");
    let redis = Redis::start();
    let rule = rule.replace("sr:", "test:");
    let user: Vec<_> =
        ["ACL", "SETUSER", "swarmreel", "on", ">hush"].into_iter().chain(rule.split_whitespace()).collect();
    assert_eq!(redis.ask(&user), "OK");
    let url = format!("redis://swarmreel:hush@127.0.0.1:{}", redis.port);
    let mut a = Node::start(&url).await;
    let mut b = Node::start(&url).await;
    assert_eq!(a.table().await.len(), 2);
    assert_eq!(a.sync(Sync { claims: vec![claim(peer(1), None)], ..nothing(HASH) }).await.holders, [(peer(1), a.id)]);
    let envelope = a.says(b.id, Message::Claim(peer(1)));
    assert_eq!(b.received().await, envelope);
    b.link.stop().await;
    assert_eq!(&*a.table().await, [a.id], "it gave its lease back");
    for command in ["KEYS *", "GET other", "FLUSHALL", "CONFIG GET *", "SPUBLISH other x"] {
        let words: Vec<_> = ["--user", "swarmreel", "--pass", "hush", "--no-auth-warning"]
            .into_iter()
            .chain(command.split(' '))
            .collect();
        assert!(redis.ask(&words).starts_with("NOPERM"), "{command}");
    }
}

#[tokio::test]
async fn c4_redis_over_tls_is_known_by_its_certificate() {
    let folder = std::env::temp_dir().join(format!("swarmreel-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| folder.join(name).to_string_lossy().into_owned());
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let tls = ["--tls-port", "{free}", "--tls-auth-clients", "no", "--tls-cert-file", &cert_file];
    let redis = Redis::with(&[&tls[..], &["--tls-key-file", &key_file]].concat());
    let port: u16 = redis.ask(&["CONFIG", "GET", "tls-port"]).lines().nth(1).unwrap().parse().unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    let known = ClusterOptions { ca: Some(cert.pem().into_bytes()), ..options(&url) };
    assert_eq!(known.check(), Ok(()));
    let mut node = Node::of(known).await;
    assert_eq!(node.table().await.len(), 1);
    let (sender, mut inputs) = mpsc::unbounded_channel();
    let stranger = Link::start(options(&url), move |input| sender.send(input).is_ok()).unwrap();
    assert!(timeout(Duration::from_secs(2), inputs.recv()).await.is_err(), "nobody vouches for this server");
    assert!(!stranger.sender().stats().up());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A number from Redis' own statistics.
fn info(server: &Redis, field: &str) -> u64 {
    let page = server.ask(&["INFO", "everything"]);
    let line = page.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{field} is in {page}")).trim().parse().unwrap()
}
