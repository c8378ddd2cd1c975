//! Every WebRTC connection from offer to close, of all torrents.
//!
//! Invariant: a link is in exactly one stage; each stage but the last has a time limit, so nothing is pending for ever
//! and the browser's connections stay within budget (threat-model W1).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{LinkId, OfferId, PeerId, TorrentId};
use crate::limits::Limits;
use crate::time::Moment;

/// A tracker, by its number in the engine.
pub(super) type TrackerId = u32;

/// How far a connection has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The driver makes an offer.
    Offering,
    /// The offer waits for an announce.
    Ready { sdp: String },
    /// The offer is out, by this tracker.
    Announced { offer_id: OfferId, tracker: TrackerId },
    /// The driver makes an answer to a remote offer.
    Answering { offer_id: OfferId },
    /// Both descriptions are known: the connection is being made.
    Connecting,
    /// The channel is open: the torrent has it.
    Open,
}

impl Stage {
    /// Bytes of an offer that waits.
    pub(super) fn sdp_bytes(&self) -> usize {
        if let Stage::Ready { sdp } = self { sdp.len() } else { 0 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) torrent: TorrentId,
    pub(super) stage: Stage,
    pub(super) offered_by_us: bool,
    /// Who is at the other end, as its tracker names it.
    pub(super) remote: Option<(TrackerId, PeerId)>,
    since: Moment,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    next: u32,
}

impl Links {
    /// A new link: ours to offer, or to answer the remote's offer.
    pub(super) fn mint(
        &mut self,
        now: Moment,
        torrent: TorrentId,
        stage: Stage,
        remote: Option<(TrackerId, PeerId)>,
    ) -> LinkId {
        let link = LinkId(self.next);
        self.next += 1;
        let offered_by_us = stage == Stage::Offering;
        self.links.insert(link, Link { torrent, stage, offered_by_us, remote, since: now });
        link
    }

    pub(super) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn remote_is(&mut self, link: LinkId, remote: (TrackerId, PeerId)) {
        self.links.entry(link).and_modify(|entry| entry.remote = Some(remote));
    }

    /// Moves a link on. The old stage.
    pub(super) fn advance(&mut self, link: LinkId, now: Moment, stage: Stage) -> Option<Stage> {
        let entry = self.links.get_mut(&link)?;
        entry.since = now;
        Some(std::mem::replace(&mut entry.stage, stage))
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

    /// The link whose offer a remote answer names.
    pub(super) fn announced(&self, torrent: TorrentId, offer_id: OfferId) -> Option<LinkId> {
        let named = |stage: &Stage| matches!(stage, Stage::Announced { offer_id: own, .. } if *own == offer_id);
        self.of(torrent).find(|(_, link)| named(&link.stage)).map(|(id, _)| id)
    }

    /// Links whose offer went out by this tracker.
    pub(super) fn announced_to(&self, by: TrackerId) -> Vec<LinkId> {
        let out = |stage: &Stage| matches!(stage, Stage::Announced { tracker, .. } if *tracker == by);
        self.links.iter().filter(|(_, link)| out(&link.stage)).map(|(id, _)| *id).collect()
    }

    /// Peers of a torrent that are met or soon will be. An offer without an answer for a while reached nobody.
    pub(super) fn met(&self, torrent: TorrentId, now: Moment, limits: &Limits) -> usize {
        let counts = |link: &Link| match link.stage {
            Stage::Offering | Stage::Ready { .. } => false,
            Stage::Announced { .. } => now.since(link.since) < limits.offer_hope,
            Stage::Answering { .. } | Stage::Connecting | Stage::Open => true,
        };
        self.of(torrent).filter(|(_, link)| counts(link)).count()
    }

    /// Links that have been in their stage for too long.
    pub(super) fn expired(&self, now: Moment, limits: &Limits) -> Vec<LinkId> {
        let life = |stage: &Stage| match stage {
            Stage::Ready { .. } | Stage::Announced { .. } => limits.offer_life,
            Stage::Offering | Stage::Answering { .. } | Stage::Connecting => limits.connect_timeout,
            Stage::Open => Duration::MAX,
        };
        let late = |link: &Link| now.since(link.since) >= life(&link.stage);
        self.links.iter().filter(|(_, link)| late(link)).map(|(id, _)| *id).collect()
    }
}
