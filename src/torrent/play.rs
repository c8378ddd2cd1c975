//! One file being played: what the media module demands, taken from verified pieces, handed to the player.
//!
//! Invariant: only verified bytes reach `Media`; no more is handed over than the player should hold ahead.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::content::{Availability, Content};
use super::wishes::Wants;
use crate::ids::{PlayId, TorrentId};
use crate::limits::Limits;
use crate::media::{Demand, Media, MediaError, Segment};
use crate::output::{Action, Event, Output};
use crate::time::Moment;

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
    /// When the position was last another one.
    moved_at: Moment,
    /// End of what was handed over in this generation.
    handed_to: Duration,
    /// Segments handed over that the player has not passed: end and bytes.
    ahead: VecDeque<(Duration, usize)>,
    /// End of the last demand, in the file: what comes next is near it.
    cursor: u64,
}

impl Play {
    pub(super) fn new(now: Moment, id: PlayId, name: &str, file: Range<u64>) -> Self {
        let media = Media::open(name, file.end - file.start);
        Self {
            id,
            file,
            media,
            phase: Phase::Opening,
            generation: 0,
            position: Duration::ZERO,
            moved_at: now,
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
    pub(super) fn moved(&mut self, now: Moment, time: Duration) {
        if self.position != time {
            self.moved_at = now;
        }
        self.position = time;
        let behind = |(end, _): &(Duration, usize)| *end <= time;
        while self.ahead.front().is_some_and(behind) {
            self.ahead.pop_front();
        }
    }

    /// The user jumped.
    pub(super) fn seek(&mut self, now: Moment, to: Duration) {
        if self.phase == Phase::Failed {
            return;
        }
        self.generation += 1;
        self.moved_at = now;
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
                self.left() < limits.play_ahead && bytes < limits.play_ahead_bytes
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

    /// How long the player can go on with what it was handed.
    fn left(&self) -> Duration {
        self.handed_to.saturating_sub(self.position)
    }

    /// It takes part in the order of things: neither over, nor paused with all that it may hold.
    pub(super) fn is_live(&self, now: Moment, limits: &Limits) -> bool {
        match self.phase {
            Phase::Opening | Phase::Choosing => true,
            Phase::Flowing => self.wants_more(limits) || now.since(self.moved_at) < limits.play_paused,
            Phase::Ended | Phase::Failed => false,
        }
    }

    /// What it needs, and how soon.
    pub(super) fn wants(&self, limits: &Limits) -> Wants {
        let window = |from: u64, bytes: u64| self.in_content(&self.window(from, bytes));
        let demanded = self.demanded();
        let ends = demanded.iter().map(|range| range.end - self.file.start);
        let cursor = ends.max().unwrap_or(self.cursor);
        let opening = matches!(self.phase, Phase::Opening | Phase::Choosing);
        let hints: Vec<Range<u64>> = self.media.hints().iter().map(|range| self.in_content(range)).collect();
        let mut waited_for = demanded;
        // An index at the end may be what the opening waits for; later it makes a jump fast.
        waited_for.extend(hints.iter().filter(|_| opening).cloned());
        // After a jump, while its index is fetched, its place can be guessed.
        let guess = self.media.byte_at(self.position).filter(|_| !opening);
        waited_for.extend(guess.map(|from| window(from, limits.urgent_bytes)));
        waited_for.push(window(cursor, limits.urgent_bytes));
        waited_for.extend(hints.into_iter().filter(|_| !opening));
        let mut wants =
            Wants { deadline: self.left(), ahead: Some(window(cursor, limits.ahead_bytes)), ..Wants::default() };
        let comfortable = self.phase == Phase::Flowing && wants.deadline >= limits.play_comfort;
        if comfortable {
            wants.soon = waited_for;
        } else {
            wants.urgent = waited_for;
        }
        wants.soon.push(window(cursor, self.soon_bytes(limits)));
        wants
    }

    fn window(&self, from: u64, bytes: u64) -> Range<u64> {
        let length = self.file.end - self.file.start;
        from.min(length)..from.saturating_add(bytes).min(length)
    }

    /// What the player reaches soon, at the file's mean rate; all that is ahead where that is unknown.
    fn soon_bytes(&self, limits: &Limits) -> u64 {
        let length = (self.file.end - self.file.start) as f64;
        let seconds = self.media.duration().map_or(0.0, |duration| duration.as_secs_f64());
        let bytes = length / seconds * limits.play_soon.as_secs_f64();
        if bytes.is_finite() {
            // Where little can be kept, what is ahead may be less than what is urgent.
            (bytes as u64).max(limits.urgent_bytes).min(limits.ahead_bytes)
        } else {
            limits.ahead_bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(0);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A player in the middle of a file, handed so many seconds more than it has shown.
    fn flowing(ahead: u64) -> Play {
        let mut play = Play::new(START, PlayId(1), "film.mp4", 1_000_000..101_000_000);
        play.phase = Phase::Flowing;
        play.position = seconds(60);
        play.handed_to = seconds(60 + ahead);
        play.cursor = 50_000_000;
        play
    }

    #[test]
    fn what_opens_a_file_is_urgent() {
        let play = Play::new(START, PlayId(1), "film.mp4", 1_000_000..101_000_000);
        let wants = play.wants(&Limits::default());
        assert_eq!((wants.deadline, wants.urgent[0].start), (Duration::ZERO, 1_000_000));
        assert!(play.is_live(START + seconds(1000), &Limits::default()), "it waits for its first frame");
    }

    #[test]
    fn a_player_with_enough_ahead_hurries_nobody() {
        let limits = Limits::default();
        let hungry = flowing(2).wants(&limits);
        assert!(!hungry.urgent.is_empty() && hungry.deadline == seconds(2));
        let fed = flowing(20).wants(&limits);
        assert!(fed.urgent.is_empty() && !fed.soon.is_empty() && fed.ahead.is_some());
    }

    #[test]
    fn a_paused_player_is_out_of_the_order_once_it_has_enough() {
        let limits = Limits::default();
        let later = START + limits.play_paused;
        assert!(flowing(2).is_live(later, &limits), "paused, and filling what it may hold");
        let mut play = flowing(30);
        assert!(play.is_live(START + seconds(1), &limits) && !play.is_live(later, &limits));
        play.moved(later, seconds(60));
        assert!(!play.is_live(later, &limits), "the same place again is no move");
        play.moved(later, seconds(61));
        assert!(play.is_live(later, &limits), "it goes on");
    }

    #[test]
    fn what_is_over_wants_nothing() {
        for phase in [Phase::Ended, Phase::Failed] {
            let play = Play { phase, ..flowing(2) };
            assert!(!play.is_live(START, &Limits::default()));
        }
    }
}
