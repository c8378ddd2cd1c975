//! One chosen track's samples in order, wherever the file keeps them, on the timeline of the presentation.
//!
//! Invariant: a lane never goes back by itself, and never gives a sample that lies outside the file.

use std::collections::VecDeque;

use super::fragment::{Defaults, TrackRuns};
use super::table::{Cursor, SampleTable};
use super::{Kind, Sample, nanos};

/// Bytes of a sample at most: a key frame of 8K video at the highest quality is below 16 MiB.
const SAMPLE_BYTES_MAX: u32 = 64 << 20;

/// How much earlier than wanted sound starts, nanoseconds: a decoder's first packets only prepare the next ones (Opus
/// wants 80 ms, AAC up to about 120 ms).
const PREROLL_NANOS: i64 = 200_000_000;

/// A track.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) track: u32,
    pub(super) kind: Kind,
    timing: Timing,
    pub(super) defaults: Defaults,
    /// Bytes of the file.
    length: u64,
    /// The samples in the movie's tables come first: none, in most fragmented files.
    table: SampleTable,
    cursor: Cursor,
    /// Then those of the current fragment.
    fragment: TrackRuns,
    /// Samples that have been looked at before their turn.
    ahead: VecDeque<Sample>,
}

/// A track's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Ticks per second, not zero.
    pub(super) timescale: u32,
    pub(super) edit: Edit,
}

/// What a track's edit list says: the presentation shows nothing for `delay`, and then the media from `media_time`
/// on. Both in ticks of the media, from 0 to `TICKS_MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) delay: i64,
    pub(super) media_time: i64,
}

impl Edit {
    /// From the media's time to the presentation's.
    fn shift(self) -> i64 {
        self.delay - self.media_time
    }
}

impl Lane {
    /// A track of a file of `length` bytes, at the first sample of the movie's tables.
    pub(super) fn new(track: u32, kind: Kind, timing: Timing, table: SampleTable, length: u64) -> Self {
        let fragment = TrackRuns::none(table.ticks());
        let (cursor, defaults) = (table.cursor(0), Defaults::default());
        Lane { track, kind, timing, defaults, length, table, cursor, fragment, ahead: VecDeque::new() }
    }

    /// The next sample.
    pub(super) fn peek(&mut self) -> Option<Sample> {
        self.look(0)
    }

    /// The sample that comes after `others` others, as far as the movie's tables and the current fragment tell.
    pub(super) fn look(&mut self, others: usize) -> Option<Sample> {
        while self.ahead.len() <= others {
            let sample = self.pull()?;
            self.ahead.push_back(sample);
        }
        self.ahead.get(others).copied()
    }

    /// Steps over the next sample.
    pub(super) fn advance(&mut self) {
        self.look(0);
        self.ahead.pop_front();
    }

    /// Takes a sample out of the tables or the fragment. One that lies outside the file is the end of them.
    fn pull(&mut self) -> Option<Sample> {
        let sample = match self.table.sample(&mut self.cursor) {
            Some(sample) => {
                self.table.advance(&mut self.cursor, &sample);
                sample
            }
            None => self.fragment.next()?,
        };
        let inside = sample.offset.checked_add(u64::from(sample.size)).is_some_and(|end| end <= self.length);
        if inside && sample.size <= SAMPLE_BYTES_MAX {
            return Some(sample);
        }
        self.cursor = self.table.cursor(self.table.count());
        self.fragment = TrackRuns::none(self.fragment.end);
        None
    }

    /// Steps over the samples up to one that is wanted.
    pub(super) fn skip_until(&mut self, wanted: impl Fn(&Lane, &Sample) -> bool) {
        while self.peek().is_some_and(|sample| !wanted(self, &sample)) {
            self.advance();
        }
    }

    /// Goes to a sample of the movie's tables, and forgets the fragment.
    fn rewind(&mut self, sample: u32) {
        self.cursor = self.table.cursor(sample);
        self.fragment = TrackRuns::none(self.table.ticks());
        self.ahead.clear();
    }

    /// Goes to the last sample of the movie's tables from which what is presented at a time in nanoseconds can be
    /// decoded.
    pub(super) fn rewind_to(&mut self, at: i64) {
        self.rewind(self.table.sync_at(self.ticks_at(self.decoding_start(at))));
    }

    /// Goes behind the samples of the movie's tables: only fragments give samples from now on.
    pub(super) fn leave_tables(&mut self) {
        self.rewind(self.table.count());
    }

    /// Takes what a fragment holds of this track.
    pub(super) fn take(&mut self, fragment: TrackRuns) {
        self.fragment.append(fragment);
    }

    /// Where the sample is from which decoding for a time in nanoseconds starts, in the movie's tables.
    pub(super) fn byte_at(&self, at: i64) -> Option<u64> {
        let mut cursor = self.table.cursor(self.table.sync_at(self.ticks_at(self.decoding_start(at))));
        self.table.sample(&mut cursor).map(|sample| sample.offset)
    }

    /// Until when the movie's tables reach, in nanoseconds of the presentation.
    pub(super) fn tables_end(&self) -> i64 {
        let first = self.table.sample(&mut self.table.cursor(0)).map_or(0, |sample| i64::from(sample.composition));
        self.nanos(self.table.ticks().saturating_add(first))
    }

    /// When the current fragment's part ends, in ticks of the media: where a fragment goes on that doesn't say.
    pub(super) fn fragment_end(&self) -> i64 {
        self.fragment.end
    }

    /// When decoding must start for what is presented at a time, nanoseconds.
    pub(super) fn decoding_start(&self, at: i64) -> i64 {
        match self.kind {
            Kind::Video => at,
            Kind::Audio => at.saturating_sub(PREROLL_NANOS),
        }
    }

    /// When a sample is decoded, in nanoseconds of the presentation; may be below zero.
    pub(super) fn dts(&self, sample: &Sample) -> i64 {
        self.nanos(sample.dts)
    }

    /// When a sample is presented, in nanoseconds; may be below zero.
    pub(super) fn pts(&self, sample: &Sample) -> i64 {
        self.nanos(sample.dts.saturating_add(i64::from(sample.composition)))
    }

    /// When a sample has been presented, in nanoseconds.
    pub(super) fn pts_end(&self, sample: &Sample) -> i64 {
        self.nanos(sample.dts.saturating_add(i64::from(sample.composition)).saturating_add(i64::from(sample.duration)))
    }

    /// When a sample is decoded, in ticks of the media, delayed as the edit list says.
    pub(super) fn delayed_dts(&self, sample: &Sample) -> i64 {
        sample.dts.saturating_add(self.timing.edit.delay)
    }

    /// From ticks of the media to nanoseconds of the presentation.
    pub(super) fn nanos(&self, ticks: i64) -> i64 {
        nanos(ticks.saturating_add(self.timing.edit.shift()), self.timing.timescale)
    }

    /// From nanoseconds of the presentation to the nearest tick of the media. Not the one before: players round a
    /// sample's time down to microseconds and still mean that sample.
    fn ticks_at(&self, at: i64) -> i64 {
        let ticks = (i128::from(at) * i128::from(self.timing.timescale) + 500_000_000) / 1_000_000_000;
        (ticks - i128::from(self.timing.edit.shift())).clamp(0, i128::from(i64::MAX)) as i64
    }
}
