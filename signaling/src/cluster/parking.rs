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
    /// With how long each waits.
    swarms: BTreeMap<InfoHash, VecDeque<(Moment, Request<'static>)>>,
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
        self.swarms.entry(info_hash).or_default().push_back((until, request));
        self.deadlines.push_back((until, info_hash));
    }

    /// Whether this connection waits for something about the swarm: then what follows waits too.
    pub(super) fn holds(&self, info_hash: &InfoHash, conn: ConnId) -> bool {
        self.waiting(info_hash).any(|request| conn_of(request) == Some(conn))
    }

    pub(super) fn waiting(&self, info_hash: &InfoHash) -> impl Iterator<Item = &Request<'static>> {
        self.swarms.get(info_hash).into_iter().flatten().map(|(_, request)| request)
    }

    /// Lets go what may go, in order; of a connection nothing after what must still wait.
    pub(super) fn release(
        &mut self,
        info_hash: &InfoHash,
        may_go: impl Fn(&Request<'_>) -> bool,
    ) -> Vec<Request<'static>> {
        self.take(info_hash, |_, request| may_go(request))
    }

    fn take(&mut self, info_hash: &InfoHash, may_go: impl Fn(Moment, &Request<'_>) -> bool) -> Vec<Request<'static>> {
        let Some(queue) = self.swarms.remove(info_hash) else { return Vec::new() };
        let (mut going, mut staying) = (Vec::new(), VecDeque::new());
        for (until, request) in queue {
            let conn = conn_of(&request);
            let held = |(_, other): &(Moment, Request<'_>)| conn.is_some() && conn_of(other) == conn;
            if may_go(until, &request) && !staying.iter().any(held) {
                self.bytes -= bytes(&request);
                going.push(request);
            } else {
                staying.push_back((until, request));
            }
        }
        if !staying.is_empty() {
            self.swarms.insert(*info_hash, staying);
        }
        going
    }

    /// Lets go what has waited long enough, in order.
    pub(super) fn overdue(&mut self, now: Moment) -> Vec<Request<'static>> {
        let mut going = Vec::new();
        while let Some(&(due, info_hash)) = self.deadlines.front()
            && due <= now
        {
            self.deadlines.pop_front();
            going.extend(self.take(&info_hash, |until, _| until <= now));
        }
        going
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
