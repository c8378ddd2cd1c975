//! The connections of one worker: reads their messages, counts what they may, and asks the shards for the rest.
//!
//! Invariant: a connection's memberships are what its client asked for and what the shards said since. Whatever the shards
//! have bound to a connection that is gone, they are asked to let go.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Action, Event};

use super::access::Access;
use super::allowance::Grant;
use super::connection::{Connection, Membership};
use super::counters::{Counters, Withheld};
use super::delivery::Delivery;
use super::households::Households;
use super::incoming::Incoming;
use super::keyed::Keyed;
use super::refusal::Refusal;
use super::reply;
use super::request::{Announce, Answer, Asker, Leave, Offer, Request, Scrape};
use super::stats::Stats;
use super::{ConnId, Output, TrackerLimits};

const OPEN: &str = "a connection whose message is handled is open";

/// A message without effect, with what is known of it.
struct Refused {
    info_hash: Option<InfoHash>,
    action: Action,
    refusal: Refusal,
}

impl Refused {
    fn announce(info_hash: InfoHash, refusal: Refusal) -> Self {
        Self { info_hash: Some(info_hash), action: Action::Announce, refusal }
    }
}

/// Buckets of a desk that shares none.
const HOUSEHOLDS: usize = 64;

/// The connections of one worker. See the module.
#[derive(Debug)]
pub struct Desk {
    limits: TrackerLimits,
    access: Access,
    households: Arc<Households>,
    connections: HashMap<ConnId, Box<Connection>, Keyed>,
    /// When to look at a connection; one entry each.
    deadlines: BTreeSet<(Moment, ConnId)>,
    counters: Counters,
    requests: VecDeque<Request<'static>>,
    outputs: VecDeque<Output>,
}

impl Desk {
    /// A desk without connections.
    pub fn new(limits: TrackerLimits) -> Self {
        Self {
            households: Arc::new(Households::new(&limits, [0; 32], HOUSEHOLDS)),
            limits,
            access: Access::Open,
            // Our own numbers need no secret.
            connections: HashMap::with_hasher(Keyed::new([0; 16])),
            deadlines: BTreeSet::new(),
            counters: Counters::default(),
            requests: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// From now on these torrents are served. A peer of another one is dropped at its next announce.
    pub fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    /// From now on its connections and those of other desks together have what a household may do.
    pub fn share(&mut self, households: Arc<Households>) {
        self.households = households;
    }

    /// A WebSocket opened.
    ///
    /// # Panics
    /// If it is open already.
    pub fn opened(&mut self, now: Moment, conn: ConnId, address: IpAddr) {
        let connection = Connection::new(now, address, &self.limits);
        self.deadlines.insert((connection.due, conn));
        let before = self.connections.insert(conn, Box::new(connection));
        assert!(before.is_none(), "a connection opens once");
    }

    /// A text message arrived. The request, if there is one, is for the shard that it names, before any that
    /// [`Desk::poll_request`] gives after this. Messages of connections that were closed are ignored.
    pub fn message<'t>(&mut self, now: Moment, conn: ConnId, text: &'t str) -> Option<Request<'t>> {
        if !self.connections.contains_key(&conn) {
            return None;
        }
        let outcome = match Incoming::parse(text) {
            Ok(incoming) => self.incoming(now, conn, incoming),
            Err(error) => {
                self.counters.malformed += 1;
                let text = reply::failure(error.info_hash, error.action, &error.to_string());
                self.fail(conn, text, true);
                return None;
            }
        };
        outcome.map_err(|refused| self.refuse(now, conn, &refused)).ok()
    }

    /// A WebSocket closed, or was found dead. Like every input it carries the time, though nothing hangs on it yet.
    pub fn closed(&mut self, _now: Moment, conn: ConnId) {
        self.remove(conn);
    }

    /// A shard has something for one of the connections; to be called in the order in which each shard said it.
    pub fn delivered(&mut self, now: Moment, delivery: Delivery) {
        match delivery {
            Delivery::Text { conn, text, droppable } => self.send(conn, text, droppable),
            Delivery::Admitted { peer, complete, text } => {
                if self.admitted(now, peer, complete) {
                    self.send(peer.conn, text, false);
                } else {
                    self.requests.push_back(Request::Leave(peer));
                }
            }
            Delivery::Left { peer, text } => {
                if let Some(connection) = self.connections.get_mut(&peer.conn) {
                    forget(connection, &peer.info_hash, &peer.peer_id);
                    text.into_iter().for_each(|text| self.send(peer.conn, text, false));
                }
            }
            Delivery::Refused { conn, info_hash, peer_id, refusal } => {
                self.refused(now, conn, info_hash, peer_id, refusal);
            }
            Delivery::Probe { conn } => {
                if self.connections.contains_key(&conn) {
                    self.outputs.push_back(Output::Probe { conn });
                }
            }
        }
    }

    /// Does what has become due.
    pub fn wake(&mut self, now: Moment) {
        while let Some(&(due, conn)) = self.deadlines.first()
            && due <= now
        {
            self.deadlines.pop_first();
            self.expire(now, conn);
        }
    }

    /// When [`Desk::wake`] next has something to do, at the earliest.
    pub fn wake_at(&self) -> Option<Moment> {
        self.deadlines.first().map(|&(due, _)| due)
    }

    /// The next thing to do; to be called until `None` after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next thing to ask of a shard; to be called until `None` after every input.
    pub fn poll_request(&mut self) -> Option<Request<'static>> {
        self.requests.pop_front()
    }

    /// What was done here.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The connections in numbers, without the torrents; walks over all of them.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for connection in self.connections.values() {
            let members = connection.memberships().iter().map(|member| (&member.peer_id, member.complete));
            stats.count(connection.network.is_ipv4(), members);
        }
        stats
    }

    /// Every peer that the shards should have of this desk's connections, when nothing is on its way.
    pub fn peers(&self) -> impl Iterator<Item = (Leave, bool)> {
        self.connections.iter().flat_map(|(conn, connection)| {
            connection.memberships().iter().map(|member| (leave(*conn, member), member.complete))
        })
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        for (conn, connection) in &self.connections {
            connection.check(&self.limits);
            assert!(self.deadlines.contains(&(connection.due, *conn)), "every connection has a deadline");
        }
        assert_eq!(self.deadlines.len(), self.connections.len(), "only connections have deadlines");
    }

    fn incoming<'t>(&mut self, now: Moment, conn: ConnId, incoming: Incoming<'t>) -> Result<Request<'t>, Refused> {
        match incoming {
            Incoming::Scrape(hashes) => {
                self.counters.scrapes += 1;
                self.charge(now, conn, None, Action::Scrape)?;
                Ok(Request::Scrape(Scrape::new(Asker::Conn(conn), hashes)))
            }
            Incoming::Answer { info_hash, peer_id, to_peer_id, offer_id, sdp } => {
                self.counters.answers += 1;
                self.may_answer(now, conn, info_hash, peer_id)?;
                Ok(Request::Answer(Answer { conn, info_hash, peer_id, to_peer_id, offer_id, sdp }))
            }
            Incoming::Announce { info_hash, peer_id, event, left, numwant, mut offers } => {
                self.counters.announces += 1;
                self.counters.offers += offers.len() as u64;
                let peer = Leave { conn, info_hash, peer_id };
                let too_often = self.charge(now, conn, Some(info_hash), Action::Announce)? != Grant::Full;
                if event == Some(Event::Stopped) {
                    self.stop(peer)?;
                    return Ok(Request::Stop { leave: peer, too_often });
                }
                let complete = self.join(now, peer, event, left)?;
                self.thin_out(&mut offers, numwant, too_often);
                let network = self.connection(conn).network;
                Ok(Request::Announce(Announce { conn, network, info_hash, peer_id, complete, offers, too_often }))
            }
        }
    }

    fn stop(&mut self, peer: Leave) -> Result<(), Refused> {
        self.counters.stops += 1;
        let connection = self.connection(peer.conn);
        if connection.member(&peer.info_hash).is_some_and(|member| member.peer_id != peer.peer_id) {
            return Err(Refused::announce(peer.info_hash, Refusal::OtherPeerId));
        }
        connection.forget(&peer.info_hash);
        Ok(())
    }

    /// Notes the peer as a member before the shard does, so that what comes meanwhile is measured against it. Whether it
    /// has all bytes.
    fn join(&mut self, now: Moment, peer: Leave, event: Option<Event>, left: Option<u64>) -> Result<bool, Refused> {
        let Leave { conn, info_hash, peer_id } = peer;
        let served = self.access.serves(&info_hash);
        let torrents_max = self.limits.torrents_per_connection;
        let connection = self.connection(conn);
        let before = connection.member(&info_hash).copied();
        let refusal = match before {
            _ if !served => Some(Refusal::NotServed),
            Some(member) if member.peer_id != peer_id => Some(Refusal::OtherPeerId),
            None if connection.memberships().len() >= torrents_max => Some(Refusal::TooManyTorrents),
            _ => None,
        };
        if let Some(refusal) = refusal {
            if !served && let Some(member) = connection.forget(&info_hash) {
                self.requests.push_back(Request::Leave(leave(conn, &member)));
            }
            return Err(Refused::announce(info_hash, refusal));
        }
        let complete = match left {
            _ if event == Some(Event::Completed) => true,
            Some(left) => left == 0,
            None => before.is_some_and(|member| member.complete),
        };
        connection.put(Membership { info_hash, peer_id, complete, heard_at: now });
        Ok(complete)
    }

    /// Leaves the offers that are wanted and allowed.
    fn thin_out(&mut self, offers: &mut Vec<Offer<'_>>, numwant: Option<u32>, too_often: bool) {
        let (most, cause) = match too_often {
            true => (0, Withheld::TooOften),
            false => (numwant.unwrap_or(u32::MAX) as usize, Withheld::Unwanted),
        };
        self.counters.withhold(offers.len().saturating_sub(most), cause);
        offers.truncate(most);
    }

    /// Only a peer of the torrent answers. Whether the offer was made to it is the shard's to know.
    fn may_answer(&mut self, now: Moment, conn: ConnId, info_hash: InfoHash, peer_id: PeerId) -> Result<(), Refused> {
        let connection = self.connection(conn);
        if connection.is_member(&info_hash, &peer_id) {
            return Ok(());
        }
        let forged = connection.member(&info_hash).is_some();
        self.charge(now, conn, Some(info_hash), Action::Announce)?;
        let refusal = if forged { Refusal::ForgedAnswer } else { Refusal::NoSuchOffer };
        Err(Refused::announce(info_hash, refusal))
    }

    /// Pays for a message out of the connection's allowance, and out of its household's.
    fn charge(
        &mut self,
        now: Moment,
        conn: ConnId,
        info_hash: Option<InfoHash>,
        action: Action,
    ) -> Result<Grant, Refused> {
        let connection = self.connections.get_mut(&conn).expect(OPEN);
        let grant = connection.allowance.take(now, &self.limits);
        let refusal = match grant {
            Grant::Denied => Refusal::TooManyMessages,
            _ if !self.households.take(now, connection.network) => Refusal::BusyHousehold,
            _ => {
                connection.heard_at = now;
                return Ok(grant);
            }
        };
        Err(Refused { info_hash, action, refusal })
    }

    /// Follows a shard that has taken a peer in. False if that has to be undone.
    fn admitted(&mut self, now: Moment, peer: Leave, complete: bool) -> bool {
        let Leave { conn, info_hash, peer_id } = peer;
        let torrents_max = self.limits.torrents_per_connection;
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        let follows = match connection.member(&info_hash) {
            Some(member) => member.peer_id == peer_id,
            // Refused or left before, and taken in since.
            None => connection.memberships().len() < torrents_max,
        };
        if follows {
            let heard_at = connection.member(&info_hash).map_or(now, |member| member.heard_at);
            connection.put(Membership { info_hash, peer_id, complete, heard_at });
        }
        follows
    }

    fn refused(&mut self, now: Moment, conn: ConnId, info_hash: InfoHash, peer_id: PeerId, refusal: Refusal) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let mut refused = Refused::announce(info_hash, refusal);
        match refusal {
            Refusal::PeerIdInUse => forget(connection, &info_hash, &peer_id),
            // Mostly an honest answer that comes too late; a flood of them is paid for like announces.
            Refusal::NoSuchOffer => {
                refused = self.charge(now, conn, Some(info_hash), Action::Announce).err().unwrap_or(refused);
            }
            _ => {}
        }
        self.refuse(now, conn, &refused);
    }

    fn refuse(&mut self, now: Moment, conn: ConnId, refused: &Refused) {
        let Refused { info_hash, action, refusal } = refused;
        self.counters.refuse(*refusal);
        let text = reply::failure(*info_hash, Some(*action), refusal.text());
        // One hurry is one strike: a client that is back with a thousand torrents is not thrown out again and again.
        let is_new = *refusal != Refusal::TooManyMessages || self.connection(conn).hurries_anew(now);
        self.fail(conn, text, refusal.is_strike() && is_new);
    }

    fn fail(&mut self, conn: ConnId, text: String, strike: bool) {
        self.send(conn, text, false);
        let strikes = &mut self.connection(conn).strikes;
        *strikes += u16::from(strike);
        if u32::from(*strikes) >= self.limits.strikes {
            self.close(conn, 1008, "too many bad messages");
        }
    }

    /// Drops what has been silent too long, and the connection if nothing is left of it.
    fn expire(&mut self, now: Moment, conn: ConnId) {
        let Desk { connections, limits, requests, .. } = self;
        let connection = connections.get_mut(&conn).expect("only connections have deadlines");
        for member in connection.take_silent(now, limits) {
            requests.push_back(Request::Leave(leave(conn, &member)));
        }
        connection.due = connection.deadline(limits);
        self.deadlines.insert((connection.due, conn));
        if connection.due <= now {
            self.close(conn, 1000, "no announce for too long");
        }
    }

    fn remove(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        self.deadlines.remove(&(connection.due, conn));
        for member in connection.memberships() {
            self.requests.push_back(Request::Leave(leave(conn, member)));
        }
        if self.connections.len() < self.connections.capacity() / 4 {
            self.connections.shrink_to(2 * self.connections.len());
        }
    }

    fn close(&mut self, conn: ConnId, code: u16, reason: &'static str) {
        self.remove(conn);
        self.outputs.push_back(Output::Close { conn, code, reason });
    }

    fn send(&mut self, conn: ConnId, text: String, droppable: bool) {
        if self.connections.contains_key(&conn) {
            self.outputs.push_back(Output::Send { conn, text, droppable });
        }
    }

    fn connection(&mut self, conn: ConnId) -> &mut Connection {
        self.connections.get_mut(&conn).expect(OPEN)
    }
}

fn leave(conn: ConnId, member: &Membership) -> Leave {
    Leave { conn, info_hash: member.info_hash, peer_id: member.peer_id }
}

/// Forgets the peer of that name.
fn forget(connection: &mut Connection, info_hash: &InfoHash, peer_id: &PeerId) {
    if connection.is_member(info_hash, peer_id) {
        connection.forget(info_hash);
    }
}
