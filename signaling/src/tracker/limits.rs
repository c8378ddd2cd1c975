//! The only home of the tracker's numbers: unit, default, and one line of why (threat-model.md §1).

use std::time::Duration;

/// What one connection may use, and how long things live.
#[derive(Clone, Debug)]
pub struct TrackerLimits {
    /// Asked of clients between two announces. Proxies cut sockets that are idle for 100 s.
    pub interval: Duration,
    /// A peer, or a connection without one, that has not announced for this long is gone: one announce may be lost, and the
    /// next take a while.
    pub silence: Duration,
    /// An offer is answerable for this long: webtorrent.js drops late answers at 50 s.
    pub offer_life: Duration,
    /// Unanswered offers of one peer at a time; others are not relayed.
    pub offers_outstanding: usize,
    /// So long a connection that was refused a peer id in use has a claim to it: thrice what it takes to find out that the
    /// one that has it is dead.
    pub claim_life: Duration,
    /// Torrents of one connection at a time; an announce of one more is refused.
    pub torrents_per_connection: usize,
    /// Announces a second, lasting, whose offers are relayed.
    pub announces_per_second: u32,
    /// Announces at once whose offers are relayed.
    pub announce_burst: u32,
    /// Announces at once beyond the burst that still count as presence, their offers not relayed: a client may start
    /// with all its torrents, each with `completed` and `started`.
    pub announce_excess: u32,
    /// Announces and scrapes a second, lasting, of all connections of one IPv4 address or IPv6 /64: as many as it may have
    /// connections, each of which makes one in 90 s for each of its torrents.
    pub household_announces_per_second: u32,
    /// So many seconds' worth of those at once: a school's hour begins.
    pub household_burst_seconds: u32,
    /// Malformed or forged messages after which a connection is closed.
    pub strikes: u32,
}

/// The least silence that ends something: not all clients keep to an interval that is short.
const SILENCE_MIN: Duration = Duration::from_secs(180);
/// How late an announce may be.
const LATE: Duration = Duration::from_secs(5);

impl TrackerLimits {
    /// Asks for another interval, and gives up who is silent for two of them, three minutes at least.
    pub fn with_interval(self, interval: Duration) -> Self {
        Self { interval, silence: (interval * 2 + LATE).max(SILENCE_MIN), ..self }
    }
}

impl Default for TrackerLimits {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(90),
            silence: Duration::from_secs(185),
            offer_life: Duration::from_secs(60),
            offers_outstanding: 64,
            claim_life: Duration::from_secs(10),
            torrents_per_connection: 128,
            announces_per_second: 2,
            announce_burst: 10,
            announce_excess: 256,
            household_announces_per_second: 64,
            household_burst_seconds: 60,
            strikes: 10,
        }
    }
}
