//! Sleep, and other networks: nothing expires in a heap, and everyone is found again (threat-model F15).

use std::time::Duration;

use swarmreel::engine::{Input, Source};
use swarmreel::ids::{InfoHash, LinkId, SocketId};
use swarmreel::time::Moment;

use crate::desk::{Desk, public, stranger};

const HASH: InfoHash = InfoHash([7; 20]);
const URL: &str = "wss://a.test/";
const NIGHT: Duration = Duration::from_secs(8 * 3600);

/// A leecher with two peers.
fn connected() -> (Desk, Vec<LinkId>) {
    let mut desk = Desk::new(1);
    desk.add(Source::Text(HASH.to_hex()), &[URL]);
    let socket = desk.socket(URL);
    desk.counts(socket, HASH, 2);
    let meet = |index| desk.meets(socket, HASH, stranger(index), &public(index)).expect("there is room");
    let links = [1, 2].map(meet).to_vec();
    desk.wait(Duration::from_secs(20));
    (desk, links)
}

/// Time until the tracker has an announce with an offer over another socket than the old one.
fn back_at_the_tracker(desk: &mut Desk, old: SocketId) -> Duration {
    let since = desk.now;
    desk.announces.clear();
    loop {
        desk.wait(Duration::from_millis(100));
        if desk.announces.iter().any(|(socket, announce)| *socket != old && !announce.offers.is_empty()) {
            return desk.now - since;
        }
        assert!(desk.now - since < Duration::from_secs(60), "it never comes back");
    }
}

#[test]
fn after_a_night_of_sleep_it_is_back_in_seconds() {
    let (mut desk, links) = connected();
    let old = desk.socket(URL);
    desk.now = desk.now + NIGHT;
    desk.tell(Input::Wake);
    assert_eq!(desk.left, [""; 0], "nobody is given up for having been silent all night");
    assert!(links.iter().all(|link| desk.live.contains(link)));
    assert!(desk.engine.wake_at().is_some_and(|at| at > desk.now && at - desk.now < Duration::from_secs(1)));
    let took = back_at_the_tracker(&mut desk, old);
    assert!(took <= Duration::from_secs(10), "{took:?}");
    desk.wait(Duration::from_secs(100));
    assert_eq!(desk.left, [""; 0], "their time to speak counts from the waking");
    desk.wait(Duration::from_secs(100));
    assert_eq!(desk.left, ["it fell silent"; 2]);
}

#[test]
fn time_that_stands_still_or_runs_back_does_no_harm() {
    let (mut desk, _) = connected();
    let now = desk.now;
    for earlier in [1, 3_600, 86_400] {
        desk.now = Moment(now.0.saturating_sub(earlier * 1_000_000));
        desk.tell(Input::Wake);
    }
    desk.now = now;
    desk.wait(Duration::from_secs(60));
    assert_eq!(desk.left, [""; 0]);
}

#[test]
fn a_new_network_brings_new_offers_and_trackers_at_once() {
    let (mut desk, links) = connected();
    let (old, made) = (desk.socket(URL), desk.offers_made);
    let pending: Vec<LinkId> = desk.live.iter().filter(|link| !links.contains(link)).copied().collect();
    assert!(!pending.is_empty(), "an offer is out");
    desk.tell(Input::NetworkChanged);
    assert!(pending.iter().all(|link| !desk.live.contains(link)), "old candidates are of no use");
    assert!(!desk.sockets.contains_key(&old));
    let took = back_at_the_tracker(&mut desk, old);
    assert!(took <= Duration::from_secs(3), "{took:?}");
    assert!(desk.offers_made > made);
    assert!(links.iter().all(|link| desk.live.contains(link)), "connections may survive it");

    // A flapping network is one change.
    let socket = desk.socket(URL);
    desk.wait(Duration::from_secs(6));
    for _ in 0..10 {
        desk.tell(Input::NetworkChanged);
        desk.wait(Duration::from_millis(300));
    }
    assert!(desk.socket(URL) <= SocketId(socket.0 + 1));
}

#[test]
fn when_everyone_is_lost_at_once_it_is_the_network() {
    let (mut desk, links) = connected();
    let old = desk.socket(URL);
    desk.tell(Input::LinkReachable { link: links[0], reachable: false });
    assert!(desk.sockets.contains_key(&old), "one of two may be gone by itself");
    desk.tell(Input::LinkReachable { link: links[0], reachable: true });
    desk.tell(Input::LinkReachable { link: links[1], reachable: false });
    assert!(desk.sockets.contains_key(&old));
    desk.tell(Input::LinkReachable { link: links[0], reachable: false });
    assert!(!desk.sockets.contains_key(&old));
}
