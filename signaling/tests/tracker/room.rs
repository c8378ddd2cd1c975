//! A tracker and what its clients received. Invariant: every step is followed by the tracker's own check.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::time::Moment;
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use swarmreel_signaling::{ConnId, Output, Tracker, TrackerLimits};

pub(crate) const HASH: InfoHash = InfoHash([7; 20]);
pub(crate) const SEEDER: Option<u64> = Some(0);
pub(crate) const LEECHER: Option<u64> = None;
pub(crate) const NOT_OPEN: &str = "this answers no offer that is open";

/// See the module.
pub(crate) struct Room {
    pub(crate) tracker: Tracker,
    pub(crate) now: Moment,
    pub(crate) inboxes: BTreeMap<u64, Vec<ServerMessage>>,
    pub(crate) probed: Vec<u64>,
    pub(crate) closed: BTreeMap<u64, u16>,
    /// Bytes of the longest message.
    pub(crate) longest: usize,
}

impl Room {
    /// A room with connections 1 to `count` open.
    pub(crate) fn new(count: u64) -> Self {
        let mut room = Self {
            tracker: Tracker::sharded(TrackerLimits::default(), [3; 32], 3),
            now: Moment(1_000_000),
            inboxes: BTreeMap::new(),
            probed: Vec::new(),
            closed: BTreeMap::new(),
            longest: 0,
        };
        (1..=count).for_each(|conn| room.open(conn));
        room
    }

    pub(crate) fn open(&mut self, conn: u64) {
        self.open_at(conn, Ipv4Addr::LOCALHOST.into());
    }

    pub(crate) fn open_at(&mut self, conn: u64, address: IpAddr) {
        self.tracker.opened(self.now, ConnId(conn), address);
        self.drain();
    }

    pub(crate) fn close(&mut self, conn: u64) {
        self.tracker.closed(self.now, ConnId(conn));
        self.drain();
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.tracker.wake(self.now);
        self.drain();
    }

    pub(crate) fn text(&mut self, conn: u64, text: &str) {
        self.tracker.message(self.now, ConnId(conn), text);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.tracker.poll() {
            match output {
                Output::Send { conn, text, droppable } => {
                    self.longest = self.longest.max(text.len());
                    let message = ServerMessage::parse(&text).expect("the tracker writes what clients read");
                    assert_eq!(droppable, matches!(message, ServerMessage::Offer { .. }), "only offers may be lost");
                    self.inboxes.entry(conn.0).or_default().push(message);
                }
                Output::Probe { conn } => self.probed.push(conn.0),
                Output::Close { conn, code, .. } => assert_eq!(self.closed.insert(conn.0, code), None),
            }
        }
        self.tracker.check();
    }

    pub(crate) fn announce(&mut self, conn: u64, announce: Announce) {
        self.text(conn, &ClientMessage::Announce(announce).write());
    }

    pub(crate) fn joins(&mut self, conn: u64, left: Option<u64>, offers: u64) {
        self.announce(conn, Announce { left, offers: offers_of(conn, offers), ..update(conn) });
    }

    /// Everything received since the last look.
    pub(crate) fn received(&mut self, conn: u64) -> Vec<ServerMessage> {
        self.inboxes.remove(&conn).unwrap_or_default()
    }

    /// Seeders and leechers, as the first message since the last look says.
    pub(crate) fn counts(&mut self, conn: u64) -> (u32, u32) {
        match self.received(conn).first() {
            Some(ServerMessage::Response { complete, incomplete, .. }) => (*complete, *incomplete),
            other => panic!("no response first but {other:?}"),
        }
    }

    /// The offers received since the last look.
    pub(crate) fn offers(&mut self, conn: u64) -> Vec<OfferId> {
        let offer = |message| match message {
            ServerMessage::Offer { offer_id, .. } => Some(offer_id),
            _ => None,
        };
        self.received(conn).into_iter().filter_map(offer).collect()
    }

    pub(crate) fn offers_to(&mut self, conns: std::ops::RangeInclusive<u64>) -> usize {
        conns.map(|conn| self.offers(conn).len()).sum()
    }

    /// The one message since the last look, a failure.
    pub(crate) fn failure(&mut self, conn: u64) -> String {
        match self.received(conn).as_slice() {
            [ServerMessage::Failure { reason, .. }] => reason.clone(),
            other => panic!("not one failure but {other:?}"),
        }
    }
}

pub(crate) fn peer(conn: u64) -> PeerId {
    PeerId([conn as u8; 20])
}

/// Offers whose ids begin at the connection's number × 10.
pub(crate) fn offers_of(conn: u64, count: u64) -> Vec<(OfferId, String)> {
    (0..count).map(|index| (OfferId([(conn * 10 + index) as u8; 20]), format!("v=0 {conn} {index}"))).collect()
}

/// A periodic announce without offers.
pub(crate) fn update(conn: u64) -> Announce {
    let (info_hash, peer_id) = (HASH, peer(conn));
    Announce { info_hash, peer_id, event: None, left: None, uploaded: 0, downloaded: 0, numwant: None, offers: vec![] }
}

pub(crate) fn answer(from: u64, to: u64, offer_id: OfferId) -> Answer {
    let sdp = format!("v=0 answer of {from}");
    Answer { info_hash: HASH, peer_id: peer(from), to_peer_id: peer(to), offer_id, sdp, left: None }
}

pub(crate) fn answer_text(from: u64, to: u64, offer_id: OfferId) -> String {
    ClientMessage::Answer(answer(from, to, offer_id)).write()
}
