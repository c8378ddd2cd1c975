//! The extension protocol (BEP 10): greetings, metadata (BEP 9), lost pieces (BEP 54), upload-only (BEP 21).
//!
//! Invariant: an extended message goes out only under an id that its receiver has named.

use super::resolve::Outcome;
use super::{Drop, Phase, Torrent};
use crate::ids::LinkId;
use crate::peer::Peer;
use crate::time::Moment;
use crate::wire::Message;
use crate::wire::extension::{self, ExtendedHandshake, METADATA_BLOCK, MetadataMessage};

/// How we name ourselves to peers (BEP 10 `v`).
const CLIENT: &str = concat!("Swarmreel ", env!("CARGO_PKG_VERSION"));

impl Torrent {
    /// What we say of ourselves.
    pub(super) fn greeting(&self) -> Vec<u8> {
        let metadata_size = self.metainfo().map(|metainfo| metainfo.info.len() as u64);
        let handshake = ExtendedHandshake {
            ut_metadata: extension::UT_METADATA,
            lt_donthave: extension::LT_DONTHAVE,
            metadata_size,
            request_queue: Some(self.limits.request_queue_max as u32),
            client: Some(CLIENT.to_string()),
            upload_only: Some(self.upload_only),
        };
        handshake.write()
    }

    /// Greets everybody again if we have become a peer that only uploads, or are none any more (BEP 21). A super-seeder
    /// does not say so: it pretends to have nothing.
    pub(super) fn renew_greeting(&mut self) {
        let upload_only = self.is_complete() && self.super_seed.is_none();
        if std::mem::replace(&mut self.upload_only, upload_only) == upload_only {
            return;
        }
        let hello = self.greeting();
        let greeted = |peer: &&mut Peer| peer.handshake.is_some_and(|handshake| handshake.extensions);
        for peer in self.peers.values_mut().filter(greeted) {
            peer.send(&Message::Extended { id: extension::HANDSHAKE, payload: &hello });
            self.dirty.insert(peer.link);
        }
    }

    pub(super) fn extended(&mut self, now: Moment, link: LinkId, id: u8, payload: &[u8]) -> Result<(), Drop> {
        match id {
            extension::HANDSHAKE => self.extended_shaken(now, link, payload),
            extension::UT_METADATA => self.metadata(now, link, payload),
            extension::LT_DONTHAVE => {
                let index = payload.try_into().map_err(|_| "it broke the protocol")?;
                self.has_not(now, link, u32::from_be_bytes(index))
            }
            _ => Ok(()),
        }
    }

    fn extended_shaken(&mut self, now: Moment, link: LinkId, payload: &[u8]) -> Result<(), Drop> {
        let Some(peer) = self.peers.get_mut(&link) else { return Err("") };
        peer.extended.merge(payload).ok_or("its extended handshake is unreadable")?;
        if peer.is_swarmreel() {
            peer.widen(peer.message_max.min(self.limits.message_bytes_max_own));
        }
        if let (Phase::Resolving(resolver), Some(size)) = (&mut self.phase, peer.extended.metadata_size)
            && peer.extended.ut_metadata != 0
        {
            resolver.offer(link, size, &self.limits);
            self.request_metadata(now);
        }
        Ok(())
    }

    /// Asks for the metadata blocks that are due.
    pub(super) fn request_metadata(&mut self, now: Moment) {
        let Phase::Resolving(resolver) = &mut self.phase else { return };
        for (link, block) in resolver.requests(now, &self.limits) {
            if let Some(peer) = self.peers.get_mut(&link) {
                let payload = MetadataMessage::Request { block }.write();
                peer.send(&Message::Extended { id: peer.extended.ut_metadata, payload: &payload });
                self.dirty.insert(link);
            }
        }
    }

    fn metadata(&mut self, now: Moment, link: LinkId, payload: &[u8]) -> Result<(), Drop> {
        match MetadataMessage::parse(payload).ok_or("its metadata message is unreadable")? {
            MetadataMessage::Request { block } => self.serve_metadata(link, block),
            MetadataMessage::Reject { .. } => {
                if let Phase::Resolving(resolver) = &mut self.phase {
                    resolver.refuse(link, now);
                    self.request_metadata(now);
                }
            }
            MetadataMessage::Data { block, data, .. } => {
                let Phase::Resolving(resolver) = &mut self.phase else { return Ok(()) };
                match resolver.receive(now, link, block, data, &self.limits) {
                    Outcome::More => self.request_metadata(now),
                    Outcome::Complete(info) => self.resolved(now, info),
                    Outcome::Wrong(Some(liar)) => self.ban(liar),
                    Outcome::Wrong(None) => self.request_metadata(now),
                }
            }
        }
        Ok(())
    }

    fn serve_metadata(&mut self, link: LinkId, block: u32) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        if peer.extended.ut_metadata == 0 {
            return;
        }
        let info = match &self.phase {
            Phase::Sharing(content) if peer.unsent() < self.limits.link_buffer_high => &content.metainfo.info[..],
            _ => &[],
        };
        let payload = match info.chunks(METADATA_BLOCK).nth(block as usize) {
            Some(data) => MetadataMessage::Data { block, data, total: info.len() as u64 }.write(),
            None => MetadataMessage::Reject { block }.write(),
        };
        peer.send(&Message::Extended { id: peer.extended.ut_metadata, payload: &payload });
    }
}
