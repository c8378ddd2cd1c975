//! A fragmented file's walk: from one `moof` to the next, and on a seek to the right one.
//!
//! Invariant: playing goes forward only, and so does each walk of a seek. A seek that has to step back steps back
//! to a smaller offset each time, and a bisection's range shrinks with each probe: all of them end.

use std::ops::Range;

use super::boxes::{self, HEADER_BYTES_MAX, children};
use super::fragment::{self, TrackRuns};
use super::index::{self, Index, MFRO_BYTES, MOOF_MARK_BYTES, Point};
use super::lane::Lane;
use super::{INDEX_BYTES_MAX, MediaError};

/// Bytes that are read at once where a fragment is looked for.
const PROBE_BYTES: u64 = 64 << 10;
/// A range up to this many bytes is walked, not bisected further.
const WALK_BYTES: u64 = 2 << 20;
/// Bytes at the end of the file in which the last fragment is looked for, to know how long the file plays.
const LAST_FRAGMENT_BYTES: u64 = 4 << 20;
/// Players round times to microseconds.
const ROUNDING_NANOS: i64 = 1_000;

/// The fragments of one file.
#[derive(Debug)]
pub(super) struct Fragments {
    /// Bytes of the file.
    length: u64,
    /// Where the first box behind the `moov` begins.
    start: u64,
    index: Index,
    /// The end of the file has been looked at, so `index` has what an `mfra` says.
    tail_read: bool,
    /// When the last fragment ends, if that was looked up; nanoseconds.
    measured: Option<i64>,
    purpose: Purpose,
    stage: Stage,
}

/// What the fragments are read for.
#[derive(Debug)]
enum Purpose {
    /// Their samples go to the lanes; those before this time (nanoseconds) are left out at first.
    Play { from: Option<i64> },
    /// The one is wanted where decoding for a time starts.
    Seek(Hunt),
    /// The end of the last one is wanted: the file doesn't say how long it plays.
    Measure,
}

/// What is read next.
#[derive(Debug)]
enum Stage {
    /// The header of the box that begins here.
    Header(u64),
    Sidx(Range<u64>),
    Moof(Range<u64>),
    /// The last bytes of the file, which say whether it ends in an `mfra`.
    Tail,
    Mfra(Range<u64>),
    /// Bytes that may hold the beginning of a `moof`.
    Probe(Range<u64>),
    End,
}

/// A seek under way.
#[derive(Debug)]
struct Hunt {
    /// Nanoseconds.
    target: i64,
    /// A bisection's range: a point that is not behind the target, and a place that is.
    low: Point,
    high: u64,
    high_time: Option<i64>,
    /// Where the current probe began: between it and what it found there is no fragment.
    probed: Option<u64>,
    /// Where the current walk began, and behind which fragment it stands.
    walked: u64,
    resume: u64,
    /// How many points the next step back takes.
    steps: usize,
    /// Where to start playing, and the time of the sample where decoding starts.
    best: Option<(u64, i64)>,
}

impl Fragments {
    /// The boxes from `start` on, behind the `moov`, of a file of `length` bytes.
    pub(super) fn new(start: u64, length: u64) -> Self {
        Fragments {
            length,
            start,
            index: Index::default(),
            tail_read: length < MFRO_BYTES,
            measured: None,
            purpose: Purpose::Play { from: None },
            stage: header_stage(start, length),
        }
    }

    /// The bytes to be read next; `None` at the end of the file.
    pub(super) fn demand(&self) -> Option<Range<u64>> {
        match &self.stage {
            Stage::Header(at) => Some(*at..at.saturating_add(HEADER_BYTES_MAX).min(self.length)),
            Stage::Sidx(range) | Stage::Moof(range) | Stage::Mfra(range) | Stage::Probe(range) => Some(range.clone()),
            Stage::Tail => Some(self.length - MFRO_BYTES..self.length),
            Stage::End => None,
        }
    }

    /// Stands before the first fragment, and knows what there is to know before tracks are chosen.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.purpose, Purpose::Play { .. }) && matches!(self.stage, Stage::Moof(_) | Stage::End)
    }

    /// Length of the presentation, where an index or the last fragment says so; nanoseconds.
    pub(super) fn duration(&self) -> Option<i64> {
        self.measured.max(self.index.duration)
    }

    /// Looks up when the last fragment ends; false if that has been tried.
    pub(super) fn measure(&mut self) -> bool {
        let untried = !self.tail_read;
        if untried {
            (self.purpose, self.stage) = (Purpose::Measure, Stage::Tail);
        }
        untried
    }

    /// Goes back before the first fragment.
    pub(super) fn restart(&mut self) {
        self.purpose = Purpose::Play { from: None };
        self.stage = header_stage(self.start, self.length);
    }

    /// Looks for the fragment where decoding for a time, in nanoseconds, starts. The first lane's key frames decide.
    pub(super) fn seek(&mut self, to: i64, duration: Option<i64>) {
        self.restart();
        if to <= 0 {
            return;
        }
        let target = to.saturating_add(ROUNDING_NANOS);
        let first = Point { at: self.start, time: 0 };
        self.purpose = Purpose::Seek(Hunt {
            target,
            low: self.index.before(target).unwrap_or(first),
            high: self.index.after(target).map_or(self.length, |point| point.at.min(self.length)),
            high_time: self.index.after(target).map(|point| point.time).or(duration),
            probed: None,
            walked: self.start,
            resume: self.start,
            steps: 1,
            best: None,
        });
        if self.tail_read || self.index.complete { self.approach() } else { self.stage = Stage::Tail }
    }

    /// About where the fragment of a time, in nanoseconds, is.
    pub(super) fn byte_at(&self, time: i64, duration: Option<i64>) -> u64 {
        let low = self.index.before(time).unwrap_or(Point { at: self.start, time: 0 });
        let high = self.index.after(time).map(|high| (high.at, high.time));
        let (at, end) = match high.or(duration.map(|duration| (self.length, duration))) {
            Some(high) if !self.index.complete => high,
            _ => return low.at,
        };
        low.at + share(at.saturating_sub(low.at), time - low.time, end - low.time)
    }

    /// Where an index is that would make a seek fast.
    pub(super) fn hint(&self) -> Option<Range<u64>> {
        match &self.stage {
            Stage::Mfra(range) => Some(range.clone()),
            _ if self.tail_read || self.index.complete => None,
            _ => Some(self.length.saturating_sub(PROBE_BYTES)..self.length),
        }
    }

    /// Takes the bytes of `demand`.
    ///
    /// # Errors
    /// They are not what they must be.
    pub(super) fn supply(&mut self, bytes: &[u8], lanes: &mut [Lane]) -> Result<(), MediaError> {
        let read = match std::mem::replace(&mut self.stage, Stage::End) {
            Stage::Header(at) => self.header(at, bytes),
            Stage::Sidx(range) => self.sidx(&range, bytes),
            Stage::Moof(range) => self.moof(&range, bytes, lanes),
            stage => {
                match stage {
                    Stage::Tail => self.tail(bytes),
                    Stage::Mfra(range) => self.mfra(&range, bytes, lanes),
                    Stage::Probe(range) => self.probe(&range, bytes),
                    _ => {}
                }
                Ok(())
            }
        };
        if let Err(error) = read {
            self.distrust().ok_or(error)?;
        }
        if matches!(self.stage, Stage::End) {
            self.end();
        }
        Ok(())
    }

    /// Goes on without the file's index, which may have led astray; `None` if that can't be what is wrong.
    fn distrust(&mut self) -> Option<()> {
        self.stage = Stage::End;
        let target = match &self.purpose {
            Purpose::Measure => return Some(()),
            Purpose::Seek(hunt) if self.index.complete => hunt.target,
            _ => return None,
        };
        self.index.distrust();
        self.tail_read = true;
        self.seek(target, None);
        Some(())
    }

    /// Goes on to the next box.
    fn go_to(&mut self, at: u64) {
        self.stage = header_stage(at, self.length);
    }

    fn header(&mut self, at: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let header = boxes::header(bytes, self.length - at)?;
        let Some(end) = at.checked_add(header.size).filter(|&end| end <= self.length) else {
            return Ok(()); // A file that was cut off plays up to there.
        };
        let readable = header.size <= INDEX_BYTES_MAX;
        match &header.kind {
            b"moof" if !readable => return Err(MediaError::Broken("a fragment's index is too large")),
            b"moof" => self.stage = Stage::Moof(at..end),
            b"sidx" if readable && self.wants_sidx() => self.stage = Stage::Sidx(at..end),
            _ => self.go_to(end),
        }
        Ok(())
    }

    /// The first one counts; then those that a seek comes by: an index may be spread over several.
    fn wants_sidx(&self) -> bool {
        !self.index.distrusted && (!self.index.complete || matches!(self.purpose, Purpose::Seek(_)))
    }

    fn sidx(&mut self, range: &Range<u64>, bytes: &[u8]) -> Result<(), MediaError> {
        let sidx = children(bytes).next().transpose()?.ok_or(MediaError::Broken("an index that is cut off"))?;
        self.index.read_sidx(&sidx, range.end)?;
        let better = match &self.purpose {
            // Once it steps back, a seek follows no index forward again.
            Purpose::Seek(hunt) if hunt.steps == 1 => {
                self.index.before(hunt.target).filter(|point| point.at > range.end)
            }
            _ => None,
        };
        match better {
            Some(point) => self.walk(point.at),
            None => self.go_to(range.end),
        }
        Ok(())
    }

    fn moof(&mut self, range: &Range<u64>, bytes: &[u8], lanes: &mut [Lane]) -> Result<(), MediaError> {
        let moof = children(bytes).next().transpose()?.ok_or(MediaError::Broken("a fragment that is cut off"))?;
        let track =
            |id: u32| lanes.iter().find(|lane| lane.track == id).map(|lane| (lane.defaults, lane.fragment_end()));
        let read = fragment::read(moof.body, range.start, track);
        if let Purpose::Seek(hunt) = &mut self.purpose
            && let Some(probed) = hunt.probed.take()
        {
            self.probed_moof(probed, range.start, read.ok().and_then(|tracks| start_of(&tracks, lanes)));
            return Ok(());
        }
        let tracks = read?;
        if let Some(time) = start_of(&tracks, lanes) {
            self.index.add(Point { at: range.start, time });
        }
        self.go_to(range.end);
        match &mut self.purpose {
            Purpose::Play { from } => load(tracks, lanes, from),
            Purpose::Seek(_) => self.walked_moof(range, tracks, lanes),
            Purpose::Measure => {
                let ends = tracks.iter().filter_map(|runs| Some(lane_of(runs, lanes)?.nanos(runs.end)));
                self.measured = ends.max().max(self.measured);
            }
        }
        Ok(())
    }

    fn tail(&mut self, bytes: &[u8]) {
        self.tail_read = true;
        let size = index::mfra_bytes(bytes).filter(|&size| size <= self.length.min(INDEX_BYTES_MAX) && size > 0);
        match size {
            Some(size) => self.stage = Stage::Mfra(self.length - size..self.length),
            None => self.without_mfra(),
        }
    }

    fn mfra(&mut self, range: &Range<u64>, bytes: &[u8], lanes: &[Lane]) {
        let mfra = children(bytes).next().and_then(Result::ok).filter(|atom| atom.kind == *b"mfra");
        if let (Some(mfra), Some(lane)) = (mfra, lanes.first()) {
            // A broken one is as good as none.
            let _ = self.index.read_mfra(mfra.body, lane.track, |ticks| lane.nanos(ticks));
        }
        match &self.purpose {
            Purpose::Measure => match self.index.back(range.start, 1) {
                Some(last) => self.go_to(last.at),
                None => self.without_mfra(),
            },
            _ => self.approach(),
        }
    }

    fn without_mfra(&mut self) {
        match self.purpose {
            Purpose::Measure => {
                let start = self.length.saturating_sub(PROBE_BYTES).max(self.start);
                if start < self.length {
                    self.stage = Stage::Probe(start..self.length);
                }
            }
            _ => self.approach(),
        }
    }

    fn probe(&mut self, range: &Range<u64>, bytes: &[u8]) {
        let found = index::find_moof(bytes).map(|at| (range.start + at as u64, &bytes[at..]));
        match (&self.purpose, found) {
            (Purpose::Measure, Some((at, _))) => self.go_to(at),
            (Purpose::Measure, None) => {
                // On to the bytes before, with an overlap in which a beginning might be cut in two.
                let end = range.start + MOOF_MARK_BYTES as u64;
                let start = range.start.saturating_sub(PROBE_BYTES).max(self.start);
                if start < range.start && self.length - start <= LAST_FRAGMENT_BYTES {
                    self.stage = Stage::Probe(start..end);
                }
            }
            (Purpose::Seek(hunt), Some((at, mark))) if at < hunt.high => {
                let size = u32::from_be_bytes([mark[0], mark[1], mark[2], mark[3]]);
                let end = at + u64::from(size);
                if end <= self.length && u64::from(size) <= INDEX_BYTES_MAX {
                    self.stage = Stage::Moof(at..end);
                } else {
                    self.probe_on(at + 1);
                }
            }
            (Purpose::Seek(_), _) => self.probe_on((range.end - MOOF_MARK_BYTES as u64 + 1).max(range.start + 1)),
            (Purpose::Play { .. }, _) => {}
        }
    }

    /// Nothing else is to be read.
    fn end(&mut self) {
        match &self.purpose {
            Purpose::Play { .. } => {}
            Purpose::Seek(_) => self.land(),
            Purpose::Measure => {
                self.restart();
                self.tail_read = true;
            }
        }
    }
}

/// A seek's part.
impl Fragments {
    /// Bisects on, or walks once the range is small or an index has given its point.
    fn approach(&mut self) {
        let Purpose::Seek(hunt) = &mut self.purpose else { return };
        if self.index.complete {
            let point = self.index.before(hunt.target).unwrap_or(hunt.low);
            return self.walk(point.at);
        }
        let room = hunt.high.saturating_sub(hunt.low.at);
        if room <= WALK_BYTES {
            let at = hunt.low.at;
            return self.walk(at);
        }
        // Where the time suggests, but never close to an edge, so that the range shrinks by an eighth at least.
        let guess = match hunt.high_time {
            Some(end) => share(room, hunt.target - hunt.low.time, end - hunt.low.time),
            None => room / 2,
        };
        let at = hunt.low.at + guess.clamp(room / 8, room / 8 * 7);
        hunt.probed = Some(at);
        self.probe_on(at);
    }

    /// Probes from a place on, up to the end of the bisection's range.
    fn probe_on(&mut self, at: u64) {
        let Purpose::Seek(hunt) = &mut self.purpose else { return };
        if at.saturating_add(MOOF_MARK_BYTES as u64) <= hunt.high {
            let end = at.saturating_add(PROBE_BYTES).min(hunt.high.saturating_add(MOOF_MARK_BYTES as u64));
            self.stage = Stage::Probe(at..end.min(self.length));
            return;
        }
        hunt.high = hunt.probed.take().unwrap_or(hunt.low.at);
        self.approach();
    }

    /// A probe that began at `probed` has found a fragment that starts at `time`; `None` if it isn't one after all,
    /// or has no track that is wanted.
    fn probed_moof(&mut self, probed: u64, at: u64, time: Option<i64>) {
        let Purpose::Seek(hunt) = &mut self.purpose else { return };
        let Some(time) = time else {
            hunt.probed = Some(probed);
            return self.probe_on(at + 1);
        };
        let point = Point { at, time };
        if time <= hunt.target {
            hunt.low = point;
        } else {
            (hunt.high, hunt.high_time) = (probed, Some(time));
        }
        self.index.add(point);
        self.approach();
    }

    /// Walks fragment by fragment from a place on.
    fn walk(&mut self, at: u64) {
        if let Purpose::Seek(hunt) = &mut self.purpose {
            (hunt.walked, hunt.resume, hunt.best) = (at, at, None);
        }
        self.go_to(at);
    }

    /// Looks whether decoding can start in a fragment, and whether it is the last to be looked at.
    fn walked_moof(&mut self, range: &Range<u64>, tracks: Vec<TrackRuns>, lanes: &[Lane]) {
        let Purpose::Seek(hunt) = &mut self.purpose else { return };
        let Some(primary) = lanes.first() else { return };
        // Sound that starts behind the target leaves a hole at it: the fragment before has what is missing.
        let starts_late = |runs: &TrackRuns| {
            runs.track != primary.track
                && lane_of(runs, lanes).zip(runs.peek()).is_some_and(|(lane, first)| lane.pts(&first) > hunt.target)
        };
        let late = tracks.iter().any(starts_late);
        let Some(mut runs) = tracks.into_iter().find(|runs| runs.track == primary.track) else { return };
        let end = primary.nanos(runs.end);
        let start = runs.peek().map_or(end, |first| primary.dts(&first));
        let mut key = None;
        while let Some(sample) = runs.next() {
            if sample.sync && primary.pts(&sample) <= hunt.target {
                key = Some(primary.pts(&sample));
            }
        }
        if let Some(key) = key {
            let before = self.index.back(range.start, 1).filter(|_| late);
            hunt.best = Some((before.map_or(hunt.resume, |point| point.at), key));
        }
        hunt.resume = range.end;
        if start > hunt.target || end > hunt.target {
            self.land();
        }
    }

    /// Starts to play where decoding can start, or looks further back.
    fn land(&mut self) {
        let Purpose::Seek(hunt) = &mut self.purpose else { return };
        if let Some((at, key)) = hunt.best {
            self.purpose = Purpose::Play { from: Some(key) };
            return self.go_to(at);
        }
        let (walked, steps) = (hunt.walked, hunt.steps);
        hunt.steps = steps.saturating_mul(2);
        match self.index.back(walked, steps) {
            Some(point) => self.walk(point.at),
            None if walked > self.start => self.walk(self.start),
            None => self.restart(),
        }
    }
}

/// The header of the box at a place, or the end if there is no room for one.
fn header_stage(at: u64, length: u64) -> Stage {
    if length.saturating_sub(at) < 8 { Stage::End } else { Stage::Header(at) }
}

/// `part / of` of `whole`, between nothing and all of it.
fn share(whole: u64, part: i64, of: i64) -> u64 {
    let (part, of) = (u128::from(part.max(0).unsigned_abs()), u128::from(of.max(1).unsigned_abs()));
    (u128::from(whole) * part.min(of) / of) as u64
}

fn lane_of<'a>(runs: &TrackRuns, lanes: &'a [Lane]) -> Option<&'a Lane> {
    lanes.iter().find(|lane| lane.track == runs.track)
}

/// When a fragment's first samples are presented, nanoseconds; `None` if it has none that are wanted.
fn start_of(tracks: &[TrackRuns], lanes: &[Lane]) -> Option<i64> {
    tracks.iter().filter_map(|runs| Some(lane_of(runs, lanes)?.pts(&runs.peek()?))).min()
}

/// Gives a fragment's samples to the lanes, without those that a seek has no use for.
fn load(tracks: Vec<TrackRuns>, lanes: &mut [Lane], from: &mut Option<i64>) {
    for runs in tracks {
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.track == runs.track) {
            lane.take(runs);
        }
    }
    let (Some(key), Some((primary, others))) = (*from, lanes.split_first_mut()) else { return };
    others.iter_mut().for_each(|lane| lane.skip_until(|lane, sample| lane.pts_end(sample) > lane.decoding_start(key)));
    primary.skip_until(|lane, sample| sample.sync && lane.pts(sample) >= lane.decoding_start(key));
    if primary.peek().is_some() {
        *from = None;
    }
}
