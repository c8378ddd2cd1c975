//! Which blocks to ask a peer for.
//!
//! Invariant: only blocks that the peer has and we lack, none that was asked of it already; what is played now comes
//! before what is played later, and that before the rest. A picking looks at a bounded number of pieces one by one,
//! however many there are.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use crate::geometry::{Block, Piece};
use crate::ids::LinkId;
use crate::limits::{HOLDERS_MAX, LATE_LOOKS_MAX, PICK_LOOKS_MAX};
use crate::pieces::{Bitfield, Pieces, Status};
use crate::time::Moment;

/// What is wanted, and in which order. Made anew whenever a player or reader moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Somebody waits for these, the one with the nearest deadline first.
    pub urgent: Vec<Piece>,
    /// Needed within seconds, in order: piece indices.
    pub soon: Vec<Range<u32>>,
    /// Needed after that, rarest first: piece indices.
    pub ahead: Vec<Range<u32>>,
    /// And everything else, rarest first.
    pub rest: bool,
}

/// When and what a picking may do beyond asking for free blocks.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Now.
    pub now: Moment,
    /// A block of an urgent piece is asked of a second link after this long.
    pub urgent_late: Duration,
    /// Or at once, if the first would bring it later than in twice the second's time and this.
    pub steal_gain: Duration,
    /// Any block is, when nothing else is left to ask for.
    pub endgame_late: Duration,
    /// Bytes of partial pieces beyond which only urgent pieces are begun.
    pub partial_bytes_max: usize,
    /// Until we have so many pieces, any will do: the rarest come slowly, and who has nothing has nothing to give.
    pub random_first: u32,
}

/// How long a link will take to deliver all that it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It has not delivered yet.
    Unknown,
    /// So long, at its present rate.
    Takes(Duration),
    /// It delivers nothing.
    Stuck,
}

impl Pace {
    /// A block asked of such a link is late after this long: half as much again as it should take.
    fn due(self, late: Duration) -> Duration {
        if let Pace::Takes(time) = self { late.max(time.saturating_mul(3) / 2) } else { late }
    }

    /// A block asked of this link `age` ago will come later than in twice the other one's time and `gain`.
    fn is_slower(self, age: Duration, other: Pace, gain: Duration) -> bool {
        match (self, other) {
            (Pace::Takes(time), Pace::Takes(other)) => time.saturating_sub(age) > other * 2 + gain,
            _ => false,
        }
    }
}

/// A peer, as the picker sees it.
#[derive(Clone, Copy)]
pub struct Asker<'a, F: Fn(LinkId) -> Pace> {
    /// Its link.
    pub link: LinkId,
    /// What it has.
    pub has: &'a Bitfield,
    /// How many blocks to ask of it.
    pub count: usize,
    /// The piece it was last asked for: its neighbours are at hand there.
    pub last: Option<Piece>,
    /// How long a link, this one or another, will take to deliver all that it was asked for.
    pub pace: &'a F,
}

/// At most `asker.count` blocks to ask of a peer, in order.
pub fn pick<F: Fn(LinkId) -> Pace>(pieces: &Pieces, wishes: &Wishes, asker: Asker<'_, F>, terms: &Terms) -> Vec<Block> {
    pick_counting(pieces, wishes, asker, terms).0
}

/// The same, and how many pieces were looked at one by one.
fn pick_counting<F: Fn(LinkId) -> Pace>(
    pieces: &Pieces,
    wishes: &Wishes,
    asker: Asker<'_, F>,
    terms: &Terms,
) -> (Vec<Block>, usize) {
    let begin = pieces.partial_bytes() < terms.partial_bytes_max;
    let (picked, taken) = (Vec::with_capacity(asker.count), BTreeSet::new());
    let mut pick = Pick { pieces, asker, terms, begin, picked, taken, looks: Cell::new(0) };
    pick.urgent(&wishes.urgent);
    pick.soon(&wishes.soon);
    pick.ahead(&wishes.ahead);
    if wishes.rest {
        pick.rest();
    }
    if pick.picked.is_empty() {
        pick.endgame(wishes);
    }
    (pick.picked, pick.looks.get())
}

struct Pick<'a, F: Fn(LinkId) -> Pace> {
    pieces: &'a Pieces,
    asker: Asker<'a, F>,
    terms: &'a Terms,
    /// Missing pieces may be begun though nobody waits for them.
    begin: bool,
    picked: Vec<Block>,
    /// Pieces of which all free blocks are picked.
    taken: BTreeSet<Piece>,
    looks: Cell<usize>,
}

impl<'a, F: Fn(LinkId) -> Pace> Pick<'a, F> {
    fn is_full(&self) -> bool {
        self.picked.len() >= self.asker.count
    }

    fn has(&self, piece: Piece) -> bool {
        self.asker.has.has(piece.index())
    }

    /// The free blocks of a piece that the peer has.
    fn take_free(&mut self, piece: Piece) {
        if !self.is_full() && self.taken.insert(piece) {
            let room = self.asker.count - self.picked.len();
            self.picked.extend(self.pieces.free_blocks(piece, self.asker.link, self.terms.now).take(room));
        }
    }

    /// Takes pieces one by one until there are enough blocks, or too many pieces were looked at.
    fn take_each(&mut self, pieces: impl Iterator<Item = Piece>) {
        for piece in pieces.take(PICK_LOOKS_MAX) {
            if self.is_full() {
                return;
            }
            self.looks.set(self.looks.get() + 1);
            if self.has(piece) {
                self.take_free(piece);
            }
        }
    }

    /// Somebody waits: what is free, and what another is too slow to bring.
    fn urgent(&mut self, urgent: &[Piece]) {
        let mut searched = 0;
        for piece in urgent.iter().take(PICK_LOOKS_MAX) {
            if self.is_full() {
                return;
            }
            self.looks.set(self.looks.get() + 1);
            if !self.has(*piece) || self.taken.contains(piece) {
                continue;
            }
            self.take_free(*piece);
            if searched < LATE_LOOKS_MAX && self.pieces.status(*piece) == Status::Partial {
                searched += 1;
                self.take_late(*piece, self.terms.urgent_late);
            }
        }
    }

    /// In order: the player gets there before it would matter what is rare.
    fn soon(&mut self, soon: &[Range<u32>]) {
        let (pieces, has) = (self.pieces, self.asker.has);
        for range in soon {
            if self.begin {
                self.take_each(pieces.wanted_in(has, range.clone()));
            } else {
                self.take_each(pieces.open_in(has, range.clone()));
            }
        }
    }

    /// Rarest first: viewers of the same place fetch different pieces of it, and have something to exchange.
    fn ahead(&mut self, ahead: &[Range<u32>]) {
        let (pieces, has) = (self.pieces, self.asker.has);
        for range in ahead {
            self.take_each(pieces.open_in(has, range.clone()));
            if self.begin && !self.is_full() {
                self.take_rarest_of(pieces.missing_in(has, range.clone()));
            }
        }
    }

    /// Pieces that failed their hash first, for what is proven by them; then begun ones, so that they are done and can be
    /// passed on; then the rarest.
    fn rest(&mut self) {
        let (pieces, has) = (self.pieces, self.asker.has);
        let all = 0..pieces.geometry().pieces();
        self.take_each(pieces.suspects());
        self.take_each(pieces.open_in(has, all.clone()));
        if !self.begin || self.is_full() {
            return;
        }
        if let Some(last) = self.asker.last {
            self.take_extent(last);
        }
        if pieces.have().count() < self.terms.random_first {
            self.take_each(pieces.missing_in(has, pieces.drawn()..all.end));
        }
        for piece in pieces.rarest().take(PICK_LOOKS_MAX) {
            if self.is_full() {
                return;
            }
            self.looks.set(self.looks.get() + 1);
            if self.has(piece) && !self.taken.contains(&piece) {
                self.take_extent(piece);
            }
        }
        // It has none of the rarest: the rarest of a sample of what it has.
        if !self.is_full() {
            self.take_rarest_of(pieces.missing_in(has, all));
        }
    }

    /// The missing pieces of an extent that are as rare as this one, in order.
    fn take_extent(&mut self, piece: Piece) {
        let (pieces, has) = (self.pieces, self.asker.has);
        let neighbours = pieces.missing_in(has, pieces.extent(piece));
        self.take_each(neighbours.filter(|other| pieces.are_equally_rare(*other, piece)));
    }

    fn take_rarest_of(&mut self, missing: impl Iterator<Item = Piece>) {
        let fresh = missing.filter(|piece| !self.taken.contains(piece));
        let mut sample: Vec<Piece> = fresh.take(PICK_LOOKS_MAX).collect();
        self.looks.set(self.looks.get() + sample.len());
        let rank = |piece: &Piece| self.pieces.rank(*piece);
        // Each has a block at least: more pieces than blocks are not needed, nor put in order.
        let needed = self.asker.count - self.picked.len();
        if needed < sample.len() {
            sample.select_nth_unstable_by_key(needed, rank);
            sample.truncate(needed);
        }
        sample.sort_unstable_by_key(rank);
        sample.into_iter().for_each(|piece| self.take_free(piece));
    }

    /// Blocks that others were asked for, and that come sooner if this one is asked, too.
    fn take_late(&mut self, piece: Piece, late: Duration) {
        let own = (self.asker.pace)(self.asker.link);
        for (block, holders) in self.pieces.asked_of_others(piece, self.asker.link) {
            if !self.is_full() && self.comes_late(&holders, own, late) {
                self.picked.push(block);
            }
        }
    }

    /// One holder is passed over when it is late, or will be by far; two or more only when even the last one asked is
    /// late, each later than the one before. Holders that deliver nothing do not count.
    fn comes_late(&self, holders: &[(LinkId, Moment)], own: Pace, late: Duration) -> bool {
        let alive: Vec<(Pace, Duration)> = holders
            .iter()
            .map(|(holder, at)| ((self.asker.pace)(*holder), self.terms.now.since(*at)))
            .filter(|(pace, _)| *pace != Pace::Stuck)
            .collect();
        match (alive.as_slice(), own) {
            (_, Pace::Stuck) => holders.len() == 1 && alive.iter().all(|(_, age)| *age >= late),
            ([], _) => holders.len() < HOLDERS_MAX,
            ([(pace, age)], _) => *age >= pace.due(late) || pace.is_slower(*age, own, self.terms.steal_gain),
            (several, _) => {
                let patience = late.saturating_mul(1 << (several.len() - 1).min(8));
                several.len() < HOLDERS_MAX && several.iter().all(|(_, age)| *age >= patience)
            }
        }
    }

    /// Nothing is left to ask for: what is late elsewhere.
    fn endgame(&mut self, wishes: &Wishes) {
        let pieces = self.pieces;
        let geometry = *pieces.geometry();
        // As long as there are other pieces to fetch, somebody has more use for a peer's time than doubling what is late.
        let late = if pieces.all_asked() { self.terms.endgame_late } else { Duration::MAX };
        let ranges = wishes.soon.iter().chain(&wishes.ahead).cloned();
        let listed = ranges.flatten().take(PICK_LOOKS_MAX).filter_map(|index| geometry.piece(index));
        let wanted = listed.chain(pieces.begun().filter(|_| wishes.rest));
        let (has, begun) = (self.asker.has, |piece: &Piece| pieces.status(*piece) == Status::Partial);
        for piece in wanted.filter(|piece| has.has(piece.index())).filter(begun).take(LATE_LOOKS_MAX) {
            if self.is_full() {
                return;
            }
            self.looks.set(self.looks.get() + 1);
            if self.taken.insert(piece) {
                self.take_late(piece, late);
            }
        }
    }
}

#[cfg(test)]
mod tests;
