//! Time as the core sees it: an argument, never a clock.
//!
//! Invariant: a `Moment` only means something against another of the same engine. `std::time::Instant` panics on
//! wasm32-unknown-unknown and would make runs differ, so nothing here can read a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since the driver's start. Monotonic: the driver never passes a smaller one than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The time from `earlier` until this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}
