//! The byte stream of a data channel → messages.
//!
//! Invariant: whatever way the stream is cut, the same messages come out; whole messages within one chunk are
//! never copied; an incomplete one is kept, up to the limit of its type.

use std::fmt;

use super::{HANDSHAKE_LENGTH, Handshake, Message, Request};
use crate::geometry::BLOCK_LENGTH;

/// A bitfield of the largest torrent admitted: 2 million pieces (threat-model §1).
const BITFIELD_MAX: usize = 1 + 2_000_000 / 8;
const EXTENDED_MAX: usize = 32 * 1024;
const PIECE_MAX: usize = 9 + BLOCK_LENGTH as usize;

/// Why a stream can't be followed further: the link must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The stream does not start with a BitTorrent handshake.
    NotBitTorrent,
    /// A message is longer than its type allows.
    TooLong {
        /// The message's id.
        id: u8,
        /// Its length by the prefix.
        length: u32,
    },
    /// A message has not the length of its type.
    WrongLength {
        /// The message's id.
        id: u8,
        /// Its length by the prefix.
        length: u32,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBitTorrent => write!(f, "the peer does not speak BitTorrent"),
            Self::TooLong { id, length } => write!(f, "the peer sent a message {id} of {length} bytes, over its limit"),
            Self::WrongLength { id, length } => write!(f, "the peer sent a message {id} of a wrong length, {length}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Cuts one direction of a stream into messages.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// An incomplete message.
    partial: Vec<u8>,
    /// `partial` was handed out whole and is dropped on the next call.
    spent: bool,
    shaken: bool,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes kept of an incomplete message.
    pub fn kept(&self) -> usize {
        if self.spent { 0 } else { self.partial.len() }
    }

    /// The next message of the stream, of which `input` is the unread rest; `None` when more bytes are needed.
    pub fn next<'m, 'i: 'm>(&'m mut self, input: &mut &'i [u8]) -> Result<Option<Message<'m>>, WireError> {
        if self.spent {
            self.partial.clear();
            self.spent = false;
        }
        if !self.partial.is_empty() {
            return self.complete(input);
        }
        match self.total(input)? {
            Some(total) if total <= input.len() => {
                let (whole, rest) = input.split_at(total);
                *input = rest;
                self.parse(whole).map(Some)
            }
            _ => {
                self.partial.extend_from_slice(input);
                *input = &[];
                Ok(None)
            }
        }
    }

    /// Adds input to the kept part until it is one whole message.
    fn complete<'m>(&'m mut self, input: &mut &[u8]) -> Result<Option<Message<'m>>, WireError> {
        loop {
            let wanted = match self.total(&self.partial)? {
                Some(total) if total == self.partial.len() => break,
                Some(total) => total - self.partial.len(),
                None => 1,
            };
            if input.is_empty() {
                return Ok(None);
            }
            let (taken, rest) = input.split_at(wanted.min(input.len()));
            self.partial.extend_from_slice(taken);
            *input = rest;
        }
        self.spent = true;
        let first = !std::mem::replace(&mut self.shaken, true);
        parse(&self.partial, first).map(Some)
    }

    fn parse<'m>(&mut self, whole: &'m [u8]) -> Result<Message<'m>, WireError> {
        let first = !std::mem::replace(&mut self.shaken, true);
        parse(whole, first)
    }

    /// The length in bytes of the message that `bytes` starts with, once enough of it is there to judge.
    fn total(&self, bytes: &[u8]) -> Result<Option<usize>, WireError> {
        if !self.shaken {
            return Ok(Some(HANDSHAKE_LENGTH));
        }
        let Some((prefix, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix);
        let Some(&id) = rest.first() else { return Ok((length == 0).then_some(4)) };
        if length == 0 {
            return Ok(Some(4));
        }
        let max = match id {
            5 => BITFIELD_MAX,
            7 => PIECE_MAX,
            0..=17 => 17,
            _ => EXTENDED_MAX,
        };
        if length as usize > max { Err(WireError::TooLong { id, length }) } else { Ok(Some(4 + length as usize)) }
    }
}

/// Parses one whole message, length prefix included.
fn parse(bytes: &[u8], first: bool) -> Result<Message<'_>, WireError> {
    if first {
        let handshake = bytes.try_into().ok().and_then(Handshake::parse);
        return handshake.map(Message::Handshake).ok_or(WireError::NotBitTorrent);
    }
    let Some((&id, body)) = bytes[4..].split_first() else { return Ok(Message::KeepAlive) };
    message(id, body).ok_or(WireError::WrongLength { id, length: 1 + body.len() as u32 })
}

/// A message by its id; `None` if the body has not the length of its type.
fn message(id: u8, body: &[u8]) -> Option<Message<'_>> {
    let empty = |message| body.is_empty().then_some(message);
    let number = || body.try_into().ok().map(u32::from_be_bytes);
    Some(match id {
        0 => empty(Message::Choke)?,
        1 => empty(Message::Unchoke)?,
        2 => empty(Message::Interested)?,
        3 => empty(Message::NotInterested)?,
        4 => Message::Have(number()?),
        5 => Message::Bitfield(body),
        6 => Message::Request(request(body)?),
        7 => {
            let (piece, rest) = body.split_first_chunk::<4>()?;
            let (begin, data) = rest.split_first_chunk::<4>()?;
            Message::Piece { piece: u32::from_be_bytes(*piece), begin: u32::from_be_bytes(*begin), data }
        }
        8 => Message::Cancel(request(body)?),
        9 => (body.len() == 2).then_some(Message::Port)?,
        13 => Message::Suggest(number()?),
        14 => empty(Message::HaveAll)?,
        15 => empty(Message::HaveNone)?,
        16 => Message::Reject(request(body)?),
        17 => Message::AllowedFast(number()?),
        20 => {
            let (&id, payload) = body.split_first()?;
            Message::Extended { id, payload }
        }
        _ => Message::Unknown(id),
    })
}

fn request(body: &[u8]) -> Option<Request> {
    let numbers: &[u8; 12] = body.try_into().ok()?;
    let number = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
    Some(Request { piece: number(0), begin: number(4), length: number(8) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{InfoHash, PeerId};

    fn handshake() -> Handshake {
        Handshake { info_hash: InfoHash([1; 20]), peer_id: PeerId([2; 20]), extensions: true, fast: true }
    }

    fn stream(messages: &[Message<'_>]) -> Vec<u8> {
        let mut out = handshake().to_bytes();
        messages.iter().for_each(|message| message.write(&mut out));
        out
    }

    /// Decodes the stream cut into chunks, and shows each message.
    fn decode(bytes: &[u8], chunk: usize) -> Result<Vec<String>, WireError> {
        let mut decoder = Decoder::new();
        let mut shown = Vec::new();
        for mut input in bytes.chunks(chunk) {
            while let Some(message) = decoder.next(&mut input)? {
                shown.push(format!("{message:?}"));
            }
        }
        Ok(shown)
    }

    #[test]
    fn the_bytes_of_protocol_md_3_12() {
        let r = Request { piece: 1, begin: 0, length: 16384 };
        for (message, hex) in [
            (Message::KeepAlive, "00000000"),
            (Message::Choke, "0000000100"),
            (Message::Unchoke, "0000000101"),
            (Message::Interested, "0000000102"),
            (Message::NotInterested, "0000000103"),
            (Message::Have(5), "000000050400000005"),
            (Message::Bitfield(&[0xc0, 0]), "0000000305c000"),
            (Message::Request(r), "0000000d06000000010000000000004000"),
            (Message::Reject(r), "0000000d10000000010000000000004000"),
            (Message::HaveAll, "000000010e"),
            (Message::HaveNone, "000000010f"),
            (Message::Extended { id: 3, payload: &[0, 0, 0, 7] }, "00000006140300000007"),
        ] {
            let shown: String = message.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(shown, hex);
        }
        let bytes = handshake().to_bytes();
        assert_eq!(&bytes[..28], b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04");
    }

    #[test]
    fn any_cut_gives_the_same_messages() {
        let data = vec![9; 16_384];
        let bytes = stream(&[
            Message::HaveNone,
            Message::Extended { id: 0, payload: b"d1:md11:ut_metadatai1eee" },
            Message::Piece { piece: 3, begin: 16_384, data: &data },
            Message::KeepAlive,
            Message::Request(Request { piece: 1, begin: 2, length: 3 }),
            Message::Bitfield(&[1, 2, 3]),
        ]);
        let whole = decode(&bytes, usize::MAX).unwrap();
        assert_eq!(whole.len(), 7);
        for chunk in [1, 2, 3, 5, 13, 68, 69, 1000, 16_384] {
            assert_eq!(decode(&bytes, chunk).unwrap(), whole, "cut every {chunk} bytes");
        }
    }

    #[test]
    fn lengths_are_refused_at_the_header() {
        let refused = |tail: &[u8]| decode(&[handshake().to_bytes(), tail.to_vec()].concat(), 1).unwrap_err();
        assert_eq!(refused(&[0xff, 0xff, 0xff, 0xff, 7]), WireError::TooLong { id: 7, length: u32::MAX });
        assert_eq!(refused(&[0, 0, 0x40, 0x0a, 7]), WireError::TooLong { id: 7, length: 16_394 });
        assert_eq!(refused(&[0, 0, 0, 18, 4]), WireError::TooLong { id: 4, length: 18 });
        assert_eq!(refused(&[0, 0, 0x80, 1, 20]), WireError::TooLong { id: 20, length: 0x8001 });
        assert_eq!(refused(&[0, 0, 0, 2, 0, 0]), WireError::WrongLength { id: 0, length: 2 });
        assert_eq!(refused(&[0, 0, 0, 1, 20]), WireError::WrongLength { id: 20, length: 1 });
    }

    #[test]
    fn a_stranger_is_refused() {
        assert_eq!(decode(&[0x47; 68], 10).unwrap_err(), WireError::NotBitTorrent);
    }

    #[test]
    fn unknown_messages_are_shown_as_such() {
        let bytes = [handshake().to_bytes(), vec![0, 0, 0, 3, 99, 1, 2]].concat();
        assert_eq!(decode(&bytes, 4).unwrap()[1], "Unknown(99)");
    }
}
