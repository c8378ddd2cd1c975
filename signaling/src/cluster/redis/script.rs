//! The Lua scripts that run inside Redis, so that what belongs together happens at once; their arguments and replies.
//!
//! Invariant: a key is made of the deployment's prefix and 40 hexadecimal digits, whatever bytes an info hash has
//! (threat-model C7). Both keys of a swarm carry the digits in braces, so that a Redis Cluster keeps them together.

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value, cmd, from_redis_value};
use sha1_smol::Sha1;
use swarmreel::ids::{InfoHash, PeerId};

use super::super::registry::{Claim, ELDER, Sync, Synced};
use super::super::{ClusterLimits, Count, NodeId};

/// Claims that come back with every exchange.
const SAMPLE: usize = 2;

const HEARTBEAT: &str = include_str!("heartbeat.lua");
const SYNC: &str = include_str!("sync.lua");

/// The names that a deployment uses in Redis.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
}

impl Names {
    /// A sorted set: nodes by the end of their leases.
    pub(super) fn leases(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// A sharded channel: what the other nodes say to this one.
    pub(super) fn channel(&self, node: NodeId) -> String {
        format!("{}:node:{node}", self.prefix)
    }

    /// A hash: node → seeders and leechers.
    pub(super) fn counts(&self, info_hash: InfoHash) -> String {
        format!("{}:{{{info_hash}}}:nodes", self.prefix)
    }

    /// A hash: peer id → node, and since when.
    pub(super) fn claims(&self, info_hash: InfoHash) -> String {
        format!("{}:{{{info_hash}}}:peers", self.prefix)
    }
}

/// Whether a lease is renewed, or taken anew, in place of another's that the process had before.
#[derive(Clone, Debug)]
pub(super) enum Lease {
    Renewed,
    New { former: Option<String> },
}

/// Takes a lease for `member`, or renews it. Gives the members that live; `None` if there is none to renew.
pub(super) async fn heartbeat<C: ConnectionLike>(
    connection: &mut C,
    names: &Names,
    member: &str,
    lease: Lease,
    limits: &ClusterLimits,
) -> RedisResult<Option<Vec<String>>> {
    let (what, former) = match lease {
        Lease::Renewed => ("renew", String::new()),
        Lease::New { former } => ("new", former.unwrap_or_default()),
    };
    let reply = run(connection, HEARTBEAT, |command| {
        command.arg(1).arg(names.leases()).arg(member).arg(milliseconds(limits.lease)).arg(what).arg(&former);
    });
    let (held, members): (bool, Vec<String>) = from_redis_value(reply.await?)?;
    Ok(held.then_some(members))
}

/// Does one exchange about a swarm. Fields that no node writes are passed over.
pub(super) async fn sync<C: ConnectionLike>(
    connection: &mut C,
    names: &Names,
    node: NodeId,
    sync: &Sync,
    limits: &ClusterLimits,
) -> RedisResult<Synced> {
    let Sync { info_hash, serial, count, claims, discards, forgets } = sync;
    let reply = run(connection, SYNC, |command| {
        command.arg(2).arg(names.counts(*info_hash)).arg(names.claims(*info_hash));
        command.arg(node.to_string()).arg(count_text(*count)).arg(limits.swarm_life.as_secs()).arg(SAMPLE);
        command.arg(milliseconds(ELDER)).arg(claims.len());
        for Claim { peer_id, from, age } in claims {
            let from = from.map_or(String::new(), |node| node.to_string());
            command.arg(&peer_id.0).arg(from).arg(milliseconds(*age));
        }
        command.arg(discards.len());
        for (peer_id, node) in discards {
            command.arg(&peer_id.0).arg(node.to_string());
        }
        command.arg(forgets.iter().map(NodeId::to_string).collect::<Vec<_>>());
    });
    type Pairs = Vec<(Vec<u8>, String)>;
    let (holders, counts, sample): (Vec<String>, Vec<(String, String)>, Pairs) = from_redis_value(reply.await?)?;
    let claimed = || claims.iter().map(|claim| claim.peer_id).zip(&holders);
    // Further digits: the node that lost it.
    let loser = |holder: &str| NodeId::from_hex(holder.get(17..)?);
    Ok(Synced {
        info_hash: *info_hash,
        serial: *serial,
        holders: claimed().filter_map(|(peer_id, holder)| Some((peer_id, node_from(holder)?))).collect(),
        ousted: claimed().filter_map(|(peer_id, holder)| Some((peer_id, loser(holder)?))).collect(),
        counts: counts.iter().filter_map(|(node, count)| Some((NodeId::from_hex(node)?, count_from(count)?))).collect(),
        sample: sample
            .iter()
            .filter_map(|(peer_id, node)| Some((PeerId::from_slice(peer_id)?, node_from(node)?)))
            .collect(),
    })
}

/// Runs a script by its digest; sends it whole where Redis does not have it yet.
async fn run<C: ConnectionLike>(connection: &mut C, script: &str, arguments: impl Fn(&mut Cmd)) -> RedisResult<Value> {
    let mut by_digest = cmd("EVALSHA");
    by_digest.arg(Sha1::from(script).digest().to_string());
    arguments(&mut by_digest);
    match by_digest.query_async(connection).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            let mut whole = cmd("EVAL");
            whole.arg(script);
            arguments(&mut whole);
            whole.query_async(connection).await
        }
        reply => reply,
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The node of a claim, whose digits come first.
fn node_from(claim: &str) -> Option<NodeId> {
    NodeId::from_hex(claim.get(..16)?)
}

/// `3 14`; nothing for nobody.
fn count_text(count: Count) -> String {
    if count == Count::NONE { String::new() } else { format!("{} {}", count.seeders, count.leechers) }
}

fn count_from(text: &str) -> Option<Count> {
    let (seeders, leechers) = text.split_once(' ')?;
    Some(Count { seeders: seeders.parse().ok()?, leechers: leechers.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_names_are_hexadecimal_whatever_the_bytes() {
        let names = Names { prefix: "sr".to_owned() };
        let info_hash = InfoHash(*b"*{a}?[b]\r\n.>\0\\:\"' $/");
        let digits = info_hash.to_hex();
        for name in [names.counts(info_hash), names.claims(info_hash)] {
            assert!(name.starts_with(&format!("sr:{{{digits}}}:")), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":{}".contains(&byte)), "{name}");
            assert_eq!(name.matches(['{', '}']).count(), 2, "one hash tag: {name}");
        }
        assert_eq!(names.channel(NodeId(0xab)), "sr:node:00000000000000ab");
    }

    #[test]
    fn counts_are_two_numbers() {
        let count = Count { seeders: 3, leechers: 14 };
        assert_eq!(count_from(&count_text(count)), Some(count));
        assert_eq!(count_text(Count::NONE), "");
        for text in ["", "3", "3 ", "-1 2", "3 4 5", "3 4294967296"] {
            assert_eq!(count_from(text), None, "{text:?}");
        }
    }
}
