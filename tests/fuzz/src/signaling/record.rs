//! What clients said and were told, as far as S8 is about it.
//!
//! Invariant: an answer that somebody is told was made to an offer of theirs, by a connection that was given it, and each
//! offer that was given is answered once at most.

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Announce, Answer, ServerMessage};
use swarmreel_signaling::ConnId;

use super::Seen;

/// An offer: whose, and its name.
type Made = (ConnId, InfoHash, PeerId, OfferId);

#[derive(Default)]
pub(super) struct Record {
    made: Vec<Made>,
    /// Offers that were given, and whether they were answered.
    given: Vec<(Seen, bool)>,
    answers: Vec<(ConnId, Answer)>,
    scraped: Option<(ConnId, u32)>,
}

impl Record {
    pub(super) fn announced(&mut self, conn: ConnId, announce: &Announce) {
        let made = |(offer_id, _): &(OfferId, String)| (conn, announce.info_hash, announce.peer_id, *offer_id);
        self.made.extend(announce.offers.iter().map(made));
    }

    pub(super) fn answered(&mut self, conn: ConnId, answer: &Answer) {
        self.answers.push((conn, answer.clone()));
    }

    /// One of the offers that were given.
    pub(super) fn seen(&self, which: usize) -> Option<Seen> {
        self.given.get(which.checked_rem(self.given.len())?).map(|(seen, _)| *seen)
    }

    /// What a connection's last scrape said.
    pub(super) fn scraped(&self, conn: ConnId) -> Option<u32> {
        self.scraped.filter(|(asker, _)| *asker == conn).map(|(_, count)| count)
    }

    pub(super) fn told(&mut self, to: ConnId, message: &ServerMessage) {
        match message {
            ServerMessage::Offer { info_hash, peer_id, offer_id, .. } => {
                let (info_hash, offerer, offer_id) = (*info_hash, *peer_id, *offer_id);
                let its = |made: &&Made| (made.1, made.2, made.3) == (info_hash, offerer, offer_id);
                assert!(self.made.iter().any(|made| its(&made) && made.0 != to), "somebody else made it");
                self.given.push((Seen { to, info_hash, offerer, offer_id }, false));
            }
            ServerMessage::Answer { info_hash, peer_id, offer_id, .. } => {
                self.told_answer(to, *info_hash, *peer_id, *offer_id);
            }
            ServerMessage::Scrape(tallies) => {
                let sum = tallies.iter().map(|(_, tally)| tally.complete + tally.incomplete).sum();
                self.scraped = Some((to, sum));
            }
            _ => {}
        }
    }

    fn told_answer(&mut self, to: ConnId, info_hash: InfoHash, answerer: PeerId, offer_id: OfferId) {
        let (made, answers) = (&self.made, &self.answers);
        let its = |(seen, used): &&mut (Seen, bool)| {
            let is_own = made.contains(&(to, info_hash, seen.offerer, offer_id));
            let said = |(by, answer): &(ConnId, Answer)| {
                (*by, answer.info_hash, answer.peer_id, answer.to_peer_id, answer.offer_id)
                    == (seen.to, info_hash, answerer, seen.offerer, offer_id)
            };
            let is_it = (seen.info_hash, seen.offer_id) == (info_hash, offer_id);
            !*used && is_it && is_own && answers.iter().any(said)
        };
        let given = self.given.iter_mut().find(its);
        given.expect("S8: it was given to who answered, and not answered yet").1 = true;
    }
}
