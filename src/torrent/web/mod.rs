//! Web seeds (BEP 19): HTTP servers that are asked for blocks, and raced with peers.
//!
//! A web seed is asked for runs of consecutive blocks, noted in `Pieces` under a link of its own, so that blame, bans and
//! lateness work as they do for peers. A run is a [`Stream`]: one fetch for each file that it crosses.
//!
//! Invariant: every block asked of a web seed lies ahead in one of its streams; a stream that brings nothing anybody
//! wants is cancelled.

mod address;
mod answer;
mod plan;
mod run;
mod seed;
mod source;
mod stream;

use std::collections::BTreeMap;

use address::{Layout, Part};
use answer::Verdict;
use seed::WebSeed;
use source::Sources;
use stream::Stream;

use super::{Phase, Torrent};
use crate::geometry::{BLOCK_LENGTH, Block};
use crate::ids::{FetchId, LinkId};
use crate::input::{Answer, FetchFailure};
use crate::magnet;
use crate::output::{Action, Output, WebSeedStats};
use crate::pieces::Received;
use crate::time::Moment;

/// The web seeds of one torrent, and what is on its way from them.
#[derive(Debug, Default)]
pub(super) struct Web {
    seeds: BTreeMap<LinkId, WebSeed>,
    /// By the number of the fetch that feeds them.
    streams: BTreeMap<u32, Stream>,
    /// Once the metadata is known.
    layout: Option<Layout>,
    /// Where the metadata may be fetched.
    sources: Sources,
    fetches: u32,
    /// It is known what an earlier session left: nothing is fetched before, for it could be in vain.
    opened: bool,
    /// Something changed: what to fetch must be looked at again.
    stirred: bool,
}

impl Web {
    /// What an earlier session left is known, so that it need not be fetched.
    pub(super) fn open(&mut self) {
        self.opened = true;
        self.stirred = true;
    }

    /// What is fetched must be looked at again.
    pub(super) fn stir(&mut self) {
        self.stirred = true;
    }

    fn mint(&mut self) -> u32 {
        self.fetches += 1;
        self.fetches
    }

    fn streams_of(&self, link: LinkId) -> impl Iterator<Item = &Stream> {
        self.streams.values().filter(move |stream| stream.link == link)
    }

    /// There is a web seed to ask, now or later.
    pub(super) fn is_any(&self) -> bool {
        self.seeds.values().any(|seed| !seed.off)
    }

    fn is_off(&self, link: LinkId) -> bool {
        self.seeds.get(&link).is_none_or(|seed| seed.off)
    }
}

impl Torrent {
    /// Fetches from these, too: those of them that a page may fetch from, as far as there is room.
    pub fn add_web_seeds(&mut self, urls: &[String]) {
        let all: Vec<String> = self.web_seeds().into_iter().chain(urls.iter().cloned()).collect();
        let known = self.web.seeds.len();
        for url in magnet::web_seeds(all).into_iter().skip(known) {
            let link = LinkId(u32::MAX - self.web.seeds.len() as u32);
            self.web.seeds.insert(link, WebSeed::new(link, url, &self.limits));
        }
        self.web.stirred = true;
    }

    /// Announced in magnets and metadata: in the order in which they became known.
    pub fn web_seeds(&self) -> Vec<String> {
        self.web.seeds.values().rev().map(|seed| seed.url.clone()).collect()
    }

    /// The metadata is known: so is which file lies where.
    pub(super) fn learn_layout(&mut self) {
        self.forget_sources();
        self.web.layout = self.content().map(|content| Layout::new(&content.metainfo));
        self.web.stirred = true;
    }

    // ---- what fetches bring

    /// A fetch's headers are here.
    pub fn fetch_answered(&mut self, now: Moment, number: u32, answer: &Answer<'_>) {
        if self.web.sources.is_fetch(number) {
            return self.source_answered(now, number, answer);
        }
        let Some(stream) = self.web.streams.get_mut(&number) else { return };
        stream.heard_at = now;
        let (link, part) = (stream.link, &stream.part);
        let verdict = answer::judge(answer, &part.range(), part.file_length);
        let (Some(seed), Some(layout)) = (self.web.seeds.get_mut(&link), &self.web.layout) else { return };
        match verdict {
            Verdict::Asked => seed.ranges = true,
            Verdict::Whole if part.range() == (0..part.file_length) => {}
            Verdict::Whole => return self.serves_no_parts(number),
            Verdict::Missing => return self.file_missing(now, number),
            Verdict::Useless(why) => return self.fetch_useless(now, number, why),
        }
        seed.found(layout, part.file, answer.url);
    }

    /// The next bytes of a fetch's body.
    pub fn fetch_data(&mut self, now: Moment, number: u32, bytes: &[u8]) {
        if self.web.sources.is_fetch(number) {
            return self.source_data(now, number, bytes);
        }
        // More than was asked for, or what was on its way when it was cancelled.
        let Some(mut stream) = self.web.streams.remove(&number) else { return self.cancel_fetch(number) };
        let (left, length) = (stream.part_left(), bytes.len() as u64);
        stream.heard_at = now;
        self.down.add(now, length);
        if let Some(seed) = self.web.seeds.get_mut(&stream.link) {
            seed.down.add(now, length);
        }
        let now_part = &bytes[..left.min(length) as usize];
        stream.brought |= self.feed(now, &mut stream, now_part);
        if self.web.is_off(stream.link) {
            self.cancel_fetch(number);
        } else if length < left {
            self.web.streams.insert(number, stream);
        } else {
            // A body that goes on behind what is wanted would come for nothing.
            if stream.part.content.end > stream.at || length > left {
                self.cancel_fetch(number);
            }
            self.go_on(now, stream);
        }
    }

    /// A fetch's body has ended.
    pub fn fetch_ended(&mut self, now: Moment, number: u32) {
        if self.web.sources.is_fetch(number) {
            return self.source_ended(now);
        }
        // What came whole has left the table with its last byte.
        self.lose_stream(now, number, "it sends less than it was asked for");
    }

    /// A fetch failed.
    pub fn fetch_failed(&mut self, now: Moment, number: u32, failure: FetchFailure) {
        if self.web.sources.is_fetch(number) {
            return self.source_failed(now);
        }
        let link = self.web.streams.get(&number).map(|stream| stream.link);
        match failure {
            FetchFailure::Network => {
                self.lose_stream(now, number, "it can't be reached, or lets no page read it (CORS)")
            }
            FetchFailure::Blocked => {
                if let Some(seed) = link.and_then(|link| self.web.seeds.get_mut(&link)) {
                    seed.off = true;
                    let words =
                        format!("The web seed {} can't be used: a secure page may not fetch from it.", seed.url);
                    self.warn("web-seed-blocked", words);
                }
                if let Some(stream) = self.web.streams.remove(&number) {
                    self.release_stream(&stream);
                    self.cancel_streams(Some(stream.link));
                }
            }
        }
    }

    // ---- streams

    /// Takes in the next bytes of a stream. True if a block that we lacked was among them.
    fn feed(&mut self, now: Moment, stream: &mut Stream, bytes: &[u8]) -> bool {
        let Phase::Sharing(content) = &self.phase else { return false };
        let geometry = *content.pieces.geometry();
        let (mut input, mut brought) = (bytes, false);
        while let Some((block, data)) = stream.cut(&geometry, &mut input) {
            brought |= self.passed(now, stream.link, block, &data);
            if self.web.is_off(stream.link) {
                break;
            }
        }
        brought
    }

    /// A block has passed: taken if we lack it, whether or not it was asked for, unless too many wait for the disk.
    /// True if it was taken.
    fn passed(&mut self, now: Moment, link: LinkId, block: Block, data: &[u8]) -> bool {
        let Phase::Sharing(content) = &mut self.phase else { return false };
        if !content.pieces.is_asked(block, link) {
            if !content.has_room(&self.limits) || !content.pieces.lacks(block, link, now) {
                self.wasted += data.len() as u64;
                return false;
            }
            content.pieces.ask(block, link, now);
        }
        let received = content.pieces.receive(block, link, data);
        let taken = !matches!(received, Received::Unwanted);
        self.taken_in(now, block, received);
        taken
    }

    /// Fetches the next part of a stream, or ends it. The zeros of padding files are taken in without a fetch: as many as
    /// one turn bears, the others with the next tick.
    fn go_on(&mut self, now: Moment, mut stream: Stream) {
        let zeros = [0; BLOCK_LENGTH as usize];
        let mut bearable = self.limits.web_padding_bytes_at_once;
        loop {
            let rest = self.rest_of(&stream);
            let part = self.web.layout.as_ref().and_then(|layout| layout.part(&rest));
            let Some(part) = part else { return self.end_stream(now, &stream) };
            stream.turn_to(part, now);
            if !stream.part.padding {
                return self.fetch(stream);
            }
            if bearable == 0 {
                let number = self.web.mint();
                self.web.streams.insert(number, stream);
                return;
            }
            let count = stream.part_left().min(zeros.len() as u64).min(bearable);
            bearable -= count;
            self.feed(now, &mut stream, &zeros[..count as usize]);
            if self.web.is_off(stream.link) {
                return;
            }
        }
    }

    /// Takes in the next zeros of the padding files that streams are at.
    fn tick_padding(&mut self, now: Moment) {
        let at_padding = |(number, stream): (&u32, &Stream)| stream.part.padding.then_some(*number);
        for number in self.web.streams.iter().filter_map(at_padding).collect::<Vec<u32>>() {
            if let Some(stream) = self.web.streams.remove(&number) {
                self.go_on(now, stream);
            }
        }
    }

    /// What is still to be fetched. Where a server serves whole files only, those that we have are passed over, and all
    /// pieces of padding files that we have.
    fn rest_of(&self, stream: &Stream) -> std::ops::Range<u64> {
        let (Some(content), Some(layout)) = (self.content(), &self.web.layout) else { return 0..0 };
        let rest = stream.at..stream.end;
        if !stream.whole {
            return rest;
        }
        let geometry = content.pieces.geometry();
        let start = |part: Part| {
            let lacking = geometry.covering(&part.content).into_iter().find(|piece| !content.pieces.has(*piece))?;
            let skipped = if part.padding { geometry.offset(lacking) } else { 0 };
            Some(part.content.start.max(skipped))
        };
        layout.parts(rest).find_map(start).map_or(0..0, |start| start..stream.end)
    }

    fn fetch(&mut self, stream: Stream) {
        let (Some(seed), Some(layout)) = (self.web.seeds.get(&stream.link), &self.web.layout) else { return };
        let url = seed.address(layout, stream.part.file);
        // Where whole files come it is said just the same: browsers ask for ranges without compression.
        let range = Some(stream.part.range());
        let number = self.web.mint();
        self.web.streams.insert(number, stream);
        let fetch = FetchId { torrent: self.id, number };
        self.outbox.push(Output::Do(Action::Fetch { fetch, url, range }));
    }

    fn end_stream(&mut self, now: Moment, stream: &Stream) {
        self.release_stream(stream);
        // The zeros of padding files are no merit of the server.
        if let Some(seed) = self.web.seeds.get_mut(&stream.link).filter(|_| stream.brought) {
            seed.succeeded(now, &self.limits);
        }
    }

    /// What a stream was to bring is free for others.
    fn release_stream(&mut self, stream: &Stream) {
        self.release_blocks(stream.link, stream.at..stream.end);
        self.dirty.extend(self.peers.keys());
        self.web.stirred = true;
    }

    fn release_blocks(&mut self, link: LinkId, content_bytes: std::ops::Range<u64>) {
        let Phase::Sharing(content) = &mut self.phase else { return };
        for block in content.pieces.asked_within(link, content_bytes).collect::<Vec<Block>>() {
            content.pieces.release(block, link);
        }
        content.pieces.abandon(link);
    }

    fn cancel_fetch(&mut self, number: u32) {
        self.outbox.push(Output::Do(Action::CancelFetch(FetchId { torrent: self.id, number })));
    }

    /// Breaks a stream off, without blame.
    fn cancel_stream(&mut self, number: u32) {
        if let Some(stream) = self.web.streams.remove(&number) {
            self.cancel_fetch(number);
            self.release_stream(&stream);
        }
    }

    /// Breaks all streams off, or those of one web seed.
    pub(super) fn cancel_streams(&mut self, of: Option<LinkId>) {
        let chosen = self.web.streams.iter().filter(|(_, stream)| of.is_none_or(|link| stream.link == link));
        let numbers: Vec<u32> = chosen.map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| self.cancel_stream(number));
    }

    /// Nothing is fetched any more: the torrent is removed.
    pub fn stop_fetching(&mut self) {
        self.cancel_streams(None);
        self.forget_sources();
    }

    // ---- what goes wrong

    /// The answer is of no use: its body is not read.
    fn fetch_useless(&mut self, now: Moment, number: u32, why: &'static str) {
        self.cancel_fetch(number);
        self.lose_stream(now, number, why);
    }

    /// A stream broke: its web seed rests.
    fn lose_stream(&mut self, now: Moment, number: u32, why: &'static str) {
        let Some(stream) = self.web.streams.remove(&number) else { return };
        self.release_stream(&stream);
        let Some(seed) = self.web.seeds.get_mut(&stream.link) else { return };
        if seed.failed(now, stream.brought, self.shuffle, &self.limits) {
            let words = format!("The web seed {} failed: {why}. It is tried again.", seed.url);
            self.warn("web-seed-failed", words);
        }
    }

    /// The server has sent the whole file where a part was asked for: what passes by is taken, from the start.
    fn serves_no_parts(&mut self, number: u32) {
        let Some(content_end) = self.metainfo().map(|metainfo| metainfo.length) else { return };
        let Some(stream) = self.web.streams.get_mut(&number) else { return };
        let (link, asked, skipped) = (stream.link, stream.at..stream.end, stream.part.offset);
        stream.become_whole(content_end);
        let alone = self.web.streams_of(link).count() == 1;
        if let Some(seed) = self.web.seeds.get_mut(&link) {
            seed.ranges = false;
        }
        self.release_blocks(link, asked);
        if !alone || skipped > self.skip_bytes_max() {
            self.cancel_stream(number);
        }
        self.dirty.extend(self.peers.keys());
    }

    /// Bytes that may be read for nothing: any number where nobody else can be asked.
    fn skip_bytes_max(&self) -> u64 {
        if self.peers.is_empty() { u64::MAX } else { self.limits.web_skip_bytes_max }
    }

    /// The server has no such file: there may be another place to look for it, or it is not asked for it again.
    fn file_missing(&mut self, now: Moment, number: u32) {
        let Some(stream) = self.web.streams.get(&number) else { return };
        let (link, file) = (stream.link, stream.part.file);
        let (Some(seed), Some(layout)) = (self.web.seeds.get_mut(&link), &self.web.layout) else { return };
        if seed.lacks(layout, file) {
            self.cancel_stream(number);
        } else {
            self.fetch_useless(now, number, "it does not have the file");
        }
    }

    /// Never asks a web seed again that is proven to send wrong bytes. False if this is no web seed.
    pub(super) fn ban_web_seed(&mut self, link: LinkId) -> bool {
        let Some(seed) = self.web.seeds.get_mut(&link) else { return false };
        seed.off = true;
        let words = format!("The web seed {} sent data that fails its hash; it is not used any more.", seed.url);
        self.warn("web-seed-banned", words);
        self.cancel_streams(Some(link));
        self.release_blocks(link, 0..u64::MAX);
        true
    }

    /// The network is another one: what is being fetched may never come, and who failed may do better now.
    pub(super) fn fetch_anew(&mut self) {
        self.cancel_streams(None);
        self.web.seeds.values_mut().for_each(WebSeed::wake);
    }

    // ---- what may be shown

    pub(super) fn web_seed_stats(&self, now: Moment) -> Vec<WebSeedStats> {
        let seeds = self.web.seeds.values().rev();
        seeds.map(|seed| seed.stats(now, self.web.streams_of(seed.link).next().is_some())).collect()
    }

    /// Checks every invariant.
    pub(super) fn check_web(&self) {
        let Some(content) = self.content() else { return };
        let geometry = content.pieces.geometry();
        for link in self.web.seeds.keys() {
            for block in content.pieces.asked_of(*link) {
                let range = geometry.block_range(block);
                let ahead = |stream: &Stream| stream.at < range.end && range.end <= stream.end;
                assert!(
                    self.web.streams_of(*link).any(ahead),
                    "{block:?} is asked of a web seed, and no stream brings it"
                );
            }
            assert!(self.web.streams_of(*link).count() <= self.limits.web_fetches_max);
        }
    }
}
