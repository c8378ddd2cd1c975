//! Which packets go out, and in what portions.
//!
//! Invariant: nothing comes out before a frame from which its track can be decoded; after that, every packet comes out
//! once, in the order of time. A segment waits for no more than `LIMITS` of time, bytes or packets.

use std::time::Duration;

use super::demux::Packet;
use super::mux::Muxer;
use crate::media::Segment;

/// How much sound is let out before the picture: Opus decoders need 80 ms to settle (RFC 7845 §4.6), and a frame that
/// reaches over the start belongs to it.
pub(super) const PREROLL: Duration = Duration::from_millis(80);

/// Where a segment ends.
struct Limits {
    span: Duration,
    bytes: usize,
    packets: usize,
}

/// The first segment: what shows a picture soon.
const LIMITS_FIRST: Limits = Limits { span: Duration::from_millis(500), bytes: 256 << 10, packets: 1024 };
/// Later ones: fewer, so that appending is cheap.
const LIMITS: Limits = Limits { span: Duration::from_secs(1), bytes: 1 << 20, packets: 1024 };

/// A Cluster ends at the first key frame after this long, well before its 16 bits of relative time run out.
const CLUSTER_SPAN: Duration = Duration::from_secs(5);

/// Collects packets into segments.
#[derive(Debug)]
pub(super) struct Cutter {
    scale: u64,
    lead: u64,
    lead_from: i64,
    others_from: i64,
    open: bool,
    first: bool,
    muxer: Muxer,
    pending: Vec<Packet>,
    /// What `pending` comes to: bytes of frames, first presentation, last one's end.
    bytes: usize,
    low: i64,
    high: i64,
}

impl Cutter {
    /// Starts at the first key frame of track `lead` at or after `from` ticks; `scale` nanoseconds a tick.
    pub(super) fn new(scale: u64, lead: u64, from: i64) -> Self {
        let others_from = from.saturating_sub(ticks(PREROLL, scale)).max(0);
        // One tick early: muxers round a cue and its block each on its own.
        let lead_from = from.saturating_sub(1).max(0);
        let muxer = Muxer::new(lead, ticks(CLUSTER_SPAN, scale));
        let (pending, bytes, low, high) = (Vec::new(), 0, i64::MAX, 0);
        Self { scale, lead, lead_from, others_from, open: false, first: true, muxer, pending, bytes, low, high }
    }

    /// Adds a packet; gives a segment when there is enough.
    pub(super) fn push(&mut self, packet: Packet) -> Option<Segment> {
        if !self.admits(&packet) {
            return None;
        }
        self.bytes += packet.bytes.len();
        self.low = self.low.min(packet.pts);
        self.high = self.high.max(packet.pts.saturating_add(packet.span));
        self.pending.push(packet);
        let limits = if self.first { LIMITS_FIRST } else { LIMITS };
        let full = self.high.saturating_sub(self.low) >= ticks(limits.span, self.scale)
            || self.bytes >= limits.bytes
            || self.pending.len() >= limits.packets;
        full.then(|| self.emit())
    }

    /// Gives what is pending, and ends the Cluster.
    pub(super) fn finish(&mut self) -> Option<Segment> {
        if self.pending.is_empty() {
            return None;
        }
        let mut segment = self.emit();
        self.muxer.finish(&mut segment.bytes);
        Some(segment)
    }

    fn emit(&mut self) -> Segment {
        // WebM's blocks come in the order of time, over all tracks; Matroska's may not.
        self.pending.sort_by_key(|packet| packet.pts);
        let bytes = self.muxer.write(&self.pending);
        let (start, end) = (duration(self.low, self.scale), duration(self.high, self.scale));
        self.pending.clear();
        (self.first, self.bytes, self.low, self.high) = (false, 0, i64::MAX, 0);
        Segment { bytes, start, end, timestamp_offset: None }
    }

    fn admits(&mut self, packet: &Packet) -> bool {
        if packet.track != self.lead {
            return packet.pts >= self.others_from;
        }
        self.open |= packet.is_key() && packet.pts >= self.lead_from;
        // What lies before zero can't be presented.
        self.open && packet.pts >= 0
    }
}

/// A duration in ticks, rounded down.
pub(super) fn ticks(duration: Duration, scale: u64) -> i64 {
    i64::try_from(duration.as_nanos() / u128::from(scale.max(1))).unwrap_or(i64::MAX)
}

/// Ticks as a duration; before zero is zero.
fn duration(ticks: i64, scale: u64) -> Duration {
    let nanos = u128::from(ticks.max(0).unsigned_abs()) * u128::from(scale);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::block::KEYFRAME;
    use super::*;

    fn packet(track: u64, pts: i64, flags: u8) -> Packet {
        Packet { track, pts, span: 20, flags, side: Vec::new(), bytes: vec![7; 10] }
    }

    #[test]
    fn time_is_put_in_order() {
        let mut cutter = Cutter::new(1_000_000, 1, 0);
        for pts in [0, 40, 80, 120] {
            assert_eq!(cutter.push(packet(1, pts, KEYFRAME)), None);
        }
        cutter.push(packet(2, 60, KEYFRAME));
        let bytes = cutter.finish().expect("a segment").bytes;
        let stamps: Vec<u8> = bytes.windows(4).filter(|block| block[0] == 0xA3).map(|block| block[2]).collect();
        assert_eq!(stamps, [0x81, 0x81, 0x82, 0x81, 0x81]);
    }

    #[test]
    fn it_starts_at_the_key_frame_that_is_wanted() {
        let mut cutter = Cutter::new(1_000_000, 1, 1000);
        cutter.push(packet(2, 900, KEYFRAME));
        cutter.push(packet(2, 930, KEYFRAME));
        cutter.push(packet(1, 960, KEYFRAME));
        cutter.push(packet(1, 1000, 0));
        assert_eq!(cutter.pending.len(), 1, "sound a little before");
        cutter.push(packet(1, 1040, KEYFRAME));
        cutter.push(packet(1, 1080, 0));
        assert_eq!(cutter.pending.len(), 3);
    }
}
