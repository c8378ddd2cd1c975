//! tmp
use std::time::Duration;
use swarmreel_sim::plan::{PeerPlan, Plan};
use swarmreel_sim::villain::Habit;
use swarmreel_sim::world::run;
#[test]
fn tmp() {
    for hogs in [0, 5, 10, 20, 30, 40, 50] {
        for seed in 1..4 {
        let peers = std::iter::repeat_n(PeerPlan::seeder(), 5).chain(std::iter::repeat_n(PeerPlan::villain(Habit::Stuck), hogs)).chain([PeerPlan { joins: Duration::from_secs(10), ..PeerPlan::leecher() }]).collect();
        let r = run(&Plan { peers, ..Plan::new(seed) });
        let l = r.peers.last().unwrap();
        println!("{hogs} {seed}: {:?} {:?} down {} wasted {}", l.done, l.left, l.downloaded, l.wasted);
        println!("   {:?}", r.peers[..5].iter().map(|p| p.uploaded).collect::<Vec<_>>());
        }
    }
}
