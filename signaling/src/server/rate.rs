//! How often strangers may ask for something: token buckets in a table of fixed size.
//!
//! Invariant: the memory is the same whoever asks. Those whose keys fall on one bucket share it; which ones do is drawn
//! anew by each process, so nobody can aim at another one's bucket.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use swarmreel::time::Moment;

/// What one bucket allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_second: u32,
    /// At once, after a rest.
    pub(super) burst: u32,
}

/// Buckets for keys of one kind.
#[derive(Debug)]
pub(super) struct Buckets {
    /// When each bucket will be full again (the generic cell rate algorithm: one number does for tokens and time).
    full_at: Box<[Moment]>,
    keys: RandomState,
    period: Duration,
    depth: Duration,
}

impl Buckets {
    pub(super) fn new(count: usize, rate: Rate) -> Self {
        let period = Duration::from_secs(1) / rate.per_second;
        Self {
            full_at: vec![Moment(0); count].into(),
            keys: RandomState::new(),
            period,
            depth: period.saturating_mul(rate.burst),
        }
    }

    /// How many buckets there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Takes a token of the key's bucket; false if there is none.
    pub(super) fn take(&mut self, now: Moment, key: impl Hash) -> bool {
        let index = self.keys.hash_one(key) % self.full_at.len() as u64;
        let full_at = &mut self.full_at[index as usize];
        let next = (*full_at).max(now) + self.period;
        let admitted = next <= now + self.depth;
        if admitted {
            *full_at = next;
        }
        admitted
    }
}

/// The network that an address is likely routed by: an IPv4 /24, or an IPv6 /56, of which one line may draw addresses.
pub(super) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits() >> 8),
        // No IPv6 network in use begins with zeros, as the IPv4 ones do here.
        IpAddr::V6(address) => (address.to_bits() >> 72) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn taken(buckets: &mut Buckets, now: Moment, key: u64) -> usize {
        (0..100).filter(|_| buckets.take(now, key)).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut buckets = Buckets::new(1, RATE);
        let start = Moment(7);
        assert_eq!(taken(&mut buckets, start, 1), 3);
        assert_eq!(taken(&mut buckets, start + Duration::from_millis(99), 1), 0);
        assert_eq!(taken(&mut buckets, start + Duration::from_millis(200), 1), 2);
        assert_eq!(
            taken(&mut buckets, start + Duration::from_secs(1 << 30), 1),
            3,
            "what was not used does not pile up"
        );
        assert_eq!(taken(&mut buckets, start, 1), 0, "a clock that runs backwards gives nothing");
    }

    #[test]
    fn keys_have_buckets_of_their_own_as_far_as_there_are_any() {
        let mut buckets = Buckets::new(4096, RATE);
        let admitted: usize = (0..100).map(|key| taken(&mut buckets, Moment(0), key)).sum();
        assert!(admitted > 250, "hardly two share one: {admitted}");
        let all: usize = (0..100_000).map(|key| taken(&mut buckets, Moment(0), key)).sum();
        assert!(all + admitted <= 3 * 4096, "{all}");
    }

    #[test]
    fn networks_are_24_and_56_bits() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:ff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:100::1"));
    }
}
