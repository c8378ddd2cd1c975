//! A peer's standing with our upload slots: what the choker asks about it.
//!
//! Invariant: rates are over the time since the last round of choking, which is long enough not to flutter.

use std::time::Duration;

use crate::time::Moment;

/// Counts of one peer since it was choked or unchoked, and since the last round.
#[derive(Clone, Debug)]
pub struct Slot {
    /// When the peer was last choked or unchoked; when it came, if it never was.
    pub since: Moment,
    /// It was unchoked once.
    pub welcomed: bool,
    /// Payload to it when it was last unchoked, bytes.
    up_at_unchoke: u64,
    round_at: Moment,
    /// Payload from it and to it at the last round, bytes.
    at_round: (u64, u64),
    /// How often in this round its channel was looked at, and still held bytes of before.
    looks: (u32, u32),
}

impl Slot {
    /// Of a peer that comes now.
    pub fn new(now: Moment) -> Self {
        Self { since: now, welcomed: false, up_at_unchoke: 0, round_at: now, at_round: (0, 0), looks: (0, 0) }
    }

    /// The peer is unchoked, having got so many bytes of payload.
    pub fn open(&mut self, now: Moment, up: u64) {
        (self.since, self.welcomed, self.up_at_unchoke) = (now, true, up);
    }

    /// The peer is choked.
    pub fn shut(&mut self, now: Moment) {
        self.since = now;
    }

    /// A round begins, at these bytes of payload from and to it.
    pub fn begin_round(&mut self, now: Moment, down: u64, up: u64) {
        (self.round_at, self.at_round, self.looks) = (now, (down, up), (0, 0));
    }

    /// Something was put into the channel, which still held bytes of before, or did not.
    pub fn look(&mut self, held: bool) {
        self.looks = (self.looks.0 + 1, self.looks.1 + u32::from(held));
    }

    /// Mostly in this round, the channel still held bytes when more were there for it.
    pub fn is_busy(&self) -> bool {
        self.looks.1 * 2 > self.looks.0
    }

    /// Payload to the peer since it was unchoked, bytes.
    pub fn given(&self, up: u64) -> u64 {
        up - self.up_at_unchoke
    }

    /// Payload from and to the peer in this round, bytes per second.
    pub fn rates(&self, now: Moment, down: u64, up: u64) -> (u64, u64) {
        let span = now.since(self.round_at).max(Duration::from_secs(1)).as_secs_f64();
        let rate = |bytes: u64, before: u64| ((bytes - before) as f64 / span) as u64;
        (rate(down, self.at_round.0), rate(up, self.at_round.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_round_and_by_turn() {
        let second = |count: u64| Moment(count * 1_000_000);
        let mut slot = Slot::new(second(0));
        slot.open(second(2), 500);
        slot.begin_round(second(10), 1000, 2000);
        assert_eq!(slot.rates(second(20), 1000, 52_000), (0, 5000));
        assert_eq!(slot.rates(second(10), 1010, 2000), (10, 0), "a round is never shorter than a second");
        assert_eq!((slot.given(2000), slot.since), (1500, second(2)));
        slot.open(second(30), 52_000);
        assert_eq!(slot.given(52_000), 0);
    }

    #[test]
    fn a_channel_that_mostly_holds_bytes_is_busy() {
        let mut slot = Slot::new(Moment(0));
        assert!(!slot.is_busy());
        [true, false, true].into_iter().for_each(|held| slot.look(held));
        assert!(slot.is_busy());
        slot.begin_round(Moment(1), 0, 0);
        assert!(!slot.is_busy());
    }
}
