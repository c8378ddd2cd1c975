//! The server in numbers, for Prometheus: `/metrics`, as OpenMetrics 1.0 text.
//!
//! Invariant: how many lines there are does not depend on who comes, since every label is from a table in this program
//! (threat-model S13, S19).

mod family;
mod sockets;
mod tracker;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::counters::Snapshot;
use super::process;
use crate::cluster::ClusterCounters;
use crate::cluster::redis::LinkStats;
use crate::{Counters, Stats};
use family::Families;

/// What [`page`] is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is told, as it is at about one moment.
pub(super) struct Readings<'a> {
    pub(super) sockets: Snapshot,
    /// The most there may be.
    pub(super) connections_max: usize,
    pub(super) stats: Arc<Stats>,
    pub(super) tracker: Counters,
    /// What became of the packets to the STUN server.
    pub(super) stun: Option<[(&'static str, u64); 5]>,
    /// In a cluster: its link, and what the shards counted.
    pub(super) cluster: Option<(&'a LinkStats, ClusterCounters)>,
    pub(super) uptime: Duration,
}

/// The page.
pub(super) fn page(readings: &Readings<'_>) -> String {
    let mut families = Families::default();
    families.gauge("build_info", "The version", "version", [(env!("CARGO_PKG_VERSION"), 1)]);
    sockets::tell(&mut families, &readings.sockets, readings.connections_max);
    tracker::tell(&mut families, &readings.stats, &readings.tracker);
    if let Some(stun) = readings.stun {
        families.counter("stun_packets", "Packets to the STUN server", "outcome", stun);
    }
    if let Some((link, counters)) = &readings.cluster {
        cluster(&mut families, link, counters);
    }
    process(&mut families, readings.uptime);
    families.text()
}

fn cluster(families: &mut Families, link: &LinkStats, counters: &ClusterCounters) {
    families.gauge("cluster_up", "Whether the cluster can be reached", "", [("", u64::from(link.up()))]);
    families.gauge("cluster_nodes", "Nodes that live", "", [("", link.nodes() as u64)]);
    families.counter("cluster_connects", "Times that the link was made", "", [("", link.connects())]);
    let outcomes = [("done", link.syncs().saturating_sub(link.syncs_failed())), ("failed", link.syncs_failed())];
    families.counter("cluster_exchanges", "Exchanges with the registry", "outcome", outcomes);
    let messages = [("sent", link.published()), ("received", link.received())];
    families.counter("cluster_messages", "Messages between nodes", "direction", messages);
    families.counter("cluster_messages_lost", "Messages between nodes that were lost here", "", [("", link.lost())]);
    families.counter("cluster_messages_malformed", "What came and is no message of ours", "", [("", link.malformed())]);
    let lost_claims = [("", link.lost_claims())];
    families.counter("cluster_claims_lost", "Messages about who has a peer id that were lost here", "", lost_claims);
    let ClusterCounters { parked, overdue, conflicts, offers_out, offers_in, offers_unplaced, .. } = *counters;
    let ClusterCounters { offers_evicted, answers_out, answers_in, answers_refused, .. } = *counters;
    families.counter("cluster_parked", "Requests that waited for the registry", "", [("", parked)]);
    families.counter("cluster_overdue", "Those that it kept waiting too long", "", [("", overdue)]);
    families.counter("cluster_conflicts", "Peers refused since another node has them", "", [("", conflicts)]);
    let offers = [("out", offers_out), ("in", offers_in)];
    families.counter("cluster_offers", "Offers to and from other nodes", "direction", offers);
    let dropped = [("lost", link.lost_offers()), ("no_partner", offers_unplaced), ("evicted", offers_evicted)];
    families.counter(
        "cluster_offers_dropped",
        "Those that were lost here, came when nobody was left, or made room for newer ones",
        "cause",
        dropped,
    );
    let answers = [("out", answers_out), ("in", answers_in)];
    families.counter("cluster_answers", "Answers to and from other nodes", "direction", answers);
    let refused = [("", answers_refused)];
    families.counter("cluster_answers_refused", "Answers of other nodes to no offer that is open", "", refused);
}

/// Under the names that Prometheus has for every process.
fn process(families: &mut Families, uptime: Duration) {
    if let Some(bytes) = process::resident_bytes() {
        families.plain_gauge("process_resident_memory_bytes", "Memory in use", bytes as f64);
    }
    if let Some(time) = process::cpu_time() {
        families.plain_counter("process_cpu_seconds", "Processor time used", time.as_secs_f64());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let start = now.saturating_sub(uptime).as_secs_f64();
    families.plain_gauge("process_start_time_seconds", "When the server started, since 1970", start);
}
