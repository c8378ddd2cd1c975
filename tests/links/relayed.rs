//! Offers and answers through trackers that delay, repeat, mix up and forge them.

use std::time::Duration;

use swarmreel::engine::{Input, Limits, Source};
use swarmreel::ids::{InfoHash, LinkId, OfferId, PeerId, SocketId};
use swarmreel::tracker::message::ServerMessage;
use swarmreel::wire::{Handshake, Message};

use crate::desk::{Desk, HOST, RELAYED, metainfo, public, sdp, stranger};

const HASH: InfoHash = InfoHash([7; 20]);
const URLS: [&str; 2] = ["wss://a.test/", "wss://b.test/"];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A leecher whose first offer is out by the first tracker.
fn leecher() -> (Desk, SocketId, OfferId) {
    let mut desk = Desk::new(1);
    desk.add(Source::Text(HASH.to_hex()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    let (offer_id, _) = desk.announce(socket).offers[0];
    (desk, socket, offer_id)
}

fn answer(desk: &mut Desk, socket: SocketId, peer_id: PeerId, offer_id: OfferId) {
    let sdp = sdp(9, &public(9)).replace("actpass", "active");
    desk.hear(socket, ServerMessage::Answer { info_hash: HASH, peer_id, offer_id, sdp });
}

#[test]
fn an_offer_is_answered_once() {
    let (mut desk, socket, offer_id) = leecher();
    for peer in 0..3 {
        answer(&mut desk, socket, stranger(peer), offer_id);
    }
    assert_eq!(desk.given.len(), 1);
}

#[test]
fn an_answer_counts_in_time_and_by_the_tracker_that_had_the_offer() {
    let (mut desk, socket, offer_id) = leecher();
    desk.add(Source::Text(HASH.to_hex()), &URLS[1..]);
    let other = desk.socket(URLS[1]);
    answer(&mut desk, other, stranger(1), offer_id);
    answer(&mut desk, socket, stranger(1), OfferId([0; 20]));
    assert_eq!(desk.given.len(), 0, "by the wrong tracker, or to nothing");
    desk.wait(Limits::default().offer_life);
    answer(&mut desk, socket, stranger(1), offer_id);
    assert_eq!(desk.given.len(), 0, "too late");
    let live = desk.live.len();
    desk.wait(seconds(600));
    assert!(desk.live.len() <= live.max(Limits::default().offers_per_announce), "nothing is left behind");
}

#[test]
fn an_offer_without_an_answer_goes_out_again_under_another_name() {
    let (mut desk, socket, first) = leecher();
    let made = desk.offers_made;
    let description = desk.announce(socket).offers[0].1.clone();
    desk.wait(seconds(30));
    let (second, again) = desk.announce(socket).offers[0].clone();
    assert_eq!((again, desk.offers_made), (description, made), "the same description, nothing made anew");
    assert_ne!(second, first);
    answer(&mut desk, socket, stranger(1), first);
    assert_eq!(desk.given.len(), 1, "under its first name it can still be answered");
    answer(&mut desk, socket, stranger(2), second);
    assert_eq!(desk.given.len(), 1, "a description is answered once, whatever its name");
}

#[test]
fn what_a_lost_tracker_had_goes_to_another() {
    let (mut desk, socket, lost) = leecher();
    let description = desk.announce(socket).offers[0].1.clone();
    desk.tell(Input::SocketClosed { socket, code: 1006, reason: "" });
    desk.sockets.remove(&socket);
    desk.add(Source::Text(HASH.to_hex()), &URLS[1..]);
    let other = desk.socket(URLS[1]);
    assert_eq!(desk.announce(other).offers[0].1, description);
    desk.wait(seconds(10));
    let socket = desk.socket(URLS[0]);
    answer(&mut desk, socket, stranger(1), lost);
    assert_eq!(desk.given.len(), 0, "the new connection knows nothing of the old one's offers");
}

#[test]
fn a_link_is_judged_by_its_handshake_whatever_the_tracker_says() {
    let (mut desk, socket, offer_id) = leecher();
    answer(&mut desk, socket, stranger(1), offer_id);
    let (link, _) = desk.given[0].clone();
    desk.tell(Input::LinkOpened { link, message_max: 65_536 });
    let handshake = Handshake { info_hash: HASH, peer_id: stranger(2), extensions: false, fast: true };
    desk.says(link, &Message::Handshake(handshake));
    assert!(desk.live.contains(&link));
    let stats = desk.engine.stats(desk.now, swarmreel::ids::TorrentId(1)).expect("a torrent");
    assert_eq!(stats.peers[0].peer_id, stranger(2));
}

#[test]
fn a_channel_that_takes_hardly_anything_is_of_no_use() {
    for (message_max, stays) in [(1023, false), (1024, true)] {
        let (mut desk, socket, offer_id) = leecher();
        answer(&mut desk, socket, stranger(1), offer_id);
        let (link, _) = desk.given[0].clone();
        desk.tell(Input::LinkOpened { link, message_max });
        assert_eq!(desk.live.contains(&link), stays, "{message_max} bytes a message");
    }
}

#[test]
fn a_stranger_s_text_never_reaches_the_browser() {
    let (mut desk, socket, _) = leecher();
    let good = sdp(1, HOST);
    for bad in [
        String::new(),
        good.replace("sha-256", "md5"),
        format!("{good}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"),
        format!("{good}{}", "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(200)),
    ] {
        desk.offered(socket, HASH, stranger(1), bad);
    }
    assert_eq!(desk.given.len(), 0);
    desk.offered(
        socket,
        HASH,
        stranger(1),
        format!("{good}a=evil:payload\r\na=candidate:1 1 udp 1 a.example 9 typ host\r\n"),
    );
    let (_, given) = &desk.given[0];
    assert!(given.contains("n0000001") && !given.contains("evil") && !given.contains("a.example"), "{given}");
}

#[test]
fn our_own_offer_is_not_answered() {
    let mut desk = Desk::new(1);
    // Two names of one tracker: it knows us twice.
    desk.add(Source::Text(HASH.to_hex()), &URLS);
    let sockets = URLS.map(|url| desk.socket(url));
    for (from, to) in [(0, 1), (1, 0), (0, 0)] {
        let announce = desk.announce(sockets[from]).clone();
        let (offer_id, sdp) = announce.offers[0].clone();
        let peer_id = announce.peer_id;
        desk.hear(sockets[to], ServerMessage::Offer { info_hash: HASH, peer_id, offer_id, sdp });
    }
    assert_eq!(desk.given.len(), 0);
}

#[test]
fn whoever_turns_out_to_be_ourselves_is_dropped() {
    let (mut desk, socket, offer_id) = leecher();
    answer(&mut desk, socket, stranger(1), offer_id);
    let link = desk.given[0].0;
    desk.tell(Input::LinkOpened { link, message_max: 65_536 });
    let own = desk.sent.iter().find(|(to, _)| *to == link).expect("a handshake").1.clone();
    desk.tell(Input::LinkData(link, &own));
    assert!(!desk.live.contains(&link));
}

#[test]
fn seeds_let_each_other_go_and_do_not_come_back() {
    let film = metainfo(4);
    let hash = film.info_hash;
    let mut desk = Desk::new(2);
    desk.seed(film, &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    let seed = desk.meets(socket, hash, stranger(1), &public(1)).expect("who knows whether it is a seed");
    let leecher = desk.meets(socket, hash, stranger(2), &public(2)).expect("a leecher");
    desk.says(seed, &Message::HaveAll);
    desk.says(leecher, &Message::HaveNone);
    desk.wait(seconds(15));
    assert_eq!(desk.left, ["both have everything"]);
    assert!(desk.live.contains(&leecher) && !desk.live.contains(&seed));
    for _ in 0..10 {
        desk.wait(seconds(12));
        desk.says(leecher, &Message::KeepAlive);
        assert_eq!(desk.meets(socket, hash, stranger(1), &public(1)), None, "its next offer is not answered");
    }
}

#[test]
fn who_hides_sends_no_description_that_tells_where_it_is() {
    let limits = Limits { relay_only: true, ..Limits::default() };
    let mut desk = Desk::with(3, limits.clone());
    desk.add(Source::Text(HASH.to_hex()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    desk.offered(socket, HASH, stranger(1), sdp(1, HOST));
    desk.wait(seconds(60));
    assert!(desk.announces.iter().all(|(_, announce)| announce.offers.is_empty()));
    assert!(desk.answers.is_empty() && desk.live.is_empty());
    assert_eq!(desk.warnings, ["relay-unreachable"], "told once");

    let mut desk = Desk { candidate: RELAYED, ..Desk::with(3, limits) };
    desk.add(Source::Text(HASH.to_hex()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    desk.offered(socket, HASH, stranger(1), sdp(1, HOST));
    let offered = &desk.announce(socket).offers[0].1;
    for sdp in [offered, &desk.answers[0].sdp] {
        assert!(sdp.contains("typ relay") && !sdp.contains("192.168"), "{sdp}");
    }
}

#[test]
fn a_peer_that_is_linked_already_is_not_answered() {
    let (mut desk, socket, offer_id) = leecher();
    answer(&mut desk, socket, stranger(1), offer_id);
    desk.offered(socket, HASH, stranger(1), sdp(1, HOST));
    assert_eq!(desk.answers.len(), 0);
    let links: Vec<LinkId> = desk.given.iter().map(|(link, _)| *link).collect();
    desk.tell(Input::LinkOpened { link: links[0], message_max: 65_536 });
    desk.tell(Input::LinkReachable { link: links[0], reachable: false });
    desk.offered(socket, HASH, stranger(1), sdp(1, HOST));
    assert_eq!(desk.answers.len(), 1, "one that is probably dead does not stand in its way");
}
