//! A peer's way to the others: latency, jitter, bandwidth and loss.
//!
//! Invariant: loss costs time and never bytes. A channel over a lossy way sends at the rate that TCP would have there,
//! and what is lost comes a round trip later, with all that follows it.

use std::time::Duration;

use swarmreel::rng::Rng;

/// A peer's way to the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Bytes per second to the others.
    pub up: u64,
    /// Bytes per second from the others.
    pub down: u64,
    /// From this peer to the middle of the network; a way between two peers has both.
    pub latency: Duration,
    /// Up to this much more, drawn per message.
    pub jitter: Duration,
    /// Of a hundred packets, so many are lost; a way between two peers has both.
    pub loss: u8,
    /// What it says in `a=max-message-size`, bytes.
    pub message_max: usize,
}

/// Bytes of a packet's payload: what browsers use for SCTP over DTLS.
const PACKET: f64 = 1_200.0;

/// How long so many bytes take.
pub(super) fn transfer_time(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1))
}

/// Bytes per second of one connection where so many percent of the packets are lost: TCP's fair share, 1.22 packets a
/// round trip over the root of the loss (Mathis et al., 1997). No limit without loss.
pub fn fair_rate(round_trip: Duration, loss: u8) -> u64 {
    if loss == 0 {
        return u64::MAX;
    }
    let packets = 1.22 / (f64::from(loss) / 100.0).sqrt();
    (PACKET * packets / round_trip.as_secs_f64().max(0.001)) as u64
}

/// How much later a message is whole because packets of it were lost: a round trip for each time one of them was.
pub(super) fn recovery_time(bytes: usize, round_trip: Duration, loss: u8, rng: &mut Rng) -> Duration {
    let mut packets = (bytes as u64).div_ceil(PACKET as u64);
    let mut delay = Duration::ZERO;
    while loss > 0 && packets > 0 {
        packets = (0..packets).filter(|_| rng.below(100) < u64::from(loss)).count() as u64;
        delay += if packets > 0 { round_trip } else { Duration::ZERO };
    }
    delay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_makes_slow_and_late() {
        let round_trip = Duration::from_millis(300);
        assert_eq!(fair_rate(round_trip, 0), u64::MAX);
        assert!((21_000..22_500).contains(&fair_rate(round_trip, 5)), "{}", fair_rate(round_trip, 5));
        let mut rng = Rng::new([0; 32]);
        assert_eq!(recovery_time(1 << 20, round_trip, 0, &mut rng), Duration::ZERO);
        let delays: Vec<Duration> = (0..100).map(|_| recovery_time(64 << 10, round_trip, 5, &mut rng)).collect();
        assert!(delays.iter().filter(|delay| **delay >= round_trip).count() > 80);
        assert!(delays.iter().all(|delay| *delay <= round_trip * 6));
    }
}
