//! The generator against the server in this process: everything is answered, and both count the same.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;
use swarmreel_load::arrivals;
use swarmreel_load::fleet::{Crowd, Event, Fleet};
use swarmreel_load::target::Target;
use swarmreel_signaling::server::{Options, serve};
use tokio::sync::oneshot;

const PEERS: u32 = 60;
const SECOND: u64 = 1_000_000;

/// The server on a free port; it stops when the sender is dropped.
fn start() -> (SocketAddr, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            serve(listener, Options::default(), async { drop(stopped.await) }).await.unwrap();
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
        assert!(traffic.offers_relayed > announces, "{traffic:?}");
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
    // The listener closes before the connections do, so nobody is there any more.
    fleet.connect(0);
    until(&mut fleet, |fleet| !fleet.is_connected(0));
    fleet.announce(0, fleet.now(), 5);
    assert_eq!(fleet.traffic.withheld, 1);
}
