//! What one client, or many, can use up.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::tracker::message::{Announce, ClientMessage, Event, ServerMessage, Tally};
use swarmreel_signaling::{Access, InfoHashes, Refusal};

use crate::room::{HASH, LEECHER, Room, SEEDER, answer_text, offers_of, update};

#[test]
fn s6_silence_ends_memberships_and_then_the_connection() {
    let mut room = Room::new(2);
    room.joins(1, LEECHER, 0);
    room.pass(100);
    room.announce(1, Announce { info_hash: InfoHash([8; 20]), ..update(1) });
    room.pass(84);
    assert_eq!((room.tracker.stats().torrents, room.closed.len()), (2, 0));
    room.pass(1); // 185 s after the first torrent's only announce, and after connection 2 opened: the row has 190 s
    assert_eq!(room.tracker.stats().torrents, 1);
    assert_eq!(room.closed, BTreeMap::from([(2, 1000)]));
    let due = room.tracker.wake_at().expect("somebody is here");
    assert_eq!(due.since(room.now), Duration::from_secs(100));
    room.pass(100);
    assert_eq!(room.tracker.stats().torrents, 0);
    assert_eq!(room.closed, BTreeMap::from([(1, 1000), (2, 1000)]));
    assert_eq!(room.tracker.wake_at(), None);
}

#[test]
fn s6_who_announces_in_time_but_for_one_lost_announce_stays() {
    let mut room = Room::new(1);
    room.joins(1, LEECHER, 0);
    room.pass(90); // the announce that is lost
    room.pass(92); // the next, which took a while
    room.joins(1, LEECHER, 0);
    assert_eq!((room.counts(1), room.closed.len()), ((0, 1), 0));
}

#[test]
fn s7_who_answers_slowly_is_offered_no_more_than_it_can_answer() {
    let crowd = 2..=41;
    let mut room = Room::new(0);
    for conn in 1..=41 {
        room.open_at(conn, Ipv4Addr::new(10, 0, 0, conn as u8).into());
    }
    room.joins(1, SEEDER, 0);
    room.received(1);
    let asked = |room: &mut Room| {
        crowd.clone().for_each(|conn| room.joins(conn, LEECHER, 1));
        room.received(1)
    };
    let waiting = asked(&mut room);
    assert_eq!(waiting.len(), 16, "the rest go to each other");
    for offer in waiting.into_iter().take(5) {
        let ServerMessage::Offer { peer_id, offer_id, .. } = offer else { panic!("{offer:?}") };
        room.text(1, &answer_text(1, peer_id.0[0].into(), offer_id));
    }
    assert_eq!(room.received(1), [], "the answers are taken");
    assert_eq!(asked(&mut room).len(), 5, "as many as it answered");
    room.pass(14);
    assert_eq!(asked(&mut room).len(), 0);
    room.pass(2);
    assert_eq!(asked(&mut room).len(), 16, "what it has not answered by now it will not answer");
}

#[test]
fn s11_an_offer_flood_is_relayed_within_the_limits_and_then_closed() {
    let mut room = Room::new(21);
    (2..=21).for_each(|conn| room.joins(conn, LEECHER, 0));
    let flood = |room: &mut Room, announces| {
        for _ in 0..announces {
            room.announce(1, Announce { offers: offers_of(1, 10), ..update(1) });
        }
        room.offers_to(2..=21)
    };
    assert_eq!(flood(&mut room, 10), 64, "outstanding offers are capped within the burst");
    room.pass(30);
    assert_eq!(flood(&mut room, 10), 0, "for as long as they can be answered");
    room.pass(30);
    assert_eq!(flood(&mut room, 3), 30, "and then there is room again");
    assert_eq!(room.received(1).len(), 23, "every announce has its response");

    flood(&mut room, 200);
    assert!(room.closed.is_empty(), "presence is still counted");
    for _ in 0..10 {
        assert!(room.closed.is_empty(), "a strike a second");
        flood(&mut room, 100);
        room.pass(1);
    }
    assert_eq!(room.closed, BTreeMap::from([(1, 1008)]));
}

#[test]
fn s11_offers_beyond_the_announce_rate_are_not_relayed() {
    let mut room = Room::new(2);
    room.joins(2, LEECHER, 0);
    let mut relayed = |announces, seconds| {
        (0..announces).for_each(|_| room.joins(1, LEECHER, 1));
        room.pass(seconds);
        room.offers_to(2..=2)
    };
    assert_eq!(relayed(14, 1), 10, "the burst");
    assert_eq!(relayed(1, 3), 0, "the debt of four is half paid after a second");
    assert_eq!(relayed(9, 1), 3, "two a second since");
}

#[test]
fn s11_a_client_may_start_with_all_its_torrents_at_once() {
    let mut room = Room::new(1);
    for event in [Event::Completed, Event::Started] {
        for torrent in 0..128 {
            let info_hash = InfoHash([torrent; 20]);
            room.announce(1, Announce { info_hash, event: Some(event), left: SEEDER, ..update(1) });
            assert_eq!(room.counts(1), (1, 0), "torrent {torrent}");
        }
    }
    assert!(room.closed.is_empty());
}

#[test]
fn s11_a_client_with_too_many_torrents_keeps_what_it_may_have_and_only_a_flood_ends_it() {
    let mut room = Room::new(1);
    let flood = |room: &mut Room| {
        for torrent in 0..1000_u16 {
            let mut info_hash = InfoHash([7; 20]);
            info_hash.0[..2].copy_from_slice(&torrent.to_be_bytes());
            room.announce(1, Announce { info_hash, left: SEEDER, ..update(1) });
        }
    };
    for strike in 1..=10 {
        assert!(room.closed.is_empty(), "{strike} seconds of it are borne");
        assert_eq!(room.tracker.stats().torrents, if strike == 1 { 0 } else { 128 });
        flood(&mut room);
        room.pass(1);
    }
    assert_eq!(room.closed.len(), 1);
}

#[test]
fn s11_a_household_has_a_bucket_for_all_its_connections() {
    let mut room = Room::new(0);
    let household = |host: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into();
    (1..=64).for_each(|conn| room.open_at(conn, household(conn as u16)));
    room.open_at(65, Ipv4Addr::new(192, 0, 2, 1).into());
    let served = |room: &mut Room, announces| {
        let before = room.tracker.counters().refused[Refusal::BusyHousehold as usize];
        for number in 0..announces {
            room.announce(number % 64 + 1, update(number % 64 + 1));
        }
        announces - (room.tracker.counters().refused[Refusal::BusyHousehold as usize] - before)
    };
    assert_eq!(served(&mut room, 100 * 64), 64 * 60, "a minute's worth");
    room.pass(1);
    assert_eq!(served(&mut room, 100 * 64), 64, "one for each connection it may have");
    room.received(1);
    room.announce(1, update(1));
    assert_eq!(room.failure(1), "too many messages");
    assert!(room.closed.is_empty(), "whoever else it was, it is no strike");
    room.joins(65, LEECHER, 0);
    assert_eq!(room.counts(65), (0, 65), "others announce as ever");
}

#[test]
fn s12_swarms_go_with_their_last_peer() {
    let mut room = Room::new(10);
    for conn in 1..=10 {
        for torrent in 0..130 {
            let mut hash = [conn as u8; 20];
            hash[0] = torrent;
            room.announce(conn, Announce { info_hash: InfoHash(hash), ..update(conn) });
        }
        let refused = room.received(conn).iter().filter(|reply| matches!(reply, ServerMessage::Failure { .. })).count();
        assert_eq!(refused, 2, "128 torrents per connection");
    }
    assert_eq!(room.tracker.stats().torrents, 1280);
    (1..=10).for_each(|conn| room.close(conn));
    assert_eq!(room.tracker.stats(), Room::new(0).tracker.stats());
    assert_eq!(room.tracker.wake_at(), None);
}

#[test]
fn s17_a_scrape_tells_about_the_torrents_it_names() {
    let mut room = Room::new(3);
    room.joins(1, SEEDER, 0);
    room.joins(2, LEECHER, 0);
    let unknown = InfoHash([9; 20]);
    room.text(3, &ClientMessage::Scrape(vec![HASH, unknown]).write());
    let tally = Tally { complete: 1, incomplete: 1, downloaded: 1 };
    assert_eq!(room.received(3), [ServerMessage::Scrape(vec![(HASH, tally), (unknown, Tally::default())])]);
    room.text(3, r#"{"action":"scrape"}"#);
    assert_eq!(room.failure(3), "a scrape names 1 to 64 info hashes");
    assert_eq!(room.tracker.stats().torrents, 1, "a scrape creates nothing");
}

#[test]
fn s17_two_thousand_swarms_are_not_told_to_who_names_none() {
    let mut room = Room::new(16);
    for torrent in 0..2000u64 {
        let mut hash = [0; 20];
        hash[..8].copy_from_slice(&torrent.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let conn = torrent % 16 + 1;
        room.tracker.message(
            room.now,
            swarmreel_signaling::ConnId(conn),
            &ClientMessage::Announce(Announce { info_hash: InfoHash(hash), ..update(conn) }).write(),
        );
    }
    room.drain();
    assert_eq!(room.tracker.stats().torrents, 2000);
    room.open(99);
    room.longest = 0;
    room.text(99, r#"{"action":"scrape"}"#);
    assert_eq!(room.failure(99), "a scrape names 1 to 64 info hashes");
    assert!(room.longest <= 200, "{} bytes", room.longest);
}

#[test]
fn s19_no_peer_id_gets_into_the_statistics() {
    let ids =
        [*b"<script>alert(1)</sc", *b"-WW<\"\n\xff-abcdefghijkl", *b"-<b>0300-abcdefghijk", [b'"'; 20], [b'\n'; 20]];
    let mut room = Room::new(ids.len() as u64);
    for (conn, id) in (1..).zip(ids) {
        room.announce(conn, Announce { peer_id: PeerId(id), ..update(conn) });
    }
    let json = serde_json::to_string(&room.tracker.stats()).unwrap();
    assert!(json.contains("\"peersAll\":5"), "{json}");
    assert!(!json.contains(['<', '>', '\n', '\\']), "{json}");
}

#[test]
fn s20_only_torrents_of_the_list_are_served_and_others_are_left_at_the_next_announce() {
    let other = InfoHash([8; 20]);
    let mut room = Room::new(2);
    room.joins(1, SEEDER, 0);
    room.announce(1, Announce { info_hash: other, ..update(1) });
    room.received(1);
    room.tracker.set_access(Access::Allow(InfoHashes::from_iter([other])));
    assert_eq!(room.tracker.stats().torrents, 2, "who is there is there");
    for _ in 0..20 {
        for event in [None, Some(Event::Completed)] {
            room.announce(1, Announce { event, offers: offers_of(1, 1), ..update(1) });
            assert_eq!(room.failure(1), "this tracker does not serve this torrent");
        }
        room.announce(1, Announce { info_hash: other, ..update(1) });
        assert_eq!(room.counts(1), (0, 1));
        room.pass(2);
    }
    assert_eq!((room.tracker.stats().torrents, room.closed.len()), (1, 0), "it is no strike");
    room.announce(1, Announce { event: Some(Event::Stopped), ..update(1) });
    assert_eq!(room.counts(1), (0, 0), "to leave is always allowed");
    room.tracker.set_access(Access::Deny(InfoHashes::from_iter([other])));
    room.joins(2, LEECHER, 0);
    assert_eq!(room.counts(2), (0, 1));
}
