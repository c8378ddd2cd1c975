//! The swarms of one worker: who is in them, who meets whom, and which offers are open.
//!
//! Invariant: a (torrent, peer id) is bound to one connection until that leaves; every swarm has a peer; an answer passes
//! only for an offer that was relayed to the answerer, once.

mod elsewhere;

use std::collections::{BTreeMap, VecDeque};

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;

use super::delivery::{Delivery, ShardOutput};
use super::refusal::Refusal;
use super::reply;
use super::request::{Announce, Answer, Asker, Leave, Request, Scrape, shard_of};
use super::swarm::Swarm;
use super::{ConnId, TrackerLimits};
use elsewhere::Elsewhere;
pub(crate) use elsewhere::Spare;

const TOO_OFTEN: &str = "announcing too often: offers were not relayed";

/// The swarms of one worker. See the module.
#[derive(Debug)]
pub struct Shard {
    limits: TrackerLimits,
    /// How many shards share the torrents.
    count: usize,
    rng: Rng,
    swarms: BTreeMap<InfoHash, Swarm>,
    outputs: VecDeque<ShardOutput>,
    elsewhere: Elsewhere,
}

impl Shard {
    /// One of `count` shards, without swarms. The seed decides which peers meet.
    pub fn new(limits: TrackerLimits, seed: [u8; 32], count: usize) -> Self {
        let (rng, elsewhere) = (Rng::new(seed), Elsewhere::default());
        Self { limits, count, rng, swarms: BTreeMap::new(), outputs: VecDeque::new(), elsewhere }
    }

    /// Serves a desk. The request is one for this shard.
    pub fn handle(&mut self, now: Moment, request: Request<'_>) {
        match request {
            Request::Announce(announce) => self.announce(now, announce),
            Request::Answer(answer) => self.answer(now, &answer),
            Request::Stop { leave, too_often } => self.stop(leave, too_often),
            Request::Leave(leave) => self.leave(leave),
            Request::Scrape(scrape) => self.scrape(scrape),
        }
    }

    /// The next thing to pass on; to be called until `None` after every input.
    pub fn poll(&mut self) -> Option<ShardOutput> {
        self.outputs.pop_front()
    }

    /// How many swarms there are; each has a peer.
    pub fn torrents(&self) -> usize {
        self.swarms.len()
    }

    /// The counts of one torrent.
    pub fn tally(&self, info_hash: &InfoHash) -> Tally {
        let (here, there) = (self.tally_here(info_hash), self.elsewhere.tally(info_hash));
        let complete = here.complete.saturating_add(there.complete);
        Tally { complete, incomplete: here.incomplete.saturating_add(there.incomplete), downloaded: complete }
    }

    /// Every peer, and whether it has all bytes.
    pub fn peers(&self) -> impl Iterator<Item = (Leave, bool)> {
        self.swarms.iter().flat_map(|(hash, swarm)| {
            let peer = |(peer_id, conn, complete)| (Leave { conn, info_hash: *hash, peer_id }, complete);
            swarm.peers().map(peer)
        })
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        assert!(self.swarms.values().all(|swarm| !swarm.is_empty()), "every swarm has a peer");
        self.swarms.values().for_each(|swarm| swarm.check(&self.limits));
    }

    fn announce(&mut self, now: Moment, announce: Announce<'_>) {
        let Announce { conn, info_hash, peer_id, complete, .. } = announce;
        let peer = Leave { conn, info_hash, peer_id };
        if !self.identify(peer) {
            return;
        }
        self.swarms.entry(info_hash).or_default().put(peer_id, conn, complete);
        let text = self.response(&info_hash, announce.too_often);
        self.deliver(Delivery::Admitted { peer, complete, text });
        self.relay_offers(now, &announce);
    }

    fn stop(&mut self, peer: Leave, too_often: bool) {
        if self.identify(peer) {
            self.leave(peer);
            let text = self.response(&peer.info_hash, too_often);
            self.deliver(Delivery::Left { peer, text });
        }
    }

    /// Only the connection a peer id is bound to speaks for it (threat-model S9).
    fn identify(&mut self, peer: Leave) -> bool {
        let Leave { conn, info_hash, peer_id } = peer;
        match self.connection_of(&info_hash, &peer_id) {
            Some(owner) if owner != conn => {
                self.deliver(Delivery::Probe { conn: owner });
                self.deliver(Delivery::Refused { conn, info_hash, peer_id, refusal: Refusal::PeerIdInUse });
                false
            }
            _ => true,
        }
    }

    fn leave(&mut self, peer: Leave) {
        let Leave { conn, info_hash, peer_id } = peer;
        if self.connection_of(&info_hash, &peer_id) != Some(conn) {
            return;
        }
        let swarm = self.swarms.get_mut(&info_hash).expect("a peer's swarm exists");
        swarm.remove(&peer_id);
        if swarm.is_empty() {
            self.swarms.remove(&info_hash);
        }
    }

    fn response(&self, info_hash: &InfoHash, too_often: bool) -> String {
        let warning = too_often.then_some(TOO_OFTEN);
        reply::response(info_hash, self.tally(info_hash), self.limits.interval, warning)
    }

    fn relay_offers(&mut self, now: Moment, announce: &Announce<'_>) {
        let Announce { info_hash, peer_id, complete, offers, .. } = announce;
        let swarm = self.swarms.get_mut(info_hash).expect("the announcer is in the swarm");
        let count = offers.len().min(swarm.offers_room(peer_id, now, &self.limits));
        let share = self.elsewhere.share(info_hash, *complete, swarm.tally(), count);
        let partners = swarm.partners(peer_id, count - share, &mut self.rng);
        self.elsewhere.keep(announce, &offers[partners.len()..count]);
        for (offer, to) in offers.iter().zip(partners) {
            swarm.offered(peer_id, offer.offer_id, to, now + self.limits.offer_life);
            let text = reply::offer(info_hash, peer_id, &offer.offer_id, &offer.sdp);
            self.outputs.push_back(ShardOutput::Deliver(Delivery::Text { conn: to, text, droppable: true }));
        }
    }

    fn answer(&mut self, now: Moment, answer: &Answer<'_>) {
        let Answer { conn, info_hash, peer_id, to_peer_id, offer_id, sdp } = answer;
        let swarm = self.swarms.get_mut(info_hash).filter(|swarm| swarm.connection_of(peer_id) == Some(*conn));
        let offerer = swarm.and_then(|swarm| swarm.take_offer(to_peer_id, *offer_id, *conn, now));
        self.deliver(match offerer {
            Some(conn) => {
                Delivery::Text { conn, text: reply::answer(info_hash, peer_id, offer_id, sdp), droppable: false }
            }
            None => {
                let (info_hash, peer_id) = (*info_hash, *peer_id);
                Delivery::Refused { conn: *conn, info_hash, peer_id, refusal: Refusal::NoSuchOffer }
            }
        });
    }

    /// Gives the counts that are known here. Who has no more to ask is answered.
    fn scrape(&mut self, mut scrape: Scrape) {
        let here = Request::Scrape(scrape.clone()).shard(self.count);
        for (hash, tally) in &mut scrape.tallies {
            if tally.is_none() && shard_of(hash, self.count) == here {
                *tally = Some(self.tally(hash));
            }
        }
        let tallies: Option<Vec<_>> = scrape.tallies.iter().map(|(hash, tally)| Some((*hash, (*tally)?))).collect();
        self.outputs.push_back(match (tallies, scrape.asker) {
            (None, _) => ShardOutput::Forward(Request::Scrape(scrape)),
            (Some(tallies), Asker::Ticket(ticket)) => ShardOutput::Tallied { ticket, tallies },
            (Some(tallies), Asker::Conn(conn)) => {
                ShardOutput::Deliver(Delivery::Text { conn, text: reply::scrape(tallies), droppable: false })
            }
        });
    }

    /// The connection that a peer id is bound to.
    pub(crate) fn connection_of(&self, info_hash: &InfoHash, peer_id: &PeerId) -> Option<ConnId> {
        self.swarms.get(info_hash).and_then(|swarm| swarm.connection_of(peer_id))
    }

    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        self.outputs.push_back(ShardOutput::Deliver(delivery));
    }
}
