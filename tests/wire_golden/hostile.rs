//! What a peer may not do, by the rows of the threat model: P1 to P6.

use swarmreel::ids::LinkId;
use swarmreel::limits::Limits;

use crate::rig::{FAST, NO_FAST, OTHER, Rig, about_block, block, bytes, extended, hex};

/// How far a link has come, and with whom.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The channel is open.
    Opened,
    /// Handshakes have crossed; we have no metadata.
    Magnet,
    /// We are a leecher, it has said nothing.
    Silent,
    /// The same, without the fast extension.
    SilentOld,
    /// We are a leecher, it has everything.
    Seed,
    /// We are a seed, it has unchoked interest.
    Served,
}

const STATES: [State; 6] = [State::Opened, State::Magnet, State::Silent, State::SilentOld, State::Seed, State::Served];

fn arrange(state: State) -> (Rig, LinkId) {
    let mut rig = match state {
        State::Magnet => Rig::magnet(),
        State::Served => Rig::seed(),
        _ => Rig::leecher(),
    };
    let link = match state {
        State::Opened => rig.open(1),
        State::SilentOld => rig.met(1, OTHER, NO_FAST),
        _ => rig.met(1, OTHER, FAST),
    };
    match state {
        State::Seed => rig.hears(link, "000000010e"),
        State::Served => rig.hears(link, "000000010f 0000000102"),
        _ => {}
    }
    rig.said(link);
    (rig, link)
}

/// Each message in each of `STATES`: `x` closes the link, `!` is answered, `.` is not.
#[rustfmt::skip]
const TABLE: [(&str, &str, &str); 36] = [
    ("keep-alive",                    "00000000",                                 "x....."),
    ("choke",                         "0000000100",                               "x....."),
    ("choke, too long",               "000000020000",                             "xxxxxx"),
    ("unchoke",                       "0000000101",                               "x...!."),
    ("interested",                    "0000000102",                               "x!!!.!"),
    ("not interested",                "0000000103",                               "x....."),
    ("have",                          "0000000504 00000005",                      "x.!!.."),
    ("have, of no piece",             "0000000504 0000000b",                      "x.xxxx"),
    ("have, too short",               "0000000404 000000",                        "xxxxxx"),
    ("bitfield",                      "0000000305 c000",                          "x.!!.."),
    ("bitfield, too short",           "0000000205 c0",                            "x.xxxx"),
    ("bitfield, too long",            "0000000405 c00000",                        "x.xxxx"),
    ("bitfield, spare bits set",      "0000000305 c001",                          "x.xxxx"),
    ("two bitfields",                 "0000000305 c000 0000000305 8000",          "x.!!.."),
    ("have-all and a bitfield",       "000000010e 0000000305 c000",               "x.!x.."),
    ("request",                       "0000000d06 00000001 00000000 00004000",    "x!!.!!"),
    ("request, past the end",         "0000000d06 00000001 00008000 00004000",    "x!!.!!"),
    ("request, over 128 KiB",         "0000000d06 00000001 00000000 00020001",    "xxxxxx"),
    ("request, too short",            "0000000506 00000001",                      "xxxxxx"),
    ("block, not asked for",          "0000000a07 00000001 00000000 aa",          "xx...."),
    ("block, without data",           "0000000907 00000001 00000000",             "xx...."),
    ("block, too short for a header", "0000000507 00000001",                      "xxxxxx"),
    ("cancel",                        "0000000d08 00000001 00000000 00004000",    "x....."),
    ("port",                          "0000000309 1ae1",                          "x....."),
    ("suggest",                       "000000050d 00000001",                      "x..x.."),
    ("have-all",                      "000000010e",                               "x.!x.."),
    ("have-none",                     "000000010f",                               "x..x!."),
    ("reject",                        "0000000d10 00000001 00000000 00004000",    "x..x.."),
    ("allowed-fast",                  "0000000511 00000001",                      "x..x.."),
    ("extended, empty",               "0000000114",                               "xxxxxx"),
    ("greeting, no dictionary",       "0000000314 00 69",                         "xxxxxx"),
    ("extended, under an unknown id", "0000000214 63",                            "x....."),
    ("metadata, unreadable",          "0000000314 01 69",                         "xxxxxx"),
    ("lt_donthave, too short",        "0000000314 02 00",                         "xxxxxx"),
    ("an id that nobody has",         "0000000263 00",                            "x....."),
    ("a second handshake",            "13426974546f7272656e742070726f746f636f6c", "xxxxxx"),
];

#[test]
fn p2_every_message_in_every_state() {
    let mut wrong = Vec::new();
    for (name, message, expected) in TABLE {
        let outcome = |state| {
            let (mut rig, link) = arrange(state);
            // Padded, so that what counts as a handshake is judged as one.
            let padding = if state == State::Opened { 68 } else { 0 };
            rig.hear(link, &[bytes(message), vec![0; padding]].concat());
            let answered = !rig.said(link).is_empty();
            match (rig.dropped.contains_key(&link), answered) {
                (true, _) => 'x',
                (false, true) => '!',
                (false, false) => '.',
            }
        };
        let outcomes: String = STATES.map(outcome).iter().collect();
        if outcomes != expected {
            wrong.push(format!("{name}: {outcomes}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn p1_length_lies_close_at_the_header() {
    let lies =
        ["ffffffff 07", "80000000 04", "00100000 14", "0000400a 07", "00000012 06", "000f4242 05", "00008001 14"];
    for lie in lies {
        let (mut rig, link) = arrange(State::Served);
        rig.hears(link, lie);
        assert_eq!(rig.dropped.get(&link), Some(&"it broke the protocol"), "{lie}");
    }
}

#[test]
fn p1_what_comes_byte_by_byte_is_kept_no_longer_than_its_type() {
    let mut decoder = swarmreel::wire::Decoder::new();
    let mut stream = bytes("13426974546f7272656e742070726f746f636f6c");
    stream.extend([0; 48]);
    stream.extend(bytes("00004009 07"));
    stream.extend(vec![1; 100_000]);
    for chunk in stream.chunks(1) {
        let mut input = chunk;
        while let Ok(Some(_)) = decoder.next(&mut input) {}
        assert!(decoder.kept() <= 4 + 9 + 16_384);
    }
}

#[test]
fn p3_what_a_peer_has_must_exist() {
    let cases = ["0000000305 c001", "0000000205 c0", "0000000405 c00000", "0000000504 0000000b", "0000000504 ffffffff"];
    for case in cases {
        // Said when it can be judged, and said before.
        let (mut rig, link) = arrange(State::Silent);
        rig.hears(link, case);
        assert!(rig.dropped.contains_key(&link), "{case}");
        let (mut rig, link) = arrange(State::Magnet);
        rig.hears(link, case);
        assert!(rig.dropped.is_empty(), "{case}");
        rig.torrent.know(rig.now, crate::rig::metainfo());
        rig.settle();
        assert!(rig.dropped.contains_key(&link), "{case}");
    }
}

/// How many of a message are taken in one second before the link closes; all of them if so many are.
fn taken(state: State, message: &str, most: usize) -> usize {
    let (mut rig, link) = arrange(state);
    let message = bytes(message);
    (0..most)
        .find(|_| {
            rig.hear(link, &message);
            rig.dropped.contains_key(&link)
        })
        .unwrap_or(most)
}

#[test]
fn p4_floods_of_control_messages_close() {
    let most = Limits::default().control_per_second_max as usize;
    for flood in ["00000000", "0000000100", "0000000101", "0000000102", "0000000309 1ae1", "000000050d 00000001"] {
        let count = taken(State::Served, flood, most + 10);
        assert!((most - 5..=most).contains(&count), "{flood}: {count} of {most}");
    }
    // What it has again, what it lost and regains, rejects and cancels of nothing.
    for flood in
        ["0000000504 00000005", "0000000d10 00000001 00000000 00004000", "0000000d08 00000001 00000000 00004000"]
    {
        assert!(taken(State::Served, flood, most + 10) <= most, "{flood}");
    }
    let resets = Limits::default().has_resets_max as usize;
    for flood in ["000000010e", "0000000305 c000"] {
        assert!(taken(State::Silent, flood, most) <= resets, "{flood}: each costs work for every piece");
    }
}

#[test]
fn p4_the_same_over_a_longer_time_is_no_flood() {
    let (mut rig, link) = arrange(State::Served);
    for _ in 0..20 {
        rig.hear(link, &bytes("0000000100 0000000101").repeat(500));
        rig.wait(1);
    }
    assert!(rig.dropped.is_empty(), "{:?}", rig.dropped);
}

#[test]
fn p5_requests_beyond_the_queue_are_rejected_and_never_loaded() {
    let limits = Limits { request_queue_max: 8, ..Limits::default() };
    let mut rig = Rig::seed_with(&limits, false);
    rig.slow_store = true;
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, "000000010f 0000000102");
    rig.said(link);
    for _ in 0..1000 {
        rig.hear(link, &about_block(6, 1, 0, 0x4000));
    }
    let rejects = rig.messages(link);
    assert_eq!((rejects.len(), rig.loads.len()), (992, 1));
    assert!(rejects.iter().all(|message| *message == hex(&about_block(16, 1, 0, 0x4000))));
    rig.load();
    assert_eq!(rig.messages(link).len(), 8);
}

#[test]
fn p5_requests_that_can_not_be_meant_close() {
    let invalid = Limits::default().invalid_requests_max as usize;
    for request in ["0000000d06 0000000b 00000000 00004000", "0000000d06 00000001 00008000 00004000"] {
        assert_eq!(taken(State::Served, request, 1000), invalid, "{request}");
    }
    assert_eq!(taken(State::Served, "0000000d06 00000001 00000000 00020001", 10), 0);
    let flood = "0000000d06 00000001 00000000 00004000";
    assert!(taken(State::Silent, flood, 5000) <= Limits::default().control_per_second_max as usize, "while choked");
}

/// A leecher that has asked a seed for blocks: these, as piece and begin.
fn asking() -> (Rig, LinkId, Vec<(u32, u32)>) {
    let (mut rig, link) = arrange(State::Seed);
    rig.hears(link, "0000000101");
    let number = |request: &str, at: usize| u32::from_str_radix(&request[at..at + 8], 16).expect("hex");
    let asked = rig.messages(link).iter().map(|request| (number(request, 10), number(request, 18))).collect();
    (rig, link, asked)
}

#[test]
fn p6_blocks_that_nobody_asked_for_are_waste_and_much_of_it_closes() {
    let (mut rig, link, asked) = asking();
    let (piece, begin) = asked[0];
    let other = (0..10).find(|piece| !asked.contains(&(*piece, 0x4000))).expect("it does not ask for all at once");
    let mis_sized = {
        let data = vec![7; 100];
        [&109u32.to_be_bytes()[..], &[7], &piece.to_be_bytes(), &begin.to_be_bytes(), &data].concat()
    };
    let shifted = {
        let mut shifted = block(piece, 0, 0x4000);
        shifted[12] = 8;
        shifted
    };
    let waste = |rig: &Rig| rig.torrent.stats(rig.now).wasted;
    for (block, bytes) in [(block(other, 0x4000, 0x4000), 0x4000), (mis_sized, 100), (shifted, 0x4000)] {
        let before = waste(&rig);
        rig.hear(link, &block);
        assert_eq!(waste(&rig) - before, bytes, "counted to the byte");
    }
    assert!(rig.stored.is_empty() && rig.dropped.is_empty());

    rig.hear(link, &block(piece, begin, 0x4000));
    let before = waste(&rig);
    rig.hear(link, &block(piece, begin, 0x4000));
    assert_eq!(waste(&rig) - before, 0x4000, "it came twice");
    let blocks = Limits::default().waste_max / 0x4000;
    for _ in 0..blocks {
        rig.hear(link, &block(piece, begin, 0x4000));
    }
    assert_eq!(rig.dropped.get(&link), Some(&"it sends data that nobody asked for"));
}

#[test]
fn p6_blocks_are_never_taken_before_there_is_metadata() {
    let (mut rig, link) = arrange(State::Magnet);
    rig.hear(link, &block(0, 0, 0x4000));
    assert_eq!(rig.dropped.get(&link), Some(&"it sent data that nobody asked for"));
}

#[test]
fn p5_metadata_requests_are_answered_while_there_is_room_and_rejected_then() {
    let limits = Limits { link_buffer_high: 1000, ..Limits::default() };
    let mut rig = Rig::seed_with(&limits, false);
    let link = rig.met(1, OTHER, FAST);
    rig.hear(link, &extended(0, b"d1:md11:ut_metadatai1eee"));
    let request = extended(1, b"d8:msg_typei0e5:piecei0ee");
    rig.hear(link, &request.repeat(100));
    let (data, rejects): (Vec<String>, Vec<String>) =
        rig.messages(link).into_iter().partition(|message| message.contains(&hex(b"8:msg_typei1e")));
    assert!(data.len() < 10 && data.len() + rejects.len() == 100, "{} and {}", data.len(), rejects.len());
}
