//! Clusters → packets.
//!
//! Invariant: packets come out in the file's order, each frame once, with the file's bytes; nothing here knows what
//! they are written to afterwards (WebM now; fragmented MP4 could be another).

use super::block::{self, Block, KEYFRAME};
use super::ebml::{self, Malformed};
use super::ids;
use super::index::Point;
use super::reader::{Element, Reader, Step};

/// Longest block: an 8K key frame fits many times.
const BLOCK_BYTES_MAX: u64 = 32 << 20;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Track number.
    pub(super) track: u64,
    /// Presentation time in ticks.
    pub(super) pts: i64,
    /// How long it lasts in ticks, as far as that is known: from the block, its track, or the block before.
    pub(super) span: i64,
    /// As in `Block`.
    pub(super) flags: u8,
    /// As in `Block`.
    pub(super) side: Vec<u8>,
    /// The frame.
    pub(super) bytes: Vec<u8>,
}

impl Packet {
    /// Whether decoding can start here.
    pub(super) fn is_key(&self) -> bool {
        self.flags & KEYFRAME != 0
    }
}

/// Walks Clusters.
#[derive(Clone, Debug)]
pub(super) struct Demuxer {
    scale: u64,
    end: u64,
    cluster: Option<Cluster>,
    lanes: Vec<Lane>,
}

/// The Cluster that the cursor is in.
#[derive(Clone, Debug)]
struct Cluster {
    at: u64,
    end: Option<u64>,
    ticks: Option<i64>,
}

/// A track that is read, and how its blocks follow one another.
#[derive(Clone, Debug)]
struct Lane {
    number: u64,
    /// Nanoseconds a frame.
    frame: Option<u64>,
    /// The block before: its time in ticks and how many frames it held.
    before: Option<(i64, i64)>,
    /// Ticks a frame, from the last two blocks.
    step: i64,
}

impl Demuxer {
    /// Reads the tracks given as (number, nanoseconds a frame) up to `end`, with `scale` nanoseconds a tick.
    pub(super) fn new(scale: u64, end: u64, tracks: impl Iterator<Item = (u64, Option<u64>)>) -> Self {
        let lane = |(number, frame)| Lane { number, frame, before: None, step: 0 };
        Self { scale, end, cluster: None, lanes: tracks.map(lane).collect() }
    }

    /// The same, to start between Clusters, anywhere in the file.
    pub(super) fn fresh(&self) -> Self {
        Self::new(self.scale, self.end, self.lanes.iter().map(|lane| (lane.number, lane.frame)))
    }

    /// The point to start from for `packet`, which the last step gave.
    pub(super) fn point(&self, packet: &Packet) -> Option<Point> {
        self.cluster.as_ref().map(|cluster| Point { ticks: packet.pts, at: cluster.at })
    }

    /// Reads one element; its frames are added to `out`.
    pub(super) fn step(&mut self, reader: &mut Reader, out: &mut Vec<Packet>) -> Result<Step, Malformed> {
        if self.cluster.as_ref().and_then(|cluster| cluster.end).is_some_and(|end| reader.at() >= end) {
            self.cluster = None;
        }
        if reader.at() >= self.end {
            return Ok(Step::Done);
        }
        let Some(element) = reader.element()? else { return Ok(Step::Starved) };
        let parent_end = match &self.cluster {
            Some(Cluster { end: Some(end), .. }) => Some(*end),
            // A file glued behind this one would start time anew.
            _ if element.id == ids::EBML => return Ok(Step::Done),
            Some(Cluster { end: None, .. }) if ids::is_segment_child(element.id) => {
                self.cluster = None;
                None
            }
            _ => None,
        };
        if parent_end.is_some_and(|parent_end| element.end.is_none_or(|end| end > parent_end)) {
            return Err(Malformed("an element runs past its parent"));
        }
        if self.cluster.is_some() {
            self.in_cluster(reader, &element, out)
        } else if element.id == ids::CLUSTER {
            self.cluster = Some(Cluster { at: element.at, end: element.end, ticks: None });
            reader.jump(element.body);
            Ok(Step::On)
        } else {
            reader.jump(element.known_end()?);
            Ok(Step::On)
        }
    }

    fn in_cluster(&mut self, reader: &mut Reader, element: &Element, out: &mut Vec<Packet>) -> Result<Step, Malformed> {
        if matches!(element.id, ids::TIMESTAMP | ids::SIMPLE_BLOCK | ids::BLOCK_GROUP) {
            let Some(body) = reader.body(element, BLOCK_BYTES_MAX)? else { return Ok(Step::Starved) };
            match element.id {
                ids::TIMESTAMP => self.stamp(ebml::unsigned(body)?)?,
                ids::SIMPLE_BLOCK => self.unpack(block::simple(body)?, out)?,
                _ => block::group(body)?.map_or(Ok(()), |block| self.unpack(block, out))?,
            }
        }
        reader.jump(element.known_end()?);
        Ok(Step::On)
    }

    fn stamp(&mut self, ticks: u64) -> Result<(), Malformed> {
        // Half the range, so that adding what a block says never overflows.
        let ticks = i64::try_from(ticks).ok().filter(|&ticks| ticks < i64::MAX / 2);
        let ticks = ticks.ok_or(Malformed("a Cluster's timestamp is out of range"))?;
        if let Some(cluster) = &mut self.cluster {
            cluster.ticks = Some(ticks);
        }
        Ok(())
    }

    fn unpack(&mut self, block: Block<'_>, out: &mut Vec<Packet>) -> Result<(), Malformed> {
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.number == block.track) else { return Ok(()) };
        let cluster = self.cluster.as_ref().and_then(|cluster| cluster.ticks);
        let start =
            cluster.ok_or(Malformed("a block comes before its Cluster's timestamp"))? + i64::from(block.relative);
        let count = block.frames.len() as i64;
        lane.follow(start, count);
        let mut side = block.side;
        for (i, frame) in (0..).zip(block.frames) {
            let (from, to) = (
                lane.offset(i, count, block.duration, self.scale),
                lane.offset(i + 1, count, block.duration, self.scale),
            );
            let (Some(from), Some(to)) = (from, to) else {
                return Err(Malformed("a block's duration is out of range"));
            };
            let side = if i + 1 == count { std::mem::take(&mut side) } else { Vec::new() };
            let (track, flags) = (block.track, block.flags);
            out.push(Packet { track, pts: start + from, span: to - from, flags, side, bytes: frame.to_vec() });
        }
        Ok(())
    }
}

impl Lane {
    /// Takes note of a block of `count` frames.
    fn follow(&mut self, start: i64, count: i64) {
        if let Some((before, frames)) = self.before.filter(|&(before, _)| start > before) {
            self.step = (start - before) / frames;
        }
        self.before = Some((start, count));
    }

    /// Ticks from the start of a block to its `i`th frame of `count`; `None` if that is out of range.
    fn offset(&self, i: i64, count: i64, duration: Option<u64>, scale: u64) -> Option<i64> {
        let ticks = match (duration, self.frame) {
            (Some(ticks), _) => i128::from(ticks) * i128::from(i) / i128::from(count),
            (None, Some(frame)) => i128::from(frame) * i128::from(i) / i128::from(scale),
            (None, None) => i128::from(self.step) * i128::from(i),
        };
        i64::try_from(ticks).ok().filter(|&ticks| ticks < i64::MAX / 4)
    }
}
