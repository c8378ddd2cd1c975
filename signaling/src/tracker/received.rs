//! Which offers a peer received of late: from which networks (threat-model S10), and how many it has not answered yet (S7).
//!
//! Invariant: the latest [`KEPT`] offers of the last [`LIFE`]. Of these no network but the peer's own has more than its share,
//! where there is a choice of networks; and no more come while all of them wait for an answer.

use std::time::Duration;

use swarmreel::time::Moment;

use super::offers::Stamp;
use super::request::Network;
use super::tight;

/// Offers remembered: enough to see a share of a quarter, and somewhat more than a browser answers at a time.
const KEPT: usize = 16;
/// For how long: two announces of everybody else.
const LIFE: Duration = Duration::from_secs(180);
/// What was not answered in this time was lost, or will not be answered: a browser's takes 5 s at most.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Received {
    /// When each came, and from which network; oldest first.
    latest: Vec<(Stamp, u16)>,
    /// How many answers went out for them. Which is which does not matter: the oldest count as answered.
    answered: u8,
}

impl Received {
    /// Whether one more offer would find the peer able to answer it.
    pub(super) fn has_room(&self, now: Moment) -> bool {
        self.answered > 0 || self.latest.len() < KEPT || !is_within(PATIENCE, self.latest[0].0, now)
    }

    /// May an offer of this network be relayed, where so many networks might offer something to the receiver? A quarter may
    /// be of one network, or its part of those remembered if that is more; where there is a single one, everything.
    pub(super) fn admits(&self, now: Moment, network: Network, networks: usize) -> bool {
        if networks <= 1 {
            return true;
        }
        let recent = self.latest.iter().filter(|(at, _)| is_within(LIFE, *at, now));
        let (mut all, mut same) = (1, 1);
        for (_, other) in recent {
            all += 1;
            same += usize::from(*other == network.digest());
        }
        same <= (KEPT / networks).max(1).max(all / 4)
    }

    /// An offer of this network was relayed.
    pub(super) fn note(&mut self, now: Moment, network: Network) {
        let old = self.latest.partition_point(|(at, _)| !is_within(LIFE, *at, now));
        let gone = old.max((self.latest.len() + 1).saturating_sub(KEPT));
        self.latest.drain(..gone);
        self.answered = self.answered.saturating_sub(gone as u8);
        let end = self.latest.len();
        tight::insert(&mut self.latest, end, (Stamp::of(now), network.digest()));
    }

    /// One of them was answered.
    pub(super) fn answered(&mut self) {
        self.answered = (self.answered + 1).min(self.latest.len() as u8);
    }
}

fn is_within(span: Duration, at: Stamp, now: Moment) -> bool {
    let span = span.as_micros() as u64;
    now.0 < span || at > Stamp::of(Moment(now.0 - span))
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
        assert_eq!(received.latest.len(), KEPT);
    }

    #[test]
    fn s7_who_does_not_answer_gets_no_more_for_a_while() {
        let mut received = Received::default();
        let noted = |received: &mut Received, now| {
            let admitted = (0..100).filter(|network| {
                let has_room = received.has_room(now);
                if has_room {
                    received.note(now, Network(*network));
                }
                has_room
            });
            admitted.count()
        };
        received.answered(); // to an offer of long ago
        assert_eq!(noted(&mut received, NOW), KEPT);
        (0..3).for_each(|_| received.answered());
        assert_eq!(noted(&mut received, NOW), 3);
        assert_eq!(noted(&mut received, NOW + PATIENCE), KEPT, "one after the other, as the oldest become too old");
        (0..100).for_each(|_| received.answered());
        assert_eq!(noted(&mut received, NOW + PATIENCE), KEPT, "no more than there are");
        assert_eq!(noted(&mut received, NOW + LIFE * 2), KEPT);
    }
}
