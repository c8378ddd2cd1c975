//! MP4 and its relatives → fragments that MediaSource plays.
//!
//! Progressive files (one `moov` with tables, before or behind the data) and fragmented ones (a `moof` with each
//! stretch of data) take the same way: a `Lane` gives a track's samples in order, a `Batch` takes the next of all
//! chosen tracks, and what comes out is always newly written, with the samples' bytes copied as they are.
//!
//! Invariant: the presentation times of what comes out are those of the file, edit lists applied.

mod batch;
mod boxes;
mod codec;
mod description;
mod fragment;
mod fragments;
mod index;
mod lane;
mod movie;
mod table;
mod write;

use std::ops::Range;
use std::time::Duration;

use super::{Demand, Kind, MediaError, Opening, Segment, Track, choose};
use batch::{Batch, Budget};
use boxes::{HEADER_BYTES_MAX, children};
use codec::Codec;
use fragments::Fragments;
use lane::Lane;
use movie::{Movie, Trak};

/// Bytes of a `moov`, `moof`, `sidx` or `mfra` at most (threat-model.md M6): 10 hours of film have a 5 MB `moov`.
const INDEX_BYTES_MAX: u64 = 8 << 20;
/// Boxes of a file before its `moov` at most.
const BOXES_BEFORE_MOOV_MAX: u32 = 1024;
/// A time at most, in ticks of any track: a hundred years at 1 GHz. Sums of a few can't overflow.
const TICKS_MAX: i64 = 1 << 61;

/// One picture or packet of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    /// Where its bytes begin in the file.
    offset: u64,
    /// How many there are.
    size: u32,
    /// When it is decoded, in ticks of its media.
    dts: i64,
    /// How long it lasts, in ticks.
    duration: u32,
    /// From decoding to presentation, in ticks.
    composition: i32,
    /// Decoding can start here.
    sync: bool,
    /// Which description of the track's is its own, from 1.
    description: u32,
}

/// From ticks to nanoseconds, as near as an `i64` comes; 0 if there are no ticks in a second.
fn nanos(ticks: i64, timescale: u32) -> i64 {
    let nanos = (i128::from(ticks) * 1_000_000_000).checked_div(i128::from(timescale)).unwrap_or(0);
    nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// The end of a file, where its `moov` may be: a few tenths of a percent of it.
pub(super) fn tail_hint(length: u64) -> Vec<Range<u64>> {
    let tail = (length / 512).clamp(64 << 10, 2 << 20).min(length);
    std::iter::once(length - tail..length).filter(|range| !range.is_empty()).collect()
}

/// An MP4 file.
#[derive(Debug)]
pub(super) struct Mp4 {
    /// Bytes of the file.
    length: u64,
    stage: Stage,
    tracks: Vec<Track>,
    /// Known with the `moov`, until the tracks are chosen.
    movie: Option<Movie>,
    /// All tracks, until they are chosen; then the chosen ones, video first.
    lanes: Vec<Lane>,
    /// What comes behind the `moov`, if there may be fragments.
    fragments: Option<Fragments>,
    /// Length of the presentation, in nanoseconds, where the file says so.
    duration: Option<i64>,
    /// Where to start once the tracks are chosen; nanoseconds.
    start: i64,
    /// What the next segment may hold: less after a start or a seek.
    budget: Budget,
    /// Segments written.
    sequence: u32,
}

/// What is read next.
#[derive(Debug)]
enum Stage {
    /// The header of the box that begins here, on the way to the `moov`, and how many came before.
    Header(u64, u32),
    /// The `moov`, whole.
    Moov(Range<u64>),
    /// What `fragments` demands: before the tracks are chosen, up to the first fragment; then, from one to the next.
    Fragments,
    /// Nothing: the tracks are to be chosen.
    Choice,
    /// The bytes of a batch.
    Batch(Batch),
    /// Nothing: everything has come out.
    End,
}

impl Mp4 {
    pub(super) fn new(length: u64) -> Self {
        Mp4 {
            length,
            stage: Stage::Header(0, 0),
            tracks: Vec::new(),
            movie: None,
            lanes: Vec::new(),
            fragments: None,
            duration: None,
            start: 0,
            budget: Budget::FIRST,
            sequence: 0,
        }
    }

    pub(super) fn demand(&self) -> Demand {
        match &self.stage {
            Stage::Header(at, _) => Demand::one(*at..at.saturating_add(HEADER_BYTES_MAX).min(self.length)),
            Stage::Moov(range) => Demand::one(range.clone()),
            Stage::Fragments => {
                self.fragments.as_ref().and_then(Fragments::demand).map_or(Demand::Nothing, Demand::one)
            }
            Stage::Choice => Demand::Choice,
            Stage::Batch(batch) => Demand::Bytes(batch.spans.clone()),
            Stage::End => Demand::Nothing,
        }
    }

    pub(super) fn supply(&mut self, parts: &[&[u8]]) -> Result<Vec<Segment>, MediaError> {
        let bytes = parts.first().copied().unwrap_or_default();
        match std::mem::replace(&mut self.stage, Stage::End) {
            Stage::Header(at, before) => self.header(at, before, bytes)?,
            Stage::Moov(range) => self.moov(&range, bytes)?,
            Stage::Fragments => self.fragment(bytes)?,
            Stage::Batch(batch) => return Ok(vec![self.batch(&batch, parts)]),
            stage @ (Stage::Choice | Stage::End) => self.stage = stage,
        }
        Ok(Vec::new())
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        self.duration.and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
    }

    pub(super) fn select(&mut self, playable: &[bool]) -> Result<Opening, MediaError> {
        let chosen = choose(&self.tracks, playable)?;
        let Some(movie) = self.movie.take() else { return Err(MediaError::UnsupportedCodec(Vec::new())) };
        let traks: Vec<&Trak> = chosen.iter().map(|&index| &movie.traks[index]).collect();
        let codecs: Vec<&str> = traks.iter().map(|trak| trak.codec.parameter.as_str()).collect();
        let mut lanes: Vec<Option<Lane>> = std::mem::take(&mut self.lanes).into_iter().map(Some).collect();
        self.lanes = chosen.iter().filter_map(|&index| lanes[index].take()).collect();
        let opening = Opening {
            mime: mime(self.lanes[0].kind, &codecs.join(", ")),
            init: write::init(&movie, &traks, self.duration),
        };
        self.seek(Duration::from_nanos(self.start.unsigned_abs()));
        Ok(opening)
    }

    pub(super) fn seek(&mut self, to: Duration) {
        let to = i64::try_from(to.as_nanos()).unwrap_or(i64::MAX);
        self.start = to;
        self.budget = Budget::FIRST;
        let Some((primary, others)) = self.lanes.split_first_mut().filter(|_| self.movie.is_none()) else { return };
        match &mut self.fragments {
            Some(fragments) if to >= primary.tables_end() => {
                self.lanes.iter_mut().for_each(Lane::leave_tables);
                fragments.seek(to, self.duration);
            }
            fragments => {
                primary.rewind_to(to);
                let key = primary.peek().map_or(0, |sample| primary.pts(&sample));
                others.iter_mut().for_each(|lane| lane.rewind_to(key));
                fragments.iter_mut().for_each(Fragments::restart);
            }
        }
        self.go_on();
    }

    pub(super) fn byte_at(&self, time: Duration) -> Option<u64> {
        let time = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let primary = self.lanes.first()?;
        match &self.fragments {
            Some(fragments) if time >= primary.tables_end() => Some(fragments.byte_at(time, self.duration)),
            _ => primary.byte_at(time),
        }
    }

    pub(super) fn hints(&self) -> Vec<Range<u64>> {
        match &self.stage {
            Stage::Header(..) => tail_hint(self.length),
            _ => self.fragments.iter().filter_map(Fragments::hint).collect(),
        }
    }

    /// Takes a box header on the way to the `moov`.
    fn header(&mut self, at: u64, before: u32, bytes: &[u8]) -> Result<(), MediaError> {
        let header = boxes::header(bytes, self.length - at)?;
        let end = at.checked_add(header.size).filter(|&end| end <= self.length);
        match (&header.kind, end) {
            (b"moov", Some(_)) if header.size > INDEX_BYTES_MAX => Err(MediaError::Broken("its index is too large")),
            (b"moov", Some(end)) => {
                self.stage = Stage::Moov(at..end);
                Ok(())
            }
            (_, Some(end)) if self.length - end >= 8 && before < BOXES_BEFORE_MOOV_MAX => {
                self.stage = Stage::Header(end, before + 1);
                Ok(())
            }
            (_, None) => Err(MediaError::Broken("it is cut off before its index")),
            _ => Err(MediaError::Broken("it has no index")),
        }
    }

    /// Takes the `moov`.
    fn moov(&mut self, range: &Range<u64>, bytes: &[u8]) -> Result<(), MediaError> {
        let moov = children(bytes).next().transpose()?.ok_or(MediaError::Broken("its index is cut off"))?;
        let mut movie = Movie::read(moov.body, self.length)?;
        self.lanes = std::mem::take(&mut movie.lanes);
        self.tracks = movie.traks.iter().zip(&self.lanes).map(|(trak, lane)| track(&trak.codec, lane.kind)).collect();
        self.duration = movie.duration;
        self.fragments = movie.fragmented.then(|| Fragments::new(range.end, self.length));
        self.movie = Some(movie);
        self.stage = if self.fragments.is_some() { Stage::Fragments } else { Stage::Choice };
        self.until_choice();
        Ok(())
    }

    /// Takes what `fragments` demanded.
    fn fragment(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        self.stage = Stage::Fragments;
        let Some(fragments) = &mut self.fragments else { return Ok(()) };
        fragments.supply(bytes, &mut self.lanes)?;
        if self.movie.is_some() {
            self.until_choice()
        } else {
            self.go_on()
        }
        Ok(())
    }

    /// Before the tracks are chosen: reads on until the length of the presentation is known, if it can be.
    fn until_choice(&mut self) {
        let Some(fragments) = self.fragments.as_mut().filter(|fragments| fragments.is_ready()) else { return };
        self.duration = self.duration.or(fragments.duration());
        if self.duration.is_some() || !fragments.measure() {
            self.stage = Stage::Choice;
        }
    }

    /// After the tracks are chosen: plans the next batch, or reads on to the next fragment.
    fn go_on(&mut self) {
        let reading = self.fragments.as_ref().is_some_and(|fragments| fragments.demand().is_some());
        self.stage = match Batch::plan(&mut self.lanes, self.budget) {
            Some(batch) => Stage::Batch(batch),
            None if reading => Stage::Fragments,
            None => Stage::End,
        };
    }

    /// Takes the bytes of a batch.
    fn batch(&mut self, batch: &Batch, parts: &[&[u8]]) -> Segment {
        self.sequence = self.sequence.wrapping_add(1);
        if batch.samples.iter().any(|(lane, _)| *lane == 0) {
            self.budget = Budget::LATER;
        }
        let segment = write::fragment(&self.lanes, batch, parts, self.sequence);
        self.go_on();
        segment
    }
}

/// How a track is told to the outside.
fn track(codec: &Codec, kind: Kind) -> Track {
    let Codec { parameter, name } = codec;
    let codec = if name == parameter { name.clone() } else { format!("{name} ({parameter})") };
    Track { kind, mime: mime(kind, parameter), codec }
}

/// `video/mp4; codecs="avc1.64001f, mp4a.40.2"`.
fn mime(kind: Kind, codecs: &str) -> String {
    let kind = if kind == Kind::Video { "video" } else { "audio" };
    format!("{kind}/mp4; codecs=\"{codecs}\"")
}
