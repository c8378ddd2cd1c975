//! Who may download: rounds of choking, allowed-fast, fairness, super-seeding (BEP 3, 6, 16; protocol.md §3.4, §3.7).

use swarmreel::ids::LinkId;
use swarmreel::limits::Limits;

use crate::rig::{FAST, NO_FAST, OTHER, PIECE, Rig, WEBTORRENT, about_block, block, extended, hex};

const HAVE_NONE: &str = "000000010f";
const INTERESTED: &str = "0000000102";
const CHOKE: &str = "0000000100";
const UNCHOKE: &str = "0000000101";
const REQUEST: u8 = 6;
const REJECT: u8 = 16;

/// Two slots, one of them by lot; no places for newcomers.
fn scarce() -> Limits {
    Limits { upload_slots_min: 2, upload_slots_max: 2, newcomer_slots: 0, ..Limits::default() }
}

fn seed(limits: &Limits) -> Rig {
    Rig::seed_with(limits, false)
}

/// A peer with nothing that wants to download; and what is said to that.
fn leecher(rig: &mut Rig, link: u32, fast: u8) -> (LinkId, Vec<String>) {
    let link = rig.met(link, OTHER, fast);
    let nothing = if fast == FAST { HAVE_NONE } else { "00000003050000" };
    rig.hears(link, &[nothing, INTERESTED].concat());
    let said = rig.messages(link);
    (link, said)
}

fn says(messages: &[String], message: &str) -> bool {
    messages.iter().any(|said| said == message)
}

#[test]
fn s3_5_the_first_interest_is_answered_at_once_beyond_the_slots() {
    let mut rig = seed(&Limits { newcomer_slots: 2, ..scarce() });
    for link in 1..=4 {
        assert_eq!(leecher(&mut rig, link, NO_FAST).1, [UNCHOKE], "peer {link}");
    }
    assert_eq!(leecher(&mut rig, 5, NO_FAST).1, [""; 0], "the places for newcomers are taken, too");
}

#[test]
fn s3_7_a_round_every_ten_seconds_makes_room() {
    let mut rig = seed(&scarce());
    let links: Vec<LinkId> = (1..=4).map(|link| leecher(&mut rig, link, NO_FAST).0).collect();
    let mut unchoked = [false; 4];
    for _ in 0..12 {
        rig.wait(10);
        for (link, unchoked) in links.iter().zip(&mut unchoked) {
            *unchoked |= says(&rig.messages(*link), UNCHOKE);
        }
    }
    assert_eq!(unchoked, [true; 4], "everyone gets a turn");
}

#[test]
fn a_leaver_s_slot_is_filled_at_once() {
    let mut rig = seed(&scarce());
    let links: Vec<LinkId> = (1..=3).map(|link| leecher(&mut rig, link, NO_FAST).0).collect();
    rig.wait(1);
    assert_eq!(rig.said(links[2]), [""; 0]);
    rig.torrent.link_closed(links[0]);
    rig.wait(1);
    assert_eq!(rig.said(links[2]), [UNCHOKE]);
}

/// A seed that has two requests of each of two peers waiting for its store when it chokes one of them.
fn choking(fast: u8) -> (Rig, LinkId, Vec<String>) {
    let mut rig = seed(&scarce());
    rig.slow_store = true;
    let links: Vec<LinkId> = (1..=4).map(|link| leecher(&mut rig, link, fast).0).collect();
    for link in &links[..2] {
        rig.hear(*link, &about_block(REQUEST, 1, 0, 0x4000));
        rig.hear(*link, &about_block(REQUEST, 1, 0x4000, 0x4000));
    }
    for _ in 0..20 {
        rig.wait(10);
        for link in &links[..2] {
            let said = rig.messages(*link);
            if says(&said, CHOKE) {
                return (rig, *link, said);
            }
        }
    }
    panic!("the others get a turn");
}

#[test]
fn s7_20_a_choke_rejects_what_it_drops_with_fast() {
    let (mut rig, link, said) = choking(FAST);
    let choke = said.iter().position(|message| message == CHOKE).unwrap();
    let rejects = [0, 0x4000].map(|begin| hex(&about_block(REJECT, 1, begin, 0x4000)));
    assert_eq!(said[choke + 1..choke + 3], rejects);
    rig.load();
    assert_eq!(rig.said(link), [""; 0], "and nothing of it comes");
}

#[test]
fn s7_26_a_choke_says_it_all_without_fast() {
    let (mut rig, link, said) = choking(NO_FAST);
    assert_eq!(said.last().map(String::as_str), Some(CHOKE));
    rig.load();
    assert_eq!(rig.said(link), [""; 0]);
}

#[test]
fn bep_6_a_fast_peer_kept_waiting_is_allowed_a_few_pieces() {
    let mut rig = seed(&Limits { allowed_fast_pieces: 3, ..scarce() });
    (1..=2).for_each(|link| _ = leecher(&mut rig, link, FAST));
    let (link, said) = leecher(&mut rig, 3, FAST);
    let allowed: Vec<u32> = said
        .iter()
        .map(|message| u32::from_str_radix(message.strip_prefix("0000000511").expect("allowed-fast"), 16).unwrap())
        .collect();
    assert_eq!(allowed.len(), 3);
    let piece = *allowed.iter().find(|piece| **piece < 10).expect("a whole piece");
    rig.hear(link, &about_block(REQUEST, piece, 0, 0x4000));
    assert_eq!(rig.said(link).concat(), hex(&block(piece, 0, 0x4000)), "served while choked");
    let other = (0..10).find(|piece| !allowed.contains(piece)).unwrap();
    rig.hear(link, &about_block(REQUEST, other, 0, 0x4000));
    assert_eq!(rig.said(link), [hex(&about_block(REJECT, other, 0, 0x4000))]);
    let mut served = 1;
    for _ in 0..20 {
        rig.hear(link, &about_block(REQUEST, piece, 0, 0x4000));
        served += usize::from(rig.said(link).concat().len() > 10_000);
    }
    assert_eq!(served, 4, "each of its two blocks twice, or one of them four times, and no more");
}

#[test]
fn bep_6_nobody_else_is_allowed_anything() {
    let mut rig = seed(&scarce());
    assert_eq!(leecher(&mut rig, 1, FAST).1, [UNCHOKE], "who is unchoked needs it not");
    leecher(&mut rig, 2, FAST);
    assert_eq!(leecher(&mut rig, 3, NO_FAST).1, [""; 0], "who has not the extension");
    let link = rig.met(4, OTHER, FAST);
    rig.hears(link, &["00000003 05 ffc0", INTERESTED].concat());
    assert_eq!(rig.said(link), [""; 0], "who has enough to give");
}

#[test]
fn bep_6_what_we_are_allowed_is_asked_for_while_choked_and_nothing_else() {
    let mut rig = Rig::leecher();
    let link = rig.met(1, OTHER, FAST);
    rig.hears(link, "000000010e 00000005 11 00000003 00000005 11 ffffffff");
    assert_eq!(rig.messages(link), [INTERESTED], "an unchoke is more likely to come first");
    rig.wait(3);
    let asked: Vec<String> = [0, 0x4000].iter().map(|begin| hex(&about_block(REQUEST, 3, *begin, 0x4000))).collect();
    assert_eq!(rig.messages(link), asked);
    for begin in [0, 0x4000] {
        rig.hear(link, &block(3, begin, 0x4000));
    }
    assert_eq!(rig.stored, [3]);
}

#[test]
fn no_peer_s_queue_starves_another_of_loads() {
    // Two pieces may be loaded for peers at once, and each peer alone would have that many loaded.
    let limits = Limits { cache_bytes_max: 4 * PIECE, ..Limits::default() };
    let mut rig = seed(&limits);
    rig.slow_store = true;
    let links: Vec<LinkId> = (1..=2).map(|link| leecher(&mut rig, link, FAST).0).collect();
    for index in 0..10 {
        let begin = if index < 5 { 0 } else { 0x4000 };
        rig.hear(links[index as usize / 5], &about_block(REQUEST, index, begin, 0x4000));
    }
    let mut sent = Vec::new();
    for _ in 0..3 {
        rig.load();
        sent.push([0, 1].map(|index: usize| rig.messages(links[index]).len()));
    }
    assert_eq!(sent, [[2, 0], [0, 2], [2, 0]], "blocks sent to each, load by load");
}

// ---- super-seeding

fn super_seed() -> Rig {
    Rig::seed_with(&Limits::default(), true)
}

#[test]
fn bep_16_a_super_seeder_has_nothing_and_shows_one_piece() {
    let mut rig = super_seed();
    let link = rig.meet(1, WEBTORRENT, FAST);
    let said = rig.said(link);
    assert_eq!(said[1..], [HAVE_NONE]);
    assert!(said[0].contains(&hex(b"11:upload_onlyi0e")), "nor does it say that it only uploads");
    rig.wait(1);
    assert_eq!(rig.said(link), [""; 0], "its handlers may not run yet");
    rig.hears(link, HAVE_NONE);
    assert_eq!(rig.said(link), ["000000050400000000"]);
    let other = rig.met(2, OTHER, FAST);
    rig.hears(other, HAVE_NONE);
    assert_eq!(rig.said(other), ["000000050400000001"], "another one");
}

#[test]
fn bep_16_the_next_piece_is_shown_when_it_has_got_about() {
    let mut rig = super_seed();
    let [a, b] = [1, 2].map(|link| {
        let link = rig.met(link, OTHER, FAST);
        rig.hears(link, HAVE_NONE);
        rig.hears(link, INTERESTED);
        link
    });
    rig.said(a);
    rig.hear(a, &about_block(REQUEST, 1, 0, 0x4000));
    assert_eq!(rig.said(a), [hex(&about_block(REJECT, 1, 0, 0x4000))], "that was shown to the other one");
    rig.hear(a, &about_block(REQUEST, 0, 0, 0x4000));
    assert_eq!(rig.said(a).concat(), hex(&block(0, 0, 0x4000)));
    rig.hears(a, "00000005 04 00000000");
    assert_eq!(rig.said(a), [""; 0], "it has it from us");
    rig.hears(b, "00000005 04 00000000");
    assert_eq!(rig.said(a), ["000000050400000002"], "and this one has it from there");
}

#[test]
fn bep_16_nobody_waits_for_ever_for_somebody_to_take_what_he_has() {
    let mut rig = super_seed();
    let [a, _b] = [1, 2].map(|link| {
        let link = rig.met(link, OTHER, FAST);
        rig.hears(link, HAVE_NONE);
        link
    });
    rig.hears(a, "00000005 04 00000000");
    rig.said(a);
    rig.wait(9);
    assert_eq!(rig.said(a), [""; 0]);
    rig.wait(2);
    assert_eq!(rig.said(a), ["000000050400000002"]);
}

#[test]
fn bep_16_one_that_can_not_say_that_it_has_nothing_is_shown_a_piece_too() {
    let mut rig = super_seed();
    let link = rig.meet(1, OTHER, NO_FAST);
    assert_eq!(rig.said(link)[1..], ["00000003050000"]);
    rig.wait(11);
    assert_eq!(rig.said(link), ["000000050400000000"]);
}

#[test]
fn bep_16_a_second_seed_ends_it() {
    let mut rig = super_seed();
    let a = rig.met(1, OTHER, FAST);
    rig.hears(a, HAVE_NONE);
    rig.said(a);
    let b = rig.met(2, OTHER, FAST);
    rig.hears(b, "000000010e");
    let said = rig.messages(a);
    let haves: Vec<String> = (1..11).map(|index| format!("0000000504{index:08x}")).collect();
    assert_eq!(said[..10], haves[..]);
    assert!(said[10].contains(&hex(b"11:upload_onlyi1e")), "now it says what it is: {said:?}");
    let late = rig.meet(3, OTHER, FAST);
    assert_eq!(rig.said(late)[1..], ["000000010e"]);
}

#[test]
fn bep_16_so_does_every_piece_being_somewhere_else() {
    let mut rig = super_seed();
    let [a, b] = [1, 2].map(|link| rig.met(link, OTHER, FAST));
    rig.hears(a, "00000003 05 ffc0");
    assert_eq!(rig.messages(a), ["00000005040000000a"], "the only one that nobody has");
    rig.hears(b, "00000003 05 0020");
    assert_eq!(rig.messages(a).len(), 11, "ten pieces and a greeting");
}

#[test]
fn s3_3_webtorrent_is_shown_a_piece_only_after_its_first_word_about_pieces() {
    let mut rig = super_seed();
    let link = rig.met(1, WEBTORRENT, FAST);
    rig.hear(link, &extended(0, b"d1:md11:ut_metadatai1eee"));
    rig.wait(20);
    assert_eq!(rig.said(link), [""; 0], "before its metadata is there it would miss it");
    rig.hears(link, HAVE_NONE);
    assert_eq!(rig.said(link), ["000000050400000000"]);
}
