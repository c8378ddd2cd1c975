//! When the machine slept, or has another network: trackers and offers begin anew, links are doubted.
//!
//! Invariant: no timer ever sees the hours of a sleep. The engine's time stands still meanwhile, so nothing expires in a
//! heap on waking; what died in its sleep is found out as ever.

use std::time::Duration;

use super::Engine;
use super::links::Stage;
use crate::ids::{LinkId, TorrentId};
use crate::output::Action;
use crate::time::Moment;

/// The engine's time: the driver's, less the time slept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What the driver said last.
    driver: Moment,
    slept: Duration,
}

impl Clock {
    pub(super) fn new(now: Moment) -> Self {
        Self { driver: now, slept: Duration::ZERO }
    }

    /// Takes the driver's time; a step of more than `gap`, if any is given, is a sleep. How long that was.
    fn advance(&mut self, driver: Moment, gap: Option<Duration>) -> Option<Duration> {
        let step = driver.since(self.driver);
        self.driver = self.driver.max(driver);
        let slept = gap.is_some_and(|gap| step > gap).then_some(step)?;
        self.slept += slept;
        Some(slept)
    }

    /// The engine's time at a moment of the driver's.
    pub(super) fn read(&self, driver: Moment) -> Moment {
        Moment(driver.0.saturating_sub(self.slept.as_micros() as u64))
    }

    /// The driver's time at a moment of the engine's.
    pub(super) fn for_driver(&self, moment: Moment) -> Moment {
        moment + self.slept
    }
}

impl Engine {
    /// Begins a turn: the driver's time becomes the engine's.
    pub(super) fn begin_turn(&mut self, driver: Moment) -> Moment {
        self.stirred = true;
        // With no torrent there is nothing to wake for, and long steps are no sleep.
        let gap = (!self.torrents.is_empty()).then_some(self.limits.sleep_gap);
        let slept = self.clock.advance(driver, gap).is_some();
        self.now = self.now.max(self.clock.read(driver));
        if slept {
            self.network_changed(self.now);
        }
        self.now
    }

    /// Addresses may have changed, and connections may be dead.
    pub(super) fn network_changed(&mut self, now: Moment) {
        let again = self.network_at.is_some_and(|last| now.since(last) < self.limits.network_change_min);
        if again {
            return;
        }
        self.network_at = Some(now);
        self.offers_from = now;
        // What is not open was described with the candidates of the old network.
        self.links.pending().into_iter().for_each(|link| self.close_link(link));
        self.torrents.values_mut().for_each(|torrent| torrent.doubt_all());
        let sessions = self.trackers.values_mut();
        let sockets: Vec<_> =
            sessions.filter_map(|session| session.reconnect(now, &self.limits, &mut self.rng)).collect();
        sockets.into_iter().for_each(|socket| self.act(Action::CloseSocket(socket)));
        // A leecher's first announce carries an offer: one that begins to be made now is ready when the tracker is.
        let leechers = self.torrents.iter().filter(|(_, torrent)| !torrent.is_complete());
        let leechers: Vec<TorrentId> = leechers.map(|(id, _)| *id).collect();
        leechers.into_iter().for_each(|id| self.offer(now, id));
    }

    /// ICE has lost the other side, or has found it again. Where it loses everyone at once, it is our network.
    pub(super) fn link_reachable(&mut self, now: Moment, link: LinkId, reachable: bool) {
        let open = self.links.get(link).filter(|entry| entry.stage == Stage::Open);
        let Some(id) = open.map(|entry| entry.torrent) else { return };
        self.with_torrent(id, |torrent| torrent.set_in_doubt(link, !reachable));
        if reachable {
            return;
        }
        let sum = |count: fn(&crate::torrent::Torrent) -> usize| self.torrents.values().map(count).sum::<usize>();
        let (open, in_doubt) = (sum(|torrent| torrent.peers()), sum(|torrent| torrent.in_doubt()));
        if open > 1 && open == in_doubt {
            self.network_changed(now);
        } else {
            self.look_again(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Option<Duration> = Some(Duration::from_secs(75));
    const HOUR: u64 = 3_600_000_000;

    #[test]
    fn time_stands_still_in_a_sleep() {
        let mut clock = Clock::new(Moment(5));
        assert_eq!(clock.advance(Moment(70_000_000), GAP), None);
        assert!(clock.advance(Moment(8 * HOUR), GAP).is_some());
        assert_eq!(clock.read(Moment(8 * HOUR)), Moment(70_000_000));
        assert_eq!(clock.read(Moment(8 * HOUR + 9)), Moment(70_000_009));
        assert_eq!(clock.for_driver(Moment(70_000_009)), Moment(8 * HOUR + 9));
        assert_eq!(clock.advance(Moment(7), GAP), None, "a clock that runs backwards stands still");
        assert_eq!(clock.advance(Moment(8 * HOUR + 9), GAP), None);
    }

    #[test]
    fn without_anything_to_do_a_long_step_is_no_sleep() {
        let mut clock = Clock::new(Moment(0));
        assert_eq!(clock.advance(Moment(8 * HOUR), None), None);
        assert_eq!(clock.read(Moment(8 * HOUR)), Moment(8 * HOUR));
    }
}
