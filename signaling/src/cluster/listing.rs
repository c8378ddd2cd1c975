//! What this node knows of one swarm elsewhere, and what it has still to tell the registry of it.
//!
//! Invariant: at most one exchange about a swarm is on its way, so what is told of it is told in order. A claim is
//! pending until the registry says who holds it, however many exchanges are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;

use super::registry::{Claim, Sync, Synced};
use super::{Count, NodeId};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// When there is something to tell or to ask; while an exchange is on its way it waits for that.
    pub(super) due: Option<Moment>,
    /// When somebody last needed this.
    pub(super) used_at: Moment,
    /// The last exchange that worked.
    pub(super) synced_at: Option<Moment>,
    /// What the registry was last told of our peers, and when.
    pub(super) told: Count,
    pub(super) told_at: Option<Moment>,
    /// The exchange on its way, and who is to be told once its discards are done.
    sent: Option<(Sync, Vec<(PeerId, NodeId)>)>,
    /// Peers of the other nodes, dead or alive.
    counts: Vec<(NodeId, Count)>,
    /// How often it had changed who lives, when they were last added up.
    pub(super) added_up: Option<u64>,
    /// Peer ids to be claimed, and from whom.
    claims: BTreeMap<PeerId, Option<NodeId>>,
    /// Claims held by nodes that the next table tells of.
    suspects: BTreeMap<PeerId, NodeId>,
    discards: BTreeSet<(PeerId, NodeId)>,
    /// Who is to be told that these are discarded.
    freed: Vec<(PeerId, NodeId)>,
    forgets: BTreeSet<NodeId>,
}

/// What an exchange that worked has settled.
#[derive(Debug)]
pub(super) struct Settled {
    /// Who holds what was to be claimed.
    pub(super) holders: Vec<(PeerId, NodeId)>,
    /// Peer ids that nobody holds any more, and who is to be told.
    pub(super) freed: Vec<(PeerId, NodeId)>,
}

impl Listing {
    pub(super) fn claim(&mut self, peer_id: PeerId, from: Option<NodeId>) {
        self.suspects.remove(&peer_id);
        self.claims.insert(peer_id, from);
    }

    /// The peer left, or never came: what is asked of it does not matter any more.
    pub(super) fn release(&mut self, peer_id: PeerId, node: NodeId) {
        self.claims.remove(&peer_id);
        self.suspects.remove(&peer_id);
        if let Some((sync, _)) = &mut self.sent {
            sync.claims.retain(|claim| claim.peer_id != peer_id);
        }
        self.discards.insert((peer_id, node));
    }

    pub(super) fn discard(&mut self, peer_id: PeerId, node: NodeId) {
        self.discards.insert((peer_id, node));
    }

    /// Once the peer's discard is done, this node is to be told.
    pub(super) fn tell_freed(&mut self, peer_id: PeerId, asker: NodeId) {
        self.freed.push((peer_id, asker));
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.forgets.insert(node);
    }

    pub(super) fn suspect(&mut self, peer_id: PeerId, holder: NodeId) {
        self.suspects.insert(peer_id, holder);
    }

    /// Those whose holders a new table may tell of.
    pub(super) fn take_suspects(&mut self) -> BTreeMap<PeerId, NodeId> {
        std::mem::take(&mut self.suspects)
    }

    /// Whether it is not known yet who holds this peer id.
    pub(super) fn is_pending(&self, peer_id: &PeerId) -> bool {
        let asked = |(sync, _): &(Sync, _)| sync.claims.iter().any(|claim| claim.peer_id == *peer_id);
        self.claims.contains_key(peer_id)
            || self.suspects.contains_key(peer_id)
            || self.sent.as_ref().is_some_and(asked)
    }

    /// The number of the exchange on its way.
    pub(super) fn in_flight(&self) -> Option<u64> {
        self.sent.as_ref().map(|(sync, _)| sync.serial)
    }

    /// Whether nothing is asked: who still waits does so for a table.
    pub(super) fn is_settled(&self, now: Moment) -> bool {
        self.sent.is_none() && self.due.is_none_or(|due| due > now)
    }

    /// Whether there is something that the registry does not know yet.
    pub(super) fn has_news(&self) -> bool {
        !(self.claims.is_empty() && self.discards.is_empty() && self.forgets.is_empty())
    }

    /// Whether nothing would be lost with this.
    pub(super) fn is_idle(&self) -> bool {
        self.sent.is_none() && !self.has_news() && self.suspects.is_empty() && self.told == Count::NONE
    }

    /// All that there is to tell, with a bound on how much is claimed at once.
    pub(super) fn begin(
        &mut self,
        now: Moment,
        info_hash: InfoHash,
        serial: u64,
        count: Count,
        claims_max: usize,
        age: impl Fn(&PeerId) -> Duration,
    ) -> Sync {
        (self.told, self.told_at) = (count, Some(now));
        let mut claims = Vec::new();
        while claims.len() < claims_max
            && let Some((peer_id, from)) = self.claims.pop_first()
        {
            claims.push(Claim { peer_id, from, age: age(&peer_id) });
        }
        let discards = std::mem::take(&mut self.discards).into_iter().collect();
        let forgets = std::mem::take(&mut self.forgets).into_iter().collect();
        let sync = Sync { info_hash, serial, count, claims, discards, forgets };
        self.sent = Some((sync.clone(), std::mem::take(&mut self.freed)));
        sync
    }

    /// An exchange worked.
    pub(super) fn end(&mut self, now: Moment, synced: &Synced, node: NodeId) -> Settled {
        self.synced_at = Some(now);
        self.added_up = None;
        self.counts = synced.counts.iter().filter(|(other, _)| *other != node).copied().collect();
        let Some((mut sync, freed)) = self.sent.take() else {
            return Settled { holders: Vec::new(), freed: Vec::new() };
        };
        let mut holders = Vec::new();
        sync.claims.retain(|claim| {
            let holder = synced.holders.iter().find(|(peer_id, _)| *peer_id == claim.peer_id);
            holders.extend(holder);
            holder.is_none()
        });
        self.claims.extend(sync.claims.iter().map(|claim| (claim.peer_id, claim.from)));
        Settled { holders, freed }
    }

    /// An exchange failed, or nobody knows: all of it is to be told again.
    pub(super) fn abandon(&mut self) {
        let Some((sync, freed)) = self.sent.take() else { return };
        for Claim { peer_id, from, .. } in sync.claims {
            self.claims.entry(peer_id).or_insert(from);
        }
        self.discards.extend(sync.discards);
        self.forgets.extend(sync.forgets);
        self.freed.extend(freed);
    }

    /// Other nodes that have peers, as the last exchange says.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.counts.iter().map(|(node, _)| *node)
    }

    /// Peers of the other nodes that live.
    pub(super) fn elsewhere(&self, is_live: impl Fn(NodeId) -> bool) -> Count {
        let live = self.counts.iter().filter(|(node, _)| is_live(*node));
        live.fold(Count::NONE, |sum, (_, count)| sum + *count)
    }

    /// To which nodes to send this many offers: by chance, more likely to those with more peers. A leecher's first goes
    /// where a seeder is, a seeder's all to leechers; no node gets more than it has peers.
    pub(super) fn targets(
        &self,
        complete: bool,
        offers: usize,
        is_live: impl Fn(NodeId) -> bool,
        rng: &mut Rng,
    ) -> Vec<NodeId> {
        let mut counts: Vec<_> = self.counts.iter().filter(|(node, _)| is_live(*node)).copied().collect();
        let mut targets = Vec::new();
        while targets.len() < offers {
            let seeders = counts.iter().any(|(_, count)| count.seeders > 0);
            let weight = |count: &Count| match complete {
                true => u64::from(count.leechers),
                false if targets.is_empty() && seeders => u64::from(count.seeders),
                false => u64::from(count.seeders) + u64::from(count.leechers),
            };
            let sum: u64 = counts.iter().map(|(_, count)| weight(count)).sum();
            if sum == 0 {
                break;
            }
            let mut lot = rng.below(sum);
            let drawn = counts.iter_mut().find(|(_, count)| {
                let weight = weight(count);
                let found = lot < weight;
                lot = lot.saturating_sub(weight);
                found
            });
            let Some((node, count)) = drawn else { break };
            let taken = if complete || count.seeders == 0 { &mut count.leechers } else { &mut count.seeders };
            *taken = taken.saturating_sub(1);
            targets.push(*node);
        }
        targets
    }
}
