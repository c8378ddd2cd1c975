//! The tracker: introduces the peers of a swarm to each other (protocol.md §1.6, §1.12; threat-model.md S).
//!
//! Pure: messages in, messages out, time as an argument, chance from the seed. It comes in two parts, so that it can be
//! spread over workers: a [`Desk`] has connections, a [`Shard`] has swarms. [`Tracker`] is both in one. Invariant, asserted
//! by [`Tracker::check`]: the members that the desk knows are the peers that the shards have.

mod access;
mod allowance;
mod connection;
mod counters;
mod delivery;
mod desk;
mod households;
mod incoming;
mod json;
mod keyed;
mod limits;
mod offers;
mod pairing;
mod received;
mod refusal;
mod reply;
mod request;
mod sdp;
mod shard;
mod side;
mod spread;
mod stats;
mod swarm;
mod tight;

use std::collections::BTreeMap;
use std::net::IpAddr;

use swarmreel::time::Moment;

pub use access::{Access, InfoHashes};
pub use counters::{Counters, Withheld};
pub use delivery::{Delivery, ShardOutput};
pub use desk::Desk;
pub use households::Households;
pub use incoming::Incoming;
pub use limits::TrackerLimits;
pub use refusal::Refusal;
pub use request::{Announce, Answer, Asker, Leave, Network, Offer, Request, Scrape};
pub use sdp::Sdp;
pub use shard::Shard;
pub(crate) use shard::Spare;
pub use spread::Spread;
pub use stats::Stats;

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

/// A WebTorrent tracker: a desk and its shards, in one thread.
#[derive(Debug)]
pub struct Tracker {
    desk: Desk,
    shards: Vec<Shard>,
    spread: Spread,
}

impl Tracker {
    /// A tracker without connections, of one shard. The seed decides which peers meet.
    pub fn new(limits: TrackerLimits, seed: [u8; 32]) -> Self {
        Self::sharded(limits, seed, 1)
    }

    /// The same, of so many shards: 1 to 256.
    pub fn sharded(limits: TrackerLimits, seed: [u8; 32], count: usize) -> Self {
        let seed = |kind: u8, index: usize| {
            let mut seed = seed;
            seed[30] ^= kind;
            seed[31] ^= index as u8;
            seed
        };
        let spread = Spread::new(count, seed(1, 0));
        let shards = (0..count).map(|index| Shard::new(limits.clone(), seed(0, index), spread)).collect();
        Self { desk: Desk::new(limits), shards, spread }
    }

    /// As [`Desk::set_access`].
    pub fn set_access(&mut self, access: Access) {
        self.desk.set_access(access);
    }

    /// A WebSocket opened.
    pub fn opened(&mut self, now: Moment, conn: ConnId, address: IpAddr) {
        self.desk.opened(now, conn, address);
    }

    /// A text message arrived. Messages of connections that were closed are ignored.
    pub fn message(&mut self, now: Moment, conn: ConnId, text: &str) {
        if let Some(request) = self.desk.message(now, conn, text) {
            self.handle(now, request);
        }
        self.settle(now);
    }

    /// A WebSocket closed, or was found dead.
    pub fn closed(&mut self, now: Moment, conn: ConnId) {
        self.desk.closed(now, conn);
        self.settle(now);
    }

    /// Does what has become due.
    pub fn wake(&mut self, now: Moment) {
        self.desk.wake(now);
        self.settle(now);
    }

    /// When [`Tracker::wake`] next has something to do, at the earliest.
    pub fn wake_at(&self) -> Option<Moment> {
        self.desk.wake_at()
    }

    /// The next thing to do; to be called until `None` after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.poll()
    }

    /// The tracker in numbers; walks over all connections.
    pub fn stats(&self) -> Stats {
        let mut stats = self.desk.stats();
        stats.add_torrents(self.shards.iter().map(Shard::torrents).sum());
        stats
    }

    /// What was done.
    pub fn counters(&self) -> Counters {
        let mut counters = self.desk.counters();
        self.shards.iter().for_each(|shard| counters += shard.counters());
        counters
    }

    /// Panics if an invariant is broken.
    pub fn check(&self) {
        self.desk.check();
        self.shards.iter().for_each(Shard::check);
        let key = |(peer, complete): (Leave, bool)| ((peer.conn, peer.info_hash), (peer.peer_id, complete));
        let known: BTreeMap<_, _> = self.desk.peers().map(key).collect();
        let bound: Vec<_> = self.shards.iter().flat_map(Shard::peers).map(key).collect();
        assert_eq!(bound.len(), known.len(), "a connection is one peer in a torrent");
        assert_eq!(bound.into_iter().collect::<BTreeMap<_, _>>(), known, "the desk knows what the shards have");
    }

    fn handle(&mut self, now: Moment, request: Request<'_>) {
        let index = request.shard(&self.spread);
        self.shards[index].handle(now, request);
    }

    /// Carries messages between desk and shards until there are none.
    fn settle(&mut self, now: Moment) {
        loop {
            let mut quiet = true;
            for index in 0..self.shards.len() {
                while let Some(output) = self.shards[index].poll() {
                    quiet = false;
                    match output {
                        ShardOutput::Deliver(delivery) => self.desk.delivered(now, delivery),
                        ShardOutput::Forward(request) => self.handle(now, request),
                        ShardOutput::Tallied { .. } => {}
                    }
                }
            }
            while let Some(request) = self.desk.poll_request() {
                quiet = false;
                self.handle(now, request);
            }
            if quiet {
                return;
            }
        }
    }
}
