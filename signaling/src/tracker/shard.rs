//! The swarms of one worker: who is in them, who meets whom, and which offers are open.
//!
//! Invariant: a (torrent, peer id) is bound to one connection until that leaves; every swarm has a peer; an answer passes
//! only for an offer that was relayed to the answerer, once.

mod elsewhere;

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;

use super::counters::{Counters, Withheld};
use super::delivery::{Delivery, ShardOutput};
use super::keyed::Keyed;
use super::offers::Stamp;
use super::pairing::{self, Offerer, Round};
use super::refusal::Refusal;
use super::reply::{self, Relay};
use super::request::{Announce, Answer, Asker, Leave, Network, Request, Scrape};
use super::side::Slot;
use super::spread::Spread;
use super::swarm::{Claim, Peer, Swarm};
use super::{ConnId, TrackerLimits};
use elsewhere::Elsewhere;
pub(crate) use elsewhere::Spare;

const TOO_OFTEN: &str = "announcing too often: offers were not relayed";

/// The swarms of one worker. See the module.
#[derive(Debug)]
pub struct Shard {
    limits: TrackerLimits,
    /// Which torrents are this shard's and which the others'.
    spread: Spread,
    keyed: Keyed,
    /// Rounds of offers that were drawn.
    rounds: u64,
    swarms: HashMap<InfoHash, Box<Swarm>, Keyed>,
    counters: Counters,
    outputs: VecDeque<ShardOutput>,
    elsewhere: Elsewhere,
}

impl Shard {
    /// One of the shards of a spread, without swarms. The seed decides which peers meet.
    pub fn new(limits: TrackerLimits, seed: [u8; 32], spread: Spread) -> Self {
        let keyed = Keyed::drawn(seed);
        let swarms = HashMap::with_hasher(keyed);
        let (counters, elsewhere) = (Counters::default(), Elsewhere::default());
        Self { limits, spread, keyed, rounds: 0, swarms, counters, outputs: VecDeque::new(), elsewhere }
    }

    /// Serves a desk. The request is one for this shard.
    pub fn handle(&mut self, now: Moment, request: Request<'_>) {
        match request {
            Request::Announce(announce) => self.announce(now, announce),
            Request::Answer(answer) => self.answer(now, &answer),
            Request::Stop { leave, too_often } => self.stop(now, leave, too_often),
            Request::Leave(leave) => self.leave(now, leave),
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

    /// What was done here.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Every peer, and whether it has all bytes.
    pub fn peers(&self) -> impl Iterator<Item = (Leave, bool)> {
        self.swarms.iter().flat_map(|(hash, swarm)| {
            swarm
                .peers()
                .map(|(peer_id, peer)| (Leave { conn: peer.conn, info_hash: *hash, peer_id: *peer_id }, peer.complete))
        })
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        assert!(self.swarms.values().all(|swarm| !swarm.is_empty()), "every swarm has a peer");
        self.swarms.values().for_each(|swarm| swarm.check(&self.limits));
    }

    fn announce(&mut self, now: Moment, announce: Announce<'_>) {
        let Announce { conn, network, info_hash, peer_id, complete, .. } = announce;
        let peer = Leave { conn, info_hash, peer_id };
        let claim = Claim { conn, network, complete, expires_at: now + self.limits.claim_life };
        if self.identify(now, peer, Some(claim)) {
            let slot = self.admit(now, peer, network, complete, announce.too_often);
            if !announce.offers.is_empty() {
                self.relay_offers(now, slot, &announce);
            }
        }
    }

    fn stop(&mut self, now: Moment, peer: Leave, too_often: bool) {
        if self.identify(now, peer, None) {
            let left = self.remove(&peer);
            let text = Some(self.response(&peer.info_hash, too_often));
            self.deliver(Delivery::Left { peer, text });
            self.inherit(now, peer, left);
        }
    }

    /// Only the connection a peer id is bound to speaks for it (threat-model S9). Another one may claim it, in case that
    /// connection is dead: many clients announce only once when they are back.
    fn identify(&mut self, now: Moment, peer: Leave, claim: Option<Claim>) -> bool {
        let Leave { conn, info_hash, peer_id } = peer;
        let Some(swarm) = self.swarms.get_mut(&info_hash) else { return true };
        let Some(slot) = swarm.find(&peer_id) else { return true };
        let owner = swarm.peer_mut(slot);
        if owner.conn == conn {
            return true;
        }
        owner.claimed(now, conn, claim);
        let owner = owner.conn;
        self.counters.probes += 1;
        self.deliver(Delivery::Probe { conn: owner });
        self.refuse(peer, Refusal::PeerIdInUse);
        false
    }

    fn admit(&mut self, now: Moment, peer: Leave, network: Network, complete: bool, too_often: bool) -> Slot {
        let Leave { conn, info_hash, peer_id } = peer;
        let keyed = self.keyed;
        let swarm = self.swarms.entry(info_hash).or_insert_with(|| Box::new(Swarm::new(keyed)));
        let slot = swarm.put(peer_id, conn, network, complete);
        swarm.peer_mut(slot).bound_at.get_or_insert(Stamp::of(now));
        let text = self.response(&info_hash, too_often);
        self.deliver(Delivery::Admitted { peer, complete, text });
        slot
    }

    fn leave(&mut self, now: Moment, peer: Leave) {
        let left = self.remove(&peer);
        self.deliver(Delivery::Left { peer, text: None });
        self.inherit(now, peer, left);
    }

    /// What a peer that left was called goes to who claimed it.
    fn inherit(&mut self, now: Moment, peer: Leave, left: Option<Peer>) {
        if let Some(claim) = left.and_then(|left| left.claim).filter(|claim| claim.expires_at > now) {
            self.counters.claims += 1;
            self.admit(now, Leave { conn: claim.conn, ..peer }, claim.network, claim.complete, false);
        }
    }

    /// Removes the peer, and the swarm with its last.
    fn remove(&mut self, peer: &Leave) -> Option<Peer> {
        let swarm = self.swarms.get_mut(&peer.info_hash)?;
        let slot = swarm.find(&peer.peer_id).filter(|slot| swarm.peer(*slot).conn == peer.conn)?;
        let left = swarm.remove(slot);
        if swarm.is_empty() {
            self.swarms.remove(&peer.info_hash);
            if self.swarms.len() < self.swarms.capacity() / 4 {
                self.swarms.shrink_to(2 * self.swarms.len());
            }
        }
        Some(left)
    }

    fn response(&self, info_hash: &InfoHash, too_often: bool) -> String {
        let warning = too_often.then_some(TOO_OFTEN);
        reply::response(info_hash, self.tally(info_hash), self.limits.interval, warning)
    }

    fn relay_offers(&mut self, now: Moment, slot: Slot, announce: &Announce<'_>) {
        let Announce { conn, network, info_hash, peer_id, complete, offers, .. } = announce;
        let draws = self.draws();
        let swarm = self.swarms.get_mut(info_hash).expect("the announcer is in the swarm");
        let open = swarm.peer_mut(slot).offers.refresh(now);
        let count = offers.len().min(self.limits.offers_outstanding.saturating_sub(open));
        self.counters.withhold(offers.len() - count, Withheld::Outstanding);
        let offerer = Offerer { conn: Some(*conn), network: *network, complete: *complete };
        let share = self.elsewhere.share(info_hash, *complete, swarm.tally(), count);
        let Round { partners, spared } = pairing::pair(swarm, offerer, count - share, now, draws);
        let rest = &offers[partners.len()..count];
        if !self.elsewhere.keep(announce, rest) {
            self.counters.withhold(rest.len(), if spared { Withheld::Share } else { Withheld::NoPartner });
        }
        self.counters.offers_relayed += partners.len() as u64;
        swarm.peer_mut(slot).offers.reserve(partners.len());
        let relay = Relay::of(info_hash, peer_id);
        for (offer, to) in offers.iter().zip(partners) {
            let to = swarm.receives(to, now, *network);
            swarm.peer_mut(slot).offers.push(offer.offer_id, to, now, self.limits.offer_life);
            let text = relay.offer(&offer.offer_id, &offer.sdp);
            self.outputs.push_back(ShardOutput::Deliver(Delivery::Text { conn: to, text, droppable: true }));
        }
    }

    /// Where a round of offers begins, on either side of a swarm.
    fn draws(&mut self) -> [u64; 2] {
        self.rounds += 1;
        [0u8, 1].map(|side| self.keyed.hash_one((self.rounds, side)))
    }

    fn answer(&mut self, now: Moment, answer: &Answer<'_>) {
        let &Answer { conn, info_hash, peer_id, offer_id, .. } = answer;
        let swarm = self.swarms.get_mut(&info_hash);
        let Some(offerer) = swarm.and_then(|swarm| swarm.answer(now, answer)) else {
            return self.refuse(Leave { conn, info_hash, peer_id }, Refusal::NoSuchOffer);
        };
        self.counters.answers_relayed += 1;
        let text = Relay::of(&info_hash, &peer_id).answer(&offer_id, &answer.sdp);
        self.deliver(Delivery::Text { conn: offerer, text, droppable: false });
    }

    /// Gives the counts that are known here. Who has no more to ask is answered.
    fn scrape(&mut self, mut scrape: Scrape) {
        let here = scrape.shard(&self.spread);
        for (hash, tally) in &mut scrape.tallies {
            if tally.is_none() && self.spread.shard_of(hash) == here {
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

    fn refuse(&mut self, peer: Leave, refusal: Refusal) {
        let Leave { conn, info_hash, peer_id } = peer;
        self.deliver(Delivery::Refused { conn, info_hash, peer_id, refusal });
    }

    /// The connection that a peer id is bound to.
    pub(crate) fn connection_of(&self, info_hash: &InfoHash, peer_id: &PeerId) -> Option<ConnId> {
        let swarm = self.swarms.get(info_hash)?;
        swarm.find(peer_id).map(|slot| swarm.peer(slot).conn)
    }

    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        self.outputs.push_back(ShardOutput::Deliver(delivery));
    }
}
