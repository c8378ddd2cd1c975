//! Which packets go out, and in what portions.
//!
//! Invariant: nothing comes out before a frame from which its track can be decoded; after that, every packet comes out
//! once, in order. A segment never waits for more than `LIMITS` of time, bytes or packets.

use std::time::Duration;

use super::demux::Packet;
use super::mux;
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

/// Collects packets into segments.
#[derive(Debug)]
pub(super) struct Cutter {
    scale: u64,
    lead: u64,
    lead_from: i64,
    others_from: i64,
    open: bool,
    first: bool,
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
        let (pending, bytes, low, high) = (Vec::new(), 0, i64::MAX, 0);
        Self { scale, lead, lead_from, others_from, open: false, first: true, pending, bytes, low, high }
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
        if full { self.flush() } else { None }
    }

    /// Gives what is pending.
    pub(super) fn flush(&mut self) -> Option<Segment> {
        if self.pending.is_empty() {
            return None;
        }
        let bytes = mux::clusters(&self.pending);
        let (start, end) = (duration(self.low, self.scale), duration(self.high, self.scale));
        self.pending.clear();
        (self.first, self.bytes, self.low, self.high) = (false, 0, i64::MAX, 0);
        Some(Segment { bytes, start, end, timestamp_offset: None })
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
