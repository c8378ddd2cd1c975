//! What the generator counts and measures.
//!
//! Invariant: a latency is recorded only if its message was meant to leave inside the window, whenever it arrives.

use std::ops::Range;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Counts of messages, from the generator's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Announces sent.
    pub announces: u64,
    /// Announces that were due but not sent: their connection was gone or took no more.
    pub withheld: u64,
    /// Responses to announces.
    pub responses: u64,
    /// Refusals, `failure reason`.
    pub failures: u64,
    /// Offers sent, inside announces.
    pub offers: u64,
    /// Offers sent that had a receiver: an announce's, up to the number of peers it has something to trade with.
    pub offers_owed: u64,
    /// Offers that arrived at another peer.
    pub offers_relayed: u64,
    /// Answers sent.
    pub answers: u64,
    /// Answers that arrived at the offerer.
    pub answers_relayed: u64,
    /// Offers and answers that arrived at the wrong peer.
    pub misdelivered: u64,
    /// Messages of no kind that we know.
    pub unknown: u64,
    /// Connections that the other side ended, or that broke.
    pub closed: u64,
}

impl Traffic {
    /// What came after `before` was taken.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            announces: self.announces - before.announces,
            withheld: self.withheld - before.withheld,
            responses: self.responses - before.responses,
            failures: self.failures - before.failures,
            offers: self.offers - before.offers,
            offers_owed: self.offers_owed - before.offers_owed,
            offers_relayed: self.offers_relayed - before.offers_relayed,
            answers: self.answers - before.answers,
            answers_relayed: self.answers_relayed - before.answers_relayed,
            misdelivered: self.misdelivered - before.misdelivered,
            unknown: self.unknown - before.unknown,
            closed: self.closed - before.closed,
        }
    }

    /// WebSocket messages that the server received and sent.
    pub fn messages(&self) -> u64 {
        let received = self.announces + self.answers;
        received + self.responses + self.failures + self.offers_relayed + self.answers_relayed + self.unknown
    }

    /// As counts and, over so many seconds, rates.
    pub fn to_json(&self, seconds: f64) -> Value {
        let rate = |count: u64| (count as f64 / seconds).round();
        json!({
            "announces_per_second": rate(self.announces),
            "responses_per_second": rate(self.responses),
            "offers_relayed_per_second": rate(self.offers_relayed),
            "answers_relayed_per_second": rate(self.answers_relayed),
            "messages_per_second": rate(self.messages()),
            "announces": self.announces,
            "withheld": self.withheld,
            "responses": self.responses,
            "failures": self.failures,
            "offers": self.offers,
            "offers_owed": self.offers_owed,
            "offers_relayed": self.offers_relayed,
            "answers": self.answers,
            "answers_relayed": self.answers_relayed,
            "misdelivered": self.misdelivered,
            "unknown": self.unknown,
            "closed": self.closed,
        })
    }
}

/// How long things took, in µs.
pub struct Latencies {
    window: Range<u64>,
    /// Announce to its response.
    pub response: Histogram<u64>,
    /// Announce to the offer at another peer.
    pub offer: Histogram<u64>,
    /// Answer to the answer at the offerer.
    pub answer: Histogram<u64>,
    /// Announce to an answer to one of its offers: both relays.
    pub round: Histogram<u64>,
    /// How late the generator itself sent announces.
    pub lateness: Histogram<u64>,
}

/// Latencies above a minute are a minute.
const MOST: u64 = 60_000_000;

impl Latencies {
    /// Of the messages meant to leave in this window (µs).
    pub fn new(window: Range<u64>) -> Self {
        let empty = Histogram::new_with_bounds(1, MOST, 3).expect("legal bounds");
        Self {
            window,
            response: empty.clone(),
            offer: empty.clone(),
            answer: empty.clone(),
            round: empty.clone(),
            lateness: empty,
        }
    }

    pub(crate) fn record(&mut self, which: fn(&mut Self) -> &mut Histogram<u64>, meant: u64, now: u64) {
        if self.window.contains(&meant) {
            which(self).saturating_record(now.saturating_sub(meant).clamp(1, MOST));
        }
    }

    /// Milliseconds at the quantiles people ask for.
    pub fn to_json(&self) -> Value {
        json!({
            "announce_to_response": quantiles(&self.response),
            "announce_to_offer": quantiles(&self.offer),
            "answer_to_answer": quantiles(&self.answer),
            "announce_to_answer": quantiles(&self.round),
            "generator_lateness": quantiles(&self.lateness),
        })
    }
}

/// How many took at most so many µs.
pub fn within(times: &Histogram<u64>, most: u64) -> u64 {
    times.count_between(0, most)
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
    json!({ "count": times.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": times.max() as f64 / 1000.0 })
}

/// The middle of some numbers; 0 of none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    (middle(sorted.len().saturating_sub(1) / 2) + middle(sorted.len() / 2)) / 2.0
}

/// How steep a straight line through points is, by least squares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// 0 for fewer than two points.
    pub slope: f64,
    /// The slope's standard error; 0 for fewer than three points.
    pub error: f64,
}

impl Line {
    /// Fits it.
    pub fn through(points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        if points.len() < 2 || spread == 0.0 {
            return Self::default();
        }
        let slope = together / spread;
        let left: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
        let error = if points.len() > 2 { (left / (count - 2.0) / spread).sqrt() } else { 0.0 };
        Self { slope, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_counts() {
        let mut latencies = Latencies::new(100..200);
        for (meant, now) in [(99, 5000), (100, 3100), (199, 10_199), (200, 900_000)] {
            latencies.record(|all| &mut all.offer, meant, now);
        }
        assert_eq!(latencies.offer.len(), 2);
        assert_eq!(within(&latencies.offer, 5000), 1);
        assert_eq!(within(&latencies.offer, 20_000), 2);
    }

    #[test]
    fn a_line_has_its_slope_and_how_sure_that_is() {
        assert_eq!(Line::through(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Line { slope: 2.0, error: 0.0 });
        // By hand: slope 0.5 leaves -0.5, 1, -0.5 of three points, so √(1.5 / 1 / 2).
        let rough = Line::through(&[(0.0, 0.0), (1.0, 2.0), (2.0, 1.0)]);
        assert!((rough.slope - 0.5).abs() < 1e-9 && (rough.error - 0.75_f64.sqrt()).abs() < 1e-9, "{rough:?}");
        for few in [&[][..], &[(1.0, 1.0)], &[(1.0, 1.0), (1.0, 2.0)]] {
            assert_eq!(Line::through(few), Line::default());
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
