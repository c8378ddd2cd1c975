//! The metadata by HTTP: a magnet link may say where the `.torrent` file lies (`xs`; protocol.md §4.1).
//!
//! Invariant: what comes is believed only if its info hash is the torrent's; one address is tried after the other, each
//! once, and no more is kept than an info dictionary may be long.

use std::collections::VecDeque;

use super::{Phase, Torrent};
use crate::ids::FetchId;
use crate::input::Answer;
use crate::metainfo::Metainfo;
use crate::output::{Action, Output};
use crate::time::Moment;

/// Where the `.torrent` file may be fetched.
#[derive(Debug, Default)]
pub(super) struct Sources {
    untried: VecDeque<String>,
    current: Option<Fetch>,
}

/// A `.torrent` file on its way.
#[derive(Debug)]
struct Fetch {
    number: u32,
    body: Vec<u8>,
    /// When something came last.
    heard_at: Moment,
}

impl Sources {
    /// This fetch brings a `.torrent` file.
    pub(super) fn is_fetch(&self, number: u32) -> bool {
        self.current.as_ref().is_some_and(|fetch| fetch.number == number)
    }
}

impl Torrent {
    /// The `.torrent` file may be fetched here, while the metadata is unknown.
    pub fn add_sources(&mut self, now: Moment, urls: &[String]) {
        if matches!(self.phase, Phase::Resolving(_)) {
            self.web.sources.untried.extend(urls.iter().cloned());
            self.fetch_source(now);
        }
    }

    /// Tries the next address, also if nothing comes from the last: one that is silent must not keep the others away.
    pub(super) fn tick_source(&mut self, now: Moment) {
        let stalled = |fetch: &&Fetch| now.since(fetch.heard_at) >= self.limits.web_stall_timeout;
        match self.web.sources.current.as_ref().filter(stalled).map(|fetch| fetch.number) {
            Some(number) => self.source_useless(now, number),
            None => self.fetch_source(now),
        }
    }

    fn fetch_source(&mut self, now: Moment) {
        if self.web.sources.current.is_some() {
            return;
        }
        let Some(url) = self.web.sources.untried.pop_front() else { return };
        let number = self.web.mint();
        self.web.sources.current = Some(Fetch { number, body: Vec::new(), heard_at: now });
        let fetch = FetchId { torrent: self.id, number };
        self.outbox.push(Output::Do(Action::Fetch { fetch, url, range: None }));
    }

    /// The metadata is known, or nobody wants it any more.
    pub(super) fn forget_sources(&mut self) {
        self.web.sources.untried.clear();
        if let Some(Fetch { number, .. }) = self.web.sources.current.take() {
            self.cancel_fetch(number);
        }
    }

    pub(super) fn source_answered(&mut self, now: Moment, number: u32, answer: &Answer<'_>) {
        if answer.status != 200 {
            return self.source_useless(now, number);
        }
        if let Some(fetch) = &mut self.web.sources.current {
            fetch.heard_at = now;
        }
    }

    pub(super) fn source_data(&mut self, now: Moment, number: u32, bytes: &[u8]) {
        let most = self.limits.metadata_bytes_max as usize;
        let Some(fetch) = &mut self.web.sources.current else { return };
        if fetch.body.len() + bytes.len() > most {
            return self.source_useless(now, number);
        }
        fetch.heard_at = now;
        fetch.body.extend_from_slice(bytes);
    }

    pub(super) fn source_ended(&mut self, now: Moment) {
        let Some(Fetch { body, .. }) = self.web.sources.current.take() else { return };
        match Metainfo::from_torrent(&body) {
            Ok(metainfo) if metainfo.info_hash == self.info_hash => {
                self.add_web_seeds(&metainfo.web_seeds);
                self.know(now, metainfo);
            }
            _ => self.source_failed(now),
        }
    }

    /// What comes is of no use, and is not read on.
    fn source_useless(&mut self, now: Moment, number: u32) {
        self.cancel_fetch(number);
        self.source_failed(now);
    }

    pub(super) fn source_failed(&mut self, now: Moment) {
        self.web.sources.current = None;
        if self.web.sources.untried.is_empty() {
            let words = "The torrent file that the link names can't be had; its contents are asked of peers.";
            self.warn("source-failed", words.to_string());
        }
        self.fetch_source(now);
    }
}
