//! Torrent arithmetic: content offsets, pieces, blocks.
//!
//! Invariant: `Geometry` is the only mint of `Piece` and `Block`, so code that holds one never checks its bounds again.

use std::ops::Range;

/// Bytes of a block, the unit of requests (BEP 3; every deployed client uses this size).
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// A piece of the torrent whose geometry minted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece(u32);

impl Piece {
    /// Its index, below `Geometry::pieces`.
    pub fn index(self) -> u32 {
        self.0
    }

    /// Its first block: every piece has one.
    pub fn first_block(self) -> Block {
        Block { piece: self, index: 0 }
    }
}

/// A block of a piece: `BLOCK_LENGTH` bytes, or what is left at the piece's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The piece it belongs to.
    pub piece: Piece,
    index: u32,
}

impl Block {
    /// Its index within the piece.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Its first byte within the piece.
    pub fn begin(self) -> u32 {
        self.index * BLOCK_LENGTH
    }
}

/// The shape of a torrent's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    length: u64,
    piece_length: u32,
}

impl Geometry {
    /// Content of `length` bytes in pieces of `piece_length`.
    ///
    /// # Panics
    /// If `piece_length` is 0 or there are more than `u32::MAX` pieces: `Metainfo` admits neither.
    pub fn new(length: u64, piece_length: u32) -> Self {
        assert!(piece_length > 0, "a torrent's pieces have a length");
        assert!(length.div_ceil(u64::from(piece_length)) <= u64::from(u32::MAX), "piece indices fit in 32 bits");
        Self { length, piece_length }
    }

    /// Bytes of content.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of every piece but the last.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// Number of pieces.
    pub fn pieces(&self) -> u32 {
        self.length.div_ceil(u64::from(self.piece_length)) as u32
    }

    /// The piece with this index, if there is one.
    pub fn piece(&self, index: u32) -> Option<Piece> {
        (index < self.pieces()).then_some(Piece(index))
    }

    /// Every piece in order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = Piece> + use<> {
        (0..self.pieces()).map(Piece)
    }

    /// Where a piece starts in the content.
    pub fn offset(&self, piece: Piece) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_length)
    }

    /// Bytes of a piece.
    pub fn size(&self, piece: Piece) -> u32 {
        (self.length - self.offset(piece)).min(u64::from(self.piece_length)) as u32
    }

    /// The content bytes of a piece.
    pub fn range(&self, piece: Piece) -> Range<u64> {
        let start = self.offset(piece);
        start..start + u64::from(self.size(piece))
    }

    /// Number of blocks in a piece.
    pub fn blocks(&self, piece: Piece) -> u32 {
        self.size(piece).div_ceil(BLOCK_LENGTH)
    }

    /// The block of a piece with this index, if there is one.
    pub fn block(&self, piece: Piece, index: u32) -> Option<Block> {
        (index < self.blocks(piece)).then_some(Block { piece, index })
    }

    /// The block that is exactly these bytes, if one is.
    pub fn block_at(&self, piece: u32, begin: u32, length: usize) -> Option<Block> {
        let block = self.block(self.piece(piece)?, begin / BLOCK_LENGTH)?;
        (block.begin() == begin && self.block_size(block) as usize == length).then_some(block)
    }

    /// Bytes of a block.
    pub fn block_size(&self, block: Block) -> u32 {
        (self.size(block.piece) - block.begin()).min(BLOCK_LENGTH)
    }

    /// The content bytes of a block.
    pub fn block_range(&self, block: Block) -> Range<u64> {
        let start = self.offset(block.piece) + u64::from(block.begin());
        start..start + u64::from(self.block_size(block))
    }

    /// The block that holds this content byte, if there is such a byte.
    pub fn block_of(&self, offset: u64) -> Option<Block> {
        let piece = self.covering(&(offset..offset.saturating_add(1))).next()?;
        self.block(piece, ((offset - self.offset(piece)) / u64::from(BLOCK_LENGTH)) as u32)
    }

    /// The pieces that hold these content bytes, in order. Bytes beyond the end are ignored.
    pub fn covering(&self, range: &Range<u64>) -> impl DoubleEndedIterator<Item = Piece> + use<> {
        let end = range.end.min(self.length);
        let length = u64::from(self.piece_length);
        let pieces = if range.start < end { range.start / length..end.div_ceil(length) } else { 0..0 };
        (pieces.start as u32..pieces.end as u32).map(Piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_block_are_shorter() {
        let g = Geometry::new(100_000, 65_536);
        assert_eq!(g.pieces(), 2);
        let last = g.piece(1).unwrap();
        assert_eq!((g.size(last), g.blocks(last)), (34_464, 3));
        assert_eq!(g.block_size(g.block(last, 2).unwrap()), 34_464 - 32_768);
        assert!(g.piece(2).is_none() && g.block(last, 3).is_none());
    }

    #[test]
    fn only_whole_blocks_are_blocks() {
        let g = Geometry::new(100_000, 65_536);
        assert!(g.block_at(0, 16_384, 16_384).is_some());
        assert!(g.block_at(0, 16_383, 16_384).is_none());
        assert!(g.block_at(0, 0, 100).is_none());
        assert!(g.block_at(1, 32_768, 1_696).is_some());
        assert!(g.block_at(7, 0, 16_384).is_none());
    }

    #[test]
    fn ranges_are_covered_by_pieces() {
        let g = Geometry::new(100, 10);
        let covering = |range: Range<u64>| g.covering(&range).map(Piece::index).collect::<Vec<_>>();
        assert_eq!(covering(9..11), [0, 1]);
        assert_eq!(covering(10..20), [1]);
        assert_eq!(covering(95..1000), [9]);
        assert!(covering(5..5).is_empty() && covering(100..200).is_empty());
    }

    #[test]
    fn every_byte_is_in_its_block() {
        let g = Geometry::new(100_000, 40_000);
        for offset in [0, 16_383, 16_384, 39_999, 40_000, 99_999] {
            let block = g.block_of(offset).unwrap();
            assert!(g.block_range(block).contains(&offset), "{offset} is not in {block:?}");
        }
        assert_eq!(g.block_range(g.block_of(39_999).unwrap()), 32_768..40_000);
        assert!(g.block_of(100_000).is_none() && g.block_of(u64::MAX).is_none());
    }

    #[test]
    fn nothing_has_no_pieces() {
        assert_eq!(Geometry::new(0, 16_384).pieces(), 0);
    }
}
