//! Between torrents and trackers: who announces what, and which offers go out.
//!
//! Invariant: an offer that somebody may be answering is given to nobody else; one that was not answered is used again
//! rather than made anew.

use super::Engine;
use super::links::{Stage, TrackerId};
use super::relay::Relayed;
use crate::ids::{InfoHash, OfferId, SocketId, TorrentId};
use crate::limits::Limits;
use crate::magnet::is_tracker_url;
use crate::output::{Action, Event, Output};
use crate::time::Moment;
use crate::tracker::farewell;
use crate::tracker::message::{self, Announce, ClientMessage, ServerMessage};
use crate::tracker::session::{Due, Session};

impl Engine {
    // ---- trackers

    /// A torrent announces to these trackers, those that a browser can reach.
    pub(super) fn join(&mut self, now: Moment, id: TorrentId, urls: &[String]) {
        let Some(info_hash) = self.torrents.get(&id).map(|torrent| torrent.info_hash()) else { return };
        for url in urls.iter().filter(|url| is_tracker_url(url)) {
            let plain = |url: &str| url.strip_suffix('/').unwrap_or(url).to_string();
            let known = self.trackers.values_mut().find(|session| plain(session.url()) == plain(url));
            if let Some(session) = known {
                session.join(info_hash, now, &self.limits);
                continue;
            }
            let mut session = Session::new(url.clone(), now, &mut self.rng);
            session.join(info_hash, now, &self.limits);
            self.trackers.insert(self.next_tracker, session);
            self.next_tracker += 1;
        }
    }

    /// A torrent leaves its trackers; those that nobody needs are closed.
    pub(super) fn part(&mut self, id: TorrentId) {
        let Some(info_hash) = self.torrents.get(&id).map(|torrent| torrent.info_hash()) else { return };
        let ids: Vec<TrackerId> = self.trackers.keys().copied().collect();
        for tracker in ids {
            let announced = self.trackers.get_mut(&tracker).is_some_and(|session| session.leave(info_hash));
            if announced {
                self.send_announce(tracker, id, Some(message::Event::Stopped), Vec::new());
            }
            if self.trackers.get(&tracker).is_some_and(Session::is_empty)
                && let Some(session) = self.trackers.remove(&tracker)
                && let Some(socket) = session.any_socket()
            {
                self.act(Action::CloseSocket(socket));
            }
        }
    }

    fn tracker_of(&self, socket: SocketId) -> Option<TrackerId> {
        self.trackers.iter().find(|(_, session)| session.owns(socket)).map(|(id, _)| *id)
    }

    pub(super) fn socket_opened(&mut self, now: Moment, socket: SocketId) {
        if let Some(session) = self.tracker_of(socket).and_then(|id| self.trackers.get_mut(&id)) {
            session.opened(now);
        }
    }

    pub(super) fn socket_closed(&mut self, now: Moment, socket: SocketId, code: u16, reason: &str) {
        let Some(id) = self.tracker_of(socket) else { return };
        // Our next connection has another id: answers to what went out over this one never arrive.
        self.links.withdraw(id);
        let Some(session) = self.trackers.get_mut(&id) else { return };
        match farewell::retry_after(code, reason) {
            // It says itself when it will be back.
            Some(delay) => return session.sent_away(now, delay, &self.limits, &mut self.rng),
            None => session.closed(now, &self.limits, &mut self.rng),
        }
        let (url, members): (String, Vec<InfoHash>) = (session.url().to_string(), session.members().collect());
        for info_hash in members {
            let news = self.trackers.get_mut(&id).is_some_and(|session| session.failed(info_hash));
            if let (true, Some(torrent)) = (news, self.torrent_of(info_hash)) {
                let message = format!("The tracker {url} can't be reached; it is tried again.");
                self.tell(Event::Warning { torrent, code: "tracker-unreachable", message });
            }
        }
    }

    /// Connects the trackers that are due, and makes the announces that are due.
    pub(super) fn announce(&mut self, now: Moment) {
        let trackers: Vec<TrackerId> = self.trackers.keys().copied().collect();
        for &tracker in &trackers {
            let Some(session) = self.trackers.get_mut(&tracker) else { continue };
            if session.connect_at().is_some_and(|at| at <= now) {
                let socket = SocketId(self.next_socket);
                self.next_socket += 1;
                session.connecting(socket);
                let url = session.url().to_string();
                self.act(Action::OpenSocket { socket, url });
            }
        }
        for tracker in trackers {
            let members: Vec<InfoHash> =
                self.trackers.get(&tracker).map(|session| session.members().collect()).unwrap_or_default();
            for info_hash in members {
                if let Some(torrent) = self.torrent_of(info_hash) {
                    self.announce_torrent(now, tracker, torrent, info_hash);
                }
            }
        }
    }

    fn announce_torrent(&mut self, now: Moment, tracker: TrackerId, id: TorrentId, info_hash: InfoHash) {
        let complete = self.torrents.get(&id).is_some_and(|torrent| torrent.is_complete());
        let Some(session) = self.trackers.get(&tracker) else { return };
        let Some(due) = session.due(info_hash, now, complete) else { return };
        let wanted = if due.completes { 0 } else { self.offers_wanted(session, id, info_hash, complete) };
        let mut ready = self.links.ready(id, now, &self.limits);
        ready.truncate(wanted);
        let coming = self.links.count(id, |stage| *stage == Stage::Offering);
        for _ in (ready.len() + coming)..wanted {
            self.offer(now, id);
        }
        let coming = self.links.count(id, |stage| *stage == Stage::Offering).min(wanted.saturating_sub(ready.len()));
        if session_waits(now, &due, ready.len(), coming, &self.limits) {
            return;
        }
        let (mut offers, mut bytes) = (Vec::new(), 0);
        for link in ready {
            bytes += self.links.get(link).map_or(0, |entry| entry.stage.sdp_bytes());
            if !offers.is_empty() && bytes > self.limits.offers_bytes_max {
                break;
            }
            let offer_id = OfferId(self.rng.bytes20());
            let sdp = self.links.announce(link, now, tracker, offer_id, &self.limits);
            offers.extend(sdp.map(|sdp| (offer_id, sdp)));
        }
        let event = match due {
            Due { completes: true, .. } => Some(message::Event::Completed),
            Due { first: true, .. } => Some(message::Event::Started),
            _ => None,
        };
        self.send_announce(tracker, id, event, offers);
        if let Some(session) = self.trackers.get_mut(&tracker) {
            session.announced(info_hash, now, complete, &self.limits, &mut self.rng);
        }
    }

    /// How many offers an announce should carry. Before the tracker has said how many peers there are, a leecher
    /// sends one: connections cost the page time just when the first frame waits for it.
    fn offers_wanted(&self, session: &Session, id: TorrentId, info_hash: InfoHash, complete: bool) -> usize {
        let links = self.met(id, self.now, session.others(info_hash).unwrap_or(0) as usize);
        let room = self.limits.links_wanted.saturating_sub(links).min(self.limits.offers_per_announce);
        match session.others(info_hash) {
            None if complete => 0,
            None => room.min(1),
            // A tracker gives the offers of one announce to distinct peers, but knows nothing of earlier ones: fewer
            // offers than peers may all go to those that we have. These ignore them.
            Some(others) if links < others as usize => room.min(others as usize),
            Some(_) => 0,
        }
    }

    fn send_announce(
        &mut self,
        tracker: TrackerId,
        id: TorrentId,
        event: Option<message::Event>,
        offers: Vec<(OfferId, String)>,
    ) {
        let (Some(session), Some(torrent)) = (self.trackers.get(&tracker), self.torrents.get(&id)) else { return };
        let Some(socket) = session.socket() else { return };
        let (downloaded, uploaded) = torrent.totals();
        let announce = Announce {
            info_hash: torrent.info_hash(),
            peer_id: session.peer_id(),
            event,
            left: torrent.left(),
            uploaded,
            downloaded,
            numwant: Some(offers.len() as u32),
            offers,
        };
        let text = ClientMessage::Announce(announce).write();
        self.act(Action::SendText { socket, text });
    }

    // ---- what trackers say

    pub(super) fn socket_text(&mut self, now: Moment, socket: SocketId, text: &str) {
        let Some(tracker) = self.tracker_of(socket) else { return };
        // A message that can't be read is the tracker's fault, not the torrent's: it is ignored (protocol.md §1.12).
        let Ok(message) = ServerMessage::parse(text) else { return };
        match message {
            ServerMessage::Response { info_hash, interval, min_interval, complete, incomplete, warning } => {
                let interval = interval.max(min_interval);
                self.tracker_answered(now, tracker, info_hash, interval, (complete, incomplete));
                if let (Some(torrent), Some(message)) = (self.torrent_of(info_hash), warning) {
                    self.tell(Event::Warning { torrent, code: "tracker-warning", message });
                }
            }
            ServerMessage::Offer { info_hash, peer_id, offer_id, sdp } => {
                self.remote_offer(now, info_hash, Relayed { tracker, peer_id, offer_id, sdp });
            }
            ServerMessage::Answer { info_hash, peer_id, offer_id, sdp } => {
                self.remote_answer(now, info_hash, Relayed { tracker, peer_id, offer_id, sdp });
            }
            ServerMessage::Failure { info_hash: Some(info_hash), reason, .. } => {
                let news = self.trackers.get_mut(&tracker).is_some_and(|session| session.failed(info_hash));
                if let (true, Some(torrent)) = (news, self.torrent_of(info_hash)) {
                    let message = format!("The tracker refused: {reason}");
                    self.tell(Event::Warning { torrent, code: "tracker-failure", message });
                }
            }
            ServerMessage::Failure { info_hash: None, .. } | ServerMessage::Scrape(_) => {}
        }
    }

    fn tracker_answered(
        &mut self,
        now: Moment,
        tracker: TrackerId,
        info_hash: InfoHash,
        interval: Option<u32>,
        (complete, incomplete): (u32, u32),
    ) {
        let Some(id) = self.torrent_of(info_hash) else { return };
        let seeding = self.torrents.get(&id).is_some_and(|torrent| torrent.is_complete());
        // The counts include us.
        let others = if seeding { incomplete } else { complete.saturating_add(incomplete).saturating_sub(1) };
        let links = self.met(id, now, others as usize);
        let Some(session) = self.trackers.get_mut(&tracker) else { return };
        let news = session.answered(info_hash, interval, others, &self.limits, &mut self.rng);
        if news && (others as usize) > links && links < self.limits.links_wanted {
            session.hurry(info_hash, now);
        }
    }

    // ---- links

    /// A leecher that has lost its last link does not wait for the interval to find another.
    pub(super) fn look_again(&mut self, id: TorrentId) {
        let Some(torrent) = self.torrents.get(&id) else { return };
        if torrent.is_complete() || self.met(id, self.now, 0) > 0 {
            return;
        }
        let info_hash = torrent.info_hash();
        for session in self.trackers.values_mut() {
            if let Some(last) = session.last(info_hash) {
                session.hurry(info_hash, self.now.max(last + self.limits.announce_again));
            }
        }
    }

    /// Closes what is pending for too long, and has leechers announce again that miss peers.
    pub(super) fn tick_links(&mut self, now: Moment) {
        for link in self.links.expired(now, &self.limits) {
            self.close_link(link);
        }
        let leechers = self.torrents.iter().filter(|(_, torrent)| !torrent.is_complete());
        let leechers: Vec<(TorrentId, InfoHash)> = leechers.map(|(id, torrent)| (*id, torrent.info_hash())).collect();
        for (id, info_hash) in leechers {
            let Some(torrent) = self.torrents.get(&id) else { continue };
            let in_doubt = torrent.in_doubt();
            let alone = self.links.count(id, |stage| matches!(stage, Stage::Connecting | Stage::Open)) <= in_doubt;
            let starving = torrent.is_starving(now) && torrent.peers() < self.limits.links_wanted;
            let pause = if starving { self.limits.announce_again } else { self.limits.announce_interval_min };
            let trackers: Vec<TrackerId> = self.trackers.keys().copied().collect();
            for tracker in trackers {
                let others = self.trackers.get(&tracker).and_then(|session| session.others(info_hash));
                let others = others.unwrap_or(0) as usize;
                let misses_peers = alone || self.met(id, now, others) < others.min(self.limits.links_wanted);
                if let (true, Some(session)) = (misses_peers, self.trackers.get_mut(&tracker))
                    && let Some(last) = session.last(info_hash)
                {
                    session.hurry(info_hash, now.max(last + pause));
                }
            }
        }
    }

    pub(super) fn torrent_of(&self, info_hash: InfoHash) -> Option<TorrentId> {
        self.torrents.iter().find(|(_, torrent)| torrent.info_hash() == info_hash).map(|(id, _)| *id)
    }

    pub(super) fn act(&mut self, action: Action) {
        self.outputs.push_back(Output::Do(action));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Tell(event));
    }
}

/// The first announce waits for one offer only, and the next ones for all that are coming, though not for long:
/// what is not in an announce may wait for the interval.
fn session_waits(now: Moment, due: &Due, ready: usize, coming: usize, limits: &Limits) -> bool {
    let patience = if ready == 0 { limits.offer_patience } else { limits.offers_patience };
    let waits = ready == 0 || !due.first;
    coming > 0 && !due.completes && waits && now.since(due.since) < patience
}
