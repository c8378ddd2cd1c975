//! What the server counts: one set of counters a worker, read by anybody.
//!
//! Invariant: a counter is written by its worker alone, so no two cores contend for it; only what happens at the door is
//! counted with the first worker's. All but [`Count::Open`] and [`Count::LagMicros`] only grow.

use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// WebSockets that are open now.
    Open,
    /// Connections accepted.
    Accepted,
    /// Connections refused because their address has its share (threat-model S15).
    RefusedAddress,
    /// Connections refused because the server has all it can hold.
    RefusedFull,
    /// Connections refused because too many came at once (threat-model S14).
    RefusedRate,
    /// Connections refused because the server stops.
    RefusedStopping,
    /// Connections that the system did not hand over, for want of open files as a rule.
    AcceptErrors,
    /// Connections that failed before a request was answered: too slow, too large, or broken.
    HandshakesFailed,
    /// WebSockets opened.
    Upgraded,
    /// Bytes read from WebSockets.
    BytesIn,
    /// Bytes written to WebSockets.
    BytesOut,
    /// Messages read from WebSockets.
    MessagesIn,
    /// Frames written to WebSockets, pings and all.
    FramesOut,
    /// Pings sent.
    Pings,
    /// WebSockets closed because nothing was heard of them.
    Silent,
    /// WebSockets closed because they took nothing for too long.
    Deaf,
    /// WebSockets closed because they broke the protocol or its limits.
    Violations,
    /// Messages that a full outbox lost.
    OutboxDropped,
    /// Messages from one worker to another.
    Forwarded,
    /// Offers to clients of other workers that were lost because those are too busy.
    ForwardDropped,
    /// How late the worker's last tick was, in microseconds: how long its events wait.
    LagMicros,
}

impl Count {
    /// All of them, in the order of their numbers.
    pub const ALL: [Count; 21] = [
        Count::Open,
        Count::Accepted,
        Count::RefusedAddress,
        Count::RefusedFull,
        Count::RefusedRate,
        Count::RefusedStopping,
        Count::AcceptErrors,
        Count::HandshakesFailed,
        Count::Upgraded,
        Count::BytesIn,
        Count::BytesOut,
        Count::MessagesIn,
        Count::FramesOut,
        Count::Pings,
        Count::Silent,
        Count::Deaf,
        Count::Violations,
        Count::OutboxDropped,
        Count::Forwarded,
        Count::ForwardDropped,
        Count::LagMicros,
    ];
}

/// One worker's counters, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters([AtomicU64; Count::ALL.len()]);

impl Counters {
    pub(super) fn add(&self, count: Count, more: u64) {
        self.0[count as usize].fetch_add(more, Relaxed);
    }

    pub(super) fn set(&self, count: Count, value: u64) {
        self.0[count as usize].store(value, Relaxed);
    }

    pub(super) fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Relaxed)
    }
}

/// The counters of all workers together, at about one moment: sums, but for the lag, which is the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot([u64; Count::ALL.len()]);

impl Snapshot {
    pub(super) fn of<'a>(workers: impl Iterator<Item = &'a Counters> + Clone) -> Self {
        Self(Count::ALL.map(|count| {
            let values = workers.clone().map(|counters| counters.get(count));
            if count == Count::LagMicros { values.max().unwrap_or(0) } else { values.sum() }
        }))
    }
}

impl Index<Count> for Snapshot {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sums_all_but_the_lag() {
        let workers = [Counters::default(), Counters::default()];
        for (worker, value) in workers.iter().zip([3, 5]) {
            Count::ALL.iter().for_each(|&count| worker.add(count, value));
        }
        workers[1].set(Count::Open, 1);
        let snapshot = Snapshot::of(workers.iter());
        assert_eq!((snapshot[Count::Open], snapshot[Count::Pings], snapshot[Count::LagMicros]), (4, 8, 5));
        assert!(Count::ALL.iter().enumerate().all(|(number, &count)| count as usize == number));
    }
}
