//! Every source of chance in the world, each with its own stream of draws, all from one number.

use swarmreel::hash::sha1;
use swarmreel::rng::Rng;

/// The seed of the stream called `name` in the run of number `seed`.
pub fn seed(seed: u64, name: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..20].copy_from_slice(&sha1(format!("{seed} {name}").as_bytes()));
    bytes
}

/// The stream called `name` in the run of number `seed`.
pub fn stream(number: u64, name: &str) -> Rng {
    Rng::new(seed(number, name))
}
