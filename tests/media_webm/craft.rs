//! WebM files made by hand.

/// An element with its size in as few bytes as it fits.
pub(crate) fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let len = (1..8).find(|len| (body.len() as u64) < (1 << (7 * len)) - 1).unwrap_or(8);
    let size = body.len() as u64 | 1 << (7 * len);
    [&head(id)[..], &size.to_be_bytes()[8 - len..], body].concat()
}

/// A master element of unknown size.
pub(crate) fn unsized_element(id: u32, body: &[u8]) -> Vec<u8> {
    [&head(id)[..], &[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], body].concat()
}

pub(crate) fn unsigned(id: u32, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn head(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect()
}

pub(crate) fn ebml(doc_type: &str) -> Vec<u8> {
    element(0x1A45_DFA3, &element(0x4282, doc_type.as_bytes()))
}

/// Tracks with VP8 video as 1 and Opus sound as 2; `extra` goes into the latter's TrackEntry.
pub(crate) fn tracks(extra: &[u8]) -> Vec<u8> {
    let video = [unsigned(0xD7, 1), unsigned(0x83, 1), element(0x86, b"V_VP8")].concat();
    let audio = [unsigned(0xD7, 2), unsigned(0x83, 2), element(0x86, b"A_OPUS"), extra.to_vec()].concat();
    element(0x1654_AE6B, &[element(0xAE, &video), element(0xAE, &audio)].concat())
}

/// A SimpleBlock; `flags` as in the format.
pub(crate) fn block(track: u8, relative: i16, flags: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = relative.to_be_bytes();
    element(0xA3, &[&[0x80 | track, high, low, flags][..], data].concat())
}

/// The body of a Cluster.
pub(crate) fn cluster(ticks: u64, blocks: &[Vec<u8>]) -> Vec<u8> {
    [unsigned(0xE7, ticks), blocks.concat()].concat()
}

/// A whole file of these parts of a Segment.
pub(crate) fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    [ebml("webm"), element(0x1853_8067, &parts.concat())].concat()
}
