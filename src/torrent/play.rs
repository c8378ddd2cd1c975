//! One file being played: what the media module demands, taken from verified pieces, handed to the player.
//!
//! Invariant: only verified bytes reach `Media`; no more is handed over than the player should hold ahead.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::content::{Availability, Content};
use crate::ids::{PlayId, TorrentId};
use crate::limits::Limits;
use crate::media::{Demand, Media, MediaError, Segment};
use crate::output::{Action, Event, Output};

/// A player with less than this ahead will soon stand still.
const STARVING: Duration = Duration::from_secs(1);

/// Where a play stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The tracks are not known yet.
    Opening,
    /// The browser is asked which tracks it can play.
    Choosing,
    /// Segments flow.
    Flowing,
    /// Everything to the end was handed over.
    Ended,
    /// It can't go on.
    Failed,
}

/// One file being played.
#[derive(Debug)]
pub(super) struct Play {
    id: PlayId,
    /// The file's bytes in the content.
    file: Range<u64>,
    media: Media,
    phase: Phase,
    generation: u32,
    position: Duration,
    /// End of what was handed over in this generation.
    handed_to: Duration,
    /// Segments handed over that the player has not passed: end and bytes.
    ahead: VecDeque<(Duration, usize)>,
    /// End of the last demand, in the file: what comes next is near it.
    cursor: u64,
}

impl Play {
    pub(super) fn new(id: PlayId, name: &str, file: Range<u64>) -> Self {
        let media = Media::open(name, file.end - file.start);
        Self {
            id,
            file,
            media,
            phase: Phase::Opening,
            generation: 0,
            position: Duration::ZERO,
            handed_to: Duration::ZERO,
            ahead: VecDeque::new(),
            cursor: 0,
        }
    }

    /// The browser answered which tracks it can play.
    pub(super) fn choose(&mut self, playable: &[bool], out: &mut Vec<Output>) {
        if self.phase != Phase::Choosing {
            return;
        }
        match self.media.select(playable) {
            Ok(opening) => {
                self.phase = Phase::Flowing;
                out.push(Output::Do(Action::OpenBuffer { play: self.id, mime: opening.mime }));
                if !opening.init.is_empty() {
                    self.append(opening.init, None, out);
                }
            }
            Err(error) => self.fail(&error, out),
        }
    }

    /// The player stands here.
    pub(super) fn moved(&mut self, time: Duration) {
        self.position = time;
        let behind = |(end, _): &(Duration, usize)| *end <= time;
        while self.ahead.front().is_some_and(behind) {
            self.ahead.pop_front();
        }
    }

    /// The user jumped.
    pub(super) fn seek(&mut self, to: Duration) {
        if self.phase == Phase::Failed {
            return;
        }
        self.generation += 1;
        self.position = to;
        self.handed_to = to;
        self.ahead.clear();
        self.media.seek(to);
        if self.phase == Phase::Ended {
            self.phase = Phase::Flowing;
        }
    }

    /// Hands over as much as may be and is there.
    pub(super) fn advance(
        &mut self,
        torrent: TorrentId,
        content: &mut Content,
        limits: &Limits,
        out: &mut Vec<Output>,
    ) {
        while self.wants_more(limits) {
            match self.media.demand() {
                Demand::Bytes(ranges) => match self.take(&ranges, torrent, content, out) {
                    Some(parts) => self.supply(&parts, out),
                    None => return,
                },
                Demand::Choice => {
                    self.phase = Phase::Choosing;
                    let (tracks, duration) = (self.media.tracks().to_vec(), self.media.duration());
                    out.push(Output::Do(Action::OpenMedia { play: self.id, tracks, duration }));
                }
                Demand::Nothing => {
                    self.phase = Phase::Ended;
                    out.push(Output::Do(Action::EndMedia { play: self.id, generation: self.generation }));
                }
            }
        }
    }

    fn wants_more(&self, limits: &Limits) -> bool {
        match self.phase {
            Phase::Opening => true,
            Phase::Flowing => {
                let bytes: usize = self.ahead.iter().map(|(_, bytes)| bytes).sum();
                self.handed_to.saturating_sub(self.position) < limits.play_ahead && bytes < limits.play_ahead_bytes
            }
            Phase::Choosing | Phase::Ended | Phase::Failed => false,
        }
    }

    /// The demanded bytes, if all are here. What is only stored gets loaded.
    fn take(
        &mut self,
        ranges: &[Range<u64>],
        torrent: TorrentId,
        content: &mut Content,
        out: &mut Vec<Output>,
    ) -> Option<Vec<Vec<u8>>> {
        self.cursor = ranges.last().map_or(self.cursor, |range| range.end);
        let mut all_here = true;
        for range in ranges.iter().map(|range| self.in_content(range)) {
            match content.availability(&range) {
                Availability::Here => continue,
                Availability::Stored(pieces) => pieces.iter().for_each(|piece| content.load(torrent, *piece, out)),
                Availability::Missing => {}
            }
            all_here = false;
        }
        if !all_here {
            return None;
        }
        ranges.iter().map(|range| content.read(&self.in_content(range))).collect()
    }

    fn supply(&mut self, parts: &[Vec<u8>], out: &mut Vec<Output>) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        match self.media.supply(&parts) {
            Ok(segments) => segments.into_iter().for_each(|segment| self.hand_over(segment, out)),
            Err(error) => self.fail(&error, out),
        }
    }

    fn hand_over(&mut self, segment: Segment, out: &mut Vec<Output>) {
        self.handed_to = self.handed_to.max(segment.end);
        self.ahead.push_back((segment.end, segment.bytes.len()));
        self.append(segment.bytes, segment.timestamp_offset, out);
    }

    fn append(&self, bytes: Vec<u8>, timestamp_offset: Option<i64>, out: &mut Vec<Output>) {
        let (play, generation) = (self.id, self.generation);
        out.push(Output::Do(Action::Append { play, generation, bytes, timestamp_offset }));
    }

    fn fail(&mut self, error: &MediaError, out: &mut Vec<Output>) {
        self.phase = Phase::Failed;
        let (play, code, message) = (self.id, error.code(), error.to_string());
        out.push(Output::Tell(Event::PlayFailed { play, code, message }));
    }

    fn in_content(&self, range: &Range<u64>) -> Range<u64> {
        self.file.start + range.start..self.file.start + range.end
    }

    /// The player stands still, or will in a moment, for want of bytes.
    pub(super) fn is_starving(&self) -> bool {
        match self.phase {
            Phase::Opening => true,
            Phase::Flowing => self.handed_to <= self.position + STARVING,
            Phase::Choosing | Phase::Ended | Phase::Failed => false,
        }
    }

    /// Content bytes without which nothing goes on.
    pub(super) fn demanded(&self) -> Vec<Range<u64>> {
        match self.media.demand() {
            Demand::Bytes(ranges) => ranges.iter().map(|range| self.in_content(range)).collect(),
            Demand::Choice | Demand::Nothing => Vec::new(),
        }
    }

    /// Content bytes that are waited for, most urgent first; then those that follow.
    pub(super) fn wants(&self, limits: &Limits) -> (Vec<Range<u64>>, Option<Range<u64>>) {
        if self.phase == Phase::Failed {
            return (Vec::new(), None);
        }
        let length = self.file.end - self.file.start;
        let window = |from: u64| from.min(length)..from.saturating_add(limits.urgent_bytes).min(length);
        let demanded = if let Demand::Bytes(ranges) = self.media.demand() { ranges } else { Vec::new() };
        let cursor = demanded.iter().map(|range| range.end).max().unwrap_or(self.cursor);
        let mut urgent = demanded;
        // An index at the end may be what the opening waits for; later it makes a jump fast.
        let opening = matches!(self.phase, Phase::Opening | Phase::Choosing);
        urgent.extend(self.media.hints().into_iter().filter(|_| opening));
        // After a jump, while its index is fetched, its place can be guessed.
        urgent.extend(self.media.byte_at(self.position).filter(|_| !opening).map(window));
        urgent.push(window(cursor));
        urgent.extend(self.media.hints().into_iter().filter(|_| !opening));
        let ahead = cursor..(cursor + limits.ahead_bytes).min(length);
        (urgent.iter().map(|range| self.in_content(range)).collect(), Some(self.in_content(&ahead)))
    }
}
