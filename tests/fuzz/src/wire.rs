//! Target 4: the wire's byte stream. However it is cut, the same messages come out, and they are what was put in.

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel::wire::extension::{ExtendedHandshake, MetadataMessage};
use swarmreel::wire::{Decoder, Handshake, Message, WireError};

use crate::heap;
use crate::script::Script;

/// The largest message that is kept while it is incomplete: a bitfield of 2 million pieces (threat-model §1).
const KEPT_MAX: usize = 4 + 1 + 2_000_000 / 8;

/// The first byte says whether a handshake is put before the stream; the next 8 say where it is cut.
pub fn wire_stream(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let shaken = script.flag();
    let cuts = script.take(8);
    let stream = [if shaken { handshake() } else { Vec::new() }, script.rest().to_vec()].concat();
    heap::bounded(stream.len(), || {
        let whole = decode(&mut Decoder::new(), std::iter::once(&stream[..]));
        for chunks in [&cuts.iter().map(|cut| usize::from(*cut)).collect::<Vec<_>>()[..], &[1], &[4096]] {
            assert_eq!(decode(&mut Decoder::new(), Chunks { rest: &stream, sizes: chunks, at: 0 }), whole);
        }
        check_bytes(&stream);
    });
}

fn handshake() -> Vec<u8> {
    let shown = Handshake { info_hash: InfoHash([1; 20]), peer_id: PeerId([2; 20]), extensions: true, fast: true };
    shown.to_bytes()
}

/// Chunks of these sizes, again and again.
struct Chunks<'a> {
    rest: &'a [u8],
    sizes: &'a [usize],
    at: usize,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let size = self.sizes.get(self.at % self.sizes.len().max(1)).map_or(usize::MAX, |size| size + 1);
        self.at += 1;
        let (chunk, rest) = self.rest.split_at(size.min(self.rest.len()));
        self.rest = rest;
        (!chunk.is_empty()).then_some(chunk)
    }
}

/// Fingerprints of the messages, and how the stream ends.
fn decode<'a>(decoder: &mut Decoder, chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<u64>, Result<usize, WireError>) {
    let mut shown = Vec::new();
    for mut chunk in chunks {
        loop {
            match decoder.next(&mut chunk) {
                Ok(Some(message)) => shown.push(fingerprint(&message)),
                Ok(None) => break,
                Err(error) => return (shown, Err(error)),
            }
        }
        assert!(chunk.is_empty(), "what is not kept is read");
        assert!(decoder.kept() <= KEPT_MAX);
    }
    (shown, Ok(decoder.kept()))
}

/// A hash (FNV-1a) of what a message says: printing each would be most of the work.
fn fingerprint(message: &Message<'_>) -> u64 {
    let hash = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    };
    match *message {
        Message::Port => 0,
        Message::Unknown(id) => 1 + u64::from(id),
        _ => hash(&message.to_bytes()),
    }
}

/// Each message, written again, is the bytes it was read from.
fn check_bytes(stream: &[u8]) {
    let mut decoder = Decoder::new();
    let mut rest = stream;
    loop {
        let before = rest;
        let Ok(Some(message)) = decoder.next(&mut rest) else { return };
        let read = &before[..before.len() - rest.len()];
        match message {
            // Reserved bits that we do not know are not kept; these two are never sent.
            Message::Handshake(handshake) => assert_eq!(handshake.to_bytes()[28..], read[28..]),
            Message::Port | Message::Unknown(_) => {}
            _ => assert_eq!(message.to_bytes(), read),
        }
        if let Message::Extended { id, payload } = message {
            check_extended(id, payload);
        }
    }
}

/// What an extended message says, said again, is the same.
fn check_extended(id: u8, payload: &[u8]) {
    let mut theirs = ExtendedHandshake::default();
    if id == 0 && theirs.merge(payload).is_some() {
        let mut again = ExtendedHandshake::default();
        again.merge(&theirs.write()).expect("what we write can be read");
        assert_eq!(again, theirs);
    }
    if let Some(message) = MetadataMessage::parse(payload) {
        let written = message.write();
        assert_eq!(MetadataMessage::parse(&written), Some(message));
    }
}
