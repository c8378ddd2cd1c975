//! The peers of one torrent.
//!
//! Invariant: every peer stands in exactly one of the two lists, at the slot it remembers.

use std::collections::{BTreeMap, VecDeque};

use swarmreel::ids::{OfferId, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;

use super::{ConnId, TrackerLimits};

/// One torrent's peers, as lists for random choice and a map for finding.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    peers: BTreeMap<PeerId, Peer>,
    seeders: Vec<PeerId>,
    leechers: Vec<PeerId>,
}

#[derive(Debug)]
struct Peer {
    conn: ConnId,
    complete: bool,
    slot: usize,
    /// Relayed and not answered yet, oldest first.
    offers: VecDeque<Outstanding>,
}

/// An offer that a peer made.
#[derive(Debug)]
struct Outstanding {
    offer_id: OfferId,
    to: ConnId,
    expires_at: Moment,
}

impl Swarm {
    /// The connection a peer id is bound to.
    pub(super) fn connection_of(&self, peer_id: &PeerId) -> Option<ConnId> {
        self.peers.get(peer_id).map(|peer| peer.conn)
    }

    /// Whether the peer is here and has all bytes.
    pub(super) fn is_complete(&self, peer_id: &PeerId) -> bool {
        self.peers.get(peer_id).is_some_and(|peer| peer.complete)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn tally(&self) -> Tally {
        let count = |list: &[PeerId]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        let complete = count(&self.seeders);
        Tally { complete, incomplete: count(&self.leechers), downloaded: complete }
    }

    /// Every peer: its name, its connection, and whether it has all bytes.
    pub(super) fn peers(&self) -> impl Iterator<Item = (PeerId, ConnId, bool)> {
        self.peers.iter().map(|(id, peer)| (*id, peer.conn, peer.complete))
    }

    /// Adds the peer, or updates what is known of it.
    pub(super) fn put(&mut self, peer_id: PeerId, conn: ConnId, complete: bool) {
        let offers = self.take(&peer_id).map(|peer| peer.offers).unwrap_or_default();
        let list = self.list(complete);
        let slot = list.len();
        list.push(peer_id);
        self.peers.insert(peer_id, Peer { conn, complete, slot, offers });
    }

    pub(super) fn remove(&mut self, peer_id: &PeerId) {
        drop(self.take(peer_id));
    }

    /// How many more offers of this peer may be relayed now.
    pub(super) fn offers_room(&mut self, peer_id: &PeerId, now: Moment, limits: &TrackerLimits) -> usize {
        let Some(peer) = self.peers.get_mut(peer_id) else { return 0 };
        peer.offers.retain(|offer| offer.expires_at > now);
        limits.offers_outstanding.saturating_sub(peer.offers.len())
    }

    /// An offer of this peer was relayed.
    pub(super) fn offered(&mut self, peer_id: &PeerId, offer_id: OfferId, to: ConnId, expires_at: Moment) {
        if let Some(peer) = self.peers.get_mut(peer_id) {
            peer.offers.push_back(Outstanding { offer_id, to, expires_at });
        }
    }

    /// Uses up the offer that this peer made to `by`, and returns the peer's connection; `None` if there is none that
    /// can still be answered.
    pub(super) fn take_offer(
        &mut self,
        peer_id: &PeerId,
        offer_id: OfferId,
        by: ConnId,
        now: Moment,
    ) -> Option<ConnId> {
        let peer = self.peers.get_mut(peer_id)?;
        let open = |offer: &Outstanding| (offer.offer_id, offer.to) == (offer_id, by) && offer.expires_at > now;
        let index = peer.offers.iter().position(open)?;
        peer.offers.remove(index);
        Some(peer.conn)
    }

    fn take(&mut self, peer_id: &PeerId) -> Option<Peer> {
        let peer = self.peers.remove(peer_id)?;
        let list = self.list(peer.complete);
        list.swap_remove(peer.slot);
        if let Some(moved) = list.get(peer.slot).copied() {
            self.peers.get_mut(&moved).expect("a listed peer is in the map").slot = peer.slot;
        }
        Some(peer)
    }

    fn list(&mut self, complete: bool) -> &mut Vec<PeerId> {
        if complete { &mut self.seeders } else { &mut self.leechers }
    }

    /// Whom to pair `peer_id` with: up to `count` other peers, none twice. A seeder gets leechers, as two seeders have
    /// nothing to trade; a leecher gets a seeder first, then leechers and seeders in turn while there are both.
    pub(super) fn partners(&self, peer_id: &PeerId, count: usize, rng: &mut Rng) -> Vec<ConnId> {
        self.partners_for(peer_id, self.is_complete(peer_id), count, rng)
    }

    /// The same for a peer that need not be here.
    pub(super) fn partners_for(&self, peer_id: &PeerId, complete: bool, count: usize, rng: &mut Rng) -> Vec<ConnId> {
        let seeders: &[PeerId] = if complete { &[] } else { &self.seeders };
        let mut others = |list| around(list, rng).filter(|other| *other != peer_id);
        let mut lists = [others(seeders), others(&self.leechers)];
        let mut partners = Vec::new();
        while partners.len() < count {
            let turn = partners.len() % 2;
            let Some(partner) = lists[turn].next().or_else(|| lists[1 - turn].next()) else { break };
            partners.extend(self.connection_of(partner));
        }
        partners
    }

    /// Panics if the lists and the map disagree.
    pub(super) fn check(&self, limits: &TrackerLimits) {
        assert_eq!(self.peers.len(), self.seeders.len() + self.leechers.len(), "every peer is in one list");
        for (id, peer) in &self.peers {
            let list = if peer.complete { &self.seeders } else { &self.leechers };
            assert_eq!(list.get(peer.slot), Some(id), "a peer is at its slot");
            assert!(peer.offers.len() <= limits.offers_outstanding, "outstanding offers are capped");
            assert!(peer.offers.iter().is_sorted_by_key(|offer| offer.expires_at), "offers are in order of age");
        }
    }
}

/// All of the list, beginning anywhere.
fn around<'a>(list: &'a [PeerId], rng: &mut Rng) -> impl Iterator<Item = &'a PeerId> + use<'a> {
    let start = usize::try_from(rng.below(list.len() as u64)).expect("below a usize");
    list[start..].iter().chain(&list[..start])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A swarm of seeders 1, 2, … and leechers 101, 102, …, each on the connection of its number.
    fn swarm(seeders: u8, leechers: u8) -> Swarm {
        let mut swarm = Swarm::default();
        for (first, count, complete) in [(1, seeders, true), (101, leechers, false)] {
            for number in first..first + count {
                swarm.put(PeerId([number; 20]), ConnId(number.into()), complete);
            }
        }
        swarm
    }

    fn partners(swarm: &Swarm, of: u8, count: usize, seed: u8) -> Vec<u64> {
        let partners = swarm.partners(&PeerId([of; 20]), count, &mut Rng::new([seed; 32]));
        partners.into_iter().map(|conn| conn.0).collect()
    }

    #[test]
    fn seeders_meet_leechers_only() {
        for seed in 0..20 {
            let found = partners(&swarm(5, 3), 1, 10, seed);
            assert_eq!(found.len(), 3);
            assert!(found.iter().all(|&conn| conn > 100), "{found:?}");
        }
        assert!(partners(&swarm(5, 0), 1, 10, 0).is_empty());
    }

    #[test]
    fn a_leecher_meets_a_seeder_first_and_nobody_twice() {
        for seed in 0..20 {
            let found = partners(&swarm(1, 9), 101, 3, seed);
            assert_eq!((found.len(), found[0]), (3, 1));
            let mut all = partners(&swarm(4, 4), 101, 10, seed);
            assert_eq!(all.iter().take(6).filter(|&&conn| conn < 100).count(), 3, "in turn: {all:?}");
            all.sort_unstable();
            assert_eq!(all, [1, 2, 3, 4, 102, 103, 104]);
        }
    }

    #[test]
    fn every_partner_gets_a_turn() {
        let found: std::collections::BTreeSet<_> =
            (0..60).flat_map(|seed| partners(&swarm(0, 6), 101, 1, seed)).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [102, 103, 104, 105, 106]);
    }

    #[test]
    fn lists_follow_arrivals_changes_and_departures() {
        let mut swarm = swarm(3, 3);
        let mut rng = Rng::new([1; 32]);
        for step in 0..2000 {
            let peer_id = PeerId([rng.below(9) as u8; 20]);
            match rng.below(3) {
                0 => swarm.remove(&peer_id),
                complete => swarm.put(peer_id, ConnId(step), complete == 1),
            }
            swarm.check(&TrackerLimits::default());
        }
    }
}
