//! A movie fragment's samples, walked where they lie (ISO/IEC 14496-12 §8.8).
//!
//! Invariant: a run is never expanded. What a run claims is checked when the fragment is read, so that walking it
//! can't fail.

use std::collections::VecDeque;

use super::boxes::{Atom, Reader, children, find};
use super::{MediaError, Sample, TICKS_MAX};

/// Samples of one fragment at most that take no bytes in its tables.
const FREE_SAMPLES_MAX: u64 = 100_000;

/// What samples are like where nothing else is said: `trex`, overridden by `tfhd`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) description: u32,
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { description: 1, duration: 0, size: 0, flags: 0 }
    }
}

/// Reads a `trex`: its track, and the defaults.
pub(super) fn trex(atom: &Atom<'_>) -> Result<(u32, Defaults), MediaError> {
    let (_, _, mut reader) = atom.full()?;
    let track = reader.u32()?;
    let [description, duration, size, flags] = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
    Ok((track, Defaults { description, duration, size, flags }))
}

/// Samples of one track in one fragment that follow each other, in the file and in time: a `trun`.
#[derive(Debug)]
struct Run {
    entries: Vec<u8>,
    /// Which fields an entry has: the flags of the `trun`.
    fields: u32,
    defaults: Defaults,
    first_flags: Option<u32>,
    /// How many samples there are, and how many have been stepped over.
    count: u32,
    stepped: u32,
    /// Where the next sample's bytes are.
    offset: u64,
    /// When the next sample is decoded, in ticks.
    dts: i64,
}

/// What a fragment holds of one track.
#[derive(Debug, Default)]
pub(super) struct TrackRuns {
    pub(super) track: u32,
    /// In order.
    runs: VecDeque<Run>,
    /// When the last sample's time ends, in ticks.
    pub(super) end: i64,
}

impl TrackRuns {
    /// No samples; what comes next begins at `end`.
    pub(super) fn none(end: i64) -> Self {
        TrackRuns { end, ..TrackRuns::default() }
    }

    /// The next sample.
    pub(super) fn peek(&self) -> Option<Sample> {
        self.runs.iter().find_map(Run::sample)
    }

    /// Takes the next sample.
    pub(super) fn next(&mut self) -> Option<Sample> {
        let sample = loop {
            match self.runs.front()?.sample() {
                Some(sample) => break sample,
                None => drop(self.runs.pop_front()),
            }
        };
        self.runs.front_mut()?.advance(&sample);
        Some(sample)
    }

    /// Adds what comes after.
    pub(super) fn append(&mut self, mut later: TrackRuns) {
        self.runs.append(&mut later.runs);
        self.end = later.end;
    }
}

const FIRST_OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITION: u32 = 0x800;
/// In the flags of a sample: decoding can't start here.
const NOT_SYNC: u32 = 0x1_0000;

/// Reads the body of a `moof` that begins at `at` in the file. `track` gives the defaults of each wanted track, and
/// the time its samples go on from where the fragment doesn't say.
///
/// # Errors
/// A run claims more than it holds, or its places or times are absurd.
pub(super) fn read(
    moof: &[u8],
    at: u64,
    track: impl Fn(u32) -> Option<(Defaults, i64)>,
) -> Result<Vec<TrackRuns>, MediaError> {
    let mut all = Vec::new();
    let mut free = 0;
    let mut data_end = at;
    for atom in children(moof) {
        let atom = atom?;
        if atom.kind == *b"traf" {
            let traf = Traf::read(atom.body, at, data_end, &track)?;
            let (runs, end) = traf.runs(atom.body, &mut free)?;
            data_end = end;
            all.extend(runs);
        }
    }
    Ok(all)
}

/// The head of a track fragment.
struct Traf {
    track: u32,
    wanted: bool,
    defaults: Defaults,
    /// What its runs' places count from.
    base: u64,
    /// When its first sample is decoded, in ticks.
    dts: i64,
}

impl Traf {
    fn read(
        body: &[u8],
        moof: u64,
        data_end: u64,
        track: impl Fn(u32) -> Option<(Defaults, i64)>,
    ) -> Result<Self, MediaError> {
        let tfhd = find(body, b"tfhd")?.ok_or(MediaError::Broken("a fragment of no track"))?;
        let (_, flags, mut reader) = tfhd.full()?;
        let id = reader.u32()?;
        let known = track(id);
        let (mut defaults, mut dts) = known.unwrap_or_default();
        let explicit = if flags & 0x1 != 0 { Some(reader.u64()?) } else { None };
        let slots = [
            (0x2, &mut defaults.description),
            (0x8, &mut defaults.duration),
            (0x10, &mut defaults.size),
            (0x20, &mut defaults.flags),
        ];
        for (flag, slot) in slots {
            if flags & flag != 0 {
                *slot = reader.u32()?;
            }
        }
        // 0x20000: default-base-is-moof. Without it, the first track fragment counts from the moof all the same.
        let base = explicit.unwrap_or(if flags & 0x2_0000 != 0 { moof } else { data_end });
        if let Some(tfdt) = find(body, b"tfdt")? {
            let (version, _, mut reader) = tfdt.full()?;
            dts = i64::try_from(reader.versioned(version)?).unwrap_or(i64::MAX);
        }
        Ok(Traf { track: id, wanted: known.is_some(), defaults, base, dts })
    }

    /// Reads the runs, if the track is wanted. Also gives the end of their bytes.
    fn runs(mut self, body: &[u8], free: &mut u64) -> Result<(Option<TrackRuns>, u64), MediaError> {
        let mut runs = VecDeque::new();
        let mut data_end = self.base;
        for atom in children(body) {
            let atom = atom?;
            if atom.kind == *b"trun" {
                let run = Run::read(&atom, &self, data_end)?;
                *free += if run.width() == 0 { u64::from(run.count) } else { 0 };
                if *free > FREE_SAMPLES_MAX {
                    return Err(MediaError::Broken("a fragment claims too many samples"));
                }
                (data_end, self.dts) = run.ends()?;
                if self.wanted {
                    runs.push_back(run);
                }
            }
        }
        let all = TrackRuns { track: self.track, runs, end: self.dts };
        Ok((self.wanted.then_some(all), data_end))
    }
}

impl Run {
    /// Reads a `trun` whose bytes begin at `offset` unless it says otherwise.
    fn read(atom: &Atom<'_>, traf: &Traf, offset: u64) -> Result<Self, MediaError> {
        let (_, fields, mut reader) = atom.full()?;
        let count = reader.u32()?;
        let offset = if fields & FIRST_OFFSET != 0 {
            let from_base = i64::from(reader.u32()? as i32);
            traf.base.checked_add_signed(from_base).ok_or(MediaError::Broken("a fragment lies outside the file"))?
        } else {
            offset
        };
        let first_flags = if fields & FIRST_FLAGS != 0 { Some(reader.u32()?) } else { None };
        let (entries, defaults, dts) = (Vec::new(), traf.defaults, traf.dts);
        let mut run = Run { entries, fields, defaults, first_flags, count, stepped: 0, offset, dts };
        let bytes = (count as usize).checked_mul(run.width()).map(|bytes| reader.take(bytes));
        run.entries =
            bytes.and_then(Result::ok).ok_or(MediaError::Broken("a run claims more samples than it holds"))?.to_vec();
        Ok(run)
    }

    /// Bytes of an entry.
    fn width(&self) -> usize {
        (self.fields & (DURATION | SIZE | FLAGS | COMPOSITION)).count_ones() as usize * 4
    }

    /// Where the bytes of the samples from here on end, and their time, in ticks.
    fn ends(&self) -> Result<(u64, i64), MediaError> {
        let (mut bytes, mut ticks) = (0_u64, 0_u64);
        for sample in (self.stepped..self.count).filter_map(|index| self.entry(index)) {
            (bytes, ticks) = (bytes + u64::from(sample.size), ticks + u64::from(sample.duration));
        }
        let offset = self.offset.checked_add(bytes).ok_or(MediaError::Broken("a fragment lies outside the file"))?;
        let dts = self.dts.checked_add_unsigned(ticks).filter(|&dts| dts <= TICKS_MAX);
        Ok((offset, dts.ok_or(MediaError::Broken("a fragment's times are absurd"))?))
    }

    /// The sample at an index, as if it were the next.
    fn entry(&self, index: u32) -> Option<Sample> {
        if index >= self.count {
            return None;
        }
        let mut reader = Reader(self.entries.get(index as usize * self.width()..)?);
        let mut field = |flag: u32| if self.fields & flag != 0 { reader.u32().ok() } else { None };
        let duration = field(DURATION).unwrap_or(self.defaults.duration);
        let size = field(SIZE).unwrap_or(self.defaults.size);
        let first_flags = self.first_flags.filter(|_| index == 0);
        let flags = field(FLAGS).or(first_flags).unwrap_or(self.defaults.flags);
        Some(Sample {
            offset: self.offset,
            size,
            dts: self.dts,
            duration,
            // Version 0 is unsigned on paper and signed in practice.
            composition: field(COMPOSITION).unwrap_or(0) as i32,
            sync: flags & NOT_SYNC == 0,
            description: self.defaults.description,
        })
    }

    /// The next sample.
    fn sample(&self) -> Option<Sample> {
        self.entry(self.stepped)
    }

    /// Steps over `sample`, which is the next.
    fn advance(&mut self, sample: &Sample) {
        self.stepped += 1;
        self.offset += u64::from(sample.size);
        self.dts += i64::from(sample.duration);
    }
}
