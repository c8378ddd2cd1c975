//! Init segments and fragments out of chosen tracks and their samples (ISO/IEC 14496-12 §8.8).
//!
//! Invariant: presentation times are those of the source with its edit lists applied, so the init segment has none:
//! the edits are in the times of the fragments. Descriptions and headers are the source's own bytes.

use super::batch::Batch;
use super::boxes::FourCc;
use super::lane::Lane;
use super::movie::{Movie, Trak};
use super::{MediaError, Sample, Segment};

/// Writes a box around what `body` writes.
fn boxed(out: &mut Vec<u8>, kind: &FourCc, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend(kind);
    body(out);
    let size = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes numbers.
fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend(word.to_be_bytes()));
}

/// The init segment of some of a movie's tracks; `duration` is that of the presentation, in nanoseconds.
pub(super) fn init(movie: &Movie, chosen: &[&Trak], duration: Option<i64>) -> Vec<u8> {
    let mut out = Vec::new();
    boxed(&mut out, b"ftyp", |out| out.extend(b"iso6\0\0\0\0iso6isommp41"));
    boxed(&mut out, b"moov", |out| {
        out.extend(&movie.mvhd);
        chosen.iter().for_each(|trak| write_trak(out, trak));
        boxed(out, b"mvex", |out| {
            if let Some(duration) = duration {
                let ticks = i128::from(duration) * i128::from(movie.timescale) / 1_000_000_000;
                boxed(out, b"mehd", |out| words(out, &[1 << 24, (ticks >> 32) as u32, ticks as u32]));
            }
            for trak in chosen {
                boxed(out, b"trex", |out| words(out, &[0, trak.id, 1, 0, 0, 0]));
            }
        });
    });
    out
}

/// A track with its own boxes, and empty tables.
fn write_trak(out: &mut Vec<u8>, trak: &Trak) {
    boxed(out, b"trak", |out| {
        out.extend(&trak.tkhd);
        boxed(out, b"mdia", |out| {
            out.extend(&trak.mdhd);
            out.extend(&trak.hdlr);
            boxed(out, b"minf", |out| {
                out.extend(&trak.media_header);
                out.extend(&trak.dinf);
                boxed(out, b"stbl", |out| {
                    out.extend(&trak.stsd);
                    boxed(out, b"stts", |out| words(out, &[0, 0]));
                    boxed(out, b"stsc", |out| words(out, &[0, 0]));
                    boxed(out, b"stsz", |out| words(out, &[0, 0, 0]));
                    boxed(out, b"stco", |out| words(out, &[0, 0]));
                });
            });
        });
    });
}

/// A lane's part of a fragment.
struct Part<'a> {
    lane: &'a Lane,
    lead: i64,
    samples: Vec<&'a Sample>,
}

/// Bytes of a `moof` and `mfhd`, and of a `traf`, `tfhd`, `tfdt` and `trun`, without the entries; and of an entry.
const MOOF_BYTES: usize = 8 + 16;
const TRAF_BYTES: usize = 8 + 20 + 20 + 20;
const ENTRY_BYTES: usize = 16;

/// The fragment of a batch, whose spans hold the bytes of `parts`; `sequence` counts fragments from 1.
///
/// # Errors
/// A picture's composition offset does not fit a fragment.
pub(super) fn fragment(
    lanes: &mut [Lane],
    batch: &Batch,
    parts: &[&[u8]],
    sequence: u32,
) -> Result<Segment, MediaError> {
    for (index, sample) in &batch.samples {
        let lane = &mut lanes[*index];
        lane.lead = Some(lane.lead.unwrap_or_else(|| -lane.dts_ticks(sample).min(0)));
    }
    let tracks: Vec<Part<'_>> = lanes.iter().enumerate().filter_map(|(index, lane)| part(index, lane, batch)).collect();
    let head = MOOF_BYTES + tracks.iter().map(|part| TRAF_BYTES + ENTRY_BYTES * part.samples.len()).sum::<usize>();
    let data: usize = batch.samples.iter().map(|(_, sample)| sample.size as usize).sum();
    let mut out = Vec::with_capacity(head + 8 + data);
    let mut offset = head + 8;
    let mut written = Ok(());
    boxed(&mut out, b"moof", |out| {
        boxed(out, b"mfhd", |out| words(out, &[0, sequence]));
        for track in &tracks {
            written = written.clone().and(write_traf(out, track, offset as u32));
            offset += track.samples.iter().map(|sample| sample.size as usize).sum::<usize>();
        }
    });
    written?;
    boxed(&mut out, b"mdat", |out| {
        let samples = tracks.iter().flat_map(|track| &track.samples);
        samples.for_each(|sample| out.extend_from_slice(batch.bytes(sample, parts)));
    });
    let of = |ns: i64| std::time::Duration::from_nanos(u64::try_from(ns).unwrap_or(0));
    let all = || batch.samples.iter().map(|(lane, sample)| (&lanes[*lane], sample));
    let start = all().map(|(lane, sample)| lane.pts(sample)).min().unwrap_or(0);
    let end = all().map(|(lane, sample)| lane.pts_end(sample)).max().unwrap_or(0);
    Ok(Segment { bytes: out, start: of(start), end: of(end), timestamp_offset: None })
}

/// A lane's part of a batch, if it has any.
fn part<'a>(index: usize, lane: &'a Lane, batch: &'a Batch) -> Option<Part<'a>> {
    let samples: Vec<&Sample> =
        batch.samples.iter().filter(|(lane, _)| *lane == index).map(|(_, sample)| sample).collect();
    (!samples.is_empty()).then(|| Part { lane, lead: lane.lead.unwrap_or(0), samples })
}

/// A track fragment whose bytes begin `offset` bytes behind the beginning of the `moof`.
fn write_traf(out: &mut Vec<u8>, part: &Part<'_>, offset: u32) -> Result<(), MediaError> {
    let first = part.samples[0];
    let decode = part.lane.dts_ticks(first).saturating_add(part.lead).max(0);
    let mut fits = true;
    boxed(out, b"traf", |out| {
        // default-base-is-moof, and which description.
        boxed(out, b"tfhd", |out| words(out, &[0x2_0002, part.lane.track, first.description]));
        boxed(out, b"tfdt", |out| words(out, &[1 << 24, (decode >> 32) as u32, decode as u32]));
        boxed(out, b"trun", |out| {
            // Version 1 has signed composition offsets; each entry has duration, size, flags and such an offset.
            words(out, &[1 << 24 | 0xF01, part.samples.len() as u32, offset]);
            for sample in &part.samples {
                let composition = i64::from(sample.composition).checked_sub(part.lead).map(i32::try_from);
                fits &= matches!(composition, Some(Ok(_)));
                let composition = composition.and_then(Result::ok).unwrap_or(0);
                // Depends on nothing; or depends on others, and decoding can't start here.
                let flags = if sample.sync { 0x0200_0000 } else { 0x0101_0000 };
                words(out, &[sample.duration, sample.size, flags, composition as u32]);
            }
        });
    });
    if fits { Ok(()) } else { Err(MediaError::Broken("a picture is shown too long after it is decoded")) }
}
