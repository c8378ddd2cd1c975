//! Which nodes live, as far as this one knows.
//!
//! Invariant: a node counts as dead only if a table that was asked for after it was first met did not list it, and then
//! for ever: a node takes its lease before it claims anything, and once that has ended it goes on under another id. So
//! nobody takes a newcomer's claims from it, and what the dead left is nobody's.

use std::collections::BTreeSet;

use super::NodeId;

/// Dead nodes that are remembered; forgotten ones are met anew.
const DEAD_MAX: usize = 1024;

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    Dead,
    /// Not met before: the next table tells.
    Unknown,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    live: BTreeSet<NodeId>,
    dead: BTreeSet<NodeId>,
    strangers: BTreeSet<NodeId>,
}

impl Nodes {
    /// A table says that these live, and no others.
    pub(super) fn renew(&mut self, live: &[NodeId]) {
        let before = std::mem::replace(&mut self.live, live.iter().copied().collect());
        self.dead.extend(before);
        self.dead.append(&mut self.strangers);
        self.dead.retain(|node| !self.live.contains(node));
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
        self.strangers.insert(node);
        Standing::Unknown
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
    fn a_stranger_is_dead_only_after_the_next_table() {
        let mut nodes = Nodes::default();
        nodes.renew(&[NodeId(1), NodeId(2)]);
        assert_eq!(nodes.standing(NodeId(1)), Standing::Live);
        assert_eq!(nodes.standing(NodeId(3)), Standing::Unknown);
        assert_eq!(nodes.standing(NodeId(4)), Standing::Unknown);
        assert!(nodes.has_strangers());
        nodes.renew(&[NodeId(1), NodeId(3)]);
        assert_eq!(nodes.standing(NodeId(3)), Standing::Live, "a newcomer");
        assert_eq!(nodes.standing(NodeId(4)), Standing::Dead);
        assert_eq!(nodes.standing(NodeId(2)), Standing::Dead, "it lived");
        assert!(!nodes.has_strangers());
    }

    #[test]
    fn the_dead_are_not_remembered_without_bound() {
        let mut nodes = Nodes::default();
        for node in 0..5000 {
            nodes.standing(NodeId(node));
            nodes.renew(&[]);
            assert!(nodes.dead.len() <= DEAD_MAX);
        }
    }
}
