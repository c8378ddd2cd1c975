//! Several nodes that serve the same swarms (threat-model C).
mod limits;
pub mod message;
#[cfg(feature = "server")]
pub mod redis;
pub mod registry;

use std::fmt;

pub use limits::ClusterLimits;

/// One life of one process: drawn at random when it starts, so that a node that is started again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
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
}
