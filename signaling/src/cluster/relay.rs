//! Offers of other nodes' peers that were given to peers of this one, until they are answered.
//!
//! Invariant: an answer passes only from the connection that was given the offer, to the node that sent it, once, and
//! while the offer lives (threat-model S8, C3). The offerer's node checks the same at its end.

use std::collections::{BTreeMap, VecDeque};

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
    /// In order, since all live equally long.
    deadlines: VecDeque<(Moment, Key)>,
}

#[derive(Debug)]
struct Given {
    to: ConnId,
    from: NodeId,
    expires_at: Moment,
}

impl Relay {
    /// An offer was given to one of our peers. One that is open already stays as it is: then this is false.
    pub(super) fn given(&mut self, key: Key, to: ConnId, from: NodeId, expires_at: Moment, max: usize) -> bool {
        if self.offers.contains_key(&key) {
            return false;
        }
        while self.deadlines.len() >= max
            && let Some((_, oldest)) = self.deadlines.pop_front()
        {
            self.offers.remove(&oldest);
        }
        self.offers.insert(key, Given { to, from, expires_at });
        self.deadlines.push_back((expires_at, key));
        true
    }

    /// Uses up the offer that was given to this connection: the node whose peer made it.
    pub(super) fn take(&mut self, now: Moment, key: &Key, conn: ConnId) -> Option<NodeId> {
        let given = self.offers.get(key).filter(|given| given.to == conn && given.expires_at > now)?;
        let from = given.from;
        self.offers.remove(key);
        Some(from)
    }

    pub(super) fn wake(&mut self, now: Moment) {
        while let Some((due, key)) = self.deadlines.front()
            && *due <= now
        {
            // A key that was answered may be open again, and then lives longer.
            if self.offers.get(key).is_some_and(|given| given.expires_at <= now) {
                self.offers.remove(key);
            }
            self.deadlines.pop_front();
        }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.deadlines.front().map(|(due, _)| *due)
    }
}
