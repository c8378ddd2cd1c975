//! The part of a [`ClusterShard`] that carries offers and answers between this node's peers and those of others.
//!
//! Invariant: an offer that leaves is one that its peer may still make, and its answer is taken from the node that it
//! was sent to, once; the shard keeps that record as it does for offers made here (threat-model S8, C3).

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;

use super::NodeId;
use super::message::{self, Envelope, Message, Offers};
use super::shard::ClusterShard;
use crate::tracker::{Announce, Answer, ConnId, Network, Request, Sdp, Spare};

/// Bytes of descriptions in one message: with all that stands around them it stays below the limit.
const SDP_BYTES_MAX: usize = 60 << 10;

impl ClusterShard {
    /// Sends what found no partner here to other nodes.
    pub(super) fn offer_elsewhere(&mut self, now: Moment) {
        while let Some(spare) = self.shard.poll_spare() {
            let Some(listing) = self.listings.get(&spare.peer.info_hash) else { continue };
            let nodes = &self.nodes;
            let is_live = |node| nodes.is_live(node);
            let mut targets = listing.targets(spare.complete, spare.offers.len(), is_live, &mut self.rng);
            // Those to one node stand together; who comes first is the first's still.
            let first = targets.first().copied();
            targets.sort_by_key(|node| (Some(*node) != first, *node));
            self.send_offers(now, spare, &targets);
        }
    }

    fn send_offers(&mut self, now: Moment, spare: Spare, targets: &[NodeId]) {
        let Spare { peer, complete, network, offers } = spare;
        let mut batches: Vec<(NodeId, usize, Offers)> = Vec::new();
        for (offer, &to) in offers.into_iter().zip(targets) {
            let (offer_id, sdp) = (offer.offer_id, offer.sdp.as_json().to_owned());
            self.shard.offered_elsewhere(now, &peer, offer_id, receiver(to));
            self.counters.offers_out += 1;
            match batches.last_mut() {
                Some((node, bytes, batch)) if *node == to && *bytes + sdp.len() <= SDP_BYTES_MAX => {
                    *bytes += sdp.len();
                    batch.offers.push((offer_id, sdp));
                }
                _ => {
                    let (offerer, network, bytes) = (peer.peer_id, network.digest(), sdp.len());
                    batches.push((to, bytes, Offers { offerer, complete, network, offers: vec![(offer_id, sdp)] }));
                }
            }
        }
        for (to, _, offers) in batches {
            self.publish(to, peer.info_hash, Message::Offers(offers));
        }
    }

    /// Whether this answers an offer of another node's peer: then it went there.
    pub(super) fn answer_elsewhere(&mut self, now: Moment, answer: &Answer<'_>) -> bool {
        let Answer { conn, info_hash, peer_id, to_peer_id, offer_id, sdp } = answer;
        if self.shard.connection_of(info_hash, peer_id) != Some(*conn) {
            return false;
        }
        let Some(to) = self.relay.take(now, &(*info_hash, *to_peer_id, *offer_id), *conn) else { return false };
        let sdp = sdp.as_json().to_owned();
        let answer = message::Answer { answerer: *peer_id, offerer: *to_peer_id, offer_id: *offer_id, sdp };
        self.publish(to, *info_hash, Message::Answer(answer));
        self.counters.answers_out += 1;
        self.shard.answered_elsewhere(info_hash, peer_id);
        true
    }

    /// Another node says something.
    pub(super) fn received(&mut self, now: Moment, envelope: Envelope) {
        let Envelope { sender, info_hash, message } = envelope;
        match message {
            Message::Offers(offers) => self.take_offers(now, sender, info_hash, offers),
            Message::Answer(answer) => self.take_answer(now, sender, info_hash, answer),
            Message::Claim(peer_id) => self.claimed_elsewhere(now, sender, info_hash, peer_id),
            Message::Freed(peer_id) => {
                if let Some(announce) = self.probes.freed(info_hash, peer_id, sender) {
                    self.let_in(now, announce, None);
                }
            }
            Message::Taken(peer_id) => drop(self.assert_claim(now, info_hash, peer_id, None)),
        }
    }

    /// A peer id that this node has claimed is announced at another. If nobody here has it, that node is told when the
    /// registry knows; not before, or both might take it.
    fn claimed_elsewhere(&mut self, now: Moment, asker: NodeId, info_hash: InfoHash, peer_id: PeerId) {
        if self.is_wanted(&info_hash, &peer_id) {
            let until = now + self.limits.probe;
            self.probes.probed(info_hash, peer_id, asker, until, self.limits.probes);
            if let Some(conn) = self.shard.connection_of(&info_hash, &peer_id) {
                self.shard.probe(conn);
            }
            return;
        }
        let node = self.node;
        let listing = self.listing(now, info_hash);
        listing.discard(peer_id, node);
        listing.tell_freed(peer_id, asker);
        self.schedule(info_hash, now);
    }

    /// Lets in who waited here for a peer id: nobody has it any more, or a dead node.
    pub(super) fn let_in(&mut self, now: Moment, announce: Announce<'static>, dead: Option<NodeId>) {
        let Announce { info_hash, peer_id, .. } = announce;
        self.listing(now, info_hash).claim(peer_id, dead);
        self.schedule(info_hash, now);
        self.parking.push(now + self.limits.parked, info_hash, Request::Announce(announce));
    }

    fn take_offers(&mut self, now: Moment, sender: NodeId, info_hash: InfoHash, offers: Offers) {
        let Offers { offerer, complete, network, offers } = offers;
        let side = (Network(network.into()), complete);
        let partners = self.shard.partners_elsewhere(now, &info_hash, side, offers.len());
        self.counters.offers_unplaced += (offers.len() - partners.len()) as u64;
        for ((offer_id, sdp), to) in offers.into_iter().zip(partners) {
            let Some(sdp) = Sdp::from_json(sdp) else { continue };
            let expires_at = now + self.tracker_limits.offer_life;
            let key = (info_hash, offerer, offer_id);
            if let Some(forgotten) = self.relay.given(key, to, sender, expires_at, self.limits.offers) {
                self.shard.offer(to, &info_hash, &offerer, &offer_id, &sdp);
                self.counters.offers_in += 1;
                self.counters.offers_evicted += forgotten as u64;
            }
        }
    }

    fn take_answer(&mut self, now: Moment, sender: NodeId, info_hash: InfoHash, answer: message::Answer) {
        let message::Answer { answerer: peer_id, offerer: to_peer_id, offer_id, sdp } = answer;
        let Some(sdp) = Sdp::from_json(sdp) else { return };
        let answer = Answer { conn: receiver(sender), info_hash, peer_id, to_peer_id, offer_id, sdp };
        let taken = self.shard.answer_elsewhere(now, &answer);
        self.counters.answers_in += u64::from(taken);
        self.counters.answers_refused += u64::from(!taken);
    }
}

/// As the receiver of an offer, a node stands where a connection does; no connection has such a number
/// ([`NodeId::from_random`]).
fn receiver(node: NodeId) -> ConnId {
    ConnId(node.0)
}
