//! Finding a time in a file without Cues: bisect, reading a little at each probe.
//!
//! Invariant: `lo` starts at or before the target and `hi` after it; every probe brings them closer together, and
//! together they read no more than a fixed number of bytes (threat-model.md M6). Whatever the bytes, the answer is a
//! place where a Cluster was seen.

use super::demux::{Demuxer, Packet};
use super::ebml;
use super::ids;
use super::index::Point;
use super::reader::{CHUNK_BYTES, Reader, Step};

/// Bytes one probe reads before it counts as having found nothing.
const PROBE_BYTES_MAX: u64 = 8 << 20;
/// Bytes the whole search reads before it settles for what it has.
const SEARCH_BYTES_MAX: u64 = 32 << 20;
/// Probes before it settles for what it has.
const PROBES_MAX: u32 = 64;
/// Closer than this, reading on from `lo` beats another jump.
const NEAR_BYTES: u64 = 256 << 10;
/// Bytes of a Cluster's ID: the next one starts behind them.
const ID_BYTES: u64 = 4;

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    target: i64,
    lead: u64,
    lo: Point,
    hi: u64,
    hi_ticks: Option<i64>,
    probe: u64,
    probes: u32,
    probe_limit: u64,
    search_limit: u64,
    fresh: Demuxer,
    /// The Cluster the probe has found, and its reader; `None` while looking for one.
    found: Option<(u64, Demuxer)>,
}

impl Search {
    /// Looks for the last key frame of track `lead` at or before `target` ticks, between `lo` and `hi` (an offset, and
    /// its ticks if they are known). The reader is moved to where the first probe begins.
    pub(super) fn new(
        reader: &mut Reader,
        target: i64,
        lead: u64,
        lo: Point,
        (hi, hi_ticks): (u64, Option<i64>),
        demuxer: &Demuxer,
    ) -> Self {
        let search_limit = reader.taken().saturating_add(SEARCH_BYTES_MAX);
        let fresh = demuxer.fresh();
        let mut search = Self {
            target,
            lead,
            lo,
            hi,
            hi_ticks,
            probe: 0,
            probes: 0,
            probe_limit: 0,
            search_limit,
            fresh,
            found: None,
        };
        reader.restart(lo.at);
        search.aim(reader);
        search
    }

    /// The best place found.
    pub(super) fn point(&self) -> Point {
        self.lo
    }

    /// Goes on; `Done` when `point` is the answer.
    pub(super) fn step(&mut self, reader: &mut Reader) -> Step {
        if self.over(reader) {
            return Step::Done;
        }
        if reader.at() >= self.hi {
            return self.narrow(reader, None);
        }
        let step = match &mut self.found {
            None => self.scan(reader),
            Some(_) => self.read(reader),
        };
        if step == Step::Starved && !self.affords(reader) { self.narrow(reader, None) } else { step }
    }

    /// Whether there is more to read, and no more than a probe may: what only looked like a block may claim to be long.
    fn affords(&self, reader: &Reader) -> bool {
        let next = reader.demand(CHUNK_BYTES).map(|range| range.end - range.start);
        next.is_some_and(|bytes| reader.taken().saturating_add(bytes) <= self.probe_limit)
    }

    fn over(&self, reader: &Reader) -> bool {
        self.hi <= self.lo.at.saturating_add(ID_BYTES)
            || self.probes > PROBES_MAX
            || reader.taken() >= self.search_limit
    }

    /// Looks for what must be the start of a Cluster.
    fn scan(&mut self, reader: &mut Reader) -> Step {
        let (start, rest, id) = (reader.at(), reader.rest(), ids::CLUSTER.to_be_bytes());
        let Some(skip) = rest.windows(id.len()).position(|window| window == id) else {
            let searched = rest.len().saturating_sub(id.len() - 1);
            reader.jump(start + searched as u64);
            return Step::Starved;
        };
        let at = start + skip as u64;
        reader.jump(at);
        match looks_like_cluster(reader.rest()) {
            None => return Step::Starved,
            Some(true) => self.found = Some((at, self.fresh.fresh())),
            Some(false) => reader.jump(at + ID_BYTES),
        }
        Step::On
    }

    /// Reads on in the Cluster found, up to a key frame of the leading track.
    fn read(&mut self, reader: &mut Reader) -> Step {
        let Some((at, demuxer)) = &mut self.found else { return Step::On };
        let mut packets = Vec::new();
        match demuxer.step(reader, &mut packets) {
            Ok(Step::On) => {
                let key = |packet: &&Packet| packet.track == self.lead && packet.is_key();
                let point = packets.iter().find(key).and_then(|packet| demuxer.point(packet));
                if point.is_some() { self.narrow(reader, point) } else { Step::On }
            }
            Ok(Step::Starved) => Step::Starved,
            Ok(Step::Done) => self.narrow(reader, None),
            Err(_) => {
                // It only looked like a Cluster.
                reader.jump(*at + ID_BYTES);
                self.found = None;
                Step::On
            }
        }
    }

    /// Ends a probe: the first point behind its start is `point`, or there is none.
    fn narrow(&mut self, reader: &mut Reader, point: Option<Point>) -> Step {
        match point.filter(|point| point.at < self.hi) {
            Some(point) if point.ticks <= self.target => self.lo = point,
            point => {
                self.hi = self.probe;
                self.hi_ticks = point.map(|point| point.ticks).or(self.hi_ticks);
            }
        }
        self.aim(reader);
        Step::On
    }

    /// Begins a probe.
    fn aim(&mut self, reader: &mut Reader) {
        let least = self.lo.at.saturating_add(ID_BYTES);
        let span = self.hi.saturating_sub(self.lo.at);
        let between = self.hi_ticks.filter(|&hi| hi > self.lo.ticks && hi > self.target);
        self.probe = match between {
            _ if span <= NEAR_BYTES => least,
            Some(hi) if self.probes.is_multiple_of(2) => {
                let ahead = u128::from(self.target.abs_diff(self.lo.ticks)) * u128::from(span);
                let guess = self.lo.at + (ahead / u128::from(hi.abs_diff(self.lo.ticks))) as u64;
                guess.saturating_sub(NEAR_BYTES / 2).max(least)
            }
            _ => self.lo.at + span / 2,
        };
        self.probes += 1;
        self.found = None;
        self.probe_limit = reader.taken().saturating_add(PROBE_BYTES_MAX);
        reader.jump(self.probe);
    }
}

/// Whether a Cluster's ID is followed by what follows one; `None` when more bytes are needed to tell.
fn looks_like_cluster(bytes: &[u8]) -> Option<bool> {
    let header = match ebml::header(bytes) {
        Ok(header) => header?,
        Err(_) => return Some(false),
    };
    let child = u32::from(*bytes.get(header.len)?);
    Some(matches!(child, ids::TIMESTAMP | ids::CRC_32 | ids::VOID | ids::POSITION | ids::PREV_SIZE))
}
