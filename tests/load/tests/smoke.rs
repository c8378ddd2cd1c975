//! The generator against the server in this process: everything is answered, and both count the same.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use swarmreel_load::arrivals;
use swarmreel_load::fleet::{Crowd, End, Event, Fleet};
use swarmreel_load::scenario::Soak;
use swarmreel_load::target::Target;
use swarmreel_signaling::TrackerLimits;
use swarmreel_signaling::server::{Options, serve};
use tokio::sync::oneshot;

const PEERS: u32 = 60;
const SECOND: u64 = 1_000_000;

#[derive(Parser)]
struct Scenario {
    #[command(flatten)]
    soak: Soak,
}

/// The server on a free port; it stops when the sender is dropped.
fn start() -> (SocketAddr, oneshot::Sender<()>) {
    start_with(Options::default())
}

fn start_with(options: Options) -> (SocketAddr, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, options, async { drop(stopped.await) }).await.unwrap();
        });
    });
    (told.recv().unwrap(), stop)
}

fn stats(server: SocketAddr) -> Value {
    let mut stream = TcpStream::connect(server).unwrap();
    write!(stream, "GET /stats.json HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(&body[body.find('{').unwrap()..=body.rfind('}').unwrap()]).unwrap()
}

/// Turns until `enough`, a minute at most.
fn until(fleet: &mut Fleet, enough: impl Fn(&Fleet) -> bool) {
    let deadline = fleet.now() + 60 * SECOND;
    while !enough(fleet) {
        assert!(fleet.now() < deadline, "{:?}", fleet.traffic);
        fleet.turn(fleet.now() + SECOND / 20).unwrap();
    }
}

fn crowd(sdp_bytes: usize) -> Crowd {
    Crowd { peers: PEERS, swarms: 4, seeder_in: 10, per_address: 8, sdp_bytes, seed: 1 }
}

fn connected(server: SocketAddr, sdp_bytes: usize) -> Fleet {
    let target = Target::new(&format!("ws://{server}/announce"), None).unwrap();
    let mut fleet = Fleet::new(target, &crowd(sdp_bytes)).unwrap();
    (0..PEERS).for_each(|peer| fleet.connect(peer));
    until(&mut fleet, |fleet| fleet.open() == PEERS as usize);
    assert!(fleet.events().iter().all(|event| matches!(event, Event::Opened(_))));
    fleet
}

#[test]
fn everything_announced_is_answered_and_counted() {
    let (server, _stop) = start();
    for sdp_bytes in [1 << 10, 3 << 10] {
        let mut fleet = connected(server, sdp_bytes);
        let schedule = arrivals::poisson(100.0, 2 * SECOND, PEERS, 1);
        fleet.keep(fleet.now(), &schedule, 5).unwrap();
        let announces = schedule.len() as u64;
        until(&mut fleet, |fleet| fleet.traffic.responses == announces);
        until(&mut fleet, |fleet| fleet.traffic.answers_relayed == fleet.traffic.offers_relayed);
        let traffic = fleet.traffic;
        assert_eq!((traffic.announces, traffic.offers), (announces, announces * 5));
        assert_eq!((traffic.withheld, traffic.failures, traffic.misdelivered, traffic.unknown), (0, 0, 0, 0));
        assert!((announces..=traffic.offers_owed).contains(&traffic.offers_relayed), "{traffic:?}");
        assert!((announces..=announces * 5).contains(&traffic.offers_owed), "{traffic:?}");
        assert_eq!(traffic.answers, traffic.offers_relayed);
        let stats = stats(server);
        assert_eq!((&stats["peersAll"], &stats["torrents"]), (&PEERS.into(), &4.into()), "{stats}");
        assert_eq!(stats["peersSeederOnly"], u64::from(PEERS / 10));
        (0..PEERS).for_each(|peer| fleet.close(peer));
        assert_eq!(fleet.open(), 0);
        until(&mut fleet, |_| self::stats(server)["peersAll"] == 0);
    }
}

#[test]
fn who_can_not_connect_is_told() {
    let (server, stop) = start();
    let mut fleet = connected(server, 1 << 10);
    drop(stop);
    until(&mut fleet, |fleet| fleet.open() == 0);
    let ended = fleet.events().iter().filter(|event| matches!(event, Event::Ended(..))).count();
    assert_eq!(ended, PEERS as usize);
    fleet.connect(0);
    until(&mut fleet, |fleet| !fleet.is_connected(0));
    fleet.announce(0, fleet.now(), 5);
    assert_eq!(fleet.traffic.withheld, 1);
    assert_eq!(fleet.traffic.closed, u64::from(PEERS) + 1);
}

#[test]
fn a_server_that_is_not_there_is_told_from_one_that_refuses() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target::new(&format!("ws://{nobody}/"), None).unwrap();
    let mut fleet = Fleet::new(target, &crowd(1 << 10)).unwrap();
    fleet.connect(0);
    until(&mut fleet, |fleet| !fleet.is_connected(0));
    assert_eq!(fleet.events(), [Event::Ended(0, End::Absent)]);
}

#[test]
fn who_leaves_is_forgotten_at_once() {
    let (server, _stop) = start();
    let mut fleet = connected(server, 1 << 10);
    (0..PEERS).for_each(|peer| fleet.announce(peer, 0, 0));
    until(&mut fleet, |fleet| fleet.traffic.responses == u64::from(PEERS));
    fleet.leave(0);
    until(&mut fleet, |fleet| !fleet.is_connected(0));
    assert!(matches!(fleet.events()[..], [Event::Ended(0, End::Closed { code: 1000, .. })]));
    assert_eq!(stats(server)["peersAll"], PEERS - 1);
}

#[test]
fn a_soak_keeps_everybody_alive_while_they_come_and_go() {
    let tracker = TrackerLimits { silence: Duration::from_secs(8), ..Default::default() };
    let metrics_from = vec!["127.0.0.0/8".parse().unwrap()];
    let (server, _stop) = start_with(Options { tracker, metrics_from, ..Options::default() });
    let (url, pid) = (format!("ws://{server}/announce"), std::process::id().to_string());
    let flags = ["--server", &url, "--pid", &pid, "--connections=40", "--churn=10", "--interval=2", "--seconds=15"];
    let soak = Scenario::parse_from(["soak"].into_iter().chain(flags)).soak;
    let report = soak.run().unwrap();
    assert_eq!(report["connections_lost"], 0, "{report:#}");
    assert!(report["left_cleanly"].as_u64() > Some(20) && report["left_abruptly"].as_u64() > Some(20), "{report:#}");
    assert_eq!((&report["metrics_looked_at"], &report["metrics_failed"]), (&3.into(), &0.into()), "{report:#}");
    assert_eq!(report["met"], false, "a quarter of a minute shows nothing");
}
