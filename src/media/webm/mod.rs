//! WebM, and Matroska that holds the same codecs: file bytes → Clusters in small portions (RFC 9559, WebM Byte Stream Format).
//!
//! ```text
//! Head ─▶ Choice ─▶ Enter ─▶ Play ─▶ End        seek: ─▶ Locate (Cues) ─▶ Enter, or ─▶ Search (bisect) ─▶ Enter
//! ```
//!
//! Invariant: after `supply` and `seek` the stage is either one that bytes can be asked for, or `Choice`, or `End`.

mod block;
mod codec;
mod cut;
mod demux;
mod ebml;
mod head;
mod ids;
mod index;
mod mux;
mod reader;
mod search;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use codec::Entry;
use cut::Cutter;
use demux::Demuxer;
use ebml::Malformed;
use head::Head;
use index::{Index, Point};
use reader::{CHUNK_BYTES, Reader, Step};
use search::Search;

use super::{Demand, Kind, MediaError, Opening, Segment, Track, choose};

/// Longest Cues that are read (threat-model.md M6): half a million points. Without, a seek bisects.
const CUES_BYTES_MAX: u64 = 8 << 20;
/// What is hinted at where Cues are known to start: they hold a few hundred points an hour.
const HINT_BYTES: u64 = 64 << 10;
/// Places looked at for Cues, so that SeekHeads that point at one another end.
const LEADS_SEEN_MAX: usize = 16;

impl From<Malformed> for MediaError {
    fn from(Malformed(what): Malformed) -> Self {
        MediaError::Broken(what)
    }
}

/// A WebM file on its way to the player.
#[derive(Debug)]
pub(crate) struct Webm {
    reader: Reader,
    stage: Stage,
    head: Head,
    tracks: Vec<Track>,
    index: Index,
    leads_seen: BTreeSet<u64>,
    /// Where to play from.
    target: Duration,
    /// The tracks that were chosen; before that, none.
    play: Option<Playing>,
}

/// What the bytes to come are for.
#[derive(Debug)]
enum Stage {
    /// Up to the first Cluster.
    Head,
    /// The caller's turn.
    Choice,
    /// Reading what may be Cues, at this offset.
    Locate(u64),
    /// Looking for the target without Cues.
    Search(Box<Search>),
    /// A Cluster is said to start here.
    Enter(Point),
    /// In the Clusters.
    Play,
    /// All has come out.
    End,
}

/// What is played, and how far.
#[derive(Debug)]
struct Playing {
    /// The track whose key frames count: the video, else the audio.
    lead: u64,
    lead_kind: Kind,
    demuxer: Demuxer,
    cutter: Cutter,
}

impl Webm {
    /// A file of `length` bytes that begins like EBML.
    pub(crate) fn new(length: u64) -> Self {
        Self {
            reader: Reader::new(length),
            stage: Stage::Head,
            head: Head::new(),
            tracks: Vec::new(),
            index: Index::default(),
            leads_seen: BTreeSet::new(),
            target: Duration::ZERO,
            play: None,
        }
    }

    /// See `Media::demand`.
    pub(crate) fn demand(&self) -> Demand {
        match self.stage {
            Stage::Choice => Demand::Choice,
            Stage::End => Demand::Nothing,
            _ => self.reader.demand(CHUNK_BYTES).map_or(Demand::Nothing, Demand::one),
        }
    }

    /// See `Media::supply`.
    pub(crate) fn supply(&mut self, parts: &[&[u8]]) -> Result<Vec<Segment>, MediaError> {
        let mut out = Vec::new();
        self.reader.supply(parts.first().copied().unwrap_or_default());
        loop {
            match self.step(&mut out)? {
                Step::On => {}
                Step::Starved if !self.reader.exhausted() => break,
                // The end of the file is the end of the Segment, however much longer it claims to be.
                Step::Starved | Step::Done => self.finish(&mut out)?,
            }
            if matches!(self.stage, Stage::Choice | Stage::End) {
                break;
            }
        }
        Ok(out)
    }

    /// See `Media::tracks`.
    pub(crate) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// See `Media::duration`.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.head.duration()
    }

    /// See `Media::select`.
    pub(crate) fn select(&mut self, playable: &[bool]) -> Result<Opening, MediaError> {
        let entries = &self.head.entries;
        let playable: Vec<bool> =
            playable.iter().zip(entries).map(|(playable, entry)| *playable && entry.codec.is_some()).collect();
        let chosen: Vec<&Entry> = choose(&self.tracks, &playable)?.into_iter().map(|i| &entries[i]).collect();
        let codecs: Vec<&str> = chosen.iter().filter_map(|entry| entry.codec.as_deref()).collect();
        let raw: Vec<&[u8]> = chosen.iter().map(|entry| &entry.raw[..]).collect();
        let (lead, lead_kind) = (chosen[0].number, chosen[0].track.kind);
        let opening = Opening {
            mime: codec::mime(lead_kind, &codecs.join(", ")),
            init: mux::init(self.head.scale, self.head.ticks, &raw),
        };
        let tracks = chosen.iter().map(|entry| (entry.number, entry.frame));
        let demuxer = Demuxer::new(self.head.scale, self.head.segment_end, tracks);
        self.play = Some(Playing { lead, lead_kind, demuxer, cutter: Cutter::new(self.head.scale, lead, 0) });
        self.depart();
        Ok(opening)
    }

    /// See `Media::seek`.
    pub(crate) fn seek(&mut self, to: Duration) {
        self.target = to;
        if self.play.is_some() {
            self.depart();
        }
    }

    /// See `Media::byte_at`.
    pub(crate) fn byte_at(&self, time: Duration) -> Option<u64> {
        let first = self.first_point()?;
        let ticks = cut::ticks(time, self.head.scale);
        let lo = self.index.before(ticks).unwrap_or(first);
        let (hi, hi_ticks) = self.upper_bound(ticks);
        // Behind what is known of a file that doesn't say how long it is.
        let Some(hi_ticks) = hi_ticks else { return Some(lo.at) };
        let span = u128::from(hi_ticks.abs_diff(lo.ticks)).max(1);
        let ahead = u128::from(ticks.min(hi_ticks).abs_diff(lo.ticks)) * u128::from(hi.saturating_sub(lo.at)) / span;
        u64::try_from(ahead).ok().map(|ahead| lo.at.saturating_add(ahead).min(hi))
    }

    /// See `Media::hints`.
    pub(crate) fn hints(&self) -> Vec<Range<u64>> {
        let length = self.reader.length();
        let lead = if self.index.complete { None } else { self.next_lead() };
        lead.map(|at| at..at.saturating_add(HINT_BYTES).min(length)).into_iter().collect()
    }

    /// Deals with the next element.
    fn step(&mut self, out: &mut Vec<Segment>) -> Result<Step, MediaError> {
        match &mut self.stage {
            Stage::Head => self.head.step(&mut self.reader),
            Stage::Locate(_) => Ok(self.locate()),
            Stage::Search(search) => Ok(search.step(&mut self.reader)),
            Stage::Enter(point) => {
                let point = *point;
                self.enter(point)
            }
            Stage::Play => self.play(out),
            Stage::Choice | Stage::End => Ok(Step::Done),
        }
    }

    /// Deals with the end of a stage, or of the file.
    fn finish(&mut self, out: &mut Vec<Segment>) -> Result<(), MediaError> {
        match &mut self.stage {
            Stage::Head => {
                if self.head.clusters == 0 {
                    return Err(MediaError::Broken("it ends before its first picture or sound"));
                }
                self.tracks = self.head.entries.iter().map(|entry| entry.track.clone()).collect();
                self.stage = Stage::Choice;
            }
            Stage::Locate(at) => {
                self.leads_seen.insert(*at);
                self.depart();
            }
            Stage::Search(search) => {
                let point = search.point();
                self.enter_at(point);
            }
            Stage::Enter(_) if self.index.complete => self.distrust_cues(),
            Stage::Enter(_) | Stage::Play => {
                out.extend(self.play.as_mut().and_then(|play| play.cutter.finish()));
                self.stage = Stage::End;
            }
            Stage::Choice | Stage::End => {}
        }
        Ok(())
    }

    /// Sets out for the target by the best way there is.
    fn depart(&mut self) {
        let (Some(play), Some(first)) = (&self.play, self.first_point()) else { return };
        let target = cut::ticks(self.target, self.head.scale);
        if target == 0 {
            self.enter_at(first);
        } else if self.index.complete {
            self.enter_at(self.index.before(target).unwrap_or(first));
        } else if let Some(lead) = self.next_lead() {
            self.reader.restart(lead);
            self.stage = Stage::Locate(lead);
        } else {
            let lo = self.index.before(target).unwrap_or(first);
            let hi = self.upper_bound(target);
            let search = Search::new(&mut self.reader, target, play.lead, lo, hi, &play.demuxer);
            self.stage = Stage::Search(Box::new(search));
        }
    }

    /// Reads what may be Cues, or a SeekHead that knows them. Whatever else it is, there is another way.
    fn locate(&mut self) -> Step {
        let segment = self.head.segment.unwrap_or(0);
        let element = match self.reader.element() {
            Ok(Some(element)) => element,
            Ok(None) => return Step::Starved,
            Err(_) => return Step::Done,
        };
        if !matches!(element.id, ids::CUES | ids::SEEK_HEAD) {
            return Step::Done;
        }
        let body = match self.reader.body(&element, CUES_BYTES_MAX) {
            Ok(Some(body)) => body,
            Ok(None) => return Step::Starved,
            Err(_) => return Step::Done,
        };
        if element.id == ids::SEEK_HEAD {
            let leads = head::leads(body, segment).unwrap_or_default();
            self.head.leads.extend(leads);
        } else if let Some(play) = &self.play
            && let Ok(index) = Index::from_cues(body, segment, self.head.segment_end, play.lead)
        {
            self.index = index;
        }
        Step::Done
    }

    /// Goes to where a Cluster is said to start.
    fn enter_at(&mut self, point: Point) {
        let Some(play) = &mut self.play else { return };
        let target = cut::ticks(self.target, self.head.scale);
        // Sound can start anywhere.
        let settled = target.saturating_sub(cut::ticks(cut::PREROLL, self.head.scale));
        let from = if play.lead_kind == Kind::Audio { point.ticks.max(settled) } else { point.ticks };
        play.cutter = Cutter::new(self.head.scale, play.lead, from);
        play.demuxer = play.demuxer.fresh();
        self.reader.restart(point.at);
        self.stage = Stage::Enter(point);
    }

    /// Sees whether a Cluster starts here; if not, the Cues lied, and the target is looked for without them.
    fn enter(&mut self, point: Point) -> Result<Step, MediaError> {
        let is_cluster = match self.reader.element() {
            Ok(None) => return Ok(Step::Starved),
            Ok(Some(element)) => element.id == ids::CLUSTER && element.at == point.at,
            Err(_) => false,
        };
        if is_cluster {
            self.stage = Stage::Play;
        } else if self.index.complete {
            self.distrust_cues();
        } else {
            return Err(MediaError::Broken("a Cluster is missing"));
        }
        Ok(Step::On)
    }

    fn distrust_cues(&mut self) {
        self.index = Index::default();
        self.depart();
    }

    /// Reads an element of the Clusters.
    fn play(&mut self, out: &mut Vec<Segment>) -> Result<Step, MediaError> {
        let Some(play) = &mut self.play else { return Ok(Step::Done) };
        let mut packets = Vec::new();
        let step = play.demuxer.step(&mut self.reader, &mut packets)?;
        for packet in packets {
            if packet.track == play.lead && packet.is_key() {
                play.demuxer.point(&packet).into_iter().for_each(|point| self.index.learn(point));
            }
            out.extend(play.cutter.push(packet));
        }
        Ok(step)
    }

    /// Where the first Cluster starts, once that is known.
    fn first_point(&self) -> Option<Point> {
        (self.head.clusters > 0).then_some(Point { ticks: 0, at: self.head.clusters })
    }

    /// An offset that lies behind a time, and its own time if that is known.
    fn upper_bound(&self, ticks: i64) -> (u64, Option<i64>) {
        match self.index.after(ticks) {
            Some(point) => (point.at, Some(point.ticks)),
            None => (self.head.segment_end, self.head.ticks.map(|ticks| ticks as i64)),
        }
    }

    /// A place to look for Cues at that was not looked at yet.
    fn next_lead(&self) -> Option<u64> {
        let fresh = |at: &&u64| **at < self.head.segment_end && !self.leads_seen.contains(at);
        self.head.leads.iter().find(fresh).copied().filter(|_| self.leads_seen.len() < LEADS_SEEN_MAX)
    }
}
