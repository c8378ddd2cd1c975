//! Who may speak under which name, and who gets whose answer.

use std::net::{IpAddr, Ipv4Addr};

use swarmreel::ids::{InfoHash, OfferId};
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, Event};

use crate::room::{LEECHER, NOT_OPEN, Room, SEEDER, answer, answer_text, offers_of, peer, update};

#[test]
fn s8_an_answer_passes_only_for_an_offer_made_to_the_answerer_and_once() {
    let mut room = Room::new(3);
    room.joins(1, LEECHER, 0);
    room.joins(2, LEECHER, 1);
    room.joins(3, LEECHER, 0);
    let offer_id = room.offers(1)[0];
    (1..=3).for_each(|conn| drop(room.received(conn)));

    let other_torrent = Answer { info_hash: InfoHash([8; 20]), ..answer(1, 2, offer_id) };
    for (conn, answer) in [
        (3, answer(3, 2, offer_id)),         // the offer was made to somebody else
        (3, answer(1, 2, offer_id)),         // under a name not ours
        (1, answer(1, 3, offer_id)),         // to a peer that made no offer
        (1, answer(1, 2, OfferId([0; 20]))), // to an offer never made
        (1, answer(1, 99, offer_id)),        // to nobody
        (1, other_torrent),
    ] {
        let text = ClientMessage::Answer(answer).write();
        room.text(conn, &text);
        assert_eq!(room.failure(conn), NOT_OPEN, "{text}");
        assert_eq!(room.received(2), []);
    }
    room.text(1, &answer_text(1, 2, offer_id));
    assert_eq!(room.received(2).len(), 1);
    room.text(1, &answer_text(1, 2, offer_id));
    assert_eq!(room.failure(1), NOT_OPEN);
    assert_eq!(room.received(2), [], "an offer is answered once");
}

#[test]
fn s8_an_offer_can_be_answered_for_60_seconds() {
    let mut room = Room::new(2);
    room.joins(1, LEECHER, 0);
    for (seconds, delivered) in [(59, 1), (60, 0)] {
        room.joins(2, LEECHER, 1);
        room.received(2);
        let offer_id = room.offers(1)[0];
        room.pass(seconds);
        room.text(1, &answer_text(1, 2, offer_id));
        assert_eq!(room.received(2).len(), delivered, "after {seconds} s");
    }
    assert_eq!(room.failure(1), NOT_OPEN);
}

#[test]
fn s9_a_peer_id_belongs_to_its_connection_until_that_closes() {
    let mut room = Room::new(3);
    room.joins(1, SEEDER, 0);
    room.joins(3, LEECHER, 0);
    room.received(1);

    for event in [None, Some(Event::Stopped), Some(Event::Completed)] {
        room.announce(2, Announce { event, offers: offers_of(2, 3), ..update(1) });
        assert_eq!(room.failure(2), "this peer_id is in use by another connection");
    }
    assert_eq!(room.probed, [1, 1, 1], "the owner's pulse is felt");
    assert!(room.offers(3).is_empty(), "nothing is relayed under a stolen name");
    room.joins(3, LEECHER, 1);
    assert_eq!(room.offers(1).len(), 1, "the owner still gets its offers");

    // The owner is found dead: the next announce has the name.
    room.close(1);
    room.announce(2, Announce { left: SEEDER, ..update(1) });
    assert_eq!(room.counts(2), (1, 1));
    room.joins(3, LEECHER, 1);
    assert_eq!(room.offers(2).len(), 1);
}

#[test]
fn s10_a_connection_has_one_peer_id_per_torrent() {
    let mut room = Room::new(1);
    room.joins(1, LEECHER, 0);
    room.received(1);
    for number in 2..=9 {
        room.announce(1, Announce { peer_id: peer(number), ..update(1) });
        assert_eq!(room.failure(1), "this connection has another peer_id in this torrent");
    }
    room.joins(1, LEECHER, 0);
    assert_eq!(room.counts(1), (0, 1));
    // Another torrent may have another one (libtorrent), and so may this one after a stop.
    room.announce(1, Announce { info_hash: InfoHash([8; 20]), peer_id: peer(2), ..update(1) });
    assert_eq!(room.counts(1), (0, 1));
    room.announce(1, Announce { event: Some(Event::Stopped), ..update(1) });
    room.received(1);
    room.announce(1, Announce { peer_id: peer(3), ..update(1) });
    assert_eq!(room.counts(1), (0, 1));
}

const IN_USE: &str = "this peer_id is in use by another connection";

/// Connection 1 is a seeder, alone in its swarm; the others are open, at addresses of their number.
fn claimed_by(claimants: &[u64]) -> Room {
    let mut room = Room::new(0);
    for conn in [1].into_iter().chain(claimants.iter().copied()) {
        room.open_at(conn, IpAddr::V4(Ipv4Addr::new(10, 0, 0, (conn % 10) as u8)));
    }
    room.joins(1, SEEDER, 0);
    for conn in claimants {
        room.announce(*conn, Announce { left: SEEDER, event: Some(Event::Started), ..update(1) });
        assert_eq!(room.failure(*conn), IN_USE);
    }
    room
}

#[test]
fn s9_who_was_refused_is_let_in_as_soon_as_the_owner_is_found_dead() {
    let mut room = claimed_by(&[2]);
    room.pass(3);
    room.close(1);
    assert_eq!(room.counts(2), (1, 0), "told without asking again");
    room.open(3);
    room.joins(3, LEECHER, 1);
    assert_eq!(room.offers(2).len(), 1);
    assert_eq!(room.tracker.counters().claims, 1);
    room.close(2);
    assert_eq!(room.tracker.stats().peers_seeder_only, 0, "and gone with its connection");
}

#[test]
fn s9_a_claim_is_for_10_seconds_and_for_whoever_is_there() {
    let mut late = claimed_by(&[2]);
    late.pass(10);
    late.close(1);
    let mut gone = claimed_by(&[2]);
    gone.close(2);
    gone.close(1);
    let mut withdrawn = claimed_by(&[2]);
    withdrawn.announce(2, Announce { event: Some(Event::Stopped), ..update(1) });
    assert_eq!(withdrawn.failure(2), IN_USE);
    withdrawn.close(1);
    let mut renamed = claimed_by(&[2]);
    renamed.joins(2, SEEDER, 0);
    assert_eq!(renamed.counts(2), (2, 0));
    renamed.close(1);
    for (name, room, peers) in
        [("late", &mut late, 0), ("gone", &mut gone, 0), ("withdrawn", &mut withdrawn, 0), ("renamed", &mut renamed, 1)]
    {
        assert_eq!((room.received(2), room.tracker.stats().peers_all), (vec![], peers), "{name}");
    }
}

#[test]
fn s9_the_latest_claim_counts_but_for_one_from_where_the_owner_is() {
    let heir = |claimants: &[u64]| {
        let mut room = claimed_by(claimants);
        room.close(1);
        let heirs: Vec<_> = claimants.iter().copied().filter(|conn| !room.received(*conn).is_empty()).collect();
        heirs
    };
    assert_eq!(heir(&[2, 3]), [3]);
    assert_eq!(heir(&[11, 2, 3]), [11], "at the owner's address");
    assert_eq!(heir(&[2, 11, 21]), [21]);
}
