//! What to fetch from which web seed, and what to break off.
//!
//! Invariant: more than one stream of a web seed runs only for what somebody waits for, or to bridge the round trip
//! between two runs; what is begun or not stored yet stays within `web_unstored_bytes_max` and the runs under way.

use std::collections::BTreeSet;

use super::run::{Runner, Scope};
use super::stream::Stream;
use super::{Phase, Torrent};
use crate::geometry::{Block, Piece};
use crate::ids::LinkId;
use crate::time::Moment;

impl Torrent {
    /// What is late or due.
    pub(in crate::torrent) fn tick_web(&mut self, now: Moment) {
        self.tick_source(now);
        self.tick_padding(now);
        let stalled = |stream: &Stream| now.since(stream.heard_at) >= self.limits.web_stall_timeout;
        let numbers = self.web.streams.iter().filter(|(_, stream)| stalled(stream)).map(|(number, _)| *number);
        for number in numbers.collect::<Vec<u32>>() {
            self.fetch_useless(now, number, "nothing comes");
        }
        self.web.stirred = true;
    }

    /// Before a drain: breaks off what nobody wants, and fetches what is wanted.
    pub(in crate::torrent) fn fetch_more(&mut self, now: Moment) {
        if !std::mem::take(&mut self.web.stirred) || !self.web.opened || self.web.layout.is_none() {
            return;
        }
        self.trim_streams(now);
        let raced = self.raced();
        let links: Vec<LinkId> = self.web.seeds.keys().rev().copied().collect();
        for link in links {
            while let Some(run) = self.next_run(now, link, &raced) {
                let fetches = self.web.fetches;
                self.begin_stream(now, link, &run);
                // It was padding alone, and if there is no room for that, it would be for ever.
                if self.web.fetches == fetches {
                    break;
                }
            }
        }
        // What was begun just now is not news.
        self.web.stirred = false;
    }

    /// The pieces without which a player stands still.
    fn raced(&self) -> BTreeSet<Piece> {
        let Some(content) = self.content() else { return BTreeSet::new() };
        let demanded = self.plays.values().filter(|play| play.is_starving()).flat_map(|play| play.demanded());
        demanded.flat_map(|range| content.pieces.geometry().covering(&range)).collect()
    }

    /// The next blocks to fetch of a web seed, if it may be asked for more now.
    fn next_run(&self, now: Moment, link: LinkId, raced: &BTreeSet<Piece>) -> Option<Vec<Block>> {
        let (content, layout) = (self.content()?, self.web.layout.as_ref()?);
        let seed = self.web.seeds.get(&link).filter(|seed| seed.is_ready(now))?;
        let count = self.web.streams_of(link).count();
        if content.is_complete() || count >= if seed.ranges { self.limits.web_fetches_max } else { 1 } {
            return None;
        }
        let left: u64 = self.web.streams_of(link).map(Stream::left).sum();
        let room = content.has_room(&self.limits);
        let scope = match (count == 0 || left < seed.overlap_bytes(now, &self.limits), room) {
            (false, _) => Scope::Urgent,
            (true, false) => Scope::Begun,
            (true, true) => Scope::All,
        };
        let geometry = content.pieces.geometry();
        let reach = |piece: Piece| {
            let start = geometry.offset(piece);
            seed.ranges || layout.part(&(start..start + 1)).is_some_and(|part| part.offset <= self.skip_bytes_max())
        };
        let has = |piece: Piece| reach(piece) && seed.has(layout, geometry.range(piece));
        let (pieces, wishes, late) = (&content.pieces, &content.wishes, self.limits.urgent_late);
        let runner = Runner { pieces, wishes, raced, link, has, now, late };
        let run = runner.run(scope, if room { seed.run_bytes() } else { 0 });
        (!run.is_empty()).then_some(run)
    }

    fn begin_stream(&mut self, now: Moment, link: LinkId, run: &[Block]) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        let geometry = *content.pieces.geometry();
        let (Some(seed), Some(layout)) = (self.web.seeds.get(&link), &self.web.layout) else { return };
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
        let mut bytes = geometry.block_range(*first).start..geometry.block_range(*last).end;
        let Some(mut part) = layout.part(&bytes) else { return };
        if !seed.ranges {
            bytes = part.file_start()..geometry.length();
            let Some(whole) = layout.part(&bytes) else { return };
            part = whole;
        } else {
            run.iter().for_each(|block| content.pieces.ask(*block, link, now));
        }
        let stream = Stream::new(link, bytes, part, !seed.ranges, now);
        self.go_on(now, stream);
    }

    /// Breaks off streams of which nothing is wanted any more, and cuts those short that stand between somebody and what
    /// is waited for: that is fetched of its own then.
    fn trim_streams(&mut self, now: Moment) {
        for number in self.web.streams.keys().copied().collect::<Vec<u32>>() {
            let Some(stream) = self.web.streams.get(&number) else { continue };
            let (link, at, end) = (stream.link, stream.at, stream.end);
            let useful_to = self.useful_to(now, stream);
            if useful_to <= at {
                self.cancel_stream(number);
            } else if useful_to < end {
                if let Some(stream) = self.web.streams.get_mut(&number) {
                    stream.end = useful_to;
                }
                self.release_blocks(link, useful_to..end);
            }
        }
    }

    /// Up to where a stream brings what is wanted, in good time.
    fn useful_to(&self, now: Moment, stream: &Stream) -> u64 {
        let (Some(content), Some(seed)) = (self.content(), self.web.seeds.get(&stream.link)) else { return 0 };
        let geometry = content.pieces.geometry();
        if stream.whole {
            return if self.rest_of(stream).is_empty() { 0 } else { stream.end };
        }
        let asked = |content_bytes| content.pieces.asked_within(stream.link, content_bytes);
        let mut ahead = asked(stream.at..stream.end).map(|block| geometry.block_range(block));
        let Some(first) = ahead.next() else { return 0 };
        let end = ahead.next_back().map_or(first.end, |last| last.end);
        let reach = stream.at + seed.overlap_bytes(now, &self.limits).max(self.limits.urgent_bytes / 2);
        if first.start > reach {
            return 0;
        }
        // What is waited for is fetched of its own, unless it is about to come.
        let within = |piece: &Piece| geometry.range(*piece).start.max(stream.at)..geometry.range(*piece).end.min(end);
        let urgent = content.wishes.urgent.iter().filter_map(|piece| asked(within(piece)).next());
        let next = urgent.map(|block| geometry.block_range(block).start).min();
        next.filter(|start| *start > reach).unwrap_or(end)
    }

    /// After a jump to what is not there: what is fetched elsewhere makes way for it.
    pub(in crate::torrent) fn cancel_unwanted_streams(&mut self, wanted: &BTreeSet<Piece>) {
        let Some(content) = self.content() else { return };
        let geometry = *content.pieces.geometry();
        let serves = |stream: &Stream| {
            stream.whole || geometry.block_of(stream.at).is_some_and(|block| wanted.contains(&block.piece))
        };
        let numbers = self.web.streams.iter().filter(|(_, stream)| !serves(stream)).map(|(number, _)| *number);
        numbers.collect::<Vec<u32>>().into_iter().for_each(|number| self.cancel_stream(number));
    }
}
