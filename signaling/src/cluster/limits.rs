//! The only home of the cluster's numbers: unit, default, and one line of why.

use std::time::Duration;

/// What the nodes of a cluster may use, and how long things live.
#[derive(Clone, Debug)]
pub struct ClusterLimits {
    /// Between two renewals of a node's lease, which also show which other nodes live.
    pub heartbeat: Duration,
    /// A node that has not renewed its lease for this long is dead: two lost heartbeats and some patience. With the
    /// age of the other nodes' tables that is 16 s, of the 30 s that a dead node's peers may be seen.
    pub lease: Duration,
    /// For a heartbeat, an exchange about a swarm or a message to another node to succeed. One that takes longer is lost;
    /// the link ends when the lease would.
    pub patience: Duration,
    /// For the registry to tell what a first announce hangs on; after that it is served with what is known here.
    pub parked: Duration,
    /// Bytes of announces that wait for the registry; beyond that they are served at once.
    pub parked_bytes: usize,
    /// Between two exchanges about a swarm when only counts changed.
    pub news: Duration,
    /// Age of other nodes' counts when peers of this one find enough partners here.
    pub counts_age: Duration,
    /// The same when they do not, and for a scrape.
    pub counts_age_short: Duration,
    /// Before an exchange that failed is tried again.
    pub again: Duration,
    /// What is known of a swarm without peers here is kept for this long after the last question.
    pub idle: Duration,
    /// Exchanges on their way at a time, at most: half as many after each that fails, one more after each that does not.
    pub syncs: usize,
    /// Peer ids claimed in one exchange.
    pub claims: usize,
    /// Swarms without peers here that are asked about in one second, since a question costs a client so little.
    pub lookups_per_second: u32,
    /// For another node to find out whether a connection lives: its probe takes 3 s.
    pub probe: Duration,
    /// Peers that wait for such a probe, or are probed for another node.
    pub probes: usize,
    /// Open offers of other nodes' peers.
    pub offers: usize,
    /// For a connection to the registry to be made.
    pub connect: Duration,
    /// Between two attempts to connect, at first; doubled each time. Each wait is drawn between half of it and all.
    pub retry_first: Duration,
    /// Between two attempts to connect, at most.
    pub retry_max: Duration,
    /// The registry forgets a swarm that no node has mentioned for this long.
    pub swarm_life: Duration,
    /// A swarm that does not change is mentioned this often.
    pub refresh: Duration,
    /// Bytes of messages to other nodes on their way: at half of them offers are lost, which is 700 announces with 5; at
    /// three quarters answers; and only when all are taken those about who has a peer id.
    pub queue_bytes: usize,
    /// Messages from other nodes that were not looked at yet.
    pub inbox_messages: usize,
}

impl Default for ClusterLimits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(4),
            lease: Duration::from_secs(12),
            patience: Duration::from_secs(2),
            parked: Duration::from_millis(250),
            parked_bytes: 8 << 20,
            news: Duration::from_secs(2),
            counts_age: Duration::from_secs(10),
            counts_age_short: Duration::from_secs(5),
            again: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            syncs: 256,
            claims: 128,
            lookups_per_second: 200,
            probe: Duration::from_secs(5),
            probes: 4096,
            offers: 1 << 16,
            connect: Duration::from_secs(2),
            retry_first: Duration::from_millis(200),
            retry_max: Duration::from_secs(5),
            swarm_life: Duration::from_secs(3600),
            refresh: Duration::from_secs(1200),
            queue_bytes: 8 << 20,
            inbox_messages: 4096,
        }
    }
}
