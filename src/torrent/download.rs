//! Asking for blocks and taking them in.
//!
//! Invariant: a block counts only if it was asked of the link it came from; every request ends as a block, a reject,
//! a cancel or a closed link.

use std::collections::BTreeSet;

use super::play::Play;
use super::{Drop, Phase, Torrent};
use crate::geometry::{Block, Piece};
use crate::ids::LinkId;
use crate::output::Output;
use crate::picker::{self, Asker, Terms};
use crate::pieces::Received;
use crate::time::Moment;
use crate::wire::{Message, Request};

impl Torrent {
    pub(super) fn choked(&mut self, now: Moment, link: LinkId) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        peer.choking_us = true;
        peer.choking_since = now;
        let fast = peer.is_fast();
        if let Phase::Sharing(content) = &mut self.phase {
            // Without the fast extension a choke forgets every request; with it, rejects follow (BEP 6).
            if !fast {
                content.pieces.release_link(link);
            }
            content.pieces.abandon(link);
            self.dirty.extend(self.peers.keys());
        }
        Ok(())
    }

    pub(super) fn unchoked(&mut self, now: Moment, link: LinkId) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        peer.choking_us = false;
        peer.progress_at = now;
        peer.pipeline.restart();
        Ok(())
    }

    /// The peer will not send a block. It is asked for nothing more for a moment, so that refusals make no loop.
    pub(super) fn rejected(&mut self, now: Moment, link: LinkId, request: Request) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let Phase::Sharing(content) = &mut self.phase else { return Ok(()) };
        let geometry = content.pieces.geometry();
        let block = geometry.block_at(request.piece, request.begin, request.length as usize);
        let is_answer = |at: Moment| now.since(at) < self.limits.cancelled_life;
        let cancelled = block.is_some_and(|block| peer.cancelled.remove(&block).is_some_and(is_answer));
        if cancelled {
            // The answer to our cancel, not to what was asked for since.
            return Ok(());
        }
        if block.is_some_and(|block| content.pieces.release(block, link)) {
            peer.pause_until = now + self.limits.reject_pause;
            self.dirty.extend(self.peers.keys().filter(|other| **other != link));
            return Ok(());
        }
        if peer.admit_control(now, self.limits.control_per_second_max) { Ok(()) } else { Err("it floods") }
    }

    /// Keeps the link's pipeline full.
    pub(super) fn refill(&mut self, now: Moment, link: LinkId) {
        let mut blocks = self.pick(now, link);
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Phase::Sharing(content) = &mut self.phase else { return };
        // What was just cancelled is on its way still, or its reject is: asked again at once, it would come twice.
        let is_near =
            |block: &Block| peer.cancelled.get(block).is_some_and(|at| now.since(*at) < self.limits.cancelled_life);
        blocks.retain(|block| !is_near(block) || content.wishes.urgent.contains(&block.piece));
        let Some(last) = blocks.last() else { return };
        peer.last_asked = Some(last.piece);
        let outstanding = content.pieces.outstanding(link);
        peer.pipeline.asked(now, outstanding);
        if outstanding == 0 {
            // A snubbed link gets its time to show that it lives, too.
            let snubbed_at = Moment(now.0.saturating_sub(self.limits.snub_after.as_micros() as u64));
            peer.progress_at = if peer.snubbed { peer.progress_at.max(snubbed_at) } else { now };
        }
        for block in blocks {
            content.pieces.ask(block, link, now);
            let length = content.pieces.geometry().block_size(block);
            let (piece, begin) = (block.piece.index(), block.begin());
            peer.send(&Message::Request(Request { piece, begin, length }));
        }
    }

    /// The blocks to ask of a link now, if it is time to ask.
    fn pick(&self, now: Moment, link: LinkId) -> Vec<Block> {
        let Some(peer) = self.peers.get(&link) else { return Vec::new() };
        let Phase::Sharing(content) = &self.phase else { return Vec::new() };
        if !peer.may_be_asked(now, &self.limits) || !peer.interesting || now < peer.pause_until {
            return Vec::new();
        }
        let outstanding = |link| content.pieces.outstanding(link);
        let wanted = peer.depth(now, self.span, &self.limits);
        // A quarter of the pipeline at a time: one picking and one message for many blocks.
        if outstanding(link) * 4 > wanted * 3 {
            return Vec::new();
        }
        let pace = |link: LinkId| self.peers.get(&link).and_then(|peer| peer.pace(now, outstanding(link)));
        let count = wanted - outstanding(link);
        let Some(has) = peer.offers() else { return Vec::new() };
        let asker = Asker { link, has: &has, count, last: peer.last_asked, pace: &pace };
        let terms = Terms {
            now,
            urgent_late: self.limits.urgent_late,
            steal_gain: self.limits.steal_gain,
            endgame_late: self.limits.endgame_late,
            partial_bytes_max: self.limits.partial_bytes_max,
            random_first: self.limits.random_first_pieces,
        };
        picker::pick(&content.pieces, &content.wishes, asker, &terms)
    }

    /// A block came.
    pub(super) fn received(
        &mut self,
        now: Moment,
        link: LinkId,
        piece: u32,
        begin: u32,
        data: &[u8],
    ) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let bytes = data.len() as u64;
        self.down.add(now, bytes);
        let Phase::Sharing(content) = &mut self.phase else { return Err("it sent data that nobody asked for") };
        let block = content.pieces.geometry().block_at(piece, begin, data.len());
        let asked_at = block.and_then(|block| content.pieces.asked_at(block, link));
        let late = asked_at.is_none() && block.is_some_and(|block| peer.cancelled.remove(&block).is_some());
        // What was on its way when it was cancelled is as good as what is asked for.
        if let Some(block) = block.filter(|block| late && content.pieces.lacks(*block, link, now)) {
            content.pieces.ask(block, link, now);
        }
        let received = block.map_or(Received::Unwanted, |block| content.pieces.receive(block, link, data));
        if received == Received::Unwanted {
            self.wasted += bytes;
            peer.waste += if late { 0 } else { bytes };
            let limit = self.limits.waste_max;
            return if peer.waste > limit { Err("it sends data that nobody asked for") } else { Ok(()) };
        }
        peer.delivered(now, data.len(), asked_at.unwrap_or(now), self.span, &self.limits);
        if let Some(block) = block {
            self.taken_in(now, block, received);
        }
        if self.peers.contains_key(&link) { Ok(()) } else { Err("") }
    }

    /// A block was taken in: what follows from it.
    pub(super) fn taken_in(&mut self, now: Moment, block: Block, received: Received) {
        match received {
            Received::Unwanted => {}
            Received::Block { cancel } => self.cancel(now, block, &cancel),
            Received::Piece { cancel, bytes, liars } => {
                self.cancel(now, block, &cancel);
                self.verified(now, block, bytes);
                liars.into_iter().for_each(|liar| self.ban(liar));
            }
            Received::Corrupt { cancel, liar, failures } => {
                self.cancel(now, block, &cancel);
                self.corrupt(now, block, liar, failures);
            }
        }
    }

    fn verified(&mut self, now: Moment, block: Block, bytes: Vec<u8>) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        content.warned_of_sources = false;
        let store = content.verified(self.id, block.piece, bytes, &self.limits);
        self.outbox.push(Output::Do(store));
        self.announce_piece(now, block.piece);
        self.settle_lost(now);
        self.moved |= !self.plays.is_empty() || !self.reads.is_empty();
        self.completed();
    }

    fn corrupt(&mut self, now: Moment, block: Block, liar: Option<LinkId>, failures: u32) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let limits = &self.limits;
        let hopeless = failures >= limits.bad_rounds_max;
        if hopeless {
            let doubled = limits.bad_piece_pause * 2u32.saturating_pow((failures - limits.bad_rounds_max).min(16));
            content.pieces.rest(block.piece, now + doubled.min(limits.bad_piece_pause_max));
        }
        self.wasted += u64::from(content.pieces.geometry().size(block.piece));
        self.warn("bad-piece", "A peer sent data that fails its hash; it is fetched again.".to_string());
        if let Some(liar) = liar {
            self.ban(liar);
        }
        let anyone = self.web.is_any() || self.peers.values().any(|peer| peer.has_piece(block.piece.index()));
        if hopeless || !anyone {
            self.warn_of_sources();
        }
        self.dirty.extend(self.peers.keys());
    }

    /// Says, once until a piece is verified, that what comes is not what the torrent describes (threat-model F6).
    fn warn_of_sources(&mut self) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        if !std::mem::replace(&mut content.warned_of_sources, true) {
            let words = "No good source: every peer's data fails its hash. It is tried again now and then.";
            self.warn("no-good-source", words.to_string());
        }
    }

    /// Suspect pieces that their only source is too slow with go to another.
    pub(super) fn pass_over_slow_sources(&mut self, now: Moment) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        for (block, link) in content.pieces.pass_over(now, self.limits.sole_source_patience) {
            self.cancel(now, block, &[link]);
        }
    }

    /// Others need not send a block any more.
    fn cancel(&mut self, now: Moment, block: Block, links: &[LinkId]) {
        let Phase::Sharing(content) = &self.phase else { return };
        let length = content.pieces.geometry().block_size(block);
        let request = Request { piece: block.piece.index(), begin: block.begin(), length };
        for link in links {
            if let Some(peer) = self.peers.get_mut(link) {
                peer.send(&Message::Cancel(request));
                peer.cancelled.insert(block, now);
                self.dirty.insert(*link);
            } else {
                self.web.stir();
            }
        }
    }

    /// Takes back what was asked of a link, all of it or what is not wished for at once.
    fn take_back(&mut self, now: Moment, link: LinkId, keep: impl Fn(Block) -> bool) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let blocks: Vec<Block> = content.pieces.asked_of(link).into_iter().filter(|block| !keep(*block)).collect();
        for block in &blocks {
            content.pieces.release(*block, link);
        }
        content.pieces.abandon(link);
        for block in blocks {
            self.cancel(now, block, &[link]);
        }
    }

    /// Takes back everything that was asked of anyone.
    pub(super) fn take_all_back(&mut self, now: Moment) {
        let links: Vec<LinkId> = self.peers.keys().copied().collect();
        links.into_iter().for_each(|link| self.take_back(now, link, |_| false));
        self.cancel_streams(None);
    }

    /// After a jump to what is not there: all requests make way for it, and are made again behind it.
    pub(super) fn cancel_unwanted(&mut self, now: Moment) {
        let Phase::Sharing(content) = &self.phase else { return };
        let geometry = content.pieces.geometry();
        let demanded: Vec<_> = self.plays.values().flat_map(Play::demanded).collect();
        let wanted: BTreeSet<Piece> = demanded.iter().flat_map(|range| geometry.covering(range)).collect();
        if wanted.iter().all(|piece| content.pieces.has(*piece)) {
            return;
        }
        let links: Vec<LinkId> = self.peers.keys().copied().collect();
        links.into_iter().for_each(|link| self.take_back(now, link, |block| wanted.contains(&block.piece)));
        self.cancel_unwanted_streams(&wanted);
        self.dirty.extend(self.peers.keys());
    }

    /// A link that delivers nothing: others are asked instead, and it gets one block to show that it lives.
    pub(super) fn snub(&mut self, now: Moment, link: LinkId) {
        self.take_back(now, link, |_| false);
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.snubbed = true;
        }
        self.dirty.extend(self.peers.keys());
    }
}
