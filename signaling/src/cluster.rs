//! Several nodes that serve the same swarms (threat-model C).
//!
//! A node's [`ClusterShard`]s decide; the link to Redis (`redis`, feature `server`) carries what they say. Between them
//! pass [`registry::Input`] and [`registry::Output`], so that tests put a world of their own in its place. Invariant:
//! whatever the registry, the backplane or another node does, a node goes on to serve its own peers.

mod exchange;
mod limits;
mod listing;
pub mod memory;
pub mod message;
mod nodes;
mod parking;
mod probes;
#[cfg(feature = "server")]
pub mod redis;
pub mod registry;
mod relay;
mod shard;
mod upkeep;

use std::fmt;
use std::ops::Add;

use swarmreel::tracker::message::Tally;

pub use limits::ClusterLimits;
pub use shard::{ClusterCounters, ClusterShard};

/// One session of one process with the registry: drawn at random, so that a node that is started again, was cut off, or was
/// taken for dead, is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The id that these bits make. The first bit is set: no [`ConnId`](crate::ConnId) has it, and so the receiver of an
    /// offer is either.
    pub fn from_random(bits: u64) -> Self {
        Self(bits | 1 << 63)
    }

    /// Reads 16 lower-case hexadecimal digits.
    pub fn from_hex(digits: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let all = digits.len() == 16 && digits.bytes().all(is_digit);
        all.then(|| u64::from_str_radix(digits, 16).ok().map(Self))?
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How many peers of a swarm there are somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Peers that have all bytes.
    pub seeders: u32,
    /// All others.
    pub leechers: u32,
}

impl Count {
    /// No peers.
    pub const NONE: Self = Self { seeders: 0, leechers: 0 };

    /// One peer.
    pub fn one(complete: bool) -> Self {
        Self { seeders: complete.into(), leechers: (!complete).into() }
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let seeders = self.seeders.saturating_add(other.seeders);
        Self { seeders, leechers: self.leechers.saturating_add(other.leechers) }
    }
}

impl From<Count> for Tally {
    fn from(count: Count) -> Self {
        Tally { complete: count.seeders, incomplete: count.leechers, downloaded: count.seeders }
    }
}
