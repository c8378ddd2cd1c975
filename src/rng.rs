//! Chance, drawn from a seed: SHA-1 in counter mode.
//!
//! Invariant: the same seed gives the same draws, on every platform. With 32 random bytes from the system as its
//! seed the stream is fit for peer ids and offer ids (threat-model V5); speed does not matter here.

use crate::hash::{Digest, Sha1};

/// A seeded generator.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: [u8; 32],
    counter: u64,
}

impl Rng {
    /// A generator whose every draw follows from `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    fn next(&mut self) -> Digest {
        let mut hash = Sha1::new();
        hash.update(&self.seed);
        hash.update(&self.counter.to_be_bytes());
        self.counter += 1;
        hash.digest()
    }

    /// 20 random bytes.
    pub fn bytes20(&mut self) -> [u8; 20] {
        self.next()
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let digest = self.next();
        let draw = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 20 bytes"));
        if bound == 0 { 0 } else { draw % bound }
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn fraction(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_draws() {
        let (mut a, mut b) = (Rng::new([7; 32]), Rng::new([7; 32]));
        assert_eq!(
            (0..50).map(|_| a.below(1000)).collect::<Vec<_>>(),
            (0..50).map(|_| b.below(1000)).collect::<Vec<_>>()
        );
        assert_ne!(Rng::new([8; 32]).bytes20(), Rng::new([7; 32]).bytes20());
    }

    #[test]
    fn fractions_stay_below_one() {
        let mut rng = Rng::new([0; 32]);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.fraction())));
    }
}
