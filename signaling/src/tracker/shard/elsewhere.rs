//! What a shard has to do with peers of the same swarms that other nodes have.
//!
//! It knows of them by their counts only; offers that find no partner here are handed out, and offers from elsewhere
//! find theirs. Invariant: without counts from elsewhere a shard behaves as if there were nobody else.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;

use super::super::ConnId;
use super::super::delivery::{Delivery, ShardOutput};
use super::super::pairing::{self, Offerer};
use super::super::reply::Relay;
use super::super::request::{Announce, Answer, Leave, Network, Offer, Scrape};
use super::super::sdp::Sdp;
use super::Shard;

/// Offers that found no partner here.
#[derive(Debug)]
pub(crate) struct Spare {
    /// Whose they are.
    pub(crate) peer: Leave,
    pub(crate) complete: bool,
    pub(crate) network: Network,
    pub(crate) offers: Vec<Offer<'static>>,
}

/// The part of a shard's state that is about other nodes.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Their peers; torrents without any have no entry.
    tallies: BTreeMap<InfoHash, Tally>,
    spares: VecDeque<Spare>,
}

impl Elsewhere {
    pub(super) fn tally(&self, info_hash: &InfoHash) -> Tally {
        self.tallies.get(info_hash).copied().unwrap_or_default()
    }

    /// How many of an announce's offers are not for peers of this node, though it may have enough: a leecher that finds
    /// no seeder here sends one to where there is one, and one of several to where there is anybody, or the nodes'
    /// parts of a swarm might never meet.
    pub(super) fn share(&self, info_hash: &InfoHash, complete: bool, here: Tally, offers: usize) -> usize {
        let there = self.tally(info_hash);
        let is_reason = there.complete > 0 || (there.incomplete > 0 && offers > 1);
        usize::from(offers > 0 && !complete && here.complete == 0 && is_reason)
    }

    /// Keeps the offers that found nobody here, if there is anybody elsewhere, and says whether it did.
    pub(super) fn keep(&mut self, announce: &Announce<'_>, rest: &[Offer<'_>]) -> bool {
        let Announce { conn, network, info_hash, peer_id, complete, .. } = *announce;
        if rest.is_empty() || !self.tallies.contains_key(&info_hash) {
            return false;
        }
        let offers = rest.iter().map(|offer| Offer { offer_id: offer.offer_id, sdp: offer.sdp.clone().into_owned() });
        let peer = Leave { conn, info_hash, peer_id };
        self.spares.push_back(Spare { peer, complete, network, offers: offers.collect() });
        true
    }
}

impl Shard {
    /// The peers of the other nodes, from now on counted in replies.
    pub(crate) fn set_elsewhere(&mut self, info_hash: InfoHash, tally: Tally) {
        if tally == Tally::default() {
            self.elsewhere.tallies.remove(&info_hash);
        } else {
            self.elsewhere.tallies.insert(info_hash, tally);
        }
    }

    /// The counts of this node alone.
    pub(crate) fn tally_here(&self, info_hash: &InfoHash) -> Tally {
        self.swarms.get(info_hash).map(|swarm| swarm.tally()).unwrap_or_default()
    }

    /// The next offers for other nodes; to be called until `None` after every request.
    pub(crate) fn poll_spare(&mut self) -> Option<Spare> {
        self.elsewhere.spares.pop_front()
    }

    /// An offer of a peer of ours goes to another node, which stands here as a receiver like any connection.
    pub(crate) fn offered_elsewhere(&mut self, now: Moment, peer: &Leave, offer_id: OfferId, to: ConnId) {
        let Some(swarm) = self.swarms.get_mut(&peer.info_hash) else { return };
        if let Some(slot) = swarm.find(&peer.peer_id) {
            let offers = &mut swarm.peer_mut(slot).offers;
            offers.reserve(1);
            offers.push(offer_id, to, now, self.limits.offer_life);
        }
    }

    /// An answer from elsewhere, as if from a connection here; false if it answers no offer that is open.
    pub(crate) fn answer_elsewhere(&mut self, now: Moment, answer: &Answer<'_>) -> bool {
        let &Answer { conn, info_hash, peer_id, to_peer_id, offer_id, .. } = answer;
        let swarm = self.swarms.get_mut(&info_hash);
        let offerer = swarm.and_then(|swarm| swarm.use_up(now, &to_peer_id, offer_id, conn));
        let Some(offerer) = offerer else { return false };
        let text = Relay::of(&info_hash, &peer_id).answer(&offer_id, &answer.sdp);
        self.deliver(Delivery::Text { conn: offerer, text, droppable: false });
        true
    }

    /// Whom offers from elsewhere go to: none twice, and chosen as for a peer of our own.
    pub(crate) fn partners_elsewhere(
        &mut self,
        now: Moment,
        info_hash: &InfoHash,
        (network, complete): (Network, bool),
        count: usize,
    ) -> Vec<ConnId> {
        let draws = self.draws();
        let Some(swarm) = self.swarms.get_mut(info_hash) else { return Vec::new() };
        let offerer = Offerer { conn: None, network, complete };
        let partners = pairing::pair(swarm, offerer, count, now, draws).partners;
        partners.into_iter().map(|slot| swarm.receives(slot, now, network)).collect()
    }

    /// A peer of ours answered one of those.
    pub(crate) fn answered_elsewhere(&mut self, info_hash: &InfoHash, peer_id: &PeerId) {
        let Some(swarm) = self.swarms.get_mut(info_hash) else { return };
        if let Some(slot) = swarm.find(peer_id) {
            swarm.peer_mut(slot).received.answered();
        }
    }

    /// Gives an offer from elsewhere to a peer of ours.
    pub(crate) fn offer(
        &mut self,
        to: ConnId,
        info_hash: &InfoHash,
        offerer: &PeerId,
        offer_id: &OfferId,
        sdp: &Sdp<'_>,
    ) {
        let text = Relay::of(info_hash, offerer).offer(offer_id, sdp);
        self.outputs.push_back(ShardOutput::Deliver(Delivery::Text { conn: to, text, droppable: true }));
    }

    /// Somebody elsewhere claims this connection's peer id: does it live?
    pub(crate) fn probe(&mut self, conn: ConnId) {
        self.deliver(Delivery::Probe { conn });
    }

    /// For how long a peer id has been bound to its connection, to a fifteenth of a second.
    pub(crate) fn bound_for(&self, now: Moment, info_hash: &InfoHash, peer_id: &PeerId) -> Duration {
        let bound_at = self.swarms.get(info_hash).and_then(|swarm| swarm.peer(swarm.find(peer_id)?).bound_at);
        bound_at.map_or(Duration::ZERO, |bound_at| bound_at.age(now))
    }

    /// Puts a peer out that another node has. Gives its announce, as far as it is known.
    pub(crate) fn evict(&mut self, info_hash: &InfoHash, peer_id: &PeerId) -> Option<Announce<'static>> {
        let (info_hash, peer_id) = (*info_hash, *peer_id);
        let conn = self.connection_of(&info_hash, &peer_id)?;
        let left = self.remove(&Leave { conn, info_hash, peer_id })?;
        let (network, complete, offers) = (left.network, left.complete, Vec::new());
        Some(Announce { conn, network, info_hash, peer_id, complete, offers, too_often: false })
    }

    /// The torrents of a scrape that are this shard's and have no counts yet.
    pub(crate) fn unanswered(&self, scrape: &Scrape) -> Vec<InfoHash> {
        let here = scrape.shard(&self.spread);
        let open = scrape.tallies.iter().filter(|(_, tally)| tally.is_none()).map(|(hash, _)| *hash);
        open.filter(|hash| self.spread.shard_of(hash) == here).collect()
    }
}
