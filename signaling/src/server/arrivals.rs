//! How often clients come: a token bucket for each household, and one for all (threat-model S5, S14).
//!
//! Invariant: whoever is refused for its own haste takes nothing from the others' bucket.

use std::net::IpAddr;

use swarmreel::time::Moment;

use super::limits::ServerLimits;
use super::rate::{Buckets, Rate};
use crate::Network;

/// Buckets for households: 32 KiB of them.
const HOUSEHOLDS: usize = 4096;

/// See the module.
pub(super) struct Arrivals {
    households: Buckets,
    all: Buckets,
}

impl Arrivals {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        // Twice what a household may have at once, so that all of it may come back at once.
        let share = u32::try_from(limits.connections_per_address).unwrap_or(u32::MAX).clamp(1, limits.accept_burst);
        let of_household = Rate { per_second: share, burst: share.saturating_mul(2) };
        let of_all = Rate { per_second: limits.accepts_per_second, burst: limits.accept_burst };
        Self { households: Buckets::new(HOUSEHOLDS, of_household), all: Buckets::new(1, of_all) }
    }

    /// Whether a client of this address may come in now.
    pub(super) fn admit(&self, now: Moment, address: IpAddr) -> bool {
        self.households.take(now, Network::from(address)) && self.all.take(now, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_nobody_empties_the_bucket_of_all_alone() {
        let limits = ServerLimits { accepts_per_second: 100, accept_burst: 100, ..ServerLimits::default() };
        let limits = ServerLimits { connections_per_address: 10, ..limits };
        let arrivals = Arrivals::new(&limits);
        let admitted = |last: u8| {
            let address = IpAddr::from([10, 0, 0, last]);
            (0..1000).filter(|_| arrivals.admit(Moment(0), address)).count()
        };
        assert_eq!(admitted(1), 20);
        assert_eq!(admitted(2), 20, "as many as if the first had not come");
        assert_eq!((3..9).map(admitted).sum::<usize>(), 60, "and then the bucket of all is empty");
    }
}
