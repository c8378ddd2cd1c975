//! The far end of a link: what it said of itself, and a check of everything that the engine tells it.

use std::collections::BTreeSet;

use swarmreel::ids::LinkId;
use swarmreel::wire::extension::METADATA_BLOCK;
use swarmreel::wire::extension::MetadataMessage;
use swarmreel::wire::{Decoder, Message, Request};

use crate::case::Case;

/// One peer of the engine, as scripted.
#[derive(Debug)]
pub(crate) struct Far {
    pub(crate) link: LinkId,
    hears: Decoder,
    greeted: bool,
    /// It said that it speaks the fast extension.
    pub(crate) fast: bool,
    /// What the engine asked it for and it has not answered.
    pub(crate) asked: Vec<Request>,
    /// Metadata blocks that the engine asked it for.
    pub(crate) metadata_asked: Vec<u32>,
    /// Pieces that it said it has, once at least.
    pub(crate) claimed: Vec<bool>,
    /// Pieces that it may be asked for while it chokes, or all, once it has unchoked.
    pub(crate) allowed: BTreeSet<u32>,
    pub(crate) unchoked: bool,
    /// What it asked the engine for, ever.
    pub(crate) requested: BTreeSet<Request>,
    /// Payload that the engine sent it, bytes.
    pub(crate) received: u64,
}

impl Far {
    pub(crate) fn new(link: LinkId, pieces: u32) -> Self {
        Self {
            link,
            hears: Decoder::new(),
            greeted: false,
            fast: false,
            asked: Vec::new(),
            metadata_asked: Vec::new(),
            claimed: vec![false; pieces as usize],
            allowed: BTreeSet::new(),
            unchoked: false,
            requested: BTreeSet::new(),
            received: 0,
        }
    }

    /// Takes the next bytes from the engine. `verified`: pieces whose hash the engine has seen to be right.
    pub(crate) fn hear(&mut self, bytes: &[u8], case: &Case, verified: &[bool]) {
        let mut decoder = std::mem::take(&mut self.hears);
        let mut rest = bytes;
        while let Some(message) = decoder.next(&mut rest).expect("the engine speaks the protocol") {
            self.check(&message, case, verified);
        }
        self.hears = decoder;
    }

    fn check(&mut self, message: &Message<'_>, case: &Case, verified: &[bool]) {
        let first = !std::mem::replace(&mut self.greeted, true);
        assert_eq!(first, matches!(message, Message::Handshake(_)), "the handshake comes first, once");
        match *message {
            Message::Request(request) => self.check_request(request, case),
            Message::Cancel(request) => self.asked.retain(|asked| *asked != request),
            Message::Piece { piece, begin, data } => {
                let request = Request { piece, begin, length: data.len() as u32 };
                assert!(self.requested.contains(&request), "nobody asked for {request:?}");
                assert!(verified[piece as usize] && case.block(piece, begin, request.length) == Some(data));
                self.received += data.len() as u64;
            }
            Message::Have(piece) | Message::AllowedFast(piece) => assert!(verified[piece as usize]),
            Message::Bitfield(bits) => {
                let says = |piece: usize| bits[piece / 8] & (0x80 >> (piece % 8)) != 0;
                assert!((0..verified.len()).all(|piece| verified[piece] || !says(piece)));
            }
            Message::HaveAll => assert!(verified.iter().all(|verified| *verified)),
            Message::Reject(_) => assert!(self.fast, "rejects are for fast peers"),
            Message::Extended { id, payload } => self.check_extended(id, payload, case),
            _ => {}
        }
    }

    fn check_request(&mut self, request: Request, case: &Case) {
        let Request { piece, begin, length } = request;
        assert!(length > 0 && case.block(piece, begin, length).is_some(), "{request:?} lies within a piece");
        assert!(self.claimed[piece as usize], "the peer never said that it has {piece}");
        assert!(self.unchoked || self.allowed.contains(&piece), "{piece} was never to be had");
        self.asked.push(request);
    }

    /// Under the ids that `session` gives in its greetings: 3 for metadata, 4 for lost pieces.
    fn check_extended(&mut self, id: u8, payload: &[u8], case: &Case) {
        match (id, MetadataMessage::parse(payload)) {
            (3, Some(MetadataMessage::Request { block })) => {
                assert!(block < 1 << 16);
                self.metadata_asked.push(block);
            }
            (3, Some(MetadataMessage::Data { block, data, .. })) => {
                assert_eq!(case.metainfo.info.chunks(METADATA_BLOCK).nth(block as usize), Some(data));
            }
            (3, None) => panic!("unreadable metadata message"),
            _ => {}
        }
    }
}
