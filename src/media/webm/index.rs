//! Where in the file a time is: from Cues, or learned on the way.
//!
//! Invariant: every point lies before the Segment's end and was, in the file's own words or as read, the Cluster of a
//! frame of the leading track at which decoding can start. That a point of Cues is true is checked when it is used.

use std::collections::BTreeMap;

use super::ebml::{self, Malformed};
use super::ids;

/// A place to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Presentation time of the frame, in ticks.
    pub(super) ticks: i64,
    /// Offset of its Cluster in the file.
    pub(super) at: u64,
}

/// Points by time.
#[derive(Debug, Default)]
pub(super) struct Index {
    points: BTreeMap<i64, u64>,
    /// The Cluster learned last: one point each is enough.
    learned: Option<u64>,
    /// The points come from Cues: they cover the file.
    pub(super) complete: bool,
}

impl Index {
    /// Reads a Cues element's body: the points of track `lead`. Positions count from `segment` and stay below `end`.
    pub(super) fn from_cues(body: &[u8], segment: u64, end: u64, lead: u64) -> Result<Self, Malformed> {
        let mut points = BTreeMap::new();
        for cue in ebml::children(body) {
            let cue = cue?;
            if cue.id != ids::CUE_POINT {
                continue;
            }
            if let Some(point) = cue_point(cue.body, segment, lead)?.filter(|point| point.at < end) {
                points.entry(point.ticks).or_insert(point.at);
            }
        }
        if points.is_empty() {
            return Err(Malformed("its Cues don't cover the track that is played"));
        }
        Ok(Self { points, learned: None, complete: true })
    }

    /// Adds a point that was read, unless Cues know better.
    pub(super) fn learn(&mut self, point: Point) {
        if !self.complete && self.learned.replace(point.at) != Some(point.at) {
            self.points.entry(point.ticks).or_insert(point.at);
        }
    }

    /// The last point at or before a time.
    pub(super) fn before(&self, ticks: i64) -> Option<Point> {
        self.points.range(..=ticks).next_back().map(|(&ticks, &at)| Point { ticks, at })
    }

    /// The first point after a time.
    pub(super) fn after(&self, ticks: i64) -> Option<Point> {
        self.points.range(ticks.checked_add(1)?..).next().map(|(&ticks, &at)| Point { ticks, at })
    }
}

fn cue_point(body: &[u8], segment: u64, lead: u64) -> Result<Option<Point>, Malformed> {
    let (mut ticks, mut at) = (None, None);
    for child in ebml::children(body) {
        let child = child?;
        match child.id {
            ids::CUE_TIME => ticks = i64::try_from(ebml::unsigned(child.body)?).ok(),
            ids::CUE_TRACK_POSITIONS => at = at.or(cue_position(child.body, segment, lead)?),
            _ => {}
        }
    }
    Ok(ticks.zip(at).map(|(ticks, at)| Point { ticks, at }))
}

fn cue_position(body: &[u8], segment: u64, lead: u64) -> Result<Option<u64>, Malformed> {
    let (mut track, mut position) = (None, None);
    for child in ebml::children(body) {
        let child = child?;
        match child.id {
            ids::CUE_TRACK => track = Some(ebml::unsigned(child.body)?),
            ids::CUE_CLUSTER_POSITION => position = segment.checked_add(ebml::unsigned(child.body)?),
            _ => {}
        }
    }
    Ok(position.filter(|_| track == Some(lead)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cue(time: u64, track: u64, position: u64) -> Vec<u8> {
        let (mut at, mut point, mut out) = (Vec::new(), Vec::new(), Vec::new());
        ebml::write_unsigned(&mut at, ids::CUE_TRACK, track);
        ebml::write_unsigned(&mut at, ids::CUE_CLUSTER_POSITION, position);
        ebml::write_unsigned(&mut point, ids::CUE_TIME, time);
        ebml::write(&mut point, ids::CUE_TRACK_POSITIONS, &at);
        ebml::write(&mut out, ids::CUE_POINT, &point);
        out
    }

    #[test]
    fn cues_in_any_order_give_the_points_of_one_track() {
        let cues = [cue(2000, 1, 300), cue(0, 1, 100), cue(500, 2, 150), cue(1000, 1, 200), cue(3000, 1, 900)].concat();
        let index = Index::from_cues(&cues, 50, 900, 1).expect("well formed");
        let at = |ticks| index.before(ticks).map(|point| (point.ticks, point.at));
        assert_eq!((at(0), at(999), at(1000)), (Some((0, 150)), Some((0, 150)), Some((1000, 250))));
        assert_eq!(at(9999), Some((2000, 350)), "the last one lies beyond the Segment");
        assert_eq!((index.after(999).map(|p| p.ticks), index.after(2000)), (Some(1000), None));
        assert!(Index::from_cues(&cues, 50, 900, 7).is_err());
    }

    #[test]
    fn positions_that_overflow_are_no_points() {
        assert!(Index::from_cues(&cue(0, 1, u64::MAX), 50, u64::MAX, 1).is_err());
        assert!(Index::from_cues(&[0xBB, 0x85, 0xB3], 0, 100, 1).is_err());
    }

    #[test]
    fn what_is_learned_stands_back_behind_cues() {
        let mut index = Index::default();
        index.learn(Point { ticks: 5, at: 10 });
        index.learn(Point { ticks: 5, at: 20 });
        assert_eq!(index.before(9), Some(Point { ticks: 5, at: 10 }));
        let mut index = Index::from_cues(&cue(0, 1, 0), 0, 100, 1).expect("well formed");
        index.learn(Point { ticks: 5, at: 10 });
        assert_eq!(index.before(9), Some(Point { ticks: 0, at: 0 }));
    }
}
