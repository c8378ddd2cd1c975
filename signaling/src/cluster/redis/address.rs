//! Where Redis is, as an operator writes it.
//!
//! Invariant: neither a sentence about an address nor its debug form shows the password.

use std::fmt;
use std::str::FromStr;

use redis::cluster::ClusterClientBuilder;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisResult, TlsCertificates};

/// One Redis or Valkey server, or a Redis Cluster by some of its servers.
///
/// `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS; for a Redis Cluster `redis-cluster://` or
/// `rediss-cluster://` with one or several `host[:port]`, separated by commas.
#[derive(Clone)]
pub struct Address {
    servers: Vec<ConnectionInfo>,
    cluster: bool,
}

/// Something that connects.
pub(super) enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClientBuilder>),
}

impl Address {
    /// With the certificates by which servers are known, if not those that the system trusts.
    pub(super) fn server(&self, ca: Option<&[u8]>) -> RedisResult<Server> {
        let certificates = ca.map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) });
        if self.cluster {
            let builder = ClusterClientBuilder::new(self.servers.clone()).use_protocol(ProtocolVersion::RESP3);
            return Ok(Server::Cluster(Box::new(match certificates {
                Some(certificates) => builder.certs(certificates),
                None => builder,
            })));
        }
        let server = self.servers[0].clone();
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(server, certificates),
            None => Client::open(server),
        };
        client.map(|client| Server::Single(Box::new(client)))
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str =
            "a Redis URL is like redis://host:6379, rediss://user:password@host or redis-cluster://host,host";
        let (scheme, rest) = text.split_once("://").ok_or(SHAPE)?;
        let (scheme, cluster) = match scheme {
            "redis" | "redis-cluster" => ("redis", scheme.ends_with("cluster")),
            "rediss" | "rediss-cluster" => ("rediss", scheme.ends_with("cluster")),
            _ => return Err(SHAPE),
        };
        let (user, hosts) = match rest.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), rest),
        };
        if hosts.contains(',') && !cluster {
            return Err("several servers are given as redis-cluster://host,host");
        }
        let info = |host: &str| {
            let info = format!("{scheme}://{user}{host}").into_connection_info().map_err(|_| SHAPE)?;
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
            Ok::<_, &str>(info.set_redis_settings(settings))
        };
        let servers = hosts.split(',').map(info).collect::<Result<_, _>>()?;
        Ok(Self { servers, cluster })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.servers.iter().map(|server| server.addr().to_string());
        f.debug_list().entries(servers).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("redis://localhost", r#"["localhost:6379"]"#),
            ("redis://:secret@10.0.0.1:7000/3", r#"["10.0.0.1:7000"]"#),
            ("rediss://user:secret@redis.example", r#"["redis.example:6379"]"#),
            ("redis-cluster://u:secret@a:1,b:2,c", r#"["a:1", "b:2", "c:6379"]"#),
            ("rediss-cluster://[::1]:7000", r#"["::1:7000"]"#),
        ] {
            let address = text.parse::<Address>().unwrap();
            assert_eq!(format!("{address:?}"), shown);
            assert!(address.server(None).is_ok());
        }
    }

    #[test]
    fn others_are_not() {
        for text in ["", "localhost", "http://a", "redis://", "redis://a,b", "redis-cluster://a,,b", "redis://a:b"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("redis"), "{text:?}: {error}");
        }
    }
}
