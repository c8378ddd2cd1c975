//! What we have of a torrent, and what we asked for.
//!
//! Invariant: a piece is in exactly one state. `Missing` ⇄ `Partial` → `Verified` → `Kept`; `Claimed` (an earlier
//! session says it is stored) → `Kept` or `Missing`. Only bytes whose hash is right ever leave this module.

mod bitfield;
mod partial;
mod rarity;
mod requests;

use std::collections::BTreeMap;
use std::ops::Range;

pub use bitfield::Bitfield;
use partial::Partial;
use rarity::Rarity;
use requests::Requests;

use crate::geometry::{Block, Geometry, Piece};
use crate::hash::{Digest, sha1};
use crate::ids::LinkId;
use crate::time::Moment;

/// Where a piece stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing of it is here or asked for.
    Missing,
    /// Stored by an earlier session, not yet hashed in this one.
    Claimed,
    /// Some blocks are here or asked for.
    Partial,
    /// Its hash is right; it is on its way to the store.
    Verified,
    /// Its hash is right and it is stored.
    Kept,
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was not asked of this link, or is here already.
    Unwanted,
    /// It is in.
    Block {
        /// Other links that were asked for it and need not send it any more.
        cancel: Vec<LinkId>,
    },
    /// It was the last of its piece, whose hash is right.
    Piece {
        /// Other links that were asked for the block.
        cancel: Vec<LinkId>,
        /// The whole piece.
        bytes: Vec<u8>,
        /// Links that a good copy now proves to have sent other bytes before.
        liars: Vec<LinkId>,
    },
    /// It was the last of its piece, whose hash is wrong; the piece is missing again.
    Corrupt {
        /// Other links that were asked for the block.
        cancel: Vec<LinkId>,
        /// Every block came from this link, so it is proven to lie.
        liar: Option<LinkId>,
    },
}

/// A piece whose hash failed: from now on fetched whole from one link at a time, so that the next failure has one
/// author; and the old blocks are remembered, so that a good copy convicts who sent them (threat-model P10, P11).
#[derive(Clone, Debug, Default)]
struct Suspect {
    sole_source: Option<LinkId>,
    evidence: Vec<(Block, LinkId, Digest)>,
}

/// The piece map of one torrent.
#[derive(Clone, Debug)]
pub struct Pieces {
    geometry: Geometry,
    hashes: Vec<Digest>,
    status: Vec<Status>,
    have: Bitfield,
    verified_bytes: u64,
    partial: BTreeMap<Piece, Partial>,
    partial_bytes: usize,
    requests: Requests,
    suspects: BTreeMap<Piece, Suspect>,
    rarity: Rarity,
}

impl Pieces {
    /// Everything missing.
    ///
    /// # Panics
    /// If there are not as many hashes as pieces.
    pub fn new(geometry: Geometry, hashes: Vec<Digest>, shuffle: u32) -> Self {
        let count = geometry.pieces();
        assert_eq!(hashes.len(), count as usize, "one hash a piece");
        Self {
            geometry,
            hashes,
            status: vec![Status::Missing; count as usize],
            have: Bitfield::none(count),
            verified_bytes: 0,
            partial: BTreeMap::new(),
            partial_bytes: 0,
            requests: Requests::default(),
            suspects: BTreeMap::new(),
            rarity: Rarity::new(&geometry, shuffle),
        }
    }

    /// The torrent's shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Where a piece stands.
    pub fn status(&self, piece: Piece) -> Status {
        self.status[piece.index() as usize]
    }

    /// Its hash is right.
    pub fn has(&self, piece: Piece) -> bool {
        self.have.has(piece.index())
    }

    /// The pieces whose hash is right.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Bytes of the pieces whose hash is right.
    pub fn verified_bytes(&self) -> u64 {
        self.verified_bytes
    }

    /// Memory taken by partial pieces, bytes.
    pub fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    fn set_status(&mut self, piece: Piece, status: Status) {
        if status == Status::Missing {
            self.rarity.list(piece);
        } else {
            self.rarity.unlist(piece);
        }
        self.status[piece.index() as usize] = status;
        let size = u64::from(self.geometry.size(piece));
        if matches!(status, Status::Verified | Status::Kept) {
            if self.have.insert(piece.index()) {
                self.verified_bytes += size;
            }
        } else if self.have.remove(piece.index()) {
            self.verified_bytes -= size;
        }
    }

    // ---- what is stored

    /// An earlier session says that this piece is stored. Only a missing piece can be claimed.
    pub fn claim(&mut self, piece: Piece) {
        if self.status(piece) == Status::Missing {
            self.set_status(piece, Status::Claimed);
        }
    }

    /// The claimed piece's stored bytes: kept if their hash is right, else missing. True if kept.
    pub fn prove(&mut self, piece: Piece, bytes: &[u8]) -> bool {
        let right = self.is_right(piece, bytes);
        if self.status(piece) == Status::Claimed {
            self.set_status(piece, if right { Status::Kept } else { Status::Missing });
        }
        right
    }

    /// Are these the bytes of this piece?
    pub fn is_right(&self, piece: Piece, bytes: &[u8]) -> bool {
        bytes.len() == self.geometry.size(piece) as usize && sha1(bytes) == self.hashes[piece.index() as usize]
    }

    /// The store has the piece: a verified one becomes kept.
    pub fn keep(&mut self, piece: Piece) {
        if self.status(piece) == Status::Verified {
            self.set_status(piece, Status::Kept);
        }
    }

    /// Everything is stored already: a seed. What was on its way in is dropped.
    ///
    /// # Panics
    /// If blocks are still asked for.
    pub fn keep_all(&mut self) {
        self.requests.check_empty();
        self.partial.clear();
        self.partial_bytes = 0;
        self.suspects.clear();
        self.geometry.all().for_each(|piece| self.set_status(piece, Status::Kept));
    }

    /// The bytes are gone: claimed, verified or kept becomes missing.
    pub fn lose(&mut self, piece: Piece) {
        if matches!(self.status(piece), Status::Claimed | Status::Verified | Status::Kept) {
            self.set_status(piece, Status::Missing);
        }
    }

    // ---- what peers have

    /// One more (or fewer) connected peer has this piece.
    pub fn count_peer(&mut self, index: u32, more: bool) {
        if let Some(piece) = self.geometry.piece(index) {
            self.rarity.count(piece, more);
        }
    }

    /// The missing pieces, rarest first.
    pub fn rarest(&self) -> impl Iterator<Item = Piece> + '_ {
        self.rarity.iter()
    }

    /// The partial pieces, in order.
    pub fn begun(&self) -> impl Iterator<Item = Piece> + '_ {
        self.partial.keys().copied()
    }

    /// The partial pieces of which some blocks are not asked for, in order.
    pub fn partials(&self) -> impl Iterator<Item = Piece> + '_ {
        self.partial.iter().filter(|(_, partial)| partial.has_free()).map(|(piece, _)| *piece)
    }

    // ---- requests

    /// The blocks of a piece that nobody was asked for and this link may be asked for.
    pub fn free_blocks(&self, piece: Piece, link: LinkId) -> Vec<Block> {
        if self.suspects.get(&piece).and_then(|suspect| suspect.sole_source).is_some_and(|sole| sole != link) {
            return Vec::new();
        }
        let block = |index| self.geometry.block(piece, index);
        match self.status(piece) {
            Status::Missing => (0..self.geometry.blocks(piece)).filter_map(block).collect(),
            Status::Partial => self.partial[&piece].free().filter_map(block).collect(),
            _ => Vec::new(),
        }
    }

    /// The blocks of a piece that were asked for: since when, and of how many links. Without those that this link
    /// was asked for itself, or must not be.
    pub fn asked_blocks(&self, piece: Piece, link: LinkId) -> Vec<(Block, Moment, usize)> {
        if self.suspects.contains_key(&piece) {
            return Vec::new();
        }
        let mut asked = self.requests.of_piece(piece);
        asked.retain(|(block, _, _)| !self.requests.contains(*block, link));
        asked
    }

    /// This link may be asked for the block, whoever else was.
    pub fn lacks(&self, block: Block, link: LinkId) -> bool {
        let is_asked = || self.asked_blocks(block.piece, link).iter().any(|(asked, _, _)| *asked == block);
        self.free_blocks(block.piece, link).contains(&block) || is_asked()
    }

    /// Notes that a block is asked of a link.
    ///
    /// # Panics
    /// If the block is here already, or was asked of this link before.
    pub fn ask(&mut self, block: Block, link: LinkId, now: Moment) {
        assert!(!self.requests.contains(block, link), "a block is asked of a link once");
        let piece = block.piece;
        if self.status(piece) == Status::Missing {
            self.set_status(piece, Status::Partial);
            let partial = Partial::new(&self.geometry, piece);
            self.partial_bytes += partial.size();
            self.partial.insert(piece, partial);
        }
        self.partial.get_mut(&piece).expect("only missing and partial pieces are asked for").ask(block.index());
        self.requests.insert(block, link, now);
        if let Some(suspect) = self.suspects.get_mut(&piece) {
            suspect.sole_source.get_or_insert(link);
        }
    }

    /// A link will not send a block. False if it was not asked.
    pub fn release(&mut self, block: Block, link: LinkId) -> bool {
        let asked = self.requests.remove(block, link);
        if asked && let Some(partial) = self.partial.get_mut(&block.piece) {
            partial.release(block.index());
            let abandoned = self.suspects.get(&block.piece).is_some_and(|suspect| suspect.sole_source == Some(link))
                && self.requests.of_piece(block.piece).is_empty();
            if partial.is_idle() || abandoned {
                self.forget_partial(block.piece);
            }
        }
        asked
    }

    /// The blocks asked of a link, in order.
    pub fn asked_of(&self, link: LinkId) -> Vec<Block> {
        self.requests.of_link(link)
    }

    /// The blocks asked of a link that hold any of these content bytes, in order.
    pub fn asked_within(&self, link: LinkId, content: Range<u64>) -> impl DoubleEndedIterator<Item = Block> + '_ {
        let end = content.end.min(self.geometry.length());
        let first = self.geometry.block_of(content.start).filter(|_| content.start < end);
        let last = end.checked_sub(1).and_then(|last| self.geometry.block_of(last));
        first.zip(last).into_iter().flat_map(move |(first, last)| self.requests.between(link, first, last))
    }

    /// A link is gone, or choked us: everything asked of it is free again. The blocks, in order.
    pub fn release_link(&mut self, link: LinkId) -> Vec<Block> {
        let blocks = self.requests.of_link(link);
        for block in &blocks {
            self.release(*block, link);
        }
        self.abandon(link);
        blocks
    }

    /// A link will not go on with the suspect pieces that only it may send: they are free for another.
    pub fn abandon(&mut self, link: LinkId) {
        let sole = |(piece, suspect): (&Piece, &Suspect)| (suspect.sole_source == Some(link)).then_some(*piece);
        let left: Vec<Piece> = self.suspects.iter().filter_map(sole).collect();
        for piece in left {
            if self.partial.contains_key(&piece) && self.requests.of_piece(piece).is_empty() {
                self.forget_partial(piece);
            }
        }
    }

    fn forget_partial(&mut self, piece: Piece) {
        if let Some(partial) = self.partial.remove(&piece) {
            self.partial_bytes -= partial.size();
        }
        if let Some(suspect) = self.suspects.get_mut(&piece) {
            suspect.sole_source = None;
        }
        self.set_status(piece, Status::Missing);
    }

    /// Was this block asked of this link?
    pub fn is_asked(&self, block: Block, link: LinkId) -> bool {
        self.requests.contains(block, link)
    }

    /// Number of blocks asked of a link.
    pub fn outstanding(&self, link: LinkId) -> usize {
        self.requests.count(link)
    }

    /// A block arrives.
    pub fn receive(&mut self, block: Block, link: LinkId, data: &[u8]) -> Received {
        let piece = block.piece;
        if !self.requests.remove(block, link) {
            return Received::Unwanted;
        }
        let Some(partial) = self.partial.get_mut(&piece) else { return Received::Unwanted };
        if !partial.receive(block, data, link) {
            return Received::Unwanted;
        }
        let digest = partial.digest();
        let cancel: Vec<LinkId> = self.requests.of_block(block).collect();
        for other in &cancel {
            self.requests.remove(block, *other);
        }
        match digest {
            None => Received::Block { cancel },
            Some(digest) if digest == self.hashes[piece.index() as usize] => self.complete(piece, cancel),
            Some(_) => self.reject(piece, cancel),
        }
    }

    fn complete(&mut self, piece: Piece, cancel: Vec<LinkId>) -> Received {
        let partial = self.partial.remove(&piece).expect("the piece was partial");
        self.partial_bytes -= partial.size();
        let bytes = partial.into_bytes();
        self.set_status(piece, Status::Verified);
        let evidence = self.suspects.remove(&piece).map_or_else(Vec::new, |suspect| suspect.evidence);
        let mut liars: Vec<LinkId> = Vec::new();
        for (block, link, digest) in evidence {
            let begin = block.begin() as usize;
            let end = begin + self.geometry.block_size(block) as usize;
            if !liars.contains(&link) && sha1(&bytes[begin..end]) != digest {
                liars.push(link);
            }
        }
        Received::Piece { cancel, bytes, liars }
    }

    fn reject(&mut self, piece: Piece, cancel: Vec<LinkId>) -> Received {
        let partial = self.partial.remove(&piece).expect("the piece was partial");
        self.partial_bytes -= partial.size();
        self.set_status(piece, Status::Missing);
        let suspect = self.suspects.entry(piece).or_default();
        suspect.sole_source = None;
        let senders = partial.senders();
        let bytes = partial.into_bytes();
        for (index, link) in &senders {
            if let Some(block) = self.geometry.block(piece, *index) {
                let begin = block.begin() as usize;
                let end = begin + self.geometry.block_size(block) as usize;
                suspect.evidence.push((block, *link, sha1(&bytes[begin..end])));
            }
        }
        let sole = senders.first().map(|(_, link)| *link);
        let liar = sole.filter(|sole| senders.iter().all(|(_, link)| link == sole));
        Received::Corrupt { cancel, liar }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        self.requests.check();
        let mut partial_bytes = 0;
        for piece in self.geometry.all() {
            let status = self.status(piece);
            assert_eq!(self.partial.contains_key(&piece), status == Status::Partial, "{piece:?} {status:?}");
            assert_eq!(self.has(piece), matches!(status, Status::Verified | Status::Kept));
            assert_eq!(self.rarity.is_listed(piece), status == Status::Missing);
        }
        for partial in self.partial.values() {
            partial.check();
            assert!(!partial.is_idle(), "an idle piece is missing, not partial");
            partial_bytes += partial.size();
        }
        assert_eq!(partial_bytes, self.partial_bytes);
        for (block, link, _) in self.requests.iter() {
            let partial = &self.partial[&block.piece];
            assert!(!partial.is_received(block.index()), "{block:?} is here and still asked of {link:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);
    const NOW: Moment = Moment(0);

    fn content() -> Vec<u8> {
        (0..100_000u32).map(|byte| (byte % 251) as u8).collect()
    }

    /// Two pieces: 4 blocks, and 3 of which the last is short.
    fn pieces() -> Pieces {
        let hashes = content().chunks(65_536).map(sha1).collect();
        Pieces::new(Geometry::new(100_000, 65_536), hashes, 5)
    }

    fn give(pieces: &mut Pieces, piece: u32, block: u32, link: LinkId, flip: u8) -> Received {
        let geometry = *pieces.geometry();
        let block = geometry.block(geometry.piece(piece).unwrap(), block).unwrap();
        if !pieces.is_asked(block, link) {
            pieces.ask(block, link, NOW);
        }
        pieces.check();
        let start = geometry.offset(block.piece) as usize + block.begin() as usize;
        let mut data = content()[start..start + geometry.block_size(block) as usize].to_vec();
        data[0] ^= flip;
        let received = pieces.receive(block, link, &data);
        pieces.check();
        received
    }

    #[test]
    fn blocks_in_any_order_make_a_verified_piece() {
        let mut pieces = pieces();
        for block in [3, 1, 2] {
            assert!(matches!(give(&mut pieces, 0, block, A, 0), Received::Block { .. }));
        }
        let Received::Piece { bytes, liars, .. } = give(&mut pieces, 0, 0, B, 0) else { panic!("complete") };
        assert_eq!((bytes, liars), (content()[..65_536].to_vec(), vec![]));
        assert_eq!(pieces.verified_bytes(), 65_536);
        let first = pieces.geometry().piece(0).unwrap();
        assert_eq!(pieces.status(first), Status::Verified);
        pieces.keep(first);
        assert_eq!(pieces.status(first), Status::Kept);
        pieces.lose(first);
        pieces.check();
        assert_eq!((pieces.status(first), pieces.verified_bytes()), (Status::Missing, 0));
    }

    #[test]
    fn a_sole_author_of_a_bad_piece_is_a_liar() {
        let mut pieces = pieces();
        give(&mut pieces, 1, 0, A, 0);
        give(&mut pieces, 1, 1, A, 1);
        assert_eq!(give(&mut pieces, 1, 2, A, 0), Received::Corrupt { cancel: vec![], liar: Some(A) });
    }

    #[test]
    fn a_good_copy_convicts_the_author_of_the_bad_block_only() {
        let mut pieces = pieces();
        give(&mut pieces, 1, 0, A, 0);
        give(&mut pieces, 1, 1, B, 1);
        assert_eq!(give(&mut pieces, 1, 2, A, 0), Received::Corrupt { cancel: vec![], liar: None });
        let first = pieces.geometry().piece(1).unwrap();
        give(&mut pieces, 1, 0, A, 0);
        assert!(pieces.free_blocks(first, B).is_empty(), "a suspect piece comes from one link");
        give(&mut pieces, 1, 1, A, 0);
        let Received::Piece { liars, .. } = give(&mut pieces, 1, 2, A, 0) else { panic!("complete") };
        assert_eq!(liars, [B]);
    }

    #[test]
    fn a_vanished_sole_source_frees_a_suspect_piece() {
        let mut pieces = pieces();
        give(&mut pieces, 1, 0, A, 0);
        give(&mut pieces, 1, 1, B, 1);
        give(&mut pieces, 1, 2, A, 0);
        give(&mut pieces, 1, 0, A, 0);
        let piece = pieces.geometry().piece(1).unwrap();
        let second = pieces.geometry().block(piece, 1).unwrap();
        pieces.ask(second, A, NOW);
        pieces.release_link(A);
        pieces.check();
        assert_eq!(pieces.free_blocks(piece, B).len(), 3);
    }

    #[test]
    fn a_suspect_piece_is_free_again_when_its_sole_source_leaves_with_nothing_outstanding() {
        let mut pieces = pieces();
        give(&mut pieces, 1, 0, A, 0);
        give(&mut pieces, 1, 1, B, 1);
        give(&mut pieces, 1, 2, A, 0);
        give(&mut pieces, 1, 0, A, 0);
        assert_eq!(pieces.outstanding(A), 0);
        pieces.release_link(A);
        pieces.check();
        let piece = pieces.geometry().piece(1).unwrap();
        assert_eq!(pieces.free_blocks(piece, B).len(), 3);
    }

    #[test]
    fn a_block_asked_of_two_is_cancelled_at_the_other() {
        let mut pieces = pieces();
        let block = pieces.geometry().block_at(0, 0, 16_384).unwrap();
        pieces.ask(block, A, NOW);
        pieces.ask(block, B, NOW);
        assert_eq!(pieces.asked_blocks(block.piece, LinkId(3)), [(block, NOW, 2)]);
        assert_eq!(give(&mut pieces, 0, 0, A, 0), Received::Block { cancel: vec![B] });
        assert_eq!(pieces.receive(block, B, &[0; 16_384]), Received::Unwanted);
        assert_eq!(pieces.outstanding(B), 0);
    }

    #[test]
    fn releasing_everything_leaves_the_piece_missing() {
        let mut pieces = pieces();
        let block = pieces.geometry().block_at(0, 0, 16_384).unwrap();
        pieces.ask(block, A, NOW);
        assert_eq!(pieces.release_link(A), [block]);
        pieces.check();
        assert_eq!((pieces.status(block.piece), pieces.partial_bytes()), (Status::Missing, 0));
    }

    #[test]
    fn the_rarest_come_first() {
        let mut pieces = pieces();
        pieces.count_peer(0, true);
        assert_eq!(pieces.rarest().map(Piece::index).collect::<Vec<_>>(), [1, 0]);
        pieces.count_peer(1, true);
        pieces.count_peer(1, true);
        assert_eq!(pieces.rarest().map(Piece::index).collect::<Vec<_>>(), [0, 1]);
        pieces.check();
    }

    #[test]
    fn claims_are_proven_by_their_bytes() {
        let mut pieces = pieces();
        let (first, second) = (pieces.geometry().piece(0).unwrap(), pieces.geometry().piece(1).unwrap());
        pieces.claim(first);
        pieces.claim(second);
        assert!(pieces.free_blocks(first, A).is_empty() && !pieces.has(first));
        assert!(pieces.prove(first, &content()[..65_536]));
        assert!(!pieces.prove(second, &content()[..34_464]));
        pieces.check();
        assert_eq!((pieces.status(first), pieces.status(second)), (Status::Kept, Status::Missing));
    }
}
