//! The part of a [`ClusterShard`] that keeps registry and swarms in step: when to exchange what, who lives, and what to
//! tidy up after the dead.
//!
//! Invariant: what the registry was told and what is true differ only while an exchange is due or on its way. What a
//! heartbeat costs does not grow with the swarms: who has died is seen in a swarm when that is next looked at.

use std::collections::BTreeMap;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;

use super::listing::Listing;
use super::nodes::Standing;
use super::registry::{Output, Synced};
use super::shard::ClusterShard;
use super::{Count, NodeId};
use crate::tracker::{Request, Scrape};

/// With fewer peers than this a swarm looks more often for those of other nodes.
const FEW: u32 = 10;

impl ClusterShard {
    /// The cluster can be reached, for the first time or again: everything is told to it anew. What this node claimed
    /// under its id before is its own.
    pub(super) fn resync(&mut self, now: Moment, node: NodeId, live: &[NodeId]) {
        self.isolate(now);
        let before = std::mem::replace(&mut self.node, node);
        (self.up, self.window) = (true, self.limits.syncs);
        self.renew(now, live);
        let peers: Vec<_> = self.shard.peers().map(|(peer, _)| (peer.info_hash, peer.peer_id)).collect();
        for (info_hash, peer_id) in peers {
            let listing = self.listing(now, info_hash);
            listing.claim(peer_id, Some(before));
            listing.forget(before);
            self.schedule(info_hash, now);
        }
    }

    /// The cluster cannot be reached: the swarms are this node's own, and what waited is served.
    pub(super) fn isolate(&mut self, now: Moment) {
        self.up = false;
        for info_hash in std::mem::take(&mut self.listings).into_keys() {
            self.shard.set_elsewhere(info_hash, Count::NONE.into());
        }
        self.due.clear();
        self.suspected.clear();
        self.in_flight = 0;
        self.table_asked = false;
        self.outputs.clear();
        for info_hash in self.parking.swarms() {
            let requests = self.parking.release(&info_hash, |_| true);
            requests.into_iter().for_each(|request| self.pass(now, request));
        }
    }

    /// A new table of the nodes that live.
    pub(super) fn renew(&mut self, now: Moment, live: &[NodeId]) {
        self.table_asked = false;
        self.nodes.renew(live);
        for (holder, announce) in self.probes.orphans(|node| self.nodes.is_live(node)) {
            self.let_in(now, announce, Some(holder));
        }
        for info_hash in std::mem::take(&mut self.suspected) {
            let suspects = self.listings.get_mut(&info_hash).map(Listing::take_suspects).unwrap_or_default();
            for (peer_id, holder) in suspects {
                self.settle(now, info_hash, peer_id, holder);
            }
            if self.listings.get(&info_hash).is_some_and(Listing::has_news) {
                self.schedule(info_hash, now);
            }
        }
        for info_hash in self.parking.swarms() {
            if self.listings.get(&info_hash).is_some_and(|listing| listing.is_settled(now)) {
                self.unpark(now, info_hash);
            }
        }
    }

    /// Counts and claims of the dead are removed, and claims of this node that nobody here stands behind; a peer that is
    /// bound here though another node claims it is claimed anew. All are left by crashes, cuts and lost messages.
    pub(super) fn tidy(&mut self, now: Moment, synced: &Synced) {
        let (info_hash, node) = (synced.info_hash, self.node);
        let others = synced.counts.iter().map(|(node, _)| *node).filter(|other| *other != node);
        let dead: Vec<_> = others.filter(|other| self.nodes.standing(*other) == Standing::Dead).collect();
        let mut stale = Vec::new();
        for &(peer_id, holder) in &synced.sample {
            if holder == node {
                stale.extend((!self.is_wanted(&info_hash, &peer_id)).then_some((peer_id, holder)));
                continue;
            }
            let is_dead = self.nodes.standing(holder) == Standing::Dead;
            if !self.assert_claim(now, info_hash, peer_id, Some(holder).filter(|_| is_dead)) {
                stale.extend(is_dead.then_some((peer_id, holder)));
            }
        }
        if let Some(listing) = self.listings.get_mut(&info_hash) {
            dead.into_iter().for_each(|node| listing.forget(node));
            stale.into_iter().for_each(|(peer_id, holder)| listing.discard(peer_id, holder));
        }
    }

    /// Another node holds the claim to a peer: if that is bound here, the registry is to say whose it is. False if not.
    pub(super) fn assert_claim(
        &mut self,
        now: Moment,
        info_hash: InfoHash,
        peer_id: PeerId,
        dead: Option<NodeId>,
    ) -> bool {
        let is_bound = self.shard.connection_of(&info_hash, &peer_id).is_some();
        if is_bound && !self.listings.get(&info_hash).is_some_and(|listing| listing.is_pending(&peer_id)) {
            self.listing(now, info_hash).claim(peer_id, dead);
            self.schedule(info_hash, now);
        }
        is_bound
    }

    /// Whether somebody here stands behind a claim, or may soon.
    pub(super) fn is_wanted(&self, info_hash: &InfoHash, peer_id: &PeerId) -> bool {
        let pending = self.listings.get(info_hash).is_some_and(|listing| listing.is_pending(peer_id));
        pending || self.shard.connection_of(info_hash, peer_id).is_some() || self.parking.announces(info_hash, *peer_id)
    }

    /// The shard's replies count the peers of the other nodes that live: adds them up, unless that was done since a node
    /// came or died.
    pub(super) fn count_elsewhere(&mut self, info_hash: InfoHash) {
        let changes = Some(self.nodes.changes());
        let Some(listing) = self.listings.get_mut(&info_hash).filter(|listing| listing.added_up != changes) else {
            return;
        };
        listing.added_up = changes;
        let count = listing.elsewhere(|node| self.nodes.is_live(node));
        self.shard.set_elsewhere(info_hash, count.into());
    }

    /// Whether what is known of a swarm elsewhere is too old for an announce, which then waits for news.
    pub(super) fn is_stale(&self, now: Moment, info_hash: &InfoHash) -> bool {
        let here = self.count_here(info_hash);
        let few = here.seeders.saturating_add(here.leechers) < FEW || here.seeders == 0;
        let age = if few { self.limits.counts_age_short } else { self.limits.counts_age };
        let synced_at = self.listings.get(info_hash).and_then(|listing| listing.synced_at);
        synced_at.is_none_or(|at| at + age <= now)
    }

    /// Tells of changed counts, before long.
    pub(super) fn tell(&mut self, now: Moment, info_hash: InfoHash) {
        let (here, news) = (self.count_here(&info_hash), self.limits.news);
        let listing = self.listing(now, info_hash);
        if listing.told != here {
            let due = listing.told_at.map_or(now, |at| now.max(at + news));
            self.schedule(info_hash, due);
        }
    }

    /// The first swarm of a scrape that is this shard's and not known well enough; all of them are asked about.
    pub(super) fn look_up(&mut self, now: Moment, scrape: &Scrape) -> Option<InfoHash> {
        let mut first = None;
        for info_hash in self.shard.unanswered(scrape) {
            let known = self.listings.get(&info_hash).and_then(|listing| listing.synced_at);
            if known.is_some_and(|at| at + self.limits.counts_age_short > now) || !self.may_look_up(now, &info_hash) {
                continue;
            }
            self.listing(now, info_hash);
            self.schedule(info_hash, now);
            first = first.or(Some(info_hash));
        }
        first
    }

    /// Questions about swarms that are not here are bounded: nobody pays for them.
    fn may_look_up(&mut self, now: Moment, info_hash: &InfoHash) -> bool {
        if self.listings.contains_key(info_hash) {
            return true;
        }
        let second = Moment(now.0 / 1_000_000);
        if self.lookups.0 != second {
            self.lookups = (second, 0);
        }
        self.lookups.1 += 1;
        self.lookups.1 <= self.limits.lookups_per_second
    }

    /// This node's own peers of a swarm, with those that wait to be admitted: so they are counted with their claims.
    fn count_expected(&self, info_hash: &InfoHash) -> Count {
        let announced = |request: &Request<'_>| match request {
            Request::Announce(announce) => Some((announce.peer_id, announce.complete)),
            _ => None,
        };
        let waiting: BTreeMap<_, _> = self.parking.waiting(info_hash).filter_map(announced).collect();
        let is_new = |(peer_id, _): &(&PeerId, &bool)| self.shard.connection_of(info_hash, peer_id).is_none();
        waiting.iter().filter(is_new).fold(self.count_here(info_hash), |sum, (_, complete)| sum + Count::one(*complete))
    }

    pub(super) fn listing(&mut self, now: Moment, info_hash: InfoHash) -> &mut Listing {
        let listing = self.listings.entry(info_hash).or_default();
        listing.used_at = now;
        listing
    }

    /// An exchange is due by then at the latest.
    pub(super) fn schedule(&mut self, info_hash: InfoHash, by: Moment) {
        let Some(listing) = self.listings.get_mut(&info_hash) else { return };
        if listing.due.is_some_and(|due| due <= by) {
            return;
        }
        let before = listing.due.replace(by);
        if listing.in_flight().is_none() {
            before.map(|due| self.due.remove(&(due, info_hash)));
            self.due.insert((by, info_hash));
        }
    }

    /// After an exchange: is there more to tell? Else the swarm is mentioned again some day, or forgotten.
    pub(super) fn reschedule(&mut self, now: Moment, info_hash: InfoHash) {
        let here = self.count_here(&info_hash);
        let limits = &self.limits;
        let Some(listing) = self.listings.get_mut(&info_hash).filter(|listing| listing.in_flight().is_none()) else {
            return;
        };
        let next = match () {
            () if listing.has_news() => now,
            () if listing.told != here => listing.told_at.map_or(now, |at| now.max(at + limits.news)),
            () if here == Count::NONE => now + limits.idle,
            () => now + limits.refresh,
        };
        let due = listing.due.map_or(next, |due| due.min(next));
        let before = listing.due.replace(due);
        before.map(|before| self.due.remove(&(before, info_hash)));
        self.due.insert((due, info_hash));
    }

    /// Begins what is due, as far as there is room, and asks for a new table if somebody unknown was met.
    pub(super) fn flush(&mut self, now: Moment) {
        if !self.up {
            return;
        }
        while self.in_flight < self.window
            && let Some(&(due, info_hash)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            self.begin(now, info_hash);
        }
        if self.nodes.has_strangers() && !self.table_asked {
            self.table_asked = true;
            self.outputs.push_back(Output::Table);
        }
    }

    fn begin(&mut self, now: Moment, info_hash: InfoHash) {
        let here = self.count_expected(&info_hash);
        let is_over = |listing: &Listing| listing.is_idle() && listing.used_at + self.limits.idle <= now;
        if here == Count::NONE && self.listings.get(&info_hash).is_none_or(is_over) {
            self.listings.remove(&info_hash);
            self.shard.set_elsewhere(info_hash, Tally::default());
            return;
        }
        let Some(listing) = self.listings.get_mut(&info_hash) else { return };
        listing.due = None;
        self.in_flight += 1;
        self.serial += 1;
        let age = |peer_id: &PeerId| self.shard.bound_for(now, &info_hash, peer_id);
        let sync = listing.begin(now, info_hash, self.serial, here, self.limits.claims, age);
        self.outputs.push_back(Output::Sync(sync));
    }
}
