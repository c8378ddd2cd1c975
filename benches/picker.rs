//! How many blocks a second the picker finds: 100 peers, 100,000 pieces of 256 KiB, in good and in bad circumstances.
//! `cargo xtask bench picker` prints a line for each. Invariant: only picking and noting what is asked is timed; what
//! makes room again is not.
#![allow(clippy::disallowed_types, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::ops::Range;
use std::time::{Duration, Instant};

use swarmreel::geometry::Geometry;
use swarmreel::ids::LinkId;
use swarmreel::picker::{Asker, Terms, Wishes, pick};
use swarmreel::pieces::{Bitfield, Pieces};
use swarmreel::time::Moment;

const PEERS: u32 = 100;
const PIECES: u32 = 100_000;
const PIECE_LENGTH: u32 = 256 << 10;
/// Blocks asked for at a time: a quarter of a pipeline of 64.
const REFILL: usize = 16;
/// Blocks outstanding at one peer before all of them are released.
const OUTSTANDING: usize = 64;
const PICKS: usize = 400_000;
/// What every row must reach, picks a second.
const BAR: f64 = 200_000.0;

struct Row {
    name: &'static str,
    /// Which peer has which piece.
    has: fn(u32, u32) -> bool,
    wishes: fn() -> Wishes,
    /// One block of so many pieces is asked of somebody else and stays so.
    begun: u32,
}

fn plain() -> Wishes {
    Wishes { rest: true, ..Wishes::default() }
}

/// A film played from the middle, everything ahead of it wanted.
fn playing() -> Wishes {
    let geometry = geometry();
    let ahead: Range<u32> = PIECES / 2..PIECES;
    let soon = PIECES / 2..PIECES / 2 + 400;
    let urgent = (PIECES / 2..PIECES / 2 + 200).filter_map(|index| geometry.piece(index)).collect();
    Wishes { urgent, soon: vec![soon], ahead: vec![ahead], rest: true }
}

/// An arbitrary number for a peer and a piece.
fn mix(peer: u32, piece: u32) -> u32 {
    (peer.wrapping_mul(0x9e37_79b9) ^ piece).wrapping_mul(0x85eb_ca6b) >> 8
}

const ROWS: [Row; 7] = [
    Row { name: "seeds", has: |_, _| true, wishes: plain, begun: 0 },
    Row {
        name: "half of all pieces each",
        has: |peer, piece| mix(peer, piece).is_multiple_of(2),
        wishes: plain,
        begun: 0,
    },
    Row {
        name: "one piece in a hundred each",
        has: |peer, piece| mix(peer, piece).is_multiple_of(100),
        wishes: plain,
        begun: 0,
    },
    Row { name: "only the commonest pieces", has: |peer, piece| piece % 100 <= peer, wishes: plain, begun: 0 },
    Row { name: "one in two hundred, the same ones", has: |_, piece| piece % 200 == 99, wishes: plain, begun: 0 },
    Row {
        name: "50,000 begun pieces",
        has: |peer, piece| mix(peer, piece).is_multiple_of(2),
        wishes: plain,
        begun: 50_000,
    },
    Row {
        name: "a film with all of it ahead",
        has: |peer, piece| mix(peer, piece).is_multiple_of(2),
        wishes: playing,
        begun: 0,
    },
];

fn geometry() -> Geometry {
    Geometry::new(u64::from(PIECES) * u64::from(PIECE_LENGTH), PIECE_LENGTH)
}

fn run(row: &Row) -> f64 {
    let geometry = geometry();
    let mut pieces = Pieces::new(geometry, vec![[0; 20]; PIECES as usize], 7);
    let peers: Vec<Bitfield> = (0..PEERS).map(|peer| bits(row, peer)).collect();
    for bits in peers.iter().filter(|bits| !bits.is_full()) {
        bits.iter().for_each(|index| pieces.count_peer(index, true));
    }
    for piece in geometry.all().take(row.begun as usize) {
        pieces.ask(piece.first_block(), LinkId(PEERS), Moment(0));
    }
    let wishes = (row.wishes)();
    let pace = |_| Some(Duration::from_millis(100));
    let terms = Terms {
        now: Moment(0),
        urgent_late: Duration::from_secs(1),
        steal_gain: Duration::from_millis(100),
        endgame_late: Duration::from_secs(2),
        partial_bytes_max: usize::MAX,
        random_first: 0,
    };
    let (mut last, mut picks, mut took) = (vec![None; PEERS as usize], 0, Duration::ZERO);
    for turn in 0.. {
        let peer = turn % PEERS;
        let (link, has) = (LinkId(peer), &peers[peer as usize]);
        let asker = Asker { link, has, count: REFILL, last: last[peer as usize], pace: &pace };
        let began = Instant::now();
        let blocks = pick(&pieces, &wishes, asker, &terms);
        blocks.iter().for_each(|block| pieces.ask(*block, link, Moment(0)));
        took += began.elapsed();
        assert!(!blocks.is_empty(), "{}: there is always something to ask for", row.name);
        last[peer as usize] = blocks.last().map(|block| block.piece);
        picks += blocks.len();
        if pieces.outstanding(link) >= OUTSTANDING {
            pieces.release_link(link);
        }
        if picks >= PICKS {
            break;
        }
    }
    picks as f64 / took.as_secs_f64()
}

fn bits(row: &Row, peer: u32) -> Bitfield {
    let mut bits = Bitfield::none(PIECES);
    (0..PIECES).filter(|piece| (row.has)(peer, *piece)).for_each(|piece| {
        bits.insert(piece);
    });
    bits
}

fn main() {
    let mut slow = Vec::new();
    for row in &ROWS {
        let speed = run(row);
        println!("{:>10.0} picks/s  {}", speed, row.name);
        if speed < BAR {
            slow.push(row.name);
        }
    }
    assert!(slow.is_empty(), "slower than {BAR} picks/s: {slow:?}");
}
