//! Who may download from us: tit for tat while we download, turn by turn while we seed (BEP 3).
//!
//! Invariant: a decision follows from the facts and the seed alone; nobody is choked within `choke_min` of being
//! unchoked, so that choking never flaps; a swarm with a slot for everyone chokes nobody.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::ids::LinkId;
use crate::limits::Limits;
use crate::rng::Rng;
use crate::time::Moment;

/// A peer that wants to download from us, as the choker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The link it is at the end of.
    pub link: LinkId,
    /// It may download now.
    pub unchoked: bool,
    /// When it was last choked or unchoked; when it came, if it never was.
    pub since: Moment,
    /// When it came.
    pub joined: Moment,
    /// Payload from it since the last round, bytes per second.
    pub from_it: u64,
    /// Payload to it since the last round, bytes per second.
    pub to_it: u64,
    /// Payload to it since it was unchoked, bytes.
    pub given: u64,
    /// Its link takes less than we have for it: blocks wait for room in the channel.
    pub busy: bool,
}

/// The upload slots of one torrent.
#[derive(Clone, Debug)]
pub struct Choker {
    rng: Rng,
    slots: usize,
    optimistic: BTreeSet<LinkId>,
    round_at: Moment,
    rotate_at: Moment,
}

impl Choker {
    /// The fewest slots until it is measured what the links take: a piece that goes to all at once is long with nobody.
    pub fn new(seed: u32, limits: &Limits) -> Self {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_be_bytes());
        let (slots, start) = (limits.upload_slots_min, Moment::default());
        Self { rng: Rng::new(bytes), slots, optimistic: BTreeSet::new(), round_at: start, rotate_at: start }
    }

    /// A round is due.
    pub fn is_due(&self, now: Moment) -> bool {
        now >= self.round_at
    }

    /// Peers that may download at once, without newcomers.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// May a peer that is interested for the first time download at once, when so many do? webtorrent.js leaves who
    /// lets it wait for 5 s (protocol.md §3.5), so there are a few places beyond the slots.
    pub fn welcomes(&self, taken: usize, limits: &Limits) -> bool {
        taken < self.slots + limits.newcomer_slots
    }

    /// Between rounds: who gets the slots that have become free, those first that have waited longest.
    pub fn fill(&self, candidates: &[Candidate]) -> Vec<LinkId> {
        let taken = candidates.iter().filter(|candidate| candidate.unchoked).count();
        let mut waiting: Vec<&Candidate> = candidates.iter().filter(|candidate| !candidate.unchoked).collect();
        waiting.sort_by_key(|candidate| (candidate.since, candidate.link));
        waiting.iter().take(self.slots.saturating_sub(taken)).map(|candidate| candidate.link).collect()
    }

    /// A round: who of the candidates may download until the next one.
    pub fn rechoke(
        &mut self,
        now: Moment,
        seeding: bool,
        candidates: &[Candidate],
        limits: &Limits,
    ) -> BTreeSet<LinkId> {
        self.round_at = now + limits.rechoke_every;
        self.measure(candidates, limits);
        if candidates.len() <= self.slots {
            self.optimistic.clear();
            return candidates.iter().map(|candidate| candidate.link).collect();
        }
        let mut ranked: Vec<&Candidate> = candidates.iter().collect();
        ranked.sort_by_key(|candidate| {
            (if seeding { by_turn(candidate, now, limits) } else { by_merit(candidate) }, candidate.link)
        });
        let optimistic = (self.slots / 5).max(1);
        let (regular, others) = ranked.split_at(self.slots - optimistic);
        self.draw_optimistic(now, optimistic, others, limits);
        let fresh = |candidate: &&&Candidate| candidate.unchoked && now.since(candidate.since) < limits.choke_min;
        let kept = others.iter().filter(fresh);
        let unchoked = regular.iter().chain(kept).map(|candidate| candidate.link);
        unchoked.chain(self.optimistic.iter().copied()).collect()
    }

    /// The n-th slot is worth having while it moves n times `slot_rate_step`: with equal links these are the square
    /// root of the capacity, so that pieces get through to somebody soon however many want them. While most links
    /// would take more than we have for them, there can be more slots.
    fn measure(&mut self, candidates: &[Candidate], limits: &Limits) {
        let mut rates: Vec<u64> = Vec::new();
        let mut busy = 0;
        for candidate in candidates.iter().filter(|candidate| candidate.unchoked && candidate.to_it > 0) {
            rates.push(candidate.to_it);
            busy += usize::from(candidate.busy);
        }
        rates.sort_unstable_by_key(|rate| Reverse(*rate));
        let worthy = |(rate, step): &(&u64, u64)| **rate >= step * limits.slot_rate_step;
        let worth = rates.iter().zip(1..).take_while(worthy).count() + 1;
        let slots =
            if busy * 2 < rates.len() || rates.is_empty() { self.slots + (self.slots / 4).max(1) } else { worth };
        self.slots = slots.clamp(limits.upload_slots_min, limits.upload_slots_max);
    }

    /// Some slots go by lot, and are drawn anew every `optimistic_every`: how else would newcomers show what they give?
    fn draw_optimistic(&mut self, now: Moment, count: usize, others: &[&Candidate], limits: &Limits) {
        let before = self.optimistic.clone();
        if now >= self.rotate_at {
            self.rotate_at = now + limits.optimistic_every;
            self.optimistic.clear();
        }
        self.optimistic.retain(|link| others.iter().any(|candidate| candidate.link == *link));
        // BEP 3: newcomers are three times as likely.
        let is_new = |candidate: &Candidate| now.since(candidate.joined) < 2 * limits.optimistic_every;
        let tickets = |candidate: &Candidate| if is_new(candidate) { 3 } else { 1 };
        let mut lots: Vec<&Candidate> =
            others.iter().copied().filter(|candidate| !before.contains(&candidate.link)).collect();
        while self.optimistic.len() < count && !lots.is_empty() {
            let mut ticket = self.rng.below(lots.iter().map(|candidate| tickets(candidate)).sum());
            let drawn = lots.iter().position(|candidate| {
                let hit = ticket < tickets(candidate);
                ticket = ticket.saturating_sub(tickets(candidate));
                hit
            });
            self.optimistic.insert(lots.swap_remove(drawn.unwrap_or(0)).link);
        }
    }
}

/// Smaller is better.
type Rank = (u8, Reverse<u64>, Moment);

/// While we download: who gives most. Who is unchoked keeps its place against one that is only a little better.
fn by_merit(candidate: &Candidate) -> Rank {
    let bonus = if candidate.unchoked { candidate.from_it / 4 } else { 0 };
    let nothing = u8::from(candidate.from_it == 0);
    let rate = if candidate.from_it > 0 { candidate.from_it + bonus } else { candidate.to_it };
    (nothing, Reverse(rate), candidate.since)
}

/// While we seed: those whose turn it is, the fastest first; then those who wait, the longest first; then those who had
/// their turn, or take nothing.
fn by_turn(candidate: &Candidate, now: Moment, limits: &Limits) -> Rank {
    if !candidate.unchoked {
        return (1, Reverse(0), candidate.since);
    }
    let served = candidate.given >= limits.seed_turn_bytes || now.since(candidate.since) >= limits.seed_turn;
    let idle = candidate.to_it == 0 && now.since(candidate.since) >= limits.choke_min;
    (if served || idle { 2 } else { 0 }, Reverse(candidate.to_it), candidate.since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Moment = Moment(0);

    fn limits() -> Limits {
        Limits { upload_slots_min: 4, upload_slots_max: 40, newcomer_slots: 2, ..Limits::default() }
    }

    fn at(seconds: u64) -> Moment {
        START + Duration::from_secs(seconds)
    }

    /// Waits since the start.
    fn waiting(link: u32) -> Candidate {
        let (link, joined) = (LinkId(link), START);
        Candidate { link, unchoked: false, since: START, joined, from_it: 0, to_it: 0, given: 0, busy: false }
    }

    /// Downloads since `since`, at this rate, over a link that takes no more.
    fn served(link: u32, since: u64, to_it: u64) -> Candidate {
        Candidate { unchoked: true, since: at(since), to_it, busy: true, ..waiting(link) }
    }

    fn giving(candidate: Candidate, from_it: u64) -> Candidate {
        Candidate { from_it, ..candidate }
    }

    /// A choker with its least slots: 3 regular, 1 optimistic.
    fn scarce() -> Choker {
        let choker = Choker::new(1, &limits());
        assert_eq!(choker.slots(), 4);
        choker
    }

    fn links(range: std::ops::Range<u32>) -> BTreeSet<LinkId> {
        range.map(LinkId).collect()
    }

    #[test]
    fn a_small_swarm_chokes_nobody() {
        let peers: Vec<Candidate> = (0..4).map(waiting).collect();
        for seeding in [true, false] {
            assert_eq!(scarce().rechoke(at(10), seeding, &peers, &limits()), links(0..4));
        }
    }

    #[test]
    fn who_gives_most_gets_most_while_we_download() {
        let peers: Vec<Candidate> = (0..9).map(|link| giving(served(link, 0, 1), u64::from(link) * 1000)).collect();
        let unchoked = scarce().rechoke(at(20), false, &peers, &limits());
        assert!(unchoked.is_superset(&links(6..9)), "{unchoked:?}");
        assert_eq!(unchoked.len(), 4, "three by merit and one by lot: {unchoked:?}");
    }

    #[test]
    fn a_little_better_is_not_enough() {
        let mut peers: Vec<Candidate> = (0..3).map(|link| giving(served(link, 0, 1), 1000)).collect();
        peers.extend((3..9).map(|link| giving(waiting(link), 1200)));
        assert!(scarce().rechoke(at(20), false, &peers, &limits()).is_superset(&links(0..3)));
        peers[3].from_it = 1300;
        assert!(scarce().rechoke(at(20), false, &peers, &limits()).contains(&LinkId(3)));
    }

    #[test]
    fn a_seed_serves_in_turns() {
        let mut choker = scarce();
        let mut peers: Vec<Candidate> = (0..12).map(waiting).collect();
        let mut turns = [0; 12];
        for round in 1..=60 {
            let now = at(round * 10);
            let unchoked = choker.rechoke(now, true, &peers, &limits());
            for (peer, turns) in peers.iter_mut().zip(&mut turns) {
                let is_unchoked = unchoked.contains(&peer.link);
                *turns += u32::from(is_unchoked);
                if peer.unchoked != is_unchoked {
                    (peer.unchoked, peer.since) = (is_unchoked, now);
                }
                peer.to_it = if is_unchoked { 1000 } else { 0 };
                peer.busy = is_unchoked;
            }
        }
        let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
        assert!(*least >= 10 && *most <= 40, "of 60 rounds with 4 slots for 12: {turns:?}");
    }

    #[test]
    fn who_had_its_share_or_takes_nothing_makes_room() {
        let share = Candidate { given: limits().seed_turn_bytes, ..served(0, 0, 1000) };
        let idle = served(1, 0, 0);
        let peers = [share, idle, served(2, 0, 10), waiting(3), waiting(4), waiting(5)];
        let unchoked = scarce().rechoke(at(10), true, &peers, &limits());
        assert!(unchoked.is_superset(&BTreeSet::from([LinkId(2), LinkId(3), LinkId(4)])), "{unchoked:?}");
    }

    #[test]
    fn nobody_is_choked_at_once() {
        let mut peers: Vec<Candidate> = (0..6).map(|link| giving(served(link, 0, 1), 1000)).collect();
        peers.push(served(6, 15, 0));
        let unchoked = |now| scarce().rechoke(at(now), false, &peers, &limits());
        assert!((16..25).all(|now| unchoked(now).contains(&LinkId(6))));
        assert_eq!(unchoked(25).len(), 4);
    }

    #[test]
    fn lots_are_drawn_every_thirty_seconds_and_favour_newcomers() {
        let mut choker = scarce();
        let mut peers: Vec<Candidate> = (0..3).map(|link| giving(served(link, 0, 1), 9000)).collect();
        peers.extend((3..9).map(waiting));
        let (mut new, mut old, mut last) = (0, 0, BTreeSet::new());
        for round in 10..3010 {
            // 3 to 5 are always new, 6 to 8 never.
            peers[3..6].iter_mut().for_each(|peer| peer.joined = at(round * 10));
            let unchoked = choker.rechoke(at(round * 10), false, &peers, &limits());
            let lucky: BTreeSet<LinkId> = unchoked.difference(&links(0..3)).copied().collect();
            assert_eq!(lucky.len(), 1);
            if lucky != last {
                assert_eq!((round - 10) % 3, 0, "a lot is good for three rounds");
                if lucky.first() < Some(&LinkId(6)) { new += 1 } else { old += 1 }
            }
            last = lucky;
        }
        assert_eq!(new + old, 1000, "each lot goes to somebody else");
        assert!((550..850).contains(&new), "{new} newcomers and {old} others were drawn");
    }

    #[test]
    fn slots_follow_what_the_links_take() {
        let count = |peers: u32, rate: u64, busy: bool| {
            let mut choker = scarce();
            for round in 1..30 {
                let peers: Vec<Candidate> =
                    (0..peers).map(|link| Candidate { busy, ..served(link, round * 10, rate) }).collect();
                choker.rechoke(at(round * 10), true, &peers, &limits());
            }
            choker.slots()
        };
        let step = limits().slot_rate_step;
        assert_eq!(count(20, 9 * step, true), 10, "the n-th slot moves n steps, and one more is tried");
        assert_eq!(count(20, 100 * step, true), 21);
        assert_eq!(count(20, step, true), 4, "starving slots are closed");
        assert_eq!(count(20, step, false), 40, "links that would take more get company");
    }

    #[test]
    fn free_slots_go_to_who_waits_longest() {
        let late = Candidate { since: at(5), ..waiting(9) };
        let peers = [served(0, 0, 1), served(1, 0, 1), late, waiting(3), waiting(4)];
        assert_eq!(scarce().fill(&peers), [LinkId(3), LinkId(4)]);
        assert!(scarce().fill(&[0, 1, 2, 3].map(|link| served(link, 0, 1))).is_empty());
    }

    #[test]
    fn newcomers_have_places_of_their_own() {
        assert!(scarce().welcomes(5, &limits()) && !scarce().welcomes(6, &limits()));
    }
}
