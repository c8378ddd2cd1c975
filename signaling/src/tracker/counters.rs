//! What a tracker did, in numbers that only grow.
//!
//! Invariant: the kinds are fixed, so that a metrics page has a bounded number of lines. Each count is made in one place, at a
//! desk or at a shard; a whole tracker is the sum.

use std::ops::AddAssign;

use super::refusal::Refusal;

/// Why an offer was not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Its sender announces too often.
    TooOften,
    /// Beyond the sender's `numwant`.
    Unwanted,
    /// Its sender has too many that are not answered yet.
    Outstanding,
    /// Nobody is there to be paired with.
    NoPartner,
    /// Those who are there have had enough, or their networks have had their share.
    Share,
}

impl Withheld {
    /// All of them, in the order of [`Counters::withheld`].
    pub const ALL: [Self; 5] = [Self::TooOften, Self::Unwanted, Self::Outstanding, Self::NoPartner, Self::Share];

    /// A name for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::TooOften => "too_often",
            Self::Unwanted => "unwanted",
            Self::Outstanding => "outstanding",
            Self::NoPartner => "no_partner",
            Self::Share => "share",
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Announces read, those with `stopped` too.
    pub announces: u64,
    /// Of these, those with `stopped`.
    pub stops: u64,
    /// Answers read.
    pub answers: u64,
    /// Scrapes read.
    pub scrapes: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages without effect, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Offers read.
    pub offers: u64,
    /// Offers relayed.
    pub offers_relayed: u64,
    /// Offers not relayed, in the order of [`Withheld::ALL`].
    pub withheld: [u64; Withheld::ALL.len()],
    /// Answers relayed.
    pub answers_relayed: u64,
    /// Connections asked whether they live, because another claimed their peer id.
    pub probes: u64,
    /// Peer ids that went from a dead connection to the one that had claimed them.
    pub claims: u64,
}

impl Counters {
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused[refusal as usize] += 1;
    }

    pub(super) fn withhold(&mut self, count: usize, cause: Withheld) {
        self.withheld[cause as usize] += count as u64;
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        let Self { announces, stops, answers, scrapes, malformed, refused, offers, .. } = other;
        self.announces += announces;
        self.stops += stops;
        self.answers += answers;
        self.scrapes += scrapes;
        self.malformed += malformed;
        self.offers += offers;
        self.refused.iter_mut().zip(refused).for_each(|(sum, count)| *sum += count);
        let Self { offers_relayed, withheld, answers_relayed, probes, claims, .. } = other;
        self.offers_relayed += offers_relayed;
        self.withheld.iter_mut().zip(withheld).for_each(|(sum, count)| *sum += count);
        self.answers_relayed += answers_relayed;
        self.probes += probes;
        self.claims += claims;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_at_its_place() {
        assert!(Withheld::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
        assert!(Refusal::ALL.iter().enumerate().all(|(place, kind)| *kind as usize == place));
    }
}
