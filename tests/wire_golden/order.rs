//! Who speaks first, and when: handshakes, what each side has, interest (protocol.md §3.2, §3.3).

use crate::rig::{FAST, NO_FAST, OTHER, Rig, WEBTORRENT, block, bytes, hex, metainfo};

const HAVE_ALL: &str = "000000010e";
const HAVE_NONE: &str = "000000010f";
const INTERESTED: &str = "0000000102";
const NOT_INTERESTED: &str = "0000000103";
const UNCHOKE: &str = "0000000101";

#[test]
fn s3_2_the_handshake_goes_at_once_and_alone() {
    let mut rig = Rig::seed();
    let link = rig.open(1);
    let expected = format!(
        "13426974546f7272656e742070726f746f636f6c0000000000100004{}{}",
        metainfo().info_hash.to_hex(),
        hex(b"-SR0100-golden-bench")
    );
    assert_eq!(rig.said(link), [expected]);
    rig.wait(3);
    assert_eq!(rig.said(link), [""; 0], "nothing follows before the peer has spoken");
}

#[test]
fn s3_2_another_swarm_ourselves_and_strangers_are_left() {
    for (at, reason) in [(28, "it is in another swarm"), (0, "closed before a handshake")] {
        let mut rig = Rig::seed();
        let link = rig.open(1);
        let mut handshake = rig.handshake(link, OTHER, FAST);
        handshake[at] ^= 1;
        rig.hear(link, &handshake);
        assert!(rig.dropped.contains_key(&link), "{reason}");
    }
    let mut rig = Rig::seed();
    let link = rig.open(1);
    let ourselves = [&rig.handshake(link, OTHER, FAST)[..48], b"-SR0100-golden-bench"].concat();
    rig.hear(link, &ourselves);
    assert!(rig.dropped.contains_key(&link), "webtorrent.js does not see it, so we must");
}

#[test]
fn s3_3_greeting_and_pieces_are_messages_of_their_own() {
    let mut rig = Rig::seed();
    let link = rig.meet(1, WEBTORRENT, FAST);
    let said = rig.said(link);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1], HAVE_ALL);
    let greeting = format!(
        "d1:md11:lt_donthavei2e11:ut_metadatai1ee13:metadata_sizei{}e4:reqqi512e11:upload_onlyi1e1:v15:Swarmreel {}e",
        metainfo().info.len(),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(said[0][8..], format!("1400{}", hex(greeting.as_bytes())));
    assert_eq!(said[0][..8], format!("{:08x}", greeting.len() + 2));
}

#[test]
fn s3_3_a_peer_that_says_all_in_one_message_is_understood() {
    let mut rig = Rig::seed();
    let link = rig.open(1);
    rig.said(link);
    let burst = [rig.handshake(link, WEBTORRENT, FAST), bytes(HAVE_NONE), bytes(INTERESTED)].concat();
    rig.hear(link, &burst);
    assert_eq!(rig.said(link).last().map(String::as_str), Some(UNCHOKE));
}

#[test]
fn s3_3_a_leecher_says_have_none_with_fast_and_an_empty_bitfield_without() {
    for (fast, expected) in [(FAST, HAVE_NONE), (NO_FAST, "00000003050000")] {
        let mut rig = Rig::leecher();
        let link = rig.meet(1, WEBTORRENT, fast);
        assert_eq!(rig.said(link)[1..], [expected]);
    }
}

/// A leecher that has piece 0.
fn partial() -> Rig {
    let mut rig = Rig::leecher();
    let source = rig.meet(9, OTHER, FAST);
    rig.hears(source, &[HAVE_NONE, "00000005 04 00000000", UNCHOKE].concat());
    for begin in [0, 16_384] {
        rig.hear(source, &block(0, begin, 16_384));
    }
    assert_eq!(rig.stored, [0]);
    rig.torrent.link_closed(source);
    rig
}

#[test]
fn s3_3_a_partial_bitfield_towards_webtorrent_follows_a_have_none() {
    let mut rig = partial();
    let link = rig.meet(1, WEBTORRENT, FAST);
    assert_eq!(rig.said(link)[1..], [HAVE_NONE, "00000003058000"], "or it takes us for a seed");
    let link = rig.meet(2, OTHER, FAST);
    assert_eq!(rig.said(link)[1..], ["00000003058000"]);
    let link = rig.meet(3, WEBTORRENT, NO_FAST);
    assert_eq!(rig.said(link)[1..], ["00000003058000"], "it knows no have-none");
}

#[test]
fn s3_3_interested_waits_for_what_the_peer_has() {
    for has in [HAVE_ALL, "00000003 05 c000", "00000005 04 00000005"] {
        let mut rig = Rig::leecher();
        let link = rig.met(1, OTHER, FAST);
        rig.wait(3);
        assert_eq!(rig.said(link), [""; 0]);
        rig.hears(link, has);
        assert_eq!(rig.said(link), [INTERESTED]);
        rig.hears(link, "00000005 04 00000007");
        assert_eq!(rig.said(link), [""; 0], "once");
    }
}

#[test]
fn s3_3_a_peer_with_nothing_is_not_interesting() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, HAVE_NONE);
    assert_eq!(rig.said(link), [""; 0]);
}

#[test]
fn s3_3_unchoke_waits_for_interested_and_answers_it_again() {
    let mut rig = Rig::seed();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hears(link, HAVE_NONE);
    rig.wait(3);
    assert_eq!(rig.said(link), [""; 0]);
    rig.hears(link, INTERESTED);
    assert_eq!(rig.said(link), [UNCHOKE]);
    rig.hears(link, INTERESTED);
    assert_eq!(rig.said(link), [UNCHOKE], "the first may have been lost");
}

#[test]
fn s3_3_interested_is_said_again_to_one_who_keeps_choking() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hears(link, HAVE_ALL);
    assert_eq!(rig.said(link), [INTERESTED]);
    rig.wait(7);
    assert_eq!(rig.said(link), [""; 0]);
    rig.wait(2);
    assert_eq!(rig.said(link), [INTERESTED]);
    rig.hears(link, UNCHOKE);
    rig.wait(9);
    assert!(!rig.said(link).contains(&INTERESTED.to_owned()), "it chokes us no more");
}

#[test]
fn s3_3_nothing_about_pieces_while_the_metadata_is_unknown() {
    let mut rig = Rig::magnet();
    let link = rig.meet(1, OTHER, FAST);
    assert_eq!(rig.said(link).len(), 1, "the greeting only");
    rig.hears(link, HAVE_ALL);
    rig.wait(20);
    assert_eq!(rig.said(link), [""; 0], "not even interest");
}

#[test]
fn s3_6_completion_is_told_and_interest_ends() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hears(link, &[HAVE_ALL, UNCHOKE].concat());
    let said = rig.feed(link);
    assert_eq!(rig.stored.len(), 11);
    assert!(said.contains(&NOT_INTERESTED.to_owned()), "{said:?}");
    rig.wait(1);
    let haves = said.into_iter().chain(rig.messages(link)).filter(|message| message.starts_with("0000000504")).count();
    assert_eq!(haves, 11, "those that have a piece are told too: it shows how far we are");
}

#[test]
fn s3_5_keep_alives_go_out_before_anyone_drops_us() {
    let mut rig = Rig::seed();
    let link = rig.met(1, OTHER, FAST);
    rig.wait(54);
    assert_eq!(rig.said(link), [""; 0]);
    rig.wait(2);
    assert_eq!(rig.said(link), ["00000000"]);
    rig.hears(link, "00000000");
    rig.wait(100);
    assert!(rig.dropped.is_empty(), "a keep-alive keeps the link");
    rig.wait(60);
    assert_eq!(rig.dropped.get(&link), Some(&"it fell silent"));
}
