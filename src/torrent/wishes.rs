//! From what plays and reads need to what the picker is told.
//!
//! Invariant: nothing is wished for that is here, or twice.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::content::Content;
use crate::geometry::Piece;
use crate::picker::Wishes;

/// What one play or read needs: ranges of content bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Wants {
    /// How long it can go on without.
    pub(super) deadline: Duration,
    /// It waits for these, the first one first.
    pub(super) urgent: Vec<Range<u64>>,
    /// Needed within seconds, in order.
    pub(super) soon: Vec<Range<u64>>,
    /// Needed after that.
    pub(super) ahead: Option<Range<u64>>,
}

/// Everyone's wishes as one: who has the nearest deadline comes first.
pub(super) fn wishes(content: &Content, mut wants: Vec<Wants>) -> Wishes {
    let geometry = content.pieces.geometry();
    wants.sort_by_key(|wants| wants.deadline);
    let mut seen = BTreeSet::new();
    let urgent = wants.iter().flat_map(|wants| &wants.urgent).flat_map(|range| geometry.covering(range));
    let urgent = urgent.filter(|piece| !content.pieces.has(*piece) && seen.insert(*piece)).collect();
    let indices = |range: &Range<u64>| {
        let mut pieces = geometry.covering(range);
        let first = pieces.next()?.index();
        Some(first..pieces.next_back().map_or(first, Piece::index) + 1)
    };
    Wishes {
        urgent,
        soon: wants.iter().flat_map(|wants| &wants.soon).filter_map(indices).collect(),
        ahead: wants.iter().filter_map(|wants| wants.ahead.as_ref()).filter_map(indices).collect(),
        rest: !content.storage_full,
    }
}
