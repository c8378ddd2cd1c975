//! A person who watches: a player that shows what is appended and nothing else, in real time.
//!
//! Invariant: every byte appended is the byte that `swarmreel::media` makes of the original file at that point. The
//! screen runs its own `Media` on the original, and compares.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use swarmreel::engine::Action;
use swarmreel::ids::PlayId;
use swarmreel::media::{Demand, Media, Opening, Segment};
use swarmreel::time::Moment;

use crate::content::Content;
use crate::fact::Fact;

/// A player tells its place this often.
pub const TICK: Duration = Duration::from_millis(250);

/// What `Media` makes of the original file.
#[derive(Debug)]
struct Reference {
    content: Rc<Content>,
    media: Media,
    opening: Option<Opening>,
    ready: VecDeque<Segment>,
}

impl Reference {
    fn new(content: Rc<Content>) -> Self {
        let name = content.metainfo.files[0].path.last().expect("a file has a name");
        let media = Media::open(name, content.metainfo.files[0].length);
        let mut reference = Self { content, media, opening: None, ready: VecDeque::new() };
        reference.fill();
        reference
    }

    /// Runs the media until something is ready or nothing is left.
    fn fill(&mut self) {
        while self.ready.is_empty() {
            match self.media.demand() {
                Demand::Bytes(ranges) => {
                    let bytes = &self.content.bytes;
                    let parts: Vec<&[u8]> =
                        ranges.iter().map(|range| &bytes[range.start as usize..range.end as usize]).collect();
                    self.ready.extend(self.media.supply(&parts).expect("the original is playable"));
                }
                Demand::Choice => {
                    let playable = vec![true; self.media.tracks().len()];
                    self.opening = Some(self.media.select(&playable).expect("the original has tracks"));
                }
                Demand::Nothing => return,
            }
        }
    }

    fn seek(&mut self, to: Duration) {
        self.ready.clear();
        self.media.seek(to);
    }

    fn next(&mut self) -> Option<Segment> {
        self.fill();
        self.ready.pop_front()
    }
}

/// How it was to watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// From the wish to play to the first pictures.
    pub first_frame: Option<Duration>,
    /// Time spent with moving pictures.
    pub shown: Duration,
    /// Time spent waiting after the first pictures.
    pub stalled: Duration,
    /// The end was reached.
    pub to_the_end: bool,
}

impl Watched {
    /// The part of the time after the first pictures that was spent waiting, 0 to 1.
    pub fn stall_ratio(&self) -> f64 {
        self.stalled.as_secs_f64() / (self.shown + self.stalled).as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// A player.
#[derive(Debug)]
pub struct Screen {
    play: PlayId,
    asked_at: Moment,
    reference: Reference,
    /// The next bytes that may be appended, and the time at which they end.
    expected: Option<(Vec<u8>, Duration)>,
    init_due: bool,
    generation: u32,
    position: Duration,
    buffered: Option<(Duration, Duration)>,
    all_appended: bool,
    looked_at: Moment,
    watched: Watched,
}

impl Screen {
    /// A player that waits for its first bytes.
    pub fn new(play: PlayId, content: &Rc<Content>, now: Moment) -> Self {
        Self {
            play,
            asked_at: now,
            reference: Reference::new(Rc::clone(content)),
            expected: None,
            init_due: true,
            generation: 0,
            position: Duration::ZERO,
            buffered: None,
            all_appended: false,
            looked_at: now,
            watched: Watched::default(),
        }
    }

    /// How it was so far.
    pub fn watched(&self) -> Watched {
        self.watched
    }

    /// Carries out an action about this play. Returns what the engine is told.
    pub fn act(&mut self, action: Action, now: Moment) -> Option<Fact> {
        match action {
            Action::OpenMedia { play, tracks, duration } => {
                assert_eq!(tracks, self.reference.media.tracks(), "the tracks are those of the original");
                assert_eq!(duration, self.reference.media.duration(), "the duration is that of the original");
                Some(Fact::MediaSupport(play, vec![true; tracks.len()]))
            }
            Action::OpenBuffer { mime, .. } => {
                assert_eq!(Some(mime), self.reference.opening.as_ref().map(|opening| opening.mime.clone()));
                None
            }
            Action::Append { generation, bytes, .. } => {
                assert!(generation <= self.generation, "an append answers a seek that never was");
                if generation < self.generation {
                    return None;
                }
                self.look(now);
                let was_waited_for = self.buffered_to() == self.position;
                self.append(&bytes, now);
                was_waited_for.then(|| self.place())
            }
            Action::EndMedia { generation, .. } => {
                if generation == self.generation {
                    let left = self.expected.is_some() || self.reference.next().is_some();
                    assert!(!left, "the end was declared before everything was appended");
                    self.all_appended = true;
                }
                None
            }
            other => panic!("not for a screen: {other:?}"),
        }
    }

    /// The clock went on to `now`. Returns what the engine is told.
    pub fn tick(&mut self, now: Moment) -> Option<Fact> {
        let before = self.position;
        self.look(now);
        (self.position > before).then(|| self.place())
    }

    /// The laptop is closed until `now`: nothing is shown, and nobody waits.
    pub fn doze(&mut self, now: Moment) -> Option<Fact> {
        self.looked_at = now;
        None
    }

    fn look(&mut self, now: Moment) {
        let passed = now.since(self.looked_at);
        self.looked_at = now;
        let shown = passed.min(self.buffered_to() - self.position);
        self.position += shown;
        self.watched.shown += shown;
        if self.all_appended && self.position >= self.buffered_to() {
            self.watched.to_the_end = true;
        } else if self.watched.first_frame.is_some() {
            self.watched.stalled += passed - shown;
        }
    }

    /// The person jumps to this part of the whole, 0 to 1. Returns what the engine is told.
    pub fn jump(&mut self, part: f64, now: Moment) -> Option<Fact> {
        self.look(now);
        let to = self.reference.media.duration()?.mul_f64(part);
        self.position = to;
        if self.buffered.is_some_and(|(start, end)| (start..end).contains(&to)) {
            return Some(self.place());
        }
        self.generation += 1;
        self.reference.seek(to);
        (self.expected, self.buffered, self.all_appended) = (None, None, false);
        self.watched.to_the_end = false;
        Some(Fact::Seek { play: self.play, to })
    }

    /// End of the buffered range that holds the position; the position itself if none does.
    fn buffered_to(&self) -> Duration {
        let holds = |(start, end): &(Duration, Duration)| (*start..=*end).contains(&self.position);
        self.buffered.filter(holds).map_or(self.position, |(_, end)| end)
    }

    fn place(&self) -> Fact {
        Fact::Position { play: self.play, time: self.position, buffered_to: self.buffered_to() }
    }

    /// Takes bytes, which may be several segments or a part of one.
    fn append(&mut self, mut bytes: &[u8], now: Moment) {
        if std::mem::take(&mut self.init_due) {
            let init = &self.reference.opening.as_ref().expect("a buffer was opened").init;
            bytes = bytes.strip_prefix(&init[..]).expect("the first bytes are the init segment of the original");
        }
        while !bytes.is_empty() {
            let (expected, end) = match self.expected.take() {
                Some(expected) => expected,
                None => self.next_expected(),
            };
            let count = expected.len().min(bytes.len());
            assert!(expected[..count] == bytes[..count], "bytes were appended that are not a remux of the original");
            bytes = &bytes[count..];
            if count < expected.len() {
                self.expected = Some((expected[count..].to_vec(), end));
            } else {
                self.shows_until(end, now);
            }
        }
    }

    fn next_expected(&mut self) -> (Vec<u8>, Duration) {
        let segment = self.reference.next().expect("no more is appended than there is");
        self.buffered.get_or_insert((segment.start, segment.start));
        (segment.bytes, segment.end)
    }

    fn shows_until(&mut self, end: Duration, now: Moment) {
        if let Some((start, buffered_to)) = &mut self.buffered {
            *buffered_to = end.max(*buffered_to);
            if self.position < *start && self.generation == 0 {
                self.position = *start;
            }
        }
        if self.watched.first_frame.is_none() {
            self.watched.first_frame = Some(now.since(self.asked_at));
            self.looked_at = now;
        }
    }
}
