//! Which torrents are served (threat-model S20).
//!
//! Invariant: a list is sorted from the moment it exists, and never changes: a new one takes its place.

use std::sync::Arc;

use swarmreel::ids::InfoHash;

/// A verdict about every info hash. Cloning shares the list.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// All are served.
    #[default]
    Open,
    /// Only these are.
    Allow(InfoHashes),
    /// All but these are.
    Deny(InfoHashes),
}

impl Access {
    /// Whether the torrent is served.
    pub fn serves(&self, info_hash: &InfoHash) -> bool {
        match self {
            Self::Open => true,
            Self::Allow(list) => list.contains(info_hash),
            Self::Deny(list) => !list.contains(info_hash),
        }
    }
}

/// A set of info hashes, 20 bytes each.
#[derive(Clone, Debug)]
pub struct InfoHashes(Arc<Vec<InfoHash>>);

impl InfoHashes {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, info_hash: &InfoHash) -> bool {
        self.0.binary_search(info_hash).is_ok()
    }
}

impl FromIterator<InfoHash> for InfoHashes {
    fn from_iter<I: IntoIterator<Item = InfoHash>>(hashes: I) -> Self {
        let mut list: Vec<_> = hashes.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        Self(Arc::new(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s20_verdicts() {
        let (known, other) = (InfoHash([7; 20]), InfoHash([8; 20]));
        let list: InfoHashes = [known, InfoHash([9; 20]), InfoHash([1; 20]), known].into_iter().collect();
        assert_eq!(list.len(), 3);
        for (access, serves) in [
            (Access::Open, [true, true]),
            (Access::Allow(list.clone()), [true, false]),
            (Access::Deny(list), [false, true]),
            (Access::Allow([].into_iter().collect()), [false, false]),
        ] {
            assert_eq!([known, other].map(|hash| access.serves(&hash)), serves, "{access:?}");
        }
    }
}
