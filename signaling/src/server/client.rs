//! One WebSocket as its worker sees it between polls: what waits to be sent, and its pulse.
//!
//! Invariant: a client that must be looked at is woken once, and one that has ended stays so until its socket leaves.

use std::task::Waker;

use swarmreel::time::Moment;

use super::limits::ServerLimits;
use super::outbox::Outbox;
use crate::ConnId;
use crate::websocket::Opcode;

const NEVER: Moment = Moment(u64::MAX);

/// See the module.
pub(super) struct Client {
    pub(super) conn: ConnId,
    pub(super) outbox: Outbox,
    /// Whom to wake; none while it is awake anyway.
    waker: Option<Waker>,
    ping_at: Moment,
    /// Unless something is heard before.
    dead_at: Moment,
    /// Until then a probe is under way, and another would tell nothing more.
    probed_until: Moment,
    /// Unless a byte is taken before.
    deaf_at: Moment,
    /// When its farewell has taken long enough.
    over_at: Moment,
    ended: bool,
}

/// What a look at a client's clocks shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pulse {
    Fine,
    /// A ping is on its way.
    Pinged,
    /// Nothing was heard for too long.
    Silent,
    /// Nothing was taken for too long.
    Deaf,
    /// It was closed, and has had its time.
    Over,
}

impl Client {
    pub(super) fn new(now: Moment, conn: ConnId, limits: &ServerLimits) -> Self {
        Self {
            conn,
            outbox: Outbox::default(),
            waker: None,
            ping_at: now + limits.ping,
            dead_at: now + limits.pong,
            probed_until: now,
            deaf_at: NEVER,
            over_at: NEVER,
            ended: false,
        }
    }

    pub(super) fn sleep(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
    }

    /// It is looked at now, so that nobody need wake it for what comes meanwhile.
    pub(super) fn rouse(&mut self) {
        self.waker = None;
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// It lives: a ping would tell nothing for a while.
    pub(super) fn heard(&mut self, now: Moment, limits: &ServerLimits) {
        self.ping_at = now + limits.ping;
        self.dead_at = now + limits.pong;
    }

    /// A write is stuck, as it may have been before, and has to go on before `until`.
    pub(super) fn stuck(&mut self, until: Moment) {
        self.deaf_at = self.deaf_at.min(until);
    }

    pub(super) fn unstuck(&mut self) {
        self.deaf_at = NEVER;
    }

    /// Asks at once whether it lives. Whoever claims its name again and again makes it answer once, or its pongs would
    /// be a flood of its own. Whether a ping was sent.
    pub(super) fn probe(&mut self, now: Moment, limits: &ServerLimits) -> bool {
        if now < self.probed_until {
            return false;
        }
        self.probed_until = now + limits.probe;
        self.ping(now, limits);
        self.dead_at = self.dead_at.min(now + limits.probe);
        true
    }

    pub(super) fn close(&mut self, now: Moment, limits: &ServerLimits, code: u16, reason: &str) {
        self.outbox.close(code, reason);
        self.over_at = self.over_at.min(now + limits.farewell);
        self.wake();
    }

    /// Looks at the clocks, and does what they say.
    pub(super) fn pulse(&mut self, now: Moment, limits: &ServerLimits) -> Pulse {
        let pulse = if self.over_at <= now {
            Pulse::Over
        } else if self.deaf_at <= now {
            Pulse::Deaf
        } else if self.dead_at <= now {
            Pulse::Silent
        } else if self.ping_at <= now && !self.outbox.is_closing() {
            self.ping(now, limits);
            return Pulse::Pinged;
        } else {
            return Pulse::Fine;
        };
        self.ended = true;
        self.wake();
        pulse
    }

    fn ping(&mut self, now: Moment, limits: &ServerLimits) {
        self.ping_at = now + limits.ping;
        self.outbox.control(Opcode::Ping, Vec::new());
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What each second of so many shows, up to the end.
    fn pulses(client: &mut Client, limits: &ServerLimits, seconds: impl Iterator<Item = u64>) -> Vec<(u64, Pulse)> {
        let mut shown = Vec::new();
        for second in seconds {
            let pulse = client.pulse(Moment(0) + Duration::from_secs(second), limits);
            if pulse != Pulse::Fine {
                shown.push((second, pulse));
            }
            if client.has_ended() {
                break;
            }
        }
        shown
    }

    #[test]
    fn s6_the_silent_are_pinged_twice_and_given_up() {
        let limits = ServerLimits::default();
        let mut client = Client::new(Moment(0), ConnId(1), &limits);
        let expected = [(30, Pulse::Pinged), (60, Pulse::Pinged), (75, Pulse::Silent)];
        assert_eq!(pulses(&mut client, &limits, 0..100), expected);
        let mut client = Client::new(Moment(0), ConnId(1), &limits);
        client.heard(Moment(20_000_000), &limits);
        let expected = [(50, Pulse::Pinged), (80, Pulse::Pinged), (95, Pulse::Silent)];
        assert_eq!(pulses(&mut client, &limits, 20..100), expected, "who was heard need not be asked");
    }

    #[test]
    fn the_probed_the_deaf_and_the_closed_have_less_time() {
        let limits = ServerLimits::default();
        let client = || Client::new(Moment(0), ConnId(1), &limits);
        let mut probed = client();
        probed.probe(Moment(0), &limits);
        assert!(!probed.outbox.is_empty());
        assert_eq!(pulses(&mut probed, &limits, 0..100), [(3, Pulse::Silent)]);
        let mut often = client();
        let second = Moment(1_000_000);
        assert!(often.probe(Moment(0), &limits));
        assert_eq!(often.outbox.advance(2), 1);
        often.heard(second, &limits);
        assert!(!often.probe(second, &limits) && often.outbox.is_empty(), "it has just answered");
        assert!(often.probe(Moment(0) + limits.probe, &limits) && !often.outbox.is_empty());
        let mut deaf = client();
        deaf.stuck(Moment(0) + limits.blocked);
        deaf.stuck(Moment(5_000_000) + limits.blocked);
        assert_eq!(pulses(&mut deaf, &limits, 0..100), [(10, Pulse::Deaf)]);
        let mut slow = client();
        slow.stuck(Moment(0) + limits.blocked);
        slow.unstuck();
        assert_eq!(pulses(&mut slow, &limits, 0..100)[0], (30, Pulse::Pinged));
        let mut closed = client();
        closed.close(Moment(0), &limits, 1000, "");
        closed.heard(second, &limits);
        assert_eq!(pulses(&mut closed, &limits, 0..100), [(2, Pulse::Over)]);
    }
}
