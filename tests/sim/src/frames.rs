//! Cuts a peer's byte stream into the handshake and the length-prefixed messages that follow (BEP 3).
//!
//! Written apart from `swarmreel::wire` on purpose: it is how the oracle and the villains see the wire, and a witness
//! does not ask the accused.

/// One message, whole, with its length prefix (or the handshake's 68 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first of its stream: a handshake, which has no length prefix.
    pub is_handshake: bool,
    /// As on the wire.
    pub bytes: Vec<u8>,
}

/// BEP 3 `piece`.
pub const PIECE: u8 = 7;
/// BEP 3 `unchoke`.
pub const UNCHOKE: u8 = 1;
/// BEP 6 `have all`.
pub const HAVE_ALL: u8 = 14;
/// BEP 6 `reject request`.
pub const REJECT: u8 = 16;
/// BEP 10 `extended`.
pub const EXTENDED: u8 = 20;
/// Bytes before a block in a `piece` message: length, id, index, begin.
pub const PIECE_HEADER: usize = 13;

const HANDSHAKE: usize = 68;

impl Frame {
    /// The message id; none for a handshake or a keep-alive.
    pub fn id(&self) -> Option<u8> {
        if self.is_handshake { None } else { self.bytes.get(4).copied() }
    }

    /// Piece index, offset in the piece, and data, if this is a `piece` message.
    pub fn block(&self) -> Option<(u32, u32, &[u8])> {
        if self.id() != Some(PIECE) || self.bytes.len() < PIECE_HEADER {
            return None;
        }
        let number = |at: usize| u32::from_be_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"));
        Some((number(5), number(9), &self.bytes[PIECE_HEADER..]))
    }
}

/// A byte stream from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framer {
    pending: Vec<u8>,
    greeted: bool,
}

impl Framer {
    /// A stream whose handshake is past.
    pub fn greeted() -> Self {
        Self { greeted: true, ..Self::default() }
    }

    /// Takes the next bytes of the stream. Returns what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.pending.extend_from_slice(bytes);
        let (mut frames, mut start) = (Vec::new(), 0);
        while let Some(length) = self.next_length(start).filter(|length| start + length <= self.pending.len()) {
            let bytes = self.pending[start..start + length].to_vec();
            frames.push(Frame { is_handshake: !self.greeted, bytes });
            self.greeted = true;
            start += length;
        }
        self.pending.drain(..start);
        frames
    }

    /// Whether the stream stands between two messages.
    pub fn is_whole(&self) -> bool {
        self.pending.is_empty()
    }

    /// Bytes of the message that begins here.
    fn next_length(&self, start: usize) -> Option<usize> {
        if !self.greeted {
            return Some(HANDSHAKE);
        }
        let prefix = self.pending.get(start..start + 4)?.try_into().expect("four bytes");
        Some(4 + u32::from_be_bytes(prefix) as usize)
    }
}

/// A message with this id and body.
pub fn message(id: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 1).to_be_bytes().to_vec();
    bytes.push(id);
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_frames() {
        let mut stream = vec![19; HANDSHAKE];
        stream.extend(message(PIECE, &[0, 0, 0, 3, 0, 0, 64, 0, 1, 2, 3]));
        stream.extend([0; 4]);
        stream.extend(message(1, &[]));
        let whole = Framer::default().push(&stream);
        assert_eq!(whole.iter().map(Frame::id).collect::<Vec<_>>(), [None, Some(PIECE), None, Some(1)]);
        assert_eq!(whole[1].block(), Some((3, 0x4000, &[1, 2, 3][..])));
        for size in 1..20 {
            let mut framer = Framer::default();
            let pieces: Vec<Frame> = stream.chunks(size).flat_map(|chunk| framer.push(chunk)).collect();
            assert_eq!(pieces, whole);
            assert!(framer.is_whole());
        }
    }
}
