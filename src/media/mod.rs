//! File bytes → segments that MediaSource plays.
//!
//! Invariant: this module sees byte ranges of one file and nothing else: no pieces, no peers, no clock. It never
//! reads beyond what it asked for, and what it emits re-parses to the samples it read.

use std::ops::Range;
use std::time::Duration;

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
    /// To be appended.
    pub bytes: Vec<u8>,
    /// Presentation time of its first sample.
    pub start: Duration,
    /// Presentation time at which its last sample ends.
    pub end: Duration,
    /// Set `timestampOffset` to this many microseconds before appending (raw MP3).
    pub timestamp_offset: Option<i64>,
}
