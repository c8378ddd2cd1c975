//! What a desk remembers of one connection; all of it is freed with the connection.
//!
//! Invariant: at most one peer id per torrent.

use std::collections::BTreeMap;
use std::net::IpAddr;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;

use super::TrackerLimits;
use super::allowance::Allowance;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: IpAddr,
    pub(super) memberships: BTreeMap<InfoHash, Membership>,
    pub(super) allowance: Allowance,
    pub(super) strikes: u32,
    /// The last announce or scrape, or the opening.
    pub(super) heard_at: Moment,
    /// When the desk looks at this connection next; never later than its deadline.
    pub(super) due: Moment,
}

/// The connection's peer in one swarm.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) peer_id: PeerId,
    pub(super) complete: bool,
    /// The last announce for this torrent.
    pub(super) heard_at: Moment,
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
        }
    }

    /// When something here falls silent for too long, if nothing more is heard.
    pub(super) fn deadline(&self, limits: &TrackerLimits) -> Moment {
        let oldest = self.memberships.values().map(|member| member.heard_at).min();
        oldest.unwrap_or(self.heard_at) + limits.silence
    }

    /// Is it the peer of that name in this torrent?
    pub(super) fn is_member(&self, info_hash: &InfoHash, peer_id: &PeerId) -> bool {
        self.memberships.get(info_hash).is_some_and(|member| member.peer_id == *peer_id)
    }

    /// Forgets the peer of that name.
    pub(super) fn forget(&mut self, info_hash: &InfoHash, peer_id: &PeerId) {
        if self.is_member(info_hash, peer_id) {
            self.memberships.remove(info_hash);
        }
    }

    /// Forgets and returns what has been silent too long.
    pub(super) fn take_silent(&mut self, now: Moment, limits: &TrackerLimits) -> Vec<(InfoHash, Membership)> {
        let gone = |member: &Membership| member.heard_at + limits.silence <= now;
        let (silent, rest) = std::mem::take(&mut self.memberships).into_iter().partition(|(_, member)| gone(member));
        self.memberships = rest;
        BTreeMap::into_iter(silent).collect()
    }

    pub(super) fn check(&self, limits: &TrackerLimits) {
        assert!(self.due <= self.deadline(limits), "silence is noticed in time");
        assert!(self.memberships.len() <= limits.torrents_per_connection, "torrents per connection are capped");
    }
}
