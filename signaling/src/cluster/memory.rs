//! The registry in memory: what the scripts do in Redis, for the tests, the fuzzer and whoever reads the scripts.
//!
//! Invariant: to the same exchanges it gives the same replies as Redis; a test asks both.

use std::collections::BTreeMap;
use std::time::Duration;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;

use super::registry::{ELDER, Sync, Synced};
use super::{Count, NodeId};

/// Claims that come back with an exchange.
const SAMPLE: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Memory {
    /// Nodes by the end of their leases.
    leases: BTreeMap<NodeId, Moment>,
    swarms: BTreeMap<InfoHash, Entry>,
}

/// What is kept of one swarm.
#[derive(Debug, Default)]
pub struct Entry {
    /// Peers by node.
    pub counts: BTreeMap<NodeId, Count>,
    /// Who holds a peer id, and since when it is bound there.
    pub claims: BTreeMap<PeerId, (NodeId, Moment)>,
}

impl Memory {
    /// Takes a lease, in place of another that the process had before.
    pub fn take_lease(&mut self, now: Moment, node: NodeId, former: Option<NodeId>, lease: Duration) -> Vec<NodeId> {
        former.map(|former| self.leases.remove(&former));
        self.leases.insert(node, now + lease);
        self.live(now)
    }

    /// Renews a lease; `None` if it has ended.
    pub fn renew_lease(&mut self, now: Moment, node: NodeId, lease: Duration) -> Option<Vec<NodeId>> {
        *self.leases.get_mut(&node).filter(|end| **end > now)? = now + lease;
        Some(self.live(now))
    }

    fn live(&mut self, now: Moment) -> Vec<NodeId> {
        self.leases.retain(|_, end| *end > now);
        self.leases.keys().copied().collect()
    }

    /// One node's exchange about one swarm. The sample begins at the claim of this number.
    pub fn exchange(&mut self, now: Moment, node: NodeId, sync: &Sync, first: usize) -> Synced {
        let entry = self.swarms.entry(sync.info_hash).or_default();
        entry.counts.insert(node, sync.count);
        for (peer_id, holder) in &sync.discards {
            entry.claims.retain(|held, (by, _)| (held, &*by) != (peer_id, holder));
        }
        let (mut holders, mut ousted) = (Vec::new(), Vec::new());
        for claim in &sync.claims {
            let since = Moment(now.0.saturating_sub(claim.age.as_micros() as u64));
            let (holder, held_since) = *entry.claims.get(&claim.peer_id).unwrap_or(&(node, now));
            let is_free = holder == node || Some(holder) == claim.from;
            let is_elder = since + ELDER < held_since;
            if !is_free && is_elder {
                ousted.push((claim.peer_id, holder));
            }
            let holder = if is_free || is_elder { node } else { holder };
            if holder == node {
                entry.claims.insert(claim.peer_id, (node, since));
            }
            holders.push((claim.peer_id, holder));
        }
        entry.counts.retain(|node, count| *count != Count::NONE && !sync.forgets.contains(node));
        let counts = entry.counts.iter().map(|(node, count)| (*node, *count)).collect();
        let sample = entry.claims.iter().map(|(peer_id, (node, _))| (*peer_id, *node));
        let sample = sample.skip(first.checked_rem(entry.claims.len()).unwrap_or(0)).take(SAMPLE).collect();
        if entry.counts.is_empty() && entry.claims.is_empty() {
            self.swarms.remove(&sync.info_hash);
        }
        Synced { info_hash: sync.info_hash, serial: sync.serial, holders, ousted, counts, sample }
    }

    /// What is kept of a swarm that has a peer or a claim.
    pub fn entry(&self, info_hash: &InfoHash) -> Option<&Entry> {
        self.swarms.get(info_hash)
    }

    /// Every swarm that is kept.
    pub fn swarms(&self) -> impl Iterator<Item = (&InfoHash, &Entry)> {
        self.swarms.iter()
    }
}
