//! Our side of one tracker: the socket's life, and when each torrent is due to announce.
//!
//! Invariant: one peer id per connection, a new one for the next: trackers that still hold the old connection would
//! otherwise ignore us, or send offers into the void (protocol.md §1.12).

use std::collections::BTreeMap;
use std::time::Duration;

use super::allowance::Allowance;
use crate::ids::{InfoHash, PeerId, SocketId};
use crate::limits::Limits;
use crate::rng::Rng;
use crate::time::Moment;

/// A tracker's WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    /// To be connected at this moment, if any torrent wants it.
    Closed(Moment),
    Connecting(SocketId),
    Open(SocketId),
}

/// A torrent's standing with this tracker.
#[derive(Clone, Copy, Debug)]
struct Membership {
    /// When to announce next; `None` while the socket is closed.
    due: Option<Moment>,
    last: Option<Moment>,
    started: bool,
    completed: bool,
    interval: Duration,
    /// Other peers that we could exchange with, as of the last answer.
    others: u32,
    answered: bool,
    failed: bool,
    /// Remote offers that we take from here.
    allowance: Allowance,
}

/// What an announce should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// No announce was made on this connection yet.
    pub first: bool,
    /// The torrent was not complete when the last announce was made, and is now.
    pub completes: bool,
    /// When it fell due.
    pub since: Moment,
}

/// One tracker, for all torrents of the engine.
#[derive(Clone, Debug)]
pub struct Session {
    url: String,
    connection: Connection,
    /// The tracker wants no connection before.
    away_until: Moment,
    failures: u32,
    peer_id: PeerId,
    members: BTreeMap<InfoHash, Membership>,
}

/// A fresh peer id of ours: `-SR`, the version, and twelve drawn letters (BEP 20).
pub fn draw_peer_id(rng: &mut Rng) -> PeerId {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut id = *b"-SR0100-............";
    for letter in &mut id[8..] {
        *letter = LETTERS[rng.below(62) as usize];
    }
    PeerId(id)
}

impl Session {
    /// A tracker that is not connected yet.
    pub fn new(url: String, now: Moment, rng: &mut Rng) -> Self {
        let connection = Connection::Closed(now);
        Self { url, connection, away_until: now, failures: 0, peer_id: draw_peer_id(rng), members: BTreeMap::new() }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Our id on this connection.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// The open socket.
    pub fn socket(&self) -> Option<SocketId> {
        if let Connection::Open(socket) = self.connection { Some(socket) } else { None }
    }

    /// Is this the session's socket, open or not?
    pub fn owns(&self, socket: SocketId) -> bool {
        matches!(self.connection, Connection::Open(own) | Connection::Connecting(own) if own == socket)
    }

    /// The socket to close when the last torrent has left.
    pub fn any_socket(&self) -> Option<SocketId> {
        match self.connection {
            Connection::Open(socket) | Connection::Connecting(socket) => Some(socket),
            Connection::Closed(_) => None,
        }
    }

    // ---- torrents

    /// A torrent announces here from now on.
    pub fn join(&mut self, info_hash: InfoHash, now: Moment, limits: &Limits) {
        let due = self.socket().map(|_| now);
        self.members.entry(info_hash).or_insert(Membership {
            due,
            last: None,
            started: false,
            completed: false,
            interval: limits.announce_interval_max,
            others: 0,
            answered: false,
            failed: false,
            allowance: Allowance::new(now, limits),
        });
    }

    /// A torrent leaves. True if it was announced, so that the tracker should hear of it.
    pub fn leave(&mut self, info_hash: InfoHash) -> bool {
        self.members.remove(&info_hash).is_some_and(|member| member.started)
    }

    /// No torrent announces here.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The torrents that announce here.
    pub fn members(&self) -> impl Iterator<Item = InfoHash> + '_ {
        self.members.keys().copied()
    }

    /// Does this torrent announce here, and was it answered since the socket opened?
    pub fn works_for(&self, info_hash: InfoHash) -> Option<bool> {
        self.members.get(&info_hash).map(|member| self.socket().is_some() && member.answered)
    }

    // ---- the socket

    /// When the socket should be connected; `None` if it is, or nobody needs it.
    pub fn connect_at(&self) -> Option<Moment> {
        match self.connection {
            Connection::Closed(at) if !self.is_empty() => Some(at),
            _ => None,
        }
    }

    /// The socket is being connected.
    pub fn connecting(&mut self, socket: SocketId) {
        self.connection = Connection::Connecting(socket);
    }

    /// The socket is open: every torrent announces now.
    pub fn opened(&mut self, now: Moment) {
        if let Connection::Connecting(socket) = self.connection {
            self.connection = Connection::Open(socket);
            self.members.values_mut().for_each(|member| member.due = Some(now));
        }
    }

    /// The socket failed or closed: connected again with full jitter, within 2 s at first, doubling up to 30 s.
    pub fn closed(&mut self, now: Moment, limits: &Limits, rng: &mut Rng) {
        let most = limits.reconnect_min.saturating_mul(1 << self.failures.min(10)).min(limits.reconnect_max);
        self.failures += 1;
        self.disconnect(now + most.mul_f64(rng.fraction()), rng);
    }

    /// The tracker closed the socket and said when to return: not before, and up to a fifth later.
    pub fn sent_away(&mut self, now: Moment, delay: Duration, limits: &Limits, rng: &mut Rng) {
        let delay = delay.min(limits.reconnect_hint_max);
        self.away_until = now + delay;
        self.disconnect(self.away_until + delay.mul_f64(0.2 * rng.fraction()), rng);
    }

    /// The way to the tracker may have changed: connected anew within `network_jitter`, unless the tracker has sent us
    /// away. The socket to close.
    pub fn reconnect(&mut self, now: Moment, limits: &Limits, rng: &mut Rng) -> Option<SocketId> {
        let socket = self.any_socket();
        self.failures = 0;
        self.disconnect(now + limits.network_jitter.mul_f64(rng.fraction()), rng);
        socket
    }

    fn disconnect(&mut self, connect_at: Moment, rng: &mut Rng) {
        self.connection = Connection::Closed(connect_at.max(self.away_until));
        self.peer_id = draw_peer_id(rng);
        for member in self.members.values_mut() {
            (member.due, member.started, member.answered) = (None, false, false);
        }
    }

    /// May one more offer that came by this tracker be answered?
    pub fn admits_offer(&mut self, info_hash: InfoHash, now: Moment, limits: &Limits) -> bool {
        self.members.get_mut(&info_hash).is_some_and(|member| member.allowance.admit(now, limits))
    }

    // ---- announcing

    /// When this torrent announces next.
    pub fn due_at(&self, info_hash: InfoHash) -> Option<Moment> {
        self.members.get(&info_hash)?.due
    }

    /// What the announce that is due should say; `None` if none is.
    pub fn due(&self, info_hash: InfoHash, now: Moment, complete: bool) -> Option<Due> {
        let member = self.members.get(&info_hash)?;
        let completes = complete && member.started && !member.completed;
        let since = member.due.filter(|due| *due <= now || completes)?.min(now);
        Some(Due { first: !member.started, completes, since })
    }

    /// An announce was sent.
    pub fn announced(&mut self, info_hash: InfoHash, now: Moment, complete: bool, limits: &Limits, rng: &mut Rng) {
        if let Some(member) = self.members.get_mut(&info_hash) {
            member.started = true;
            member.completed = complete;
            member.last = Some(now);
            member.due = Some(now + jittered(member.interval, limits, rng));
        }
    }

    /// The tracker answered an announce; `others` counts the peers that we could exchange with. True if it is the
    /// first answer on this connection.
    pub fn answered(
        &mut self,
        info_hash: InfoHash,
        interval: Option<u32>,
        others: u32,
        limits: &Limits,
        rng: &mut Rng,
    ) -> bool {
        self.failures = 0;
        let Some(member) = self.members.get_mut(&info_hash) else { return false };
        member.others = others;
        if let Some(interval) = interval {
            member.interval = Duration::from_secs(u64::from(interval));
        }
        member.due = member.last.map(|last| last + jittered(member.interval, limits, rng)).or(member.due);
        member.failed = false;
        !std::mem::replace(&mut member.answered, true)
    }

    /// The tracker refused an announce. True if that is news.
    pub fn failed(&mut self, info_hash: InfoHash) -> bool {
        self.members.get_mut(&info_hash).is_some_and(|member| !std::mem::replace(&mut member.failed, true))
    }

    /// Something changed: announce again at `at`, unless that is due sooner anyway.
    pub fn hurry(&mut self, info_hash: InfoHash, at: Moment) {
        if let Some(due) = self.members.get_mut(&info_hash).and_then(|member| member.due.as_mut()) {
            *due = (*due).min(at);
        }
    }

    /// Peers that we could exchange with, as of the last answer; `None` before the first.
    pub fn others(&self, info_hash: InfoHash) -> Option<u32> {
        self.members.get(&info_hash).filter(|member| member.answered).map(|member| member.others)
    }

    /// When the last announce was made.
    pub fn last(&self, info_hash: InfoHash) -> Option<Moment> {
        self.members.get(&info_hash)?.last
    }
}

/// The tracker's wish within our bounds, ±10 %.
fn jittered(interval: Duration, limits: &Limits, rng: &mut Rng) -> Duration {
    let base = interval.clamp(limits.announce_interval_min, limits.announce_interval_max);
    base.mul_f64(0.9 + 0.2 * rng.fraction()).max(limits.announce_interval_min)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: InfoHash = InfoHash([1; 20]);
    const SOCKET: SocketId = SocketId(1);

    fn session() -> (Session, Limits, Rng) {
        let (limits, mut rng) = (Limits::default(), Rng::new([1; 32]));
        let mut session = Session::new("ws://tracker.test/".into(), Moment(0), &mut rng);
        session.join(HASH, Moment(0), &limits);
        (session, limits, rng)
    }

    #[test]
    fn announces_when_open_then_at_the_interval() {
        let (mut session, limits, mut rng) = session();
        assert_eq!(session.connect_at(), Some(Moment(0)));
        assert_eq!(session.due(HASH, Moment(0), false), None);
        session.connecting(SOCKET);
        session.opened(Moment(5));
        assert_eq!(session.due(HASH, Moment(5), false), Some(Due { first: true, completes: false, since: Moment(5) }));
        session.announced(HASH, Moment(5), false, &limits, &mut rng);
        assert!(session.answered(HASH, Some(60), 3, &limits, &mut rng));
        assert_eq!(session.due(HASH, Moment(7), false), None);
        let due = session.due_at(HASH).unwrap();
        assert!((54..=66).contains(&(due.0 / 1_000_000)), "{due:?}");
        assert_eq!(session.due(HASH, due, false), Some(Due { first: false, completes: false, since: due }));
    }

    #[test]
    fn completion_is_due_at_once_and_once() {
        let (mut session, limits, mut rng) = session();
        session.connecting(SOCKET);
        session.opened(Moment(5));
        session.announced(HASH, Moment(5), false, &limits, &mut rng);
        assert_eq!(session.due(HASH, Moment(6), true), Some(Due { first: false, completes: true, since: Moment(6) }));
        session.announced(HASH, Moment(6), true, &limits, &mut rng);
        assert_eq!(session.due(HASH, Moment(7), true), None);
    }

    #[test]
    fn after_a_change_of_the_network_it_is_connected_within_a_second() {
        let (mut session, limits, mut rng) = session();
        for round in 0..6 {
            session.connecting(SocketId(round));
            session.closed(Moment(0), &limits, &mut rng);
        }
        assert_eq!(session.reconnect(Moment(7), &limits, &mut rng), None);
        assert!(session.connect_at().unwrap() <= Moment(7) + limits.network_jitter);
        session.connecting(SOCKET);
        session.opened(Moment(8));
        let id = session.peer_id();
        assert_eq!(session.reconnect(Moment(9), &limits, &mut rng), Some(SOCKET));
        assert_ne!(session.peer_id(), id);
        assert_eq!(session.due_at(HASH), None);
        session.connecting(SocketId(9));
        session.closed(Moment(10), &limits, &mut rng);
        assert!(
            session.connect_at().unwrap().since(Moment(10)) <= limits.reconnect_min * 2,
            "it begins to double anew"
        );
    }

    #[test]
    fn who_is_sent_away_returns_when_told_and_hardly_later() {
        let (mut session, limits, mut rng) = session();
        let mut delays = Vec::new();
        for (told, taken) in [(1, 1), (30, 30), (120, 120), (121, 120), (u64::MAX, 120)] {
            session.connecting(SOCKET);
            session.opened(Moment(5));
            let id = session.peer_id();
            session.sent_away(Moment(5), Duration::from_secs(told), &limits, &mut rng);
            assert_ne!(session.peer_id(), id);
            let delay = session.connect_at().unwrap().since(Moment(5)).as_secs_f64() / f64::from(taken);
            assert!((1.0..=1.2).contains(&delay), "{told} s: {delay}");
            delays.push(delay);
        }
        assert!(delays.windows(2).all(|pair| pair[0] != pair[1]), "{delays:?}");
    }

    #[test]
    fn a_change_of_the_network_does_not_bring_back_who_was_sent_away() {
        let (mut session, limits, mut rng) = session();
        session.connecting(SOCKET);
        session.sent_away(Moment(0), Duration::from_secs(30), &limits, &mut rng);
        session.reconnect(Moment(1), &limits, &mut rng);
        assert_eq!(session.connect_at(), Some(Moment(30_000_000)));
        session.reconnect(Moment(31_000_000), &limits, &mut rng);
        assert!(session.connect_at().unwrap() <= Moment(31_000_000) + limits.network_jitter);
    }

    #[test]
    fn waits_are_spread_evenly_below_a_cap_that_doubles() {
        let (mut session, limits, mut rng) = session();
        for (failures, cap) in [2.0, 4.0, 8.0, 16.0, 30.0, 30.0].into_iter().enumerate() {
            let mut tenths = [0; 10];
            for _ in 0..1000 {
                session.failures = failures as u32;
                session.closed(Moment(0), &limits, &mut rng);
                let wait = session.connect_at().unwrap().since(Moment(0)).as_secs_f64();
                tenths[(wait / cap * 10.0) as usize] += 1;
            }
            assert!(tenths.iter().all(|count| (60..=140).contains(count)), "below {cap} s: {tenths:?}");
        }
    }

    #[test]
    fn a_new_connection_has_a_new_id_and_waits_with_jitter() {
        let (mut session, limits, mut rng) = session();
        let mut waits = Vec::new();
        for round in 0..6 {
            let id = session.peer_id();
            session.connecting(SocketId(round));
            session.closed(Moment(0), &limits, &mut rng);
            assert_ne!(session.peer_id(), id);
            waits.push(session.connect_at().unwrap().0 / 1000);
        }
        assert!(waits.iter().all(|wait| *wait <= 30_000), "{waits:?}");
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
