//! Extended messages: greetings, metadata, lost pieces, upload-only (protocol.md §3.8 to §3.10, BEP 21).

use swarmreel::ids::LinkId;

use crate::rig::{FAST, NO_FAST, OTHER, Rig, WEBTORRENT, about_block, extended, hex, metainfo};

/// The greeting of webtorrent.js in a browser, with metadata of this size if it has any.
fn webtorrent_greeting(size: Option<usize>) -> Vec<u8> {
    let size = size.map_or(String::new(), |size| format!("13:metadata_sizei{size}e"));
    extended(0, format!("d1:md11:lt_donthavei2e11:ut_metadatai1ee{size}e").as_bytes())
}

/// A peer without metadata, and one that says it has some.
fn fetching() -> (Rig, LinkId) {
    let mut rig = Rig::magnet();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hear(link, &webtorrent_greeting(Some(metainfo().info.len())));
    (rig, link)
}

fn metadata_of(dict: &str) -> Vec<u8> {
    extended(1, &[dict.as_bytes(), &metainfo().info].concat())
}

#[test]
fn s3_9_a_request_has_no_key_too_many() {
    let (mut rig, link) = fetching();
    assert_eq!(rig.said(link), [format!("0000001b1401{}", hex(b"d8:msg_typei0e5:piecei0ee"))]);
}

#[test]
fn s3_9_requests_go_under_the_id_that_the_peer_named() {
    let mut rig = Rig::magnet();
    let link = rig.met(1, OTHER, FAST);
    rig.hear(link, &extended(0, b"d1:md11:ut_metadatai9ee13:metadata_sizei400ee"));
    assert_eq!(rig.said(link)[0][8..12], *"1409");
}

#[test]
fn s3_9_data_ends_its_dictionary_with_total_size() {
    let mut rig = Rig::seed();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hear(link, &webtorrent_greeting(None));
    assert_eq!(rig.said(link), [""; 0], "what it lacks it asks for itself");
    rig.hear(link, &extended(1, b"d8:msg_typei0e5:piecei0ee"));
    let info = metainfo().info;
    let dict = format!("d8:msg_typei1e5:piecei0e10:total_sizei{}ee", info.len());
    assert_eq!(dict.find("ee"), Some(dict.len() - 2), "webtorrent.js looks for the first");
    assert_eq!(rig.said(link).concat(), hex(&extended(1, &[dict.as_bytes(), &info].concat())));
}

#[test]
fn s3_9_what_is_not_there_is_rejected() {
    let mut seed = Rig::seed();
    let link = seed.met(1, OTHER, FAST);
    seed.hear(link, &webtorrent_greeting(None));
    seed.hear(link, &extended(1, b"d8:msg_typei0e5:piecei7ee"));
    assert_eq!(seed.said(link), [hex(&extended(1, b"d8:msg_typei2e5:piecei7ee"))]);

    let mut rig = Rig::magnet();
    let link = rig.met(1, OTHER, FAST);
    rig.hear(link, &webtorrent_greeting(None));
    rig.hear(link, &extended(1, b"d8:msg_typei0e5:piecei0ee"));
    assert_eq!(rig.said(link), [hex(&extended(1, b"d8:msg_typei2e5:piecei0ee"))]);
}

#[test]
fn s3_9_data_with_keys_that_nobody_asked_for_is_understood() {
    for dict in ["d8:msg_typei1e5:piecei0e10:total_sizei9999ee", "d8:msg_typei1e5:piecei0e1:xd1:yi1eee"] {
        let (mut rig, link) = fetching();
        rig.hear(link, &metadata_of(dict));
        assert!(rig.torrent.metainfo().is_some(), "{dict}");
    }
}

#[test]
fn s3_8_metadata_that_arrives_is_told_by_another_greeting() {
    let (mut rig, link) = fetching();
    let other = rig.met(2, OTHER, FAST);
    rig.said(link);
    rig.hear(link, &metadata_of("d8:msg_typei1e5:piecei0e10:total_sizei9ee"));
    for peer in [link, other] {
        let said = rig.messages(peer);
        let size = hex(format!("13:metadata_sizei{}e", metainfo().info.len()).as_bytes());
        assert!(said[0][8..].starts_with("1400") && said[0].contains(&size), "{said:?}");
        assert_eq!(said[1], "000000010f", "now it can say that it has nothing yet");
    }
}

#[test]
fn s3_8_a_second_greeting_with_a_size_starts_the_fetching() {
    let mut rig = Rig::magnet();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hear(link, &webtorrent_greeting(None));
    assert_eq!(rig.said(link), [""; 0]);
    rig.hear(link, &extended(0, b"d1:md11:ut_metadatai1ee13:metadata_sizei400ee"));
    assert_eq!(rig.said(link).len(), 1);
}

#[test]
fn s3_9_sizes_that_can_not_be_are_not_asked_for() {
    for size in ["0", "-1", "2147483648", "8388609", "99999999999999999999"] {
        let mut rig = Rig::magnet();
        let link = rig.met(1, OTHER, FAST);
        rig.hear(link, &extended(0, format!("d1:md11:ut_metadatai1ee13:metadata_sizei{size}ee").as_bytes()));
        assert_eq!((rig.said(link), rig.dropped.len()), (Vec::new(), 0), "{size}");
    }
}

#[test]
fn s3_8_without_the_extension_bit_no_greeting_goes_out() {
    let mut rig = Rig::seed();
    let link = rig.open(1);
    rig.said(link);
    let mut handshake = rig.handshake(link, OTHER, FAST);
    handshake[25] = 0;
    rig.hear(link, &handshake);
    assert_eq!(rig.said(link), ["000000010e"]);
}

#[test]
fn s3_10_lt_donthave_takes_a_piece_back() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, "00000003 05 c000");
    assert_eq!(rig.said(link), ["0000000102"]);
    rig.hears(link, "00000006 14 02 00000000");
    assert_eq!(rig.said(link), [""; 0], "one is left");
    rig.hears(link, "00000006 14 02 00000001 00000006 14 02 00000001 00000006 14 02 00000007");
    assert_eq!(rig.said(link), ["0000000103"], "what it never had changes nothing");
    for wrong in ["00000005 14 02 000000", "00000007 14 02 0000000000"] {
        let link = rig.met(2, OTHER, FAST);
        rig.hears(link, wrong);
        assert!(rig.dropped.remove(&link).is_some(), "exactly four bytes, as libtorrent has it");
    }
}

#[test]
fn s3_10_who_named_no_id_for_lt_donthave_hears_none() {
    let mut rig = Rig::seed();
    rig.lost = vec![1];
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, "000000010f 0000000102");
    rig.said(link);
    rig.hear(link, &about_block(6, 1, 0, 0x4000));
    let said = rig.messages(link);
    let about_pieces = said.iter().filter(|message| !message[8..].starts_with("1400")).collect::<Vec<_>>();
    assert_eq!(about_pieces, [&hex(&about_block(16, 1, 0, 0x4000))]);
}

fn says_upload_only(messages: &[String], value: u8) -> bool {
    let key = hex(format!("11:upload_onlyi{value}e").as_bytes());
    messages.iter().any(|message| message[8..].starts_with("1400") && message.contains(&key))
}

#[test]
fn bep_21_completion_is_told_by_another_greeting_and_a_loss_takes_it_back() {
    let mut rig = Rig::leecher();
    let link = rig.meet(1, OTHER, FAST);
    assert!(says_upload_only(&rig.messages(link), 0));
    rig.hears(link, "000000010e 0000000101");
    let said = rig.feed(link);
    assert!(rig.torrent.is_complete());
    assert!(says_upload_only(&said, 1) && !says_upload_only(&said, 0), "{said:?}");

    let mut seed = Rig::seed();
    let link = seed.meet(1, OTHER, FAST);
    assert!(says_upload_only(&seed.messages(link), 1));
    seed.lost = vec![1];
    seed.hears(link, "000000010f 0000000102 0000000d 06 00000001 00000000 00004000");
    assert!(says_upload_only(&seed.messages(link), 0));
}

#[test]
fn bep_21_a_peer_that_only_uploads_takes_no_slot() {
    let mut rig = Rig::seed();
    let link = rig.met(1, OTHER, NO_FAST);
    rig.hear(link, &extended(0, b"d11:upload_onlyi1ee"));
    rig.hears(link, "0000000102");
    rig.wait(15);
    assert_eq!(rig.said(link), [""; 0]);
    rig.hear(link, &extended(0, b"d11:upload_onlyi0ee"));
    rig.wait(1);
    assert_eq!(rig.said(link), ["0000000101"], "it wants something after all");
}
