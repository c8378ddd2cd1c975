//! Which links stay: duplicates, doubts, and what the engine must know of links to share them out.
//!
//! Invariant: of two links between the same two peers, both sides let the same one go.

use std::time::Duration;

use super::{Drop, Torrent};
use crate::ids::LinkId;
use crate::peer::Peer;
use crate::time::Moment;
use crate::wire::Handshake;

/// What was found out about who is at the other end of a link that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is proven to have sent wrong bytes.
    Liar,
    /// It has everything, as we do.
    FellowSeed,
}

impl Torrent {
    /// What was found out about peers since the last call.
    pub fn take_judged(&mut self) -> Vec<(LinkId, Verdict)> {
        std::mem::take(&mut self.judged)
    }

    /// The network does, or does not, give a sign of the other side.
    pub fn set_in_doubt(&mut self, link: LinkId, in_doubt: bool) {
        self.peers.entry(link).and_modify(|peer| peer.in_doubt = in_doubt);
    }

    /// The network has changed: there is no sign of anyone until bytes come, and what is fetched is fetched anew.
    pub fn doubt_all(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.in_doubt = true);
        self.fetch_anew();
    }

    /// Number of open links without a sign of the other side.
    pub fn in_doubt(&self) -> usize {
        self.peers.values().filter(|peer| peer.in_doubt).count()
    }

    /// Whether there is no sign of the other side of an open link.
    pub fn is_in_doubt(&self, link: LinkId) -> bool {
        self.peers.get(&link).is_some_and(|peer| peer.in_doubt)
    }

    /// Each open link, and for how long it has carried no payload.
    pub fn idle(&self, now: Moment) -> impl Iterator<Item = (LinkId, Duration)> + '_ {
        self.peers.values().map(move |peer| (peer.link, now.since(peer.active_at)))
    }

    /// Something is missing, and nobody has given or taken anything for a while.
    pub fn is_starving(&self, now: Moment) -> bool {
        let idle = |(_, span): (LinkId, Duration)| span >= self.limits.starving_after;
        !self.is_complete() && !self.peers.is_empty() && self.idle(now).all(idle)
    }

    /// Closes a link for the sake of others.
    pub fn dismiss(&mut self, link: LinkId) {
        self.drop_peer(link, "it makes room for others");
    }

    /// There is an older link to the same peer, and the peer has not closed either in all this time.
    pub(super) fn is_late_duplicate(&self, now: Moment, link: LinkId) -> bool {
        let Some(peer) = self.peers.get(&link) else { return false };
        let is_older = |other: &Peer| other.link < link && other.peer_id() == peer.peer_id();
        let late = peer.peer_id().is_some() && now.since(peer.opened_at) >= self.limits.duplicate_patience;
        late && self.peers.values().any(is_older)
    }

    /// Two links to one peer: both sides keep the one that the larger id offered. Of two that the same side offered,
    /// that side closes the newer (protocol.md §3.11). A link in doubt gives way: the peer has come back.
    pub(super) fn resolve_duplicate(&mut self, link: LinkId, handshake: &Handshake) -> Result<(), Drop> {
        const REASON: Drop = "it is connected already";
        let same = |peer: &&Peer| peer.link != link && peer.peer_id() == Some(handshake.peer_id);
        let doubtful: Vec<LinkId> = self.peers.values().filter(same).filter(|p| p.in_doubt).map(|p| p.link).collect();
        doubtful.into_iter().for_each(|link| self.drop_peer(link, "it came back over another connection"));
        let Some(other) = self.peers.values().find(same).map(|peer| (peer.link, peer.offered_by_us)) else {
            return Ok(());
        };
        let offered_by_us = self.peers.get(&link).is_some_and(|peer| peer.offered_by_us);
        let ours_stays = self.peer_id > handshake.peer_id;
        match (offered_by_us, other.1) {
            (true, true) => Err(REASON),
            // webtorrent.js knows us by another id at each tracker, and would keep both.
            (false, false) if !handshake.peer_id.0.starts_with(b"-SR") => Err(REASON),
            // It closes the newer, and has a moment to do so: `is_late_duplicate`.
            (false, false) if self.peers.values().filter(same).count() < 2 => Ok(()),
            (false, false) => Err(REASON),
            (new_is_ours, _) if new_is_ours == ours_stays => {
                self.drop_peer(other.0, REASON);
                Ok(())
            }
            _ => Err(REASON),
        }
    }
}
