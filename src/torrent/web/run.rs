//! Which consecutive blocks to fetch of a web seed in one go.
//!
//! Invariant: the blocks of a run follow each other without a gap, we lack all of them, and none is asked of the same web
//! seed already; what is waited for comes first.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::geometry::{Block, Piece};
use crate::ids::LinkId;
use crate::picker::Wishes;
use crate::pieces::{Pieces, Status};
use crate::time::Moment;

/// A web seed, as its runs are picked.
pub(super) struct Runner<'a, F: Fn(Piece) -> bool> {
    pub(super) pieces: &'a Pieces,
    pub(super) wishes: &'a Wishes,
    /// A player stands still without these: they are asked of the web seed even if a peer was just asked.
    pub(super) raced: &'a BTreeSet<Piece>,
    pub(super) link: LinkId,
    /// Does it have this piece?
    pub(super) has: F,
    pub(super) now: Moment,
    /// An urgent block that a peer was asked for so long ago is fetched, too.
    pub(super) late: Duration,
}

/// What may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Only what is waited for.
    Urgent,
    /// That, and what has been begun.
    Begun,
    /// Anything.
    All,
}

impl<F: Fn(Piece) -> bool> Runner<'_, F> {
    /// The next run: to the end of the piece in which it reaches `bytes_wanted`. Empty if there is nothing to fetch.
    pub(super) fn run(&self, scope: Scope, bytes_wanted: u64) -> Vec<Block> {
        self.start(scope, bytes_wanted).map(|start| self.extend(start, bytes_wanted)).unwrap_or_default()
    }

    fn start(&self, scope: Scope, bytes_wanted: u64) -> Option<Block> {
        let first = |piece: Piece| self.askable(piece).first().copied();
        let urgent = self.wishes.urgent.iter().copied().find_map(first);
        if urgent.is_some() || scope == Scope::Urgent {
            return urgent;
        }
        let geometry = self.pieces.geometry();
        let may_begin = |piece: &Piece| scope == Scope::All || self.pieces.status(*piece) == Status::Partial;
        let next = self.wishes.soon.iter().chain(&self.wishes.ahead).cloned().flatten();
        let next = next.filter_map(|index| geometry.piece(index)).filter(may_begin).find_map(first);
        let rest = self.pieces.suspects().chain(self.pieces.rarest()).chain(self.pieces.begun());
        let mut rest = rest.filter(|_| self.wishes.rest).filter(may_begin);
        next.or_else(|| rest.find_map(first).map(|block| self.back(block, bytes_wanted)))
    }

    /// The start of the gap that a block is in, if a run from there reaches the block: small gaps make small requests.
    fn back(&self, block: Block, bytes_wanted: u64) -> Block {
        let geometry = self.pieces.geometry();
        let near = |piece: &Piece| geometry.offset(block.piece) - geometry.offset(*piece) < bytes_wanted;
        let before = (0..block.piece.index()).rev().filter_map(|index| geometry.piece(index)).take_while(near);
        let gap = before.take_while(|piece| self.pieces.status(*piece) == Status::Missing && (self.has)(*piece));
        let first = gap.last().map_or(block, Piece::first_block);
        if self.pieces.free_blocks(first.piece, self.link, self.now).next() == Some(first) { first } else { block }
    }

    fn extend(&self, start: Block, bytes_wanted: u64) -> Vec<Block> {
        let geometry = self.pieces.geometry();
        let mut end = geometry.block_range(start).start;
        let wanted_end = end + bytes_wanted;
        let mut run = Vec::new();
        for piece in geometry.covering(&(end..geometry.length())) {
            if piece != start.piece && !self.is_wished(piece) {
                break;
            }
            for block in self.askable(piece).into_iter().filter(|block| *block >= start) {
                let range = geometry.block_range(block);
                if range.start != end {
                    return run;
                }
                end = range.end;
                run.push(block);
            }
            if end != geometry.range(piece).end || end >= wanted_end {
                break;
            }
        }
        run
    }

    fn is_wished(&self, piece: Piece) -> bool {
        let mut next = self.wishes.soon.iter().chain(&self.wishes.ahead);
        self.wishes.rest || next.any(|range| range.contains(&piece.index())) || self.wishes.urgent.contains(&piece)
    }

    /// The blocks of a piece that may be asked of the web seed now, in order.
    fn askable(&self, piece: Piece) -> Vec<Block> {
        if self.pieces.has(piece) || !(self.has)(piece) {
            return Vec::new();
        }
        let mut blocks: Vec<Block> = self.pieces.free_blocks(piece, self.link, self.now).collect();
        if self.pieces.status(piece) == Status::Partial && self.wishes.urgent.contains(&piece) {
            let raced = self.raced.contains(&piece);
            let late = |at: Moment| raced || self.now.since(at) >= self.late;
            let asked = self.pieces.once_asked(piece, self.link).into_iter();
            blocks.extend(asked.filter(|(.., at)| late(*at)).map(|(block, ..)| block));
            blocks.sort_unstable();
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BLOCK_LENGTH, Geometry};

    const WEB: LinkId = LinkId(u32::MAX);
    const PEER: LinkId = LinkId(1);
    const NOW: Moment = Moment(10_000_000);
    const PIECE: u64 = 2 * BLOCK_LENGTH as u64;

    /// Two blocks a piece; `#`: here, `p`: both blocks asked of a peer just now, `w`: of the web seed.
    fn check(board: &str, urgent: &[u32], ahead: std::ops::Range<u32>, scope: Scope, bytes: u64, expected: &str) {
        check_raced(board, urgent, ahead, scope, bytes, &[], expected);
    }

    fn check_raced(
        board: &str,
        urgent: &[u32],
        ahead: std::ops::Range<u32>,
        scope: Scope,
        bytes: u64,
        raced: &[u32],
        expected: &str,
    ) {
        let geometry = Geometry::new(board.len() as u64 * PIECE, PIECE as u32);
        let mut pieces = Pieces::new(geometry, vec![[0; 20]; board.len()], 0);
        pieces.keep_all();
        let piece = |index: u32| geometry.piece(index).unwrap();
        for (index, state) in board.chars().enumerate().filter(|(_, state)| *state != '#') {
            pieces.lose(piece(index as u32));
            let link = match state {
                'p' => PEER,
                'w' => WEB,
                _ => continue,
            };
            (0..2).for_each(|block| pieces.ask(geometry.block(piece(index as u32), block).unwrap(), link, NOW));
        }
        let urgent = urgent.iter().map(|index| piece(*index)).collect();
        let wishes = Wishes { urgent, soon: vec![], ahead: vec![ahead], rest: true };
        let raced = raced.iter().map(|index| piece(*index)).collect();
        let late = Duration::from_secs(1);
        let has = |piece: Piece| piece.index() != 9;
        let runner = Runner { pieces: &pieces, wishes: &wishes, raced: &raced, link: WEB, has, now: NOW, late };
        let blocks = runner.run(scope, bytes).into_iter();
        let shown: Vec<String> = blocks.map(|block| format!("{}.{}", block.piece.index(), block.index())).collect();
        assert_eq!(shown.join(" "), expected, "{board}");
    }

    #[test]
    fn a_run_goes_on_to_the_first_gap_or_its_length() {
        check("......", &[], 0..6, Scope::All, 3 * PIECE, "0.0 0.1 1.0 1.1 2.0 2.1");
        check("......", &[], 0..6, Scope::All, 1, "0.0 0.1");
        check("..#...", &[], 0..6, Scope::All, 9 * PIECE, "0.0 0.1 1.0 1.1");
        check("pp..w.", &[], 0..6, Scope::All, 9 * PIECE, "2.0 2.1 3.0 3.1");
        check("........#.", &[], 7..10, Scope::All, 9 * PIECE, "7.0 7.1");
    }

    #[test]
    fn what_is_waited_for_comes_first() {
        check("......", &[4], 0..2, Scope::All, 1, "4.0 4.1");
        check("......", &[], 2..4, Scope::All, 1, "2.0 2.1");
        check("......", &[], 2..4, Scope::Urgent, 1, "");
        check("w.....", &[0], 0..6, Scope::Urgent, 1, "");
    }

    #[test]
    fn a_peer_is_raced_only_where_a_player_stands_still() {
        check("p.....", &[0], 0..6, Scope::Urgent, 1, "");
        check_raced("p.....", &[0], 0..6, Scope::Urgent, 1, &[0], "0.0 0.1");
        check_raced("pp....", &[0], 0..6, Scope::Urgent, 3 * PIECE, &[0], "0.0 0.1");
    }

    #[test]
    fn only_what_the_web_seed_has() {
        check("#########.", &[9], 9..10, Scope::All, 1, "");
    }
}
