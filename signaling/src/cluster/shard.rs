//! The swarms of one worker, when other nodes have peers of the same swarms.
//!
//! A [`Shard`] with a node around it: requests go through it to the shard, and what happens elsewhere comes in as
//! [`Input`]. Pure like the shard. Without a cluster, or while it cannot be reached, everything passes straight on, and
//! the swarms are this node's own.
//!
//! Invariant: while the cluster is up, a peer that is not bound here is admitted only when this node holds the claim to
//! its id, or when the registry has not answered in time; whoever turns out to be bound twice is bound where the claim
//! is (threat-model C3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::AddAssign;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;

use super::listing::Listing;
use super::message::{Envelope, Message};
use super::nodes::{Nodes, Standing};
use super::parking::Parking;
use super::probes::Probes;
use super::registry::{Input, Output, Synced};
use super::relay::Relay;
use super::{ClusterLimits, Count, NodeId};
use crate::tracker::{Announce, Delivery, Leave, Refusal, Request, Shard, ShardOutput, TrackerLimits};

/// See the module.
#[derive(Debug)]
pub struct ClusterShard {
    pub(super) shard: Shard,
    pub(super) node: NodeId,
    pub(super) limits: ClusterLimits,
    pub(super) tracker_limits: TrackerLimits,
    pub(super) rng: Rng,
    pub(super) up: bool,
    pub(super) nodes: Nodes,
    pub(super) table_asked: bool,
    pub(super) listings: BTreeMap<InfoHash, Listing>,
    /// When to look at a listing; those with an exchange on its way have no entry.
    pub(super) due: BTreeSet<(Moment, InfoHash)>,
    pub(super) in_flight: usize,
    /// How many exchanges may be on their way: fewer while they fail, so that a slow registry is not asked ever more.
    pub(super) window: usize,
    /// Swarms with claims of which the next tables tell.
    pub(super) suspected: BTreeSet<InfoHash>,
    pub(super) serial: u64,
    pub(super) lookups: (Moment, u32),
    pub(super) parking: Parking,
    pub(super) probes: Probes,
    pub(super) relay: Relay,
    pub(super) outputs: VecDeque<Output>,
    pub(super) counters: ClusterCounters,
}

/// A worker's part in the cluster, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterCounters {
    /// Requests that waited for the registry.
    pub parked: u64,
    /// Those that were served without it, since it took too long.
    pub overdue: u64,
    /// Peers that were refused, or put out, since another node has them.
    pub conflicts: u64,
    /// Offers sent to other nodes.
    pub offers_out: u64,
    /// Offers of other nodes that were given to a peer here.
    pub offers_in: u64,
    /// Offers of other nodes for whom nobody was left here.
    pub offers_unplaced: u64,
    /// Open offers of other nodes that made room for newer ones: their answers are refused.
    pub offers_evicted: u64,
    /// Answers sent to other nodes.
    pub answers_out: u64,
    /// Answers of other nodes that were given to a peer here.
    pub answers_in: u64,
    /// Answers of other nodes to no offer that is open.
    pub answers_refused: u64,
}

impl AddAssign for ClusterCounters {
    fn add_assign(&mut self, other: Self) {
        let Self { parked, overdue, conflicts, offers_out, offers_in, offers_unplaced, offers_evicted, .. } = other;
        let Self { answers_out, answers_in, answers_refused, .. } = other;
        self.parked += parked;
        self.overdue += overdue;
        self.conflicts += conflicts;
        self.offers_out += offers_out;
        self.offers_in += offers_in;
        self.offers_unplaced += offers_unplaced;
        self.offers_evicted += offers_evicted;
        self.answers_out += answers_out;
        self.answers_in += answers_in;
        self.answers_refused += answers_refused;
    }
}

impl ClusterShard {
    /// A shard that may become part of a cluster. The seed decides to which nodes offers go.
    pub fn new(shard: Shard, tracker: TrackerLimits, limits: ClusterLimits, seed: [u8; 32]) -> Self {
        Self {
            shard,
            node: NodeId(0),
            window: limits.syncs,
            suspected: BTreeSet::new(),
            limits,
            tracker_limits: tracker,
            rng: Rng::new(seed),
            up: false,
            nodes: Nodes::default(),
            table_asked: false,
            listings: BTreeMap::new(),
            due: BTreeSet::new(),
            in_flight: 0,
            serial: 0,
            lookups: (Moment(0), 0),
            parking: Parking::default(),
            probes: Probes::default(),
            relay: Relay::default(),
            outputs: VecDeque::new(),
            counters: ClusterCounters::default(),
        }
    }

    /// Serves a desk. The request is one for this shard.
    pub fn handle(&mut self, now: Moment, request: Request<'_>) {
        if !self.up {
            return self.shard.handle(now, request);
        }
        if let Request::Leave(leave) = &request {
            self.give_up(leave);
        }
        match self.waits_for(now, &request) {
            Some(info_hash) if self.parking.has_room(&request, &self.limits) => {
                self.counters.parked += 1;
                self.parking.push(now + self.limits.parked, info_hash, request.into_owned());
            }
            _ => self.pass(now, request),
        }
        self.flush(now);
    }

    /// Something happened outside.
    pub fn input(&mut self, now: Moment, input: Input) {
        match input {
            Input::Up { node, live } => self.resync(now, node, &live),
            Input::Down => self.isolate(now),
            Input::Nodes(nodes) if self.up => self.renew(now, &nodes),
            Input::Synced(synced) if self.up => self.synced(now, &synced),
            Input::Unsynced { info_hash, serial } if self.up => self.unsynced(now, info_hash, serial),
            Input::Received(envelope) if self.up && envelope.sender != self.node => self.received(now, envelope),
            Input::Nodes(_) | Input::Synced(_) | Input::Unsynced { .. } | Input::Received(_) => {}
        }
        self.flush(now);
    }

    /// The next thing to pass on; to be called until `None` after every request and input.
    pub fn poll(&mut self) -> Option<ShardOutput> {
        self.shard.poll()
    }

    /// The next thing to be done outside; likewise.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Does what has become due.
    pub fn wake(&mut self, now: Moment) {
        let overdue = self.parking.overdue(now);
        self.counters.overdue += overdue.len() as u64;
        overdue.into_iter().for_each(|request| self.pass(now, request));
        self.probes.wake(now);
        self.relay.wake(now);
        self.flush(now);
    }

    /// When [`ClusterShard::wake`] next has something to do, at the earliest.
    pub fn wake_at(&self) -> Option<Moment> {
        let due = self.due.first().filter(|_| self.in_flight < self.window).map(|(due, _)| *due);
        [due, self.parking.due(), self.probes.due(), self.relay.due()].into_iter().flatten().min()
    }

    /// The swarms themselves.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// This worker's part in the cluster, in numbers.
    pub fn counters(&self) -> ClusterCounters {
        self.counters
    }

    /// Swarms of which something is known or to be told: those that are here, and for a while those that were.
    pub fn swarms_known(&self) -> usize {
        self.listings.len()
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        self.shard.check();
        assert_eq!(self.in_flight, self.listings.values().filter(|listing| listing.in_flight().is_some()).count());
        for (info_hash, listing) in &self.listings {
            let entry = listing.due.filter(|_| listing.in_flight().is_none()).map(|due| (due, *info_hash));
            assert!(entry.is_none_or(|entry| self.due.contains(&entry)), "a listing that is due has an entry");
        }
        let waiting =
            self.listings.values().filter(|listing| listing.due.is_some() && listing.in_flight().is_none()).count();
        assert_eq!(self.due.len(), waiting, "only listings that are due have entries");
    }

    /// The swarm for which this request must wait, if it must; what it waits for is asked.
    fn waits_for(&mut self, now: Moment, request: &Request<'_>) -> Option<InfoHash> {
        match request {
            Request::Announce(Announce { conn, info_hash, peer_id, .. }) => {
                if self.parking.holds(info_hash, *conn) {
                    return Some(*info_hash);
                }
                let is_bound = self.shard.connection_of(info_hash, peer_id).is_some();
                if is_bound && !self.is_stale(now, info_hash) {
                    return None;
                }
                // Who is bound claims too when there is an exchange anyway: a claim may be lost like everything else.
                let listing = self.listing(now, *info_hash);
                if !listing.is_pending(peer_id) {
                    listing.claim(*peer_id, None);
                }
                self.schedule(*info_hash, now);
                Some(*info_hash)
            }
            Request::Stop { leave, .. } => self.parking.holds(&leave.info_hash, leave.conn).then_some(leave.info_hash),
            Request::Answer(answer) => self.parking.holds(&answer.info_hash, answer.conn).then_some(answer.info_hash),
            Request::Scrape(scrape) => self.look_up(now, scrape),
            Request::Leave(_) => None,
        }
    }

    /// A connection is gone: what it waits for is not admitted any more.
    fn give_up(&mut self, leave: &Leave) {
        let its = |request: &Request<'_>| match request {
            Request::Announce(announce) => (announce.conn, announce.peer_id) == (leave.conn, leave.peer_id),
            _ => false,
        };
        if self.parking.holds(&leave.info_hash, leave.conn) {
            drop(self.parking.release(&leave.info_hash, its));
        }
        self.probes.give_up(leave);
    }

    /// Gives a request to the shard, and sees what came of it.
    pub(super) fn pass(&mut self, now: Moment, request: Request<'_>) {
        if let Request::Answer(answer) = &request
            && self.answer_elsewhere(now, answer)
        {
            return;
        }
        let peer = match &request {
            Request::Announce(Announce { conn, info_hash, peer_id, .. }) => {
                Leave { conn: *conn, info_hash: *info_hash, peer_id: *peer_id }
            }
            Request::Stop { leave, .. } | Request::Leave(leave) => *leave,
            Request::Scrape(scrape) => {
                self.shard.unanswered(scrape).into_iter().for_each(|info_hash| self.count_elsewhere(info_hash));
                return self.shard.handle(now, request);
            }
            Request::Answer(_) => return self.shard.handle(now, request),
        };
        self.count_elsewhere(peer.info_hash);
        let was_bound = self.shard.connection_of(&peer.info_hash, &peer.peer_id).is_some();
        self.shard.handle(now, request);
        let is_bound = self.shard.connection_of(&peer.info_hash, &peer.peer_id).is_some();
        if !self.up {
            return;
        }
        if was_bound && !is_bound {
            self.left(now, peer.info_hash, peer.peer_id);
        }
        self.offer_elsewhere(now);
        self.tell(now, peer.info_hash);
    }

    /// A peer is not bound here any more.
    fn left(&mut self, now: Moment, info_hash: InfoHash, peer_id: PeerId) {
        let (node, asker) = (self.node, self.probes.left(info_hash, peer_id));
        let listing = self.listing(now, info_hash);
        listing.release(peer_id, node);
        if let Some(asker) = asker {
            listing.tell_freed(peer_id, asker);
        }
        self.schedule(info_hash, now);
    }

    /// The registry told who holds the claims that were asked for, and what the other nodes have.
    fn synced(&mut self, now: Moment, synced: &Synced) {
        let (info_hash, node) = (synced.info_hash, self.node);
        let Some(listing) = self.awaited(info_hash, synced.serial) else { return };
        let settled = listing.end(now, synced, node);
        self.in_flight -= 1;
        self.window = self.limits.syncs.min(self.window + 1);
        for &(peer_id, loser) in &synced.ousted {
            self.publish(loser, info_hash, Message::Taken(peer_id));
        }
        for (peer_id, asker) in settled.freed {
            self.publish(asker, info_hash, Message::Freed(peer_id));
        }
        for (peer_id, holder) in settled.holders {
            self.settle(now, info_hash, peer_id, holder);
        }
        self.tidy(now, synced);
        self.count_elsewhere(info_hash);
        self.unpark(now, info_hash);
        self.reschedule(now, info_hash);
    }

    fn unsynced(&mut self, now: Moment, info_hash: InfoHash, serial: u64) {
        let again = now + self.limits.again;
        let Some(listing) = self.awaited(info_hash, serial) else { return };
        listing.abandon();
        listing.due = Some(again);
        self.in_flight -= 1;
        self.window = (self.window / 2).max(1);
        self.due.insert((again, info_hash));
    }

    /// The listing that waits for this exchange; there is none if the exchange was before the cluster was lost.
    fn awaited(&mut self, info_hash: InfoHash, serial: u64) -> Option<&mut Listing> {
        self.listings.get_mut(&info_hash).filter(|listing| listing.in_flight() == Some(serial))
    }

    /// It is known who holds a peer id that is announced here.
    pub(super) fn settle(&mut self, now: Moment, info_hash: InfoHash, peer_id: PeerId, holder: NodeId) {
        if holder == self.node {
            let is_here = self.shard.connection_of(&info_hash, &peer_id).is_some();
            if !is_here && !self.parking.announces(&info_hash, peer_id) {
                let node = self.node;
                self.listing(now, info_hash).release(peer_id, node);
            }
            return;
        }
        match self.nodes.standing(holder) {
            Standing::Dead => self.listing(now, info_hash).claim(peer_id, Some(holder)),
            Standing::Unknown => {
                self.suspected.insert(info_hash);
                self.listing(now, info_hash).suspect(peer_id, holder);
            }
            Standing::Live => self.conflict(now, info_hash, peer_id, holder),
        }
    }

    /// Another node has the peer: here it is refused, or put out. The other node looks whether its own connection still
    /// lives; if not, whoever waits here last is let in.
    fn conflict(&mut self, now: Moment, info_hash: InfoHash, peer_id: PeerId, holder: NodeId) {
        let mut refused = Vec::new();
        for request in self.parking.release(&info_hash, |request| announces(request, peer_id)) {
            if let Request::Announce(announce) = request {
                refused.push(Announce { offers: Vec::new(), ..announce });
            }
        }
        refused.extend(self.shard.evict(&info_hash, &peer_id));
        for announce in refused {
            self.counters.conflicts += 1;
            let (conn, refusal) = (announce.conn, Refusal::PeerIdInUse);
            self.shard.deliver(Delivery::Refused { conn, info_hash, peer_id, refusal });
            // Until the other node's lease would have ended, if it is dead and nobody knows yet.
            let until = now + self.limits.lease + self.limits.heartbeat * 2;
            self.probes.wait(announce, holder, until, self.limits.probes);
        }
        self.publish(holder, info_hash, Message::Claim(peer_id));
        self.tell(now, info_hash);
    }

    /// Serves what waited only for what is known now, which includes who of the nodes concerned lives.
    pub(super) fn unpark(&mut self, now: Moment, info_hash: InfoHash) {
        let Some(listing) = self.listings.get(&info_hash) else { return };
        if listing.nodes().any(|node| self.nodes.standing(node) == Standing::Unknown) {
            return;
        }
        let requests = self.parking.release(&info_hash, |request| match request {
            Request::Announce(announce) => !listing.is_pending(&announce.peer_id),
            _ => true,
        });
        for request in requests {
            match self.waits_for_scrape(now, &request) {
                Some(next) => self.parking.push(now + self.limits.parked, next, request),
                None => self.pass(now, request),
            }
        }
    }

    fn waits_for_scrape(&mut self, now: Moment, request: &Request<'_>) -> Option<InfoHash> {
        match request {
            Request::Scrape(scrape) => self.look_up(now, scrape),
            _ => None,
        }
    }

    pub(super) fn publish(&mut self, to: NodeId, info_hash: InfoHash, message: Message) {
        let envelope = Envelope { sender: self.node, info_hash, message };
        self.outputs.push_back(Output::Publish { to, envelope });
    }

    /// This node's own peers of a swarm.
    pub(super) fn count_here(&self, info_hash: &InfoHash) -> Count {
        let tally = self.shard.tally_here(info_hash);
        Count { seeders: tally.complete, leechers: tally.incomplete }
    }
}

fn announces(request: &Request<'_>, peer_id: PeerId) -> bool {
    matches!(request, Request::Announce(announce) if announce.peer_id == peer_id)
}
