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
            offers_relayed: self.offers_relayed - before.offers_relayed,
            answers: self.answers - before.answers,
            answers_relayed: self.answers_relayed - before.answers_relayed,
            misdelivered: self.misdelivered - before.misdelivered,
            unknown: self.unknown - before.unknown,
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
            "offers_relayed": self.offers_relayed,
            "answers": self.answers,
            "answers_relayed": self.answers_relayed,
            "misdelivered": self.misdelivered,
            "unknown": self.unknown,
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
    /// How late the generator itself sent announces.
    pub lateness: Histogram<u64>,
}

/// Latencies above a minute are a minute.
const MOST: u64 = 60_000_000;

impl Latencies {
    /// Of the messages meant to leave in this window (µs).
    pub fn new(window: Range<u64>) -> Self {
        let empty = Histogram::new_with_bounds(1, MOST, 3).expect("legal bounds");
        Self { window, response: empty.clone(), offer: empty.clone(), answer: empty.clone(), lateness: empty }
    }

    pub(crate) fn record(&mut self, which: fn(&mut Self) -> &mut Histogram<u64>, meant: u64, now: u64) {
        if self.window.contains(&meant) {
            which(self).saturating_record(now.saturating_sub(meant).clamp(1, MOST));
        }
    }

    /// The slowest of the three in ms at a quantile.
    pub fn worst_ms(&self, quantile: f64) -> f64 {
        let all = [&self.response, &self.offer, &self.answer];
        all.into_iter().map(|times| times.value_at_quantile(quantile)).max().unwrap_or(0) as f64 / 1000.0
    }

    /// Milliseconds at the quantiles people ask for.
    pub fn to_json(&self) -> Value {
        json!({
            "announce_to_response": quantiles(&self.response),
            "announce_to_offer": quantiles(&self.offer),
            "answer_to_answer": quantiles(&self.answer),
            "generator_lateness": quantiles(&self.lateness),
        })
    }
}

fn quantiles(times: &Histogram<u64>) -> Value {
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
    json!({ "count": times.len(), "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": times.max() as f64 / 1000.0 })
}

/// The slope of a straight line through points, by least squares; 0 for fewer than two.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
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
        assert!((latencies.worst_ms(1.0) - 10.0).abs() < 0.1);
    }

    #[test]
    fn a_line_has_its_slope() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), 2.0);
        assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
        assert_eq!(slope(&[]), 0.0);
    }
}
