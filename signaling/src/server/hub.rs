//! The one tracker, shared by all sockets: a lock, a clock, and who gets its outputs.
//!
//! Invariant: every call drains the tracker before the lock is let go, and every open connection has an outbox. What is
//! done under the lock is short and never waits.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use swarmreel::time::Moment;
use tokio::time::Instant;

use super::limits::ServerLimits;
use super::outbox::Outbox;
use crate::{ConnId, Output, Tracker, TrackerLimits};

/// Walking all connections for the statistics is done at most this often.
const STATS_AGE_MAX: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Hub {
    started: Instant,
    queue_messages: usize,
    queue_bytes: usize,
    state: Mutex<State>,
}

struct State {
    tracker: Tracker,
    opened: u64,
    outboxes: BTreeMap<ConnId, Arc<Outbox>>,
    stats: Option<(Instant, String)>,
}

impl Hub {
    pub(super) fn new(limits: TrackerLimits, sockets: &ServerLimits) -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the system has random bytes");
        let tracker = Tracker::new(limits, seed);
        let state = State { tracker, opened: 0, outboxes: BTreeMap::new(), stats: None };
        Self {
            started: Instant::now(),
            queue_messages: sockets.queue_messages,
            queue_bytes: sockets.queue_bytes,
            state: Mutex::new(state),
        }
    }

    pub(super) fn open(&self, address: IpAddr) -> (ConnId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new(self.queue_messages, self.queue_bytes));
        let mut state = self.state();
        let conn = ConnId(state.opened);
        state.opened += 1;
        state.outboxes.insert(conn, outbox.clone());
        state.tracker.opened(self.now(), conn, address);
        state.drain();
        (conn, outbox)
    }

    pub(super) fn message(&self, conn: ConnId, text: &str) {
        let mut state = self.state();
        state.tracker.message(self.now(), conn, text);
        state.drain();
    }

    pub(super) fn closed(&self, conn: ConnId) {
        let mut state = self.state();
        state.tracker.closed(self.now(), conn);
        state.outboxes.remove(&conn);
        state.drain();
    }

    pub(super) fn wake(&self) {
        let mut state = self.state();
        state.tracker.wake(self.now());
        state.drain();
    }

    /// `/stats.json`, at most a second old.
    pub(super) fn stats_json(&self) -> String {
        let mut state = self.state();
        if let Some((at, json)) = &state.stats
            && at.elapsed() < STATS_AGE_MAX
        {
            return json.clone();
        }
        let json = serde_json::to_string(&state.tracker.stats()).expect("counts with string keys are JSON");
        state.stats = Some((Instant::now(), json.clone()));
        json
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the tracker never panics")
    }

    /// Taken under the lock, so that the tracker sees time only go forward.
    fn now(&self) -> Moment {
        Moment(0) + self.started.elapsed()
    }
}

impl State {
    fn drain(&mut self) {
        while let Some(output) = self.tracker.poll() {
            match output {
                Output::Send { conn, text, droppable } => {
                    if let Some(outbox) = self.outboxes.get(&conn) {
                        outbox.send(text, droppable);
                    }
                }
                Output::Probe { conn } => {
                    if let Some(outbox) = self.outboxes.get(&conn) {
                        outbox.probe();
                    }
                }
                Output::Close { conn, code, reason } => {
                    if let Some(outbox) = self.outboxes.remove(&conn) {
                        outbox.close(code, reason);
                    }
                }
            }
        }
    }
}
