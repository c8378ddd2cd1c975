//! Messages that are wrong in every way, and what becomes of their senders and of the others.

use std::collections::BTreeMap;

use serde_json::Value;
use swarmreel::ids::OfferId;
use swarmreel::tracker::message::{Announce, ClientMessage, Event, MessageError, ServerMessage};

use crate::room::{HASH, LEECHER, Room, SEEDER, answer, offers_of, update};

/// What stands in place of a member; none is itself right everywhere.
fn values() -> Vec<String> {
    let wide = "\u{4e00}".repeat(20);
    let texts = ["", "0123456789012345678", "012345678901234567890", &wide, &"\0".repeat(20)];
    let mut values =
        ["null", "true", "5", "-1", "1e400", "[]", "{}", "[null]", r#"{"a":{"b":[]}}"#].map(String::from).to_vec();
    values.extend(texts.map(|text| serde_json::to_string(text).unwrap()));
    values
}

/// Announce, answer and scrape, each with one member at any depth replaced by each of the values, or left out.
fn nonsense() -> Vec<String> {
    let announce =
        Announce { event: Some(Event::Started), left: SEEDER, numwant: Some(1), offers: offers_of(2, 1), ..update(2) };
    let answer = answer(2, 1, OfferId([1; 20]));
    let goods = [ClientMessage::Announce(announce), ClientMessage::Answer(answer), ClientMessage::Scrape(vec![HASH])];
    let mut texts = Vec::new();
    for good in goods {
        let good: Value = serde_json::from_str(&good.write()).unwrap();
        for path in paths(&good, "") {
            for value in values() {
                let mut wrong = good.clone();
                *wrong.pointer_mut(&path).unwrap() = "%".into();
                texts.push(wrong.to_string().replace("\"%\"", &value));
            }
            let (parent, name) = path.rsplit_once('/').unwrap();
            let mut without = good.clone();
            if let Some(members) = without.pointer_mut(parent).and_then(Value::as_object_mut) {
                members.remove(name);
                texts.push(without.to_string());
            }
        }
    }
    texts
}

/// Where there is something in a value, but for the value itself.
fn paths(value: &Value, at: &str) -> Vec<String> {
    let inside: Vec<_> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect(),
        _ => Vec::new(),
    };
    inside.into_iter().flat_map(|(path, value)| [vec![path.clone()], paths(value, &path)].concat()).collect()
}

#[test]
fn s1_nonsense_gets_one_reply_each_and_disturbs_nobody() {
    let texts = nonsense();
    assert!(texts.len() > 300, "{}", texts.len());
    let mut room = Room::new(1);
    let mut failures = 0;
    for (conn, text) in (2..).zip(&texts) {
        room.open(conn);
        room.text(conn, text);
        let replies = room.received(conn);
        match (ClientMessage::parse(text), &replies[..]) {
            (Err(error), [ServerMessage::Failure { info_hash, reason, .. }]) => {
                let MessageError { info_hash: of, .. } = error;
                assert_eq!((info_hash, reason.is_empty()), (&of, false), "{text}");
                failures += 1;
            }
            (Ok(_), [_]) => {}
            (_, replies) => panic!("{text}: {replies:?}"),
        }
        // Somebody else in the same swarm goes on as if nothing were.
        room.received(1);
        room.joins(1, LEECHER, 0);
        assert!(room.counts(1).1 >= 1, "{text}");
        room.close(conn);
        room.pass(1);
    }
    assert!(failures > texts.len() / 2, "{failures} of {}", texts.len());
    assert_eq!((room.closed.len(), room.tracker.stats().torrents), (0, 1));
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
fn s2_depth_keys_and_surrogates_are_refused_and_count() {
    let ids = r#""action":"announce","info_hash":"01234567890123456789","peer_id":"01234567890123456789""#;
    let offer = |sdp: &str| {
        let offer = format!(r#"{{"type":"offer","sdp":"{sdp}"}}"#);
        format!(r#"{{{ids},"offers":[{{"offer_id":"01234567890123456789","offer":{offer}}}]}}"#)
    };
    let bad = [
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
        format!("{{{ids},\"x\":[[[[[[[[0]]]]]]]]}}"),
        format!("{{{ids},\"x\":1,\"x\":1}}"),
        format!("{{{ids},\"left\":1,\"l\\u0065ft\":0}}"),
        format!("{{{ids},\"x\":{{\"a\":1,\"a\":1}}}}"),
        format!("\u{feff}{{{ids}}}"),
        format!("{{{ids}}} {{}}"),
        format!("{{{ids},\"x\":\"\\ud800\"}}"),
        offer("v=0\\ud800"),
        offer("v=0\\udc00\\ud800"),
        offer("v=0\\x"),
        offer("v=0\n"),
        offer(&"x".repeat((16 << 10) + 1)),
    ];
    for text in bad {
        let mut room = Room::new(1);
        for _ in 0..10 {
            room.text(1, &text);
        }
        assert_eq!((room.received(1).len(), room.closed.len()), (10, 1), "{text:.200}");
    }
    for (sdp, relayed) in [("v=0\\ud83d\\ude00", "v=0\u{1f600}"), ("v=0\\/\\r\\n\\u0041\\\\u", "v=0/\r\nA\\u")] {
        let mut room = Room::new(2);
        room.text(2, &format!("{{{}}}", ids.replace("peer_id\":\"0", "peer_id\":\"9")));
        room.text(1, &offer(sdp));
        let received = room.received(2);
        assert!(matches!(&received[1], ServerMessage::Offer { sdp, .. } if sdp == relayed), "{received:?}");
    }
}
