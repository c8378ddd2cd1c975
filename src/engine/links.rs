//! Every WebRTC connection from offer to close, of all torrents.
//!
//! Invariant: a link is in exactly one stage; each stage but the last has a time limit, so nothing is pending for ever
//! and the browser's connections stay within budget (threat-model W1). A session description is answered once: the first
//! answer takes the offer out of all trackers' hands.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{LinkId, OfferId, PeerId, TorrentId};
use crate::limits::Limits;
use crate::time::Moment;
use crate::tracker::sdp::AddressHint;

/// A tracker, by its number in the engine.
pub(super) type TrackerId = u32;

/// How far a connection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The driver makes an offer.
    Offering,
    /// The offer waits for an announce, or for an answer; until one comes, it is announced again and again.
    Offered { sdp: String, out: Vec<Announced> },
    /// The driver makes an answer to a remote offer.
    Answering { offer_id: OfferId },
    /// Both descriptions are known: the connection is being made.
    Connecting,
    /// The channel is open: the torrent has it.
    Open,
}

/// An offer in a tracker's hands, under a name of its own each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    tracker: TrackerId,
    offer_id: OfferId,
    at: Moment,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) torrent: TorrentId,
    pub(super) stage: Stage,
    pub(super) offered_by_us: bool,
    /// Who is at the other end, as its tracker names it, and where, as it says itself.
    pub(super) remote: Option<Remote>,
    since: Moment,
}

/// The other end of a link, as far as it is known before the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) tracker: TrackerId,
    pub(super) peer_id: PeerId,
    pub(super) address: Option<AddressHint>,
}

impl Stage {
    /// Bytes of an offer.
    pub(super) fn sdp_bytes(&self) -> usize {
        if let Stage::Offered { sdp, .. } = self { sdp.len() } else { 0 }
    }
}

impl Link {
    /// Where the other end is, as it says itself.
    pub(super) fn address(&self) -> Option<AddressHint> {
        self.remote.and_then(|remote| remote.address)
    }

    /// The offer was given to somebody who may still answer.
    fn is_out(&self, now: Moment, life: Duration) -> bool {
        matches!(&self.stage, Stage::Offered { out, .. } if out.iter().any(|announced| now.since(announced.at) < life))
    }

    /// An offer that can go out: nobody has it, or those who have it had time to answer.
    fn is_ready(&self, now: Moment, limits: &Limits) -> bool {
        matches!(self.stage, Stage::Offered { .. })
            && now.since(self.since) < limits.offer_age_max
            && !self.is_out(now, limits.offer_hope)
    }

    fn is_late(&self, now: Moment, limits: &Limits) -> bool {
        let age = now.since(self.since);
        match self.stage {
            Stage::Offered { .. } => age >= limits.offer_age_max && !self.is_out(now, limits.offer_life),
            Stage::Offering | Stage::Answering { .. } | Stage::Connecting => age >= limits.connect_timeout,
            Stage::Open => false,
        }
    }

    /// A remote offer on its way to an open channel.
    fn is_answering(&self) -> bool {
        !self.offered_by_us && matches!(self.stage, Stage::Answering { .. } | Stage::Connecting)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    next: u32,
}

impl Links {
    /// A new link: ours to offer, or to answer the remote's offer.
    pub(super) fn mint(&mut self, now: Moment, torrent: TorrentId, stage: Stage, remote: Option<Remote>) -> LinkId {
        let link = LinkId(self.next);
        self.next += 1;
        let offered_by_us = stage == Stage::Offering;
        self.links.insert(link, Link { torrent, stage, offered_by_us, remote, since: now });
        link
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn remote_is(&mut self, link: LinkId, remote: Remote) {
        self.links.entry(link).and_modify(|entry| entry.remote = Some(remote));
    }

    /// Moves a link on.
    pub(super) fn advance(&mut self, link: LinkId, now: Moment, stage: Stage) {
        self.links.entry(link).and_modify(|entry| (entry.since, entry.stage) = (now, stage));
    }

    pub(super) fn remove(&mut self, link: LinkId) -> Option<Link> {
        self.links.remove(&link)
    }

    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn of(&self, torrent: TorrentId) -> impl Iterator<Item = (LinkId, &Link)> + '_ {
        self.links.iter().filter(move |(_, link)| link.torrent == torrent).map(|(id, link)| (*id, link))
    }

    pub(super) fn count(&self, torrent: TorrentId, wanted: impl Fn(&Stage) -> bool) -> usize {
        self.of(torrent).filter(|(_, link)| wanted(&link.stage)).count()
    }

    // ---- offers

    /// Offers that can go out, the oldest first.
    pub(super) fn ready(&self, torrent: TorrentId, now: Moment, limits: &Limits) -> Vec<LinkId> {
        self.of(torrent).filter(|(_, link)| link.is_ready(now, limits)).map(|(id, _)| id).collect()
    }

    /// Puts an offer into a tracker's hands. Its description.
    pub(super) fn announce(
        &mut self,
        link: LinkId,
        now: Moment,
        tracker: TrackerId,
        offer_id: OfferId,
        limits: &Limits,
    ) -> Option<String> {
        let Stage::Offered { sdp, out } = &mut self.links.get_mut(&link)?.stage else { return None };
        out.retain(|announced| now.since(announced.at) < limits.offer_life);
        out.push(Announced { tracker, offer_id, at: now });
        Some(sdp.clone())
    }

    /// The link whose offer an answer names, if that offer went out by this tracker, and not too long ago.
    pub(super) fn announced(
        &self,
        torrent: TorrentId,
        tracker: TrackerId,
        offer_id: OfferId,
        (now, limits): (Moment, &Limits),
    ) -> Option<LinkId> {
        let names = |announced: &Announced| {
            (announced.tracker, announced.offer_id) == (tracker, offer_id)
                && now.since(announced.at) < limits.offer_life
        };
        let named = |link: &Link| matches!(&link.stage, Stage::Offered { out, .. } if out.iter().any(names));
        self.of(torrent).find(|(_, link)| named(link)).map(|(id, _)| id)
    }

    /// Takes all offers out of a tracker's hands: what it was given, it can't bring the answers of any more.
    pub(super) fn withdraw(&mut self, tracker: TrackerId) {
        for link in self.links.values_mut() {
            if let Stage::Offered { out, .. } = &mut link.stage {
                out.retain(|announced| announced.tracker != tracker);
            }
        }
    }

    // ---- counts and times

    /// Peers of a torrent that are met or soon will be. An offer without an answer for a while reached nobody.
    pub(super) fn met(&self, torrent: TorrentId, now: Moment, limits: &Limits) -> usize {
        let counts = |link: &Link| match link.stage {
            Stage::Offering => false,
            Stage::Offered { .. } => link.is_out(now, limits.offer_hope),
            Stage::Answering { .. } | Stage::Connecting | Stage::Open => true,
        };
        self.of(torrent).filter(|(_, link)| counts(link)).count()
    }

    /// Remote offers being answered: of this torrent, and of all.
    pub(super) fn answering(&self, torrent: TorrentId) -> (usize, usize) {
        let all = self.links.values().filter(|link| link.is_answering());
        all.fold((0, 0), |(own, all), link| (own + usize::from(link.torrent == torrent), all + 1))
    }

    /// Links that have been in their stage for too long.
    pub(super) fn expired(&self, now: Moment, limits: &Limits) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.is_late(now, limits)).map(|(id, _)| *id).collect()
    }

    /// Links that are not open.
    pub(super) fn pending(&self) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.stage != Stage::Open).map(|(id, _)| *id).collect()
    }

    /// The oldest offer, of this torrent or of any, that nobody is expected to answer.
    pub(super) fn hopeless(&self, of: Option<TorrentId>, now: Moment, limits: &Limits) -> Option<LinkId> {
        let mine = |link: &Link| of.is_none_or(|torrent| link.torrent == torrent);
        self.links.iter().find(|(_, link)| mine(link) && link.is_ready(now, limits)).map(|(id, _)| *id)
    }

    /// Links of a torrent to an address, in any stage.
    pub(super) fn at_address(&self, torrent: TorrentId, address: AddressHint) -> usize {
        self.of(torrent).filter(|(_, link)| link.address() == Some(address)).count()
    }
}
