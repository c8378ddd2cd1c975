//! How often all connections of one household may announce together, whichever desks they are at (threat-model S11).
//!
//! Invariant: the memory is the same whoever comes, and no lock is taken. Households whose networks fall on one bucket share
//! it; which ones do hangs on a seed, so that nobody can aim at another one's.

use std::hash::BuildHasher;

use swarmreel::time::Moment;

use super::TrackerLimits;
use super::keyed::Keyed;
use super::request::Network;
use crate::bucket::{Bucket, Rate};

/// See the module.
#[derive(Debug)]
pub struct Households {
    buckets: Box<[Bucket]>,
    keyed: Keyed,
    rate: Rate,
}

impl Households {
    /// So many buckets, of 8 bytes each.
    pub fn new(limits: &TrackerLimits, seed: [u8; 32], buckets: usize) -> Self {
        let rate = Rate {
            per_second: limits.household_announces_per_second,
            burst: limits.household_announces_per_second.saturating_mul(limits.household_burst_seconds),
        };
        Self { buckets: Bucket::row(buckets.max(1)), keyed: Keyed::drawn(seed), rate }
    }

    /// Takes one announce of what the household may do; false if it has done all of it.
    pub(super) fn take(&self, now: Moment, network: Network) -> bool {
        let index = self.keyed.hash_one(network) % self.buckets.len() as u64;
        self.buckets[index as usize].take(now, self.rate)
    }
}
