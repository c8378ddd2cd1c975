//! Why a well-formed message has no effect, and what its sender is told.
//!
//! Invariant: every refusal is one sentence that quotes nothing of the message; only what no honest client does counts
//! as a strike.

/// Why a message has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection's allowance is used up, and its debt too.
    TooManyMessages,
    /// The connection is another peer in this torrent.
    OtherPeerId,
    /// Another connection is that peer.
    PeerIdInUse,
    /// The connection is in as many torrents as it may be.
    TooManyTorrents,
    /// The answer is to no offer made to this peer by that one, or too late, or not the first.
    NoSuchOffer,
    /// The same, under a name not the sender's.
    ForgedAnswer,
}

impl Refusal {
    /// What the sender is told.
    pub fn text(self) -> &'static str {
        match self {
            Refusal::TooManyMessages => "too many messages",
            Refusal::OtherPeerId => "this connection has another peer_id in this torrent",
            Refusal::PeerIdInUse => "this peer_id is in use by another connection",
            Refusal::TooManyTorrents => "too many torrents on this connection",
            Refusal::NoSuchOffer | Refusal::ForgedAnswer => "this answers no offer that is open",
        }
    }

    /// Only a broken or hostile client does this.
    pub(super) fn is_strike(self) -> bool {
        matches!(self, Refusal::TooManyMessages | Refusal::OtherPeerId | Refusal::ForgedAnswer)
    }
}
