//! Collections that hold little more memory than they need: there are as many of them as there are peers.
//!
//! Invariant: after a call here, at most a fifth of the room is idle where things were added (and one place), and half where they
//! were removed; what is empty holds nothing.

use std::hash::Hash;

use indexmap::IndexMap;

use super::keyed::Keyed;

/// A map in order of arrival, but for removals: the last takes the place of the removed.
pub(super) type Table<K, V> = IndexMap<K, V, Keyed>;

/// Makes room for one more.
pub(super) fn reserve<K: Hash + Eq, V>(table: &mut Table<K, V>) {
    if table.len() == table.capacity() {
        table.reserve_exact(1 + table.len() / 4);
    }
}

/// Gives back what is not needed.
pub(super) fn shrink<K: Hash + Eq, V>(table: &mut Table<K, V>) {
    if table.len() <= table.capacity() / 2 {
        table.shrink_to(table.len());
    }
}

/// Adds to a list.
pub(super) fn insert<T>(list: &mut Vec<T>, index: usize, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 4);
    }
    list.insert(index, item);
}

/// Removes from a list.
pub(super) fn remove<T>(list: &mut Vec<T>, index: usize) -> T {
    let item = list.remove(index);
    if list.len() <= list.capacity() / 2 {
        list.shrink_to_fit();
    }
    item
}
