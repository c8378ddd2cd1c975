//! Which nodes live, as far as this one knows.
//!
//! Invariant: a node counts as dead only if it was listed once and is no more, or if two tables since it was first met did
//! not list it, and then for ever: a node takes its lease before it claims anything, and once that has ended it goes on
//! under another id. The first of the two may have been on its way already when the node was met; the second was asked
//! for after that. So nobody takes a newcomer's claims from it, and what the dead left is nobody's.

use std::collections::{BTreeMap, BTreeSet};

use super::NodeId;

/// Dead nodes that are remembered; forgotten ones are met anew.
const DEAD_MAX: usize = 1024;

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    Dead,
    /// Not met before: the next tables tell.
    Unknown,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    live: BTreeSet<NodeId>,
    dead: BTreeSet<NodeId>,
    /// Nodes of which no table has told, and whether one has come since they were met.
    strangers: BTreeMap<NodeId, bool>,
    changes: u64,
}

impl Nodes {
    /// A table says that these live, and no others. It was asked for after the one before had come.
    pub(super) fn renew(&mut self, live: &[NodeId]) {
        let live: BTreeSet<_> = live.iter().copied().collect();
        self.changes += u64::from(self.live != live);
        self.dead.extend(std::mem::replace(&mut self.live, live));
        let missing = self.strangers.iter().filter(|(_, missed)| **missed);
        self.dead.extend(missing.map(|(node, _)| *node));
        self.dead.retain(|node| !self.live.contains(node));
        self.strangers.retain(|node, missed| !std::mem::replace(missed, true) && !self.live.contains(node));
        while self.dead.len() > DEAD_MAX {
            self.dead.pop_first();
        }
    }

    /// What is known of a node that is mentioned somewhere.
    pub(super) fn standing(&mut self, node: NodeId) -> Standing {
        if self.is_live(node) {
            return Standing::Live;
        }
        if self.dead.contains(&node) {
            return Standing::Dead;
        }
        self.strangers.entry(node).or_default();
        Standing::Unknown
    }

    /// How often it has changed who lives.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn is_live(&self, node: NodeId) -> bool {
        self.live.contains(&node)
    }

    /// Whether somebody was met of whom only a new table can tell.
    pub(super) fn has_strangers(&self) -> bool {
        !self.strangers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_dead_only_after_two_tables() {
        let mut nodes = Nodes::default();
        nodes.renew(&[NodeId(1), NodeId(2)]);
        assert_eq!(nodes.standing(NodeId(1)), Standing::Live);
        assert_eq!(nodes.standing(NodeId(3)), Standing::Unknown);
        assert_eq!(nodes.standing(NodeId(4)), Standing::Unknown);
        assert!(nodes.has_strangers());
        nodes.renew(&[NodeId(1)]);
        assert_eq!(nodes.standing(NodeId(2)), Standing::Dead, "it lived");
        assert_eq!(nodes.standing(NodeId(3)), Standing::Unknown, "that table may be older than the newcomer");
        assert!(nodes.has_strangers());
        nodes.renew(&[NodeId(1), NodeId(3)]);
        assert_eq!(nodes.standing(NodeId(3)), Standing::Live, "a newcomer");
        assert_eq!(nodes.standing(NodeId(4)), Standing::Dead);
        assert!(!nodes.has_strangers());
        nodes.renew(&[NodeId(1)]);
        assert_eq!(nodes.standing(NodeId(3)), Standing::Dead);
        assert_eq!(nodes.changes(), 4);
        nodes.renew(&[NodeId(1)]);
        assert_eq!(nodes.changes(), 4);
    }

    #[test]
    fn the_dead_are_not_remembered_without_bound() {
        let mut nodes = Nodes::default();
        for node in 0..5000 {
            nodes.standing(NodeId(node));
            (0..2).for_each(|_| nodes.renew(&[]));
            assert!(nodes.dead.len() <= DEAD_MAX);
        }
    }
}
