//! Rounds of choking, and what choked peers may have even so.
//!
//! Invariant: `unchoke` answers `interested` or comes later, never sooner (protocol.md §3.3); who is choked hears the
//! fate of each of its requests.

use super::{Drop, Phase, Torrent};
use crate::choker::Candidate;
use crate::ids::LinkId;
use crate::peer::{Has, Peer};
use crate::time::Moment;
use crate::wire::Message;
use crate::wire::fast::allowed_fast_set;

/// How often each block of a granted piece is served to a choked peer: once, and once more if its piece failed.
const GRANTS_PER_BLOCK: u32 = 2;

impl Torrent {
    pub(super) fn interested(&mut self, now: Moment, link: LinkId) -> Result<(), Drop> {
        let taken = self.peers.values().filter(|peer| peer.is_leeching() && !peer.choked).count();
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        peer.interested_in_us = true;
        let welcome = !peer.slot.welcomed && self.choker.welcomes(taken, &self.limits);
        if !peer.choked {
            // Said again, it means that our unchoke may have been lost (protocol.md §3.3).
            peer.send(&Message::Unchoke);
        } else if peer.is_leeching() && (welcome || taken < self.choker.slots()) {
            peer.unchoke(now);
        } else {
            self.grant(link);
        }
        Ok(())
    }

    /// A round of choking if one is due; else the slots that have become free go to who waits.
    pub(super) fn tick_slots(&mut self, now: Moment) {
        let candidates: Vec<Candidate> =
            self.peers.values().filter(|peer| peer.is_leeching()).map(|peer| candidate(peer, now)).collect();
        if !self.choker.is_due(now) {
            for link in self.choker.fill(&candidates) {
                self.peers.entry(link).and_modify(|peer| peer.unchoke(now));
            }
            return;
        }
        let seeding = self.is_complete();
        let unchoked = self.choker.rechoke(now, seeding, &candidates, &self.limits);
        for Candidate { link, unchoked: before, .. } in candidates {
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            match (before, unchoked.contains(&link)) {
                (false, true) => peer.unchoke(now),
                (true, false) => {
                    peer.choke(now);
                    self.grant(link);
                }
                _ => {}
            }
        }
        for peer in self.peers.values_mut() {
            peer.slot.begin_round(now, peer.down.total(), peer.up.total());
        }
    }

    /// A choked peer that has little may have a few pieces even so (BEP 6): then it has something to give. Told only
    /// when it is kept waiting: an unchoked peer needs no grants, and would ask for them before what it needs first.
    fn grant(&mut self, link: LinkId) {
        let Phase::Sharing(content) = &self.phase else { return };
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let geometry = content.pieces.geometry();
        let count = self.limits.allowed_fast_bytes / u64::from(geometry.piece_length());
        let count = (count as usize).clamp(1, self.limits.allowed_fast_pieces);
        let needy = matches!(&peer.has, Has::Known(bits) if (bits.count() as usize) < count);
        let Some(peer_id) = peer.peer_id().filter(|_| needy && peer.is_fast() && peer.granted.is_empty()) else {
            return;
        };
        // A super-seeder shows pieces in its own order.
        if self.super_seed.is_some() {
            return;
        }
        for index in allowed_fast_set(self.info_hash, peer_id, geometry.pieces(), count) {
            if let Some(piece) = geometry.piece(index).filter(|piece| content.pieces.has(*piece)) {
                peer.granted.insert(index, geometry.blocks(piece) * GRANTS_PER_BLOCK);
                peer.send(&Message::AllowedFast(index));
            }
        }
    }
}

fn candidate(peer: &Peer, now: Moment) -> Candidate {
    let (down, up) = (peer.down.total(), peer.up.total());
    let (from_it, to_it) = peer.slot.rates(now, down, up);
    Candidate {
        link: peer.link,
        unchoked: !peer.choked,
        since: peer.slot.since,
        joined: peer.opened_at,
        from_it,
        to_it,
        given: peer.slot.given(up),
        busy: peer.slot.is_busy(),
    }
}
