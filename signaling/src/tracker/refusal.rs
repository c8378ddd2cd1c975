//! Why a well-formed message has no effect, and what its sender is told.
//!
//! Invariant: every refusal is one sentence that quotes nothing of the message; only what no honest client does counts
//! as a strike.

/// Why a message has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The torrent is not served here.
    NotServed,
    /// The connection's allowance is used up, and its debt too.
    TooManyMessages,
    /// The allowance of all connections of its household is used up, perhaps by others.
    BusyHousehold,
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
    /// All of them, in the order of [`super::Counters::refused`].
    pub const ALL: [Self; 8] = [
        Self::NotServed,
        Self::TooManyMessages,
        Self::BusyHousehold,
        Self::OtherPeerId,
        Self::PeerIdInUse,
        Self::TooManyTorrents,
        Self::NoSuchOffer,
        Self::ForgedAnswer,
    ];

    /// A name for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotServed => "not_served",
            Self::TooManyMessages => "too_many_messages",
            Self::BusyHousehold => "busy_household",
            Self::OtherPeerId => "other_peer_id",
            Self::PeerIdInUse => "peer_id_in_use",
            Self::TooManyTorrents => "too_many_torrents",
            Self::NoSuchOffer => "no_such_offer",
            Self::ForgedAnswer => "forged_answer",
        }
    }

    /// What the sender is told.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotServed => "this tracker does not serve this torrent",
            Self::TooManyMessages | Self::BusyHousehold => "too many messages",
            Self::OtherPeerId => "this connection has another peer_id in this torrent",
            Self::PeerIdInUse => "this peer_id is in use by another connection",
            Self::TooManyTorrents => "too many torrents on this connection",
            Self::NoSuchOffer | Self::ForgedAnswer => "this answers no offer that is open",
        }
    }

    /// Only a broken or hostile client does this.
    pub(super) fn is_strike(self) -> bool {
        matches!(self, Self::TooManyMessages | Self::OtherPeerId | Self::ForgedAnswer)
    }
}
