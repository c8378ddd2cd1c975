//! Target 22: the picker among pieces that come and go, against a slow notion of what it may pick and in which order.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use swarmreel::geometry::{Block, Geometry, Piece};
use swarmreel::hash::{Digest, sha1};
use swarmreel::ids::LinkId;
use swarmreel::limits::HOLDERS_MAX;
use swarmreel::picker::{self, Asker, Pace, Terms, Wishes};
use swarmreel::pieces::{Bitfield, Pieces, Status};
use swarmreel::time::Moment;

use crate::script::Script;

const PIECES: u32 = 24;
const LINKS: usize = 4;
const STEPS_MAX: usize = 60;
/// Two blocks, the second short: what comes of it alone is not hashed.
const PIECE_LENGTH: u32 = 16_384 + 16;

static HASH: LazyLock<Digest> = LazyLock::new(|| sha1(&vec![5; PIECE_LENGTH as usize]));

/// Plays the script.
pub fn picker(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.pieces.check();
    }
}

struct World {
    pieces: Pieces,
    wishes: Wishes,
    now: Moment,
    /// What each link has.
    has: [Bitfield; LINKS],
    /// How many links have each piece.
    counts: [usize; PIECES as usize],
    /// The least and the most that the terms leave open.
    partial_bytes_max: usize,
}

impl World {
    /// Everything is here, but for what the script loses.
    fn new(script: &mut Script<'_>) -> Self {
        let geometry = Geometry::new(u64::from(PIECES * PIECE_LENGTH), PIECE_LENGTH);
        let mut pieces = Pieces::new(geometry, vec![*HASH; PIECES as usize], u32::from(script.byte()));
        pieces.keep_all();
        let lost = script.u32();
        geometry.all().filter(|piece| lost >> piece.index() & 1 == 0).for_each(|piece| pieces.lose(piece));
        Self {
            pieces,
            wishes: Wishes { rest: true, ..Wishes::default() },
            now: Moment(1_000_000),
            has: std::array::from_fn(|_| Bitfield::none(PIECES)),
            counts: [0; PIECES as usize],
            partial_bytes_max: [usize::MAX, 0, 40_000, usize::MAX][script.below(4)],
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let link = script.below(LINKS);
        let index = script.below(PIECES as usize) as u32;
        match script.below(10) {
            0 | 1 => self.has_more(link, index, script.byte()),
            2 => self.has_not(link, index),
            3 => self.geometry().piece(index).into_iter().for_each(|piece| self.pieces.lose(piece)),
            4 => drop(self.pieces.release_link(LinkId(link as u32))),
            5 => self.seek(script),
            6 => self.receive(link, script.byte()),
            7 => self.now = self.now + Duration::from_millis(u64::from(script.byte()) * 20),
            _ => self.pick(link, script),
        }
    }

    fn geometry(&self) -> Geometry {
        *self.pieces.geometry()
    }

    /// A run of pieces that a link has now.
    fn has_more(&mut self, link: usize, first: u32, count: u8) {
        for index in first..(first + u32::from(count % 16) + 1).min(PIECES) {
            if self.has[link].insert(index) {
                self.pieces.count_peer(index, true);
                self.counts[index as usize] += 1;
            }
        }
    }

    fn has_not(&mut self, link: usize, index: u32) {
        if self.has[link].remove(index) {
            self.pieces.count_peer(index, false);
            self.counts[index as usize] -= 1;
        }
    }

    /// The player goes elsewhere: other wishes.
    fn seek(&mut self, script: &mut Script<'_>) {
        let geometry = self.geometry();
        let start = script.below(PIECES as usize) as u32;
        let mut range = |from: u32| from..(from + script.below(8) as u32).min(PIECES);
        let (urgent, soon) = (range(start), range(start));
        let ahead = range(soon.end);
        self.wishes = Wishes {
            urgent: urgent.filter_map(|index| geometry.piece(index)).filter(|piece| !self.pieces.has(*piece)).collect(),
            soon: vec![soon],
            ahead: vec![ahead],
            rest: script.below(4) > 0,
        };
    }

    /// A block arrives, right or wrong.
    fn receive(&mut self, link: usize, choice: u8) {
        let asked = self.pieces.asked_of(LinkId(link as u32));
        let short = asked.iter().find(|block| block.index() == 1);
        let Some(block) = short.or(asked.first()).copied().filter(|_| choice & 7 > 0) else { return };
        let byte = if choice & 0xf8 == 0 { 4 } else { 5 };
        let data = vec![byte; self.geometry().block_size(block) as usize];
        self.pieces.receive(block, LinkId(link as u32), &data);
    }

    fn pick(&mut self, link: usize, script: &mut Script<'_>) {
        let flags = script.byte();
        let terms = Terms {
            now: self.now,
            urgent_late: Duration::from_secs(1),
            steal_gain: Duration::from_secs(1),
            endgame_late: Duration::from_secs(2),
            partial_bytes_max: self.partial_bytes_max,
            random_first: u32::from(flags >> 7) * 4,
        };
        let paces = [flags & 1, flags >> 1 & 1, flags >> 2 & 1, flags >> 3 & 1];
        let pace = |link: LinkId| match paces[link.0 as usize] {
            1 if link.0 == 0 => Pace::Stuck,
            1 => Pace::Takes(Duration::from_secs(u64::from(link.0))),
            _ => Pace::Unknown,
        };
        let last = self.geometry().piece(u32::from(flags >> 4 & 3) * 8).filter(|_| flags & 0x40 != 0);
        let count = 1 + script.below(12);
        let asker = Asker { link: LinkId(link as u32), has: &self.has[link], count, last, pace: &pace };
        let picked = picker::pick(&self.pieces, &self.wishes, asker, &terms);
        let judge =
            Judge { world: self, link: LinkId(link as u32), has: &self.has[link], terms, knows_pace: paces != [0; 4] };
        judge.check(&picked, count, last.is_none());
        if script.below(4) > 0 {
            picked.into_iter().for_each(|block| self.pieces.ask(block, LinkId(link as u32), self.now));
        }
    }
}

/// What may be picked for a link, written from the picker's words rather than its code.
struct Judge<'a> {
    world: &'a World,
    link: LinkId,
    has: &'a Bitfield,
    terms: Terms,
    knows_pace: bool,
}

impl Judge<'_> {
    fn check(&self, picked: &[Block], count: usize, by_rarity: bool) {
        let pieces = &self.world.pieces;
        assert!(picked.len() <= count, "{} of {count}", picked.len());
        for (at, block) in picked.iter().enumerate() {
            assert!(!picked[..at].contains(block), "{block:?} twice");
            assert!(self.has.has(block.piece.index()), "{block:?} is not there");
            assert!(pieces.lacks(*block, self.link, self.world.now), "{block:?} may not be asked for");
            assert!(self.class(block.piece) < 4, "nobody wants {block:?}");
        }
        let fresh = |block: &Block| self.is_fresh(*block);
        let late: Vec<&Block> = picked.iter().filter(|block| !fresh(block)).collect();
        let is_endgame = late.iter().any(|block| !self.world.wishes.urgent.contains(&block.piece));
        assert!(!is_endgame || !picked.iter().any(fresh), "what is free comes before what others bring");
        for block in late {
            let asked = pieces.asked_of_others(block.piece, self.link);
            let (_, holders) = asked.iter().find(|(other, _)| other == block).expect("another was asked");
            assert!(holders.len() < HOLDERS_MAX, "{block:?} was asked of enough");
            let is_late = |at: Moment| self.world.now.since(at) >= self.terms.urgent_late;
            assert!(holders.iter().all(|(_, at)| is_late(*at)) || self.knows_pace, "{block:?} is not late");
        }
        self.in_order(picked, by_rarity && self.terms.random_first == 0);
        if picked.len() < count {
            let left: Vec<Block> = self.wanted().filter(|block| !picked.contains(block)).collect();
            assert!(left.is_empty(), "{left:?} were left out");
        }
    }

    /// Nobody was asked for it.
    fn is_fresh(&self, block: Block) -> bool {
        self.world.pieces.free_blocks(block.piece, self.link, self.world.now).any(|free| free == block)
    }

    /// 0: somebody waits. 1: soon. 2: ahead. 3: the rest. 4: not wanted.
    fn class(&self, piece: Piece) -> usize {
        let wishes = &self.world.wishes;
        let within = |ranges: &[Range<u32>]| ranges.iter().any(|range| range.contains(&piece.index()));
        let classes = [wishes.urgent.contains(&piece), within(&wishes.soon), within(&wishes.ahead), wishes.rest];
        classes.iter().position(|is| *is).unwrap_or(4)
    }

    /// Fresh blocks that should be picked if there is room.
    fn wanted(&self) -> impl Iterator<Item = Block> + '_ {
        let begin = self.world.pieces.partial_bytes() < self.terms.partial_bytes_max;
        let has = self.world.geometry().all().filter(|piece| self.has.has(piece.index()));
        let open = move |piece: &Piece| {
            let class = self.class(*piece);
            class == 0 || class < 4 && (begin || self.world.pieces.status(*piece) == Status::Partial)
        };
        has.filter(open).flat_map(|piece| self.world.pieces.free_blocks(piece, self.link, self.world.now))
    }

    /// Classes come in order; within a class: urgent ones as listed, soon ones by place; then suspects,
    /// begun ones, and missing ones by rarity.
    fn in_order(&self, picked: &[Block], by_rarity: bool) {
        let is_begun = |piece: Piece| self.world.pieces.status(piece) == Status::Partial;
        let place = |block: &Block| {
            let (piece, class) = (block.piece, self.class(block.piece));
            let within = match class {
                0 => self.world.wishes.urgent.iter().position(|urgent| *urgent == piece).unwrap_or_default(),
                1 => piece.index() as usize,
                3 if self.world.pieces.suspects().any(|suspect| suspect == piece) => 0,
                _ if is_begun(piece) => 1,
                _ if by_rarity || class == 2 => 2 + self.world.counts[piece.index() as usize],
                _ => 2,
            };
            (class, within)
        };
        let fresh: Vec<&Block> = picked.iter().filter(|block| self.is_fresh(**block)).collect();
        for pair in fresh.windows(2) {
            assert!(place(pair[0]) <= place(pair[1]), "{pair:?}: {:?}, {:?}", place(pair[0]), place(pair[1]));
        }
    }
}
