//! Target 23: blocks from liars and honest peers in any mix. Whoever is called a liar is one, and who spoilt a piece is
//! called one as soon as a good copy of it is there.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use swarmreel::geometry::{Block, Geometry, Piece};
use swarmreel::hash::{Digest, sha1};
use swarmreel::ids::LinkId;
use swarmreel::pieces::{Pieces, Received, Status};
use swarmreel::time::Moment;

use crate::script::Script;

const LINKS: usize = 5;
/// Never lies, and finishes everything in the end.
const HONEST: LinkId = LinkId(0);
const STEPS_MAX: usize = 40;
/// A piece of two blocks, the second of them short, and one of a short block.
const PIECE_LENGTH: u32 = 16_384 + 16;
const LENGTH: u64 = PIECE_LENGTH as u64 + 10;

static HASHES: LazyLock<Vec<Digest>> = LazyLock::new(|| content().chunks(PIECE_LENGTH as usize).map(sha1).collect());

fn content() -> Vec<u8> {
    vec![5; LENGTH as usize]
}

/// Plays the script, then lets an honest link fetch what is missing.
pub fn ban_attribution(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
        world.pieces.check();
    }
    world.finish();
}

/// A block taken in, and whether its bytes were wrong.
type Taken = (Block, LinkId, bool);

struct World {
    pieces: Pieces,
    now: Moment,
    /// One bit a link.
    liars: u8,
    gone: BTreeSet<LinkId>,
    /// Of each piece: the blocks of the present attempt.
    attempts: Vec<Vec<Taken>>,
    /// Of each piece: who had a part in a failed attempt and sent wrong bytes.
    guilty: Vec<BTreeSet<LinkId>>,
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let geometry = Geometry::new(LENGTH, PIECE_LENGTH);
        let count = geometry.pieces() as usize;
        Self {
            pieces: Pieces::new(geometry, HASHES.clone(), 1),
            now: Moment(1_000_000),
            liars: script.byte() & !1,
            gone: BTreeSet::new(),
            attempts: vec![Vec::new(); count],
            guilty: vec![BTreeSet::new(); count],
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let link = LinkId(script.below(LINKS) as u32);
        if self.gone.contains(&link) {
            return;
        }
        match script.below(8) {
            0..=2 => self.ask(link, script),
            3..=5 => self.answer(link, script.byte()),
            6 => self.withdraw(link, script),
            _ => {
                self.now = self.now + Duration::from_secs(u64::from(script.byte()));
                self.pieces.pass_over(self.now, Duration::from_secs(20));
                self.forget_abandoned();
            }
        }
    }

    /// Asks a link for some of a piece: free blocks, or one that another has been asked for.
    fn ask(&mut self, link: LinkId, script: &mut Script<'_>) {
        let choice = script.byte();
        let geometry = *self.pieces.geometry();
        let Some(piece) = geometry.piece(u32::from(choice) % geometry.pieces()) else { return };
        let count = 1 + usize::from(choice >> 6 & 1);
        let mut blocks: Vec<Block> = self.pieces.free_blocks(piece, link, self.now).take(count).collect();
        if choice >= 128 {
            blocks.extend(self.pieces.asked_of_others(piece, link).first().map(|(block, ..)| *block));
        }
        blocks.dedup();
        for block in blocks {
            self.pieces.ask(block, link, self.now);
        }
    }

    /// A link sends what it was asked for first or last: wrong bytes, if it is a liar and pleases.
    fn answer(&mut self, link: LinkId, choice: u8) {
        let asked = self.pieces.asked_of(link);
        let block = if choice & 2 == 0 { asked.first() } else { asked.last() };
        let is_wrong = self.liars & 1 << link.0 != 0 && choice & 1 == 1;
        if let Some(block) = block {
            self.receive(*block, link, if is_wrong { 1 + (choice >> 2) } else { 0 });
        }
    }

    fn receive(&mut self, block: Block, link: LinkId, change: u8) {
        let mut data = vec![5; self.pieces.geometry().block_size(block) as usize];
        let at = usize::from(change) * 7 % data.len();
        data[at] ^= change;
        let index = block.piece.index() as usize;
        let received = self.pieces.receive(block, link, &data);
        if received != Received::Unwanted {
            self.attempts[index].push((block, link, change != 0));
        }
        match received {
            Received::Unwanted => panic!("it was asked for"),
            Received::Block { .. } => {}
            Received::Piece { bytes, liars, .. } => {
                assert!(bytes.iter().all(|byte| *byte == 5), "a verified piece is right");
                let proven: BTreeSet<LinkId> = liars.into_iter().collect();
                assert_eq!(proven, std::mem::take(&mut self.guilty[index]), "a good copy convicts the guilty");
                self.attempts[index].clear();
                proven.into_iter().for_each(|liar| self.ban(liar));
            }
            Received::Corrupt { liar, failures, .. } => self.failed(block.piece, liar, failures),
        }
    }

    fn failed(&mut self, piece: Piece, liar: Option<LinkId>, failures: u32) {
        let attempt = std::mem::take(&mut self.attempts[piece.index() as usize]);
        let authors: BTreeSet<LinkId> = attempt.iter().map(|(_, link, _)| *link).collect();
        assert!(attempt.iter().any(|(.., wrong)| *wrong), "a piece of right blocks is right");
        assert_eq!(liar, authors.first().copied().filter(|_| authors.len() == 1), "one author is a liar, two are not");
        assert!(failures == 1 || liar.is_some(), "a second failure has one author");
        match liar {
            Some(liar) => self.ban(liar),
            None => {
                let wrong = attempt.iter().filter(|(.., wrong)| *wrong).map(|(_, link, _)| *link);
                self.guilty[piece.index() as usize].extend(wrong);
            }
        }
    }

    /// An honest peer is never banned.
    fn ban(&mut self, link: LinkId) {
        assert!(self.liars & 1 << link.0 != 0, "{link:?} is honest");
        self.gone.insert(link);
        self.pieces.release_link(link);
        self.forget_abandoned();
    }

    /// A link chokes us, rejects a request, or leaves.
    fn withdraw(&mut self, link: LinkId, script: &mut Script<'_>) {
        match (script.below(3), self.pieces.asked_of(link).first()) {
            (0, Some(block)) => drop(self.pieces.release(*block, link)),
            (1, _) if link != HONEST => {
                self.pieces.release_link(link);
                self.gone.insert(link);
            }
            _ => drop(self.pieces.release_link(link)),
        }
        self.forget_abandoned();
    }

    /// What came of a piece was dropped with its only source.
    fn forget_abandoned(&mut self) {
        for piece in self.pieces.geometry().all() {
            if self.pieces.status(piece) == Status::Missing {
                self.attempts[piece.index() as usize].clear();
            }
        }
    }

    /// Everybody else leaves. What is missing comes from one honest link, and then nobody guilty is unknown.
    fn finish(mut self) {
        (0..LINKS as u32).for_each(|link| drop(self.pieces.release_link(LinkId(link))));
        self.forget_abandoned();
        self.now = self.now + Duration::from_secs(1 << 20);
        for piece in self.pieces.geometry().all() {
            // An attempt that a liar had a part in fails once, and never again.
            for _ in 0..2 {
                let free: Vec<Block> = self.pieces.free_blocks(piece, HONEST, self.now).collect();
                free.iter().for_each(|block| self.pieces.ask(*block, HONEST, self.now));
                free.into_iter().for_each(|block| self.receive(block, HONEST, 0));
            }
            assert!(self.pieces.has(piece));
        }
        self.pieces.check();
        assert!(self.guilty.iter().all(BTreeSet::is_empty));
    }
}
