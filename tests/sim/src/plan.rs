//! What a run is made of: content, trackers and peers, with all that goes wrong. A plan and nothing else decides a run.
//!
//! Invariant: in a plan drawn from a seed everyone honest can finish: somebody honest with a full copy stays, or leaves
//! only when the others have one between them.

mod draw;

use std::fmt::{self, Display};
use std::time::Duration;

use crate::net::Path;
use crate::signal::{Answers, Uptime};
use crate::store::DiskPlan;
use crate::villain::Habit;
use crate::web::WebPlan;

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// So many random bytes.
    Random(usize),
    /// A file of `tests/vectors/media`, by name.
    Film(&'static str),
    /// Files of so many random bytes, in one torrent.
    Files(&'static [usize]),
}

/// How a peer comes to the torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It has the file and seeds it.
    File,
    /// It has the `.torrent`.
    Torrent,
    /// It has the magnet link.
    Magnet,
}

/// When a peer closes the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// This long after it came. The others notice at once, unless it leaves `silently`.
    After {
        /// Since it joined.
        stay: Duration,
        /// Its connections just die.
        silently: bool,
        /// It opens the page again this long after, with what its disk has kept.
        back: Option<Duration>,
    },
    /// As soon as the other honest peers that are present have every piece between them.
    WhenCopied,
}

/// A laptop is closed: nothing runs, and no time passes for its programs until they find themselves later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// Since the peer joined.
    pub after: Duration,
    /// Longer than the others take to miss it.
    pub lasts: Duration,
}

/// The network falls apart, and heals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// From the start of the world.
    pub from: Duration,
    /// Until it heals.
    pub lasts: Duration,
    /// So many peers, the first ones of the plan, are on one side. Trackers are on both.
    pub first: usize,
}

/// One peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerPlan {
    /// How it comes to the torrent.
    pub origin: Origin,
    /// When, from the start of the world.
    pub joins: Duration,
    /// When it leaves, if ever.
    pub leaves: Option<Departure>,
    /// When its laptop is closed, if ever.
    pub sleeps: Option<Sleep>,
    /// It removes its torrents once its engine was told so many facts.
    pub removes_after: Option<u64>,
    /// What is wrong with it.
    pub habit: Option<Habit>,
    /// Its way to the others.
    pub path: Path,
    /// Its disk.
    pub disk: DiskPlan,
    /// It watches the file from the start.
    pub watches: bool,
    /// Jumps while watching: this long after the first pictures, to this percentage.
    pub jumps: Vec<(Duration, u8)>,
    /// It reads every file out, one after the other, as `file.stream()` does.
    pub reads: bool,
    /// It shows the others one piece at a time (BEP 16), if it has the file.
    pub super_seeds: bool,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// What is shared, and watched or read by those who do.
    pub source: Source,
    /// Other torrents that everyone shares besides.
    pub also: Vec<Source>,
    /// Bytes per piece.
    pub piece_length: u32,
    /// The trackers, all of them named by the torrent and the magnet link.
    pub trackers: Vec<Uptime>,
    /// How trackers pass answers on.
    pub answers: Answers,
    /// Of a hundred attempts to connect, so many fail.
    pub ice_failures: u8,
    /// The web seeds, whom those who download know.
    pub web: Vec<WebPlan>,
    /// The network falls apart.
    pub partition: Option<Partition>,
    /// Everyone.
    pub peers: Vec<PeerPlan>,
    /// The world goes on for so long at least.
    pub lasts: Duration,
    /// By then everyone honest must be done, in virtual time.
    pub patience: Duration,
    /// Each engine is checked after every step of this number: in a large world, checking costs more than living.
    pub checks_every: u64,
}

/// A good connection at home.
pub const HOME: Path = Path {
    up: 2_000_000,
    down: 8_000_000,
    latency: Duration::from_millis(15),
    jitter: Duration::from_millis(3),
    loss: 0,
    message_max: 262_144,
};

impl PeerPlan {
    /// Has the file, stays, and means well.
    pub fn seeder() -> Self {
        Self {
            origin: Origin::File,
            joins: Duration::ZERO,
            leaves: None,
            sleeps: None,
            removes_after: None,
            habit: None,
            path: HOME,
            disk: DiskPlan::SOUND,
            watches: false,
            jumps: Vec::new(),
            reads: false,
            super_seeds: false,
        }
    }

    /// Has the magnet link, comes two seconds later, stays, and means well.
    pub fn leecher() -> Self {
        Self { origin: Origin::Magnet, joins: Duration::from_secs(2), ..Self::seeder() }
    }

    /// A seeder with a bad habit.
    pub fn villain(habit: Habit) -> Self {
        Self { habit: Some(habit), ..Self::seeder() }
    }

    /// Whether it keeps to the protocol.
    pub fn is_honest(&self) -> bool {
        self.habit.is_none_or(Habit::is_honest)
    }

    /// Whether it must get all that it wants: it is honest, and here to the end.
    pub fn must_finish(&self) -> bool {
        let goes = match self.leaves {
            None => false,
            Some(Departure::After { back, .. }) => back.is_none(),
            Some(Departure::WhenCopied) => true,
        };
        self.is_honest() && !goes && self.removes_after.is_none()
    }
}

impl Plan {
    /// A plan without peers: a small file, and one tracker.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            source: Source::Random(400_000),
            also: Vec::new(),
            piece_length: 64 << 10,
            trackers: vec![Uptime::Always],
            answers: Answers::PassedOn,
            ice_failures: 0,
            web: Vec::new(),
            partition: None,
            peers: Vec::new(),
            lasts: Duration::ZERO,
            patience: Duration::from_secs(900),
            checks_every: 1,
        }
    }
}

impl Display for Plan {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {:?} and {:?} in pieces of {}", self.seed, self.source, self.also, self.piece_length)?;
        write!(f, "; trackers {:?}, answers {:?}", self.trackers, self.answers)?;
        write!(f, "; {} % of connections fail; {:?}", self.ice_failures, self.partition)?;
        self.web.iter().try_for_each(|web| write!(f, "; {web:?}"))?;
        let shown: Vec<String> = self.peers.iter().map(PeerPlan::to_string).collect();
        let mut first = 0;
        for alike in shown.chunk_by(|a, b| a == b) {
            let last = first + alike.len() - 1;
            let range = if last > first { format!("{first} to {last}") } else { first.to_string() };
            write!(f, "; {range}: {}", alike[0])?;
            first = last + 1;
        }
        Ok(())
    }
}

impl Display for PeerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Path { up, down, latency, loss, message_max, .. } = self.path;
        let (up, down) = (up / 1000, down / 1000);
        write!(f, "{:?} at {:?}, {up}/{down} kB/s {latency:?} {loss} % {message_max}", self.origin, self.joins)?;
        if let Some(habit) = self.habit {
            write!(f, ", {habit:?}")?;
        }
        if let Some(departure) = self.leaves {
            write!(f, ", leaves {departure:?}")?;
        }
        if let Some(sleep) = self.sleeps {
            write!(f, ", sleeps {sleep:?}")?;
        }
        if self.disk != DiskPlan::SOUND {
            write!(f, ", {:?}", self.disk)?;
        }
        if self.watches {
            write!(f, ", watches {:?}", self.jumps)?;
        }
        if self.reads {
            write!(f, ", reads")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_plan_on_one_line() {
        for seed in 0..50 {
            let plan = Plan::draw(seed);
            assert_eq!(plan, Plan::draw(seed));
            assert!(!plan.to_string().contains('\n'));
            let stays = |peer: &PeerPlan| peer.origin == Origin::File && peer.must_finish();
            assert!(plan.peers.iter().any(stays), "nobody stays: {plan}");
        }
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(Plan::draw(1).peers, Plan::draw(2).peers);
    }
}
