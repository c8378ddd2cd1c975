//! Bytes per second over the last two seconds.

use std::time::Duration;

use crate::time::Moment;

const SLOTS: usize = 8;
const SLOT: u64 = 250_000;

/// A sliding count of bytes.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    slots: [u64; SLOTS],
    /// Number of the slot that time is in, counted from the driver's start.
    current: u64,
    first: Option<Moment>,
    total: u64,
}

impl Rate {
    /// Adds bytes.
    pub fn add(&mut self, now: Moment, bytes: u64) {
        self.first.get_or_insert(now);
        self.turn(now);
        self.slots[self.current as usize % SLOTS] += bytes;
        self.total += bytes;
    }

    fn turn(&mut self, now: Moment) {
        let slot = now.0 / SLOT;
        let passed = slot.saturating_sub(self.current).min(SLOTS as u64);
        for step in 0..passed {
            self.slots[(slot - step) as usize % SLOTS] = 0;
        }
        self.current = self.current.max(slot);
    }

    /// All bytes ever.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes per second.
    pub fn per_second(&self, now: Moment) -> u64 {
        let Some(first) = self.first else { return 0 };
        let mut recent = self.clone();
        recent.turn(now);
        let window = Duration::from_micros(SLOT * (SLOTS as u64 - 1) + now.0 % SLOT);
        let span = now.since(first).min(window).max(Duration::from_micros(SLOT));
        (recent.slots.iter().sum::<u64>() as f64 / span.as_secs_f64()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_bytes_give_their_rate_and_silence_gives_none() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(Moment(0)), 0);
        for tenth in 0..100 {
            rate.add(Moment(tenth * 100_000), 1000);
        }
        let steady = rate.per_second(Moment(9_900_000));
        assert!((9_000..=11_500).contains(&steady), "{steady}");
        assert_eq!(rate.per_second(Moment(13_000_000)), 0);
        assert_eq!(rate.total(), 100_000);
    }

    #[test]
    fn the_first_bytes_count_at_once() {
        let mut rate = Rate::default();
        rate.add(Moment(5_000_000), 25_000);
        assert_eq!(rate.per_second(Moment(5_000_100)), 100_000);
    }
}
