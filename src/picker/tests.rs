//! Small cases, drawn: two blocks a piece; what we have and what a peer has as one letter a piece; blocks as piece.block.

use super::*;
use crate::geometry::{BLOCK_LENGTH, Geometry};

struct Case {
    pieces: Pieces,
    wishes: Wishes,
    terms: Terms,
    paces: Vec<(u32, u64)>,
    last: Option<u32>,
}

const NOW: Moment = Moment(10_000_000);

fn earlier(milliseconds: u64) -> Moment {
    Moment(NOW.0 - milliseconds * 1000)
}

fn case(have: &str) -> Case {
    let geometry = Geometry::new(have.len() as u64 * 2 * u64::from(BLOCK_LENGTH), 2 * BLOCK_LENGTH);
    let mut pieces = Pieces::new(geometry, vec![[0; 20]; have.len()], 0);
    pieces.keep_all();
    for piece in geometry.all().filter(|piece| &have[piece.index() as usize..][..1] != "#") {
        pieces.lose(piece);
    }
    let terms = Terms {
        now: NOW,
        urgent_late: Duration::from_secs(1),
        steal_gain: Duration::from_millis(100),
        endgame_late: Duration::from_secs(2),
        partial_bytes_max: usize::MAX,
        random_first: 0,
    };
    Case { pieces, wishes: Wishes { rest: true, ..Wishes::default() }, terms, paces: Vec::new(), last: None }
}

/// The pace of a link that delivers nothing.
const STUCK: u64 = u64::MAX;

impl Case {
    fn urgent(mut self, pieces: &[u32]) -> Self {
        self.wishes.urgent = pieces.iter().map(|index| self.pieces.geometry().piece(*index).unwrap()).collect();
        self
    }

    fn soon(mut self, range: Range<u32>) -> Self {
        self.wishes.soon = vec![range];
        self
    }

    fn ahead(mut self, range: Range<u32>) -> Self {
        self.wishes.ahead = vec![range];
        self
    }

    /// Nothing else is wanted.
    fn without_rest(mut self) -> Self {
        self.wishes.rest = false;
        self
    }

    fn asked(mut self, link: u32, blocks: &[(u32, u32)], at: Moment) -> Self {
        for (piece, block) in blocks {
            let geometry = *self.pieces.geometry();
            let block = geometry.block(geometry.piece(*piece).unwrap(), *block).unwrap();
            self.pieces.ask(block, LinkId(link), at);
        }
        self
    }

    /// How many peers that lack something have each piece, a digit a piece.
    fn counts(mut self, counts: &str) -> Self {
        for (index, count) in counts.bytes().enumerate() {
            (b'0'..count).for_each(|_| self.pieces.count_peer(index as u32, true));
        }
        self
    }

    /// This link delivers what it was asked for in so many milliseconds.
    fn pace(mut self, link: u32, milliseconds: u64) -> Self {
        self.paces.push((link, milliseconds));
        self
    }

    fn last(mut self, piece: u32) -> Self {
        self.last = Some(piece);
        self
    }

    fn full(mut self) -> Self {
        self.terms.partial_bytes_max = 0;
        self
    }

    fn newcomer(mut self) -> Self {
        self.terms.random_first = u32::MAX;
        self
    }

    fn pick(&self, peer: &str, count: usize) -> (Vec<Block>, usize) {
        let mut has = Bitfield::none(peer.len() as u32);
        peer.bytes().enumerate().filter(|(_, letter)| *letter == b'1').for_each(|(index, _)| {
            has.insert(index as u32);
        });
        let pace = |link: LinkId| {
            let found = self.paces.iter().find(|(other, _)| *other == link.0);
            match found {
                Some((_, STUCK)) => Pace::Stuck,
                Some((_, milliseconds)) => Pace::Takes(Duration::from_millis(*milliseconds)),
                None => Pace::Unknown,
            }
        };
        let last = self.last.and_then(|index| self.pieces.geometry().piece(index));
        let asker = Asker { link: LinkId(1), has: &has, count, last, pace: &pace };
        pick_counting(&self.pieces, &self.wishes, asker, &self.terms)
    }

    fn check(&self, peer: &str, count: usize, expected: &str) {
        let (picked, _) = self.pick(peer, count);
        let shown: Vec<String> =
            picked.iter().map(|block| format!("{}.{}", block.piece.index(), block.index())).collect();
        assert_eq!(shown.join(" "), expected);
    }
}

#[test]
fn only_what_we_lack_and_the_peer_has() {
    case("##..").check("1101", 9, "3.0 3.1");
    case("####").check("1111", 9, "");
    case("....").check("0000", 9, "");
}

#[test]
fn urgent_before_soon_before_ahead_before_rest() {
    case(".......").counts("1111110").urgent(&[4]).soon(1..3).check("1111111", 7, "4.0 4.1 1.0 1.1 2.0 2.1 6.0");
    case(".......").urgent(&[4, 2]).soon(1..2).check("1111111", 5, "4.0 4.1 2.0 2.1 1.0");
    case(".......").soon(2..3).ahead(5..6).without_rest().check("1111111", 9, "2.0 2.1 5.0 5.1");
    case("......").urgent(&[1]).soon(1..3).ahead(0..4).counts("100000").without_rest().check(
        "110111",
        9,
        "1.0 1.1 3.0 3.1 0.0 0.1",
    );
}

#[test]
fn near_the_player_in_order_and_further_on_the_rarest_first() {
    case("....").counts("3210").soon(0..4).without_rest().check("1111", 4, "0.0 0.1 1.0 1.1");
    case("....").counts("3210").ahead(0..4).without_rest().check("1111", 4, "3.0 3.1 2.0 2.1");
}

#[test]
fn begun_pieces_are_finished_before_others_are_begun() {
    case("....").asked(2, &[(3, 0)], NOW).check("1111", 1, "3.1");
    case("....").counts("3210").asked(2, &[(1, 0)], NOW).ahead(0..4).check("1111", 2, "1.1 3.0");
}

#[test]
fn when_too_many_are_begun_only_what_is_waited_for_is() {
    case("....").urgent(&[2]).soon(0..2).ahead(2..4).asked(2, &[(1, 0)], NOW).full().check("1111", 9, "2.0 2.1 1.1");
}

#[test]
fn the_rarest_come_first() {
    case("...").counts("301").check("111", 6, "1.0 1.1 2.0 2.1 0.0 0.1");
    case("...").counts("301").check("101", 6, "2.0 2.1 0.0 0.1");
}

#[test]
fn a_newcomer_takes_what_comes() {
    // The place is drawn: the start, with the seed of these cases.
    case("...").counts("301").newcomer().check("111", 2, "0.0 0.1");
}

#[test]
fn neighbours_are_fetched_together_while_they_are_as_rare() {
    // 128 pieces, 32 extents of 4.
    let counts = "2".repeat(64) + "0001" + &"2".repeat(60);
    let case = case(&".".repeat(128)).counts(&counts);
    case.check(&"1".repeat(128), 6, "64.0 64.1 65.0 65.1 66.0 66.1");
    case.last(41).check(&"1".repeat(128), 8, "40.0 40.1 41.0 41.1 42.0 42.1 43.0 43.1");
}

#[test]
fn an_urgent_block_that_is_late_is_asked_of_a_second_link_only() {
    let early = earlier(1500);
    case("..").urgent(&[0]).asked(2, &[(0, 0), (0, 1)], early).check("11", 3, "0.0 0.1 1.0");
    case("..").urgent(&[0]).asked(2, &[(0, 0), (0, 1)], NOW).check("11", 3, "1.0 1.1");
    case("..").urgent(&[0]).asked(1, &[(0, 0), (0, 1)], early).check("11", 3, "1.0 1.1");
    case("#.").asked(2, &[(1, 0), (1, 1)], early).asked(3, &[(1, 0)], early).urgent(&[1]).check("11", 3, "1.1");
}

#[test]
fn the_slower_a_link_the_sooner_its_urgent_blocks_are_asked_of_another() {
    let urgent =
        |slow, at| case("..").urgent(&[0]).asked(2, &[(0, 0), (0, 1)], at).pace(1, 100).pace(2, slow).without_rest();
    urgent(5000, NOW).check("11", 3, "0.0 0.1");
    urgent(290, NOW).check("11", 3, "");
    // Most of its time has passed.
    urgent(500, earlier(300)).check("11", 3, "");
    // Nothing is stolen by one who is not known to be faster.
    case("..").urgent(&[0]).asked(2, &[(0, 0)], NOW).pace(2, 9000).without_rest().check("11", 3, "0.1");
    case("..").urgent(&[0]).asked(2, &[(0, 0)], NOW).pace(2, 100).pace(1, 9000).without_rest().check("11", 3, "0.1");
}

#[test]
fn who_delivers_nothing_holds_nothing_up() {
    let urgent = |at| case("..").urgent(&[0]).asked(2, &[(0, 0)], at).asked(3, &[(0, 0)], at).without_rest();
    urgent(NOW).check("11", 3, "0.1");
    // A third is asked when both are twice as late.
    urgent(earlier(1500)).check("11", 3, "0.1");
    urgent(earlier(2500)).check("11", 3, "0.1 0.0");
    urgent(NOW).pace(2, STUCK).check("11", 3, "0.1");
    urgent(earlier(1500)).pace(2, STUCK).check("11", 3, "0.1 0.0");
    urgent(NOW).pace(2, STUCK).pace(3, STUCK).check("11", 3, "0.1 0.0");
    // And who is stuck itself shows with what is late anyway that it lives.
    urgent(earlier(9000)).pace(1, STUCK).check("11", 3, "0.1");
}

#[test]
fn a_block_is_late_when_it_takes_half_as_much_again_as_it_should() {
    let urgent = |at| case("..").urgent(&[0]).asked(2, &[(0, 0)], at).pace(2, 4000).without_rest();
    urgent(earlier(5000)).check("11", 3, "0.1");
    urgent(earlier(6500)).check("11", 3, "0.1 0.0");
}

#[test]
fn what_is_late_is_not_doubled_while_there_is_other_work() {
    let early = earlier(3000);
    case("#..").asked(2, &[(1, 0), (1, 1)], early).check("110", 3, "");
    case("#.#").asked(2, &[(1, 0), (1, 1)], early).check("110", 3, "1.0 1.1");
}

#[test]
fn the_endgame_begins_when_nothing_is_free() {
    let early = earlier(3000);
    case("#.").asked(2, &[(1, 0)], early).check("11", 3, "1.1");
    case("#.").asked(2, &[(1, 0), (1, 1)], early).check("11", 3, "1.0 1.1");
    case("#.").asked(2, &[(1, 0), (1, 1)], NOW).check("11", 3, "");
    case("#.").asked(2, &[(1, 0), (1, 1)], NOW).pace(1, 50).pace(2, 900).check("11", 3, "1.0 1.1");
    case("#.").asked(2, &[(1, 0), (1, 1)], early).without_rest().check("11", 3, "");
    case("#.").asked(2, &[(1, 0), (1, 1)], early).ahead(1..2).without_rest().check("11", 3, "1.0 1.1");
}

#[test]
fn a_picking_looks_at_few_pieces_whatever_there_is() {
    let bound = 5 * PICK_LOOKS_MAX + LATE_LOOKS_MAX;
    let many = 50_000;
    let (all, none) = ("1".repeat(many), "0".repeat(many));
    // The peer has one piece, and it is one of the commonest.
    let counts = "0".repeat(many - 2) + "91";
    let one = none[..many - 2].to_string() + "10";
    let poor = case(&".".repeat(many)).counts(&counts);
    poor.check(&one, 4, &format!("{0}.0 {0}.1", many - 2));
    let everything = 0..many as u32;
    let urgent: Vec<u32> = everything.clone().collect();
    let begun: Vec<(u32, u32)> = everything.clone().map(|piece| (piece, 0)).collect();
    let asked: Vec<(u32, u32)> = everything.clone().flat_map(|piece| [(piece, 0), (piece, 1)]).collect();
    let cases = [
        poor,
        case(&".".repeat(many)).urgent(&urgent).soon(everything.clone()).ahead(everything.clone()),
        case(&".".repeat(many)).asked(2, &begun, NOW),
        case(&".".repeat(many)).asked(2, &asked, NOW).urgent(&urgent).ahead(everything),
    ];
    for case in cases {
        for peer in [&one, &all, &none] {
            for count in [1, 16, 512] {
                let (_, looks) = case.pick(peer, count);
                assert!(looks <= bound, "{looks} pieces looked at for {count} blocks");
            }
        }
    }
}

#[test]
fn no_block_is_picked_twice() {
    let case = case("........").asked(2, &[(0, 0), (3, 1)], earlier(5000)).urgent(&[3, 0, 3]).soon(0..4).ahead(2..8);
    let (mut picked, _) = case.last(1).pick("11111111", 99);
    let count = picked.len();
    picked.sort_unstable();
    picked.dedup();
    assert_eq!((picked.len(), count), (16, 16));
}
