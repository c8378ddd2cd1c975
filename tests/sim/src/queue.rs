//! Virtual time: everything that will happen, in the order in which it happens.
//!
//! Invariant: time never runs backwards, and what is planned for the same moment happens in the order it was planned,
//! so a run follows from its plan alone.

use std::collections::BTreeMap;
use std::time::Duration;

use swarmreel::time::Moment;

use crate::fact::Fact;
use crate::net::Transit;
use crate::sdp::End;
use crate::signal::Signal;
use crate::web::Delivery;

/// One engine, from its start to its end. A reloaded peer is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub enum Event {
    /// A peer of the plan (by index) opens the page.
    Join(usize),
    /// A peer of the plan (by index) does what its plan says about leaving.
    Leave(usize),
    /// An engine asked to be woken now.
    Wake(NodeId),
    /// An engine is told something.
    Fact(NodeId, Fact),
    /// Something happens on the way between two peers.
    Net(Transit),
    /// Something happens at a tracker, or on the way there.
    Signal(Signal),
    /// Something comes from a web server.
    Web(Delivery),
    /// A screen looks at its clock.
    Tick(NodeId),
    /// A person jumps to another place of the film: the index of the jump in the plan.
    Seek(NodeId, usize),
    /// A villain (by index in the plan) is gone, `true`: without a word.
    Vanish(usize, bool),
    /// A villain says what it has held back.
    Say(End, Vec<u8>),
    /// A laptop is closed.
    Sleep(NodeId),
    /// A laptop is opened again.
    Awake(NodeId),
    /// The network falls apart (or, `false`, heals).
    Partition(bool),
}

impl Event {
    /// Whose page must be awake for it to happen.
    pub fn addressees(&self) -> [Option<NodeId>; 2] {
        match self {
            Self::Wake(id) | Self::Fact(id, _) | Self::Seek(id, _) => [Some(*id), None],
            Self::Net(Transit::Connect(a, b)) => [Some(a.0), Some(b.0)],
            Self::Net(
                Transit::Arrived(end, _)
                | Transit::Looked(end)
                | Transit::Lost(end)
                | Transit::GaveUp(end)
                | Transit::CutOff(end),
            ) => [Some(end.0), None],
            _ => [None, None],
        }
    }
}

/// Future events, and the present.
#[derive(Debug, Default)]
pub struct Queue {
    now: Moment,
    planned: BTreeMap<(Moment, u64), Event>,
    count: u64,
    since_moved: u32,
}

/// More events in one moment than this are an endless loop.
const EVENTS_PER_MOMENT: u32 = 1_000_000;

impl Queue {
    /// The present.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Plans `event` for the moment `delay` from now.
    pub fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Plans `event` for `moment`, or for now if that is past.
    pub fn at(&mut self, moment: Moment, event: Event) {
        self.planned.insert((moment.max(self.now), self.count), event);
        self.count += 1;
    }

    /// Moves on to the next event.
    ///
    /// # Panics
    /// When time stands still: something always happens again at once.
    pub fn advance(&mut self) -> Option<Event> {
        let ((moment, _), event) = self.planned.pop_first()?;
        self.since_moved = if moment == self.now { self.since_moved + 1 } else { 0 };
        assert!(self.since_moved < EVENTS_PER_MOMENT, "time stands still, at {event:?}");
        self.now = moment;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_by_order_of_planning() {
        let mut queue = Queue::default();
        for (delay, peer) in [(5, 0), (1, 1), (5, 2), (0, 3)] {
            queue.after(Duration::from_secs(delay), Event::Join(peer));
        }
        let mut order = Vec::new();
        while let Some(Event::Join(peer)) = queue.advance() {
            order.push((queue.now().0 / 1_000_000, peer));
        }
        assert_eq!(order, [(0, 3), (1, 1), (5, 0), (5, 2)]);
    }

    #[test]
    fn the_past_is_now() {
        let mut queue = Queue::default();
        queue.after(Duration::from_secs(2), Event::Join(0));
        queue.advance();
        queue.at(Moment(0), Event::Join(1));
        queue.advance();
        assert_eq!(queue.now(), Moment(2_000_000));
    }
}
