//! File bytes → segments that MediaSource plays.
//!
//! Invariant: this module sees byte ranges of one file and nothing else: no pieces, no peers, no clock. It never
//! reads beyond what it asked for, and what it emits re-parses to the samples it read.

mod error;
mod mp3;
mod mp4;
mod sniff;
mod webm;

use std::ops::Range;
use std::time::Duration;

pub use error::MediaError;
use mp3::Mp3;
use mp4::Mp4;
use sniff::Container;
use webm::Webm;

/// Video or audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One track of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Video or audio.
    pub kind: Kind,
    /// What to ask `MediaSource.isTypeSupported` about this track alone: `video/mp4; codecs="avc1.64001f"`.
    pub mime: String,
    /// The codec's name for a person: `HEVC (hvc1.1.6.L93.B0)`.
    pub codec: String,
}

/// What must be answered before more can come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// These byte ranges of the file, all of them at once, in this order → `Media::supply`. Never empty, each
    /// within the file, not empty itself.
    Bytes(Vec<Range<u64>>),
    /// Which tracks are playable → `Media::select`. `Media::tracks` and `Media::duration` answer from now on.
    Choice,
    /// Everything up to the end has come out. `Media::seek` starts again.
    Nothing,
}

impl Demand {
    /// A single range.
    pub(crate) fn one(range: Range<u64>) -> Demand {
        Demand::Bytes(std::iter::once(range).collect())
    }
}

/// What opens the SourceBuffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// For `MediaSource.addSourceBuffer`: the chosen tracks together.
    pub mime: String,
    /// The init segment; empty for formats that have none (MP3).
    pub init: Vec<u8>,
}

/// Playable bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// To be appended, in order and without gaps: it may go on where the one before it stopped (WebM).
    pub bytes: Vec<u8>,
    /// Presentation time of its first sample.
    pub start: Duration,
    /// Presentation time at which its last sample ends.
    pub end: Duration,
    /// Set `timestampOffset` to this many microseconds before appending (raw MP3).
    pub timestamp_offset: Option<i64>,
}

/// One file on its way to the player: say what is demanded, take what is supplied, give segments.
#[derive(Debug)]
pub struct Media {
    /// Bytes of the whole file.
    length: u64,
    /// The name suggests an index at the end of the file.
    tail_index: bool,
    /// Where to start, if that was said while the format was unknown.
    start: Duration,
    format: Format,
}

/// What the file turned out to be.
#[derive(Debug)]
enum Format {
    /// Its first bytes have not been seen.
    Unknown,
    Mp4(Box<Mp4>),
    Mp3(Box<Mp3>),
    Webm(Box<Webm>),
}

/// The same call for each format, or the given answer while the format is unknown.
macro_rules! each {
    ($format:expr, $unknown:expr, $inner:ident => $call:expr) => {
        match $format {
            Format::Unknown => $unknown,
            Format::Mp4($inner) => $call,
            Format::Mp3($inner) => $call,
            Format::Webm($inner) => $call,
        }
    };
}

impl Media {
    /// A file of `length` bytes. What it is shows in its first bytes; `name` only hints until they are there.
    pub fn open(name: &str, length: u64) -> Media {
        Media { length, tail_index: sniff::may_have_tail_index(name), start: Duration::ZERO, format: Format::Unknown }
    }

    /// What must happen for more to come out.
    pub fn demand(&self) -> Demand {
        match &self.format {
            // Nothing can be read of an empty file. It has no tracks either, and `select` says so.
            Format::Unknown if self.length == 0 => Demand::Choice,
            Format::Unknown => Demand::one(0..sniff::SNIFF_BYTES.min(self.length)),
            format => each!(format, unreachable!("matched above"), inner => inner.demand()),
        }
    }

    /// Answers a `Demand::Bytes`: the bytes of its ranges, in the same order. Gives what has become playable, in
    /// order; often nothing, as when an index was read.
    ///
    /// # Errors
    /// The file can't be played, or not any further. The `Media` is of no more use then.
    pub fn supply(&mut self, parts: &[&[u8]]) -> Result<Vec<Segment>, MediaError> {
        each!(&mut self.format, self.recognise(parts).map(|()| Vec::new()), inner => inner.supply(parts))
    }

    /// Every track, in file order. Empty before `Demand::Choice`.
    pub fn tracks(&self) -> &[Track] {
        each!(&self.format, &[], inner => inner.tracks())
    }

    /// Length of the presentation, where the file says so.
    pub fn duration(&self) -> Option<Duration> {
        each!(&self.format, None, inner => inner.duration())
    }

    /// Answers `Demand::Choice`: which of `tracks` the browser can play. Takes the first such video track and the
    /// first such audio track.
    ///
    /// # Errors
    /// `UnsupportedCodec` when there is none; it names what there is.
    pub fn select(&mut self, playable: &[bool]) -> Result<Opening, MediaError> {
        each!(&mut self.format, Err(MediaError::UnsupportedCodec(Vec::new())), inner => inner.select(playable))
    }

    /// Goes on from the last point at or before `to` where decoding can start. Before `Demand::Choice` is answered
    /// it sets where the first segment starts.
    pub fn seek(&mut self, to: Duration) {
        each!(&mut self.format, self.start = to, inner => inner.seek(to));
    }

    /// About where in the file the bytes of a time are, as far as that is known.
    pub fn byte_at(&self, time: Duration) -> Option<u64> {
        each!(&self.format, None, inner => inner.byte_at(time))
    }

    /// Ranges that are likely to be demanded later: an index at the end of the file. Worth fetching early.
    pub fn hints(&self) -> Vec<Range<u64>> {
        match &self.format {
            Format::Unknown if self.tail_index => mp4::tail_hint(self.length),
            format => each!(format, Vec::new(), inner => inner.hints()),
        }
    }

    /// Reads the first bytes.
    fn recognise(&mut self, parts: &[&[u8]]) -> Result<(), MediaError> {
        let head = parts.first().copied().unwrap_or_default();
        self.format = match sniff::container(head) {
            Container::Mp4 => Format::Mp4(Box::new(Mp4::new(self.length))),
            Container::Mp3 => Format::Mp3(Box::new(Mp3::new(self.length))),
            Container::Webm => Format::Webm(Box::new(Webm::new(self.length))),
            Container::Other(name) => return Err(MediaError::UnsupportedContainer(name)),
        };
        self.seek(self.start);
        Ok(())
    }
}

/// The tracks to play: the first playable video and the first playable audio, as indices in `tracks`, video first.
///
/// # Errors
/// `UnsupportedCodec` when there is none; it names what there is.
pub(crate) fn choose(tracks: &[Track], playable: &[bool]) -> Result<Vec<usize>, MediaError> {
    let first = |kind: Kind| tracks.iter().zip(playable).position(|(track, &playable)| playable && track.kind == kind);
    let chosen: Vec<usize> = [first(Kind::Video), first(Kind::Audio)].into_iter().flatten().collect();
    if chosen.is_empty() {
        return Err(MediaError::UnsupportedCodec(tracks.iter().map(|track| track.codec.clone()).collect()));
    }
    Ok(chosen)
}
