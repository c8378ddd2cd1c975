//! The only home of numbers. Each row: unit, default, and one line of why (threat-model.md §1).

use std::time::Duration;

/// What the engine may use, and how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of `bufferedAmount` above which a link is sent nothing more.
    pub link_buffer_high: usize,
    /// Bytes of `bufferedAmount` at which the driver reports `LinkDrained`.
    pub link_buffer_low: usize,
    /// An unanswered offer is closed after this long: webtorrent.js drops late answers at 50 s.
    pub offer_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { link_buffer_high: 1 << 20, link_buffer_low: 256 << 10, offer_life: Duration::from_secs(50) }
    }
}
