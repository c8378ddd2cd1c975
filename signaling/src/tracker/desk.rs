//! The connections of one worker: reads their messages, counts what they may, and asks the shards for the rest.
//!
//! Invariant: a connection's memberships are what its client asked for and what the shards said since. Whatever the shards
//! have bound to a connection that is gone, they are asked to let go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{self, Action, ClientMessage, Event};

use super::allowance::Grant;
use super::connection::{Connection, Membership};
use super::delivery::Delivery;
use super::refusal::Refusal;
use super::reply;
use super::request::{Announce, Answer, Asker, Leave, Network, Offer, Request, Scrape, Sdp};
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

/// The connections of one worker. See the module.
#[derive(Debug)]
pub struct Desk {
    limits: TrackerLimits,
    connections: BTreeMap<ConnId, Connection>,
    /// When to look at a connection; one entry each.
    deadlines: BTreeSet<(Moment, ConnId)>,
    requests: VecDeque<Request<'static>>,
    outputs: VecDeque<Output>,
}

impl Desk {
    /// A desk without connections.
    pub fn new(limits: TrackerLimits) -> Self {
        Self {
            limits,
            connections: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            requests: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A WebSocket opened.
    ///
    /// # Panics
    /// If it is open already.
    pub fn opened(&mut self, now: Moment, conn: ConnId, address: IpAddr) {
        let connection = Connection::new(now, address, &self.limits);
        self.deadlines.insert((connection.due, conn));
        let before = self.connections.insert(conn, connection);
        assert!(before.is_none(), "a connection opens once");
    }

    /// A text message arrived. The request, if there is one, is for the shard that it names, before any that
    /// [`Desk::poll_request`] gives after this. Messages of connections that were closed are ignored.
    pub fn message<'t>(&mut self, now: Moment, conn: ConnId, text: &'t str) -> Option<Request<'t>> {
        if !self.connections.contains_key(&conn) {
            return None;
        }
        let outcome = match ClientMessage::parse(text) {
            Ok(ClientMessage::Announce(announce)) => self.announce(now, conn, announce),
            Ok(ClientMessage::Answer(answer)) => self.answer(now, conn, answer),
            Ok(ClientMessage::Scrape(hashes)) => self.scrape(now, conn, hashes),
            Err(error) => {
                let text = reply::failure(error.info_hash, error.action, &error.to_string());
                self.fail(conn, text, true);
                return None;
            }
        };
        outcome.map_err(|refused| self.refuse(conn, &refused)).ok()
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
                    connection.forget(&peer.info_hash, &peer.peer_id);
                    self.send(peer.conn, text, false);
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

    /// The connections in numbers, without the torrents; walks over all of them.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for connection in self.connections.values() {
            let members = connection.memberships.values().map(|member| (&member.peer_id, member.complete));
            stats.count(connection.address, members);
        }
        stats
    }

    /// Every peer that the shards should have of this desk's connections, when nothing is on its way.
    pub fn peers(&self) -> impl Iterator<Item = (Leave, bool)> {
        self.connections.iter().flat_map(|(conn, connection)| {
            let peer = |(hash, member): (&InfoHash, &Membership)| {
                (Leave { conn: *conn, info_hash: *hash, peer_id: member.peer_id }, member.complete)
            };
            connection.memberships.iter().map(peer)
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

    fn announce<'t>(&mut self, now: Moment, conn: ConnId, announce: message::Announce) -> Result<Request<'t>, Refused> {
        let message::Announce { info_hash, peer_id, event, .. } = announce;
        let grant = self.charge(now, conn, Some(info_hash), Action::Announce)?;
        let too_often = grant != Grant::Full;
        let connection = self.connections.get_mut(&conn).expect(OPEN);
        if connection.memberships.get(&info_hash).is_some_and(|member| member.peer_id != peer_id) {
            return Err(Refused::announce(info_hash, Refusal::OtherPeerId));
        }
        if event == Some(Event::Stopped) {
            connection.memberships.remove(&info_hash);
            return Ok(Request::Stop { leave: Leave { conn, info_hash, peer_id }, too_often });
        }
        let complete = self.join(now, conn, &announce)?;
        let wanted = announce.numwant.map_or(usize::MAX, |wanted| wanted as usize);
        let offers = announce.offers.into_iter().take(if too_often { 0 } else { wanted });
        let offers = offers.map(|(offer_id, sdp)| Offer { offer_id, sdp: Sdp::escape(&sdp) }).collect();
        let network = Network::from(self.connections[&conn].address);
        Ok(Request::Announce(Announce { conn, network, info_hash, peer_id, complete, offers, too_often }))
    }

    /// Notes the peer as a member before the shard does, so that what comes meanwhile is measured against it. Whether it
    /// has all bytes.
    fn join(&mut self, now: Moment, conn: ConnId, announce: &message::Announce) -> Result<bool, Refused> {
        let &message::Announce { info_hash, peer_id, event, left, .. } = announce;
        let memberships = &mut self.connection(conn).memberships;
        let before = memberships.get(&info_hash);
        let complete = match left {
            _ if event == Some(Event::Completed) => true,
            Some(left) => left == 0,
            None => before.is_some_and(|member| member.complete),
        };
        if before.is_none() && !self.has_room(conn) {
            return Err(Refused::announce(info_hash, Refusal::TooManyTorrents));
        }
        self.connection(conn).memberships.insert(info_hash, Membership { peer_id, complete, heard_at: now });
        Ok(complete)
    }

    fn has_room(&self, conn: ConnId) -> bool {
        self.connections[&conn].memberships.len() < self.limits.torrents_per_connection
    }

    fn answer<'t>(&mut self, now: Moment, conn: ConnId, answer: message::Answer) -> Result<Request<'t>, Refused> {
        let message::Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, .. } = answer;
        let connection = self.connection(conn);
        if !connection.is_member(&info_hash, &peer_id) {
            let forged = connection.memberships.contains_key(&info_hash);
            let refusal = if forged { Refusal::ForgedAnswer } else { Refusal::NoSuchOffer };
            self.charge(now, conn, Some(info_hash), Action::Announce)?;
            return Err(Refused::announce(info_hash, refusal));
        }
        let sdp = Sdp::escape(&sdp);
        Ok(Request::Answer(Answer { conn, info_hash, peer_id, to_peer_id, offer_id, sdp }))
    }

    fn scrape<'t>(&mut self, now: Moment, conn: ConnId, hashes: Vec<InfoHash>) -> Result<Request<'t>, Refused> {
        self.charge(now, conn, None, Action::Scrape)?;
        Ok(Request::Scrape(Scrape::new(Asker::Conn(conn), hashes)))
    }

    /// Pays for a message out of the connection's allowance.
    fn charge(
        &mut self,
        now: Moment,
        conn: ConnId,
        info_hash: Option<InfoHash>,
        action: Action,
    ) -> Result<Grant, Refused> {
        let connection = self.connections.get_mut(&conn).expect(OPEN);
        let grant = connection.allowance.take(now, &self.limits);
        if grant == Grant::Denied {
            return Err(Refused { info_hash, action, refusal: Refusal::TooManyMessages });
        }
        connection.heard_at = now;
        Ok(grant)
    }

    /// Follows a shard that has taken a peer in. False if that has to be undone.
    fn admitted(&mut self, now: Moment, peer: Leave, complete: bool) -> bool {
        let Leave { conn, info_hash, peer_id } = peer;
        let Some(connection) = self.connections.get_mut(&conn) else { return false };
        if let Some(member) = connection.memberships.get(&info_hash) {
            return member.peer_id == peer_id;
        }
        // Refused or left before, and taken in since.
        let room = connection.memberships.len() < self.limits.torrents_per_connection;
        if room {
            connection.memberships.insert(info_hash, Membership { peer_id, complete, heard_at: now });
        }
        room
    }

    fn refused(&mut self, now: Moment, conn: ConnId, info_hash: InfoHash, peer_id: PeerId, refusal: Refusal) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let mut refused = Refused::announce(info_hash, refusal);
        match refusal {
            Refusal::PeerIdInUse => connection.forget(&info_hash, &peer_id),
            // Mostly an honest answer that comes too late; a flood of them is paid for like announces.
            Refusal::NoSuchOffer => {
                refused = self.charge(now, conn, Some(info_hash), Action::Announce).err().unwrap_or(refused);
            }
            _ => {}
        }
        self.refuse(conn, &refused);
    }

    fn refuse(&mut self, conn: ConnId, refused: &Refused) {
        let Refused { info_hash, action, refusal } = refused;
        let text = reply::failure(*info_hash, Some(*action), refusal.text());
        self.fail(conn, text, refusal.is_strike());
    }

    fn fail(&mut self, conn: ConnId, text: String, strike: bool) {
        self.send(conn, text, false);
        let strikes = &mut self.connection(conn).strikes;
        *strikes += u32::from(strike);
        if *strikes >= self.limits.strikes {
            self.close(conn, 1008, "too many bad messages");
        }
    }

    /// Drops what has been silent too long, and the connection if nothing is left of it.
    fn expire(&mut self, now: Moment, conn: ConnId) {
        let Desk { connections, limits, requests, .. } = self;
        let connection = connections.get_mut(&conn).expect("only connections have deadlines");
        for (info_hash, member) in connection.take_silent(now, limits) {
            requests.push_back(Request::Leave(Leave { conn, info_hash, peer_id: member.peer_id }));
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
        for (info_hash, member) in connection.memberships {
            self.requests.push_back(Request::Leave(Leave { conn, info_hash, peer_id: member.peer_id }));
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
