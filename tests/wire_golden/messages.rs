//! Requests, blocks, rejects and cancels, with and without the fast extension (protocol.md §3.1, §3.4, §7.18–29).

use swarmreel::ids::LinkId;
use swarmreel::limits::Limits;

use crate::rig::{FAST, NO_FAST, OTHER, Rig, WEBTORRENT, about_block, block, hex};

const NONE: [&str; 0] = [];
const REQUEST: u8 = 6;
const CANCEL: u8 = 8;
const REJECT: u8 = 16;

/// A seed, and a peer that it has unchoked.
fn serving(fast: u8) -> (Rig, LinkId) {
    let mut rig = Rig::seed();
    let link = rig.met(1, WEBTORRENT, fast);
    let nothing = if fast == FAST { "000000010f" } else { "00000003050000" };
    rig.hears(link, &[nothing, "0000000102"].concat());
    assert_eq!(rig.said(link), ["0000000101"]);
    (rig, link)
}

/// A leecher, and a seed that has unchoked it, asked for its first blocks.
fn asking(fast: u8) -> (Rig, LinkId, Vec<String>) {
    let mut rig = Rig::leecher();
    let link = rig.met(1, WEBTORRENT, fast);
    let everything = if fast == FAST { "000000010e" } else { "0000000305ffe0" };
    rig.hears(link, &[everything, "0000000101"].concat());
    let asked = rig.messages(link).into_iter().filter(|message| message.starts_with("0000000d06")).collect();
    (rig, link, asked)
}

#[test]
fn s3_12_a_block_is_served_bit_by_bit_as_written() {
    let (mut rig, link) = serving(FAST);
    rig.hears(link, "0000000d 06 00000001 00000000 00004000");
    let said = rig.said(link).concat();
    assert_eq!(said[..26], *"00004009070000000100000000");
    assert_eq!(said, hex(&block(1, 0, 16_384)));
}

#[test]
fn s3_6_the_first_request_of_webtorrent_is_the_short_last_block() {
    let (mut rig, link) = serving(FAST);
    rig.hear(link, &about_block(REQUEST, 10, 0, 100));
    assert_eq!(rig.said(link).concat(), hex(&block(10, 0, 100)));
}

#[test]
fn s7_22_we_ask_for_16_kib_and_the_rest() {
    let (_, _, asked) = asking(FAST);
    assert!(!asked.is_empty());
    for request in &asked {
        let (begin, length) = (&request[18..26], &request[26..]);
        let last = &request[10..18] == "0000000a";
        assert!(matches!(begin, "00000000" | "00004000"), "{request}");
        assert_eq!(length, if last { "00000064" } else { "00004000" });
    }
}

#[test]
fn s7_22_reqq_is_honoured() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, OTHER, FAST);
    rig.hear(link, &crate::rig::extended(0, b"d4:reqqi3ee"));
    rig.hears(link, "000000010e 0000000101");
    let asked = rig.messages(link).iter().filter(|message| message.starts_with("0000000d06")).count();
    assert_eq!(asked, 3);
}

#[test]
fn s3_4_what_can_not_be_served_is_rejected_with_fast_and_ignored_without() {
    let past_end =
        [(1, 0x8000, 0x4000), (1, 0x7000, 0x4000), (10, 0, 101), (11, 0, 0x4000), (u32::MAX, u32::MAX, 0x4000)];
    let odd_length = [(1, 0, 0), (1, 0, 0x4001), (1, 0, 0x20000)];
    for (piece, begin, length) in past_end.into_iter().chain(odd_length) {
        let (mut rig, link) = serving(FAST);
        rig.hear(link, &about_block(REQUEST, piece, begin, length));
        assert_eq!(rig.said(link), [hex(&about_block(REJECT, piece, begin, length))]);
        let (mut rig, link) = serving(NO_FAST);
        rig.hear(link, &about_block(REQUEST, piece, begin, length));
        assert_eq!((rig.said(link), rig.dropped.len()), (Vec::new(), 0));
    }
}

#[test]
fn s3_4_over_128_kib_closes() {
    let (mut rig, link) = serving(FAST);
    rig.hear(link, &about_block(REQUEST, 1, 0, 131_073));
    assert_eq!(rig.dropped.get(&link), Some(&"it asks for too much at once"));
}

#[test]
fn s3_4_a_piece_that_we_lack_is_rejected() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, "000000010f 0000000102");
    rig.said(link);
    rig.hear(link, &about_block(REQUEST, 3, 0, 0x4000));
    assert_eq!(rig.said(link), [hex(&about_block(REJECT, 3, 0, 0x4000))]);
}

#[test]
fn s3_4_while_choking_requests_are_rejected_with_fast_and_ignored_without() {
    for (fast, answer) in [(FAST, vec![hex(&about_block(REJECT, 1, 0, 0x4000))]), (NO_FAST, vec![])] {
        let mut rig = Rig::seed();
        let link = rig.met(1, OTHER, fast);
        rig.hear(link, &about_block(REQUEST, 1, 0, 0x4000));
        assert_eq!((rig.said(link), rig.loads.len()), (answer, 0));
    }
}

#[test]
fn s7_20_a_queue_that_overflows_rejects() {
    let limits = Limits { request_queue_max: 2, ..Limits::default() };
    let mut rig = Rig::seed_with(&limits, false);
    rig.slow_store = true;
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, "000000010f 0000000102");
    rig.said(link);
    for piece in 0..3 {
        rig.hear(link, &about_block(REQUEST, piece, 0, 0x4000));
    }
    assert_eq!(rig.said(link), [hex(&about_block(REJECT, 2, 0, 0x4000))]);
    rig.load();
    assert_eq!(rig.messages(link), [hex(&block(0, 0, 0x4000)), hex(&block(1, 0, 0x4000))]);
}

#[test]
fn s7_20_a_cancelled_request_is_rejected_with_fast_and_forgotten_without() {
    for (fast, answer) in [(FAST, vec![hex(&about_block(REJECT, 1, 0, 0x4000))]), (NO_FAST, vec![])] {
        let (mut rig, link) = serving(fast);
        rig.slow_store = true;
        rig.hear(link, &about_block(REQUEST, 1, 0, 0x4000));
        rig.hear(link, &about_block(CANCEL, 1, 0, 0x4000));
        assert_eq!(rig.said(link), answer);
        rig.load();
        assert_eq!(rig.said(link), NONE);
        rig.hear(link, &about_block(CANCEL, 5, 0, 0x4000));
        assert_eq!(rig.said(link), NONE, "it was never asked for, or has been sent");
    }
}

#[test]
fn s7_20_a_piece_lost_under_way_is_rejected_and_denied() {
    let (mut rig, link) = serving(FAST);
    rig.hear(link, &crate::rig::extended(0, b"d1:md11:lt_donthavei7eee"));
    rig.lost = vec![1];
    rig.hear(link, &about_block(REQUEST, 1, 0, 0x4000));
    let said = rig.messages(link);
    assert!(said.contains(&hex(&about_block(REJECT, 1, 0, 0x4000))), "{said:?}");
    assert!(said.contains(&"00000006140700000001".to_owned()), "under the id that the peer gave: {said:?}");
}

#[test]
fn s3_4_choked_by_a_fast_peer_requests_stay_until_rejected() {
    let (mut rig, link, asked) = asking(FAST);
    rig.hears(link, "0000000100");
    rig.wait(1);
    let begin = u32::from_str_radix(&asked[0][18..26], 16).unwrap();
    let piece = u32::from_str_radix(&asked[0][10..18], 16).unwrap();
    rig.hear(link, &block(piece, begin, 16_384));
    assert_eq!(rig.torrent.stats(rig.now).wasted, 0, "it was on its way");
    for request in &asked[1..] {
        rig.hears(link, &request.replacen("0000000d06", "0000000d10", 1));
    }
    rig.said(link);
    rig.wait(1);
    rig.hears(link, "0000000101");
    let again = rig.messages(link).iter().filter(|message| message.starts_with("0000000d06")).count();
    assert!(again > 0, "what was rejected is asked for again");
}

#[test]
fn s7_26_choked_without_fast_requests_are_void() {
    let (mut rig, link, asked) = asking(NO_FAST);
    rig.hears(link, "0000000100");
    rig.said(link);
    rig.hears(link, "0000000101");
    let in_order = |mut requests: Vec<String>| {
        requests.sort();
        requests
    };
    assert_eq!(in_order(rig.messages(link)), in_order(asked), "all of them are made again");
}

#[test]
fn s3_1_any_cut_of_the_stream_is_understood() {
    // As webtorrent.js cuts it: headers apart from what they head; and byte by byte.
    for cut in [13, 5, 1, 16_397, 20_000] {
        let (mut rig, link, asked) = asking(FAST);
        let piece = u32::from_str_radix(&asked[0][10..18], 16).unwrap();
        let stream = [block(piece, 0, 16_384), block(piece, 16_384, 16_384)].concat();
        for chunk in stream.chunks(cut) {
            rig.hear(link, chunk);
        }
        assert_eq!((rig.stored.as_slice(), rig.dropped.len()), (&[piece][..], 0), "cut every {cut} bytes");
    }
}

#[test]
fn s3_4_unknown_messages_ports_and_keep_alives_are_nothing() {
    let (mut rig, link) = serving(FAST);
    rig.hears(link, "00000003 09 1ae1 00000000 00000002 63 00 00000006 14 63 00000000 00000005 0d 00000001");
    assert_eq!((rig.said(link), rig.dropped.len()), (Vec::new(), 0));
}

#[test]
fn s3_3_fast_messages_that_were_not_agreed_on_close() {
    for message in ["0000000d 10 00000001 00000000 00004000", "000000010e", "000000010f", "00000005 0d 00000001"] {
        let mut rig = Rig::seed();
        let link = rig.met(1, OTHER, NO_FAST);
        rig.hears(link, message);
        assert_eq!(rig.dropped.get(&link), Some(&"it sent fast messages that were not negotiated"), "{message}");
    }
}

#[test]
fn a_block_that_comes_long_after_its_cancel_is_no_waste() {
    let (mut rig, link, asked) = asking(FAST);
    rig.wait(15);
    let cancels = rig.messages(link).iter().filter(|message| message.starts_with("0000000d08")).count();
    assert!(cancels > 0, "a peer that delivers nothing is snubbed, and what was asked of it cancelled");
    for request in asked {
        let number = |at: usize| u32::from_str_radix(&request[at..at + 8], 16).expect("hex");
        rig.hear(link, &block(number(10), number(18), number(26) as usize));
    }
    assert_eq!(rig.torrent.stats(rig.now).wasted, 0, "on a slow link they were under way for long");
}
