//! Init segments and fragments out of chosen tracks and their samples (ISO/IEC 14496-12 §8.8).
//!
//! Invariant: descriptions, headers and times are the source's own. Of an edit list, the delay goes into the times of
//! the fragments, and the media time into the init segment: so decode times are never below zero, and composition
//! offsets are never larger than they were.

use std::time::Duration;

use super::batch::Batch;
use super::boxes::FourCc;
use super::lane::Lane;
use super::movie::{Movie, Trak};
use super::{Sample, Segment};

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
        if trak.media_time > 0 {
            // One edit of the whole media, at the rate 1.
            let time = [(trak.media_time >> 32) as u32, trak.media_time as u32];
            boxed(out, b"edts", |out| {
                boxed(out, b"elst", |out| words(out, &[1 << 24, 1, 0, 0, time[0], time[1], 1 << 16]));
            });
        }
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

/// Bytes of a `moof` and `mfhd`, and of a `traf`, `tfhd`, `tfdt` and `trun`, without the entries; and of an entry.
const MOOF_BYTES: usize = 8 + 16;
const TRAF_BYTES: usize = 8 + 20 + 20 + 20;
const ENTRY_BYTES: usize = 16;

/// The fragment of a batch, whose spans hold the bytes of `parts`; `sequence` counts fragments from 1.
pub(super) fn fragment(lanes: &[Lane], batch: &Batch, parts: &[&[u8]], sequence: u32) -> Segment {
    let of_lane = |wanted: usize| -> Vec<&Sample> {
        batch.samples.iter().filter(|(lane, _)| *lane == wanted).map(|(_, sample)| sample).collect()
    };
    let tracks: Vec<(&Lane, Vec<&Sample>)> = (0..lanes.len()).map(|index| (&lanes[index], of_lane(index))).collect();
    let tracks: Vec<_> = tracks.into_iter().filter(|(_, samples)| !samples.is_empty()).collect();
    let head = MOOF_BYTES + tracks.iter().map(|(_, samples)| TRAF_BYTES + ENTRY_BYTES * samples.len()).sum::<usize>();
    let data = |samples: &[&Sample]| samples.iter().map(|sample| sample.size as usize).sum::<usize>();
    let mut out = Vec::with_capacity(head + 8 + tracks.iter().map(|(_, samples)| data(samples)).sum::<usize>());
    let mut offset = head + 8;
    boxed(&mut out, b"moof", |out| {
        boxed(out, b"mfhd", |out| words(out, &[0, sequence]));
        for (lane, samples) in &tracks {
            write_traf(out, lane, samples, offset as u32);
            offset += data(samples);
        }
    });
    boxed(&mut out, b"mdat", |out| {
        let samples = tracks.iter().flat_map(|(_, samples)| samples);
        samples.for_each(|sample| out.extend_from_slice(batch.bytes(sample, parts)));
    });
    let all = || batch.samples.iter().map(|(lane, sample)| (&lanes[*lane], sample));
    let start = all().map(|(lane, sample)| lane.pts(sample)).min().unwrap_or(0);
    let end = all().map(|(lane, sample)| lane.pts_end(sample)).max().unwrap_or(0);
    let time = |nanos: i64| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    Segment { bytes: out, start: time(start), end: time(end), timestamp_offset: None }
}

/// A track fragment whose bytes begin `offset` bytes behind the beginning of the `moof`.
fn write_traf(out: &mut Vec<u8>, lane: &Lane, samples: &[&Sample], offset: u32) {
    let dts = lane.delayed_dts(samples[0]);
    boxed(out, b"traf", |out| {
        // default-base-is-moof, and which description.
        boxed(out, b"tfhd", |out| words(out, &[0x2_0002, lane.track, samples[0].description]));
        boxed(out, b"tfdt", |out| words(out, &[1 << 24, (dts >> 32) as u32, dts as u32]));
        boxed(out, b"trun", |out| {
            // Version 1 has signed composition offsets; each entry has duration, size, flags and such an offset.
            words(out, &[1 << 24 | 0xF01, samples.len() as u32, offset]);
            for sample in samples {
                // Depends on nothing; or depends on others, and decoding can't start here.
                let flags = if sample.sync { 0x0200_0000 } else { 0x0101_0000 };
                words(out, &[sample.duration, sample.size, flags, sample.composition as u32]);
            }
        });
    });
}
