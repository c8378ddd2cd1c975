//! Who announces when: a schedule made before the load starts, so that it can't depend on how the server does.
//!
//! Invariant: the same seed gives every server the same schedule, and a peer's turn comes again only after everybody
//! else's.

use crate::sdp::Chance;

/// One announce to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, in µs after the start.
    pub at: u64,
    /// Whose.
    pub peer: u32,
}

/// Arrivals of many independent clients (a Poisson process), `rate` a second for so many µs, over all peers in turn.
pub fn poisson(rate: f64, duration: u64, peers: u32, seed: u64) -> Vec<Arrival> {
    let mut chance = Chance::new(seed);
    let order = shuffled(peers, &mut chance);
    let mean = 1e6 / rate;
    let mut arrivals = Vec::with_capacity((rate * duration as f64 / 1e6 * 1.1) as usize);
    let mut at = 0.0;
    for peer in order.iter().copied().cycle() {
        at += -mean * (1.0 - chance.fraction()).ln();
        if at >= duration as f64 {
            break;
        }
        arrivals.push(Arrival { at: at as u64, peer });
    }
    arrivals
}

/// Arrivals at even distances, `rate` a second for so many µs, over all peers in turn.
pub fn even(rate: f64, duration: u64, peers: u32, seed: u64) -> Vec<Arrival> {
    let order = shuffled(peers, &mut Chance::new(seed));
    let count = (rate * duration as f64 / 1e6) as usize;
    let at = |index: usize| (index as f64 * 1e6 / rate) as u64;
    order.iter().copied().cycle().take(count).enumerate().map(|(index, peer)| Arrival { at: at(index), peer }).collect()
}

fn shuffled(count: u32, chance: &mut Chance) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    for index in (1..order.len()).rev() {
        order.swap(index, chance.within(0..index as u64 + 1) as usize);
    }
    order
}

/// Which swarm each peer is in: swarm `k` of `swarms` is chosen with weight 1/k (Zipf's law with exponent 1), as torrents
/// are popular.
pub fn zipf(peers: u32, swarms: u32, seed: u64) -> Vec<u32> {
    let weights: Vec<f64> = (1..=swarms).map(|rank| 1.0 / f64::from(rank)).collect();
    let total: f64 = weights.iter().sum();
    // Shares rather than draws: every server, and every seed, gets swarms of the same sizes.
    let mut chosen = Vec::with_capacity(peers as usize);
    let mut until = 0.0;
    for (swarm, weight) in (0..swarms).zip(weights) {
        until += weight / total * f64::from(peers);
        while chosen.len() < until.round() as usize {
            chosen.push(swarm);
        }
    }
    let order = shuffled(peers, &mut Chance::new(seed));
    order.into_iter().map(|index| chosen[index as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_the_rate_and_take_turns() {
        for arrivals in [poisson(1000.0, 20_000_000, 500, 1), even(1000.0, 20_000_000, 500, 1)] {
            assert!((19_000..=21_000).contains(&arrivals.len()), "{}", arrivals.len());
            assert!(arrivals.is_sorted_by_key(|arrival| arrival.at));
            let mut first: Vec<_> = arrivals[..500].iter().map(|arrival| arrival.peer).collect();
            first.sort_unstable();
            assert!(first.into_iter().eq(0..500));
        }
        assert_eq!(poisson(100.0, 1_000_000, 10, 7), poisson(100.0, 1_000_000, 10, 7));
    }

    #[test]
    fn swarms_are_as_popular_as_their_rank() {
        let chosen = zipf(2000, 50, 1);
        let size = |swarm| chosen.iter().filter(|of| **of == swarm).count();
        assert_eq!(chosen.len(), 2000);
        assert!((440..=450).contains(&size(0)), "{}", size(0));
        assert!((220..=225).contains(&size(1)), "{}", size(1));
        assert!((8..=10).contains(&size(49)), "{}", size(49));
    }
}
