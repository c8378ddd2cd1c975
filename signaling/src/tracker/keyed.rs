//! How names that strangers choose are hashed.
//!
//! Invariant: by SipHash under a key drawn from the tracker's seed, so that nobody who can't see the seed can choose ids that
//! collide, and the same seed gives the same order.

use std::hash::BuildHasher;

use siphasher::sip::SipHasher13;
use swarmreel::rng::Rng;

/// Makes hashers of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keyed {
    key: [u8; 16],
}

impl Keyed {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// Under a key that the seed gives.
    pub(super) fn drawn(seed: [u8; 32]) -> Self {
        let bytes = Rng::new(seed).bytes20();
        Self::new(std::array::from_fn(|at| bytes[at]))
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }
}
