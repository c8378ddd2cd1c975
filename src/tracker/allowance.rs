//! How many remote offers are taken: so many at once, and more as time passes (threat-model W2).
//!
//! Invariant: over any span, no more are admitted than the burst and one for each period that fits in it.

use crate::limits::Limits;
use crate::time::Moment;

/// A bucket of offers, full at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: u32,
    /// Up to here, time has been turned into offers.
    counted: Moment,
}

impl Allowance {
    pub(super) fn new(now: Moment, limits: &Limits) -> Self {
        Self { left: limits.remote_offers_burst, counted: now }
    }

    /// Takes one, if one is left.
    pub(super) fn admit(&mut self, now: Moment, limits: &Limits) -> bool {
        let period = (limits.remote_offer_every.as_micros() as u64).max(1);
        let gained = now.since(self.counted).as_micros() as u64 / period;
        self.counted.0 += gained * period;
        self.left = self.left.saturating_add(u32::try_from(gained).unwrap_or(u32::MAX)).min(limits.remote_offers_burst);
        let admitted = self.left > 0;
        self.left = self.left.saturating_sub(1);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_the_burst_and_then_the_rate() {
        let limits = Limits::default();
        let mut allowance = Allowance::new(Moment(0), &limits);
        let mut admitted = |from: u64, until: u64| {
            (from..until).filter(|millisecond| allowance.admit(Moment(millisecond * 1000), &limits)).count()
        };
        let burst = limits.remote_offers_burst as usize;
        assert_eq!(admitted(0, 1000), burst);
        assert_eq!(admitted(1000, 17_000), 10);
        assert_eq!(admitted(10_000_000, 10_001_000), burst, "what was not used does not pile up");
    }
}
