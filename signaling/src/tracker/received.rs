//! From which networks a peer received offers of late (threat-model S10).
//!
//! Invariant: the latest [`KEPT`] offers of the last [`LIFE`]. Of these no network has more than its share, where there is a
//! choice of networks.

use std::time::Duration;

use swarmreel::time::Moment;

use super::offers::Stamp;
use super::request::Network;
use super::tight;

/// Offers remembered: enough to see a share of a quarter.
const KEPT: usize = 16;
/// For how long: two announces of everybody else.
const LIFE: Duration = Duration::from_secs(180);

#[derive(Debug, Default)]
pub(super) struct Received(Vec<(Stamp, u16)>);

impl Received {
    /// May an offer of this network be relayed, where so many networks might offer something to the receiver? A quarter may
    /// be of one network, or its part of those remembered if that is more; where there is a single one, everything.
    pub(super) fn admits(&self, now: Moment, network: Network, networks: usize) -> bool {
        if networks <= 1 {
            return true;
        }
        let recent = self.0.iter().filter(|(at, _)| is_recent(*at, now));
        let (mut all, mut same) = (1, 1);
        for (_, other) in recent {
            all += 1;
            same += usize::from(*other == network.digest());
        }
        same <= (KEPT / networks).max(1).max(all / 4)
    }

    /// An offer of this network was relayed.
    pub(super) fn note(&mut self, now: Moment, network: Network) {
        self.0.retain(|(at, _)| is_recent(*at, now));
        if self.0.len() == KEPT {
            self.0.remove(0);
        }
        let end = self.0.len();
        tight::insert(&mut self.0, end, (Stamp::of(now), network.digest()));
    }
}

fn is_recent(at: Stamp, now: Moment) -> bool {
    now.0 < LIFE.as_micros() as u64 || at > Stamp::of(Moment(now.0 - LIFE.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_000_000_000);

    /// How many of 100 offers of one network are admitted, besides one each of `others`.
    fn admitted(others: u64, networks: usize) -> usize {
        let mut received = Received::default();
        (1..=others).for_each(|other| received.note(NOW, Network(other)));
        let offers = (0..100).filter(|_| {
            let admitted = received.admits(NOW, Network(0), networks);
            if admitted {
                received.note(NOW, Network(0));
            }
            admitted
        });
        offers.count()
    }

    #[test]
    fn s10_a_network_has_its_share_of_what_a_peer_receives() {
        assert_eq!(admitted(0, 0), 100, "nobody else is there");
        assert_eq!(admitted(0, 1), 100, "there is no choice");
        assert_eq!(admitted(0, 2), 8, "half");
        assert_eq!(admitted(0, 4), 4);
        assert_eq!(admitted(0, 30), 1);
        assert_eq!(admitted(16, 30), 4, "a quarter");
    }

    #[test]
    fn s10_what_is_long_ago_does_not_count() {
        let mut received = Received::default();
        received.note(NOW, Network(0));
        assert!(!received.admits(NOW + LIFE / 2, Network(0), 30));
        assert!(received.admits(NOW + LIFE, Network(0), 30));
        (0..100).for_each(|_| received.note(NOW, Network(1)));
        assert_eq!(received.0.len(), KEPT);
    }
}
