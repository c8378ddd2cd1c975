//! What peers say, and what we answer: the protocol's state machine for one link (BEP 3, 6; protocol.md §3).
//!
//! Invariant: `interested` and `unchoke` only ever answer a message of the peer, because webtorrent.js loses them when
//! they come before its handlers run (protocol.md §3.3).

use super::links::Verdict;
use super::{Drop, Phase, Torrent};
use crate::geometry::Piece;
use crate::ids::LinkId;
use crate::output::{Action, Event, Output};
use crate::peer::{EARLY_HAVES_MAX, EarlyHas, Has, Peer};
use crate::pieces::Bitfield;
use crate::time::Moment;
use crate::tracker::sdp::AddressHint;
use crate::wire::{Handshake, Message, extension};

impl Torrent {
    // ---- links

    /// A data channel is open. Both sides send their handshake at once, whoever offered (protocol.md §3.2).
    pub fn open(
        &mut self,
        now: Moment,
        link: LinkId,
        offered_by_us: bool,
        address: Option<AddressHint>,
        message_max: usize,
    ) {
        let mut peer = Peer::new(link, offered_by_us, message_max.min(self.limits.message_bytes_max), now);
        (peer.message_max, peer.address) = (message_max, address);
        let (info_hash, peer_id) = (self.info_hash, self.peer_id);
        peer.send(&Message::Handshake(Handshake { info_hash, peer_id, extensions: true, fast: true }));
        self.peers.insert(link, peer);
        self.dirty.insert(link);
    }

    /// The next bytes of a link's stream.
    pub fn data(&mut self, now: Moment, link: LinkId, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.heard_at = now;
        peer.in_doubt = false;
        self.dirty.insert(link);
        let mut decoder = std::mem::take(&mut peer.decoder);
        let mut input = bytes;
        let end = loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => {
                    if let Err(reason) = self.message(now, link, &message) {
                        break Err(reason);
                    }
                }
                Ok(None) => break Ok(()),
                Err(_) => break Err("it broke the protocol"),
            }
        };
        match (end, self.peers.get_mut(&link)) {
            (Ok(()), Some(peer)) => peer.decoder = decoder,
            (Err(reason), Some(_)) => self.drop_peer(link, reason),
            (_, None) => {}
        }
    }

    /// The channel's buffer has room again.
    pub fn drained(&mut self, link: LinkId, buffered: usize) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.drained(buffered);
            self.dirty.insert(link);
        }
    }

    /// The link is gone.
    pub fn link_closed(&mut self, link: LinkId) {
        self.forget_peer(link, "the connection closed");
    }

    /// Closes a link.
    pub(super) fn drop_peer(&mut self, link: LinkId, reason: Drop) {
        if self.forget_peer(link, reason) {
            self.outbox.push(Output::Do(Action::CloseLink(link)));
            self.closed.push(link);
        }
    }

    fn forget_peer(&mut self, link: LinkId, reason: Drop) -> bool {
        let Some(peer) = self.peers.remove(&link) else { return false };
        self.dirty.remove(&link);
        if let Some(seed) = &mut self.super_seed {
            seed.leave(link);
        }
        match &mut self.phase {
            Phase::Resolving(resolver) => resolver.leave(link),
            Phase::Sharing(content) => {
                content.pieces.release_link(link);
                if let Has::Known(bits) = &peer.has
                    && !bits.is_full()
                {
                    bits.iter().for_each(|index| content.pieces.count_peer(index, false));
                }
                self.dirty.extend(self.peers.keys());
            }
        }
        if peer.handshake.is_some() {
            self.outbox.push(Output::Tell(Event::PeerLeft { torrent: self.id, link, reason }));
        }
        true
    }

    /// Bans the peer that is, or was, at the end of a link and is proven to lie, for the session. Another link under the
    /// same id stays: it may be the one whose id was copied, and else will be convicted by its own bytes.
    pub(super) fn ban(&mut self, link: LinkId) {
        if self.ban_web_seed(link) {
            return;
        }
        if self.bans.ban(link) {
            self.judged.push((link, Verdict::Liar));
            self.drop_peer(link, "it sent data that fails its hash");
        }
    }

    // ---- messages

    fn message(&mut self, now: Moment, link: LinkId, message: &Message<'_>) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let fast_only = matches!(
            message,
            Message::Suggest(_) | Message::HaveAll | Message::HaveNone | Message::Reject(_) | Message::AllowedFast(_)
        );
        if fast_only && !peer.is_fast() {
            return Err("it sent fast messages that were not negotiated");
        }
        if !matches!(message, Message::Handshake(_)) {
            peer.coalesce();
        }
        // Blocks and news of pieces are what a link is for; what answers a request or a cancel is counted where it does not.
        let counted = !matches!(
            message,
            Message::Piece { .. } | Message::Request(_) | Message::Have(_) | Message::Cancel(_) | Message::Reject(_)
        );
        if counted && !peer.admit_control(now, self.limits.control_per_second_max) {
            return Err("it floods");
        }
        match *message {
            Message::Handshake(handshake) => self.shaken(link, handshake),
            Message::Choke => self.choked(now, link),
            Message::Unchoke => self.unchoked(now, link),
            Message::Interested => self.interested(now, link),
            Message::NotInterested => {
                peer.interested_in_us = false;
                Ok(())
            }
            Message::Have(index) => self.has(now, link, index),
            Message::Bitfield(bits) => self.has_first(now, link, EarlyHas::Bits(bits.to_vec())),
            Message::HaveAll => self.has_first(now, link, EarlyHas::All),
            Message::HaveNone => self.has_first(now, link, EarlyHas::None),
            Message::Request(request) => self.requested(now, link, request),
            Message::Piece { piece, begin, data } => self.received(now, link, piece, begin, data),
            Message::Cancel(request) => self.cancelled(now, link, request),
            Message::Reject(request) => self.rejected(now, link, request),
            Message::Extended { id, payload } => self.extended(now, link, id, payload),
            Message::AllowedFast(index) => {
                if peer.allows.len() < self.limits.allowed_fast_heard_max {
                    peer.allows.insert(index);
                }
                Ok(())
            }
            // The order is ours: what is watched, then what is rare. A suggestion says what is cheap for its sender, which
            // no deployed client says by itself; followed, it would make rare pieces rarer. We suggest nothing either.
            Message::Suggest(_) | Message::KeepAlive | Message::Port | Message::Unknown(_) => Ok(()),
        }
    }

    fn shaken(&mut self, link: LinkId, handshake: Handshake) -> Result<(), Drop> {
        if handshake.info_hash != self.info_hash {
            return Err("it is in another swarm");
        }
        if handshake.peer_id == self.peer_id {
            return Err("it is ourselves");
        }
        let address = self.peers.get(&link).and_then(|peer| peer.address);
        if self.bans.contains(handshake.peer_id, address) {
            return Err("it was caught lying before");
        }
        self.resolve_duplicate(link, &handshake)?;
        let hello = self.greeting();
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        peer.handshake = Some(handshake);
        self.bans.met(link, handshake.peer_id, address);
        if handshake.extensions {
            peer.send(&Message::Extended { id: extension::HANDSHAKE, payload: &hello });
        }
        self.send_have(link);
        let (torrent, peer_id) = (self.id, handshake.peer_id);
        self.outbox.push(Output::Tell(Event::PeerJoined { torrent, link, peer_id }));
        Ok(())
    }

    /// Says what we have, in the one message for it. Nothing while the metadata is unknown.
    fn send_have(&mut self, link: LinkId) {
        let Phase::Sharing(content) = &self.phase else { return };
        let have = content.pieces.have();
        let none = Bitfield::none(have.length());
        let have = if self.super_seed.is_some() { &none } else { have };
        let Some(peer) = self.peers.get_mut(&link) else { return };
        match (peer.is_fast(), have.count()) {
            (true, 0) => peer.send(&Message::HaveNone),
            (true, _) if have.is_full() => peer.send(&Message::HaveAll),
            (fast, _) => {
                // webtorrent.js takes a late partial bitfield for a seeder's unless a have-none came first.
                if fast && peer.is_webtorrent() {
                    peer.send(&Message::HaveNone);
                }
                peer.send(&Message::Bitfield(have.as_bytes()));
            }
        }
    }

    // ---- what peers have

    /// The metadata has just become known: what peers said before can be read now, and we can say what we have.
    pub(super) fn learn_pieces(&mut self, now: Moment) {
        let hello = self.greeting();
        let links: Vec<LinkId> = self.peers.values().filter(|p| p.handshake.is_some()).map(|p| p.link).collect();
        for link in links {
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            if peer.handshake.is_some_and(|handshake| handshake.extensions) {
                peer.send(&Message::Extended { id: extension::HANDSHAKE, payload: &hello });
            }
            self.dirty.insert(link);
            let early = std::mem::replace(&mut peer.has, Has::Unknown);
            self.send_have(link);
            let learnt = match early {
                Has::Early { first, haves } => self
                    .has_first(now, link, first)
                    .and_then(|()| haves.into_iter().try_for_each(|index| self.has(now, link, index))),
                Has::Unknown | Has::Known(_) => Ok(()),
            };
            if let Err(reason) = learnt {
                self.drop_peer(link, reason);
            }
        }
    }

    /// Bitfield, have-all or have-none.
    fn has_first(&mut self, now: Moment, link: LinkId, first: EarlyHas) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let Phase::Sharing(content) = &mut self.phase else {
            peer.has = Has::Early { first, haves: Vec::new() };
            return Ok(());
        };
        peer.has_resets += 1;
        if peer.has_resets > self.limits.has_resets_max {
            return Err("it floods");
        }
        let count = content.pieces.geometry().pieces();
        let bits = match first {
            EarlyHas::All => Bitfield::all(count),
            EarlyHas::None => Bitfield::none(count),
            EarlyHas::Bits(bytes) => Bitfield::from_bytes(&bytes, count).ok_or("its bitfield has a wrong length")?,
        };
        if let Has::Known(old) = &peer.has
            && !old.is_full()
        {
            old.iter().for_each(|index| content.pieces.count_peer(index, false));
        }
        if !bits.is_full() {
            bits.iter().for_each(|index| content.pieces.count_peer(index, true));
        }
        peer.useful = bits.iter().filter(|index| !content.pieces.have().has(*index)).count() as u32;
        if let Some(seed) = &mut self.super_seed {
            bits.iter().for_each(|index| seed.note(index));
        }
        peer.has = Has::Known(bits);
        self.update_interest(now, link);
        self.super_seed(now, link);
        Ok(())
    }

    fn has(&mut self, now: Moment, link: LinkId, index: u32) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let Phase::Sharing(content) = &mut self.phase else {
            return match &mut peer.has {
                Has::Early { haves, .. } if haves.len() >= EARLY_HAVES_MAX => Err("it floods"),
                Has::Early { haves, .. } => {
                    haves.push(index);
                    Ok(())
                }
                _ => {
                    peer.has = Has::Early { first: EarlyHas::None, haves: vec![index] };
                    Ok(())
                }
            };
        };
        let count = content.pieces.geometry().pieces();
        if index >= count {
            return Err("it has a piece that does not exist");
        }
        if !matches!(peer.has, Has::Known(_)) {
            peer.has = Has::Known(Bitfield::none(count));
        }
        let Has::Known(bits) = &mut peer.has else { return Ok(()) };
        if !bits.insert(index) {
            return if peer.admit_control(now, self.limits.control_per_second_max) { Ok(()) } else { Err("it floods") };
        }
        // A peer that has all changes the order of no piece: its share of the counts is taken out.
        if bits.is_full() {
            bits.iter().filter(|other| *other != index).for_each(|other| content.pieces.count_peer(other, false));
        } else {
            content.pieces.count_peer(index, true);
        }
        if !content.pieces.have().has(index) {
            peer.useful += 1;
        }
        if let Some(seed) = &mut self.super_seed {
            seed.note(index);
        }
        self.update_interest(now, link);
        self.super_seed(now, link);
        Ok(())
    }

    /// The peer has lost a piece (BEP 54).
    pub(super) fn has_not(&mut self, now: Moment, link: LinkId, index: u32) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        let Phase::Sharing(content) = &mut self.phase else { return Ok(()) };
        let Has::Known(bits) = &mut peer.has else { return Ok(()) };
        let was_full = bits.is_full();
        if !bits.remove(index) {
            return Ok(());
        }
        if was_full {
            peer.has_resets += 1;
            if peer.has_resets > self.limits.has_resets_max {
                return Err("it floods");
            }
            bits.iter().for_each(|other| content.pieces.count_peer(other, true));
        } else {
            content.pieces.count_peer(index, false);
        }
        if !content.pieces.have().has(index) {
            peer.useful -= 1;
        }
        self.update_interest(now, link);
        Ok(())
    }

    /// Says whether the peer has something we lack, when that changed. Only called after the peer said what it has.
    pub(super) fn update_interest(&mut self, now: Moment, link: LinkId) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let interesting = peer.useful > 0;
        if interesting != peer.interesting {
            peer.interesting = interesting;
            peer.interested_at = now;
            peer.send(if interesting { &Message::Interested } else { &Message::NotInterested });
            self.dirty.insert(link);
        }
    }

    /// A piece was verified: every peer is told (those that have it too, for they show how far we are), and those that
    /// have it are of less use.
    pub(super) fn announce_piece(&mut self, now: Moment, piece: Piece) {
        let links: Vec<LinkId> = self.peers.keys().copied().collect();
        for link in links {
            let Some(peer) = self.peers.get_mut(&link).filter(|peer| peer.handshake.is_some()) else { continue };
            if peer.has_piece(piece.index()) {
                peer.send_news(piece.index());
                peer.useful -= 1;
                self.update_interest(now, link);
            } else {
                peer.send(&Message::Have(piece.index()));
                self.dirty.insert(link);
            }
        }
    }

    /// Pieces that were verified are gone: peers that have them are of use again.
    pub(super) fn settle_lost(&mut self, now: Moment) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let lost = content.take_lost();
        if !lost.is_empty() {
            self.end_super_seeding();
            self.renew_greeting();
        }
        for piece in lost {
            self.deny_piece(piece);
            let links: Vec<LinkId> =
                self.peers.values().filter(|peer| peer.has_piece(piece.index())).map(|peer| peer.link).collect();
            for link in links {
                self.peers.entry(link).and_modify(|peer| peer.useful += 1);
                self.update_interest(now, link);
            }
        }
    }

    /// Tells those who can hear it that a piece is gone (BEP 54).
    fn deny_piece(&mut self, piece: Piece) {
        for peer in self.peers.values_mut().filter(|peer| peer.extended.lt_donthave != 0) {
            let id = peer.extended.lt_donthave;
            peer.send(&Message::Extended { id, payload: &piece.index().to_be_bytes() });
            self.dirty.insert(peer.link);
        }
    }
}
