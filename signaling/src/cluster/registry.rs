//! What passes between the swarms of this node and the world outside: the registry that all nodes share, and the other
//! nodes.
//!
//! The registry knows of every swarm how many peers each node has, and of every peer id which node claimed it. All that
//! a node tells and asks of one swarm is one exchange, a [`Sync`] and its [`Synced`]: it may be lost or repeated without
//! harm. Invariant: a claim is only ever taken from a node that is named, or that bound the peer id later.

use std::sync::Arc;
use std::time::Duration;

use swarmreel::ids::{InfoHash, PeerId};

use super::message::{Envelope, Message};
use super::{Count, NodeId};

/// Something happened outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Registry and backplane are there, after not having been. What this node told anyone may be forgotten.
    Up {
        /// Who this node is from now on: another one than before.
        node: NodeId,
        /// The nodes that live.
        live: Arc<[NodeId]>,
    },
    /// Registry or backplane cannot be reached.
    Down,
    /// The nodes that live now.
    Nodes(Arc<[NodeId]>),
    /// A [`Sync`] was done.
    Synced(Synced),
    /// A [`Sync`] failed, or nobody knows whether it was done.
    Unsynced {
        /// Its swarm.
        info_hash: InfoHash,
        /// Its number.
        serial: u64,
    },
    /// Another node says something.
    Received(Envelope),
}

/// Something to be done outside. Each may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Exchange this with the registry; ends in [`Input::Synced`] or [`Input::Unsynced`].
    Sync(Sync),
    /// Say this to another node.
    Publish {
        /// To whom.
        to: NodeId,
        /// What.
        envelope: Envelope,
    },
    /// Ask anew which nodes live: a claim is held by one that was not in the last table.
    Table,
}

impl Output {
    /// What another node is to be told.
    pub fn message(&self) -> Option<&Message> {
        if let Self::Publish { envelope, .. } = self { Some(&envelope.message) } else { None }
    }
}

/// What a node tells the registry of one swarm, and asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Which swarm.
    pub info_hash: InfoHash,
    /// Numbers the exchanges of a shard.
    pub serial: u64,
    /// This node's peers of it.
    pub count: Count,
    /// Peer ids to be claimed.
    pub claims: Vec<Claim>,
    /// Claims to be removed, each if it is still the node's: of peers that left, and of the dead.
    pub discards: Vec<(PeerId, NodeId)>,
    /// Dead nodes, whose counts are to be removed.
    pub forgets: Vec<NodeId>,
}

/// A node wants a peer id. One that another node holds stays with it, unless that is the node named here, or has had it
/// for [`ELDER`] less: so nobody gets a peer's name by announcing it where the peer's node cannot be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub peer_id: PeerId,
    /// A node that has lost it.
    pub from: Option<NodeId>,
    /// For how long it has been bound here; nothing if it is only announced.
    pub age: Duration,
}

/// By how much an older claim must be older: by more than messages and clocks of nodes differ.
pub const ELDER: Duration = Duration::from_secs(1);

/// What the registry knows of one swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Which swarm.
    pub info_hash: InfoHash,
    /// As in the question.
    pub serial: u64,
    /// Who holds the peer ids that were to be claimed.
    pub holders: Vec<(PeerId, NodeId)>,
    /// Those of them that another node had, but for less long; it does not know yet.
    pub ousted: Vec<(PeerId, NodeId)>,
    /// Peers by node.
    pub counts: Vec<(NodeId, Count)>,
    /// A few claims, drawn at random: so claims that nobody stands behind are found sooner or later.
    pub sample: Vec<(PeerId, NodeId)>,
}
