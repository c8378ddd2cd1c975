//! The peers of one torrent.
//!
//! Invariant: every peer stands on exactly one of the two sides, in its network, at the place it remembers.

use swarmreel::ids::{OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;

use super::keyed::Keyed;
use super::offers::{OpenOffers, Stamp};
use super::received::Received;
use super::request::{Answer, Network};
use super::side::{Side, Slot};
use super::tight::{self, Table};
use super::{ConnId, TrackerLimits};

/// One torrent's peers: a table for finding, and two sides for choosing.
#[derive(Debug)]
pub(super) struct Swarm {
    peers: Table<PeerId, Peer>,
    seeders: Side,
    leechers: Side,
    /// How many there are on either side.
    networks: u32,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) conn: ConnId,
    pub(super) network: Network,
    pub(super) complete: bool,
    place: u32,
    pub(super) offers: OpenOffers,
    pub(super) received: Received,
    pub(super) claim: Option<Box<Claim>>,
    /// Since when it is this connection's.
    pub(super) bound_at: Option<Stamp>,
}

/// Another connection wants to be this peer, and will be if this one turns out to be dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) conn: ConnId,
    pub(super) network: Network,
    pub(super) complete: bool,
    pub(super) expires_at: Moment,
}

impl Peer {
    /// Another connection claims the name, or no longer. The latest claim counts, but one from where the peer itself is
    /// makes way only for its like.
    pub(super) fn claimed(&mut self, now: Moment, conn: ConnId, claim: Option<Claim>) {
        let network = self.network;
        let at_home = |claim: &Claim| claim.network == network;
        let before = self.claim.take().filter(|before| before.expires_at > now && before.conn != conn);
        let better = claim.filter(|claim| at_home(claim) || !before.as_deref().is_some_and(at_home));
        self.claim = better.map(Box::new).or(before);
    }
}

impl Swarm {
    pub(super) fn new(keyed: Keyed) -> Self {
        let peers = Table::with_hasher(keyed);
        Self { peers, seeders: Side::new(keyed), leechers: Side::new(keyed), networks: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn tally(&self) -> Tally {
        let complete = self.seeders.len();
        Tally { complete, incomplete: self.leechers.len(), downloaded: complete }
    }

    /// Where a peer is. Slots hold until a peer is removed.
    pub(super) fn find(&self, peer_id: &PeerId) -> Option<Slot> {
        self.peers.get_index_of(peer_id).map(|slot| slot as Slot)
    }

    pub(super) fn peer(&self, slot: Slot) -> &Peer {
        &self.peers[slot as usize]
    }

    pub(super) fn peer_mut(&mut self, slot: Slot) -> &mut Peer {
        &mut self.peers[slot as usize]
    }

    /// The peer there is given an offer of this network. Its connection.
    pub(super) fn receives(&mut self, slot: Slot, now: Moment, network: Network) -> ConnId {
        let peer = self.peer_mut(slot);
        peer.received.note(now, network);
        peer.conn
    }

    /// Uses up the offer that an answer is to. The offerer's connection, if there is such an offer and the answerer is who
    /// it says.
    pub(super) fn answer(&mut self, now: Moment, answer: &Answer<'_>) -> Option<ConnId> {
        let answerer = self.find(&answer.peer_id).filter(|slot| self.peer(*slot).conn == answer.conn)?;
        let offerer = self.use_up(now, &answer.to_peer_id, answer.offer_id, answer.conn)?;
        self.peer_mut(answerer).received.answered();
        Some(offerer)
    }

    /// Uses up the offer that this peer made to that connection. The peer's connection, if there was one.
    pub(super) fn use_up(&mut self, now: Moment, peer_id: &PeerId, offer_id: OfferId, by: ConnId) -> Option<ConnId> {
        let slot = self.find(peer_id)?;
        let peer = self.peer_mut(slot);
        peer.offers.take(offer_id, by, now).then_some(peer.conn)
    }

    /// Every peer and its name.
    pub(super) fn peers(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.peers.iter()
    }

    /// Those who have all bytes, or those who do not.
    pub(super) fn side(&self, complete: bool) -> &Side {
        if complete { &self.seeders } else { &self.leechers }
    }

    /// How many networks have a peer here.
    pub(super) fn networks(&self) -> usize {
        self.networks as usize
    }

    /// How many peers of a network are here.
    pub(super) fn len_of(&self, network: Network) -> usize {
        self.seeders.len_of(network) + self.leechers.len_of(network)
    }

    /// Adds the peer, or updates what is known of it.
    pub(super) fn put(&mut self, peer_id: PeerId, conn: ConnId, network: Network, complete: bool) -> Slot {
        let slot = match self.find(&peer_id) {
            Some(slot) => {
                let peer = self.peer_mut(slot);
                if (peer.network, peer.complete) == (network, complete) {
                    return slot;
                }
                self.unlist(slot);
                slot as usize
            }
            None => {
                let (offers, received) = (OpenOffers::default(), Received::default());
                let peer = Peer { conn, network, complete, place: 0, offers, received, claim: None, bound_at: None };
                tight::reserve(&mut self.peers);
                self.peers.insert_full(peer_id, peer).0
            }
        };
        let peer = &mut self.peers[slot];
        (peer.network, peer.complete) = (network, complete);
        self.list(slot as Slot);
        slot as Slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Peer {
        self.unlist(slot);
        let (_, peer) = self.peers.swap_remove_index(slot as usize).expect("a slot has a peer");
        if let Some(&Peer { network, complete, place, .. }) = self.peers.get_index(slot as usize).map(|(_, peer)| peer)
        {
            self.side_mut(complete).moved(network, place, slot);
        }
        tight::shrink(&mut self.peers);
        peer
    }

    fn list(&mut self, slot: Slot) {
        let &Peer { network, complete, .. } = self.peer(slot);
        self.networks += u32::from(self.len_of(network) == 0);
        self.peer_mut(slot).place = self.side_mut(complete).insert(network, slot);
    }

    fn unlist(&mut self, slot: Slot) {
        let &Peer { network, complete, place, .. } = self.peer(slot);
        if let Some(moved) = self.side_mut(complete).remove(network, place) {
            self.peer_mut(moved).place = place;
        }
        self.networks -= u32::from(self.len_of(network) == 0);
    }

    fn side_mut(&mut self, complete: bool) -> &mut Side {
        if complete { &mut self.seeders } else { &mut self.leechers }
    }

    /// Panics if the sides and the table disagree.
    pub(super) fn check(&self, limits: &TrackerLimits) {
        self.seeders.check();
        self.leechers.check();
        assert_eq!(self.peers.len() as u32, self.seeders.len() + self.leechers.len(), "every peer is on one side");
        for (slot, peer) in self.peers.values().enumerate() {
            let at = self.side(peer.complete).at(peer.network, peer.place);
            assert_eq!(at, Some(slot as Slot), "a peer is at its place");
            peer.offers.check(limits.offers_outstanding);
        }
        let networks: std::collections::BTreeSet<_> = self.peers.values().map(|peer| peer.network).collect();
        assert_eq!(networks.len(), self.networks(), "networks are counted once");
    }
}

#[cfg(test)]
mod tests {
    use swarmreel::rng::Rng;

    use super::*;

    #[test]
    fn sides_follow_arrivals_changes_and_departures() {
        let mut swarm = Swarm::new(Keyed::new([1; 16]));
        let mut rng = Rng::new([1; 32]);
        for step in 0..5000 {
            let peer_id = PeerId([rng.below(40) as u8; 20]);
            match (rng.below(3), swarm.find(&peer_id)) {
                (0, Some(slot)) => drop(swarm.remove(slot)),
                (kind, _) => {
                    let slot = swarm.put(peer_id, ConnId(step), Network(rng.below(6)), kind == 1);
                    assert_eq!(swarm.find(&peer_id), Some(slot));
                }
            }
            swarm.check(&TrackerLimits::default());
        }
        while !swarm.is_empty() {
            swarm.remove(0);
            swarm.check(&TrackerLimits::default());
        }
        assert_eq!((swarm.peers.capacity(), swarm.networks), (0, 0), "nothing is kept");
    }
}
