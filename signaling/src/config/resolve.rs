//! From single options to what the server takes; reads the files that they name.
//!
//! Invariant: options that only make sense together, or not together, are judged here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use swarmreel_signaling::TrackerLimits;
use swarmreel_signaling::cluster::ClusterLimits;
use swarmreel_signaling::cluster::redis::ClusterOptions;
use swarmreel_signaling::server::{AccessList, Ice, ListKind, Options, ServerLimits, Tls, Turn};

use super::flags::Flags;
use super::{Config, StunPort};

/// How to serve, or a sentence about what is wrong.
pub(super) fn config(flags: Flags) -> Result<Config, String> {
    let stun = match (flags.no_stun, flags.stun_listen) {
        (true, Some(_)) => return Err("--no-stun and --stun-listen exclude each other.".to_owned()),
        (true, None) if flags.stun_url.is_some() => {
            return Err("--no-stun and --stun-url exclude each other; --ice-server names another server.".to_owned());
        }
        (true, None) => StunPort::Off,
        (false, Some(address)) => StunPort::At(address),
        (false, None) => StunPort::AsTcp,
    };
    let (tls, access, turn, cluster) = (tls(&flags)?, access(&flags)?, turn(&flags)?, cluster(&flags)?);
    let (tracker, sockets) = limits(&flags);
    let ice = Ice { servers: flags.ice_server, stun: None, stun_url: flags.stun_url, turn };
    let options = Options {
        tracker,
        sockets,
        ice,
        site: !flags.no_site,
        tls,
        access,
        origins: flags.origin,
        trusted_proxies: flags.trusted_proxy,
        metrics_from: flags.metrics_from,
        cluster,
        workers: flags.workers.unwrap_or(Options::default().workers),
    };
    Ok(Config { listen: flags.listen, stun, log_level: flags.log_level, log_format: flags.log_format, options })
}

fn limits(flags: &Flags) -> (TrackerLimits, ServerLimits) {
    let interval = Duration::from_secs(flags.interval);
    let announces = flags.announces_per_ip.unwrap_or(flags.max_per_ip);
    let household_announces_per_second = u32::try_from(announces).unwrap_or(u32::MAX);
    let tracker = TrackerLimits { household_announces_per_second, ..TrackerLimits::default() }.with_interval(interval);
    let mut sockets = ServerLimits::default().with_open_files();
    sockets.connections_per_address = flags.max_per_ip;
    sockets.lame_duck = Duration::from_secs(flags.lame_duck_seconds);
    sockets.stop_grace = Duration::from_secs(flags.drain_seconds);
    if let Some(most) = flags.max_connections {
        sockets.connections = sockets.connections.min(most);
    }
    (tracker, sockets)
}

fn tls(flags: &Flags) -> Result<Option<Arc<Tls>>, String> {
    match (&flags.tls_cert, &flags.tls_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let tls = Tls::load(certificate.clone(), key.clone());
            Ok(Some(Arc::new(tls.map_err(|error| format!("{error}."))?)))
        }
        (Some(_), None) => Err("--tls-cert needs --tls-key.".to_owned()),
        (None, Some(_)) => Err("--tls-key needs --tls-cert.".to_owned()),
    }
}

fn access(flags: &Flags) -> Result<Option<Arc<AccessList>>, String> {
    let (kind, path) = match (&flags.allow_list, &flags.deny_list) {
        (None, None) => return Ok(None),
        (Some(path), None) => (ListKind::Allow, path),
        (None, Some(path)) => (ListKind::Deny, path),
        (Some(_), Some(_)) => return Err("--allow-list and --deny-list exclude each other.".to_owned()),
    };
    let list = AccessList::load(kind, path.clone());
    Ok(Some(Arc::new(list.map_err(|error| format!("{error}."))?)))
}

/// The cluster. Its address may hold a password, so no sentence quotes it.
fn cluster(flags: &Flags) -> Result<Option<ClusterOptions>, String> {
    let Some(address) = &flags.cluster else {
        let is_stray = flags.cluster_ca.is_some();
        return if is_stray { Err("--cluster-ca needs --cluster.".to_owned()) } else { Ok(None) };
    };
    let address = address.parse().map_err(|shape| format!("--cluster cannot be used: {shape}."))?;
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}.", path.display()));
    let ca = flags.cluster_ca.as_ref().map(read).transpose()?;
    let (prefix, node_name) = (flags.cluster_prefix.clone(), flags.node_name.clone());
    let options = ClusterOptions { address, ca, prefix, node_name, limits: ClusterLimits::default() };
    options.check().map_err(|problem| format!("--cluster cannot be used: {problem}."))?;
    Ok(Some(options))
}

/// The TURN servers with their secret: neither is of use without the other.
fn turn(flags: &Flags) -> Result<Option<Turn>, String> {
    let secret = match (&flags.turn_secret, &flags.turn_secret_file) {
        (Some(_), Some(_)) => return Err("--turn-secret and --turn-secret-file exclude each other.".to_owned()),
        (Some(secret), None) => Some(secret.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path);
            Some(text.map_err(|error| format!("{} cannot be read: {error}.", path.display()))?)
        }
        (None, None) => None,
    };
    match secret.as_deref().map(str::trim) {
        Some("") => Err("The TURN secret is empty.".to_owned()),
        Some(_) if flags.turn_url.is_empty() => {
            Err("There is a TURN secret, but --turn-url names no server.".to_owned())
        }
        None if !flags.turn_url.is_empty() => {
            Err("--turn-url needs a secret; --turn-secret-file says where it is.".to_owned())
        }
        Some(secret) => Ok(Some(Turn::new(flags.turn_url.clone(), secret, Duration::from_secs(flags.turn_ttl)))),
        None => Ok(None),
    }
}
