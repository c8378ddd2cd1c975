//! How many blocks to have asked of a peer: what it delivers in a few round trips, and no more, because whatever is
//! wanted next has to wait behind it.
//!
//! Invariant: the delay is sampled only by requests that found nothing before them, so that our own queue is not
//! taken for the network's.

use std::time::Duration;

use crate::geometry::BLOCK_LENGTH;
use crate::limits::Limits;
use crate::time::Moment;

/// The requests of one peer.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Blocks delivered since it began to deliver.
    delivered: usize,
    /// It grows by one for each block that comes: twice as long after each round trip.
    slow_start: bool,
    /// When the requests were sent that found nothing before them.
    probe_at: Option<Moment>,
    /// The least delay in this window and in the last, and when this one began.
    least: Option<(Duration, Duration)>,
    turned_at: Moment,
}

impl Pipeline {
    /// Nothing was asked yet.
    pub fn new(now: Moment) -> Self {
        Self { delivered: 0, slow_start: true, probe_at: None, least: None, turned_at: now }
    }

    /// The peer begins, or begins again, to deliver: how fast is not known.
    pub fn restart(&mut self) {
        self.delivered = 0;
        self.slow_start = true;
    }

    /// Blocks are asked for while so many are outstanding.
    pub fn asked(&mut self, now: Moment, outstanding: usize) {
        if outstanding == 0 {
            self.probe_at = Some(now);
        }
    }

    /// A block came that was asked for at some moment; `span` as in `depth`.
    pub fn delivered(&mut self, now: Moment, asked_at: Moment, span: Duration, limits: &Limits) {
        self.delivered += 1;
        let delay = now.since(asked_at);
        if self.probe_at == Some(asked_at) {
            self.probe_at = None;
            self.sample(now, delay, limits.delay_window);
        }
        if delay > self.target(span) {
            self.slow_start = false;
        }
    }

    fn sample(&mut self, now: Moment, delay: Duration, window: Duration) {
        self.least = match self.least {
            Some((newer, _)) if now.since(self.turned_at) >= window => {
                self.turned_at = now;
                Some((delay, newer))
            }
            Some((newer, older)) => Some((newer.min(delay), older)),
            None => Some((delay, delay)),
        };
    }

    /// How long a request takes that finds nothing before it; zero while unknown.
    pub fn delay(&self) -> Duration {
        self.least.map_or(Duration::ZERO, |(newer, older)| newer.min(older))
    }

    /// How long a request may take with what is before it.
    fn target(&self, span: Duration) -> Duration {
        self.delay() * 2 + span
    }

    /// How many blocks should be outstanding at this rate, bytes a second, to keep the peer busy for two delays and
    /// `span`.
    pub fn depth(&self, rate: u64, span: Duration, limits: &Limits) -> usize {
        if self.slow_start {
            return limits.pipeline_first + self.delivered;
        }
        let bytes = rate as f64 * self.target(span).as_secs_f64();
        ((bytes / f64::from(BLOCK_LENGTH)) as usize).max(limits.pipeline_first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_millis(100);

    /// A peer `delay` away that sends `rate` blocks a second, for so long: the depth at the end, and what was outstanding at
    /// most.
    fn run(delay: u64, rate: u64, milliseconds: u64) -> (usize, usize) {
        let limits = Limits::default();
        let mut pipeline = Pipeline::new(Moment(0));
        let mut measured = crate::peer::Rate::default();
        // When each outstanding block was asked for, and when it comes.
        let mut queue: std::collections::VecDeque<(Moment, Moment)> = std::collections::VecDeque::new();
        let (mut free_at, mut most) = (Moment(0), 0);
        for now in (0..milliseconds * 1000).step_by(100).map(Moment) {
            while queue.front().is_some_and(|(_, due)| *due <= now) {
                let (asked_at, _) = queue.pop_front().unwrap();
                measured.add(now, u64::from(BLOCK_LENGTH));
                pipeline.delivered(now, asked_at, SPAN, &limits);
            }
            let depth = pipeline.depth(measured.per_second(now), SPAN, &limits).min(limits.request_queue_max);
            if queue.len() * 4 <= depth * 3 {
                pipeline.asked(now, queue.len());
                while queue.len() < depth {
                    free_at = free_at.max(now + Duration::from_millis(delay)) + Duration::from_micros(1_000_000 / rate);
                    queue.push_back((now, free_at));
                }
            }
            most = most.max(queue.len());
        }
        (pipeline.depth(measured.per_second(Moment(milliseconds * 1000)), SPAN, &limits), most)
    }

    #[test]
    fn it_settles_at_the_rate_times_the_delay() {
        for (delay, rate) in [(2, 1000), (20, 500), (100, 300), (300, 100)] {
            let (depth, _) = run(delay, rate, 10_000);
            let path = rate * delay / 1000;
            let bound = rate * (2 * delay + 150) / 1000 + 9;
            assert!((path.max(8)..=bound).contains(&(depth as u64)), "{depth} for {rate} blocks/s, {delay} ms away");
        }
    }

    #[test]
    fn it_never_asks_far_beyond_what_comes() {
        let (_, most) = run(2, 1000, 10_000);
        // Slow start doubles once more before it sees that the delay has grown.
        let settled = 1000 * (2 * 2 + 100) / 1000;
        assert!(most < 2 * settled + 20, "{most} blocks at a thousand a second");
    }

    #[test]
    fn a_peer_that_begins_again_is_measured_again() {
        let limits = Limits::default();
        let mut pipeline = Pipeline::new(Moment(0));
        pipeline.asked(Moment(0), 0);
        pipeline.delivered(Moment(900_000), Moment(0), SPAN, &limits);
        assert_eq!(pipeline.depth(0, SPAN, &limits), limits.pipeline_first + 1, "the first delay is the measure");
        pipeline.delivered(Moment(9_000_000), Moment(0), SPAN, &limits);
        assert_eq!(pipeline.depth(0, SPAN, &limits), limits.pipeline_first);
        pipeline.restart();
        pipeline.delivered(Moment(9_000_000), Moment(8_999_000), SPAN, &limits);
        assert_eq!(pipeline.depth(0, SPAN, &limits), limits.pipeline_first + 1);
    }

    #[test]
    fn the_delay_is_that_of_requests_that_did_not_queue() {
        let limits = Limits::default();
        let mut pipeline = Pipeline::new(Moment(0));
        pipeline.asked(Moment(0), 0);
        pipeline.asked(Moment(10_000), 8);
        pipeline.delivered(Moment(30_000), Moment(0), SPAN, &limits);
        pipeline.delivered(Moment(30_001), Moment(10_000), SPAN, &limits);
        assert_eq!(pipeline.delay(), Duration::from_millis(30));
        // A path that got longer shows after two windows.
        for second in [11, 22, 33] {
            let at = Moment(second * 1_000_000);
            pipeline.asked(at, 0);
            pipeline.delivered(at + Duration::from_millis(80), at, SPAN, &limits);
        }
        assert_eq!(pipeline.delay(), Duration::from_millis(80));
    }
}
