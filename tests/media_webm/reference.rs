//! A second, simple reading of WebM, of whole well-formed files only: what the module under test is compared with.

use std::ops::Range;

/// A frame and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) track: u64,
    pub(crate) ticks: i64,
    pub(crate) key: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) duration: Option<u64>,
    /// DiscardPadding and BlockAdditions, whole elements.
    pub(crate) side: Vec<u8>,
}

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) scale: u64,
    pub(crate) duration: Option<f64>,
    /// Number and codec.
    pub(crate) tracks: Vec<(u64, String)>,
    pub(crate) frames: Vec<Frame>,
    /// Offset of each Cluster, and the index of its first frame.
    pub(crate) clusters: Vec<(usize, usize)>,
    /// Times in the Cues.
    pub(crate) cues: Vec<i64>,
}

impl File {
    pub(crate) fn of_track(&self, track: u64) -> Vec<Frame> {
        self.frames.iter().filter(|frame| frame.track == track).cloned().collect()
    }
}

const CLUSTER: u32 = 0x1F43_B675;
const CUES: u32 = 0x1C53_BB6B;

/// ID, body and offset of each element in `range`. One of unknown size reaches to the end of the range, a Cluster to
/// the next one or to Cues.
pub(crate) fn elements(file: &[u8], range: Range<usize>) -> Vec<(u32, Range<usize>, usize)> {
    let (mut at, mut out) = (range.start, Vec::new());
    while at < range.end {
        let (id, body, size) = head(file, at);
        let end = match size {
            Some(size) => body + size,
            None if id == CLUSTER => {
                let mut end = body;
                while end < range.end && ![CLUSTER, CUES].contains(&head(file, end).0) {
                    let (_, body, size) = head(file, end);
                    end = body + size.expect("a size inside a Cluster");
                }
                end
            }
            None => range.end,
        };
        assert!(end <= range.end, "element {id:X} at {at} runs past its parent");
        out.push((id, body..end, at));
        at = end;
    }
    out
}

/// ID, offset of the body, and size of the element at `at`.
fn head(file: &[u8], at: usize) -> (u32, usize, Option<usize>) {
    let size_at = at + file[at].leading_zeros() as usize + 1;
    let body = size_at + file[size_at].leading_zeros() as usize + 1;
    let unknown = (1 << (7 * (body - size_at))) - 1;
    let size = number(&file[size_at..body]) & unknown;
    (number(&file[at..size_at]) as u32, body, (size != unknown).then_some(size as usize))
}

pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn child(file: &[u8], parent: &Range<usize>, id: u32) -> Option<Range<usize>> {
    elements(file, parent.clone()).into_iter().find(|element| element.0 == id).map(|element| element.1)
}

pub(crate) fn read(bytes: &[u8]) -> File {
    let mut file = File { scale: 1_000_000, ..File::default() };
    let segment = child(bytes, &(0..bytes.len()), 0x1853_8067).expect("a Segment");
    for (id, body, at) in elements(bytes, segment) {
        match id {
            0x1549_A966 => {
                let scale = child(bytes, &body, 0x2A_D7B1).map(|scale| number(&bytes[scale]));
                file.scale = scale.unwrap_or(file.scale);
                let duration = child(bytes, &body, 0x4489).map(|duration| bytes[duration].to_vec());
                file.duration = duration.map(|bytes| f64::from_be_bytes(bytes.try_into().expect("8 bytes")));
            }
            0x1654_AE6B => {
                for (_, entry, _) in elements(bytes, body).into_iter().filter(|element| element.0 == 0xAE) {
                    let track = number(&bytes[child(bytes, &entry, 0xD7).expect("a TrackNumber")]);
                    let codec = &bytes[child(bytes, &entry, 0x86).expect("a CodecID")];
                    file.tracks.push((track, String::from_utf8_lossy(codec).into_owned()));
                }
            }
            CLUSTER => {
                file.clusters.push((at, file.frames.len()));
                cluster(bytes, body, &mut file.frames);
            }
            CUES => {
                for (_, point, _) in elements(bytes, body).into_iter().filter(|element| element.0 == 0xBB) {
                    file.cues.push(number(&bytes[child(bytes, &point, 0xB3).expect("a CueTime")]) as i64);
                }
            }
            _ => {}
        }
    }
    file
}

fn cluster(file: &[u8], body: Range<usize>, frames: &mut Vec<Frame>) {
    let mut start = None;
    for (id, body, _) in elements(file, body) {
        match id {
            0xE7 => start = Some(number(&file[body]) as i64),
            0xA3 => frames.push(block(&file[body], start.expect("a timestamp before the first block"))),
            0xA0 => {
                let block_body = child(file, &body, 0xA1).expect("a block in the group");
                let mut frame = block(&file[block_body], start.expect("a timestamp before the first block"));
                frame.key = child(file, &body, 0xFB).is_none();
                frame.duration = child(file, &body, 0x9B).map(|duration| number(&file[duration]));
                for (id, body, at) in elements(file, body) {
                    if id == 0x75A1 || id == 0x75A2 {
                        frame.side.extend_from_slice(&file[at..body.end]);
                    }
                }
                frames.push(frame);
            }
            _ => {}
        }
    }
}

fn block(body: &[u8], start: i64) -> Frame {
    assert!(body[0] & 0x80 != 0 && body[3] & 0x06 == 0, "a small track number, no lacing");
    let ticks = start + i64::from(i16::from_be_bytes([body[1], body[2]]));
    let (track, key) = (u64::from(body[0] & 0x7F), body[3] & 0x80 != 0);
    Frame { track, ticks, key, bytes: body[4..].to_vec(), duration: None, side: Vec::new() }
}
