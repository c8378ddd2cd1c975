//! Super-seeding (BEP 16): a seed that pretends to have nothing and shows each peer one piece at a time, the next one
//! when somebody else has got it from there. So the first copy leaves the seed hardly more than once.
//!
//! Invariant: a peer is shown a piece that it lacks, and nobody has where such are left; once every piece is somewhere
//! else, there is nothing left to do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Phase, Torrent};
use crate::ids::LinkId;
use crate::peer::Has;
use crate::pieces::Bitfield;
use crate::time::Moment;
use crate::wire::Message;

/// What one peer was shown.
#[derive(Clone, Debug)]
struct Shown {
    pieces: Bitfield,
    /// The last of them.
    latest: u32,
    /// Since when the peer has the latest, and nobody else.
    alone_since: Option<Moment>,
    /// It is its turn, and there was nothing to show.
    waits: bool,
}

/// Who was shown what.
#[derive(Clone, Debug)]
pub(super) struct SuperSeed {
    /// Pieces that somebody else has.
    out: Bitfield,
    /// When each piece was shown last, unless to one who has left.
    shown_at: Vec<Option<Moment>>,
    /// Every piece below this was shown, or somebody has it.
    next: u32,
    shown: BTreeMap<LinkId, Shown>,
}

impl SuperSeed {
    pub(super) fn new(pieces: u32) -> Self {
        Self { out: Bitfield::none(pieces), shown_at: vec![None; pieces as usize], next: 0, shown: BTreeMap::new() }
    }

    /// Every piece is somewhere else, too.
    pub(super) fn is_over(&self) -> bool {
        self.out.is_full()
    }

    /// Somebody has this piece.
    pub(super) fn note(&mut self, index: u32) {
        self.out.insert(index);
    }

    /// What a peer has has changed: who is to be shown the next piece for it. Those whose latest piece it has now, if
    /// it did not come from us; itself, if it was shown none, or there is nobody to pass its latest on to.
    pub(super) fn settle(&mut self, now: Moment, link: LinkId, has: impl Fn(u32) -> bool) -> Vec<LinkId> {
        let alone = self.shown.len() == 1;
        let mut next = Vec::new();
        for (other, shown) in &mut self.shown {
            if has(shown.latest) && (*other != link || alone) {
                next.push(*other);
            } else if has(shown.latest) {
                shown.alone_since.get_or_insert(now);
            }
        }
        if !self.shown.contains_key(&link) {
            next.push(link);
        }
        next
    }

    /// Peers from which nobody takes what they have, and those for which there was nothing.
    pub(super) fn late(&self, now: Moment, patience: Duration) -> Vec<LinkId> {
        let late = |shown: &Shown| shown.alone_since.is_some_and(|since| now.since(since) >= patience);
        self.shown.iter().filter(|(_, shown)| shown.waits || late(shown)).map(|(link, _)| *link).collect()
    }

    /// The piece to show a peer next: the first that nobody has or was shown; else, of those that nobody has got in all
    /// this time, the one that was shown longest ago.
    pub(super) fn show(
        &mut self,
        now: Moment,
        link: LinkId,
        has: impl Fn(u32) -> bool,
        patience: Duration,
    ) -> Option<u32> {
        let count = self.out.length();
        while self.next < count && (self.shown_at[self.next as usize].is_some() || self.out.has(self.next)) {
            self.next += 1;
        }
        let shown = self.shown.get(&link);
        let is_new = |index: &u32| !has(*index) && !shown.is_some_and(|shown| shown.pieces.has(*index));
        let is_stale = |at: &Option<Moment>| at.is_none_or(|at| now.since(at) >= patience);
        let stale = || {
            let missing = (0..count).filter(|index| !self.out.has(*index) && is_stale(&self.shown_at[*index as usize]));
            missing.filter(is_new).min_by_key(|index| self.shown_at[*index as usize])
        };
        let Some(index) = Some(self.next).filter(|index| *index < count && is_new(index)).or_else(stale) else {
            self.shown.entry(link).and_modify(|shown| shown.waits = true);
            return None;
        };
        self.shown_at[index as usize] = Some(now);
        let none = || Shown { pieces: Bitfield::none(count), latest: index, alone_since: None, waits: false };
        let shown = self.shown.entry(link).or_insert_with(none);
        shown.pieces.insert(index);
        (shown.latest, shown.alone_since, shown.waits) = (index, None, false);
        Some(index)
    }

    /// The peer was shown this piece.
    pub(super) fn has_shown(&self, link: LinkId, index: u32) -> bool {
        self.shown.get(&link).is_some_and(|shown| shown.pieces.has(index))
    }

    /// A peer is gone, and what it was about to get may be shown to another at once.
    pub(super) fn leave(&mut self, link: LinkId) {
        if let Some(Shown { latest, .. }) = self.shown.remove(&link) {
            self.shown_at[latest as usize] = None;
            self.next = self.next.min(latest);
        }
    }
}

impl Torrent {
    /// A peer has more than before.
    pub(super) fn super_seed(&mut self, now: Moment, link: LinkId) {
        let (Some(seed), Some(peer)) = (&mut self.super_seed, self.peers.get(&link)) else { return };
        let Has::Known(bits) = &peer.has else { return };
        if bits.is_full() || seed.is_over() {
            return self.end_super_seeding();
        }
        let next = seed.settle(now, link, |index| bits.has(index));
        next.into_iter().for_each(|link| self.show_next(now, link));
    }

    fn show_next(&mut self, now: Moment, link: LinkId) {
        let (Some(seed), Some(peer)) = (&mut self.super_seed, self.peers.get_mut(&link)) else { return };
        let patience = self.limits.super_seed_patience;
        if let Some(index) = seed.show(now, link, |index| peer.has_piece(index), patience) {
            peer.send(&Message::Have(index));
            self.dirty.insert(link);
        }
    }

    /// Goes on with those that wait too long for somebody to take what they have, and with those that say nothing of
    /// what they have because they have nothing (only with the fast extension is there a message for it).
    pub(super) fn tick_super_seeding(&mut self, now: Moment) {
        let Some(seed) = &self.super_seed else { return };
        let patience = self.limits.super_seed_patience;
        let mute = self.peers.values().filter(|peer| {
            let quiet = matches!(peer.has, Has::Unknown) && now.since(peer.opened_at) >= patience;
            quiet && peer.handshake.is_some_and(|handshake| !handshake.fast) && !seed.shown.contains_key(&peer.link)
        });
        let next: Vec<LinkId> = mute.map(|peer| peer.link).chain(seed.late(now, patience)).collect();
        next.into_iter().for_each(|link| self.show_next(now, link));
    }

    /// Shows everybody everything.
    pub(super) fn end_super_seeding(&mut self) {
        let Some(seed) = self.super_seed.take() else { return };
        let Phase::Sharing(content) = &self.phase else { return };
        for peer in self.peers.values_mut().filter(|peer| peer.handshake.is_some()) {
            let link = peer.link;
            let news = content.pieces.have().iter().filter(|index| !seed.has_shown(link, *index));
            news.for_each(|index| peer.send(&Message::Have(index)));
            self.dirty.insert(link);
        }
        self.renew_greeting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    /// A and B have come with nothing, and were shown the first two of four pieces.
    fn begun() -> SuperSeed {
        let mut seed = SuperSeed::new(4);
        for (link, index) in [(A, 0), (B, 1)] {
            assert_eq!(seed.settle(Moment(0), link, |_| false), [link]);
            assert_eq!(seed.show(Moment(0), link, |_| false, PATIENCE), Some(index));
        }
        seed
    }

    #[test]
    fn the_next_piece_comes_when_another_peer_has_the_last() {
        let mut seed = begun();
        seed.note(0);
        assert_eq!(seed.settle(Moment(1), A, |index| index == 0), [], "it came from us");
        assert_eq!(seed.settle(Moment(2), B, |index| index == 0), [A], "and this came from A");
        assert_eq!(seed.show(Moment(2), A, |index| index == 0, PATIENCE), Some(2));
    }

    #[test]
    fn a_peer_alone_is_not_kept_waiting() {
        let mut seed = begun();
        seed.leave(B);
        seed.note(0);
        assert_eq!(seed.settle(Moment(1), A, |index| index == 0), [A]);
    }

    #[test]
    fn nor_is_one_from_whom_nobody_takes_anything() {
        let mut seed = begun();
        seed.note(0);
        seed.settle(Moment(0), A, |index| index == 0);
        assert_eq!(seed.late(Moment(9_999_999), PATIENCE), []);
        assert_eq!(seed.late(Moment(10_000_000), PATIENCE), [A]);
        seed.show(Moment(10_000_000), A, |index| index == 0, PATIENCE);
        assert_eq!(seed.late(Moment(99_000_000), PATIENCE), []);
    }

    #[test]
    fn a_piece_on_its_way_is_not_shown_again_until_its_peer_has_left_or_takes_too_long() {
        let mut seed = begun();
        let at = |seconds: u64| Moment(seconds * 1_000_000);
        for index in [2, 3] {
            assert_eq!(seed.show(at(1), B, |_| false, PATIENCE), Some(index));
        }
        assert_eq!(seed.show(at(2), B, |_| false, PATIENCE), None, "all are on their way");
        assert_eq!(seed.late(at(2), PATIENCE), [B], "it is asked for again with every tick");
        seed.leave(A);
        assert_eq!(seed.show(at(3), B, |_| false, PATIENCE), Some(0));
        seed.show(at(4), A, |_| false, PATIENCE);
        assert_eq!(seed.show(at(9), A, |_| false, PATIENCE), None);
        assert_eq!(seed.show(at(10), A, |_| false, PATIENCE), Some(1), "the slowest of all");
    }

    #[test]
    fn it_is_over_when_everything_is_somewhere_else() {
        let mut seed = begun();
        (0..3).for_each(|index| seed.note(index));
        assert!(!seed.is_over() && seed.has_shown(A, 0) && !seed.has_shown(B, 0));
        seed.note(3);
        assert!(seed.is_over());
    }
}
