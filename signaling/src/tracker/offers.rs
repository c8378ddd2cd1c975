//! The offers that a peer made and nobody has answered yet.
//!
//! Invariant: oldest first; one is used up by the first answer, and only by that of the connection it was relayed to.

use std::time::Duration;

use swarmreel::ids::OfferId;
use swarmreel::time::Moment;

use super::ConnId;

#[derive(Debug, Default)]
pub(super) struct OpenOffers(Vec<OpenOffer>);

#[derive(Debug)]
struct OpenOffer {
    offer_id: OfferId,
    expires_at: Stamp,
    to: ConnId,
}

impl OpenOffers {
    /// Forgets what is too old, and says how many there are.
    pub(super) fn refresh(&mut self, now: Moment) -> usize {
        let now = Stamp::of(now);
        let old = self.0.partition_point(|offer| offer.expires_at <= now);
        self.0.drain(..old);
        if self.0.capacity() > 2 * self.0.len() {
            self.0.shrink_to_fit();
        }
        self.0.len()
    }

    /// Makes room for so many more, and for no others.
    pub(super) fn reserve(&mut self, count: usize) {
        self.0.reserve_exact(count);
    }

    pub(super) fn push(&mut self, offer_id: OfferId, to: ConnId, now: Moment, life: Duration) {
        self.0.push(OpenOffer { offer_id, expires_at: Stamp::of(now + life), to });
    }

    /// Uses up the offer made to `by`; false if there is none that can still be answered.
    pub(super) fn take(&mut self, offer_id: OfferId, by: ConnId, now: Moment) -> bool {
        let now = Stamp::of(now);
        let open = |offer: &OpenOffer| (offer.offer_id, offer.to) == (offer_id, by) && offer.expires_at > now;
        let index = self.0.iter().position(open);
        index.map(|index| self.0.remove(index)).is_some()
    }

    /// Panics if an invariant is broken, or there are more than `most`.
    pub(super) fn check(&self, most: usize) {
        assert!(self.0.len() <= most, "open offers are capped");
        assert!(self.0.is_sorted_by_key(|offer| offer.expires_at), "offers are in order of age");
    }
}

/// A moment to a fifteenth of a second, in four bytes: they last for nine years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u32);

impl Stamp {
    pub(super) fn of(moment: Moment) -> Self {
        Self((moment.0 >> 16) as u32)
    }

    /// How long ago it was.
    pub(super) fn age(self, now: Moment) -> Duration {
        Duration::from_micros(u64::from(Self::of(now).0.saturating_sub(self.0)) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_costs_32_bytes_and_nothing_once_it_is_old() {
        assert_eq!(size_of::<OpenOffer>(), 32);
        let (mut offers, life) = (OpenOffers::default(), Duration::from_secs(60));
        offers.reserve(3);
        (0..3).for_each(|id| offers.push(OfferId([id; 20]), ConnId(1), Moment(0), life));
        assert_eq!(offers.0.capacity(), 3);
        assert!(!offers.take(OfferId([1; 20]), ConnId(2), Moment(0)), "made to somebody else");
        assert!(offers.take(OfferId([1; 20]), ConnId(1), Moment(0)));
        assert!(!offers.take(OfferId([1; 20]), ConnId(1), Moment(0)), "once");
        assert_eq!(offers.refresh(Moment(59_000_000)), 2);
        assert_eq!(offers.refresh(Moment(60_000_000)), 0);
        assert_eq!(offers.0.capacity(), 0);
    }
}
