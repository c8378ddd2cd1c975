//! Requests that wait until the registry has told what they hang on.
//!
//! Invariant: what waits is bounded in bytes and in time, and requests of one connection about one swarm leave in the
//! order in which they came. What it costs that one comes or is overdue does not grow with how many wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::time::Moment;

use super::ClusterLimits;
use crate::tracker::{ConnId, Request};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// None of them empty.
    swarms: BTreeMap<InfoHash, Queue>,
    /// Until when each swarm's first waits.
    deadlines: BTreeSet<(Moment, InfoHash)>,
    bytes: usize,
}

/// What waits for one swarm.
#[derive(Debug, Default)]
struct Queue {
    /// With how long each waits; in order, since all wait equally long.
    requests: VecDeque<(Moment, Request<'static>)>,
    /// How many of them are of whom.
    tally: BTreeMap<Whose, usize>,
    bytes: usize,
}

/// What is asked about those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// Of this connection.
    Conn(ConnId),
    /// An announce of this peer.
    Peer(PeerId),
}

impl Parking {
    /// Whether there is room for a request.
    pub(super) fn has_room(&self, request: &Request<'_>, limits: &ClusterLimits) -> bool {
        self.bytes + bytes(request) <= limits.parked_bytes
    }

    pub(super) fn push(&mut self, until: Moment, info_hash: InfoHash, request: Request<'static>) {
        let mut queue = self.take(&info_hash).unwrap_or_default();
        queue.push(until, request);
        self.put(info_hash, queue);
    }

    /// Whether this connection waits for something about the swarm: then what follows waits too.
    pub(super) fn holds(&self, info_hash: &InfoHash, conn: ConnId) -> bool {
        self.has(info_hash, Whose::Conn(conn))
    }

    /// Whether somebody waits to be admitted to the swarm under this name.
    pub(super) fn announces(&self, info_hash: &InfoHash, peer_id: PeerId) -> bool {
        self.has(info_hash, Whose::Peer(peer_id))
    }

    fn has(&self, info_hash: &InfoHash, whose: Whose) -> bool {
        self.swarms.get(info_hash).is_some_and(|queue| queue.tally.contains_key(&whose))
    }

    pub(super) fn waiting(&self, info_hash: &InfoHash) -> impl Iterator<Item = &Request<'static>> {
        self.swarms.get(info_hash).into_iter().flat_map(|queue| &queue.requests).map(|(_, request)| request)
    }

    /// Lets go what may go, in order; of a connection nothing after what must still wait.
    pub(super) fn release(
        &mut self,
        info_hash: &InfoHash,
        may_go: impl Fn(&Request<'_>) -> bool,
    ) -> Vec<Request<'static>> {
        let Some(queue) = self.take(info_hash) else { return Vec::new() };
        let (going, staying) = queue.split(may_go);
        self.put(*info_hash, staying);
        going
    }

    /// Lets go what has waited long enough, in order.
    pub(super) fn overdue(&mut self, now: Moment) -> Vec<Request<'static>> {
        let mut going = Vec::new();
        while let Some(&(due, info_hash)) = self.deadlines.first()
            && due <= now
            && let Some(mut queue) = self.take(&info_hash)
        {
            going.extend(queue.pop());
            self.put(info_hash, queue);
        }
        going
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// All swarms for which something waits.
    pub(super) fn swarms(&self) -> Vec<InfoHash> {
        self.swarms.keys().copied().collect()
    }

    fn take(&mut self, info_hash: &InfoHash) -> Option<Queue> {
        let queue = self.swarms.remove(info_hash)?;
        self.bytes -= queue.bytes;
        queue.due().map(|due| self.deadlines.remove(&(due, *info_hash)));
        Some(queue)
    }

    fn put(&mut self, info_hash: InfoHash, queue: Queue) {
        let Some(due) = queue.due() else { return };
        self.bytes += queue.bytes;
        self.deadlines.insert((due, info_hash));
        self.swarms.insert(info_hash, queue);
    }
}

impl Queue {
    fn due(&self) -> Option<Moment> {
        self.requests.front().map(|(until, _)| *until)
    }

    fn push(&mut self, until: Moment, request: Request<'static>) {
        self.bytes += bytes(&request);
        for whose in whose(&request) {
            *self.tally.entry(whose).or_default() += 1;
        }
        self.requests.push_back((until, request));
    }

    fn pop(&mut self) -> Option<Request<'static>> {
        let (_, request) = self.requests.pop_front()?;
        self.bytes -= bytes(&request);
        for whose in whose(&request) {
            if let Some(count) = self.tally.get_mut(&whose) {
                *count -= 1;
                if *count == 0 {
                    self.tally.remove(&whose);
                }
            }
        }
        Some(request)
    }

    /// What goes, and what stays.
    fn split(self, may_go: impl Fn(&Request<'_>) -> bool) -> (Vec<Request<'static>>, Self) {
        let (mut going, mut staying) = (Vec::new(), Self::default());
        for (until, request) in self.requests {
            let is_held = conn_of(&request).is_some_and(|conn| staying.tally.contains_key(&Whose::Conn(conn)));
            if is_held || !may_go(&request) {
                staying.push(until, request);
            } else {
                going.push(request);
            }
        }
        (going, staying)
    }
}

fn whose(request: &Request<'_>) -> impl Iterator<Item = Whose> + use<> {
    let announced = if let Request::Announce(announce) = request { Some(announce.peer_id) } else { None };
    conn_of(request).map(Whose::Conn).into_iter().chain(announced.map(Whose::Peer))
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
