//! Which samples go into the next segment, and which bytes of the file they are.
//!
//! Invariant: a batch ends after its time, its bytes or its number of samples, whichever comes first, so the next
//! segment never waits for much; a little more goes in where pictures are shown in another order than they are
//! decoded. No byte is demanded but those of its samples and small gaps between them.

use std::ops::Range;

use super::lane::Lane;
use super::{Kind, Sample};

/// Ranges closer than this are demanded as one, bytes: the cost of a gap is less than that of another request.
const GAP_BYTES_MAX: u64 = 64 << 10;
/// Samples of a batch at most.
const SAMPLES_MAX: usize = 4096;

/// Pictures that may be decoded before and shown after another (H.264 and HEVC: `max_num_reorder` is 16 at most).
const REORDERED_MAX: usize = 16;

/// What a batch may hold; it holds at least one sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Nanoseconds of decode time.
    time: i64,
    bytes: u64,
}

impl Budget {
    /// For the first segment after a start or a seek, which somebody waits for.
    pub(super) const FIRST: Budget = Budget { time: 500_000_000, bytes: 256 << 10 };
    /// For those that follow.
    pub(super) const LATER: Budget = Budget { time: 1_000_000_000, bytes: 1 << 20 };
}

/// The samples of the next segment.
#[derive(Debug)]
pub(super) struct Batch {
    /// Each with the index of its lane, in decode order. All samples of a lane have the same description.
    pub(super) samples: Vec<(usize, Sample)>,
    /// The bytes of all of them: in order, not empty, not touching.
    pub(super) spans: Vec<Range<u64>>,
}

impl Batch {
    /// Takes the next samples off the lanes; `None` if they have none with any bytes.
    pub(super) fn plan(lanes: &mut [Lane], budget: Budget) -> Option<Batch> {
        let mut samples = silence(lanes);
        if !samples.is_empty() {
            return Batch::of(samples);
        }
        let (mut bytes, mut shown) = (0, i64::MIN);
        let limit = start(lanes)?.saturating_add(budget.time);
        while let Some((index, dts, sample)) = next(lanes) {
            bytes += u64::from(sample.size);
            let over = dts >= limit || bytes > budget.bytes || samples.len() >= SAMPLES_MAX;
            let far_over = bytes > budget.bytes * 4 || samples.len() >= SAMPLES_MAX * 2;
            let first = samples.iter().find(|(lane, _)| *lane == index);
            let other_description = first.is_some_and(|(_, first)| first.description != sample.description);
            let end = other_description || far_over || (over && is_gap(lanes, shown));
            if !samples.is_empty() && end {
                break;
            }
            let lane = &mut lanes[index];
            if lane.kind == Kind::Video {
                shown = shown.max(lane.pts(&sample));
            }
            lane.advance();
            samples.push((index, sample));
        }
        Batch::of(samples)
    }

    fn of(samples: Vec<(usize, Sample)>) -> Option<Batch> {
        let spans = spans(&samples);
        (!spans.is_empty()).then_some(Batch { samples, spans })
    }

    /// A sample's bytes among `parts`, which are the bytes of the spans.
    pub(super) fn bytes<'a>(&self, sample: &Sample, parts: &[&'a [u8]]) -> &'a [u8] {
        let after = self.spans.partition_point(|span| span.start <= sample.offset);
        let Some(part) = after.checked_sub(1).filter(|_| sample.size > 0) else { return &[] };
        let at = (sample.offset - self.spans[part].start) as usize;
        &parts[part][at..at + sample.size as usize]
    }
}

/// Where the time of a batch begins: at the next picture, if there is one; sound may begin earlier.
fn start(lanes: &mut [Lane]) -> Option<i64> {
    let mut heads = lanes.iter_mut().filter_map(|lane| lane.peek().map(|sample| (lane.kind, lane.dts(&sample))));
    let (first_kind, first) = heads.next()?;
    let earliest = heads.map(|(_, dts)| dts).fold(first, i64::min);
    Some(if first_kind == Kind::Video { first } else { earliest })
}

/// Takes the sound that a decoder only prepares itself with, before the time 0, and the packet after it. Beside
/// pictures it gets a batch of its own: Firefox takes the step to the time 0 for a gap in all tracks of the fragment,
/// and then drops pictures up to the next key frame.
fn silence(lanes: &mut [Lane]) -> Vec<(usize, Sample)> {
    let mut samples = Vec::new();
    let [video, audio] = lanes else { return samples };
    let mut silent = video.kind == Kind::Video;
    while let Some(sample) = audio.peek().filter(|_| silent) {
        silent = audio.pts_end(&sample) <= 0;
        if silent || !samples.is_empty() {
            audio.advance();
            samples.push((1, sample));
        }
    }
    samples
}

/// Whether all pictures to come are shown later than `shown`. Firefox wants no others in a fragment of its own: it
/// lets each picture last until the next of its fragment, and then drops those in between.
fn is_gap(lanes: &mut [Lane], shown: i64) -> bool {
    let Some(lane) = lanes.iter_mut().find(|lane| lane.kind == Kind::Video) else { return true };
    (0..REORDERED_MAX)
        .map_while(|others| lane.look(others))
        .collect::<Vec<_>>()
        .iter()
        .all(|sample| lane.pts(sample) > shown)
}

/// The sample that is decoded next, with the index of its lane and its time.
fn next(lanes: &mut [Lane]) -> Option<(usize, i64, Sample)> {
    let heads = lanes.iter_mut().enumerate().filter_map(|(index, lane)| {
        let sample = lane.peek()?;
        Some((index, lane.dts(&sample), sample))
    });
    heads.min_by_key(|&(_, dts, _)| dts)
}

/// The bytes of the samples, merged where they are close.
fn spans(samples: &[(usize, Sample)]) -> Vec<Range<u64>> {
    let ends = |sample: &Sample| sample.offset..sample.offset + u64::from(sample.size);
    let mut all: Vec<Range<u64>> =
        samples.iter().map(|(_, sample)| ends(sample)).filter(|range| !range.is_empty()).collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut spans: Vec<Range<u64>> = Vec::new();
    for range in all {
        match spans.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES_MAX) => last.end = last.end.max(range.end),
            _ => spans.push(range),
        }
    }
    spans
}
