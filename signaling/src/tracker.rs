//! The tracker: introduces the peers of a swarm to each other (protocol.md §1.6, §1.12; threat-model.md S).
//!
//! Pure: messages in, messages out, time as an argument, chance from the seed. Invariants, asserted by
//! [`Tracker::check`]: a (torrent, peer id) is bound to one open connection until that leaves or closes; every swarm has
//! a peer; an answer passes only for an offer that was relayed to the answerer, once.

mod access;
mod allowance;
mod connection;
mod limits;
mod stats;
mod swarm;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Action, Announce, Answer, ClientMessage, Event, ServerMessage, Tally};

pub use access::{Access, InfoHashes};
use allowance::Grant;
use connection::{Connection, Membership};
pub use limits::TrackerLimits;
pub use stats::Stats;
use swarm::Swarm;

/// One WebSocket; minted by the caller and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What the caller must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send one text message.
    Send {
        /// To whom.
        conn: ConnId,
        /// A JSON object.
        text: String,
        /// An offer, which may be lost when the receiver is slow; all else must not be.
        droppable: bool,
    },
    /// Somebody else claims this connection's peer id: find out at once whether it still lives, and report it closed if
    /// it does not.
    Probe {
        /// Whom to ask.
        conn: ConnId,
    },
    /// Close the WebSocket. The tracker has forgotten the connection already.
    Close {
        /// Which.
        conn: ConnId,
        /// WebSocket close code (RFC 6455 §7.4.1).
        code: u16,
        /// A few words.
        reason: &'static str,
    },
}

const OPEN: &str = "a connection whose message is handled is open";

/// Why a message has no effect.
struct Refusal {
    failure: ServerMessage,
    /// Only a broken or hostile client does this.
    strike: bool,
}

/// A WebTorrent tracker.
#[derive(Debug)]
pub struct Tracker {
    limits: TrackerLimits,
    rng: Rng,
    connections: BTreeMap<ConnId, Connection>,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// When to look at a connection; one entry each.
    deadlines: BTreeSet<(Moment, ConnId)>,
    outputs: VecDeque<Output>,
}

impl Tracker {
    /// A tracker without connections. The seed decides which peers meet.
    pub fn new(limits: TrackerLimits, seed: [u8; 32]) -> Self {
        Self {
            limits,
            rng: Rng::new(seed),
            connections: BTreeMap::new(),
            swarms: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// A WebSocket opened.
    pub fn opened(&mut self, now: Moment, conn: ConnId, address: IpAddr) {
        let connection = Connection::new(now, address, &self.limits);
        self.deadlines.insert((connection.due, conn));
        let before = self.connections.insert(conn, connection);
        assert!(before.is_none(), "a connection opens once");
    }

    /// A text message arrived. Messages of connections that were closed are ignored.
    pub fn message(&mut self, now: Moment, conn: ConnId, text: &str) {
        if !self.connections.contains_key(&conn) {
            return;
        }
        let outcome = match ClientMessage::parse(text) {
            Ok(ClientMessage::Announce(announce)) => self.announce(now, conn, announce),
            Ok(ClientMessage::Answer(answer)) => self.answer(now, conn, answer),
            Ok(ClientMessage::Scrape(hashes)) => self.scrape(now, conn, &hashes),
            Err(error) => Err(Refusal { failure: error.into(), strike: true }),
        };
        if let Err(refusal) = outcome {
            self.refuse(conn, &refusal);
        }
    }

    /// A WebSocket closed, or was found dead. Like every input it carries the time, though nothing hangs on it yet.
    pub fn closed(&mut self, _now: Moment, conn: ConnId) {
        self.remove(conn);
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

    /// When [`Tracker::wake`] next has something to do, at the earliest.
    pub fn wake_at(&self) -> Option<Moment> {
        self.deadlines.first().map(|&(due, _)| due)
    }

    /// The next thing to do; to be called until `None` after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The tracker in numbers; walks over all connections.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { torrents: self.swarms.len(), active_torrents: self.swarms.len(), ..Stats::default() };
        for connection in self.connections.values() {
            self.count(connection, &mut stats);
        }
        stats
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        let mut members = 0;
        for (conn, connection) in &self.connections {
            connection.check(&self.limits);
            assert!(self.deadlines.contains(&(connection.due, *conn)), "every connection has a deadline");
            for (info_hash, member) in &connection.memberships {
                let bound = self.swarms.get(info_hash).and_then(|swarm| swarm.connection_of(&member.peer_id));
                assert_eq!(bound, Some(*conn), "a member is in the swarm, bound to its connection");
                members += 1;
            }
        }
        assert_eq!(self.deadlines.len(), self.connections.len(), "only connections have deadlines");
        assert!(self.swarms.values().all(|swarm| !swarm.is_empty()), "every swarm has a peer");
        assert_eq!(self.swarms.values().map(Swarm::len).sum::<usize>(), members, "only members are in swarms");
        self.swarms.values().for_each(Swarm::check);
    }

    fn announce(&mut self, now: Moment, conn: ConnId, announce: Announce) -> Result<(), Refusal> {
        let info_hash = announce.info_hash;
        let grant = self.charge(now, conn, Some(info_hash), Action::Announce)?;
        self.identify(conn, info_hash, announce.peer_id)?;
        if announce.event == Some(Event::Stopped) {
            self.leave(conn, info_hash);
        } else {
            self.join(now, conn, &announce)?;
        }
        self.respond(conn, info_hash, grant);
        if grant == Grant::Full && announce.event != Some(Event::Stopped) {
            self.relay_offers(now, conn, announce);
        }
        Ok(())
    }

    /// Pays for a message out of the connection's allowance.
    fn charge(
        &mut self,
        now: Moment,
        conn: ConnId,
        info_hash: Option<InfoHash>,
        action: Action,
    ) -> Result<Grant, Refusal> {
        let connection = self.connections.get_mut(&conn).expect(OPEN);
        let grant = connection.allowance.take(now, &self.limits);
        if grant == Grant::Denied {
            let reason = "too many messages".to_owned();
            let failure = ServerMessage::Failure { info_hash, action: Some(action), reason };
            return Err(Refusal { failure, strike: true });
        }
        connection.heard_at = now;
        Ok(grant)
    }

    /// Only the connection a peer id is bound to speaks for it, and it has one per torrent (threat-model S9, S10).
    fn identify(&mut self, conn: ConnId, info_hash: InfoHash, peer_id: PeerId) -> Result<(), Refusal> {
        let member = self.connection(conn).memberships.get(&info_hash);
        if member.is_some_and(|member| member.peer_id != peer_id) {
            return Err(refusal(info_hash, "this connection has another peer_id in this torrent", true));
        }
        match self.swarms.get(&info_hash).and_then(|swarm| swarm.connection_of(&peer_id)) {
            Some(owner) if owner != conn => {
                self.outputs.push_back(Output::Probe { conn: owner });
                Err(refusal(info_hash, "this peer_id is in use by another connection", false))
            }
            _ => Ok(()),
        }
    }

    fn join(&mut self, now: Moment, conn: ConnId, announce: &Announce) -> Result<(), Refusal> {
        let torrents_max = self.limits.torrents_per_connection;
        let &Announce { info_hash, peer_id, .. } = announce;
        let memberships = &mut self.connection(conn).memberships;
        if memberships.len() >= torrents_max && !memberships.contains_key(&info_hash) {
            return Err(refusal(info_hash, "too many torrents on this connection", false));
        }
        memberships.insert(info_hash, Membership { peer_id, heard_at: now });
        let swarm = self.swarms.entry(info_hash).or_default();
        let complete = match announce.left {
            _ if announce.event == Some(Event::Completed) => true,
            Some(left) => left == 0,
            None => swarm.is_complete(&peer_id),
        };
        swarm.put(peer_id, conn, complete);
        Ok(())
    }

    fn leave(&mut self, conn: ConnId, info_hash: InfoHash) {
        let Some(member) = self.connection(conn).forget(info_hash) else { return };
        self.remove_peer(info_hash, &member.peer_id);
    }

    fn remove_peer(&mut self, info_hash: InfoHash, peer_id: &PeerId) {
        let swarm = self.swarms.get_mut(&info_hash).expect("a member's swarm exists");
        swarm.remove(peer_id);
        if swarm.is_empty() {
            self.swarms.remove(&info_hash);
        }
    }

    fn respond(&mut self, conn: ConnId, info_hash: InfoHash, grant: Grant) {
        let Tally { complete, incomplete, .. } = self.tally(&info_hash);
        let response = ServerMessage::Response {
            info_hash,
            interval: Some(u32::try_from(self.limits.interval.as_secs()).unwrap_or(u32::MAX)),
            min_interval: None,
            complete,
            incomplete,
            warning: (grant != Grant::Full).then(|| "announcing too often: offers were not relayed".to_owned()),
        };
        self.send(conn, &response);
    }

    fn relay_offers(&mut self, now: Moment, conn: ConnId, announce: Announce) {
        let Announce { info_hash, peer_id, numwant, offers, .. } = announce;
        let connection = self.connections.get_mut(&conn).expect(OPEN);
        let wanted = numwant.map_or(offers.len(), |wanted| offers.len().min(wanted as usize));
        let count = wanted.min(connection.offers_room(now, &self.limits));
        let partners = self.swarms[&info_hash].partners(&peer_id, count, &mut self.rng);
        for ((offer_id, sdp), to) in offers.into_iter().zip(partners) {
            connection.offered(now, &self.limits, info_hash, offer_id, to);
            let text = ServerMessage::Offer { info_hash, peer_id, offer_id, sdp }.write();
            self.outputs.push_back(Output::Send { conn: to, text, droppable: true });
        }
    }

    fn answer(&mut self, now: Moment, conn: ConnId, answer: Answer) -> Result<(), Refusal> {
        let Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, .. } = answer;
        let member = self.connection(conn).memberships.get(&info_hash).map(|member| member.peer_id);
        let forged = member.is_some_and(|member| member != peer_id);
        let offerer = self.swarms.get(&info_hash).and_then(|swarm| swarm.connection_of(&to_peer_id));
        if let Some(offerer) = offerer.filter(|_| member == Some(peer_id))
            && self.connection(offerer).take_offer(now, info_hash, offer_id, conn)
        {
            self.send(offerer, &ServerMessage::Answer { info_hash, peer_id, offer_id, sdp });
            return Ok(());
        }
        // Mostly an honest answer that comes too late; a flood of them is paid for like announces.
        self.charge(now, conn, Some(info_hash), Action::Announce)?;
        Err(refusal(info_hash, "this answers no offer that is open", forged))
    }

    fn scrape(&mut self, now: Moment, conn: ConnId, hashes: &[InfoHash]) -> Result<(), Refusal> {
        self.charge(now, conn, None, Action::Scrape)?;
        let tallies = hashes.iter().map(|hash| (*hash, self.tally(hash))).collect();
        self.send(conn, &ServerMessage::Scrape(tallies));
        Ok(())
    }

    fn tally(&self, info_hash: &InfoHash) -> Tally {
        self.swarms.get(info_hash).map(Swarm::tally).unwrap_or_default()
    }

    fn refuse(&mut self, conn: ConnId, refusal: &Refusal) {
        self.send(conn, &refusal.failure);
        let strikes = &mut self.connection(conn).strikes;
        *strikes += u32::from(refusal.strike);
        if *strikes >= self.limits.strikes {
            self.close(conn, 1008, "too many bad messages");
        }
    }

    /// Drops what has been silent too long, and the connection if nothing is left of it.
    fn expire(&mut self, now: Moment, conn: ConnId) {
        let Tracker { connections, limits, .. } = self;
        let connection = connections.get_mut(&conn).expect("only connections have deadlines");
        let gone = |member: &Membership| member.heard_at + limits.silence <= now;
        let silent: Vec<_> =
            connection.memberships.iter().filter(|(_, member)| gone(member)).map(|(hash, _)| *hash).collect();
        for info_hash in silent {
            self.leave(conn, info_hash);
        }
        let due = self.connections[&conn].deadline(&self.limits);
        self.connection(conn).due = due;
        self.deadlines.insert((due, conn));
        if due <= now {
            self.close(conn, 1000, "no announce for too long");
        }
    }

    fn remove(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.remove(&conn) else { return };
        self.deadlines.remove(&(connection.due, conn));
        for (info_hash, member) in &connection.memberships {
            self.remove_peer(*info_hash, &member.peer_id);
        }
    }

    fn close(&mut self, conn: ConnId, code: u16, reason: &'static str) {
        self.remove(conn);
        self.outputs.push_back(Output::Close { conn, code, reason });
    }

    fn send(&mut self, conn: ConnId, message: &ServerMessage) {
        self.outputs.push_back(Output::Send { conn, text: message.write(), droppable: false });
    }

    fn connection(&mut self, conn: ConnId) -> &mut Connection {
        self.connections.get_mut(&conn).expect(OPEN)
    }

    fn count(&self, connection: &Connection, stats: &mut Stats) {
        let Some(first) = connection.memberships.values().next() else { return };
        let complete = |(hash, member): (&InfoHash, &Membership)| self.swarms[hash].is_complete(&member.peer_id);
        stats.peers_all += 1;
        *match connection.memberships.iter().filter(|&member| complete(member)).count() {
            0 => &mut stats.peers_leecher_only,
            all if all == connection.memberships.len() => &mut stats.peers_seeder_only,
            _ => &mut stats.peers_seeder_and_leecher,
        } += 1;
        *if connection.address.is_ipv4() { &mut stats.peers_ipv4 } else { &mut stats.peers_ipv6 } += 1;
        let (name, version) = stats::client_of(&first.peer_id);
        *stats.clients.entry(name).or_default().entry(version).or_default() += 1;
    }
}

fn refusal(info_hash: InfoHash, reason: &str, strike: bool) -> Refusal {
    let (info_hash, action, reason) = (Some(info_hash), Some(Action::Announce), reason.to_owned());
    Refusal { failure: ServerMessage::Failure { info_hash, action, reason }, strike }
}
