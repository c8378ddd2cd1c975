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
use crate::picker::{self, Asker, Lateness};
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
        Ok(())
    }

    /// The peer will not send a block. It is asked for nothing more for a moment, so that refusals make no loop.
    pub(super) fn rejected(&mut self, now: Moment, link: LinkId, request: Request) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let Phase::Sharing(content) = &mut self.phase else { return Ok(()) };
        let geometry = content.pieces.geometry();
        let block = geometry.block_at(request.piece, request.begin, request.length as usize);
        let cancelled = block.is_some_and(|block| peer.cancelled.remove(&block).is_some());
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
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Phase::Sharing(content) = &mut self.phase else { return };
        if !peer.may_be_asked(now, &self.limits) || !peer.interesting || now < peer.pause_until {
            return;
        }
        let wanted = peer.pipeline(&self.limits, now);
        let outstanding = content.pieces.outstanding(link);
        // A quarter of the pipeline at a time: one picking and one message for many blocks.
        if outstanding * 4 > wanted * 3 {
            return;
        }
        let lateness = Lateness {
            urgent: self.limits.urgent_late,
            endgame: self.limits.endgame_late,
            partial_bytes_max: self.limits.partial_bytes_max,
        };
        let has = |piece: Piece| peer.offers_piece(piece.index());
        let asker = Asker { link, has: &has };
        let room = wanted - outstanding;
        let mut blocks = picker::pick(&content.pieces, &content.wishes, asker, room, now, &lateness);
        // What was just cancelled is on its way still, or its reject is: asked again at once, it would come twice.
        peer.cancelled.retain(|_, at| now.since(*at) < self.limits.cancelled_life);
        blocks.retain(|block| !peer.cancelled.contains_key(block) || content.wishes.urgent.contains(&block.piece));
        if outstanding == 0 && !blocks.is_empty() {
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
        let asked = block.is_some_and(|block| content.pieces.is_asked(block, link));
        let late = !asked && block.is_some_and(|block| peer.cancelled.remove(&block).is_some());
        // What was on its way when it was cancelled is as good as what is asked for.
        if let Some(block) = block.filter(|block| late && content.pieces.lacks(*block, link)) {
            content.pieces.ask(block, link, now);
        }
        let received = block.map_or(Received::Unwanted, |block| content.pieces.receive(block, link, data));
        if received == Received::Unwanted {
            self.wasted += bytes;
            peer.waste += if late { 0 } else { bytes };
            let limit = self.limits.waste_max;
            return if peer.waste > limit { Err("it sends data that nobody asked for") } else { Ok(()) };
        }
        peer.delivered(now, data.len());
        let Some(block) = block else { return Ok(()) };
        match received {
            Received::Unwanted => {}
            Received::Block { cancel } => self.cancel(now, block, &cancel),
            Received::Piece { cancel, bytes, liars } => {
                self.cancel(now, block, &cancel);
                self.verified(now, block, bytes);
                liars.into_iter().for_each(|liar| self.ban(liar));
            }
            Received::Corrupt { cancel, liar } => {
                self.cancel(now, block, &cancel);
                self.corrupt(block, liar);
            }
        }
        if self.peers.contains_key(&link) { Ok(()) } else { Err("") }
    }

    fn verified(&mut self, now: Moment, block: Block, bytes: Vec<u8>) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let store = content.verified(self.id, block.piece, bytes, &self.limits);
        self.outbox.push(Output::Do(store));
        self.announce_piece(now, block.piece);
        self.settle_lost(now);
        self.moved |= !self.plays.is_empty() || !self.reads.is_empty();
        self.completed();
    }

    fn corrupt(&mut self, block: Block, liar: Option<LinkId>) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let size = content.pieces.geometry().size(block.piece);
        self.wasted += u64::from(size);
        self.warn("bad-piece", "A peer sent data that fails its hash; it is fetched again.".to_string());
        if let Some(liar) = liar {
            self.ban(liar);
        }
        self.dirty.extend(self.peers.keys());
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
