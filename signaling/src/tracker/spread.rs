//! Which shard has which torrent.
//!
//! Invariant: it hangs on the info hash and on a key drawn from a seed, so that nobody who can't see the seed can choose
//! torrents that all fall on one worker. All who ask the same shards hold the same spread.

use std::hash::BuildHasher;

use swarmreel::ids::InfoHash;

use super::keyed::Keyed;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    count: usize,
    keyed: Keyed,
}

impl Spread {
    /// Over so many shards, 1 at least.
    pub fn new(count: usize, seed: [u8; 32]) -> Self {
        Self { count: count.max(1), keyed: Keyed::drawn(seed) }
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of the shard that has this torrent.
    pub fn shard_of(&self, info_hash: &InfoHash) -> usize {
        (self.keyed.hash_one(info_hash) % self.count as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torrents_that_meet_under_one_key_are_apart_under_another() {
        let [one, other] = [1, 2].map(|seed| Spread::new(4, [seed; 32]));
        let hash = |number: u32| InfoHash(std::array::from_fn(|at| number.to_be_bytes()[at % 4]));
        let chosen: Vec<_> = (0..4000).map(hash).filter(|hash| one.shard_of(hash) == 0).collect();
        assert!((800..1200).contains(&chosen.len()), "{}", chosen.len());
        for shard in 0..4 {
            let there = chosen.iter().filter(|hash| other.shard_of(hash) == shard).count();
            assert!((150..350).contains(&there), "{there} of {}", chosen.len());
        }
    }
}
