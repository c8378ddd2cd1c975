//! Sample descriptions as browsers want them: ISO's, not QuickTime's.
//!
//! Invariant: an `stsd` without QuickTime sound is passed on as it is, byte for byte.

use super::boxes::{Atom, Reader, children, find};
use super::{Kind, MediaError};

/// Bytes of an ISO audio description before its boxes.
pub(super) const AUDIO_BYTES: usize = 28;
/// Bytes of a video description before its boxes.
pub(super) const VIDEO_BYTES: usize = 78;

/// The whole `stsd`, its QuickTime sound descriptions turned into ISO's.
///
/// # Errors
/// It is cut off.
pub(super) fn normalised(stsd: &Atom<'_>, kind: Kind) -> Result<Vec<u8>, MediaError> {
    let (_, _, mut reader) = stsd.full()?;
    let count = reader.u32()?;
    let entries = children(reader.0).collect::<Result<Vec<_>, _>>()?;
    if kind == Kind::Video || !entries.iter().any(|entry| quicktime_bytes(entry.body).is_some()) {
        return Ok(stsd.whole.to_vec());
    }
    let mut body = [&stsd.body[..4], &count.to_be_bytes()].concat();
    for entry in &entries {
        match quicktime_bytes(entry.body) {
            Some(bytes) => boxed(&mut body, entry, &sound(entry.body, bytes)?),
            None => body.extend(entry.whole),
        }
    }
    let mut whole = Vec::new();
    boxed(&mut whole, stsd, &body);
    Ok(whole)
}

fn boxed(out: &mut Vec<u8>, like: &Atom<'_>, body: &[u8]) {
    out.extend((body.len() as u32 + 8).to_be_bytes());
    out.extend(like.kind);
    out.extend(body);
}

/// How long the head of a QuickTime sound description is (QuickTime File Format, Sound Sample Descriptions); `None`
/// for ISO's, which has a version 1 of its own with boxes where QuickTime has further fields.
fn quicktime_bytes(body: &[u8]) -> Option<usize> {
    let boxes = |at: usize| body.get(at..).is_some_and(|rest| children(rest).all(|child| child.is_ok()));
    match body.get(8..10)? {
        [0, 1] if !boxes(AUDIO_BYTES) && boxes(AUDIO_BYTES + 16) => Some(AUDIO_BYTES + 16),
        [0, 2] => Some(AUDIO_BYTES + 36),
        _ => None,
    }
}

/// The ISO description of a QuickTime one whose head has `bytes` bytes: what its `wave` holds moves up.
fn sound(body: &[u8], bytes: usize) -> Result<Vec<u8>, MediaError> {
    const CUT: MediaError = MediaError::Broken("a sound description is cut off");
    let (head, boxes) = body.split_at_checked(bytes).ok_or(CUT)?;
    let (mut channels, mut rate) = ([head[16], head[17]], [head[24], head[25], head[26], head[27]]);
    if let Some(fields) = head.get(32..44).filter(|_| head[9] == 2) {
        // Version 2 has a 64-bit float of samples per second, and 32 bits of channels.
        let mut reader = Reader(fields);
        let samples = f64::from_bits(reader.u64()?);
        rate = ((samples.clamp(0.0, 65_535.0) as u32) << 16).to_be_bytes();
        channels = (reader.u32()? as u16).to_be_bytes();
    }
    let mut out = [&head[..8], &[0; 8], &channels, &[0, 16, 0, 0, 0, 0], &rate].concat();
    for child in children(boxes) {
        let child = child?;
        if child.kind != *b"wave" {
            out.extend(child.whole);
        } else if let Some(esds) = find(child.body, b"esds")? {
            out.extend(esds.whole);
        }
    }
    Ok(out)
}
