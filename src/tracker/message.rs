//! The messages of the WebTorrent tracker protocol, both directions (protocol.md §1; no BEP exists).
//!
//! Invariant: what is parsed is within the limits below, and what is written every known client reads: one JSON object,
//! integers only, no null, `action` and `info_hash` wherever they are known (protocol.md §1.4).

mod json;
mod read;
mod write;

use std::fmt;

use crate::ids::{InfoHash, OfferId, PeerId};

/// Bytes of one message, either direction: ten offers of ordinary size are 20 KB.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Bytes of one session description.
pub const SDP_BYTES_MAX: usize = 16 << 10;
/// Offers read from one announce; more are ignored.
pub const OFFERS_MAX: usize = 10;
/// Info hashes in one scrape; more are an error.
pub const SCRAPE_MAX: usize = 64;

/// What an announce tells beyond "still here".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer joins the swarm.
    Started,
    /// The peer leaves the swarm.
    Stopped,
    /// The peer has all bytes now; also sent at start-up by peers that always had, before `Started`.
    Completed,
}

/// The `action` of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Announces, their responses, and the offers and answers relayed.
    Announce,
    /// Counts of peers, without joining.
    Scrape,
}

/// A peer joins, stays in, or leaves a swarm, and offers connections to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The peer's name in this swarm.
    pub peer_id: PeerId,
    /// `None` is a periodic update, as is any name the protocol does not know.
    pub event: Option<Event>,
    /// Bytes missing; `None` while unknown (a magnet without metadata), which counts as a leecher.
    pub left: Option<u64>,
    /// Bytes sent to peers.
    pub uploaded: u64,
    /// Bytes received from peers.
    pub downloaded: u64,
    /// Peers wanted at most; by convention the number of offers.
    pub numwant: Option<u32>,
    /// Offers of a connection, each with its session description (SDP, complete: no trickled candidates).
    pub offers: Vec<(OfferId, String)>,
}

/// A peer's answer to an offer that the tracker relayed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The answering peer.
    pub peer_id: PeerId,
    /// The peer that made the offer.
    pub to_peer_id: PeerId,
    /// The offer answered.
    pub offer_id: OfferId,
    /// The session description.
    pub sdp: String,
    /// Bytes missing: some trackers read it here too and would else count a leecher (protocol.md §1.7).
    pub left: Option<u64>,
}

/// From a client to a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// An announce.
    Announce(Announce),
    /// An answer to a relayed offer.
    Answer(Answer),
    /// Asks for the counts of these torrents: 1 to [`SCRAPE_MAX`].
    Scrape(Vec<InfoHash>),
}

/// How many peers a swarm has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Peers with all bytes.
    pub complete: u32,
    /// All other peers.
    pub incomplete: u32,
    /// Times the torrent was completed; WebTorrent trackers report the same as `complete`.
    pub downloaded: u32,
}

/// From a tracker to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// The reply to an announce.
    Response {
        /// The torrent.
        info_hash: InfoHash,
        /// Seconds until the next announce is expected. Absent in replies of lax trackers.
        interval: Option<u32>,
        /// Seconds before which no announce is welcome.
        min_interval: Option<u32>,
        /// Peers with all bytes.
        complete: u32,
        /// All other peers.
        incomplete: u32,
        /// A sentence for the user; the announce was accepted.
        warning: Option<String>,
    },
    /// Another peer's offer, to be answered.
    Offer {
        /// The torrent.
        info_hash: InfoHash,
        /// The offering peer.
        peer_id: PeerId,
        /// To be copied into the answer.
        offer_id: OfferId,
        /// The session description.
        sdp: String,
    },
    /// The answer to an offer of ours.
    Answer {
        /// The torrent.
        info_hash: InfoHash,
        /// The answering peer.
        peer_id: PeerId,
        /// Our offer.
        offer_id: OfferId,
        /// The session description.
        sdp: String,
    },
    /// The reply to a scrape.
    Scrape(Vec<(InfoHash, Tally)>),
    /// A message was refused. The connection stays.
    Failure {
        /// The torrent the refused message was about, if that much was understood.
        info_hash: Option<InfoHash>,
        /// What the refused message was, if that much was understood.
        action: Option<Action>,
        /// A sentence.
        reason: String,
    },
}

impl ClientMessage {
    /// Reads a client's message. Lenient: numbers and names that are not understood count as absent, unknown keys are
    /// skipped; ids, descriptions and structure must be right.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        read::client_message(text)
    }

    /// The message as JSON text.
    pub fn write(&self) -> String {
        write::client_message(self)
    }
}

impl ServerMessage {
    /// Reads a tracker's message; lenient as [`ClientMessage::parse`] is.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        read::server_message(text)
    }

    /// The message as JSON text.
    pub fn write(&self) -> String {
        write::server_message(self)
    }
}

/// Why a message was refused, with what was understood of it before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// The action, if it was readable.
    pub action: Option<Action>,
    /// The torrent, if one was readable.
    pub info_hash: Option<InfoHash>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a message. Its `Display` is a sentence that quotes nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// More than [`MESSAGE_BYTES_MAX`].
    TooLong,
    /// Not JSON, nested deeper than 8, or a key twice: the parser's words.
    Json(String),
    /// Neither `announce` nor `scrape`.
    Action,
    /// The named id is not a string of 20 characters up to U+00FF.
    Id(&'static str),
    /// The named member is absent or of the wrong type.
    Member(&'static str),
    /// A session description of more than [`SDP_BYTES_MAX`].
    Sdp,
    /// A scrape of no torrent, or of more than [`SCRAPE_MAX`].
    ScrapeCount,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for MessageError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::TooLong => write!(f, "the message is longer than {MESSAGE_BYTES_MAX} bytes"),
            Problem::Json(words) => write!(f, "not a JSON message: {words}"),
            Problem::Action => f.write_str("action is neither announce nor scrape"),
            Problem::Id(name) => write!(f, "{name} is not a string of 20 Latin-1 characters"),
            Problem::Member(name) => write!(f, "{name} is missing or of the wrong type"),
            Problem::Sdp => write!(f, "a session description is longer than {SDP_BYTES_MAX} bytes"),
            Problem::ScrapeCount => write!(f, "a scrape names 1 to {SCRAPE_MAX} info hashes"),
        }
    }
}

impl From<MessageError> for ServerMessage {
    fn from(error: MessageError) -> Self {
        let reason = error.to_string();
        ServerMessage::Failure { info_hash: error.info_hash, action: error.action, reason }
    }
}
