//! Being written.
use std::ops::Range;
use std::time::Duration;

use super::{Demand, MediaError, Opening, Segment, Track};

#[derive(Debug)]
pub(super) struct Mp4 {}

#[expect(unused_variables, reason = "being written")]
impl Mp4 {
    pub(super) fn new(length: u64) -> Self {
        Self {}
    }
    pub(super) fn demand(&self) -> Demand {
        Demand::Nothing
    }
    pub(super) fn supply(&mut self, parts: &[&[u8]]) -> Result<Vec<Segment>, MediaError> {
        Err(MediaError::UnsupportedContainer(None))
    }
    pub(super) fn tracks(&self) -> &[Track] {
        &[]
    }
    pub(super) fn duration(&self) -> Option<Duration> {
        None
    }
    pub(super) fn select(&mut self, playable: &[bool]) -> Result<Opening, MediaError> {
        Err(MediaError::UnsupportedContainer(None))
    }
    pub(super) fn seek(&mut self, to: Duration) {}
    pub(super) fn byte_at(&self, time: Duration) -> Option<u64> {
        None
    }
    pub(super) fn hints(&self) -> Vec<Range<u64>> {
        Vec::new()
    }
}
pub(super) fn tail_hint(_: u64) -> Vec<Range<u64>> {
    Vec::new()
}
