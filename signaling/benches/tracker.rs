//! What a message costs the tracker without its sockets: an announce with five offers of 1 KB, all of them relayed, and an
//! answer. Invariant: only reading, deciding and writing is timed; making the clients' messages is not.
#![allow(clippy::disallowed_types, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use swarmreel_signaling::{ConnId, Incoming, Output, Tracker, TrackerLimits};

const PEERS: u32 = 4000;
const PEERS_PER_SWARM: u32 = 20;
const OFFERS: usize = 5;
const ROUNDS: u32 = 12;

/// What a peer says of itself in every message.
struct Client {
    conn: ConnId,
    info_hash: InfoHash,
    peer_id: PeerId,
}

impl Client {
    fn new(number: u32, rng: &mut Rng) -> Self {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&(number / PEERS_PER_SWARM).wrapping_mul(0x9e37_79b9).to_be_bytes());
        let mut peer_id = rng.bytes20();
        peer_id[..8].copy_from_slice(b"-SR0100-");
        Self { conn: ConnId(number.into()), info_hash: InfoHash(hash), peer_id: PeerId(peer_id) }
    }

    fn announce(&self, rng: &mut Rng) -> String {
        let offers = (0..OFFERS).map(|_| (OfferId(rng.bytes20()), sdp(rng))).collect();
        let &Self { info_hash, peer_id, .. } = self;
        let numwant = Some(OFFERS as u32);
        let left = Some(1_000_000);
        let announce = Announce { info_hash, peer_id, event: None, left, uploaded: 0, downloaded: 0, numwant, offers };
        ClientMessage::Announce(announce).write()
    }

    fn answer(&self, offer: &str, rng: &mut Rng) -> String {
        let Ok(ServerMessage::Offer { info_hash, peer_id: to_peer_id, offer_id, .. }) = ServerMessage::parse(offer)
        else {
            panic!("not an offer: {offer}")
        };
        let answer = Answer { info_hash, peer_id: self.peer_id, to_peer_id, offer_id, sdp: sdp(rng), left: None };
        ClientMessage::Answer(answer).write()
    }
}

/// What a browser says of a data channel with a few addresses: 1 KB.
fn sdp(rng: &mut Rng) -> String {
    let mut lines = vec![
        format!("o=- {} 2 IN IP4 127.0.0.1", rng.below(1 << 60)),
        "s=-".to_owned(),
        "t=0 0".to_owned(),
        "a=group:BUNDLE 0".to_owned(),
        "a=msid-semantic: WMS".to_owned(),
        "m=application 50000 UDP/DTLS/SCTP webrtc-datachannel".to_owned(),
        "c=IN IP4 203.0.113.7".to_owned(),
        "a=ice-ufrag:abcd".to_owned(),
        "a=ice-pwd:abcdefghijklmnopqrstuvwx".to_owned(),
        format!("a=fingerprint:sha-256 {}", ["AB"; 32].join(":")),
        "a=setup:actpass".to_owned(),
        "a=mid:0".to_owned(),
        "a=sctp-port:5000".to_owned(),
        "a=max-message-size:262144".to_owned(),
    ];
    for port in 0..6 {
        let port = 50_000 + port + rng.below(1000);
        lines.push(format!("a=candidate:1 1 udp 2113937151 10.0.0.1 {port} typ host generation 0 network-cost 999"));
    }
    format!("v=0\r\n{}\r\n", lines.join("\r\n"))
}

/// What messages of one kind cost. The median, because whatever else the machine does is not the tracker's.
struct Meter(Vec<Duration>);

impl Meter {
    fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = black_box(work());
        self.0.push(began.elapsed());
        done
    }

    fn print(mut self, name: &str) {
        self.0.sort();
        let at = |share: f64| self.0[(self.0.len() as f64 * share) as usize].as_secs_f64() * 1e6;
        println!("{:>7.2} µs  {name} ({:.2} to {:.2} in 80 % of {})", at(0.5), at(0.1), at(0.9), self.0.len());
    }
}

fn turn(tracker: &mut Tracker, now: Moment, conn: ConnId, text: &str) -> Vec<(ConnId, String)> {
    tracker.message(now, conn, text);
    let mut sent = Vec::with_capacity(1 + OFFERS);
    while let Some(output) = tracker.poll() {
        if let Output::Send { conn, text, .. } = output {
            sent.push((conn, text));
        }
    }
    sent
}

fn main() {
    let mut rng = Rng::new([1; 32]);
    let mut tracker = Tracker::new(TrackerLimits::default(), [2; 32]);
    let mut now = Moment(0);
    let clients: Vec<_> = (0..PEERS).map(|number| Client::new(number, &mut rng)).collect();
    for client in &clients {
        tracker.opened(now, client.conn, IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + client.conn.0 as u32)));
    }
    let [mut readings, mut announces, mut answers] = [const { Meter(Vec::new()) }; 3];
    let mut relayed = 0;
    for round in 0..ROUNDS {
        for client in &clients {
            now = now + Duration::from_secs(90) / PEERS;
            let text = client.announce(&mut rng);
            if round < 2 {
                turn(&mut tracker, now, client.conn, &text);
                continue;
            }
            let read = readings.run(|| Incoming::parse(&text).is_ok());
            assert!(read);
            let sent = announces.run(|| turn(&mut tracker, now, client.conn, &text));
            relayed += sent.len() - 1;
            for (conn, offer) in &sent[1..] {
                let text = clients[conn.0 as usize].answer(offer, &mut rng);
                let sent = answers.run(|| turn(&mut tracker, now, *conn, &text));
                assert_eq!(sent[0].0, client.conn, "the answer is relayed: {}", sent[0].1);
            }
        }
    }
    readings.print("reading it alone");
    announces.print("an announce with five offers");
    answers.print("an answer");
    println!("{relayed} offers relayed");
}
