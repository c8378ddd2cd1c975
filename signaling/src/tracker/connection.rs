//! What the tracker remembers of one connection; all of it is freed with the connection.
//!
//! Invariant: at most one peer id per torrent, and at most `offers_outstanding` offers, oldest first.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;

use super::allowance::Allowance;
use super::{ConnId, TrackerLimits};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: IpAddr,
    pub(super) memberships: BTreeMap<InfoHash, Membership>,
    pub(super) allowance: Allowance,
    pub(super) strikes: u32,
    /// The last announce or scrape, or the opening.
    pub(super) heard_at: Moment,
    /// When the tracker looks at this connection next; never later than its deadline.
    pub(super) due: Moment,
    offers: VecDeque<Offered>,
}

/// The connection's peer in one swarm.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) peer_id: PeerId,
    /// The last announce for this torrent.
    pub(super) heard_at: Moment,
}

/// An offer relayed for this connection and not answered yet.
#[derive(Debug)]
struct Offered {
    info_hash: InfoHash,
    offer_id: OfferId,
    to: ConnId,
    expires_at: Moment,
}

impl Connection {
    pub(super) fn new(now: Moment, address: IpAddr, limits: &TrackerLimits) -> Self {
        Self {
            address: address.to_canonical(),
            memberships: BTreeMap::new(),
            allowance: Allowance::new(now, limits),
            strikes: 0,
            heard_at: now,
            due: now + limits.silence,
            offers: VecDeque::new(),
        }
    }

    /// When something here falls silent for too long, if nothing more is heard.
    pub(super) fn deadline(&self, limits: &TrackerLimits) -> Moment {
        let oldest = self.memberships.values().map(|member| member.heard_at).min();
        oldest.unwrap_or(self.heard_at) + limits.silence
    }

    /// How many more offers may be relayed now.
    pub(super) fn offers_room(&mut self, now: Moment, limits: &TrackerLimits) -> usize {
        self.offers.retain(|offer| offer.expires_at > now);
        limits.offers_outstanding.saturating_sub(self.offers.len())
    }

    pub(super) fn offered(
        &mut self,
        now: Moment,
        limits: &TrackerLimits,
        info_hash: InfoHash,
        offer_id: OfferId,
        to: ConnId,
    ) {
        self.offers.push_back(Offered { info_hash, offer_id, to, expires_at: now + limits.offer_life });
    }

    /// Uses up the offer made to `by`; false if there is none that can still be answered.
    pub(super) fn take_offer(&mut self, now: Moment, info_hash: InfoHash, offer_id: OfferId, by: ConnId) -> bool {
        let found = self.offers.iter().position(|offer| {
            (offer.info_hash, offer.offer_id, offer.to) == (info_hash, offer_id, by) && offer.expires_at > now
        });
        found.and_then(|index| self.offers.remove(index)).is_some()
    }

    /// Forgets the peer of one torrent and its offers.
    pub(super) fn forget(&mut self, info_hash: InfoHash) -> Option<Membership> {
        self.offers.retain(|offer| offer.info_hash != info_hash);
        self.memberships.remove(&info_hash)
    }

    pub(super) fn check(&self, limits: &TrackerLimits) {
        assert!(self.offers.len() <= limits.offers_outstanding, "outstanding offers are capped");
        assert!(self.offers.iter().is_sorted_by_key(|offer| offer.expires_at), "offers are in order of age");
        assert!(self.due <= self.deadline(limits), "silence is noticed in time");
        assert!(self.memberships.len() <= limits.torrents_per_connection, "torrents per connection are capped");
    }
}
