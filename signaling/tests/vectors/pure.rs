//! The pure tracker as a [`World`]: time passes only where the script says so.
//!
//! Invariant: the tracker's own check holds after every step.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use swarmreel::time::Moment;
use swarmreel_signaling::{ConnId, Output, Tracker, TrackerLimits};

use crate::script::{World, fit};

const START: Moment = Moment(1_000_000);
/// After a probe, for a connection to answer.
const PONG: Duration = Duration::from_secs(3);

pub(crate) struct Pure {
    tracker: Tracker,
    now: Moment,
    clients: BTreeMap<String, ConnId>,
    inboxes: BTreeMap<ConnId, VecDeque<Value>>,
    closed: BTreeMap<ConnId, u16>,
    /// They answer no ping, and since when one waits for that.
    gone: BTreeMap<ConnId, Option<Moment>>,
}

impl Pure {
    pub(crate) fn new() -> Self {
        Self {
            tracker: Tracker::new(TrackerLimits::default(), [7; 32]),
            now: START,
            clients: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            closed: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    fn inbox(&mut self, client: &str) -> &mut VecDeque<Value> {
        self.inboxes.entry(self.clients[client]).or_default()
    }

    /// Closes the connections that did not answer a ping in time.
    fn bury(&mut self) {
        let dead = |pinged: Option<Moment>| pinged.is_some_and(|pinged| pinged + PONG <= self.now);
        let conns: Vec<_> = self.gone.iter().filter(|(_, pinged)| dead(**pinged)).map(|(conn, _)| *conn).collect();
        for conn in conns {
            self.gone.remove(&conn);
            self.tracker.closed(self.now, conn);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.tracker.poll() {
            match output {
                Output::Send { conn, text, .. } => self.inboxes.entry(conn).or_default().push_back(fit(&text)),
                Output::Probe { conn } => {
                    if let Some(pinged) = self.gone.get_mut(&conn) {
                        pinged.get_or_insert(self.now);
                    }
                }
                Output::Close { conn, code, .. } => assert_eq!(self.closed.insert(conn, code), None),
            }
        }
        self.tracker.check();
    }
}

impl World for Pure {
    async fn open(&mut self, client: &str) {
        let number = u8::try_from(self.clients.len() + 1).expect("a few clients");
        let conn = ConnId(number.into());
        assert_eq!(self.clients.insert(client.to_owned(), conn), None, "a client opens once");
        self.tracker.opened(self.now, conn, IpAddr::from([192, 0, 2, number]));
        self.drain();
    }

    async fn close(&mut self, client: &str) {
        self.tracker.closed(self.now, self.clients[client]);
        self.drain();
    }

    async fn lose(&mut self, client: &str) {
        assert_eq!(self.gone.insert(self.clients[client], None), None, "a client goes once");
    }

    async fn send(&mut self, client: &str, text: String) {
        self.tracker.message(self.now, self.clients[client], &text);
        self.drain();
    }

    async fn pass_to(&mut self, seconds: u64) {
        self.now = START + Duration::from_secs(seconds);
        self.bury();
        self.tracker.wake(self.now);
        self.drain();
    }

    async fn next(&mut self, client: &str) -> Value {
        self.inbox(client).pop_front().unwrap_or_else(|| panic!("{client} got nothing"))
    }

    async fn waiting(&mut self, client: &str, _scrape: &str) -> Vec<Value> {
        self.inbox(client).drain(..).collect()
    }

    async fn closed(&mut self, client: &str) -> u16 {
        assert!(self.inbox(client).is_empty(), "{client} has something to read first");
        *self.closed.get(&self.clients[client]).unwrap_or_else(|| panic!("{client} is still connected"))
    }
}
