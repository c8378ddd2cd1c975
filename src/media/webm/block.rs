//! Blocks (RFC 9559 §10): frames out of a SimpleBlock or a BlockGroup.
//!
//! Invariant: the frames of a laced block lie in it, one behind the other, and none is empty: so a block of n bytes
//! gives fewer than n frames, whatever its lacing claims.

use super::ebml::{self, Malformed};
use super::ids;

/// Flag of a SimpleBlock: decoding can start here.
pub(super) const KEYFRAME: u8 = 0x80;
/// Flags of a block that say how it is laced.
const LACING: u8 = 0x06;

/// One block, borrowed from its element's body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    /// Which track's.
    pub(super) track: u64,
    /// Ticks since the Cluster's timestamp.
    pub(super) relative: i16,
    /// Keyframe, invisible and discardable, as in a SimpleBlock; lacing cleared.
    pub(super) flags: u8,
    /// The frames; never empty.
    pub(super) frames: Vec<&'a [u8]>,
    /// BlockDuration in ticks: of all frames together.
    pub(super) duration: Option<u64>,
    /// Children of the BlockGroup that go where the last frame goes, as they were: ReferenceBlock, DiscardPadding,
    /// BlockAdditions, CodecState, and for a single frame BlockDuration.
    pub(super) side: Vec<u8>,
}

/// Reads the body of a SimpleBlock.
pub(super) fn simple(body: &[u8]) -> Result<Block<'_>, Malformed> {
    let (track, track_len) = ebml::vint(body)?.ok_or(CUT)?;
    let &[high, low, flags, ref data @ ..] = &body[track_len..] else { return Err(CUT) };
    let frames = match flags & LACING {
        0x00 => vec![data],
        0x02 => laced(data, xiph_sizes)?,
        0x04 => laced(data, fixed_sizes)?,
        _ => laced(data, ebml_sizes)?,
    };
    Ok(Block {
        track: track.ok_or(Malformed("a block's track has no number"))?,
        relative: i16::from_be_bytes([high, low]),
        flags: flags & !LACING,
        frames,
        duration: None,
        side: Vec::new(),
    })
}

/// Reads the body of a BlockGroup; `None` if there is no block in it.
pub(super) fn group(body: &[u8]) -> Result<Option<Block<'_>>, Malformed> {
    let (mut block, mut duration, mut keyframe) = (None, None, true);
    for child in ebml::children(body) {
        let child = child?;
        match child.id {
            ids::BLOCK => block = Some(simple(child.body)?),
            ids::BLOCK_DURATION => duration = Some(ebml::unsigned(child.body)?),
            ids::REFERENCE_BLOCK => keyframe = false,
            _ => {}
        }
    }
    let Some(mut block) = block else { return Ok(None) };
    block.flags = block.flags & !KEYFRAME | if keyframe { KEYFRAME } else { 0 };
    block.duration = duration;
    for child in ebml::children(body) {
        let child = child?;
        let keep = match child.id {
            ids::REFERENCE_BLOCK | ids::DISCARD_PADDING | ids::BLOCK_ADDITIONS | ids::CODEC_STATE => true,
            ids::BLOCK_DURATION => block.frames.len() == 1,
            _ => false,
        };
        if keep {
            block.side.extend_from_slice(child.whole);
        }
    }
    Ok(Some(block))
}

const CUT: Malformed = Malformed("a block is cut short");
const LIES: Malformed = Malformed("a block's lacing contradicts its length");

/// The sizes of all frames but the last, and how many bytes they took to say.
type Sizes = Result<(Vec<usize>, usize), Malformed>;

/// Splits laced data: a count less one, then the sizes of all frames but the last, then the frames.
fn laced(data: &[u8], sizes: fn(usize, &[u8]) -> Sizes) -> Result<Vec<&[u8]>, Malformed> {
    let (&last, data) = data.split_first().ok_or(CUT)?;
    let (sizes, used) = sizes(usize::from(last), data)?;
    let mut rest = data.get(used..).ok_or(LIES)?;
    let mut frames = Vec::with_capacity(sizes.len() + 1);
    for size in sizes {
        let (frame, behind) = rest.split_at_checked(size).ok_or(LIES)?;
        frames.push(frame);
        rest = behind;
    }
    frames.push(rest);
    if frames.iter().any(|frame| frame.is_empty()) {
        return Err(LIES);
    }
    Ok(frames)
}

/// Each size as bytes to be summed up, the first below 255 being the last.
fn xiph_sizes(count: usize, data: &[u8]) -> Sizes {
    let (mut sizes, mut used) = (Vec::with_capacity(count), 0);
    while sizes.len() < count {
        let run = data[used..].iter().take_while(|&&byte| byte == 255).count();
        let end = data.get(used + run).ok_or(LIES)?;
        sizes.push(run * 255 + usize::from(*end));
        used += run + 1;
    }
    Ok((sizes, used))
}

/// All the same.
fn fixed_sizes(count: usize, data: &[u8]) -> Sizes {
    let size = data.len() / (count + 1);
    if size * (count + 1) != data.len() {
        return Err(LIES);
    }
    Ok((vec![size; count], 0))
}

/// The first as a vint, the others as differences to the one before, with a bias that makes them signed.
fn ebml_sizes(count: usize, data: &[u8]) -> Sizes {
    let (mut sizes, mut used, mut size) = (Vec::with_capacity(count), 0, 0_i64);
    while sizes.len() < count {
        let (value, len) = ebml::vint(&data[used..])?.ok_or(LIES)?;
        let value = value.ok_or(LIES)? as i64;
        let bias = if sizes.is_empty() { 0 } else { (1 << (7 * len - 1)) - 1 };
        size = size.checked_add(value - bias).ok_or(LIES)?;
        sizes.push(usize::try_from(size).map_err(|_| LIES)?);
        used += len;
    }
    Ok((sizes, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(flags: u8, data: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
        let body: Vec<u8> = [0x81, 0xFF, 0xFE, flags].iter().chain(data).copied().collect();
        simple(&body).map(|block| block.frames.iter().map(|frame| frame.to_vec()).collect())
    }

    #[test]
    fn a_simple_block() {
        let block = simple(&[0x40, 0x02, 0x00, 0x05, 0x80, 7, 8]).expect("well formed");
        assert_eq!((block.track, block.relative, block.flags), (2, 5, KEYFRAME));
        assert_eq!(block.frames, [[7, 8]]);
        assert_eq!(simple(&[0x81, 0, 0]), Err(CUT));
        assert!(simple(&[0xFF, 0, 0, 0, 1]).is_err());
    }

    #[test]
    fn xiph_lacing() {
        let mut data = vec![2, 255, 1, 2];
        data.extend([9; 256]);
        data.extend([1, 2, 3, 4, 5]);
        assert_eq!(frames(0x02, &data), Ok(vec![vec![9; 256], vec![1, 2], vec![3, 4, 5]]));
        assert_eq!(frames(0x02, &[1, 255]), Err(LIES));
        assert_eq!(frames(0x02, &[1, 2, 7, 7]), Err(LIES), "nothing is left for the last frame");
    }

    #[test]
    fn fixed_lacing() {
        assert_eq!(frames(0x04, &[2, 1, 2, 3, 4, 5, 6]), Ok(vec![vec![1, 2], vec![3, 4], vec![5, 6]]));
        assert_eq!(frames(0x04, &[2, 1, 2, 3, 4]), Err(LIES));
        assert_eq!(frames(0x04, &[255]), Err(LIES));
    }

    #[test]
    fn ebml_lacing() {
        // 3, then −1 (0xBE is 62 − 63), then what is left.
        assert_eq!(frames(0x06, &[2, 0x83, 0xBE, 1, 2, 3, 4, 5, 6]), Ok(vec![vec![1, 2, 3], vec![4, 5], vec![6]]));
        assert_eq!(frames(0x06, &[2, 0x83, 0x80, 1, 2, 3, 4]), Err(LIES), "a negative size");
        let huge = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE];
        assert_eq!(frames(0x06, &[&[1], &huge[..], &[1]].concat()), Err(LIES));
    }

    #[test]
    fn a_group_keeps_what_belongs_to_its_frame() {
        let body =
            [&[0xA1, 0x85, 0x81, 0, 0, 0, 7][..], &[0x9B, 0x81, 20], &[0xFB, 0x81, 0xFE], &[0xEC, 0x80]].concat();
        let block = group(&body).expect("well formed").expect("has a block");
        assert_eq!((block.flags, block.duration), (0, Some(20)));
        assert_eq!(block.side, [0x9B, 0x81, 20, 0xFB, 0x81, 0xFE]);
        assert_eq!(group(&[0xEC, 0x80]), Ok(None));
    }
}
