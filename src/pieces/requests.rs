//! The one table of outstanding requests: which block was asked of which link, and when.
//!
//! Invariant: both indexes hold the same pairs.

use std::collections::{BTreeMap, BTreeSet};

use crate::geometry::{Block, Piece};
use crate::ids::LinkId;
use crate::time::Moment;

#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    by_block: BTreeMap<(Block, LinkId), Moment>,
    by_link: BTreeMap<LinkId, BTreeSet<Block>>,
}

impl Requests {
    pub(super) fn insert(&mut self, block: Block, link: LinkId, now: Moment) {
        self.by_block.insert((block, link), now);
        self.by_link.entry(link).or_default().insert(block);
    }

    /// Takes one request out; false if there was none.
    pub(super) fn remove(&mut self, block: Block, link: LinkId) -> bool {
        let was = self.by_block.remove(&(block, link)).is_some();
        if was && let Some(blocks) = self.by_link.get_mut(&link) {
            blocks.remove(&block);
            if blocks.is_empty() {
                self.by_link.remove(&link);
            }
        }
        was
    }

    pub(super) fn contains(&self, block: Block, link: LinkId) -> bool {
        self.by_block.contains_key(&(block, link))
    }

    pub(super) fn at(&self, block: Block, link: LinkId) -> Option<Moment> {
        self.by_block.get(&(block, link)).copied()
    }

    /// Number of blocks asked of a link.
    pub(super) fn count(&self, link: LinkId) -> usize {
        self.by_link.get(&link).map_or(0, BTreeSet::len)
    }

    pub(super) fn of_link(&self, link: LinkId) -> Vec<Block> {
        self.by_link.get(&link).into_iter().flatten().copied().collect()
    }

    /// The blocks asked of a link from one to another, both included, in order.
    pub(super) fn between(
        &self,
        link: LinkId,
        first: Block,
        last: Block,
    ) -> impl DoubleEndedIterator<Item = Block> + '_ {
        let blocks = self.by_link.get(&link).filter(|_| first <= last);
        blocks.into_iter().flat_map(move |blocks| blocks.range(first..=last)).copied()
    }

    /// The links that were asked for a block.
    pub(super) fn of_block(&self, block: Block) -> impl Iterator<Item = LinkId> + '_ {
        self.by_block.range((block, LinkId(0))..=(block, LinkId(u32::MAX))).map(|((_, link), _)| *link)
    }

    fn at_piece(&self, piece: Piece) -> impl Iterator<Item = (Block, LinkId, Moment)> + '_ {
        let from = self.by_block.range((piece.first_block(), LinkId(0))..);
        from.map(|((block, link), at)| (*block, *link, *at)).take_while(move |(block, ..)| block.piece == piece)
    }

    /// Is any block of this piece asked for?
    pub(super) fn has_piece(&self, piece: Piece) -> bool {
        self.at_piece(piece).next().is_some()
    }

    /// The blocks of a piece that are asked for: of which links, and since when.
    pub(super) fn asked(&self, piece: Piece) -> Vec<(Block, Vec<(LinkId, Moment)>)> {
        let mut asked: Vec<(Block, Vec<(LinkId, Moment)>)> = Vec::new();
        for (block, link, at) in self.at_piece(piece) {
            match asked.last_mut().filter(|(last, _)| *last == block) {
                Some((_, holders)) => holders.push((link, at)),
                None => asked.push((block, vec![(link, at)])),
            }
        }
        asked
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Block, LinkId, Moment)> + '_ {
        self.by_block.iter().map(|((block, link), at)| (*block, *link, *at))
    }

    pub(super) fn check_empty(&self) {
        assert!(self.by_block.is_empty(), "nothing is asked for");
    }

    pub(super) fn check(&self) {
        let pairs: usize = self.by_link.values().map(BTreeSet::len).sum();
        assert_eq!(pairs, self.by_block.len());
        for (link, blocks) in &self.by_link {
            assert!(!blocks.is_empty() && blocks.iter().all(|block| self.contains(*block, *link)));
        }
    }
}
