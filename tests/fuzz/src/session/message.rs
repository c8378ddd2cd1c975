//! What a scripted peer says next: any message of the protocol, sensible or not.

use swarmreel::ids::PeerId;
use swarmreel::wire::extension::{ExtendedHandshake, METADATA_BLOCK, MetadataMessage};
use swarmreel::wire::{Handshake, Message, Request};

use crate::case::Case;
use crate::far::Far;
use crate::script::Script;

/// The first words of a peer: mostly a handshake, mostly of this swarm.
pub(super) fn handshake(script: &mut Script<'_>, far: &mut Far, case: &Case, peer_id: PeerId) -> Vec<u8> {
    let flags = script.byte();
    far.fast |= flags & 1 == 0;
    let mut info_hash = case.metainfo.info_hash;
    info_hash.0[0] ^= u8::from(flags & 0xf0 == 0xf0);
    Handshake { info_hash, peer_id, extensions: flags & 2 == 0, fast: flags & 1 == 0 }.to_bytes()
}

/// The peer's next message.
pub(super) fn next(script: &mut Script<'_>, far: &mut Far, case: &Case) -> Vec<u8> {
    let choice = script.below(20);
    let piece = index(script, case);
    let message = match choice {
        0 => Message::Choke,
        1 => {
            far.unchoked = true;
            Message::Unchoke
        }
        2 => Message::Interested,
        3 => Message::NotInterested,
        4 => {
            claim(far, piece);
            Message::Have(piece)
        }
        5 => return bitfield(script, far, case),
        6 => {
            far.claimed.fill(true);
            Message::HaveAll
        }
        7 => Message::HaveNone,
        8 | 9 => {
            let request = request(script, case, piece);
            far.requested.insert(request);
            Message::Request(request)
        }
        10 => Message::Cancel(far.requested.first().copied().unwrap_or(request(script, case, piece))),
        11 => return unasked(script, case, piece),
        12 => {
            let asked = (!far.asked.is_empty()).then(|| far.asked.remove(0));
            Message::Reject(asked.unwrap_or(request(script, case, piece)))
        }
        13 => Message::Suggest(piece),
        14 => {
            far.allowed.insert(piece);
            Message::AllowedFast(piece)
        }
        15 => return greeting(script, case),
        16 | 17 => return metadata(script, far, case),
        18 => return Message::Extended { id: 2, payload: &piece.to_be_bytes() }.to_bytes(),
        _ => return [&[0, 0, 0, 3, script.byte()][..], &[1, 2]].concat(),
    };
    message.to_bytes()
}

/// A piece of the torrent, or seldom one beyond.
fn index(script: &mut Script<'_>, case: &Case) -> u32 {
    match script.byte() {
        255 => u32::MAX,
        byte => u32::from(byte) % (case.pieces() + u32::from(byte > 240)),
    }
}

fn claim(far: &mut Far, piece: u32) {
    if let Some(claimed) = far.claimed.get_mut(piece as usize) {
        *claimed = true;
    }
}

fn bitfield(script: &mut Script<'_>, far: &mut Far, case: &Case) -> Vec<u8> {
    let count = case.pieces() as usize;
    let mut bits = vec![0; count.div_ceil(8)];
    bits.iter_mut().for_each(|byte| *byte = script.byte());
    let spare_bits = bits.len() * 8 - count;
    if script.below(8) > 0 {
        bits.last_mut().into_iter().for_each(|last| *last = *last >> spare_bits << spare_bits);
    }
    (0..count).filter(|piece| bits[piece / 8] & (0x80 >> (piece % 8)) != 0).for_each(|piece| claim(far, piece as u32));
    Message::Bitfield(&bits).to_bytes()
}

/// Mostly a block or a part of one.
fn request(script: &mut Script<'_>, case: &Case, piece: u32) -> Request {
    let size = case.metainfo.piece_size(piece.min(case.pieces()));
    let length = size.min(16_384);
    match script.below(8) {
        0 => Request { piece, begin: 16_384, length: size.saturating_sub(16_384) },
        1 => Request { piece, begin: u32::from(script.byte()), length: u32::from(script.byte()) },
        2 => Request { piece, begin: script.u32(), length: script.u32() },
        _ => Request { piece, begin: 0, length },
    }
}

/// A block that nobody asked for, right or wrong.
fn unasked(script: &mut Script<'_>, case: &Case, piece: u32) -> Vec<u8> {
    let Request { begin, length, .. } = request(script, case, piece);
    let data = case.block(piece, begin, length).unwrap_or(&[1, 2, 3]);
    Message::Piece { piece, begin, data }.to_bytes()
}

fn greeting(script: &mut Script<'_>, case: &Case) -> Vec<u8> {
    let flags = script.byte();
    let size = case.metainfo.info.len() as u64;
    let greeting = ExtendedHandshake {
        ut_metadata: if flags & 1 == 0 { 3 } else { 0 },
        lt_donthave: if flags & 2 == 0 { 4 } else { 0 },
        metadata_size: [Some(size), Some(size), None, Some(u64::from(script.u16()))][usize::from(flags >> 2 & 3)],
        request_queue: [None, Some(1), Some(2), Some(1000)][usize::from(flags >> 4 & 3)],
        client: (flags & 64 == 0).then(|| "Swarmreel 9".to_owned()),
        upload_only: (flags & 128 != 0).then_some(flags & 1 == 0),
    };
    Message::Extended { id: 0, payload: &greeting.write() }.to_bytes()
}

/// An honest answer to a request for metadata, or a lie, or a request.
fn metadata(script: &mut Script<'_>, far: &mut Far, case: &Case) -> Vec<u8> {
    let info = &case.metainfo.info;
    let block = if far.metadata_asked.is_empty() { 0 } else { far.metadata_asked.remove(0) };
    let flags = script.byte();
    let mut data = info.chunks(METADATA_BLOCK).nth(block as usize).unwrap_or_default().to_vec();
    let payload = match flags & 7 {
        0 => MetadataMessage::Request { block: u32::from(flags >> 3) }.write(),
        1 => MetadataMessage::Reject { block }.write(),
        2 => {
            data.first_mut().into_iter().for_each(|byte| *byte ^= 1);
            MetadataMessage::Data { block, data: &data, total: info.len() as u64 }.write()
        }
        3 => MetadataMessage::Data { block, data: script.take(8), total: 8 }.write(),
        _ => MetadataMessage::Data { block, data: &data, total: info.len() as u64 }.write(),
    };
    Message::Extended { id: 1, payload: &payload }.to_bytes()
}
