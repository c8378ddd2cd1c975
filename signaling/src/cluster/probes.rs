//! Peer ids that are announced at one node and bound at another, while that other finds out whether its connection lives.
//!
//! Invariant: both lists are bounded, and whoever waits is let in only on the word of the node that has the peer, or when
//! that node is dead.

use std::collections::{BTreeMap, BTreeSet};

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;

use super::NodeId;
use crate::tracker::{Announce, Leave};

type Key = (InfoHash, PeerId);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// The latest announce of a peer that another node has.
    waiting: BTreeMap<Key, (Moment, NodeId, Announce<'static>)>,
    /// Peers of ours that are probed, and for whom.
    probed: BTreeMap<Key, (Moment, NodeId)>,
    /// When to look at these; some are over before.
    deadlines: BTreeSet<(Moment, Key)>,
}

impl Probes {
    /// Somebody was refused here, since `holder` has the peer.
    pub(super) fn wait(&mut self, announce: Announce<'static>, holder: NodeId, until: Moment, max: usize) {
        let key = (announce.info_hash, announce.peer_id);
        if self.waiting.len() < max || self.waiting.contains_key(&key) {
            self.waiting.insert(key, (until, holder, announce));
            self.deadlines.insert((until, key));
        }
    }

    /// A node says that nobody holds the peer any more: whoever waits for that.
    pub(super) fn freed(&mut self, info_hash: InfoHash, peer_id: PeerId, by: NodeId) -> Option<Announce<'static>> {
        let key = (info_hash, peer_id);
        self.waiting.get(&key).filter(|(_, holder, _)| *holder == by)?;
        self.waiting.remove(&key).map(|(_, _, announce)| announce)
    }

    /// Nodes died: whoever waits for one of them, and for which.
    pub(super) fn orphans(&mut self, is_live: impl Fn(NodeId) -> bool) -> Vec<(NodeId, Announce<'static>)> {
        let orphaned = |(_, holder, _): &(Moment, NodeId, Announce<'_>)| !is_live(*holder);
        let keys: Vec<_> = self.waiting.iter().filter(|(_, entry)| orphaned(entry)).map(|(key, _)| *key).collect();
        let taken = keys.iter().filter_map(|key| self.waiting.remove(key));
        taken.map(|(_, holder, announce)| (holder, announce)).collect()
    }

    /// A peer of ours is probed for another node.
    pub(super) fn probed(&mut self, info_hash: InfoHash, peer_id: PeerId, asker: NodeId, until: Moment, max: usize) {
        if self.probed.len() < max {
            self.probed.insert((info_hash, peer_id), (until, asker));
            self.deadlines.insert((until, (info_hash, peer_id)));
        }
    }

    /// A peer of ours left: who is to be told.
    pub(super) fn left(&mut self, info_hash: InfoHash, peer_id: PeerId) -> Option<NodeId> {
        self.probed.remove(&(info_hash, peer_id)).map(|(_, asker)| asker)
    }

    /// Who waited is gone.
    pub(super) fn give_up(&mut self, leave: &Leave) {
        let key = (leave.info_hash, leave.peer_id);
        if self.waiting.get(&key).is_some_and(|(_, _, announce)| announce.conn == leave.conn) {
            self.waiting.remove(&key);
        }
    }

    pub(super) fn wake(&mut self, now: Moment) {
        while let Some(&(due, key)) = self.deadlines.first()
            && due <= now
        {
            if self.waiting.get(&key).is_some_and(|(until, ..)| *until <= now) {
                self.waiting.remove(&key);
            }
            if self.probed.get(&key).is_some_and(|(until, _)| *until <= now) {
                self.probed.remove(&key);
            }
            self.deadlines.pop_first();
        }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.deadlines.first().map(|(due, _)| *due)
    }
}
