//! Offers and answers: what trackers relay of others, and what the driver has made of ours.
//!
//! Invariant: a remote offer is answered at most once, over the connection it came by, and only within the budget of
//! links; an answer counts only for the offer it names, and only by the tracker that offer was given to. No text of
//! others reaches the driver, only what was understood of it.

use super::Engine;
use super::links::{Remote, Stage, TrackerId};
use crate::ids::{InfoHash, LinkId, OfferId, PeerId, TorrentId};
use crate::output::{Action, Event};
use crate::time::Moment;
use crate::tracker::message::{Answer, ClientMessage};
use crate::tracker::sdp::Description;

/// What a tracker relays of another peer: its offer, or its answer to one of ours.
pub(super) struct Relayed {
    pub(super) tracker: TrackerId,
    pub(super) peer_id: PeerId,
    pub(super) offer_id: OfferId,
    pub(super) sdp: String,
}

impl Relayed {
    /// Who it is from, and what it says; `None` if that is no data channel's description.
    fn read(&self) -> Option<(Remote, Description)> {
        let description = Description::parse(&self.sdp).ok()?;
        let (tracker, peer_id, address) = (self.tracker, self.peer_id, description.address_hint());
        Some((Remote { tracker, peer_id, address }, description))
    }
}

impl Engine {
    // ---- of others

    pub(super) fn remote_offer(&mut self, now: Moment, info_hash: InfoHash, offer: Relayed) {
        let (Some(id), Some((remote, description))) = (self.torrent_of(info_hash), offer.read()) else { return };
        let useful = self.welcomes(id, remote) && !self.is_linked(id, remote.peer_id);
        if !useful || !self.admits_negotiation(now, id, offer.tracker) || !self.make_room(now, id, remote.address) {
            return;
        }
        let link = self.links.mint(now, id, Stage::Answering { offer_id: offer.offer_id }, Some(remote));
        self.act(Action::Answer { link, sdp: description.to_string() });
    }

    /// An answer that is no use leaves the offer as it is, for the next peer. Two connections to one peer may come of
    /// an offer each way: which one stays is settled when both sides know who they are (protocol.md §3.11).
    pub(super) fn remote_answer(&mut self, now: Moment, info_hash: InfoHash, answer: Relayed) {
        let (Some(id), Some((remote, description))) = (self.torrent_of(info_hash), answer.read()) else { return };
        let offered = self.links.announced(id, answer.tracker, answer.offer_id, (now, &self.limits));
        let Some(link) = offered.filter(|_| self.welcomes(id, remote)) else { return };
        self.links.advance(link, now, Stage::Connecting);
        self.links.remote_is(link, remote);
        self.act(Action::Accept { link, sdp: description.to_string() });
    }

    // ---- of the driver

    /// Asks the driver for one more offer.
    pub(super) fn offer(&mut self, now: Moment, id: TorrentId) {
        if now >= self.offers_from && self.has_room_to_offer(now, id) {
            let link = self.links.mint(now, id, Stage::Offering, None);
            self.act(Action::Offer(link));
        }
    }

    pub(super) fn offer_ready(&mut self, now: Moment, link: LinkId, sdp: &str) {
        if self.links.get(link).is_none_or(|entry| entry.stage != Stage::Offering) {
            return;
        }
        if let Some(sdp) = self.presentable(link, sdp) {
            self.links.advance(link, now, Stage::Offered { sdp, out: Vec::new() });
        }
    }

    pub(super) fn answer_ready(&mut self, now: Moment, link: LinkId, sdp: &str) {
        let Some(entry) = self.links.get(link) else { return };
        let (Stage::Answering { offer_id }, Some(Remote { tracker, peer_id: to_peer_id, .. })) =
            (&entry.stage, entry.remote)
        else {
            return;
        };
        let (offer_id, torrent) = (*offer_id, entry.torrent);
        let Some(sdp) = self.presentable(link, sdp) else { return };
        let session = self.trackers.get(&tracker).and_then(|session| Some((session.socket()?, session.peer_id())));
        let (Some((socket, peer_id)), Some(torrent)) = (session, self.torrents.get(&torrent)) else {
            self.close_link(link);
            return;
        };
        let (info_hash, left) = (torrent.info_hash(), torrent.left());
        let answer = Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, left };
        self.act(Action::SendText { socket, text: ClientMessage::Answer(answer).write() });
        self.links.advance(link, now, Stage::Connecting);
    }

    /// Our own description as others may see it. One that would tell where we are, although nobody may know, is not
    /// sent: its link is closed (threat-model V2).
    fn presentable(&mut self, link: LinkId, sdp: &str) -> Option<String> {
        if !self.limits.relay_only {
            return Some(sdp.to_string());
        }
        let relayed = Description::parse(sdp).ok().and_then(Description::into_relayed);
        if relayed.is_none()
            && let Some(torrent) = self.links.get(link).map(|entry| entry.torrent)
        {
            self.close_link(link);
            self.offers_from = self.now + self.limits.offer_pause;
            if self.relay_missed.insert(torrent) {
                let message = "No relay could be reached, and no other way is allowed: nobody can be connected to.";
                self.tell(Event::Warning { torrent, code: "relay-unreachable", message: message.to_string() });
            }
        }
        relayed.map(|description| description.to_string())
    }

    pub(super) fn link_opened(&mut self, now: Moment, link: LinkId, message_max: usize) {
        let Some(entry) = self.links.get(link) else { return };
        let (id, offered_by_us, address) = (entry.torrent, entry.offered_by_us, entry.address());
        if entry.stage == Stage::Open {
            return;
        }
        if message_max < self.limits.message_bytes_min {
            return self.close_link(link);
        }
        self.links.advance(link, now, Stage::Open);
        if let Some(torrent) = self.torrents.get_mut(&id) {
            torrent.open(now, link, offered_by_us, address, message_max);
        }
        self.collect(id);
    }

    pub(super) fn link_closed(&mut self, link: LinkId) {
        let Some(entry) = self.forget_link(link) else { return };
        if entry.stage == Stage::Offering {
            // The browser makes no connections now: asked again at once, it would refuse at once.
            self.offers_from = self.now + self.limits.offer_pause;
        }
        if let Some(torrent) = self.torrents.get_mut(&entry.torrent) {
            torrent.link_closed(link);
        }
        self.collect(entry.torrent);
        self.look_again(entry.torrent);
    }

    /// Gives a link up that has not opened.
    pub(super) fn close_link(&mut self, link: LinkId) {
        if self.links.remove(link).is_some() {
            self.act(Action::CloseLink(link));
        }
    }
}
