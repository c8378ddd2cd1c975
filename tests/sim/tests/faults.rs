//! Rows F1 to F28 of the threat model that a simulated world can show: what breaks by itself, and comes back.
//!
//! Each run also passes every oracle, and leaves nothing open.

use std::time::Duration;

use swarmreel::engine::{Action, Command, Engine, Input, Limits, Output, Source as Named};
use swarmreel::ids::SocketId;
use swarmreel::time::Moment;
use swarmreel_sim::chance;
use swarmreel_sim::net::{Path, fair_rate};
use swarmreel_sim::plan::{Departure, HOME, Partition, PeerPlan, Plan, Sleep, Source};
use swarmreel_sim::signal::{Answers, Uptime};
use swarmreel_sim::villain::Habit;
use swarmreel_sim::world::run;

const SIZE: u64 = 400_000;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn plan(peers: Vec<PeerPlan>) -> Plan {
    Plan { peers, ..Plan::new(1) }
}

/// A seeder that sends so many bytes a second.
fn seeder(up: u64) -> PeerPlan {
    PeerPlan { path: Path { up, ..HOME }, ..PeerPlan::seeder() }
}

#[test]
fn f1_a_peer_vanishes_mid_piece() {
    let late = PeerPlan { joins: seconds(4), ..PeerPlan::seeder() };
    for (habit, limit) in [(Habit::CloseAfter(5), 6), (Habit::VanishAfter(5), 20)] {
        let quick = PeerPlan { path: Path { up: 8_000_000, ..HOME }, ..PeerPlan::villain(habit) };
        let report = run(&plan(vec![quick, PeerPlan::leecher(), late.clone()]));
        // The newcomer is there two seconds after the leecher. A silent death shows by the missing block, before the
        // connection dies of it.
        assert!(report.done(1) < seconds(limit), "{habit:?}: {:?}", report.done(1));
        assert_eq!(report.peers[1].wasted, 0, "{habit:?}: what had come is kept");
    }
}

#[test]
fn f1_a_film_goes_on_when_a_peer_vanishes() {
    for silently in [false, true] {
        let leaves = Some(Departure::After { stay: seconds(6), silently, back: None });
        let going = PeerPlan { leaves, ..seeder(200_000) };
        let watching = PeerPlan { watches: true, ..PeerPlan::leecher() };
        let film = Source::Film("long-cues-first.webm");
        let report = run(&Plan { source: film, ..plan(vec![going, seeder(100_000), watching]) });
        let watched = report.peers[2].watched.expect("it watches");
        assert!(watched.stalled <= seconds(2), "{watched:?}");
    }
}

#[test]
fn f2_all_vanish_and_return() {
    let leaves = |silently| Some(Departure::After { stay: seconds(4), silently, back: Some(seconds(60)) });
    for silently in [false, true] {
        let going = PeerPlan { leaves: leaves(silently), ..seeder(60_000) };
        let peers = vec![going.clone(), going, PeerPlan::leecher()];
        let report = run(&plan(peers));
        // Two seconds before they go and, with five to find each other again, after they are back.
        let rest = Duration::from_secs_f64(SIZE as f64 / 120_000.0);
        assert!(report.done(2) < seconds(62 + 5) + rest, "{:?}", report.done(2));
        assert!(report.steps < 3_000, "{} steps: nobody runs in circles meanwhile", report.steps);
    }
}

/// When each of so many clients is connected again to a tracker that stops at 10 s, and is back after so long. Its last
/// words to each are a close code and a reason.
fn reconnections(clients: u64, back: Duration, last_words: impl Fn(u64) -> (u16, String)) -> Vec<Moment> {
    let (stop, lost) = (Moment(10_000_000), (1006, String::new()));
    let reconnection = |client: u64| {
        let mut now = Moment(0);
        let mut engine = Engine::new(Limits::default(), chance::seed(client, "client"), now);
        let source = Named::Text(format!("magnet:?xt=urn:btih:{:040x}&tr=ws://tracker.test/", client));
        engine
            .command(now, Command::Add { source, trackers: Vec::new(), web_seeds: Vec::new() })
            .expect("a good magnet link");
        let mut socket = connects(&mut engine).expect("it connects at once");
        engine.handle(now, Input::SocketOpened(socket));
        while connects(&mut engine).is_some() {}
        now = stop;
        let mut words = last_words(client);
        loop {
            let (code, reason) = std::mem::replace(&mut words, lost.clone());
            engine.handle(now, Input::SocketClosed { socket, code, reason: &reason });
            socket = loop {
                if let Some(socket) = connects(&mut engine) {
                    break socket;
                }
                now = engine.wake_at().expect("it tries again");
                engine.handle(now, Input::Wake);
            };
            if now >= stop + back {
                return now;
            }
            now = now + seconds(1);
        }
    };
    (0..clients).map(reconnection).collect()
}

/// Most that come within one second.
fn busiest_second(moments: &mut [Moment]) -> usize {
    moments.sort();
    let within = |from: &Moment| moments.iter().filter(|at| *at >= from && at.since(*from) < seconds(1)).count();
    moments.iter().map(within).max().expect("somebody comes")
}

/// Drains an engine. The last socket that it opens.
fn connects(engine: &mut Engine) -> Option<SocketId> {
    let mut opened = None;
    while let Some(output) = engine.poll() {
        if let Output::Do(Action::OpenSocket { socket, .. }) = output {
            opened = Some(socket);
        }
    }
    opened
}

#[test]
fn f3_a_thousand_clients_return_to_a_tracker_one_by_one() {
    let mut returns = reconnections(1_000, seconds(20), |_| (1006, String::new()));
    let busiest = busiest_second(&mut returns);
    let last = returns[999].since(Moment(30_000_000));
    assert!(last <= seconds(60), "the last one is back after {last:?}");
    assert!(busiest <= 100, "{busiest} of 1,000 in one second");
}

#[test]
fn s14_who_is_told_when_to_return_comes_then_and_all_are_back_soon() {
    let delay = |client: u64| 1 + client % 30;
    let mut returns = reconnections(1_000, seconds(0), |client| (1012, format!("retry in {} s", delay(client))));
    for (client, at) in returns.iter().enumerate() {
        let waited = at.since(Moment(10_000_000)).as_secs_f64() / delay(client as u64) as f64;
        assert!((1.0..=1.2).contains(&waited), "{client} is back after {waited} of its delay");
    }
    let busiest = busiest_second(&mut returns);
    assert!(busiest <= 60, "{busiest} of 1,000 in one second");
}

#[test]
fn s14_a_server_that_restarts_in_order_finds_its_swarms_again() {
    let peers = vec![seeder(60_000), PeerPlan::leecher(), PeerPlan { joins: seconds(40), ..PeerPlan::leecher() }];
    let report = run(&Plan { trackers: vec![Uptime::Drain(seconds(3), seconds(1))], ..plan(peers.clone()) });
    let clean = run(&plan(peers));
    // The world's tracker sees to it that nobody returns early.
    assert!(report.done(1) <= clean.done(1) + Duration::from_millis(100), "{:?}", report.done(1));
    assert!(report.done(2) <= clean.done(2) + seconds(1), "{:?}, clean {:?}", report.done(2), clean.done(2));
}

#[test]
fn f3_transfers_outlive_the_tracker() {
    let report = run(&Plan {
        trackers: vec![Uptime::Restart(seconds(3), seconds(20))],
        ..plan(vec![seeder(60_000), PeerPlan::leecher()])
    });
    let clean = run(&plan(vec![seeder(60_000), PeerPlan::leecher()]));
    assert!(report.done(1) <= clean.done(1) + Duration::from_millis(100), "{:?}", report.done(1));
}

/// Three and three.
fn parted(second: PeerPlan) -> Plan {
    let partition = Partition { from: seconds(4), lasts: seconds(90), first: 3 };
    let leecher = PeerPlan::leecher;
    let peers = vec![seeder(60_000), leecher(), leecher(), second, leecher(), leecher()];
    Plan { partition: Some(partition), ..plan(peers) }
}

#[test]
fn f4_each_side_of_a_partition_with_a_copy_finishes() {
    let report = run(&parted(seeder(60_000)));
    assert!(report.took < seconds(60), "{:?}: before it heals", report.took);
}

#[test]
fn f4_the_network_heals_and_the_swarm_with_it() {
    let report = run(&parted(PeerPlan::leecher()));
    let healed = seconds(94 - 2);
    for peer in [3, 4, 5] {
        assert!(report.done(peer) > healed, "it must wait for the other side");
        let late = report.done(peer) - healed;
        assert!(late < seconds(2 * 90), "{late:?} after the network healed");
    }
}

#[test]
fn f5_one_of_two_flips_a_bit_now_and_then() {
    for seed in 0..8 {
        let peers = vec![PeerPlan::villain(Habit::WrongBytes(1)), PeerPlan::seeder(), PeerPlan::leecher()];
        let report = run(&Plan { seed, source: Source::Random(8_000_000), ..plan(peers) });
        assert!(report.peers[2].wasted <= 6 * 65_536, "seed {seed}: {} bytes for nothing", report.peers[2].wasted);
    }
}

#[test]
fn f6_every_peer_corrupts_everything() {
    let liar = PeerPlan::villain(Habit::WrongBytes(100));
    let report = run(&Plan {
        source: Source::Film("long-cues-first.webm"),
        lasts: seconds(120),
        ..plan(vec![
            liar.clone(),
            liar.clone(),
            liar,
            PeerPlan {
                watches: true,
                leaves: Some(Departure::After { stay: seconds(110), silently: false, back: None }),
                ..PeerPlan::leecher()
            },
        ])
    });
    let victim = &report.peers[3];
    assert_eq!(victim.left.get("it sent data that fails its hash"), Some(&3), "{:?}", victim.left);
    assert_eq!(victim.warnings.get("no-good-source"), Some(&1), "{:?}", victim.warnings);
    assert_eq!(victim.watched.expect("it tries to watch").first_frame, None);
    assert!(victim.downloaded < 12 * 65_536, "{} bytes: no endless fetching", victim.downloaded);
}

#[test]
fn f7_a_slow_peer_is_left_for_others() {
    let slow = |rate| PeerPlan { joins: Duration::ZERO, ..PeerPlan::villain(Habit::Drips(rate)) };
    for rate in [100, 5_000] {
        let late = PeerPlan { joins: seconds(3), ..PeerPlan::seeder() };
        let report = run(&plan(vec![slow(rate), late, PeerPlan::leecher()]));
        assert!(report.done(2) < seconds(20), "{rate} B/s: {:?}", report.done(2));
    }
}

#[test]
fn f15_a_laptop_sleeps_for_eight_hours() {
    let sleeps = Some(Sleep { after: seconds(3), lasts: seconds(8 * 3600) });
    let sleeper = PeerPlan { sleeps, ..PeerPlan::leecher() };
    let report = run(&Plan { patience: seconds(10 * 3600), ..plan(vec![seeder(60_000), sleeper]) });
    let awake = report.done(1) - seconds(8 * 3600);
    // It sleeps with at most 3 s of the 7 done, and is connected again within ten.
    assert!(awake < seconds(3 + 10 + SIZE / 60_000), "{awake:?}");
}

#[test]
fn f15_a_seeder_sleeps_and_is_missed_no_longer_than_that() {
    let sleeps = Some(Sleep { after: seconds(5), lasts: seconds(120) });
    let sleeper = PeerPlan { sleeps, ..seeder(60_000) };
    let report = run(&plan(vec![sleeper, PeerPlan::leecher()]));
    // A page that is not told of the sleep keeps its dead link until that fails, and then waits for the leecher's
    // next announce.
    assert!(report.done(1) < seconds(125 + 40 + SIZE / 60_000), "{:?}", report.done(1));
}

#[test]
fn f17_loss_and_latency_cost_no_more_than_they_must() {
    for (latency, loss, up) in [(75, 5, 2_000_000), (75, 1, 2_000_000), (75, 2, 50_000), (150, 1, 50_000)] {
        let path = Path { up, latency: Duration::from_millis(latency), jitter: seconds(1) / 20, ..HOME };
        let lossy = PeerPlan { path: Path { loss, ..path }, ..PeerPlan::seeder() };
        let report = run(&plan(vec![lossy, PeerPlan { path, ..PeerPlan::leecher() }]));
        let model = fair_rate(path.latency * 4, loss).min(up) as f64;
        let goodput = SIZE as f64 / (report.done(1) - seconds(2)).as_secs_f64();
        assert!(goodput >= 0.6 * model, "{loss} %: {goodput:.0} of {model:.0} bytes a second");
        assert!(!report.peers[1].left.contains_key("it does not deliver"), "{:?}", report.peers[1].left);
    }
}

#[test]
fn f24_answers_that_come_late_twice_or_to_the_wrong_peer() {
    let peers = || vec![PeerPlan::seeder(), PeerPlan::leecher(), PeerPlan::leecher(), PeerPlan::leecher()];
    let clean = run(&plan(peers()));
    for answers in [Answers::Twice, Answers::ToOthersToo, Answers::EverySecondLate(seconds(70))] {
        let report = run(&Plan { answers, ..plan(peers()) });
        let slack = if let Answers::EverySecondLate(_) = answers { 60 } else { 1 };
        for peer in 1..4 {
            let (took, limit) = (report.done(peer), clean.done(peer) + seconds(slack));
            assert!(took <= limit, "{answers:?}: {took:?} instead of {:?}", clean.done(peer));
        }
    }
}

#[test]
fn f25_removed_at_any_step() {
    // World::remove_all asserts that nothing is left, at the moment and again at the end, after late facts.
    let peers = |removes_after| {
        vec![
            PeerPlan {
                leaves: Some(Departure::After { stay: seconds(20), silently: false, back: None }),
                ..seeder(200_000)
            },
            PeerPlan { removes_after, watches: true, reads: true, ..PeerPlan::leecher() },
        ]
    };
    let film = |removes_after| Plan {
        source: Source::Film("mp4-moov-last.mp4"),
        piece_length: 16 << 10,
        also: vec![Source::Random(20_000)],
        lasts: seconds(8),
        ..plan(peers(removes_after))
    };
    let whole = run(&film(None));
    for step in 1..whole.steps {
        let report = run(&film(Some(step)));
        if report.trace == whole.trace {
            assert!(step > 50, "a run has steps to be removed at");
            return;
        }
    }
    panic!("a run has fewer facts than steps");
}

#[test]
fn f25_a_thousand_torrents_come_and_go_and_leave_nothing() {
    let mut engine = Engine::new(Limits::default(), chance::seed(1, "cycles"), Moment(0));
    let mut sizes = Vec::new();
    for cycle in 0..1_000 {
        let now = Moment(cycle * 1_000_000);
        let source = Named::Text(format!("magnet:?xt=urn:btih:{cycle:040x}&tr=wss://tracker.test/"));
        let reply = engine
            .command(now, Command::Add { source, trackers: Vec::new(), web_seeds: Vec::new() })
            .expect("a good magnet link");
        let swarmreel::engine::Reply::Torrent(torrent) = reply else { panic!("a torrent is the reply") };
        connects(&mut engine);
        engine.command(now, Command::Remove { torrent, forget: true }).expect("it is there");
        connects(&mut engine);
        // All the engine's state as text: its counts grow by digits, and nothing else does.
        sizes.push(format!("{engine:?}").len());
    }
    assert!(sizes[999] <= sizes[9] + 100, "{} bytes of state, {} at first", sizes[999], sizes[9]);
}
