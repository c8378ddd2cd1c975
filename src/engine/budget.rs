//! Who may have a link, and who makes room: the process has one budget, which its torrents share (threat-model W1, P12,
//! P13).
//!
//! Invariant: never more links than `links_max`, nor of one torrent than `links_per_torrent_max`. A link that carries
//! payload is closed for a newcomer only where one address has more than its share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Engine;
use super::links::{Link, Remote, Stage, TrackerId};
use crate::ids::{LinkId, PeerId, TorrentId};
use crate::limits::Limits;
use crate::time::Moment;
use crate::torrent::Verdict;
use crate::tracker::sdp::AddressHint;

/// What is remembered of peers after their links are closed, for the session.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Proven liars by address, as far as addresses were known.
    liars: BTreeMap<AddressHint, BTreeSet<PeerId>>,
    /// Who was at the other end of links that are closed: a proof may come late.
    departed: BTreeMap<LinkId, Remote>,
    /// Peers that have all of a torrent, by the id their tracker knows; the oldest first.
    seeds: VecDeque<(TorrentId, PeerId)>,
}

impl Memory {
    fn note(&mut self, torrent: TorrentId, remote: Remote, verdict: Verdict, limits: &Limits) {
        match (verdict, remote.address) {
            (Verdict::Liar, Some(address)) => {
                if self.liars.len() < limits.addresses_remembered_max || self.liars.contains_key(&address) {
                    self.liars.entry(address).or_default().insert(remote.peer_id);
                }
            }
            (Verdict::Liar, None) => {}
            (Verdict::FellowSeed, _) => {
                if self.seeds.len() >= limits.seeds_remembered_max {
                    self.seeds.pop_front();
                }
                self.seeds.push_back((torrent, remote.peer_id));
            }
        }
    }
}

impl Engine {
    /// Forgets a link, but for who was at its other end.
    pub(super) fn forget_link(&mut self, link: LinkId) -> Option<Link> {
        let entry = self.links.remove(link)?;
        if let Some(remote) = entry.remote.filter(|remote| entry.stage == Stage::Open && remote.address.is_some()) {
            self.memory.departed.insert(link, remote);
            if self.memory.departed.len() > self.limits.addresses_remembered_max {
                // Links are numbered as they come: the lowest is the oldest.
                self.memory.departed.pop_first();
            }
        }
        Some(entry)
    }

    /// Remembers what a torrent has found out about the peers of links that are being closed.
    pub(super) fn remember(&mut self, id: TorrentId, judged: Vec<(LinkId, Verdict)>) {
        for (link, verdict) in judged {
            let departed = self.memory.departed.get(&link).copied();
            if let Some(remote) = self.links.get(link).map_or(departed, |entry| entry.remote) {
                self.memory.note(id, remote, verdict, &self.limits);
            }
        }
    }

    /// Whether a link to this peer would be of use: it is not ourselves, nor connected already, nor a seed like us, nor
    /// from where liars come. Addresses can be forged, so that nobody is refused for one while there is nobody else.
    pub(super) fn welcomes(&self, id: TorrentId, remote: Remote) -> bool {
        let Some(torrent) = self.torrents.get(&id) else { return false };
        let liars = remote.address.and_then(|address| self.memory.liars.get(&address)).map_or(0, BTreeSet::len);
        !self.is_ourselves(remote.peer_id)
            && (liars < self.limits.liars_per_address_max || torrent.peers() == 0)
            && !(torrent.is_complete() && self.memory.seeds.contains(&(id, remote.peer_id)))
    }

    /// A tracker knows us by this id.
    fn is_ourselves(&self, peer_id: PeerId) -> bool {
        self.trackers.values().any(|session| session.peer_id() == peer_id)
    }

    /// There is a link, or the beginning of one, to the peer that this tracker knows by this id. One in doubt does not
    /// count: the peer comes back.
    pub(super) fn is_linked(&self, id: TorrentId, peer_id: PeerId) -> bool {
        let doubtful = |link| self.torrents.get(&id).is_some_and(|torrent| torrent.is_in_doubt(link));
        let mut same =
            self.links.of(id).filter(|(_, link)| link.remote.is_some_and(|remote| remote.peer_id == peer_id));
        same.any(|(link, _)| !doubtful(link))
    }

    /// May one more remote offer be answered now (threat-model W2)?
    pub(super) fn admits_negotiation(&mut self, now: Moment, id: TorrentId, tracker: TrackerId) -> bool {
        let (own, all) = self.links.answering(id);
        let (Some(torrent), Some(session)) = (self.torrents.get(&id), self.trackers.get_mut(&tracker)) else {
            return false;
        };
        own < self.limits.answering_per_torrent_max
            && all < self.limits.answering_max
            && session.admits_offer(torrent.info_hash(), now, &self.limits)
    }

    /// Peers of a torrent that are met or soon will be, of so many `others`. Those in doubt do not count, and none do from
    /// whom nothing comes while there are some that were not tried.
    pub(super) fn met(&self, id: TorrentId, now: Moment, others: usize) -> usize {
        let Some(torrent) = self.torrents.get(&id) else { return 0 };
        let in_vain = torrent.peers() < others && torrent.is_starving(now);
        let useless = if in_vain { torrent.peers() } else { torrent.in_doubt() };
        self.links.met(id, now, &self.limits).saturating_sub(useless)
    }

    /// Is there room for a link of a torrent that has `own` of the `all` there are?
    fn fits(&self, own: usize, all: usize) -> bool {
        let limits = &self.limits;
        let unreserved = limits.links_max.saturating_sub(limits.links_reserved);
        own < limits.links_per_torrent_max && all < limits.links_max && (all < unreserved || own < limits.links_first)
    }

    /// Is there room for one more link of a torrent? For one that has next to none, or none that is of use, it is made.
    pub(super) fn has_room_to_offer(&mut self, now: Moment, id: TorrentId) -> bool {
        let (own, all) = (self.links.of(id).count(), self.links.len());
        let in_need = || own < self.limits.links_first || self.torrents.get(&id).is_some_and(|t| t.is_starving(now));
        self.fits(own, all) || in_need() && self.make_room(now, id, None)
    }

    /// Is there room for a newcomer, or can there be? What nobody answers goes first, then links of an address that has
    /// more than its share, then the link that has been idle the longest.
    pub(super) fn make_room(&mut self, now: Moment, id: TorrentId, address: Option<AddressHint>) -> bool {
        let (own, all) = (self.links.of(id).count(), self.links.len());
        if self.fits(own, all) {
            return true;
        }
        let crowds = |address: AddressHint| self.links.at_address(id, address) >= self.limits.links_per_address_max;
        if address.is_some_and(crowds) {
            return false;
        }
        // A link of another torrent is of use only where the process is full, not the torrent.
        let of = (!self.fits(own, all - 1)).then_some(id);
        if of.is_some() && !self.fits(own - 1, all - 1) {
            return false;
        }
        if let Some(link) = self.links.hopeless(of, now, &self.limits) {
            self.close_link(link);
            return true;
        }
        let spare = self.crowding(now, id).or_else(|| self.idlest(now, of));
        spare.is_some_and(|link| self.dismiss(link))
    }

    /// Of the links of a torrent to an address that has more than its share, the one that has been idle the longest.
    fn crowding(&self, now: Moment, id: TorrentId) -> Option<LinkId> {
        let most = self.limits.links_per_address_max;
        let crowds = |link: &LinkId| {
            let address = self.links.get(*link).and_then(|entry| entry.address());
            address.is_some_and(|address| self.links.at_address(id, address) > most)
        };
        let idle = self.torrents.get(&id)?.idle(now).filter(|(link, _)| crowds(link));
        idle.max_by_key(|(_, span)| *span).map(|(link, _)| link)
    }

    /// The link, of this torrent or of any, that has been idle the longest, if that is long.
    fn idlest(&self, now: Moment, of: Option<TorrentId>) -> Option<LinkId> {
        let torrents = self.torrents.iter().filter(|(id, _)| of.is_none_or(|only| only == **id));
        let long = |(_, span): &(LinkId, Duration)| *span >= self.limits.idle_after;
        let idle = torrents.flat_map(|(_, torrent)| torrent.idle(now)).filter(long);
        idle.max_by_key(|(_, span)| *span).map(|(link, _)| link)
    }

    /// Closes an open link for the sake of others.
    fn dismiss(&mut self, link: LinkId) -> bool {
        let open = self.links.get(link).filter(|entry| entry.stage == Stage::Open);
        let Some(id) = open.map(|entry| entry.torrent) else { return false };
        self.with_torrent(id, |torrent| torrent.dismiss(link));
        true
    }
}
