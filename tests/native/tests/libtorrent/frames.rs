//! One direction of a link, cut by the rules of BEP 3 alone: nothing of the code under test is used.

/// The `reserved` bits of a handshake.
pub(crate) const EXTENDED_BIT: (usize, u8) = (5, 0x10);
/// BEP 6.
pub(crate) const FAST_BIT: (usize, u8) = (7, 0x04);

pub(crate) const UNCHOKE: u8 = 1;
pub(crate) const INTERESTED: u8 = 2;
pub(crate) const REQUEST: u8 = 6;
pub(crate) const PIECE: u8 = 7;
pub(crate) const HAVE_ALL: u8 = 14;
pub(crate) const HAVE_NONE: u8 = 15;
pub(crate) const REJECT: u8 = 16;
pub(crate) const EXTENDED: u8 = 20;

/// What one side said.
pub(crate) struct Frames<'a> {
    pub(crate) reserved: &'a [u8],
    /// Type and payload of each message; keep-alives are left out.
    pub(crate) messages: Vec<(u8, &'a [u8])>,
}

impl<'a> Frames<'a> {
    /// Cuts a stream; half a message at its end is left out.
    pub(crate) fn of(stream: &'a [u8]) -> Self {
        let (handshake, mut rest) = stream.split_at_checked(68).expect("a handshake has 68 bytes");
        assert_eq!(&handshake[..20], b"\x13BitTorrent protocol");
        let mut messages = Vec::new();
        while let Some((head, tail)) = rest.split_first_chunk::<4>() {
            let Some((body, after)) = tail.split_at_checked(u32::from_be_bytes(*head) as usize) else { break };
            messages.extend(body.split_first().map(|(kind, payload)| (*kind, payload)));
            rest = after;
        }
        Self { reserved: &handshake[20..28], messages }
    }

    pub(crate) fn has(&self, (byte, bit): (usize, u8)) -> bool {
        self.reserved[byte] & bit != 0
    }

    pub(crate) fn count(&self, kind: u8) -> usize {
        self.messages.iter().filter(|(one, _)| *one == kind).count()
    }

    /// The first message's place, by its type.
    pub(crate) fn place(&self, kind: u8) -> Option<usize> {
        self.messages.iter().position(|(one, _)| *one == kind)
    }

    /// Extended messages (BEP 10) with this id: 0 is the handshake.
    pub(crate) fn extended(&self, id: u8) -> impl Iterator<Item = &'a [u8]> + '_ {
        let payloads = self.messages.iter().filter(|(kind, _)| *kind == EXTENDED).map(|(_, payload)| *payload);
        payloads.filter_map(move |payload| payload.split_first().filter(|(one, _)| **one == id).map(|(_, rest)| rest))
    }
}
