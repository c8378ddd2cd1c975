//! Whom the tracker introduces to whom, and what it counts.

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Announce, Event, ServerMessage};
use swarmreel_signaling::{ConnId, Counters, Refusal, Withheld};

use crate::room::{HASH, LEECHER, NOT_OPEN, Room, SEEDER, answer_text, offers_of, peer, update};

#[test]
fn a_new_leecher_and_the_seeder_meet_in_two_turns() {
    let mut room = Room::new(2);
    room.joins(1, SEEDER, 0);
    assert_eq!(room.counts(1), (1, 0));

    room.joins(2, LEECHER, 3);
    assert_eq!(room.counts(2), (1, 1));
    let (offer_id, sdp) = offers_of(2, 1).remove(0);
    assert_eq!(room.received(1), [ServerMessage::Offer { info_hash: HASH, peer_id: peer(2), offer_id, sdp }]);

    room.text(1, &answer_text(1, 2, offer_id));
    let sdp = "v=0 answer of 1".to_owned();
    assert_eq!(room.received(2), [ServerMessage::Answer { info_hash: HASH, peer_id: peer(1), offer_id, sdp }]);
    assert_eq!(room.received(1), [], "an answer gets no reply");
}

#[test]
fn a_lone_peer_gets_a_response_and_its_offers_are_not_remembered() {
    let mut room = Room::new(2);
    room.joins(1, LEECHER, 5);
    let messages = room.received(1);
    assert!(
        matches!(messages[..], [ServerMessage::Response { interval: Some(90), complete: 0, incomplete: 1, .. }]),
        "{messages:?}"
    );
    room.joins(2, SEEDER, 0);
    assert!(room.offers(2).is_empty());
}

#[test]
fn seeders_are_not_introduced_to_seeders() {
    let mut room = Room::new(3);
    room.joins(1, SEEDER, 5);
    room.joins(2, SEEDER, 5);
    room.joins(3, LEECHER, 0);
    assert!(room.offers(1).is_empty());
    room.joins(1, SEEDER, 5);
    assert!(room.offers(2).is_empty());
    assert_eq!(room.offers(3).len(), 1);
}

#[test]
fn numwant_and_the_number_of_peers_cap_the_offers() {
    let mut room = Room::new(8);
    (2..=8).for_each(|conn| room.joins(conn, LEECHER, 0));
    room.announce(1, Announce { numwant: Some(2), offers: offers_of(1, 5), ..update(1) });
    assert_eq!(room.offers_to(2..=8), 2);
    room.announce(1, Announce { numwant: None, offers: offers_of(1, 5), ..update(1) });
    let each: Vec<_> = (2..=8).map(|conn| room.offers(conn).len()).collect();
    assert_eq!(each.iter().sum::<usize>(), 5);
    assert_eq!(each.iter().max(), Some(&1), "no peer gets two offers of one announce");
    room.announce(1, Announce { offers: offers_of(1, 9), ..update(1) });
    assert_eq!(room.offers_to(2..=8), 7);
}

#[test]
fn left_and_events_make_a_seeder() {
    let mut room = Room::new(1);
    let mut after = |event, left| {
        room.announce(1, Announce { event, left, ..update(1) });
        room.counts(1)
    };
    assert_eq!(after(None, None), (0, 1));
    assert_eq!(after(Some(Event::Completed), None), (1, 0), "completed before started");
    assert_eq!(after(Some(Event::Started), None), (1, 0), "unknown changes nothing");
    assert_eq!(after(None, Some(5)), (0, 1), "the client says it is not complete");
    assert_eq!(after(None, Some(0)), (1, 0));
    assert_eq!(after(Some(Event::Stopped), None), (0, 0));
    assert_eq!(after(Some(Event::Stopped), None), (0, 0), "a second stop is no error");
}

#[test]
fn a_stopped_peer_is_offered_to_nobody_and_its_offers_die() {
    let mut room = Room::new(2);
    room.joins(1, LEECHER, 0);
    room.joins(2, LEECHER, 1);
    let offer_id = room.offers(1)[0];
    room.announce(2, Announce { event: Some(Event::Stopped), ..update(2) });
    room.joins(2, LEECHER, 0);
    room.text(1, &answer_text(1, 2, offer_id));
    assert_eq!(room.failure(1), NOT_OPEN);

    room.announce(1, Announce { event: Some(Event::Stopped), ..update(1) });
    room.received(1);
    room.joins(2, LEECHER, 5);
    assert_eq!(room.received(1), []);
}

#[test]
fn stats_have_the_fields_of_bittorrent_tracker_and_count_peers_once() {
    let mut room = Room::new(2);
    room.tracker.opened(room.now, ConnId(3), "::ffff:10.0.0.1".parse().unwrap());
    room.tracker.opened(room.now, ConnId(4), "2001:db8::1".parse().unwrap());
    let peer_id = PeerId(*b"-WW0300-abcdefghijkl");
    room.announce(3, Announce { peer_id, left: Some(0), ..update(3) });
    room.announce(3, Announce { info_hash: InfoHash([8; 20]), peer_id, ..update(3) });
    room.joins(4, SEEDER, 0);
    room.joins(1, LEECHER, 0);
    assert_eq!(
        serde_json::to_value(room.tracker.stats()).unwrap(),
        serde_json::json!({
            "torrents": 2, "activeTorrents": 2, "peersAll": 3, "peersSeederOnly": 1, "peersLeecherOnly": 1,
            "peersSeederAndLeecher": 1, "peersIPv4": 2, "peersIPv6": 1,
            "clients": { "WebTorrent": { "0300": 1 }, "unknown": { "": 2 } }
        })
    );
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut room = Room::new(24);
        (1..=24).for_each(|conn| room.joins(conn, (conn % 3 == 0).then_some(0), 4));
        room.inboxes
    };
    assert_eq!(run(), run());
}

#[test]
fn what_clients_of_all_kinds_say_is_taken() {
    let mut room = Room::new(1);
    for (members, counts) in [
        (r#""left":null,"numwant":50,"event":"started","offers":[]"#, (0, 1)),
        (r#""left":-1,"event":"<regular>","offers":null"#, (0, 1)),
        (r#""left":16384,"event":"paused","key":"0A1B2C3D","corrupt":0"#, (0, 1)),
        (r#""left":0.0,"event":"","trackerid":"x""#, (1, 0)),
        (r#""uploaded":1e30,"downloaded":-0.5,"numwant":1e30,"left":7"#, (0, 1)),
    ] {
        let ids = r#""info_hash":"01234567890123456789","peer_id":"-WW0300-abcdefghijkl""#;
        room.text(1, &format!(r#"{{"action":"announce",{ids},{members}}}"#));
        assert_eq!(room.counts(1), counts, "{members}");
    }
}

#[test]
fn everything_is_counted() {
    let mut room = Room::new(3);
    room.joins(1, SEEDER, 2);
    room.joins(2, LEECHER, 2);
    room.announce(2, Announce { numwant: Some(1), offers: offers_of(2, 3), ..update(2) });
    let offer_id = room.offers(1)[0];
    room.text(1, &answer_text(1, 2, offer_id));
    room.text(1, &answer_text(1, 2, OfferId([0; 20])));
    room.announce(3, Announce { event: Some(Event::Stopped), ..update(1) });
    room.text(3, "{");
    let mut expected =
        Counters { announces: 4, stops: 1, answers: 2, malformed: 1, offers: 7, probes: 1, ..Counters::default() };
    (expected.offers_relayed, expected.answers_relayed) = (2, 1);
    expected.withheld[Withheld::NoPartner as usize] = 3;
    expected.withheld[Withheld::Unwanted as usize] = 2;
    expected.refused[Refusal::NoSuchOffer as usize] = 1;
    expected.refused[Refusal::PeerIdInUse as usize] = 1;
    assert_eq!(room.tracker.counters(), expected);
    assert_eq!(expected.offers, expected.offers_relayed + expected.withheld.iter().sum::<u64>());
}
