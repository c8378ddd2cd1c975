//! How often strangers may ask for something: token buckets in a table of fixed size.
//!
//! Invariant: the memory is the same whoever asks. Those whose keys fall on one bucket share it; which ones do is drawn
//! anew by each process, so nobody can aim at another one's bucket.

use std::hash::{BuildHasher, Hash, RandomState};

use swarmreel::time::Moment;

use crate::bucket::Bucket;
pub(super) use crate::bucket::Rate;

/// Buckets for keys of one kind.
#[derive(Debug)]
pub(super) struct Buckets {
    buckets: Box<[Bucket]>,
    keys: RandomState,
    rate: Rate,
}

impl Buckets {
    pub(super) fn new(count: usize, rate: Rate) -> Self {
        Self { buckets: Bucket::row(count), keys: RandomState::new(), rate }
    }

    /// How many buckets there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Takes a token of the key's bucket; false if there is none.
    pub(super) fn take(&self, now: Moment, key: impl Hash) -> bool {
        let index = self.keys.hash_one(key) % self.buckets.len() as u64;
        self.buckets[index as usize].take(now, self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn taken(buckets: &Buckets, now: Moment, key: u64) -> usize {
        (0..100).filter(|_| buckets.take(now, key)).count()
    }

    #[test]
    fn keys_have_buckets_of_their_own_as_far_as_there_are_any() {
        let buckets = Buckets::new(4096, RATE);
        let admitted: usize = (0..100).map(|key| taken(&buckets, Moment(0), key)).sum();
        assert!(admitted > 250, "hardly two share one: {admitted}");
        let all: usize = (0..100_000).map(|key| taken(&buckets, Moment(0), key)).sum();
        assert!(all + admitted <= 3 * 4096, "{all}");
    }
}
