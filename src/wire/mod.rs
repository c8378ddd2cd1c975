//! The peer wire protocol on bytes: BEP 3, 6, 9 and 10. Knows nothing of torrents.
//!
//! Invariant: a message's length is judged by its type before anything is kept of it (threat-model P1).

mod decode;
pub mod extension;
pub mod fast;

pub use decode::{Decoder, WireError};

use crate::ids::{InfoHash, PeerId};

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
/// Bytes of a handshake.
pub const HANDSHAKE_LENGTH: usize = 68;

/// The first message of each side (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The sender. Not necessarily the id it announced to a tracker (protocol.md §1.9).
    pub peer_id: PeerId,
    /// The sender speaks the extension protocol (BEP 10).
    pub extensions: bool,
    /// The sender speaks the fast extension (BEP 6).
    pub fast: bool,
}

impl Handshake {
    /// The 68 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut reserved = [0u8; 8];
        if self.extensions {
            reserved[5] |= 0x10;
        }
        if self.fast {
            reserved[7] |= 0x04;
        }
        [&PROTOCOL[..], &reserved, &self.info_hash.0, &self.peer_id.0].concat()
    }

    fn parse(bytes: &[u8; HANDSHAKE_LENGTH]) -> Option<Self> {
        let reserved = &bytes[20..28];
        (bytes[..20] == PROTOCOL[..]).then_some(Self {
            info_hash: InfoHash::from_slice(&bytes[28..48])?,
            peer_id: PeerId::from_slice(&bytes[48..68])?,
            extensions: reserved[5] & 0x10 != 0,
            fast: reserved[7] & 0x04 != 0,
        })
    }
}

/// What `request`, `cancel` and `reject` name: bytes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Piece index, unchecked.
    pub piece: u32,
    /// First byte within the piece, unchecked.
    pub begin: u32,
    /// Bytes, unchecked.
    pub length: u32,
}

/// One message. Numbers are as received: unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The stream's first.
    Handshake(Handshake),
    /// Length 0.
    KeepAlive,
    /// 0
    Choke,
    /// 1
    Unchoke,
    /// 2
    Interested,
    /// 3
    NotInterested,
    /// 4: a piece index.
    Have(u32),
    /// 5: most significant bit first.
    Bitfield(&'a [u8]),
    /// 6
    Request(Request),
    /// 7: a block.
    Piece {
        /// Piece index.
        piece: u32,
        /// First byte within the piece.
        begin: u32,
        /// At most `BLOCK_LENGTH` bytes.
        data: &'a [u8],
    },
    /// 8
    Cancel(Request),
    /// 9: a DHT port; of no use here.
    Port,
    /// 13 (BEP 6): a piece index.
    Suggest(u32),
    /// 14 (BEP 6)
    HaveAll,
    /// 15 (BEP 6)
    HaveNone,
    /// 16 (BEP 6)
    Reject(Request),
    /// 17 (BEP 6): a piece index.
    AllowedFast(u32),
    /// 20 (BEP 10)
    Extended {
        /// 0 is the extended handshake; others are ids the receiver announced.
        id: u8,
        /// The rest.
        payload: &'a [u8],
    },
    /// Any other id: ignored.
    Unknown(u8),
}

impl Message<'_> {
    /// Appends the message with its length prefix.
    ///
    /// # Panics
    /// On `Unknown` and `Port`, which are never sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Message::Handshake(handshake) => out.extend_from_slice(&handshake.to_bytes()),
            Message::KeepAlive => out.extend_from_slice(&[0; 4]),
            Message::Choke => frame(out, 0, &[], &[]),
            Message::Unchoke => frame(out, 1, &[], &[]),
            Message::Interested => frame(out, 2, &[], &[]),
            Message::NotInterested => frame(out, 3, &[], &[]),
            Message::Have(piece) => frame(out, 4, &[piece], &[]),
            Message::Bitfield(bits) => frame(out, 5, &[], bits),
            Message::Request(r) => frame(out, 6, &[r.piece, r.begin, r.length], &[]),
            Message::Piece { piece, begin, data } => frame(out, 7, &[piece, begin], data),
            Message::Cancel(r) => frame(out, 8, &[r.piece, r.begin, r.length], &[]),
            Message::Suggest(piece) => frame(out, 13, &[piece], &[]),
            Message::HaveAll => frame(out, 14, &[], &[]),
            Message::HaveNone => frame(out, 15, &[], &[]),
            Message::Reject(r) => frame(out, 16, &[r.piece, r.begin, r.length], &[]),
            Message::AllowedFast(piece) => frame(out, 17, &[piece], &[]),
            Message::Extended { id, payload } => {
                out.extend_from_slice(&(2 + payload.len() as u32).to_be_bytes());
                out.extend_from_slice(&[20, id]);
                out.extend_from_slice(payload);
            }
            Message::Port | Message::Unknown(_) => panic!("this message is never sent"),
        }
    }

    /// The message alone, as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// The 13 bytes before a block of `length` bytes, so that the block itself need not be copied twice.
pub fn piece_header(piece: u32, begin: u32, length: usize) -> [u8; 13] {
    let mut header = [0; 13];
    header[..4].copy_from_slice(&(9 + length as u32).to_be_bytes());
    header[4] = 7;
    header[5..9].copy_from_slice(&piece.to_be_bytes());
    header[9..].copy_from_slice(&begin.to_be_bytes());
    header
}

fn frame(out: &mut Vec<u8>, id: u8, numbers: &[u32], data: &[u8]) {
    let length = 1 + 4 * numbers.len() + data.len();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(id);
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(data);
}
