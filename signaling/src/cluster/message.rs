//! What one node tells another, and its bytes.
//!
//! ```text
//! "SR"  version:u8  kind:u8  sender:u64  info_hash:20  then by kind, numbers in network order:
//!   1 offers  offerer:20  complete:u8  network:u16  count:u8  count × (offer_id:20  text)
//!   2 answer  answerer:20  offerer:20  offer_id:20  text
//!   3 claim   peer_id:20
//!   4 freed   peer_id:20
//!   5 taken   peer_id:20
//!   text      length:u16  UTF-8
//! ```
//! Invariant: every sequence of bytes is either a message, whose bytes it is again, or an error; nothing is reserved by
//! a length that is only claimed (threat-model C4). A node reads its own version and the one before, so that a cluster
//! is updated node by node; of any other it drops the message. Version 1 is the first.

use std::fmt;

use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::OFFERS_MAX;

use super::NodeId;

/// Bytes of a message at most; longer ones are not written, and not read.
pub const BACKPLANE_BYTES_MAX: usize = 64 << 10;

const MAGIC: [u8; 2] = *b"SR";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 32;

/// A message about one swarm, and who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The node that sends it.
    pub sender: NodeId,
    /// The swarm it is about.
    pub info_hash: InfoHash,
    /// What it says.
    pub message: Message,
}

/// What is said about a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Offers for peers of the receiving node, one each.
    Offers(Offers),
    /// The answer to an offer of one of the receiving node's peers.
    Answer(Answer),
    /// A peer id that the receiving node holds is announced at the sender: does its connection live?
    Claim(PeerId),
    /// The receiving node claimed this peer id: nobody holds it any more.
    Freed(PeerId),
    /// The sender holds the claim to this peer id now, since its peer is the elder one.
    Taken(PeerId),
}

/// Offers on their way to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Whose offers they are.
    pub offerer: PeerId,
    /// Whether the offerer has all bytes: then they are for leechers only.
    pub complete: bool,
    /// What stands for the offerer's network: equal for equal networks, and too short to tell which it is.
    pub network: u16,
    /// At most [`OFFERS_MAX`], each with its session description.
    pub offers: Vec<(OfferId, String)>,
}

/// An answer on its way to the offerer's node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answers.
    pub answerer: PeerId,
    /// Whose offer it was.
    pub offerer: PeerId,
    /// Which offer.
    pub offer_id: OfferId,
    /// The session description.
    pub sdp: String,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// Longer than [`BACKPLANE_BYTES_MAX`].
    TooLong,
    /// Not of this protocol, or of a version that is neither ours nor the one before.
    UnknownVersion,
    /// Cut off, or of a shape that no node writes.
    Malformed,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than any message",
            Self::UnknownVersion => "of another protocol or version",
            Self::Malformed => "malformed",
        })
    }
}

impl std::error::Error for MessageError {}

impl Envelope {
    /// The bytes; `None` if they were too many.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.message.bytes());
        bytes.extend(MAGIC);
        bytes.extend([VERSION, self.message.kind()]);
        bytes.extend(self.sender.0.to_be_bytes());
        bytes.extend(self.info_hash.0);
        match &self.message {
            Message::Offers(offers) => offers.encode(&mut bytes)?,
            Message::Answer(Answer { answerer, offerer, offer_id, sdp }) => {
                bytes.extend([answerer.0, offerer.0, offer_id.0].as_flattened());
                encode_text(&mut bytes, sdp)?;
            }
            Message::Claim(peer_id) | Message::Freed(peer_id) | Message::Taken(peer_id) => bytes.extend(peer_id.0),
        }
        (bytes.len() <= BACKPLANE_BYTES_MAX).then_some(bytes)
    }

    /// Reads what another node wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        if bytes.len() > BACKPLANE_BYTES_MAX {
            return Err(MessageError::TooLong);
        }
        let mut rest = Bytes(bytes);
        if rest.take::<2>()? != MAGIC || rest.take()? != [VERSION] {
            return Err(MessageError::UnknownVersion);
        }
        let [kind] = rest.take()?;
        let sender = NodeId(u64::from_be_bytes(rest.take()?));
        let info_hash = InfoHash(rest.take()?);
        let message = match kind {
            1 => Message::Offers(Offers::decode(&mut rest)?),
            2 => {
                let (answerer, offerer) = (PeerId(rest.take()?), PeerId(rest.take()?));
                Message::Answer(Answer { answerer, offerer, offer_id: OfferId(rest.take()?), sdp: rest.text()? })
            }
            3 => Message::Claim(PeerId(rest.take()?)),
            4 => Message::Freed(PeerId(rest.take()?)),
            5 => Message::Taken(PeerId(rest.take()?)),
            _ => return Err(MessageError::Malformed),
        };
        if rest.0.is_empty() { Ok(Self { sender, info_hash, message }) } else { Err(MessageError::Malformed) }
    }
}

impl Message {
    /// How many offers are in it.
    pub fn offers(&self) -> usize {
        if let Self::Offers(Offers { offers, .. }) = self { offers.len() } else { 0 }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Offers(_) => 1,
            Self::Answer(_) => 2,
            Self::Claim(_) => 3,
            Self::Freed(_) => 4,
            Self::Taken(_) => 5,
        }
    }

    /// Enough for all of its bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Offers(offers) => 24 + offers.offers.iter().map(|(_, sdp)| 22 + sdp.len()).sum::<usize>(),
            Self::Answer(answer) => 62 + answer.sdp.len(),
            Self::Claim(_) | Self::Freed(_) | Self::Taken(_) => 20,
        }
    }
}

impl Offers {
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<()> {
        let count = u8::try_from(self.offers.len()).ok().filter(|count| usize::from(*count) <= OFFERS_MAX)?;
        bytes.extend(self.offerer.0);
        bytes.push(self.complete.into());
        bytes.extend(self.network.to_be_bytes());
        bytes.push(count);
        for (offer_id, sdp) in &self.offers {
            bytes.extend(offer_id.0);
            encode_text(bytes, sdp)?;
        }
        Some(())
    }

    fn decode(rest: &mut Bytes<'_>) -> Result<Self, MessageError> {
        let offerer = PeerId(rest.take()?);
        let complete = match rest.take()? {
            [flag @ (0 | 1)] => flag == 1,
            _ => return Err(MessageError::Malformed),
        };
        let network = u16::from_be_bytes(rest.take()?);
        let [count] = rest.take()?;
        if usize::from(count) > OFFERS_MAX {
            return Err(MessageError::Malformed);
        }
        let offers = (0..count).map(|_| Ok((OfferId(rest.take()?), rest.text()?))).collect::<Result<_, _>>()?;
        Ok(Self { offerer, complete, network, offers })
    }
}

fn encode_text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    bytes.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    bytes.extend(text.as_bytes());
    Some(())
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], MessageError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(MessageError::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn text(&mut self) -> Result<String, MessageError> {
        let length = u16::from_be_bytes(self.take()?);
        let (text, rest) = self.0.split_at_checked(length.into()).ok_or(MessageError::Malformed)?;
        self.0 = rest;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| MessageError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(message: Message) -> Envelope {
        Envelope { sender: NodeId(0x0123_4567_89ab_cdef), info_hash: InfoHash([7; 20]), message }
    }

    fn offers(count: u8, sdp_bytes: usize) -> Message {
        let offers = (0..count).map(|index| (OfferId([index; 20]), "s".repeat(sdp_bytes))).collect();
        Message::Offers(Offers { offerer: PeerId([1; 20]), complete: true, network: 99, offers })
    }

    fn answer(sdp: &str) -> Message {
        let (answerer, offerer, offer_id) = (PeerId([1; 20]), PeerId([2; 20]), OfferId([3; 20]));
        Message::Answer(Answer { answerer, offerer, offer_id, sdp: sdp.to_owned() })
    }

    fn samples() -> [Message; 7] {
        let peer_id = PeerId(*b"*{\r\n}.> ?[]\0'\"\\$%&~/");
        let messages = [offers(0, 0), offers(10, 1700), answer(""), answer("v=0 ü\r\n")];
        let [a, b, c, d] = messages;
        [a, b, c, d, Message::Claim(peer_id), Message::Freed(peer_id), Message::Taken(peer_id)]
    }

    #[test]
    fn what_is_written_is_read() {
        for message in samples() {
            let envelope = envelope(message);
            let bytes = envelope.encode().unwrap();
            assert_eq!(bytes.len(), HEAD_BYTES + envelope.message.bytes(), "the length is known beforehand");
            assert_eq!(Envelope::decode(&bytes), Ok(envelope));
        }
    }

    #[test]
    fn c4_nothing_cut_off_or_added_is_a_message() {
        for message in samples() {
            let mut bytes = envelope(message).encode().unwrap();
            for end in 0..bytes.len() {
                assert!(Envelope::decode(&bytes[..end]).is_err(), "the first {end} bytes");
            }
            bytes.push(0);
            assert_eq!(Envelope::decode(&bytes), Err(MessageError::Malformed));
        }
    }

    #[test]
    fn c4_other_versions_kinds_and_values_are_refused() {
        let good = envelope(offers(2, 3)).encode().unwrap();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Envelope::decode(&bytes).unwrap_err()
        };
        for (at, value, error) in [
            (0, b'X', MessageError::UnknownVersion),
            (2, 0, MessageError::UnknownVersion),
            (2, 2, MessageError::UnknownVersion),
            (3, 0, MessageError::Malformed),
            (3, 6, MessageError::Malformed),
            (52, 2, MessageError::Malformed),    // complete or not
            (55, 11, MessageError::Malformed),   // more offers than an announce may have
            (78, 0xff, MessageError::Malformed), // a text that is not UTF-8
        ] {
            assert_eq!(with(at, value), error, "byte {at} = {value}");
        }
    }

    #[test]
    fn c4_no_message_is_longer_than_the_limit() {
        let fits = |sdp_bytes| envelope(offers(10, sdp_bytes)).encode();
        assert!(fits(6526).is_some_and(|bytes| bytes.len() <= BACKPLANE_BYTES_MAX));
        assert_eq!(fits(6527), None);
        assert_eq!(envelope(answer(&"s".repeat(1 << 16))).encode(), None);
        assert_eq!(Envelope::decode(&vec![0; BACKPLANE_BYTES_MAX + 1]), Err(MessageError::TooLong));
        assert_eq!(envelope(offers(11, 0)).encode(), None);
    }
}
