//! What the tracker counts: swarms and peers now, messages since the start.
//!
//! Invariant: a client's name is told without its version, of which it can make up any.

use super::Families;
use crate::{Counters, Refusal, Stats, Withheld};

pub(super) fn tell(families: &mut Families, stats: &Stats, counters: &Counters) {
    peers(families, stats);
    messages(families, counters);
}

fn peers(families: &mut Families, stats: &Stats) {
    families.gauge("torrents", "Torrents with a peer", "", [("", stats.torrents as u64)]);
    let roles = [
        ("seeder", stats.peers_seeder_only as u64),
        ("leecher", stats.peers_leecher_only as u64),
        ("both", stats.peers_seeder_and_leecher as u64),
    ];
    families.gauge("peers", "Connections in a swarm", "role", roles);
    let versions = [("4", stats.peers_ipv4 as u64), ("6", stats.peers_ipv6 as u64)];
    families.gauge("peers_by_ip_version", "Connections in a swarm, by their address", "version", versions);
    let clients = stats.clients.iter().map(|(name, versions)| (*name, versions.values().sum::<usize>() as u64));
    families.gauge("peers_by_client", "Connections in a swarm, by what their peer id says", "client", clients);
}

fn messages(families: &mut Families, counters: &Counters) {
    let Counters { announces, stops, answers, scrapes, malformed, .. } = *counters;
    let kinds = [
        ("announce", announces.saturating_sub(stops)),
        ("stop", stops),
        ("answer", answers),
        ("scrape", scrapes),
        ("malformed", malformed),
    ];
    families.counter("tracker_messages", "Messages read", "kind", kinds);
    let refusals = Refusal::ALL.map(Refusal::label).into_iter().zip(counters.refused);
    families.counter("tracker_refusals", "Messages without effect", "cause", refusals);
    families.counter("offers_received", "Offers read", "", [("", counters.offers)]);
    families.counter("offers_relayed", "Offers relayed", "", [("", counters.offers_relayed)]);
    let causes = Withheld::ALL.map(Withheld::label).into_iter().zip(counters.withheld);
    families.counter("offers_withheld", "Offers not relayed", "cause", causes);
    families.counter("answers_relayed", "Answers relayed", "", [("", counters.answers_relayed)]);
    let (probes, claims) = ([("", counters.probes)], [("", counters.claims)]);
    families.counter(
        "peer_id_probes",
        "Connections asked whether they live, since another claims their peer",
        "",
        probes,
    );
    families.counter("peer_id_claims", "Peers that went from a dead connection to who claimed them", "", claims);
}
