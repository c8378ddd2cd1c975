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
}

/// Who was shown what.
#[derive(Clone, Debug)]
pub(super) struct SuperSeed {
    /// Pieces that somebody else has.
    out: Bitfield,
    /// To how many each piece was shown.
    times: Vec<u32>,
    /// No piece below this is still to be shown for the first time.
    next: u32,
    shown: BTreeMap<LinkId, Shown>,
}

impl SuperSeed {
    pub(super) fn new(pieces: u32) -> Self {
        Self { out: Bitfield::none(pieces), times: vec![0; pieces as usize], next: 0, shown: BTreeMap::new() }
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

    /// Peers from which nobody takes what they have.
    pub(super) fn late(&self, now: Moment, patience: Duration) -> Vec<LinkId> {
        let waits = |shown: &Shown| shown.alone_since.is_some_and(|since| now.since(since) >= patience);
        self.shown.iter().filter(|(_, shown)| waits(shown)).map(|(link, _)| *link).collect()
    }

    /// The piece to show a peer next: one that was never shown, else one that nobody has and was shown least.
    pub(super) fn show(&mut self, link: LinkId, has: impl Fn(u32) -> bool) -> Option<u32> {
        let count = self.out.length();
        while self.next < count && (self.times[self.next as usize] > 0 || self.out.has(self.next)) {
            self.next += 1;
        }
        let is_new = |index: &u32| !has(*index) && !self.shown.get(&link).is_some_and(|shown| shown.pieces.has(*index));
        let scarce = || {
            let missing = (0..count).filter(|index| !self.out.has(*index)).filter(is_new);
            missing.min_by_key(|index| self.times[*index as usize])
        };
        let index = Some(self.next).filter(|index| *index < count && is_new(index)).or_else(scarce)?;
        self.times[index as usize] += 1;
        let none = || Shown { pieces: Bitfield::none(count), latest: index, alone_since: None };
        let shown = self.shown.entry(link).or_insert_with(none);
        shown.pieces.insert(index);
        (shown.latest, shown.alone_since) = (index, None);
        Some(index)
    }

    /// The peer was shown this piece.
    pub(super) fn has_shown(&self, link: LinkId, index: u32) -> bool {
        self.shown.get(&link).is_some_and(|shown| shown.pieces.has(index))
    }

    /// A peer is gone.
    pub(super) fn leave(&mut self, link: LinkId) {
        self.shown.remove(&link);
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
        next.into_iter().for_each(|link| self.show_next(link));
    }

    fn show_next(&mut self, link: LinkId) {
        let (Some(seed), Some(peer)) = (&mut self.super_seed, self.peers.get_mut(&link)) else { return };
        if let Some(index) = seed.show(link, |index| peer.has_piece(index)) {
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
        next.into_iter().for_each(|link| self.show_next(link));
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

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    /// A and B have come with nothing, and were shown the first two of four pieces.
    fn begun() -> SuperSeed {
        let mut seed = SuperSeed::new(4);
        for (link, index) in [(A, 0), (B, 1)] {
            assert_eq!(seed.settle(Moment(0), link, |_| false), [link]);
            assert_eq!(seed.show(link, |_| false), Some(index));
        }
        seed
    }

    #[test]
    fn the_next_piece_comes_when_another_peer_has_the_last() {
        let mut seed = begun();
        seed.note(0);
        assert_eq!(seed.settle(Moment(1), A, |index| index == 0), [], "it came from us");
        assert_eq!(seed.settle(Moment(2), B, |index| index == 0), [A], "and this came from A");
        assert_eq!(seed.show(A, |index| index == 0), Some(2));
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
        assert_eq!(seed.late(Moment(9_999_999), Duration::from_secs(10)), []);
        assert_eq!(seed.late(Moment(10_000_000), Duration::from_secs(10)), [A]);
        seed.show(A, |index| index == 0);
        assert_eq!(seed.late(Moment(99_000_000), Duration::from_secs(10)), []);
    }

    #[test]
    fn pieces_that_were_shown_to_one_who_left_are_shown_again() {
        let mut seed = begun();
        assert_eq!((seed.show(B, |_| false), seed.show(B, |_| false)), (Some(2), Some(3)));
        seed.leave(A);
        [1, 2, 3].into_iter().for_each(|index| seed.note(index));
        assert!(!seed.is_over());
        assert_eq!(seed.show(B, |index| index > 0), Some(0));
        assert_eq!(seed.show(B, |index| index > 0), None, "it was shown all that it lacks");
        assert!(seed.has_shown(B, 0) && !seed.has_shown(A, 0));
        seed.note(0);
        assert!(seed.is_over());
    }
}
