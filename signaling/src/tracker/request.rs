//! What a desk asks of the shards: the messages of clients, checked as far as a desk can.
//!
//! Invariant: a request is about one torrent, so one shard has all that is needed to serve it; only a scrape travels
//! from shard to shard.

use std::net::IpAddr;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::Tally;

use super::ConnId;
use super::sdp::Sdp;
use super::spread::Spread;

/// What peers share who might be one person: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(pub u64);

/// What an IPv4 address has in front; an IPv6 address would be a multicast one.
const IPV4: u64 = 0xffff_ffff;

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Network(IPV4 << 32 | u64::from(address.to_bits())),
            IpAddr::V6(address) => Network((address.to_bits() >> 64) as u64),
        }
    }
}

impl Network {
    /// What other nodes and long memories know of it: enough to tell most networks apart, and common to 65,536 IPv4
    /// addresses. That of a digest is itself.
    pub(crate) fn digest(self) -> u16 {
        u16::try_from(self.0).unwrap_or((self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16)
    }

    /// Is it an IPv4 address?
    pub fn is_ipv4(self) -> bool {
        self.0 >> 32 == IPV4
    }
}

/// One offer of an announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// To be copied into the answer.
    pub offer_id: OfferId,
    /// The description.
    pub sdp: Sdp<'a>,
}

/// A peer joins or stays in a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce<'a> {
    /// Who announces.
    pub conn: ConnId,
    /// From where.
    pub network: Network,
    /// The torrent.
    pub info_hash: InfoHash,
    /// The peer's name there.
    pub peer_id: PeerId,
    /// Whether it has all bytes.
    pub complete: bool,
    /// To be relayed: as many as are wanted and allowed.
    pub offers: Vec<Offer<'a>>,
    /// It announces too often: it is told so, and has no offers here.
    pub too_often: bool,
}

/// A peer answers an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Who answers; it is a peer of that name.
    pub conn: ConnId,
    /// The torrent.
    pub info_hash: InfoHash,
    /// The answering peer.
    pub peer_id: PeerId,
    /// The peer that made the offer.
    pub to_peer_id: PeerId,
    /// The offer.
    pub offer_id: OfferId,
    /// The description.
    pub sdp: Sdp<'a>,
}

/// A peer leaves a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Whose peer it is; it stays if it is another's.
    pub conn: ConnId,
    /// The torrent.
    pub info_hash: InfoHash,
    /// The peer's name there.
    pub peer_id: PeerId,
}

/// Who wants to know the counts of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A WebSocket client.
    Conn(ConnId),
    /// Somebody else, by a number of the caller's.
    Ticket(u64),
}

/// A question for the counts of some torrents, on its way from shard to shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// Who asks.
    pub asker: Asker,
    /// The torrents in the order asked for, each with its counts once its shard has given them.
    pub tallies: Vec<(InfoHash, Option<Tally>)>,
}

impl Scrape {
    /// A question that no shard has seen.
    pub fn new(asker: Asker, hashes: impl IntoIterator<Item = InfoHash>) -> Self {
        Self { asker, tallies: hashes.into_iter().map(|hash| (hash, None)).collect() }
    }

    /// Which shard is to give its counts next; any, once all are known.
    pub(super) fn shard(&self, spread: &Spread) -> usize {
        let next = self.tallies.iter().find(|(_, tally)| tally.is_none());
        next.map_or(0, |(hash, _)| spread.shard_of(hash))
    }
}

/// One thing asked of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A peer joins or stays.
    Announce(Announce<'a>),
    /// A peer answers an offer.
    Answer(Answer<'a>),
    /// A peer leaves and wants a reply; `too_often` as in an announce.
    Stop {
        /// Who leaves.
        leave: Leave,
        /// As [`Announce::too_often`].
        too_often: bool,
    },
    /// A peer is gone.
    Leave(Leave),
    /// Somebody wants counts.
    Scrape(Scrape),
}

impl Request<'_> {
    /// Which shard is to handle this.
    pub fn shard(&self, spread: &Spread) -> usize {
        match self {
            Request::Announce(announce) => spread.shard_of(&announce.info_hash),
            Request::Answer(answer) => spread.shard_of(&answer.info_hash),
            Request::Stop { leave, .. } | Request::Leave(leave) => spread.shard_of(&leave.info_hash),
            Request::Scrape(scrape) => scrape.shard(spread),
        }
    }

    /// The same, tied to no message, so that it can go to another thread.
    pub fn into_owned(self) -> Request<'static> {
        match self {
            Request::Announce(announce) => {
                let owned = |offer: Offer<'_>| Offer { offer_id: offer.offer_id, sdp: offer.sdp.into_owned() };
                let offers = announce.offers.into_iter().map(owned).collect();
                Request::Announce(Announce { offers, ..announce })
            }
            Request::Answer(answer) => Request::Answer(Answer { sdp: answer.sdp.into_owned(), ..answer }),
            Request::Stop { leave, too_often } => Request::Stop { leave, too_often },
            Request::Leave(leave) => Request::Leave(leave),
            Request::Scrape(scrape) => Request::Scrape(scrape),
        }
    }
}
