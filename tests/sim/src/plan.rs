//! What a run is made of: content, trackers and peers, with all that goes wrong. A plan and nothing else decides a run.
//!
//! Invariant: in a plan drawn from a seed everyone honest can finish: somebody honest with a full copy stays, or leaves
//! only when the others have one between them.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::chance;
use crate::film;
use crate::net::Path;
use crate::signal::Uptime;
use crate::store::DiskPlan;
use crate::villain::Habit;
use swarmreel::rng::Rng;

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// So many random bytes.
    Random(usize),
    /// A file of `tests/vectors/media`, by name.
    Film(&'static str),
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

/// One peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerPlan {
    /// How it comes to the torrent.
    pub origin: Origin,
    /// When, from the start of the world.
    pub joins: Duration,
    /// When it leaves, if ever.
    pub leaves: Option<Departure>,
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
    /// It reads the whole file out, as `file.stream()` does.
    pub reads: bool,
    /// It shows the others one piece at a time (BEP 16), if it has the file.
    pub super_seeds: bool,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// What is shared.
    pub source: Source,
    /// Bytes per piece.
    pub piece_length: u32,
    /// The trackers, all of them named by the torrent and the magnet link.
    pub trackers: Vec<Uptime>,
    /// Of a hundred attempts to connect, so many fail.
    pub ice_failures: u8,
    /// Everyone.
    pub peers: Vec<PeerPlan>,
    /// By then everyone honest must be done, in virtual time.
    pub patience: Duration,
}

/// A good connection at home.
pub const HOME: Path = Path {
    up: 2_000_000,
    down: 8_000_000,
    latency: Duration::from_millis(15),
    jitter: Duration::from_millis(3),
    message_max: 262_144,
};

impl PeerPlan {
    /// Has the file, stays, and means well.
    pub fn seeder() -> Self {
        Self {
            origin: Origin::File,
            joins: Duration::ZERO,
            leaves: None,
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
        self.is_honest() && !goes
    }
}

impl Plan {
    /// A plan without peers: a small file, and one tracker.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            source: Source::Random(400_000),
            piece_length: 64 << 10,
            trackers: vec![Uptime::Always],
            ice_failures: 0,
            peers: Vec::new(),
            patience: Duration::from_secs(600),
        }
    }

    /// A plan with everything that may happen, drawn from the seed.
    pub fn draw(seed: u64) -> Self {
        let mut rng = chance::stream(seed, "plan");
        let mut plan = Self::new(seed);
        plan.source = draw_source(&mut rng);
        plan.piece_length = pick(&mut rng, &[16 << 10, 32 << 10, 64 << 10, 128 << 10]);
        plan.trackers = draw_trackers(&mut rng);
        plan.ice_failures = pick(&mut rng, &[0, 0, 5, 20]);
        let watchable = matches!(plan.source, Source::Film(_));
        plan.peers.push(draw_seeder(&mut rng));
        // A second full copy that stays, where the first may leave or where disks or peers are bad.
        plan.peers.push(PeerPlan {
            path: draw_path(&mut rng),
            joins: draw_seconds(&mut rng, 20),
            ..PeerPlan::seeder()
        });
        for _ in 0..1 + rng.below(6) {
            plan.peers.push(draw_leecher(&mut rng, watchable));
        }
        for _ in 0..pick(&mut rng, &[0, 0, 1, 1, 2, 4]) {
            let villain = PeerPlan::villain(draw_habit(&mut rng));
            plan.peers.push(PeerPlan { joins: draw_seconds(&mut rng, 5), path: draw_path(&mut rng), ..villain });
        }
        plan
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

fn draw_seconds(rng: &mut Rng, bound: u64) -> Duration {
    Duration::from_millis(rng.below(bound * 1000))
}

fn draw_source(rng: &mut Rng) -> Source {
    if rng.below(3) == 0 {
        Source::Film(pick(rng, film::NAMES))
    } else {
        Source::Random(1 + rng.below(1_500_000) as usize)
    }
}

fn draw_trackers(rng: &mut Rng) -> Vec<Uptime> {
    let restart = Uptime::Restart(draw_seconds(rng, 60), Duration::from_secs(1) + draw_seconds(rng, 30));
    match rng.below(5) {
        0 | 1 => vec![Uptime::Always],
        2 => vec![restart],
        3 => vec![Uptime::Never, Uptime::Always],
        _ => vec![Uptime::Always, Uptime::Never, restart],
    }
}

fn draw_path(rng: &mut Rng) -> Path {
    Path {
        up: pick(rng, &[30_000, 60_000, 250_000, 1_000_000, 5_000_000]),
        down: pick(rng, &[500_000, 2_000_000, 10_000_000]),
        latency: Duration::from_millis(1 + rng.below(80)),
        jitter: Duration::from_millis(rng.below(30)),
        message_max: pick(rng, &[5_000, 65_536, 262_144, 1 << 30]),
    }
}

fn draw_seeder(rng: &mut Rng) -> PeerPlan {
    let stay = Duration::from_secs(3) + draw_seconds(rng, 40);
    let leaves = match rng.below(4) {
        0 => Some(Departure::After { stay, silently: rng.below(2) == 0, back: None }),
        1 => Some(Departure::WhenCopied),
        _ => None,
    };
    PeerPlan { leaves, path: draw_path(rng), ..PeerPlan::seeder() }
}

fn draw_leecher(rng: &mut Rng, watchable: bool) -> PeerPlan {
    let stay = Duration::from_secs(1) + draw_seconds(rng, 20);
    let back = (rng.below(3) > 0).then(|| Duration::from_millis(500) + draw_seconds(rng, 10));
    let watches = watchable && rng.below(2) == 0;
    let jump_count = if watches { rng.below(3) } else { 0 };
    PeerPlan {
        origin: pick(rng, &[Origin::Magnet, Origin::Magnet, Origin::Torrent]),
        joins: draw_seconds(rng, 30),
        leaves: (rng.below(5) == 0).then_some(Departure::After { stay, silently: rng.below(2) == 0, back }),
        habit: (rng.below(6) == 0).then_some(Habit::NoFast),
        path: draw_path(rng),
        disk: draw_disk(rng),
        watches,
        jumps: (0..jump_count).map(|_| (draw_seconds(rng, 6), rng.below(100) as u8)).collect(),
        reads: rng.below(4) == 0,
        super_seeds: false,
    }
}

fn draw_disk(rng: &mut Rng) -> DiskPlan {
    let latency = Duration::from_millis(pick(rng, &[0, 1, 5, 200]));
    let quota = pick(rng, &[u64::MAX, u64::MAX, u64::MAX, u64::MAX, 100_000]);
    DiskPlan { quota, failing: pick(rng, &[0, 0, 0, 0, 0, 10]), latency, rots: rng.below(4) == 0 }
}

fn draw_habit(rng: &mut Rng) -> Habit {
    match rng.below(8) {
        0 => Habit::WrongBytes(100),
        1 => Habit::WrongBytes(1 + rng.below(20) as u8),
        2 => Habit::WrongMetadata,
        3 => Habit::WrongMetadataSize,
        4 => Habit::Stuck,
        5 => pick(rng, &[Habit::Silent, Habit::Noise]),
        6 => Habit::Flood,
        _ => Habit::VanishAfter(1 + rng.below(12) as u32),
    }
}

impl Display for Plan {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {:?} in pieces of {}", self.seed, self.source, self.piece_length)?;
        write!(f, "; trackers {:?}; {} % of connections fail", self.trackers, self.ice_failures)?;
        self.peers.iter().enumerate().try_for_each(|(index, peer)| write!(f, "; {index}: {peer}"))
    }
}

impl Display for PeerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Path { up, down, latency, message_max, .. } = self.path;
        write!(
            f,
            "{:?} at {:?}, {}/{} kB/s {latency:?} {message_max}",
            self.origin,
            self.joins,
            up / 1000,
            down / 1000
        )?;
        if let Some(habit) = self.habit {
            write!(f, ", {habit:?}")?;
        }
        if let Some(departure) = self.leaves {
            write!(f, ", leaves {departure:?}")?;
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
