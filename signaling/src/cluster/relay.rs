//! Offers of other nodes' peers that were given to peers of this one, until they are answered.
//!
//! Invariant: an answer passes only from the connection that was given the offer, to the node that sent it, once, and
//! while the offer lives (threat-model S8, C3). The offerer's node checks the same at its end. Only offers that are open
//! take room.

use std::collections::{BTreeMap, BTreeSet};

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;

use super::NodeId;
use crate::tracker::ConnId;

/// Whose offer it is.
type Key = (InfoHash, PeerId, OfferId);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Relay {
    offers: BTreeMap<Key, Given>,
    /// One for each of them.
    deadlines: BTreeSet<(Moment, Key)>,
}

#[derive(Debug)]
struct Given {
    to: ConnId,
    from: NodeId,
    expires_at: Moment,
}

impl Relay {
    /// An offer was given to one of our peers: how many older ones are forgotten to make room for it. `None` if it is open
    /// already; then that stays as it is.
    pub(super) fn given(
        &mut self,
        key: Key,
        to: ConnId,
        from: NodeId,
        expires_at: Moment,
        max: usize,
    ) -> Option<usize> {
        if self.offers.contains_key(&key) {
            return None;
        }
        let mut forgotten = 0;
        while self.offers.len() >= max
            && let Some((_, oldest)) = self.deadlines.pop_first()
        {
            self.offers.remove(&oldest);
            forgotten += 1;
        }
        self.offers.insert(key, Given { to, from, expires_at });
        self.deadlines.insert((expires_at, key));
        Some(forgotten)
    }

    /// Uses up the offer that was given to this connection: the node whose peer made it.
    pub(super) fn take(&mut self, now: Moment, key: &Key, conn: ConnId) -> Option<NodeId> {
        self.offers.get(key).filter(|given| given.to == conn && given.expires_at > now)?;
        let Given { from, expires_at, .. } = self.offers.remove(key)?;
        self.deadlines.remove(&(expires_at, *key));
        Some(from)
    }

    pub(super) fn wake(&mut self, now: Moment) {
        while let Some((due, key)) = self.deadlines.first()
            && *due <= now
        {
            self.offers.remove(key);
            self.deadlines.pop_first();
        }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.deadlines.first().map(|(due, _)| *due)
    }
}
