//! One web seed: where it is, what it can, how it has done.
//!
//! Invariant: whatever it answers, it is asked again at most so often: each failure in a row doubles its rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::address::Layout;
use crate::ids::LinkId;
use crate::limits::Limits;
use crate::magnet::URL_BYTES_MAX;
use crate::output::{WebSeedState, WebSeedStats};
use crate::peer::Rate;
use crate::time::Moment;

/// Redirects remembered of one web seed: those of the files that are being fetched.
const MOVED_MAX: usize = 64;

/// One web seed.
#[derive(Clone, Debug)]
pub(super) struct WebSeed {
    /// As whom blocks are asked of it.
    pub(super) link: LinkId,
    /// Its address, as the torrent or the user gave it.
    pub(super) url: String,
    /// It serves parts of files.
    pub(super) ranges: bool,
    /// Never asked again: it lied, or can't be reached from this page.
    pub(super) off: bool,
    /// Payload from it.
    pub(super) down: Rate,
    /// Bytes to be fetched at a time.
    run_bytes: u64,
    /// A single file lies at the address itself, although that ends in a slash.
    plain: bool,
    /// Files it does not have.
    missing: BTreeSet<usize>,
    /// Files that redirects led to another address.
    moved: BTreeMap<usize, String>,
    /// In a row.
    failures: u32,
    /// The user knows that it fails.
    warned: bool,
    rests_until: Moment,
}

impl WebSeed {
    pub(super) fn new(link: LinkId, url: String, limits: &Limits) -> Self {
        Self {
            link,
            url,
            ranges: true,
            off: false,
            down: Rate::default(),
            run_bytes: limits.web_run_bytes_min,
            plain: false,
            missing: BTreeSet::new(),
            moved: BTreeMap::new(),
            failures: 0,
            warned: false,
            rests_until: Moment(0),
        }
    }

    /// It may be asked now.
    pub(super) fn is_ready(&self, now: Moment) -> bool {
        !self.off && now >= self.rests_until
    }

    /// It has all files that these content bytes lie in, as far as we know.
    pub(super) fn has(&self, layout: &Layout, content: Range<u64>) -> bool {
        self.missing.is_empty() || layout.parts(content).all(|part| !self.missing.contains(&part.file))
    }

    /// Where to fetch a file.
    pub(super) fn address(&self, layout: &Layout, file: usize) -> String {
        self.moved.get(&file).cloned().unwrap_or_else(|| layout.url(&self.url, file, self.plain))
    }

    /// A file's address answered, and `url` is where it was found.
    pub(super) fn found(&mut self, layout: &Layout, file: usize, url: &str) {
        if url.is_empty() || url.len() > URL_BYTES_MAX || self.address(layout, file) == url {
            return;
        }
        if self.moved.len() >= MOVED_MAX {
            self.moved.clear();
        }
        self.moved.insert(file, url.to_string());
    }

    /// A file is not where it was looked for. True if there is something left to try at once, or another file to fetch.
    pub(super) fn lacks(&mut self, layout: &Layout, file: usize) -> bool {
        let was_moved = self.moved.remove(&file).is_some();
        if was_moved {
            return true;
        }
        if layout.is_single() {
            let folder = self.url.ends_with('/');
            return folder && !std::mem::replace(&mut self.plain, true);
        }
        self.missing.insert(file)
    }

    // ---- how it does

    /// It was fast enough to fetch so many bytes at a time.
    pub(super) fn run_bytes(&self) -> u64 {
        self.run_bytes
    }

    /// Everything asked for has come: more may be asked for at a time.
    pub(super) fn succeeded(&mut self, now: Moment, limits: &Limits) {
        self.failures = 0;
        self.warned = false;
        let span = bytes_in(limits.web_run_span, self.down.per_second(now));
        let most = span.clamp(limits.web_run_bytes_min, limits.web_run_bytes_max);
        self.run_bytes = (2 * self.run_bytes).min(most);
    }

    /// Bytes that come in the time that a request takes.
    pub(super) fn overlap_bytes(&self, now: Moment, limits: &Limits) -> u64 {
        bytes_in(limits.web_overlap, self.down.per_second(now))
    }

    /// It failed, and rests: twice as long as the last time, unless it has brought a block since. `drawn` spreads those
    /// who ask the same server. True if the user is to be warned: once, until it succeeds again.
    pub(super) fn failed(&mut self, now: Moment, brought: bool, drawn: u32, limits: &Limits) -> bool {
        if brought {
            self.failures = 0;
        }
        self.moved.clear();
        self.run_bytes = limits.web_run_bytes_min;
        let doubled = limits.web_rest_min.saturating_mul(1 << self.failures.min(16)).min(limits.web_rest_max);
        let spread = (drawn ^ self.link.0 ^ self.failures).wrapping_mul(0x9e37_79b9);
        self.rests_until = now + doubled.mul_f64(0.75 + f64::from(spread) / f64::from(u32::MAX) / 2.0);
        self.failures += 1;
        !std::mem::replace(&mut self.warned, true)
    }

    /// It may be asked at once.
    pub(super) fn wake(&mut self) {
        self.failures = 0;
        self.rests_until = Moment(0);
    }

    /// What may be shown.
    pub(super) fn stats(&self, now: Moment, fetching: bool) -> WebSeedStats {
        let state = match self {
            Self { off: true, .. } => WebSeedState::Off,
            _ if fetching => WebSeedState::Fetching,
            _ if !self.is_ready(now) => WebSeedState::Resting,
            _ => WebSeedState::Idle,
        };
        let (downloaded, download_speed) = (self.down.total(), self.down.per_second(now));
        WebSeedStats { url: self.url.clone(), state, downloaded, download_speed }
    }
}

fn bytes_in(span: Duration, per_second: u64) -> u64 {
    (span.as_secs_f64() * per_second as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> WebSeed {
        WebSeed::new(LinkId(u32::MAX), "http://a.test/f".to_string(), &Limits::default())
    }

    #[test]
    fn rests_double_and_differ_up_to_a_limit() {
        let (mut seed, limits) = (seed(), Limits::default());
        let mut last = Duration::ZERO;
        for round in 0..40u32 {
            let first = seed.failed(Moment(0), false, 7, &limits);
            assert_eq!(first, round == 0);
            let rest = Duration::from_micros(seed.rests_until.0);
            assert!(rest >= last.mul_f64(0.6) && rest <= limits.web_rest_max.mul_f64(1.25), "{round}: {rest:?}");
            last = rest;
        }
        assert!(last >= limits.web_rest_max.mul_f64(0.75));
        assert!(!seed.failed(Moment(0), true, 7, &limits), "a block is progress, but no news");
        assert!(Duration::from_micros(seed.rests_until.0) <= limits.web_rest_min.mul_f64(1.25));
        seed.succeeded(Moment(0), &limits);
        assert!(seed.failed(Moment(0), false, 7, &limits), "it failed after it did well");
        let rest = |drawn| {
            let mut seed = self::seed();
            seed.failed(Moment(0), false, drawn, &limits);
            seed.rests_until
        };
        assert_ne!(rest(1), rest(2), "two peers do not come back at once");
    }

    #[test]
    fn runs_grow_with_the_rate() {
        let (mut seed, limits) = (seed(), Limits::default());
        let second = Moment(1_000_000);
        seed.succeeded(second, &limits);
        assert_eq!(seed.run_bytes(), limits.web_run_bytes_min, "a slow one is not asked for more at a time");
        seed.down.add(second, 100 << 20);
        (0..10).for_each(|_| seed.succeeded(second, &limits));
        assert_eq!(seed.run_bytes(), limits.web_run_bytes_max);
        seed.failed(second, true, 7, &limits);
        assert_eq!(seed.run_bytes(), limits.web_run_bytes_min);
    }
}
