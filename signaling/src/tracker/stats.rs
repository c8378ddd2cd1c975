//! The tracker in numbers, with the fields of bittorrent-tracker's `/stats.json` (protocol.md §1.6).
//!
//! Invariant: client names come from a fixed table and versions are four ASCII letters or digits, so that no peer id
//! writes text of its own into the page (threat-model S19).

use std::collections::BTreeMap;

use serde::Serialize;
use swarmreel::ids::PeerId;

/// Counts over all swarms. A peer is a connection that is in at least one swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Swarms; each has at least one peer.
    pub torrents: usize,
    /// The same: empty swarms are not kept.
    pub active_torrents: usize,
    /// Peers.
    pub peers_all: usize,
    /// Peers complete in all their swarms.
    pub peers_seeder_only: usize,
    /// Peers complete in none of their swarms.
    pub peers_leecher_only: usize,
    /// All other peers.
    pub peers_seeder_and_leecher: usize,
    /// Peers whose connection came over IPv4.
    #[serde(rename = "peersIPv4")]
    pub peers_ipv4: usize,
    /// Peers whose connection came over IPv6.
    #[serde(rename = "peersIPv6")]
    pub peers_ipv6: usize,
    /// Peers by client name, then version.
    pub clients: BTreeMap<&'static str, BTreeMap<String, usize>>,
}

impl Stats {
    /// Counts swarms.
    pub fn add_torrents(&mut self, count: usize) {
        self.torrents += count;
        self.active_torrents += count;
    }

    /// Counts what another part of the tracker counted.
    pub fn add(&mut self, other: &Stats) {
        self.add_torrents(other.torrents);
        self.peers_all += other.peers_all;
        self.peers_seeder_only += other.peers_seeder_only;
        self.peers_leecher_only += other.peers_leecher_only;
        self.peers_seeder_and_leecher += other.peers_seeder_and_leecher;
        self.peers_ipv4 += other.peers_ipv4;
        self.peers_ipv6 += other.peers_ipv6;
        for (name, versions) in &other.clients {
            for (version, count) in versions {
                *self.clients.entry(name).or_default().entry(version.clone()).or_default() += count;
            }
        }
    }

    /// Counts one connection by its peers: the name of each, and whether it has all bytes.
    pub(super) fn count<'a>(&mut self, is_ipv4: bool, members: impl Iterator<Item = (&'a PeerId, bool)> + Clone) {
        let Some((first, _)) = members.clone().next() else { return };
        self.peers_all += 1;
        let (all, complete) = members.fold((0, 0), |(all, some), (_, complete)| (all + 1, some + u32::from(complete)));
        *match complete {
            0 => &mut self.peers_leecher_only,
            complete if complete == all => &mut self.peers_seeder_only,
            _ => &mut self.peers_seeder_and_leecher,
        } += 1;
        *if is_ipv4 { &mut self.peers_ipv4 } else { &mut self.peers_ipv6 } += 1;
        let (name, version) = client_of(first);
        *self.clients.entry(name).or_default().entry(version).or_default() += 1;
    }
}

/// Client name and version by the convention of BEP 20: `-WW0300-…`.
fn client_of(peer_id: &PeerId) -> (&'static str, String) {
    let [b'-', a, b, version @ .., b'-'] = &peer_id.0[..8] else { return ("unknown", String::new()) };
    let name = match &[*a, *b] {
        b"SR" => "Swarmreel",
        b"WW" => "WebTorrent",
        b"WD" => "WebTorrent Desktop",
        b"LT" | b"lt" => "libtorrent",
        b"GT" => "anacrolix/torrent",
        b"qB" => "qBittorrent",
        b"TR" => "Transmission",
        b"UT" => "µTorrent",
        _ => return ("unknown", String::new()),
    };
    match std::str::from_utf8(version) {
        Ok(version) if version.bytes().all(|byte| byte.is_ascii_alphanumeric()) => (name, version.to_owned()),
        _ => (name, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s19_clients_are_known_names_only() {
        let client = |id: &[u8; 20]| client_of(&PeerId(*id));
        assert_eq!(client(b"-WW0300-abcdefghijkl"), ("WebTorrent", "0300".to_owned()));
        assert_eq!(client(b"-WW<\"\n\xff-abcdefghijkl"), ("WebTorrent", String::new()));
        assert_eq!(client(b"<script>alert(1)</sc"), ("unknown", String::new()));
        assert_eq!(client(b"-ZZ0300-abcdefghijkl"), ("unknown", String::new()));
    }
}
