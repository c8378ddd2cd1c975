//! The server in numbers, for Prometheus: `/metrics`, as OpenMetrics 1.0 text.
//!
//! Invariant: how many lines there are does not depend on who comes, since every label is from a table in this program
//! (threat-model S13, S19).

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::counters::{Count, Snapshot};
use super::process;
use crate::Stats;

/// What [`page`] is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters of the workers: name, what it counts, the label's name, and its values.
#[rustfmt::skip]
const COUNTERS: [(&str, &str, &str, &[(Count, &str)]); 11] = [
    ("connections_accepted", "Connections accepted", "", &[(Count::Accepted, "")]),
    ("connections_refused", "Connections refused: the address has its share, the server is full, too many came at once, or the server stops", "cause",
        &[(Count::RefusedAddress, "address"), (Count::RefusedFull, "full"), (Count::RefusedRate, "rate"), (Count::RefusedStopping, "stopping")]),
    ("handshakes_failed", "Connections that ended before a request was answered", "", &[(Count::HandshakesFailed, "")]),
    ("websockets_opened", "WebSockets opened", "", &[(Count::Upgraded, "")]),
    ("websockets_ended", "WebSockets ended by us: nothing was heard, nothing was taken, or the protocol was broken", "cause",
        &[(Count::Silent, "silent"), (Count::Deaf, "deaf"), (Count::Violations, "violation")]),
    ("websocket_bytes", "Bytes of WebSockets", "direction", &[(Count::BytesIn, "in"), (Count::BytesOut, "out")]),
    ("messages_received", "Messages of clients", "", &[(Count::MessagesIn, "")]),
    ("frames_sent", "WebSocket frames sent", "", &[(Count::FramesOut, "")]),
    ("pings_sent", "Pings sent", "", &[(Count::Pings, "")]),
    ("messages_dropped", "Offers lost: the client was too slow, or another worker too busy", "cause",
        &[(Count::OutboxDropped, "client"), (Count::ForwardDropped, "worker")]),
    ("messages_forwarded", "Messages from one worker to another", "", &[(Count::Forwarded, "")]),
];

/// All that is told, as it is at one moment.
#[derive(Debug)]
pub(super) struct Readings {
    pub(super) counts: Snapshot,
    pub(super) stats: Rc<Stats>,
    /// What became of the packets to the STUN server.
    pub(super) stun: Vec<(&'static str, u64)>,
    pub(super) uptime: Duration,
}

/// One metric with its samples.
#[derive(Debug)]
struct Family {
    name: String,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Vec<(&'static str, &'static str)>, f64)>,
}

/// The page.
pub(super) fn page(readings: &Readings) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families(readings))));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a string takes all text");
    text
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, kind, samples } in &self.0 {
            let mut family = encoder.encode_descriptor(name, help, None, *kind)?;
            for (labels, value) in samples {
                if labels.is_empty() {
                    encode(&mut family, *kind, *value)?;
                } else {
                    encode(&mut family.encode_family(labels)?, *kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(sample: &mut MetricEncoder<'_>, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => sample.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ => sample.encode_gauge(&value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
fn families(readings: &Readings) -> Vec<Family> {
    let Readings { counts, stats, stun, uptime } = readings;
    let mut families: Vec<Family> = COUNTERS
        .iter()
        .map(|(name, help, label, values)| {
            let values = values.iter().map(|(count, value)| (*value, counts[*count] as f64));
            family(name, help, MetricType::Counter, label, values)
        })
        .collect();
    let mut gauge = |name, help, label, values: &[(&'static str, f64)]| {
        families.push(family(name, help, MetricType::Gauge, label, values.iter().copied()));
    };
    gauge("websockets", "WebSockets open", "", &[("", counts[Count::Open] as f64)]);
    let lag = counts[Count::LagMicros] as f64 / 1e6;
    gauge("worker_lag_seconds", "How late the latest tick of the most burdened worker was", "", &[("", lag)]);
    gauge("torrents", "Torrents with a peer", "", &[("", stats.torrents as f64)]);
    let roles = [
        ("seeder", stats.peers_seeder_only as f64),
        ("leecher", stats.peers_leecher_only as f64),
        ("both", stats.peers_seeder_and_leecher as f64),
    ];
    gauge("peers", "Connections in a swarm", "role", &roles);
    let versions = [("4", stats.peers_ipv4 as f64), ("6", stats.peers_ipv6 as f64)];
    gauge("peers_by_ip_version", "The same by version of their address", "version", &versions);
    let clients: Vec<_> =
        stats.clients.iter().map(|(name, versions)| (*name, versions.values().sum::<usize>() as f64)).collect();
    gauge("peers_by_client", "The same by what their peer id says", "client", &clients);
    gauge("build_info", "The version", "version", &[(env!("CARGO_PKG_VERSION"), 1.0)]);
    let outcomes = stun.iter().map(|(outcome, count)| (*outcome, *count as f64));
    families.push(family("stun_packets", "Packets to the STUN server", MetricType::Counter, "outcome", outcomes));
    families.extend(about_process(*uptime));
    families
}

/// Under the names that Prometheus has for every process.
#[expect(clippy::cast_precision_loss, reason = "no memory comes near 2^53 bytes")]
fn about_process(uptime: Duration) -> impl Iterator<Item = Family> {
    let memory = process::resident_bytes().map(|bytes| bytes as f64);
    let cpu = process::cpu_time().map(|time| time.as_secs_f64());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    let start = now.and_then(|now| now.checked_sub(uptime)).map(|start| start.as_secs_f64());
    let known = [
        ("process_resident_memory_bytes", "Memory in use", MetricType::Gauge, memory),
        ("process_cpu_seconds", "Processor time used", MetricType::Counter, cpu),
        ("process_start_time_seconds", "When the server started, since 1970", MetricType::Gauge, start),
    ];
    known.into_iter().filter_map(|(name, help, kind, value)| {
        Some(Family { name: name.to_owned(), help, kind, samples: vec![(Vec::new(), value?)] })
    })
}

/// With one label, or none if its name is empty.
fn family(
    name: &str,
    help: &'static str,
    kind: MetricType,
    label: &'static str,
    values: impl Iterator<Item = (&'static str, f64)>,
) -> Family {
    let labels = |value| if label.is_empty() { Vec::new() } else { vec![(label, value)] };
    let samples = values.map(|(value, number)| (labels(value), number)).collect();
    Family { name: format!("swarmreel_{name}"), help, kind, samples }
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
