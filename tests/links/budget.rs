//! The budget of connections: its bound, who shares in it, and who makes room.

use std::time::Duration;

use swarmreel::engine::{Input, Limits, Source};
use swarmreel::ids::{InfoHash, LinkId, SocketId};
use swarmreel::wire::Message;

use crate::desk::{Desk, HOST, Trackers, content, metainfo, public, sdp, stranger};

const URLS: [&str; 3] = ["wss://a.test/", "wss://b.test/", "wss://c.test/"];
const SEVEN: InfoHash = InfoHash([7; 20]);

fn magnet(index: u8) -> Source {
    Source::Text(InfoHash([index; 20]).to_hex())
}

/// Twenty torrents at three trackers for half an hour, in which nobody answers an offer. `counts`: what trackers say of the
/// swarms' sizes, if they say anything.
fn half_an_hour(trackers: Trackers, counts: Option<u32>) -> Desk {
    let mut desk = Desk { trackers, ..Desk::new(1) };
    for index in 0..20 {
        desk.add(magnet(index), &URLS);
    }
    for _ in 0..30 * 60 {
        desk.wait(Duration::from_secs(1));
        let heard: Vec<_> = std::mem::take(&mut desk.announces);
        for (socket, announce) in heard {
            counts.into_iter().for_each(|others| desk.counts(socket, announce.info_hash, others));
        }
    }
    desk
}

#[test]
fn trackers_that_never_answer_use_up_nothing() {
    for (trackers, counts) in [(Trackers::Mute, None), (Trackers::Up, None), (Trackers::Up, Some(50))] {
        let desk = half_an_hour(trackers, counts);
        assert!(desk.most_live <= Limits::default().links_max, "{} at once", desk.most_live);
        // Each torrent's offers are made anew every three minutes, not with each announce.
        let most = 20 * Limits::default().offers_per_announce * 12;
        assert!(desk.offers_made <= most, "{} connections made", desk.offers_made);
        assert!(desk.offers_made >= 20, "{} connections made", desk.offers_made);
    }
}

/// Strangers meet us, up to `count`; says who got in.
fn crowd(desk: &mut Desk, socket: SocketId, info_hash: InfoHash, from: u32, count: u32) -> Vec<LinkId> {
    (from..from + count).filter_map(|index| desk.meets(socket, info_hash, stranger(index), &public(index))).collect()
}

#[test]
fn a_busy_process_has_room_for_a_new_torrent() {
    let mut desk = Desk::new(2);
    for index in 0..4 {
        desk.add(magnet(index), &URLS[..1]);
    }
    let socket = desk.socket(URLS[0]);
    for index in 0..4 {
        crowd(&mut desk, socket, InfoHash([index; 20]), 1000 * u32::from(index), 60);
    }
    assert!(desk.live.len() >= 115, "{} links", desk.live.len());
    for index in 4..9 {
        desk.add(magnet(index), &URLS[..1]);
        let links = crowd(&mut desk, socket, InfoHash([index; 20]), 1000 * u32::from(index), 60);
        assert!(links.len() >= Limits::default().links_first - 1, "{} links", links.len());
    }
    assert!(desk.live.len() <= Limits::default().links_max);
    assert!(desk.left.is_empty(), "nobody had to go for that: {:?}", desk.left);
}

#[test]
fn a_flood_of_offers_is_answered_at_a_walk() {
    let limits = Limits::default();
    let flood = |desk: &mut Desk, fails_at_once: bool| {
        let sockets: Vec<SocketId> = (0..5).map(|_| desk.socket(URLS[0])).collect();
        let mut most = 0;
        for millisecond in 0..10_000u32 {
            let torrent = (millisecond % 5) as u8;
            let before = desk.given.len();
            desk.offered(sockets[0], InfoHash([torrent; 20]), stranger(millisecond), sdp(1, &public(millisecond)));
            if let Some((link, _)) = desk.given.get(before).cloned().filter(|_| fails_at_once) {
                desk.live.remove(&link);
                desk.tell(Input::LinkClosed(link));
            }
            most = most.max(desk.given.len());
            desk.wait(Duration::from_millis(1));
        }
        most
    };
    for fails_at_once in [false, true] {
        let mut desk = Desk { browser: false, ..Desk::new(3) };
        (0..5).for_each(|index| _ = desk.add(magnet(index), &URLS[..1]));
        let made = flood(&mut desk, fails_at_once);
        if fails_at_once {
            let allowed = 5 * (limits.remote_offers_burst as usize + 10);
            assert!(made <= allowed, "{made} connections for 10,000 offers");
        } else {
            assert_eq!(made, limits.answering_max, "{made} at once");
        }
    }
}

#[test]
fn who_gives_and_takes_nothing_makes_room_for_a_newcomer() {
    let mut desk = Desk::new(4);
    let film = metainfo(400);
    let hash = film.info_hash;
    desk.add(Source::Torrent(film.to_torrent()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    // Our own offer, which nobody answers, gives way too.
    desk.wait(Duration::from_secs(18));
    let links = crowd(&mut desk, socket, hash, 0, 80);
    assert_eq!(links.len(), Limits::default().links_per_torrent_max, "the first come are served");
    assert_eq!(desk.left, [""; 0]);

    // One of them is worth its place: a block every five seconds.
    let active = links[0];
    desk.says(active, &Message::HaveAll);
    desk.says(active, &Message::Unchoke);
    for round in 0..23 {
        let newcomer = desk.meets(socket, hash, stranger(900 + round), &public(900));
        assert!(newcomer.is_none(), "before they were idle: {:?}", desk.left);
        desk.delivers(active, round as usize, &content(400));
        desk.wait(Duration::from_secs(5));
        for link in &links {
            desk.says(*link, &Message::KeepAlive);
        }
    }
    desk.delivers(active, 23, &content(400));
    desk.wait(Duration::from_secs(8));
    let newcomers = crowd(&mut desk, socket, hash, 1000, 100);
    assert_eq!(newcomers.len(), links.len() - 1, "all idle ones are replaced, and the newcomers are not");
    assert!(desk.live.contains(&active), "who delivers stays");
    assert!(desk.left.iter().all(|reason| *reason == "it makes room for others"), "{:?}", desk.left);
}

#[test]
fn a_leecher_whose_peers_give_nothing_looks_for_others() {
    let film = metainfo(400);
    let hash = film.info_hash;
    let mut desk = Desk::new(8);
    desk.add(Source::Torrent(film.to_torrent()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    let links = crowd(&mut desk, socket, hash, 0, Limits::default().links_wanted as u32);
    let giver = links[0];
    desk.says(giver, &Message::HaveAll);
    desk.says(giver, &Message::Unchoke);
    let offers_made_in_a_minute = |desk: &mut Desk, gives: bool| {
        desk.announces.clear();
        for second in 0..60 {
            desk.wait(Duration::from_secs(1));
            // The tracker knows of more than we have met.
            desk.counts(socket, hash, 60);
            if gives {
                desk.delivers(giver, second, &content(400));
            }
        }
        desk.announces.iter().map(|(_, announce)| announce.offers.len()).sum::<usize>()
    };
    assert_eq!(offers_made_in_a_minute(&mut desk, true), 0, "enough is met");
    let offers = offers_made_in_a_minute(&mut desk, false);
    assert!(offers >= 10, "{offers} offers");
}

#[test]
fn one_address_has_a_quarter_of_the_places_where_others_wait() {
    let hour = Duration::from_secs(3600);
    let limits = Limits { idle_after: hour, silence_timeout: hour, ..Limits::default() };
    let mut desk = Desk::with(5, limits.clone());
    desk.add(magnet(7), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    let meets = |desk: &mut Desk, index: u32, address: u32| {
        desk.wait(Duration::from_secs(2));
        desk.meets(socket, SEVEN, stranger(index), &public(address)).is_some()
    };
    let squatters = (0..60).filter(|index| meets(&mut desk, *index, 1)).count();
    assert_eq!(squatters, limits.links_per_torrent_max - 1, "they may have all places but our own offer's");
    let others = (100..200).filter(|index| meets(&mut desk, *index, *index)).count();
    assert_eq!(others, limits.links_per_torrent_max - limits.links_per_address_max);
    assert!(!meets(&mut desk, 300, 1), "the crowd takes no place back");
}

#[test]
fn an_address_of_liars_is_left_alone() {
    let film = metainfo(40);
    let hash = film.info_hash;
    let mut desk = Desk::new(6);
    desk.add(Source::Torrent(film.to_torrent()), &URLS[..1]);
    let socket = desk.socket(URLS[0]);
    let wrong = vec![0xEE; 1 << 14];
    for liar in 0..3 {
        let link = desk.meets(socket, hash, stranger(liar), &public(1)).expect("one liar may have honest neighbours");
        desk.says(link, &Message::HaveAll);
        desk.says(link, &Message::Unchoke);
        for piece in 0..40 {
            desk.says(link, &Message::Piece { piece, begin: 0, data: &wrong });
        }
    }
    assert_eq!(desk.left, ["it sent data that fails its hash"; 3]);
    let only = desk.meets(socket, hash, stranger(3), &public(1)).expect("who has nobody else takes whom it gets");
    desk.tell(Input::LinkClosed(only));
    assert!(desk.meets(socket, hash, stranger(4), &public(2)).is_some(), "elsewhere it may try again");
    assert!(desk.meets(socket, hash, stranger(5), &public(1)).is_none(), "three are a nest");
    assert!(desk.meets(socket, hash, stranger(6), HOST).is_some());
}
