//! Pieces whose hash failed, and the evidence against who spoilt them (threat-model P10, P11).
//!
//! Invariant: a link is called a liar only if all of a piece that fails its hash came from it, or if a block that it sent
//! differs from the verified one. Until then a suspect piece comes whole from one link at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::geometry::{BLOCK_LENGTH, Block, Piece};
use crate::hash::{Digest, sha1};
use crate::ids::LinkId;
use crate::limits::EVIDENCE_MAX;
use crate::time::Moment;

/// What one link sent as a block of a failed piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub(super) block: Block,
    pub(super) link: LinkId,
    pub(super) digest: Digest,
}

#[derive(Clone, Debug, Default)]
struct Suspect {
    /// The one link that is asked for it, and since when.
    source: Option<(LinkId, Moment)>,
    /// A source that took too long, and until when others go first.
    passed_over: Option<(LinkId, Moment)>,
    /// How often a source took too long: the next one is given twice the time.
    takeovers: u32,
    failures: u32,
    /// Nobody is asked for it before this.
    rests_until: Moment,
    evidence: Vec<Evidence>,
}

/// The suspect pieces of one torrent.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    pieces: BTreeMap<Piece, Suspect>,
    evidence: usize,
}

impl Suspects {
    /// This link must not be asked for the piece now.
    pub(super) fn bar(&self, piece: Piece, link: LinkId, now: Moment) -> bool {
        self.pieces.get(&piece).is_some_and(|suspect| {
            suspect.source.map_or(now < suspect.rests_until, |(source, _)| source != link)
                || suspect.passed_over.is_some_and(|(slow, until)| slow == link && now < until)
        })
    }

    pub(super) fn contains(&self, piece: Piece) -> bool {
        self.pieces.contains_key(&piece)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Piece> + '_ {
        self.pieces.keys().copied()
    }

    /// A link is asked for a block of this piece.
    pub(super) fn asked(&mut self, piece: Piece, link: LinkId, now: Moment) {
        if let Some(suspect) = self.pieces.get_mut(&piece) {
            suspect.source.get_or_insert((link, now));
        }
    }

    pub(super) fn is_source(&self, piece: Piece, link: LinkId) -> bool {
        self.pieces.get(&piece).and_then(|suspect| suspect.source).is_some_and(|(source, _)| source == link)
    }

    /// The pieces whose only source is this link.
    pub(super) fn of_source(&self, link: LinkId) -> Vec<Piece> {
        self.iter().filter(|piece| self.is_source(*piece, link)).collect()
    }

    /// What came of the piece was dropped: any link may begin it anew.
    pub(super) fn forget_source(&mut self, piece: Piece) {
        if let Some(suspect) = self.pieces.get_mut(&piece) {
            suspect.source = None;
        }
    }

    /// The sources that have been at it for too long: `patience`, and twice that each time a piece changes hands, so
    /// that a large piece from slow peers is done in the end. They have to wait as long themselves.
    pub(super) fn pass_over(&mut self, now: Moment, patience: Duration) -> Vec<(Piece, LinkId)> {
        let mut late = Vec::new();
        for (piece, suspect) in &mut self.pieces {
            let patience = patience * 2u32.saturating_pow(suspect.takeovers.min(10));
            if let Some((link, since)) = suspect.source
                && now.since(since) >= patience
            {
                suspect.takeovers += 1;
                suspect.passed_over = Some((link, now + patience));
                late.push((*piece, link));
            }
        }
        late
    }

    /// Nobody is asked for the piece before this.
    pub(super) fn rest(&mut self, piece: Piece, until: Moment) {
        if let Some(suspect) = self.pieces.get_mut(&piece) {
            suspect.rests_until = until;
        }
    }

    /// The piece failed its hash. How often it has.
    pub(super) fn failed(&mut self, piece: Piece, evidence: impl Iterator<Item = Evidence>) -> u32 {
        let suspect = self.pieces.entry(piece).or_default();
        suspect.source = None;
        suspect.failures += 1;
        let before = suspect.evidence.len();
        suspect.evidence.extend(evidence.take(EVIDENCE_MAX.saturating_sub(self.evidence)));
        self.evidence += suspect.evidence.len() - before;
        suspect.failures
    }

    /// The piece is verified: the links that sent other bytes before.
    pub(super) fn convict(&mut self, piece: Piece, bytes: &[u8]) -> Vec<LinkId> {
        let evidence = self.pieces.remove(&piece).map_or_else(Vec::new, |suspect| suspect.evidence);
        self.evidence -= evidence.len();
        let mut liars: Vec<LinkId> = Vec::new();
        for Evidence { block, link, digest } in evidence {
            let rest = &bytes[block.begin() as usize..];
            let block = &rest[..rest.len().min(BLOCK_LENGTH as usize)];
            if !liars.contains(&link) && sha1(block) != digest {
                liars.push(link);
            }
        }
        liars
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn check(&self) {
        assert_eq!(self.evidence, self.pieces.values().map(|suspect| suspect.evidence.len()).sum::<usize>());
        assert!(self.evidence <= EVIDENCE_MAX);
    }
}
