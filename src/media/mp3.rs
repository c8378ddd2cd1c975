//! MP3: frames as they are, for a SourceBuffer of type `audio/mpeg`, which counts time by itself.
//!
//! Invariant: what comes out is whole audio frames, and only those: no tags, no Xing or VBRI frame. After a seek the
//! first segment says which time it begins at: exact at a constant bit rate, else as good as the file's seek table.

use std::ops::Range;
use std::time::Duration;

use super::{Demand, Kind, MediaError, Opening, Segment, Track, choose};

/// Bytes of an ID3v2 header.
const TAG_BYTES: u64 = 10;
/// Bytes behind the tags in which the first frame must begin.
const FIRST_BYTES: u64 = 64 << 10;
/// Bytes read at once: the first time after a start or a seek, and then. Both hold many frames.
const CHUNK_BYTES: (u64, u64) = (16 << 10, 64 << 10);
/// How much earlier than wanted a seek starts: a frame may need bits of up to nine frames before it.
const PREROLL: Duration = Duration::from_millis(200);

/// A frame's header (ISO/IEC 11172-3 §2.4.1.3, 13818-3): layer III only, no free format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// MPEG-1; otherwise MPEG-2 or 2.5, whose frames have half as many samples.
    mpeg1: bool,
    mono: bool,
    /// Samples per second.
    sample_rate: u32,
    /// Bits per second.
    bit_rate: u32,
    padding: u32,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        const MPEG1: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const MPEG2: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let &[sync, kind, rates, mode, ..] = bytes else { return None };
        // 11 bits of sync; then the version, of which 1 is reserved; then the layer, of which III is 1.
        let version = kind >> 3 & 3;
        if sync != 0xFF || kind & 0xE0 != 0xE0 || version == 1 || kind >> 1 & 3 != 1 {
            return None;
        }
        let mpeg1 = version == 3;
        let rates_of_version = if mpeg1 { MPEG1 } else { MPEG2 };
        let kilobits = rates_of_version.get(usize::from(rates >> 4).checked_sub(1)?)?;
        let rate = [44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
        let sample_rate = match version {
            3 => *rate,
            2 => rate / 2,
            _ => rate / 4,
        };
        let padding = u32::from(rates >> 1 & 1);
        Some(Header { mpeg1, mono: mode >> 6 == 3, sample_rate, bit_rate: kilobits * 1000, padding })
    }

    /// Samples of a frame, for each channel.
    fn samples(&self) -> u32 {
        if self.mpeg1 { 1152 } else { 576 }
    }

    /// Bytes of the frame, header included; at least 24.
    fn bytes(&self) -> usize {
        (self.samples() / 8 * self.bit_rate / self.sample_rate + self.padding) as usize
    }

    /// Frames of one stream agree in these.
    fn goes_with(&self, other: &Header) -> bool {
        (self.mpeg1, self.sample_rate) == (other.mpeg1, other.sample_rate)
    }

    /// Where the Xing or Info tag is, if this is the frame that has it: behind the side information.
    fn tag_offset(&self) -> usize {
        match (self.mpeg1, self.mono) {
            (true, false) => 36,
            (true, true) | (false, false) => 21,
            (false, true) => 13,
        }
    }
}

/// Whether a file without tags begins with two frames.
pub(super) fn starts_with_frames(head: &[u8]) -> bool {
    first_frame(head).is_some_and(|(at, _)| at == 0)
}

/// The first frame that another follows, or that ends the bytes.
fn first_frame(bytes: &[u8]) -> Option<(usize, Header)> {
    (0..bytes.len()).find_map(|at| {
        let header = Header::read(&bytes[at..])?;
        let next = bytes.get(at + header.bytes()..)?;
        let follows = next.is_empty() || Header::read(next).is_some_and(|next| next.goes_with(&header));
        follows.then_some((at, header))
    })
}

/// What a Xing, Info or VBRI frame says about the whole file.
#[derive(Debug, Default)]
struct Summary {
    /// How many frames there are.
    frames: Option<u32>,
    /// For each hundredth of the time: where it is in the file, in 256ths of `bytes`.
    table: Option<[u8; 100]>,
    /// What the table counts in: bytes from that frame on.
    bytes: Option<u32>,
}

impl Summary {
    /// Reads the frame at the beginning of `frame`; `None` if it is sound.
    fn read(frame: &[u8], header: &Header) -> Option<Summary> {
        let word = |at: usize| frame.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let tag = header.tag_offset();
        match frame.get(tag..tag + 4)? {
            b"Xing" | b"Info" => {}
            _ if frame.get(36..40)? == b"VBRI" => {
                return Some(Summary { frames: word(50), bytes: word(46), table: None });
            }
            _ => return None,
        }
        let flags = word(tag + 4)?;
        let mut at = tag + 8;
        let mut summary = Summary::default();
        for (flag, slot) in [(1, &mut summary.frames), (2, &mut summary.bytes)] {
            if flags & flag != 0 {
                *slot = word(at);
                at += 4;
            }
        }
        // An Info frame says that the bit rate is constant: places are exact without the table.
        if flags & 4 != 0 && frame.get(tag..tag + 4)? == b"Xing" {
            summary.table = frame.get(at..).and_then(|rest| rest.first_chunk().copied());
        }
        Some(summary)
    }
}

/// An MP3 file.
#[derive(Debug)]
pub(super) struct Mp3 {
    /// Bytes of the file.
    length: u64,
    stage: Stage,
    tracks: Vec<Track>,
    /// Known from the first frame on.
    sound: Option<Sound>,
    chosen: bool,
    /// Where to start once the track is chosen.
    start: Duration,
    /// Frames before the next one.
    frame: u64,
    /// The next segment is the first after a start or a seek.
    fresh: bool,
}

/// What the first frame says.
#[derive(Debug)]
struct Sound {
    /// Where it begins, and where the first frame of sound does.
    tagged: u64,
    first: u64,
    header: Header,
    summary: Summary,
}

/// What is read next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// What may be the header of an ID3v2 tag.
    Tag(u64),
    /// What must hold the first frame.
    First(u64),
    Choice,
    /// Frames, from here on.
    Frames(u64),
    End,
}

impl Mp3 {
    pub(super) fn new(length: u64) -> Self {
        Mp3 {
            length,
            stage: Stage::Tag(0),
            tracks: Vec::new(),
            sound: None,
            chosen: false,
            start: Duration::ZERO,
            frame: 0,
            fresh: true,
        }
    }

    pub(super) fn demand(&self) -> Demand {
        let (at, bytes) = match self.stage {
            Stage::Tag(at) => (at, TAG_BYTES),
            Stage::First(at) => (at, FIRST_BYTES),
            Stage::Frames(at) => (at, if self.fresh { CHUNK_BYTES.0 } else { CHUNK_BYTES.1 }),
            Stage::Choice => return Demand::Choice,
            Stage::End => return Demand::Nothing,
        };
        Demand::one(at..at.saturating_add(bytes).min(self.length))
    }

    pub(super) fn supply(&mut self, parts: &[&[u8]]) -> Result<Vec<Segment>, MediaError> {
        let bytes = parts.first().copied().unwrap_or_default();
        match self.stage {
            Stage::Tag(at) => self.tag(at, bytes)?,
            Stage::First(at) => self.first(at, bytes)?,
            Stage::Frames(at) => return Ok(self.frames(at, bytes).into_iter().collect()),
            Stage::Choice | Stage::End => {}
        }
        Ok(Vec::new())
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        let sound = self.sound.as_ref()?;
        let bytes = self.length - sound.first;
        let estimate = || Duration::from_secs_f64(bytes as f64 * 8.0 / f64::from(sound.header.bit_rate));
        Some(sound.summary.frames.map_or_else(estimate, |frames| sound.time(u64::from(frames))))
    }

    pub(super) fn select(&mut self, playable: &[bool]) -> Result<Opening, MediaError> {
        choose(&self.tracks, playable)?;
        self.chosen = true;
        self.seek(self.start);
        Ok(Opening { mime: "audio/mpeg".to_owned(), init: Vec::new() })
    }

    pub(super) fn seek(&mut self, to: Duration) {
        self.start = to;
        let (Some(sound), true) = (&self.sound, self.chosen) else { return };
        let length = self.duration().unwrap_or_default();
        self.frame = sound.frame_at(to.min(length).saturating_sub(PREROLL));
        let at = sound.byte_of(self.frame, self.length, length);
        self.fresh = true;
        self.go_to(at);
    }

    pub(super) fn byte_at(&self, time: Duration) -> Option<u64> {
        let sound = self.sound.as_ref()?;
        let frame = sound.frame_at(time.saturating_sub(PREROLL));
        Some(sound.byte_of(frame, self.length, self.duration()?))
    }

    pub(super) fn hints(&self) -> Vec<Range<u64>> {
        Vec::new()
    }

    /// Reads frames from a place on, if there is room for one.
    fn go_to(&mut self, at: u64) {
        self.stage = if self.length.saturating_sub(at) < 4 { Stage::End } else { Stage::Frames(at) };
    }

    /// Skips an ID3v2 tag (id3.org, v2.4 §3.1): several may follow each other.
    fn tag(&mut self, at: u64, bytes: &[u8]) -> Result<(), MediaError> {
        self.stage = Stage::First(at);
        if let Some([b'I', b'D', b'3', _, _, flags, size @ ..]) = bytes.first_chunk::<10>() {
            let size = size.iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7F));
            let footer = if flags & 0x10 != 0 { TAG_BYTES } else { 0 };
            self.stage = Stage::Tag(at + TAG_BYTES + size + footer);
        }
        match self.stage {
            Stage::Tag(end) if end >= self.length => Err(MediaError::Broken("there is no sound behind its tags")),
            _ => Ok(()),
        }
    }

    /// Takes the bytes with the first frame.
    fn first(&mut self, at: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let (skipped, header) = first_frame(bytes).ok_or(MediaError::Broken("it has no MP3 frames"))?;
        let tagged = at + skipped as u64;
        let frame = &bytes[skipped..skipped + header.bytes()];
        let summary = Summary::read(frame, &header);
        let first = tagged + summary.as_ref().map_or(0, |_| frame.len() as u64);
        self.sound = Some(Sound { tagged, first, header, summary: summary.unwrap_or_default() });
        let mime = "audio/mpeg".to_owned();
        self.tracks = vec![Track { kind: Kind::Audio, mime, codec: "MP3".to_owned() }];
        self.stage = Stage::Choice;
        Ok(())
    }

    /// Takes the whole frames of a chunk that begins at `at`.
    fn frames(&mut self, at: u64, bytes: &[u8]) -> Option<Segment> {
        let sound = self.sound.as_ref()?;
        let last = at + bytes.len() as u64 >= self.length;
        let mut out = Vec::new();
        let (mut place, before) = (0, self.frame);
        while let Some(header) =
            bytes.get(place..).and_then(Header::read).filter(|header| header.goes_with(&sound.header))
            && let Some(frame) = bytes.get(place..place + header.bytes())
        {
            out.extend_from_slice(frame);
            place += frame.len();
            self.frame += 1;
        }
        let (start, end) = (sound.time(before), sound.time(self.frame));
        // No frame begins here: after a seek, or behind something foreign. Another may begin further on.
        if out.is_empty() {
            let near = bytes.get(1..).and_then(first_frame).map(|(skipped, _)| skipped + 1);
            match near {
                Some(skipped) => self.go_to(at + skipped as u64),
                None if last => self.stage = Stage::End,
                None => self.go_to(at + (bytes.len() as u64).saturating_sub(1441).max(1)),
            }
            return None;
        }
        self.go_to(at + place as u64);
        let timestamp_offset = std::mem::take(&mut self.fresh).then_some(start.as_micros() as i64);
        Some(Segment { bytes: out, start, end, timestamp_offset })
    }
}

impl Sound {
    /// When a frame begins.
    fn time(&self, frame: u64) -> Duration {
        let samples = u128::from(frame) * u128::from(self.header.samples());
        Duration::from_nanos((samples * 1_000_000_000 / u128::from(self.header.sample_rate)) as u64)
    }

    /// The frame at a time.
    fn frame_at(&self, time: Duration) -> u64 {
        let samples = time.as_nanos() * u128::from(self.header.sample_rate) / 1_000_000_000;
        (samples / u128::from(self.header.samples())) as u64
    }

    /// Where a frame begins, or a little before, in a file of `length` bytes that lasts `duration`.
    fn byte_of(&self, frame: u64, length: u64, duration: Duration) -> u64 {
        if frame == 0 {
            return self.first;
        }
        let spread = self.summary.bytes.map_or(length - self.tagged, u64::from).min(length - self.tagged);
        let sound = u128::from(spread.saturating_sub(self.first - self.tagged));
        let samples = u128::from(frame) * u128::from(self.header.samples());
        let bytes = match (self.summary.table, self.summary.frames) {
            (Some(table), Some(_)) => return self.tagged + share(spread, &table, self.time(frame), duration),
            (_, Some(frames)) => sound * u128::from(frame) / u128::from(frames.max(1)),
            (_, None) => samples * u128::from(self.header.bit_rate) / 8 / u128::from(self.header.sample_rate),
        };
        // Padding moves a frame by a byte or two: the search for it goes forward only.
        self.first + (bytes.min(sound) as u64).saturating_sub(4)
    }
}

/// How much of `spread` bytes is before a time, by a Xing table.
fn share(spread: u64, table: &[u8; 100], time: Duration, duration: Duration) -> u64 {
    let percent = (100.0 * time.as_secs_f64() / duration.as_secs_f64().max(1e-9)).clamp(0.0, 100.0);
    let at = (percent as usize).min(99);
    let (low, high) = (f64::from(table[at]), table.get(at + 1).map_or(256.0, |&next| f64::from(next)));
    (spread as f64 * (low + (high - low) * (percent - at as f64)).clamp(0.0, 256.0) / 256.0) as u64
}
