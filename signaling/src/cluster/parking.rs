//! Requests that wait until the registry has told what they hang on.
//!
//! Invariant: what waits is bounded in bytes and in time, and requests of one connection about one swarm leave in the
//! order in which they came.

use std::collections::{BTreeMap, VecDeque};

use swarmreel::ids::InfoHash;
use swarmreel::time::Moment;

use super::ClusterLimits;
use crate::tracker::{ConnId, Request};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Parking {
    swarms: BTreeMap<InfoHash, VecDeque<Request<'static>>>,
    /// In order, since all wait equally long.
    deadlines: VecDeque<(Moment, InfoHash)>,
    bytes: usize,
}

impl Parking {
    /// Whether there is room for a request.
    pub(super) fn has_room(&self, request: &Request<'_>, limits: &ClusterLimits) -> bool {
        self.bytes + bytes(request) <= limits.parked_bytes
    }

    pub(super) fn push(&mut self, until: Moment, info_hash: InfoHash, request: Request<'static>) {
        self.bytes += bytes(&request);
        self.swarms.entry(info_hash).or_default().push_back(request);
        self.deadlines.push_back((until, info_hash));
    }

    /// Whether this connection waits for something about the swarm: then what follows waits too.
    pub(super) fn holds(&self, info_hash: &InfoHash, conn: ConnId) -> bool {
        self.waiting(info_hash).any(|request| conn_of(request) == Some(conn))
    }

    pub(super) fn has_any(&self, info_hash: &InfoHash) -> bool {
        self.swarms.contains_key(info_hash)
    }

    pub(super) fn waiting(&self, info_hash: &InfoHash) -> impl Iterator<Item = &Request<'static>> {
        self.swarms.get(info_hash).into_iter().flatten()
    }

    /// Lets go what may go, in order; of a connection nothing after what must still wait.
    pub(super) fn release(
        &mut self,
        info_hash: &InfoHash,
        may_go: impl Fn(&Request<'_>) -> bool,
    ) -> Vec<Request<'static>> {
        let Some(queue) = self.swarms.remove(info_hash) else { return Vec::new() };
        let (mut going, mut staying) = (Vec::new(), VecDeque::new());
        for request in queue {
            let held = |other: &Request<'_>| conn_of(other).is_some() && conn_of(other) == conn_of(&request);
            if may_go(&request) && !staying.iter().any(held) {
                self.bytes -= bytes(&request);
                going.push(request);
            } else {
                staying.push_back(request);
            }
        }
        if !staying.is_empty() {
            self.swarms.insert(*info_hash, staying);
        }
        going
    }

    /// A swarm whose time is over.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<InfoHash> {
        let due = self.deadlines.front().is_some_and(|(due, _)| *due <= now);
        due.then(|| self.deadlines.pop_front().map(|(_, info_hash)| info_hash)).flatten()
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.deadlines.front().map(|(due, _)| *due)
    }

    /// All swarms for which something waits.
    pub(super) fn swarms(&self) -> Vec<InfoHash> {
        self.swarms.keys().copied().collect()
    }
}

fn conn_of(request: &Request<'_>) -> Option<ConnId> {
    match request {
        Request::Announce(announce) => Some(announce.conn),
        Request::Answer(answer) => Some(answer.conn),
        Request::Stop { leave, .. } | Request::Leave(leave) => Some(leave.conn),
        Request::Scrape(_) => None,
    }
}

/// About what a request takes.
fn bytes(request: &Request<'_>) -> usize {
    let more = match request {
        Request::Announce(announce) => announce.offers.iter().map(|offer| 64 + offer.sdp.as_json().len()).sum(),
        Request::Answer(answer) => answer.sdp.as_json().len(),
        Request::Scrape(scrape) => 40 * scrape.tallies.len(),
        Request::Stop { .. } | Request::Leave(_) => 0,
    };
    200 + more
}
