//! Which blocks to ask a peer for.
//!
//! Invariant: only blocks that the peer has and we lack, none that was asked of it already; what is played now comes
//! before what is played later, and that before the rest.

use std::ops::Range;
use std::time::Duration;

use crate::geometry::{Block, Piece};
use crate::ids::LinkId;
use crate::pieces::{Pieces, Status};
use crate::time::Moment;

/// What is wanted, and in which order. Made anew whenever a player or reader moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Somebody waits for these, the first one first.
    pub urgent: Vec<Piece>,
    /// Needed soon, in order: piece indices.
    pub ahead: Vec<Range<u32>>,
    /// And everything else, rarest first.
    pub rest: bool,
}

/// When an outstanding block is asked of a second link.
#[derive(Clone, Copy, Debug)]
pub struct Lateness {
    /// A block of an urgent piece.
    pub urgent: Duration,
    /// Any block, when nothing else is left to ask for.
    pub endgame: Duration,
    /// Bytes of partial pieces beyond which only urgent pieces are begun.
    pub partial_bytes_max: usize,
}

/// A peer, as the picker sees it.
#[derive(Clone, Copy)]
pub struct Asker<'a, F: Fn(Piece) -> bool> {
    /// Its link.
    pub link: LinkId,
    /// Does it have this piece?
    pub has: &'a F,
}

/// At most `count` blocks to ask of a peer, in order.
pub fn pick<F: Fn(Piece) -> bool>(
    pieces: &Pieces,
    wishes: &Wishes,
    asker: Asker<'_, F>,
    count: usize,
    now: Moment,
    lateness: &Lateness,
) -> Vec<Block> {
    let mut pick = Pick { pieces, asker, count, picked: Vec::new() };
    pick.urgent(&wishes.urgent, now, lateness.urgent);
    if pick.is_full() {
        return pick.picked;
    }
    let begin = pieces.partial_bytes() < lateness.partial_bytes_max;
    pick.ahead(&wishes.ahead, begin);
    if wishes.rest {
        pick.rest(begin);
    }
    if pick.picked.is_empty() {
        pick.endgame(wishes, now, lateness.endgame);
    }
    pick.picked
}

struct Pick<'a, F: Fn(Piece) -> bool> {
    pieces: &'a Pieces,
    asker: Asker<'a, F>,
    count: usize,
    picked: Vec<Block>,
}

impl<F: Fn(Piece) -> bool> Pick<'_, F> {
    fn is_full(&self) -> bool {
        self.picked.len() >= self.count
    }

    fn take(&mut self, blocks: impl IntoIterator<Item = Block>) {
        for block in blocks {
            if self.is_full() {
                return;
            }
            if !self.picked.contains(&block) {
                self.picked.push(block);
            }
        }
    }

    fn take_free(&mut self, piece: Piece) {
        if !self.is_full() && (self.asker.has)(piece) {
            self.take(self.pieces.free_blocks(piece, self.asker.link));
        }
    }

    /// Blocks that others were asked for too long ago, and only they.
    fn take_late(&mut self, piece: Piece, now: Moment, late: Duration) {
        if !self.is_full() && self.pieces.status(piece) == Status::Partial && (self.asker.has)(piece) {
            let asked = self.pieces.asked_blocks(piece, self.asker.link);
            self.take(
                asked.iter().filter(|(_, at, links)| *links < 2 && now.since(*at) >= late).map(|(block, ..)| *block),
            );
        }
    }

    fn urgent(&mut self, urgent: &[Piece], now: Moment, late: Duration) {
        for piece in urgent {
            self.take_free(*piece);
            self.take_late(*piece, now, late);
        }
    }

    fn ahead(&mut self, ahead: &[Range<u32>], begin: bool) {
        let geometry = *self.pieces.geometry();
        for index in ahead.iter().cloned().flatten() {
            if self.is_full() {
                return;
            }
            match geometry.piece(index) {
                Some(piece) if begin || self.pieces.status(piece) == Status::Partial => self.take_free(piece),
                _ => {}
            }
        }
    }

    /// Begun pieces first, so that they are done and can be passed on; then the rarest.
    fn rest(&mut self, begin: bool) {
        for piece in self.pieces.partials() {
            if self.is_full() {
                return;
            }
            self.take_free(piece);
        }
        for piece in self.pieces.rarest().take_while(|_| begin) {
            if self.is_full() {
                return;
            }
            self.take_free(piece);
        }
    }

    fn endgame(&mut self, wishes: &Wishes, now: Moment, late: Duration) {
        let geometry = *self.pieces.geometry();
        let ahead = wishes.ahead.iter().cloned().flatten().filter_map(|index| geometry.piece(index));
        for piece in ahead.chain(self.pieces.begun().filter(|_| wishes.rest)) {
            if self.is_full() {
                return;
            }
            self.take_late(piece, now, late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BLOCK_LENGTH, Geometry};

    /// Two blocks a piece. `have` and each peer: one letter a piece. Blocks are shown as piece.block.
    struct Case {
        pieces: Pieces,
        wishes: Wishes,
    }

    const NOW: Moment = Moment(10_000_000);

    fn case(have: &str) -> Case {
        let geometry = Geometry::new(have.len() as u64 * 2 * u64::from(BLOCK_LENGTH), 2 * BLOCK_LENGTH);
        let mut pieces = Pieces::new(geometry, vec![[0; 20]; have.len()], 0);
        pieces.keep_all();
        for piece in geometry.all().filter(|piece| &have[piece.index() as usize..][..1] != "#") {
            pieces.lose(piece);
        }
        Case { pieces, wishes: Wishes { rest: true, ..Wishes::default() } }
    }

    impl Case {
        fn urgent(mut self, pieces: &[u32]) -> Self {
            self.wishes.urgent = pieces.iter().map(|index| self.pieces.geometry().piece(*index).unwrap()).collect();
            self
        }

        fn ahead(mut self, range: Range<u32>) -> Self {
            self.wishes.ahead = vec![range];
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

        fn check(&self, peer: &str, count: usize, expected: &str) {
            let has = |piece: Piece| &peer[piece.index() as usize..][..1] == "1";
            let lateness = Lateness {
                urgent: Duration::from_secs(1),
                endgame: Duration::from_secs(2),
                partial_bytes_max: usize::MAX,
            };
            let asker = Asker { link: LinkId(1), has: &has };
            let picked = pick(&self.pieces, &self.wishes, asker, count, NOW, &lateness);
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
    fn urgent_before_ahead_before_rest() {
        case("......").urgent(&[4]).ahead(1..3).check("111111", 5, "4.0 4.1 1.0 1.1 2.0");
        case("......").urgent(&[4, 2]).ahead(1..2).check("111111", 5, "4.0 4.1 2.0 2.1 1.0");
    }

    #[test]
    fn begun_pieces_are_finished_before_others_are_begun() {
        case("....").asked(2, &[(3, 0)], NOW).check("1111", 1, "3.1");
    }

    #[test]
    fn the_rarest_come_first() {
        let mut case = case("...");
        [0, 1, 2, 2, 0, 0].iter().for_each(|index| case.pieces.count_peer(*index, true));
        case.check("111", 6, "1.0 1.1 2.0 2.1 0.0 0.1");
    }

    #[test]
    fn an_urgent_block_that_is_late_is_asked_of_a_second_link_only() {
        let early = Moment(NOW.0 - 1_500_000);
        case("..").urgent(&[0]).asked(2, &[(0, 0), (0, 1)], early).check("11", 3, "0.0 0.1 1.0");
        case("..").urgent(&[0]).asked(2, &[(0, 0), (0, 1)], NOW).check("11", 3, "1.0 1.1");
        case("..").urgent(&[0]).asked(1, &[(0, 0), (0, 1)], early).check("11", 3, "1.0 1.1");
        case("#.").asked(2, &[(1, 0), (1, 1)], early).asked(3, &[(1, 0)], early).urgent(&[1]).check("11", 3, "1.1");
    }

    #[test]
    fn the_endgame_begins_when_nothing_is_free() {
        let early = Moment(NOW.0 - 3_000_000);
        case("#.").asked(2, &[(1, 0)], early).check("11", 3, "1.1");
        case("#.").asked(2, &[(1, 0), (1, 1)], early).check("11", 3, "1.0 1.1");
        case("#.").asked(2, &[(1, 0), (1, 1)], NOW).check("11", 3, "");
    }
}
