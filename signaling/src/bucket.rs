//! A token bucket in one word, which threads share without a lock.
//!
//! Invariant: over any span at most burst + rate × span tokens are taken (the generic cell rate algorithm: when a bucket will
//! be full again does for tokens and time).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use swarmreel::time::Moment;

/// What one bucket allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    /// At once, after a rest.
    pub(crate) burst: u32,
}

/// One bucket, full at first: the moment at which it is full again.
#[derive(Debug, Default)]
pub(crate) struct Bucket(AtomicU64);

impl Bucket {
    /// So many of them.
    pub(crate) fn row(count: usize) -> Box<[Self]> {
        (0..count).map(|_| Self::default()).collect()
    }

    /// Takes a token; false if there is none.
    pub(crate) fn take(&self, now: Moment, rate: Rate) -> bool {
        let period = Duration::from_secs(1) / rate.per_second.max(1);
        let full = now + period.saturating_mul(rate.burst);
        let next = |full_at| Some(Moment(full_at).max(now) + period).filter(|next| *next <= full).map(|next| next.0);
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn taken(bucket: &Bucket, now: Moment) -> usize {
        (0..100).filter(|_| bucket.take(now, RATE)).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (bucket, start) = (Bucket::default(), Moment(7));
        assert_eq!(taken(&bucket, start), 3);
        assert_eq!(taken(&bucket, start + Duration::from_millis(99)), 0);
        assert_eq!(taken(&bucket, start + Duration::from_millis(200)), 2);
        let later = start + Duration::from_secs(1 << 30);
        assert_eq!(taken(&bucket, later), 3, "what was not used does not pile up");
        assert_eq!(taken(&bucket, start), 0, "a clock that runs backwards gives nothing");
    }

    #[test]
    fn threads_that_share_a_bucket_take_no_more_than_one() {
        let (bucket, rate) = (Bucket::default(), Rate { per_second: 1, burst: 1000 });
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| bucket.take(Moment(0), rate)).count();
            let threads = [(); 4].map(|()| scope.spawn(take));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }
}
