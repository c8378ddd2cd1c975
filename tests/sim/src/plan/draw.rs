//! Plans drawn from a seed: a small world with everything that may happen, and a large one in chaos.
//!
//! Invariant: nothing here is drawn but from the plan's own stream, in a fixed order.

use std::time::Duration;

use swarmreel::rng::Rng;

use super::{Departure, Origin, Partition, PeerPlan, Plan, Sleep, Source};
use crate::chance;
use crate::film;
use crate::net::Path;
use crate::signal::{Answers, Uptime};
use crate::store::DiskPlan;
use crate::villain::{Habit, Junk};

impl Plan {
    /// A plan with everything that may happen, drawn from the seed.
    pub fn draw(seed: u64) -> Self {
        let mut rng = chance::stream(seed, "plan");
        let mut plan = Self::new(seed);
        plan.source = draw_source(&mut rng);
        plan.piece_length = pick(&mut rng, &[16 << 10, 32 << 10, 64 << 10, 128 << 10]);
        plan.trackers = draw_trackers(&mut rng);
        plan.ice_failures = pick(&mut rng, &[0, 0, 5, 20]);
        plan.answers = draw_answers(&mut rng);
        plan.also = draw_also(&mut rng);
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
        plan.partition = (rng.below(8) == 0).then(|| draw_partition(&mut rng, plan.peers.len()));
        plan
    }
}

impl Plan {
    /// Fifty nodes in chaos (F28): of twenty one is a villain, of any class, and most faults happen to somebody.
    pub fn chaos(seed: u64) -> Self {
        let mut rng = chance::stream(seed, "chaos");
        let mut plan = Self::new(seed);
        plan.source = Source::Random(1_000_000);
        plan.piece_length = 32 << 10;
        plan.trackers = vec![Uptime::Restart(draw_seconds(&mut rng, 30), Duration::from_secs(10)), Uptime::Always];
        plan.answers = draw_answers(&mut rng);
        plan.ice_failures = 5;
        plan.partition = Some(Partition { first: 25, ..draw_partition(&mut rng, 50) });
        for index in 0..50 {
            let peer = match index {
                // A full copy on each side of the partition.
                0 | 26 => PeerPlan { path: draw_path(&mut rng), ..PeerPlan::seeder() },
                _ if index % 20 == 7 => PeerPlan::villain(draw_habit(&mut rng)),
                _ => PeerPlan { disk: DiskPlan::SOUND, reads: false, ..draw_leecher(&mut rng, false) },
            };
            plan.peers.push(peer);
        }
        Self { checks_every: 50, ..plan }
    }

    /// The same swarm without villains and faults, for comparison.
    pub fn calm(&self) -> Self {
        let honest = |peer: &&PeerPlan| peer.must_finish();
        let calm = |peer: &PeerPlan| PeerPlan { leaves: None, sleeps: None, ..peer.clone() };
        Self {
            trackers: vec![Uptime::Always],
            answers: Answers::PassedOn,
            ice_failures: 0,
            partition: None,
            peers: self.peers.iter().filter(honest).map(calm).collect(),
            ..self.clone()
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u64) as usize]
}

fn draw_seconds(rng: &mut Rng, bound: u64) -> Duration {
    Duration::from_millis(rng.below(bound * 1000))
}

fn draw_source(rng: &mut Rng) -> Source {
    match rng.below(12) {
        0..4 => Source::Film(pick(rng, film::NAMES)),
        4 => Source::Files(&[1, 300_000, 0, 65_536, 200_001]),
        _ => Source::Random(1 + rng.below(1_500_000) as usize),
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

fn draw_answers(rng: &mut Rng) -> Answers {
    match rng.below(8) {
        0 => Answers::EverySecondLate(Duration::from_secs(60)),
        1 => Answers::Twice,
        2 => Answers::ToOthersToo,
        _ => Answers::PassedOn,
    }
}

fn draw_also(rng: &mut Rng) -> Vec<Source> {
    match rng.below(8) {
        0 => vec![Source::Random(200_000)],
        1 => vec![Source::Files(&[0, 70_000, 1, 90_000]), Source::Random(50_000)],
        _ => Vec::new(),
    }
}

fn draw_partition(rng: &mut Rng, peers: usize) -> Partition {
    let (from, lasts) = (draw_seconds(rng, 30), Duration::from_secs(1) + draw_seconds(rng, 90));
    Partition { from, lasts, first: 1 + rng.below(peers as u64 - 1) as usize }
}

fn draw_sleep(rng: &mut Rng) -> Sleep {
    Sleep { after: draw_seconds(rng, 20), lasts: Duration::from_secs(pick(rng, &[25, 60, 120, 300])) }
}

fn draw_path(rng: &mut Rng) -> Path {
    Path {
        up: pick(rng, &[30_000, 60_000, 250_000, 1_000_000, 5_000_000]),
        down: pick(rng, &[500_000, 2_000_000, 10_000_000]),
        latency: Duration::from_millis(1 + rng.below(80)),
        jitter: Duration::from_millis(rng.below(30)),
        loss: pick(rng, &[0, 0, 0, 0, 0, 0, 0, 1, 3]),
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
        sleeps: (rng.below(10) == 0).then(|| draw_sleep(rng)),
        removes_after: (rng.below(20) == 0).then(|| rng.below(400)),
        habit: (rng.below(6) == 0).then_some(Habit::NoFast),
        path: draw_path(rng),
        disk: draw_disk(rng),
        watches,
        jumps: (0..jump_count).map(|_| (draw_seconds(rng, 6), rng.below(100) as u8)).collect(),
        reads: rng.below(4) == 0,
        ..PeerPlan::leecher()
    }
}

fn draw_disk(rng: &mut Rng) -> DiskPlan {
    let latency = Duration::from_millis(pick(rng, &[0, 1, 5, 200]));
    let quota = pick(rng, &[u64::MAX, u64::MAX, u64::MAX, u64::MAX, 100_000]);
    DiskPlan { quota, failing: pick(rng, &[0, 0, 0, 0, 0, 10]), latency, rots: rng.below(4) == 0 }
}

fn draw_habit(rng: &mut Rng) -> Habit {
    match rng.below(16) {
        0 => Habit::WrongBytes(100),
        1 => Habit::WrongBytes(1 + rng.below(20) as u8),
        2 => Habit::VanishAfter(1 + rng.below(12) as u32),
        3 => Habit::CloseAfter(1 + rng.below(12) as u32),
        _ => pick(rng, &VILLAINS),
    }
}

/// Every class of villain, one habit each or more.
pub(super) const VILLAINS: [Habit; 34] = [
    Habit::WrongOneOfEach,
    Habit::Twice,
    Habit::Unasked,
    Habit::Short,
    Habit::Shifted,
    Habit::WrongMetadata,
    Habit::WrongMetadataSize,
    Habit::MetadataSize("0"),
    Habit::MetadataSize("-1"),
    Habit::MetadataSize("2147483648"),
    Habit::Stuck,
    Habit::NeverUnchokes,
    Habit::Silent,
    Habit::Drips(1),
    Habit::Drips(1_000),
    Habit::SpeaksFirst,
    Habit::FastUnasked,
    Habit::Flood,
    Habit::Noise,
    Habit::Twin,
    Habit::Says(Junk::EndlessMessage),
    Habit::Says(Junk::UnknownId),
    Habit::Says(Junk::SecondHandshake),
    Habit::Says(Junk::BitfieldAgain),
    Habit::Says(Junk::SpareBits),
    Habit::Says(Junk::HaveBeyond),
    Habit::Says(Junk::HaveFlood),
    Habit::Says(Junk::Flapping),
    Habit::Says(Junk::PortFlood),
    Habit::Says(Junk::RequestFlood),
    Habit::Says(Junk::RequestsPastEnd),
    Habit::Says(Junk::RequestsOfNothing),
    Habit::Says(Junk::LongRequest),
    Habit::Says(Junk::CancelFlood),
];
