//! Where a fragmented file's fragments are: from a `sidx`, an `mfra`, or those seen on the way.
//!
//! Invariant: points are sorted by place, and what they say about time is a hint: a seek looks at the fragments
//! themselves before it starts one.

use super::boxes::{Atom, Reader, children};
use super::{MediaError, nanos};

/// A place where a fragment (or a further `sidx`) begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Offset in the file.
    pub(super) at: u64,
    /// When its first sample is presented, about; nanoseconds.
    pub(super) time: i64,
}

/// The known points of a file.
#[derive(Debug, Default)]
pub(super) struct Index {
    points: Vec<Point>,
    /// The file's own index is in it, so that there is little to find out by looking.
    pub(super) complete: bool,
    /// The file's own index has been seen to be wrong.
    pub(super) distrusted: bool,
    /// Length of the presentation, where a `sidx` says so; nanoseconds.
    pub(super) duration: Option<i64>,
}

impl Index {
    /// Forgets every point: the file's own index has been seen to be wrong.
    pub(super) fn distrust(&mut self) {
        *self = Index { distrusted: true, duration: self.duration, ..Index::default() };
    }

    /// Adds a point, unless its place is known.
    pub(super) fn add(&mut self, point: Point) {
        if let Err(at) = self.points.binary_search_by_key(&point.at, |known| known.at) {
            self.points.insert(at, point);
        }
    }

    fn add_all(&mut self, points: Vec<Point>) {
        self.points.extend(points);
        self.points.sort_by_key(|point| point.at);
        self.points.dedup_by_key(|point| point.at);
    }

    /// The last point at or before a time.
    pub(super) fn before(&self, time: i64) -> Option<Point> {
        self.points.iter().rev().find(|point| point.time <= time).copied()
    }

    /// The first point after a time.
    pub(super) fn after(&self, time: i64) -> Option<Point> {
        self.points.iter().find(|point| point.time > time).copied()
    }

    /// The `steps`-th point before a place, or the first of all.
    pub(super) fn back(&self, at: u64, steps: usize) -> Option<Point> {
        let here = self.points.partition_point(|point| point.at < at);
        self.points.get(here.saturating_sub(steps)).filter(|point| point.at < at).copied()
    }

    /// Takes the references of a `sidx` that ends at `end` in the file (ISO/IEC 14496-12 §8.16.3).
    ///
    /// # Errors
    /// It claims more than it holds, or points nowhere.
    pub(super) fn read_sidx(&mut self, sidx: &Atom<'_>, end: u64) -> Result<(), MediaError> {
        const NOWHERE: MediaError = MediaError::Broken("an index that points nowhere");
        let (version, _, mut reader) = sidx.full()?;
        reader.u32()?; // of which track
        let timescale = reader.u32()?;
        let mut ticks = i64::try_from(reader.versioned(version)?).map_err(|_| NOWHERE)?;
        let mut at = end.checked_add(reader.versioned(version)?).ok_or(NOWHERE)?;
        reader.u16()?;
        let count = reader.u16()?;
        let mut points = Vec::new();
        for _ in 0..count {
            // 0x8000_0000 would say that a further `sidx` is there, not a fragment: that shows when it is read.
            let (size, duration) = (reader.u32()? & 0x7FFF_FFFF, reader.u32()?);
            reader.u32()?; // whether it starts with a sync sample
            points.push(Point { at, time: nanos(ticks, timescale) });
            at = at.checked_add(u64::from(size)).ok_or(NOWHERE)?;
            ticks = ticks.checked_add(i64::from(duration)).ok_or(NOWHERE)?;
        }
        self.add_all(points);
        self.complete = true;
        self.duration = self.duration.max(Some(nanos(ticks, timescale)));
        Ok(())
    }

    /// Takes the points of an `mfra`'s body (ISO/IEC 14496-12 §8.8.9): those of the track `wanted`, if it has any.
    /// `clock` gives a track's time in nanoseconds.
    ///
    /// # Errors
    /// It claims more than it holds.
    pub(super) fn read_mfra(&mut self, mfra: &[u8], wanted: u32, clock: impl Fn(i64) -> i64) -> Result<(), MediaError> {
        for atom in children(mfra) {
            let atom = atom?;
            if atom.kind == *b"tfra" {
                let (track, points) = tfra(&atom, &clock)?;
                if track == wanted && !points.is_empty() {
                    self.add_all(points);
                    self.complete = true;
                }
            }
        }
        Ok(())
    }
}

fn tfra(atom: &Atom<'_>, clock: impl Fn(i64) -> i64) -> Result<(u32, Vec<Point>), MediaError> {
    let (version, _, mut reader) = atom.full()?;
    let (track, widths, count) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let numbers = [widths >> 4, widths >> 2, widths].map(|width| (width & 3) as usize + 1).iter().sum();
    let mut points = Vec::new();
    for _ in 0..count {
        let (time, at) = (reader.versioned(version)?, reader.versioned(version)?);
        reader.take(numbers)?;
        points.push(Point { at, time: clock(i64::try_from(time).unwrap_or(i64::MAX)) });
    }
    Ok((track, points))
}

/// Bytes of an `mfro`, which ends a file that ends in an `mfra`.
pub(super) const MFRO_BYTES: u64 = 16;

/// How large the `mfra` is, if these are the last bytes of a file that ends in one.
pub(super) fn mfra_bytes(tail: &[u8]) -> Option<u64> {
    let mut reader = Reader(tail.strip_prefix(b"\0\0\0\x10mfro\0\0\0\0")?);
    reader.u32().ok().map(u64::from)
}

/// Bytes of a fragment's beginning that `find_moof` must see to know it.
pub(super) const MOOF_MARK_BYTES: usize = 16;

/// Where a `moof` begins in bytes from the middle of a file, by its type and that of its first child.
pub(super) fn find_moof(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MOOF_MARK_BYTES).position(|mark| {
        &mark[4..8] == b"moof"
            && mark[8..] == *b"\0\0\0\x10mfhd"
            && u32::from_be_bytes([mark[0], mark[1], mark[2], mark[3]]) >= 24
    })
}
