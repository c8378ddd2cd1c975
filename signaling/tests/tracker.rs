//! The pure tracker: whom it introduces, and what it withstands. Tests named s1, s8, … are rows of the threat model.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, Event, ServerMessage, Tally};
use swarmreel_signaling::{ConnId, Output, Tracker, TrackerLimits};

const HASH: InfoHash = InfoHash([7; 20]);
const SEEDER: Option<u64> = Some(0);
const LEECHER: Option<u64> = None;
const NOT_OPEN: &str = "this answers no offer that is open";

/// A tracker and what its clients received. Every step is followed by the tracker's own check.
struct Room {
    tracker: Tracker,
    now: Moment,
    inboxes: BTreeMap<u64, Vec<ServerMessage>>,
    probed: Vec<u64>,
    closed: BTreeMap<u64, u16>,
}

impl Room {
    /// A room with connections 1 to `count` open.
    fn new(count: u64) -> Self {
        let mut room = Self {
            tracker: Tracker::sharded(TrackerLimits::default(), [3; 32], 3),
            now: Moment(1_000_000),
            inboxes: BTreeMap::new(),
            probed: Vec::new(),
            closed: BTreeMap::new(),
        };
        (1..=count).for_each(|conn| room.open(conn));
        room
    }

    fn open(&mut self, conn: u64) {
        self.tracker.opened(self.now, ConnId(conn), IpAddr::from([127, 0, 0, 1]));
        self.drain();
    }

    fn close(&mut self, conn: u64) {
        self.tracker.closed(self.now, ConnId(conn));
        self.drain();
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.tracker.wake(self.now);
        self.drain();
    }

    fn text(&mut self, conn: u64, text: &str) {
        self.tracker.message(self.now, ConnId(conn), text);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.tracker.poll() {
            match output {
                Output::Send { conn, text, droppable } => {
                    let message = ServerMessage::parse(&text).expect("the tracker writes what clients read");
                    assert_eq!(droppable, matches!(message, ServerMessage::Offer { .. }), "only offers may be lost");
                    self.inboxes.entry(conn.0).or_default().push(message);
                }
                Output::Probe { conn } => self.probed.push(conn.0),
                Output::Close { conn, code, .. } => assert_eq!(self.closed.insert(conn.0, code), None),
            }
        }
        self.tracker.check();
    }

    fn announce(&mut self, conn: u64, announce: Announce) {
        self.text(conn, &ClientMessage::Announce(announce).write());
    }

    fn joins(&mut self, conn: u64, left: Option<u64>, offers: u64) {
        self.announce(conn, Announce { left, offers: offers_of(conn, offers), ..update(conn) });
    }

    /// Everything received since the last look.
    fn received(&mut self, conn: u64) -> Vec<ServerMessage> {
        self.inboxes.remove(&conn).unwrap_or_default()
    }

    /// Seeders and leechers, as the first message since the last look says.
    fn counts(&mut self, conn: u64) -> (u32, u32) {
        match self.received(conn).first() {
            Some(ServerMessage::Response { complete, incomplete, .. }) => (*complete, *incomplete),
            other => panic!("no response first but {other:?}"),
        }
    }

    /// The offers received since the last look.
    fn offers(&mut self, conn: u64) -> Vec<OfferId> {
        let offer = |message| match message {
            ServerMessage::Offer { offer_id, .. } => Some(offer_id),
            _ => None,
        };
        self.received(conn).into_iter().filter_map(offer).collect()
    }

    fn offers_to(&mut self, conns: std::ops::RangeInclusive<u64>) -> usize {
        conns.map(|conn| self.offers(conn).len()).sum()
    }

    /// The one message since the last look, a failure.
    fn failure(&mut self, conn: u64) -> String {
        match self.received(conn).as_slice() {
            [ServerMessage::Failure { reason, .. }] => reason.clone(),
            other => panic!("not one failure but {other:?}"),
        }
    }
}

fn peer(conn: u64) -> PeerId {
    PeerId([conn as u8; 20])
}

/// Offers whose ids begin at the connection's number × 10.
fn offers_of(conn: u64, count: u64) -> Vec<(OfferId, String)> {
    (0..count).map(|index| (OfferId([(conn * 10 + index) as u8; 20]), format!("v=0 {conn} {index}"))).collect()
}

/// A periodic announce without offers.
fn update(conn: u64) -> Announce {
    let (info_hash, peer_id) = (HASH, peer(conn));
    Announce { info_hash, peer_id, event: None, left: None, uploaded: 0, downloaded: 0, numwant: None, offers: vec![] }
}

fn answer(from: u64, to: u64, offer_id: OfferId) -> Answer {
    let sdp = format!("v=0 answer of {from}");
    Answer { info_hash: HASH, peer_id: peer(from), to_peer_id: peer(to), offer_id, sdp, left: None }
}

fn answer_text(from: u64, to: u64, offer_id: OfferId) -> String {
    ClientMessage::Answer(answer(from, to, offer_id)).write()
}

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

/// Announce, answer and scrape, each with one member replaced by each of these values, or left out.
fn nonsense() -> Vec<String> {
    let wide = "\u{4e00}".repeat(20);
    let texts = ["", "0123456789012345678", "012345678901234567890", &wide, &"\0".repeat(20)];
    let mut values =
        ["null", "true", "5", "-1", "1e400", "[]", "{}", "[null]", r#"{"a":{"b":[]}}"#].map(String::from).to_vec();
    values.extend(texts.map(|text| serde_json::to_string(text).unwrap()));
    let answer = answer(2, 1, OfferId([1; 20]));
    let announce =
        Announce { event: Some(Event::Started), left: SEEDER, numwant: Some(1), offers: offers_of(2, 1), ..update(2) };
    let mut texts = Vec::new();
    for good in [ClientMessage::Announce(announce), ClientMessage::Answer(answer), ClientMessage::Scrape(vec![HASH])] {
        let members: serde_json::Map<_, _> = serde_json::from_str(&good.write()).unwrap();
        for name in members.keys() {
            let others = members.iter().filter(|(other, _)| *other != name);
            let others: String = others.map(|(name, value)| format!("\"{name}\":{value},")).collect();
            texts.extend(values.iter().map(|value| format!("{{{others}\"{name}\":{value}}}")));
            texts.push(format!("{{{others}\"x\":0}}"));
        }
    }
    texts
}

#[test]
fn s1_nonsense_gets_one_reply_each_and_disturbs_nobody() {
    let texts = nonsense();
    assert!(texts.len() > 200);
    let mut room = Room::new(1);
    room.announce(1, Announce { info_hash: InfoHash([8; 20]), ..update(1) });
    room.received(1);
    let mut failures = 0;
    for (conn, text) in (2..).zip(&texts) {
        room.open(conn);
        room.text(conn, text);
        let replies = room.received(conn);
        assert_eq!(replies.len(), 1, "{text}: {replies:?}");
        failures += usize::from(matches!(replies[0], ServerMessage::Failure { .. }));
        room.close(conn);
    }
    assert!(failures > texts.len() * 3 / 4, "{failures} of {}", texts.len());
    assert_eq!((room.received(1), room.closed.len()), (vec![], 0), "the bystander noticed nothing");
    assert_eq!(room.tracker.stats().torrents, 1);
}

#[test]
fn s1_ten_bad_messages_close_the_connection() {
    let mut room = Room::new(1);
    for strike in 1..=10 {
        assert!(room.closed.is_empty(), "strike {strike}");
        room.text(1, "{\"action\":5}");
    }
    assert_eq!(room.received(1).len(), 10);
    assert_eq!(room.closed, BTreeMap::from([(1, 1008)]));
    room.text(1, "{\"action\":5}");
    assert_eq!(room.received(1), [], "a closed connection is forgotten");
}

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
    flood(&mut room, 100);
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
fn s6_silence_ends_memberships_and_then_the_connection() {
    let mut room = Room::new(2);
    room.joins(1, LEECHER, 0);
    room.pass(100);
    room.announce(1, Announce { info_hash: InfoHash([8; 20]), ..update(1) });
    room.pass(79);
    assert_eq!((room.tracker.stats().torrents, room.closed.len()), (2, 0));
    room.pass(1); // 180 s after the first torrent's only announce, and after connection 2 opened
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
