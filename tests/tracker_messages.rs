//! The tracker protocol's messages: what is refused and why, and that what we write is what others read. What other
//! implementations send is in the published vectors (tracker_vectors.rs).

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{
    Action, Announce, Answer, ClientMessage, Event, MESSAGE_BYTES_MAX, Problem, SCRAPE_MAX, SDP_BYTES_MAX,
    ServerMessage, Tally,
};

/// Bytes that need every kind of encoding: control, quote, backslash, ASCII, Latin-1.
const AWKWARD: [u8; 20] = *b"\x00\x01\n\"\\/ aZ~\x7f\x80\x9f\xa0\xad\xc3\xbf\xfe\xff\xff";
const HASH: InfoHash = InfoHash(AWKWARD);
const PEER: PeerId = PeerId(*b"-SR0100-abcdefghijkl");
const OTHER: PeerId = PeerId(*b"-WW0300-\xff\xfe\xfdxyzxyzxyz");
const OFFER: OfferId = OfferId([0xa5; 20]);
const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";

fn announce() -> Announce {
    Announce {
        info_hash: HASH,
        peer_id: PEER,
        event: Some(Event::Started),
        left: Some(1 << 40),
        uploaded: 1,
        downloaded: 2,
        numwant: Some(1),
        offers: vec![(OFFER, SDP.to_owned())],
    }
}

fn answer() -> Answer {
    Answer { info_hash: HASH, peer_id: PEER, to_peer_id: OTHER, offer_id: OFFER, sdp: SDP.to_owned(), left: Some(0) }
}

#[test]
fn client_messages_survive_the_round_trip() {
    let quiet = Announce { event: None, left: None, numwant: None, offers: vec![], ..announce() };
    for message in [
        ClientMessage::Announce(announce()),
        ClientMessage::Announce(Announce { event: Some(Event::Stopped), ..announce() }),
        ClientMessage::Announce(Announce { event: Some(Event::Completed), ..announce() }),
        ClientMessage::Announce(quiet),
        ClientMessage::Answer(answer()),
        ClientMessage::Answer(Answer { left: None, ..answer() }),
        ClientMessage::Scrape(vec![HASH]),
        ClientMessage::Scrape(vec![HASH, InfoHash([9; 20])]),
    ] {
        let text = message.write();
        assert!(!text.contains("null"), "{text}");
        assert_eq!(ClientMessage::parse(&text).as_ref(), Ok(&message), "{text}");
    }
}

#[test]
fn server_messages_survive_the_round_trip() {
    let tally = Tally { complete: 3, incomplete: 0, downloaded: 3 };
    for message in [
        ServerMessage::Response {
            info_hash: HASH,
            interval: Some(90),
            min_interval: Some(30),
            complete: 1,
            incomplete: 0,
            warning: Some("slow down".to_owned()),
        },
        ServerMessage::Response {
            info_hash: HASH,
            interval: None,
            min_interval: None,
            complete: 0,
            incomplete: 7,
            warning: None,
        },
        ServerMessage::Offer { info_hash: HASH, peer_id: OTHER, offer_id: OFFER, sdp: SDP.to_owned() },
        ServerMessage::Answer { info_hash: HASH, peer_id: OTHER, offer_id: OFFER, sdp: SDP.to_owned() },
        ServerMessage::Scrape(vec![(HASH, tally), (InfoHash([9; 20]), Tally::default())]),
        ServerMessage::Scrape(vec![]),
        ServerMessage::Failure { info_hash: Some(HASH), action: Some(Action::Announce), reason: "no".to_owned() },
        ServerMessage::Failure { info_hash: None, action: Some(Action::Scrape), reason: "no".to_owned() },
        ServerMessage::Failure { info_hash: None, action: None, reason: "no".to_owned() },
    ] {
        let text = message.write();
        assert!(!text.contains("null"), "{text}");
        assert_eq!(ServerMessage::parse(&text).as_ref(), Ok(&message), "{text}");
    }
}

#[test]
fn a_failure_without_a_hash_claims_no_announce() {
    let failure = ServerMessage::Failure { info_hash: None, action: Some(Action::Announce), reason: "no".to_owned() };
    assert_eq!(failure.write(), r#"{"failure reason":"no"}"#);
}

#[test]
fn written_as_other_implementations_read() {
    let id = |text: &str| format!("{text:x<20}");
    let hash = InfoHash(*b"hxxxxxxxxxxxxxxxxxxx");
    let announce = ClientMessage::Announce(Announce {
        info_hash: hash,
        offers: vec![(OfferId(*b"oxxxxxxxxxxxxxxxxxxx"), "v=0\r\n".to_owned())],
        ..announce()
    });
    let expected = format!(
        concat!(
            r#"{{"action":"announce","info_hash":"{}","peer_id":"-SR0100-abcdefghijkl","event":"started","uploaded":1,"#,
            r#""downloaded":2,"left":1099511627776,"numwant":1,"#,
            r#""offers":[{{"offer":{{"type":"offer","sdp":"v=0\r\n"}},"offer_id":"{}"}}]}}"#
        ),
        id("h"),
        id("o")
    );
    assert_eq!(announce.write(), expected);
    let high = ServerMessage::Scrape(vec![(InfoHash([0xff; 20]), Tally::default())]).write();
    assert_eq!(
        high.as_bytes(),
        [
            br#"{"action":"scrape","files":{""#.as_slice(),
            &[0xc3, 0xbf].repeat(20),
            br#"":{"complete":0,"incomplete":0,"downloaded":0}}}"#
        ]
        .concat()
    );
}

/// A plain announce with one member replaced (or added) by JSON text.
fn announce_with(name: &str, value: &str) -> String {
    let mut frame: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&ClientMessage::Announce(announce()).write()).unwrap();
    frame.insert(name.to_owned(), serde_json::from_str(value).unwrap());
    serde_json::to_string(&frame).unwrap()
}

#[test]
fn wrong_ids_and_structure_are_refused_in_context() {
    let wide = "\u{4e00}".repeat(20);
    let wrong_ids =
        ["null", "true", "5", "[]", "{}", r#""""#, r#""0123456789012345678""#, r#""012345678901234567890""#];
    for value in wrong_ids.into_iter().map(str::to_owned).chain([format!("\"{wide}\"")]) {
        let error = ClientMessage::parse(&announce_with("peer_id", &value)).unwrap_err();
        assert_eq!(error.problem, Problem::Id("peer_id"), "{value}");
        assert_eq!((error.action, error.info_hash), (Some(Action::Announce), Some(HASH)));
        let error = ClientMessage::parse(&announce_with("info_hash", &value)).unwrap_err();
        assert_eq!((error.problem, error.info_hash), (Problem::Id("info_hash"), None), "{value}");
    }
    for (name, value) in [
        ("left", r#""5""#),
        ("numwant", "true"),
        ("event", "5"),
        ("offers", "{}"),
        ("answer", "5"),
        ("answer", r#"{"type":"answer"}"#),
    ] {
        assert!(ClientMessage::parse(&announce_with(name, value)).is_err(), "{name} {value}");
    }
    for offer in ["5", "null", "{}", r#"{"sdp":"v=0"}"#, r#"{"type":"answer","sdp":"v=0"}"#, r#"{"type":"offer"}"#] {
        let offers = format!(r#"[{{"offer_id":"01234567890123456789","offer":{offer}}}]"#);
        let error = ClientMessage::parse(&announce_with("offers", &offers)).unwrap_err();
        assert_eq!(error.problem, Problem::Member("offer"), "{offers}");
    }
    for action in ["null", "5", r#""""#, r#""ANNOUNCE""#, r#""connect""#] {
        let error = ClientMessage::parse(&announce_with("action", action)).unwrap_err();
        assert_eq!((error.problem, error.action), (Problem::Action, None), "{action}");
    }
}

#[test]
fn sizes_are_capped() {
    let long = |bytes| ClientMessage::Answer(Answer { sdp: "a".repeat(bytes), ..answer() }).write();
    assert!(ClientMessage::parse(&long(SDP_BYTES_MAX)).is_ok());
    assert_eq!(ClientMessage::parse(&long(SDP_BYTES_MAX + 1)).unwrap_err().problem, Problem::Sdp);
    let text = ClientMessage::Answer(answer()).write();
    let padded = |bytes: usize| text.clone() + &" ".repeat(bytes - text.len());
    assert!(ClientMessage::parse(&padded(MESSAGE_BYTES_MAX)).is_ok());
    assert_eq!(ClientMessage::parse(&padded(MESSAGE_BYTES_MAX + 1)).unwrap_err().problem, Problem::TooLong);
    assert_eq!(ServerMessage::parse(&padded(MESSAGE_BYTES_MAX + 1)).unwrap_err().problem, Problem::TooLong);
}

#[test]
fn s17_a_scrape_names_its_torrents() {
    let one = r#"{"action":"scrape","info_hash":"01234567890123456789"}"#;
    assert_eq!(ClientMessage::parse(one), Ok(ClientMessage::Scrape(vec![InfoHash(*b"01234567890123456789")])));
    let many = |count| ClientMessage::Scrape(vec![HASH; count]).write();
    assert!(ClientMessage::parse(&many(SCRAPE_MAX)).is_ok());
    for text in [many(SCRAPE_MAX + 1), many(0), r#"{"action":"scrape"}"#.to_owned()] {
        let error = ClientMessage::parse(&text).unwrap_err();
        assert_eq!((&error.problem, error.action), (&Problem::ScrapeCount, Some(Action::Scrape)));
        assert!(ServerMessage::from(error).write().len() <= 200);
    }
}

#[test]
fn s2_broken_json_is_refused_without_quoting_it() {
    let deep = "[".repeat(60_000);
    for text in [deep.as_str(), "\u{feff}{}", r#"{"action":"announce","action":"announce"}"#, r#""\ud800""#, "", "\0"] {
        let error = ClientMessage::parse(text).unwrap_err();
        assert!(matches!(error.problem, Problem::Json(_)), "{error}");
        assert!(error.to_string().len() < 200);
    }
}
