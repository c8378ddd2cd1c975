//! Serving peers, and the clock's view of them.
//!
//! Invariant: every request ends as a block or, where the fast extension is on, a reject: webtorrent.js drops a peer
//! that leaves one unanswered for 30 s (protocol.md §3.4).

use super::links::Verdict;
use super::{Drop, Phase, Torrent};
use crate::geometry::BLOCK_LENGTH;
use crate::ids::LinkId;
use crate::time::Moment;
use crate::wire::{Message, Request};

/// Pieces loaded ahead of the one being sent.
const LOAD_AHEAD: usize = 3;

impl Torrent {
    pub(super) fn requested(&mut self, now: Moment, link: LinkId, request: Request) -> Result<(), Drop> {
        if request.length > self.limits.request_bytes_max {
            return Err("it asks for too much at once");
        }
        let geometry = self.content().map(|content| *content.pieces.geometry());
        let piece = geometry.and_then(|geometry| geometry.piece(request.piece));
        let end = u64::from(request.begin) + u64::from(request.length);
        let fits = piece.zip(geometry).is_some_and(|(piece, geometry)| end <= u64::from(geometry.size(piece)));
        let fits = fits && request.length > 0 && request.length <= BLOCK_LENGTH;
        // A piece that we had and lost may be asked for in good faith.
        let sound = fits && self.content().zip(piece).is_some_and(|(content, piece)| content.pieces.has(piece));
        let shown = self.super_seed.as_ref().is_none_or(|seed| seed.has_shown(link, request.piece));
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        if !fits {
            peer.invalid_requests += 1;
            if peer.invalid_requests > self.limits.invalid_requests_max {
                return Err("it asks for what does not exist");
            }
        }
        let room = peer.uploads.len() < self.limits.request_queue_max;
        if sound && shown && room && (!peer.choked || peer.spend_grant(request.piece)) {
            peer.uploads.push_back(request);
        } else if peer.is_fast() {
            if !peer.admit_control(now, self.limits.control_per_second_max) {
                return Err("it floods");
            }
            peer.send(&Message::Reject(request));
        }
        Ok(())
    }

    pub(super) fn cancelled(&mut self, now: Moment, link: LinkId, request: Request) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        if let Some(at) = peer.uploads.iter().position(|queued| *queued == request) {
            peer.uploads.remove(at);
            if peer.is_fast() {
                peer.send(&Message::Reject(request));
            }
            return Ok(());
        }
        // It may have been sent already.
        if peer.admit_control(now, self.limits.control_per_second_max) { Ok(()) } else { Err("it floods") }
    }

    /// Turns queued requests into blocks while the link's buffer has room.
    pub(super) fn serve(&mut self, now: Moment, link: LinkId) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Phase::Sharing(content) = &mut self.phase else { return };
        let geometry = *content.pieces.geometry();
        while peer.unsent() < self.limits.link_buffer_high
            && let Some(&request) = peer.uploads.front()
        {
            let piece = geometry.piece(request.piece).filter(|piece| content.pieces.has(*piece));
            let Some(piece) = piece else {
                peer.uploads.pop_front();
                if peer.is_fast() {
                    peer.send(&Message::Reject(request));
                }
                continue;
            };
            let Some(bytes) = content.cached(piece) else { break };
            let begin = request.begin as usize;
            let data = &bytes[begin..begin + request.length as usize];
            peer.send_block(now, request, data);
            self.up.add(now, data.len() as u64);
            peer.uploads.pop_front();
        }
        let mut next: Vec<u32> = peer.uploads.iter().take(BLOCKS_LOOKED_AT).map(|request| request.piece).collect();
        next.dedup();
        for index in next.into_iter().take(LOAD_AHEAD) {
            // What is loaded for one peer must not push out what was loaded for another.
            let room = content.loads_for_peers(geometry.piece_length(), &self.limits);
            if let Some(piece) = geometry.piece(index).filter(|piece| room && content.is_stored_only(*piece)) {
                content.load(self.id, piece, &mut self.outbox);
                self.loaded_for = link;
            }
        }
    }

    /// What is late, silent or due on the links.
    pub(super) fn tick_peers(&mut self, now: Moment) {
        let links: Vec<LinkId> = self.peers.keys().copied().collect();
        for link in links {
            if let Err(reason) = self.tick_peer(now, link) {
                self.drop_peer(link, reason);
            }
        }
        self.tick_slots(now);
        self.tick_super_seeding(now);
    }

    fn tick_peer(&mut self, now: Moment, link: LinkId) -> Result<(), Drop> {
        if self.is_late_duplicate(now, link) {
            return Err("it is connected already");
        }
        let limits = &self.limits;
        let (complete, crowded) = (self.is_complete(), self.peers.len() > limits.links_wanted);
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        if peer.handshake.is_none() && now.since(peer.opened_at) >= limits.handshake_timeout {
            return Err("it sent no handshake");
        }
        if now.since(peer.heard_at) >= limits.silence_timeout {
            return Err("it fell silent");
        }
        if peer.unsent() > 4 * limits.link_buffer_high
            || peer.buffered >= limits.link_buffer_high && now.since(peer.sent_at) >= limits.stuck_after
        {
            return Err("it does not read what it is sent");
        }
        if complete && peer.is_seed() && (crowded || now.since(peer.active_at) >= limits.seed_pair_life) {
            self.judged.push((link, Verdict::FellowSeed));
            return Err("both have everything");
        }
        if peer.handshake.is_some() && now.since(peer.sent_at) >= limits.keep_alive && !peer.has_outgoing() {
            peer.send(&Message::KeepAlive);
        }
        peer.cancelled.retain(|_, at| now.since(*at) < limits.cancelled_memory);
        peer.flush_news();
        if peer.interesting && peer.choking_us && now.since(peer.interested_at) >= limits.interested_again {
            peer.interested_at = now;
            peer.send(&Message::Interested);
        }
        let waiting = self.content().is_some_and(|content| content.pieces.outstanding(link) > 0);
        let stalled = self.peers.get(&link).map_or_else(Default::default, |peer| peer.stalled(now));
        if waiting && stalled >= self.limits.stuck_after {
            return Err("it does not deliver");
        }
        if waiting && stalled >= self.limits.snub_after && self.peers.get(&link).is_some_and(|peer| !peer.snubbed) {
            self.snub(now, link);
        }
        Ok(())
    }
}

/// Queued requests that are looked at for pieces to load.
const BLOCKS_LOOKED_AT: usize = 128;
