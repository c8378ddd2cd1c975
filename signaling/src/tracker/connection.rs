//! What a desk remembers of one connection; all of it is freed with the connection.
//!
//! Invariant: at most one peer id per torrent; memberships are sorted by torrent.

use std::net::IpAddr;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;

use super::TrackerLimits;
use super::allowance::Allowance;
use super::request::Network;
use super::tight;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) network: Network,
    /// Nearly always one: a list takes a third of a map's room.
    memberships: Vec<Membership>,
    pub(super) allowance: Allowance,
    pub(super) strikes: u16,
    /// The second in which it last had a strike for too many messages.
    hurried_at: u32,
    /// The last announce or scrape, or the opening.
    pub(super) heard_at: Moment,
    /// When the desk looks at this connection next; never later than its deadline.
    pub(super) due: Moment,
}

/// The connection's peer in one swarm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Membership {
    pub(super) info_hash: InfoHash,
    pub(super) peer_id: PeerId,
    pub(super) complete: bool,
    /// The last announce for this torrent.
    pub(super) heard_at: Moment,
}

impl Connection {
    pub(super) fn new(now: Moment, address: IpAddr, limits: &TrackerLimits) -> Self {
        Self {
            network: Network::from(address),
            memberships: Vec::new(),
            allowance: Allowance::new(now, limits),
            strikes: 0,
            hurried_at: u32::MAX,
            heard_at: now,
            due: now + limits.silence,
        }
    }

    /// Whether there has been no strike for too many messages in this second; now there is.
    pub(super) fn hurries_anew(&mut self, now: Moment) -> bool {
        let second = (now.0 / 1_000_000) as u32;
        std::mem::replace(&mut self.hurried_at, second) != second
    }

    /// When something here falls silent for too long, if nothing more is heard.
    pub(super) fn deadline(&self, limits: &TrackerLimits) -> Moment {
        let oldest = self.memberships.iter().map(|member| member.heard_at).min();
        oldest.unwrap_or(self.heard_at) + limits.silence
    }

    pub(super) fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// What it is in this torrent.
    pub(super) fn member(&self, info_hash: &InfoHash) -> Option<&Membership> {
        self.find(info_hash).ok().map(|index| &self.memberships[index])
    }

    /// Is it the peer of that name in this torrent?
    pub(super) fn is_member(&self, info_hash: &InfoHash, peer_id: &PeerId) -> bool {
        self.member(info_hash).is_some_and(|member| member.peer_id == *peer_id)
    }

    /// Notes what it is in a torrent.
    pub(super) fn put(&mut self, member: Membership) {
        match self.find(&member.info_hash) {
            Ok(index) => self.memberships[index] = member,
            Err(index) => tight::insert(&mut self.memberships, index, member),
        }
    }

    /// Forgets its peer in this torrent.
    pub(super) fn forget(&mut self, info_hash: &InfoHash) -> Option<Membership> {
        let index = self.find(info_hash).ok()?;
        Some(tight::remove(&mut self.memberships, index))
    }

    /// Forgets and returns what has been silent too long.
    pub(super) fn take_silent(&mut self, now: Moment, limits: &TrackerLimits) -> Vec<Membership> {
        let gone = |member: &Membership| member.heard_at + limits.silence <= now;
        let silent = self.memberships.iter().copied().filter(gone).collect();
        self.memberships.retain(|member| !gone(member));
        silent
    }

    fn find(&self, info_hash: &InfoHash) -> Result<usize, usize> {
        self.memberships.binary_search_by_key(info_hash, |member| member.info_hash)
    }

    pub(super) fn check(&self, limits: &TrackerLimits) {
        assert!(self.due <= self.deadline(limits), "silence is noticed in time");
        assert!(self.memberships.len() <= limits.torrents_per_connection, "torrents per connection are capped");
        assert!(self.memberships.is_sorted_by(|a, b| a.info_hash < b.info_hash), "one peer id per torrent");
    }
}
