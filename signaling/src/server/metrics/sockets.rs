//! What the workers count of their sockets.
//!
//! Invariant: every count is told, once.

use super::super::counters::{Count, Snapshot};
use super::Families;

/// Name, what it counts, the label's name, and its values.
type Row = (&'static str, &'static str, &'static str, &'static [(Count, &'static str)]);

#[rustfmt::skip]
const COUNTERS: [Row; 12] = [
    ("connections_accepted", "Connections accepted", "", &[(Count::Accepted, "")]),
    ("connections_refused", "Connections refused: the address has its share, the server is full, too many came at once, or the server stops",
        "cause", &[
            (Count::RefusedAddress, "address"),
            (Count::RefusedFull, "full"),
            (Count::RefusedRate, "rate"),
            (Count::RefusedStopping, "stopping"),
        ]),
    ("accept_errors", "Connections that the system did not hand over: as a rule the process has too many files open", "", &[(Count::AcceptErrors, "")]),
    ("handshakes_failed", "Connections that ended before a request was answered", "", &[(Count::HandshakesFailed, "")]),
    ("websockets_opened", "WebSockets opened", "", &[(Count::Upgraded, "")]),
    ("websockets_ended", "WebSockets ended by us: nothing was heard, nothing was taken, or the protocol was broken",
        "cause", &[(Count::Silent, "silent"), (Count::Deaf, "deaf"), (Count::Violations, "violation")]),
    ("websocket_bytes", "Bytes of WebSockets", "direction", &[(Count::BytesIn, "in"), (Count::BytesOut, "out")]),
    ("messages_received", "Messages of clients", "", &[(Count::MessagesIn, "")]),
    ("frames_sent", "WebSocket frames sent", "", &[(Count::FramesOut, "")]),
    ("pings_sent", "Pings sent", "", &[(Count::Pings, "")]),
    ("messages_dropped", "Offers lost: the client was too slow, or another worker too busy",
        "cause", &[(Count::OutboxDropped, "client"), (Count::ForwardDropped, "worker")]),
    ("messages_forwarded", "Messages from one worker to another", "", &[(Count::Forwarded, "")]),
];

pub(super) fn tell(families: &mut Families, counts: &Snapshot, connections_max: usize) {
    for (name, help, label, values) in COUNTERS {
        families.counter(name, help, label, values.iter().map(|(count, value)| (*value, counts[*count])));
    }
    families.gauge("websockets", "WebSockets open", "", [("", counts[Count::Open])]);
    families.gauge("connections_max", "Connections that there may be", "", [("", connections_max as u64)]);
    let lag = counts[Count::LagMicros] as f64 / 1e6;
    families.plain_gauge("swarmreel_worker_lag_seconds", "How late the most burdened worker's last tick was", lag);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_told_once() {
        let told = COUNTERS.iter().flat_map(|(.., values)| values.iter().map(|(count, _)| *count));
        let mut told: Vec<_> = told.chain([Count::Open, Count::LagMicros]).map(|count| count as usize).collect();
        told.sort_unstable();
        assert_eq!(told, (0..Count::ALL.len()).collect::<Vec<_>>());
    }
}
