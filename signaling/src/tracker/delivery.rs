//! What the shards tell: to a desk, for one of its connections; or to whoever runs the shards.
//!
//! Invariant: what a shard says last of a peer holds. A desk that follows its deliveries in order has a member for each
//! peer that the shards have of its connections, and no other.

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::tracker::message::Tally;

use super::ConnId;
use super::refusal::Refusal;
use super::request::{Leave, Request};

/// Something for the desk that has the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Text {
        /// To whom.
        conn: ConnId,
        /// A JSON object.
        text: String,
        /// An offer, which may be lost.
        droppable: bool,
    },
    /// The peer is in the swarm now, bound to this connection. The text is the response.
    Admitted {
        /// The peer.
        peer: Leave,
        /// As in its announce.
        complete: bool,
        /// A JSON object.
        text: String,
    },
    /// The peer is not in the swarm any more.
    Left {
        /// The peer.
        peer: Leave,
        /// The response to its `stopped`, a JSON object, if it asked to leave.
        text: Option<String>,
    },
    /// An announce, stop or answer had no effect.
    Refused {
        /// Whose.
        conn: ConnId,
        /// Its torrent.
        info_hash: InfoHash,
        /// The name in it.
        peer_id: PeerId,
        /// Why.
        refusal: Refusal,
    },
    /// Somebody else claims one of the connection's peer ids: find out whether it lives.
    Probe {
        /// Whom to ask.
        conn: ConnId,
    },
}

impl Delivery {
    /// Whom it is for.
    pub fn conn(&self) -> ConnId {
        match self {
            Delivery::Text { conn, .. } | Delivery::Refused { conn, .. } | Delivery::Probe { conn } => *conn,
            Delivery::Admitted { peer, .. } | Delivery::Left { peer, .. } => peer.conn,
        }
    }
}

/// What comes out of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardOutput {
    /// Give this to the desk that has the connection.
    Deliver(Delivery),
    /// Give this to the shard that [`Request::shard`] names.
    Forward(Request<'static>),
    /// The counts that the holder of the ticket asked for.
    Tallied {
        /// As in [`super::Asker::Ticket`].
        ticket: u64,
        /// In the order asked for.
        tallies: Vec<(InfoHash, Tally)>,
    },
}
