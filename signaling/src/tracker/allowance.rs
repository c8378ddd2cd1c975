//! How often a connection may ask for something: a token bucket that can go into debt.
//!
//! Invariant: over any span the messages served in full are at most burst + rate × span.

use swarmreel::time::Moment;

use super::TrackerLimits;

const TOKEN: i64 = 1_000_000; // micro-tokens, so that a microsecond of refill is a whole number

/// What the next message may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Everything.
    Full,
    /// A reply, but nothing that reaches other peers.
    ReplyOnly,
    /// Nothing.
    Denied,
}

/// One connection's bucket.
#[derive(Debug)]
pub(super) struct Allowance {
    tokens: i64,
    refilled_at: Moment,
}

impl Allowance {
    pub(super) fn new(now: Moment, limits: &TrackerLimits) -> Self {
        Self { tokens: i64::from(limits.announce_burst) * TOKEN, refilled_at: now }
    }

    /// Takes one token.
    pub(super) fn take(&mut self, now: Moment, limits: &TrackerLimits) -> Grant {
        let micros = i64::try_from(now.since(self.refilled_at).as_micros()).unwrap_or(i64::MAX);
        let refill = micros.saturating_mul(i64::from(limits.announces_per_second));
        self.tokens = self.tokens.saturating_add(refill).min(i64::from(limits.announce_burst) * TOKEN);
        self.refilled_at = now;
        let floor = -i64::from(limits.announce_excess) * TOKEN;
        if self.tokens < floor + TOKEN {
            return Grant::Denied;
        }
        self.tokens -= TOKEN;
        if self.tokens >= 0 { Grant::Full } else { Grant::ReplyOnly }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn burst_then_excess_then_nothing_then_the_rate() {
        let limits = TrackerLimits { announce_burst: 3, announce_excess: 2, ..TrackerLimits::default() };
        let start = Moment(5);
        let mut allowance = Allowance::new(start, &limits);
        let grants: Vec<_> = (0..7).map(|_| allowance.take(start, &limits)).collect();
        use Grant::*;
        assert_eq!(grants, [Full, Full, Full, ReplyOnly, ReplyOnly, Denied, Denied]);
        // Two tokens a second: the debt of two is paid in one second, a full message possible half a second later.
        assert_eq!(allowance.take(start + Duration::from_millis(499), &limits), Denied);
        assert_eq!(allowance.take(start + Duration::from_millis(1500), &limits), Full);
        assert_eq!(allowance.take(start + Duration::from_millis(1500), &limits), ReplyOnly);
        let late = start + Duration::from_secs(1 << 40);
        let full = (0..9).filter(|_| allowance.take(late, &limits) == Full).count();
        assert_eq!(full, 3);
    }
}
