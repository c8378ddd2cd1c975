//! From an info hash to the metadata: fetched from many peers at once, and trusted only when its hash is right (BEP 9).
//!
//! Invariant: memory grows with blocks received, up to a bound, never with a size that somebody claims; a lie costs time,
//! never the metadata: after a failed hash, the dictionary is taken whole from one peer at a time, which the next failure
//! names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::hash::sha1;
use crate::ids::{InfoHash, LinkId};
use crate::limits::Limits;
use crate::time::Moment;
use crate::wire::extension::METADATA_BLOCK;

/// The info dictionary of one claimed size, on its way in.
#[derive(Clone, Debug, Default)]
struct Draft {
    blocks: BTreeMap<u32, (Vec<u8>, LinkId)>,
    asked: BTreeMap<(u32, LinkId), Moment>,
    /// After a mixed dictionary failed: the one peer that is asked, and when it last sent something.
    sole: Option<(LinkId, Moment)>,
    /// When its last block came.
    grown_at: Option<Moment>,
}

impl Draft {
    fn held(&self) -> usize {
        self.blocks.values().map(|(data, _)| data.len()).sum()
    }

    /// Nothing more comes from this peer.
    fn forget(&mut self, link: LinkId) {
        self.asked.retain(|(_, asked), _| *asked != link);
        if self.sole.is_some_and(|(sole, _)| sole == link) {
            *self = Self::default();
        }
    }
}

/// What became of a block of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// More is needed.
    More,
    /// The info dictionary, its hash right.
    Complete(Vec<u8>),
    /// The hash is wrong. If one peer sent all of it, here it is.
    Wrong(Option<LinkId>),
}

/// The search for the metadata of one torrent.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    info_hash: InfoHash,
    /// By claimed size: peers that disagree do not disturb each other (threat-model P7).
    drafts: BTreeMap<u64, Draft>,
    sizes: BTreeMap<LinkId, u64>,
    /// When a peer was asked for something last.
    asked_at: BTreeMap<LinkId, Moment>,
    /// Peers that refused or held things up, and when.
    refused: BTreeMap<LinkId, Moment>,
    /// Sizes at which a mixed dictionary failed: taken from one peer at a time.
    mixed_failed: BTreeSet<u64>,
}

impl Resolver {
    pub(super) fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            drafts: BTreeMap::new(),
            sizes: BTreeMap::new(),
            asked_at: BTreeMap::new(),
            refused: BTreeMap::new(),
            mixed_failed: BTreeSet::new(),
        }
    }

    /// A peer offers metadata of this size. To say so again changes nothing, and another size wins no new turn: else
    /// silent peers that greet again and again would keep the others out.
    pub(super) fn offer(&mut self, link: LinkId, size: u64, limits: &Limits) {
        let is_new = self.sizes.get(&link) != Some(&size);
        if is_new && size > 0 && size <= u64::from(limits.metadata_bytes_max) {
            self.withdraw(link);
            self.sizes.insert(link, size);
        }
    }

    /// A peer is gone.
    pub(super) fn leave(&mut self, link: LinkId) {
        self.refused.remove(&link);
        self.asked_at.remove(&link);
        self.withdraw(link);
    }

    /// What a peer offered counts no more.
    fn withdraw(&mut self, link: LinkId) {
        if let Some(size) = self.sizes.remove(&link) {
            let last = !self.sizes.values().any(|other| *other == size);
            if last {
                self.drafts.remove(&size);
            } else if let Some(draft) = self.drafts.get_mut(&size) {
                draft.forget(link);
            }
        }
    }

    fn forget(&mut self, link: LinkId) {
        if let Some(draft) = self.sizes.get(&link).and_then(|size| self.drafts.get_mut(size)) {
            draft.forget(link);
        }
    }

    /// A peer will not send a block: it is left alone for a while.
    pub(super) fn refuse(&mut self, link: LinkId, now: Moment) {
        self.refused.insert(link, now);
        self.forget(link);
    }

    /// The blocks to ask for now: each of two peers, and of others whenever these are late. Peers take turns, so that two
    /// silent ones, asked again and again, do not keep the others out.
    pub(super) fn requests(&mut self, now: Moment, limits: &Limits) -> Vec<(LinkId, u32)> {
        let mut requests = Vec::new();
        self.replace_idle(now, limits);
        let mut turns: Vec<(LinkId, u64)> = self.sizes.iter().map(|(link, size)| (*link, *size)).collect();
        turns.sort_by_key(|(link, _)| self.asked_at.get(link).copied());
        for (link, size) in turns {
            let refused = self.refused.get(&link).is_some_and(|at| now.since(*at) < limits.metadata_late * 10);
            let draft = self.drafts.entry(size).or_default();
            if refused || self.mixed_failed.contains(&size) && draft.sole.get_or_insert((link, now)).0 != link {
                continue;
            }
            for block in 0..size.div_ceil(METADATA_BLOCK as u64) as u32 {
                let late = |at: &Moment| now.since(*at) >= limits.metadata_late;
                let fresh = draft.asked.iter().filter(|((asked, _), at)| *asked == block && !late(at)).count();
                let again = draft.asked.get(&(block, link)).is_none_or(late);
                if !draft.blocks.contains_key(&block) && fresh < 2 && again {
                    draft.asked.insert((block, link), now);
                    self.asked_at.insert(link, now);
                    requests.push((link, block));
                }
            }
        }
        requests
    }

    /// A sole source that sends nothing makes way for another.
    fn replace_idle(&mut self, now: Moment, limits: &Limits) {
        for draft in self.drafts.values_mut() {
            let idle = draft.sole.filter(|(_, at)| now.since(*at) >= limits.metadata_late * 2);
            if let Some((link, _)) = idle {
                self.refused.insert(link, now);
                *draft = Draft::default();
            }
        }
    }

    /// Requests that have waited too long free their peers, so that a silent one does not hold a draft for ever.
    pub(super) fn expire(&mut self, now: Moment, limits: &Limits) {
        for draft in self.drafts.values_mut() {
            draft.asked.retain(|_, at| now.since(*at) < limits.metadata_late * 2);
        }
    }

    /// Bytes of blocks, over all drafts.
    fn held(&self) -> usize {
        self.drafts.values().map(Draft::held).sum()
    }

    /// While the drafts are too big together, one makes way: one that has stalled rather than one that grows, then one
    /// that few peers claim, then a big one. Never the one that most claim. There is room for two whole ones, so that a
    /// lie of any size leaves room for the truth.
    fn make_room(&mut self, now: Moment, limits: &Limits) {
        while self.held() > limits.metadata_bytes_max as usize * 2 {
            let voters = |size: &u64| self.sizes.values().filter(|claimed| *claimed == size).count();
            let most = self.drafts.keys().copied().max_by_key(voters);
            let others = self.drafts.iter().filter(|(size, draft)| Some(**size) != most && draft.held() > 0);
            let victim = others.min_by_key(|(size, draft)| {
                let grows = draft.grown_at.is_some_and(|at| now.since(at) < limits.metadata_late);
                (grows, voters(size), Reverse(draft.held()))
            });
            let Some(size) = victim.map(|(size, _)| *size) else { return };
            self.drafts.remove(&size);
        }
    }

    /// A block arrives. Ignored unless it was asked of this peer and has the right length.
    pub(super) fn receive(&mut self, now: Moment, link: LinkId, block: u32, data: &[u8], limits: &Limits) -> Outcome {
        let Some(&size) = self.sizes.get(&link) else { return Outcome::More };
        let Some(draft) = self.drafts.get_mut(&size) else { return Outcome::More };
        let begin = u64::from(block) * METADATA_BLOCK as u64;
        let length = size.saturating_sub(begin).min(METADATA_BLOCK as u64) as usize;
        if draft.asked.remove(&(block, link)).is_none() || data.len() != length {
            return Outcome::More;
        }
        draft.blocks.entry(block).or_insert_with(|| (data.to_vec(), link));
        draft.sole = draft.sole.map(|(sole, _)| (sole, now));
        draft.grown_at = Some(now);
        if (draft.blocks.len() as u64) < size.div_ceil(METADATA_BLOCK as u64) {
            self.make_room(now, limits);
            return Outcome::More;
        }
        let info: Vec<u8> = draft.blocks.values().flat_map(|(data, _)| data).copied().collect();
        if sha1(&info) == self.info_hash.0 {
            return Outcome::Complete(info);
        }
        let sole = draft.blocks.values().all(|(_, from)| *from == link).then_some(link);
        self.drafts.remove(&size);
        if sole.is_none() {
            self.mixed_failed.insert(size);
        }
        Outcome::Wrong(sole)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    fn info() -> Vec<u8> {
        (0..40_000u32).map(|byte| (byte % 241) as u8).collect()
    }

    fn resolver() -> Resolver {
        Resolver::new(InfoHash(sha1(&info())))
    }

    /// A and B both offer the metadata.
    fn offered_by_two() -> (Resolver, Limits) {
        let (mut resolver, limits) = (resolver(), Limits::default());
        resolver.offer(A, 40_000, &limits);
        resolver.offer(B, 40_000, &limits);
        (resolver, limits)
    }

    fn block(index: u32) -> Vec<u8> {
        info().chunks(METADATA_BLOCK).nth(index as usize).unwrap().to_vec()
    }

    #[test]
    fn blocks_come_from_several_peers() {
        let (mut resolver, limits) = offered_by_two();
        assert_eq!(resolver.requests(Moment(0), &limits).len(), 6);
        assert_eq!(resolver.requests(Moment(1), &limits), []);
        assert_eq!(resolver.receive(Moment(1), A, 0, &block(0), &limits), Outcome::More);
        assert_eq!(resolver.receive(Moment(1), B, 1, &block(1), &limits), Outcome::More);
        assert_eq!(resolver.receive(Moment(1), A, 2, &block(2), &limits), Outcome::Complete(info()));
    }

    #[test]
    fn a_mixed_failure_blames_nobody_and_the_next_one_blames_its_author() {
        let (mut resolver, limits) = offered_by_two();
        resolver.requests(Moment(0), &limits);
        resolver.receive(Moment(1), A, 0, &block(1), &limits);
        resolver.receive(Moment(1), B, 1, &block(1), &limits);
        assert_eq!(resolver.receive(Moment(1), B, 2, &block(2), &limits), Outcome::Wrong(None));
        let again = resolver.requests(Moment(1), &limits);
        assert!(again.iter().all(|(link, _)| *link == A) && again.len() == 3);
        resolver.receive(Moment(1), A, 0, &block(1), &limits);
        resolver.receive(Moment(1), A, 1, &block(1), &limits);
        assert_eq!(resolver.receive(Moment(1), A, 2, &block(2), &limits), Outcome::Wrong(Some(A)));
        resolver.leave(A);
        resolver.requests(Moment(2), &limits);
        (0..2)
            .for_each(|index| assert_eq!(resolver.receive(Moment(1), B, index, &block(index), &limits), Outcome::More));
        assert_eq!(resolver.receive(Moment(1), B, 2, &block(2), &limits), Outcome::Complete(info()));
    }

    #[test]
    fn a_liar_about_the_size_disturbs_nobody() {
        let mut resolver = resolver();
        let limits = Limits::default();
        resolver.offer(A, 8 << 20, &limits);
        resolver.offer(B, 40_000, &limits);
        resolver.offer(LinkId(3), 1 << 40, &limits);
        let requests = resolver.requests(Moment(0), &limits);
        assert_eq!(requests.iter().filter(|(link, _)| *link == B).count(), 3);
        assert!(requests.iter().all(|(link, _)| *link != LinkId(3)));
        (0..3).for_each(|index| drop(resolver.receive(Moment(1), A, index, &block(0), &limits)));
        (0..2)
            .for_each(|index| assert_eq!(resolver.receive(Moment(1), B, index, &block(index), &limits), Outcome::More));
        assert_eq!(resolver.receive(Moment(1), B, 2, &block(2), &limits), Outcome::Complete(info()));
    }

    #[test]
    fn a_silent_sole_source_makes_way() {
        let (mut resolver, limits) = offered_by_two();
        resolver.requests(Moment(0), &limits);
        resolver.receive(Moment(1), A, 0, &block(1), &limits);
        resolver.receive(Moment(1), B, 1, &block(1), &limits);
        assert_eq!(resolver.receive(Moment(1), B, 2, &block(2), &limits), Outcome::Wrong(None));
        assert!(resolver.requests(Moment(2), &limits).iter().all(|(link, _)| *link == A));
        resolver.receive(Moment(1), A, 0, &block(0), &limits);
        let late = Moment(2) + limits.metadata_late * 2;
        assert!(resolver.requests(late, &limits).iter().all(|(link, _)| *link == B));
        (0..2).for_each(|index| assert_eq!(resolver.receive(late, B, index, &block(index), &limits), Outcome::More));
        assert_eq!(resolver.receive(late, B, 2, &block(2), &limits), Outcome::Complete(info()));
    }

    #[test]
    fn silent_peers_keep_no_other_out() {
        let (mut resolver, limits) = offered_by_two();
        let honest = LinkId(7);
        (3..=7).for_each(|link| resolver.offer(LinkId(link), 40_000, &limits));
        let rounds = (0..4).map(|round| Moment(0) + limits.metadata_late * round);
        let asked = rounds.flat_map(|now| {
            resolver.expire(now, &limits);
            resolver.requests(now, &limits)
        });
        let asked: Vec<u32> = asked.filter(|(link, _)| *link == honest).map(|(_, block)| block).collect();
        assert_eq!(asked, [0, 1, 2], "after those that said nothing, everybody else is asked");
    }

    /// When the metadata is there, if two silent peers greet anew twice a second, with these sizes in turn, and the third
    /// peer is honest.
    fn despite_greetings(sizes: &[u64]) -> Option<Duration> {
        let (mut resolver, limits) = offered_by_two();
        let honest = LinkId(7);
        resolver.offer(honest, 40_000, &limits);
        resolver.requests(Moment(0), &limits);
        for round in 0..60 {
            let after = Duration::from_millis(500) * round;
            let now = Moment(0) + after;
            resolver.expire(now, &limits);
            for (link, size) in [A, B].into_iter().flat_map(|link| sizes.iter().map(move |size| (link, *size))) {
                resolver.offer(link, size, &limits);
                for (_, index) in resolver.requests(now, &limits).into_iter().filter(|(link, _)| *link == honest) {
                    if let Outcome::Complete(_) = resolver.receive(now, honest, index, &block(index), &limits) {
                        return Some(after);
                    }
                }
            }
        }
        None
    }

    #[test]
    fn silent_peers_that_greet_anew_keep_no_other_out() {
        let bound = Some(Limits::default().metadata_late * 2);
        for sizes in [&[40_000][..], &[50_000, 40_000]] {
            let after = despite_greetings(sizes);
            assert!(after.is_some() && after <= bound, "{sizes:?}: {after:?}");
        }
    }

    #[test]
    fn a_refusal_outlives_another_greeting() {
        let (mut resolver, limits) = offered_by_two();
        resolver.refuse(A, Moment(0));
        resolver.offer(A, 50_000, &limits);
        resolver.offer(A, 40_000, &limits);
        assert!(resolver.requests(Moment(1), &limits).iter().all(|(link, _)| *link == B));
    }

    /// Twenty peers, each with a size of its own, send all but the last block, and what they lose again.
    #[test]
    fn drafts_share_one_bound() {
        let limits = Limits { metadata_bytes_max: 20 * METADATA_BLOCK as u32, ..Limits::default() };
        let mut resolver = resolver();
        let honest = LinkId(100);
        (0..20).for_each(|link| resolver.offer(LinkId(link), u64::from(limits.metadata_bytes_max - link), &limits));
        resolver.offer(honest, 40_000, &limits);
        for round in 0..60 {
            let now = Moment(0) + limits.metadata_late / 6 * round;
            resolver.expire(now, &limits);
            let mut honest_is_late = round < 10;
            for (link, index) in resolver.requests(now, &limits) {
                let outcome = match link == honest {
                    true if honest_is_late => continue,
                    true => resolver.receive(now, link, index, &block(index), &limits),
                    false if index == 19 => continue,
                    false => resolver.receive(now, link, index, &[0; METADATA_BLOCK], &limits),
                };
                honest_is_late |= link == honest;
                if let Outcome::Complete(_) = outcome {
                    return;
                }
                assert!(resolver.held() <= limits.metadata_bytes_max as usize * 2);
            }
        }
        panic!("the liars keep the metadata out");
    }

    #[test]
    fn the_size_that_most_claim_is_kept() {
        let limits = Limits { metadata_bytes_max: 3 * METADATA_BLOCK as u32, ..Limits::default() };
        let (mut resolver, honest) = (resolver(), LinkId(100));
        [A, B, honest].into_iter().for_each(|link| resolver.offer(link, 40_000, &limits));
        (10..14).for_each(|link| resolver.offer(LinkId(link), u64::from(40_000 + link), &limits));
        resolver.requests(Moment(0), &limits);
        (0..2)
            .for_each(|index| assert_eq!(resolver.receive(Moment(0), A, index, &block(index), &limits), Outcome::More));
        // The draft is the stalest and the biggest, yet others make way.
        let late = Moment(0) + limits.metadata_late;
        for (link, index) in (10..14).flat_map(|link| [0, 1].map(|index| (LinkId(link), index))) {
            resolver.receive(late, link, index, &[0; METADATA_BLOCK], &limits);
        }
        assert_eq!(resolver.drafts.get(&40_000).unwrap().blocks.len(), 2);
        assert_eq!(resolver.receive(late, A, 2, &block(2), &limits), Outcome::Complete(info()));
    }

    #[test]
    fn nothing_unasked_is_kept() {
        let mut resolver = resolver();
        let limits = Limits::default();
        resolver.offer(A, 40_000, &limits);
        assert_eq!(resolver.receive(Moment(1), A, 0, &block(0), &limits), Outcome::More);
        assert!(resolver.drafts.is_empty());
    }
}
