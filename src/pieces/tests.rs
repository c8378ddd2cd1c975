//! Pieces come in, fail, are asked for and given up. Every step is checked.

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
    assert_eq!(give(&mut pieces, 1, 2, A, 0), Received::Corrupt { cancel: vec![], liar: Some(A), failures: 1 });
}

#[test]
fn a_good_copy_convicts_the_author_of_the_bad_block_only() {
    let mut pieces = pieces();
    give(&mut pieces, 1, 0, A, 0);
    give(&mut pieces, 1, 1, B, 1);
    assert_eq!(give(&mut pieces, 1, 2, A, 0), Received::Corrupt { cancel: vec![], liar: None, failures: 1 });
    let first = pieces.geometry().piece(1).unwrap();
    give(&mut pieces, 1, 0, A, 0);
    assert!(pieces.free_blocks(first, B, NOW).next().is_none(), "a suspect piece comes from one link");
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
    assert_eq!(pieces.free_blocks(piece, B, NOW).count(), 3);
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
    assert_eq!(pieces.free_blocks(piece, B, NOW).count(), 3);
}

#[test]
fn a_block_asked_of_two_is_cancelled_at_the_other() {
    let mut pieces = pieces();
    let block = pieces.geometry().block_at(0, 0, 16_384).unwrap();
    pieces.ask(block, A, NOW);
    assert_eq!(pieces.asked_of_others(block.piece, LinkId(3)), [(block, vec![(A, NOW)])]);
    pieces.ask(block, B, NOW);
    assert_eq!(pieces.asked_of_others(block.piece, LinkId(3)), [(block, vec![(A, NOW), (B, NOW)])]);
    assert!(pieces.asked_of_others(block.piece, B).is_empty(), "it was asked itself");
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
    assert!(pieces.free_blocks(first, A, NOW).next().is_none() && !pieces.has(first));
    assert!(pieces.prove(first, &content()[..65_536]));
    assert!(!pieces.prove(second, &content()[..34_464]));
    pieces.check();
    assert_eq!((pieces.status(first), pieces.status(second)), (Status::Kept, Status::Missing));
}
