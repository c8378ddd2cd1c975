//! What can be set, with its default and its words in `--help`.
//!
//! Invariant: an option is declared here once. The flag `--max-per-ip`, the variable `SWARMREEL_MAX_PER_IP` and the
//! line `max-per-ip = 64` of the file are the same option, by construction.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};
use ipnet::IpNet;
use swarmreel_signaling::TrackerLimits;
use swarmreel_signaling::server::ServerLimits;

use super::value;

/// A WebTorrent tracker and the Swarmreel site on one port.
#[derive(Debug, Parser)]
#[command(
    name = "swarmreel-signaling",
    version,
    override_usage = "swarmreel-signaling [OPTIONS]",
    args_override_self = true,
    after_help = AFTER_HELP
)]
pub(super) struct Flags {
    /// Where to listen; port 0 picks a free one [default: port 8080 of every address]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = value::listen, help_heading = "Serving")]
    pub(super) listen: Option<String>,
    /// The certificate chain for https and wss, a PEM file
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file. SIGHUP reads both again
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub(super) tls_key: Option<PathBuf>,
    /// Threads that serve connections [default: one a core]
    #[arg(long, value_name = "N", value_parser = value::count, help_heading = "Serving")]
    pub(super) workers: Option<usize>,
    /// Once SIGTERM or SIGINT asks the server to stop, how long only /ready says so, before clients are sent away: for
    /// load balancers to notice, up to 3600
    #[arg(long, value_name = "SECONDS", value_parser = value::lame_duck, default_value_t = ServerLimits::default().lame_duck.as_secs(), help_heading = "Serving")]
    pub(super) lame_duck_seconds: u64,
    /// How long sending them away may take, from 1 to 3600. Whoever asks twice does not wait for either
    #[arg(long, value_name = "SECONDS", value_parser = value::drain, default_value_t = ServerLimits::default().stop_grace.as_secs(), help_heading = "Serving")]
    pub(super) drain_seconds: u64,
    /// Only the tracker and the operator's pages, not the site
    #[arg(long, value_parser = value::truth, help_heading = "Serving")]
    pub(super) no_site: bool,

    /// Connections of one IPv4 address or one IPv6 /64
    #[arg(long, value_name = "N", value_parser = value::count, default_value_t = ServerLimits::default().connections_per_address, help_heading = "Limits")]
    pub(super) max_per_ip: usize,
    /// Announces and scrapes a second of one IPv4 address or one IPv6 /64, a minute's worth at once [default: as many as
    /// --max-per-ip]
    #[arg(long, value_name = "N", value_parser = value::count, help_heading = "Limits")]
    pub(super) announces_per_ip: Option<usize>,
    /// Connections in all [default: 95 % of the open files that the system allows]
    #[arg(long, value_name = "N", value_parser = value::count, help_heading = "Limits")]
    pub(super) max_connections: Option<usize>,
    /// Asked of clients between two announces, from 10 to 3600; a peer that is silent for two of them, and for 180 s, is gone
    #[arg(long, value_name = "SECONDS", value_parser = value::interval, default_value_t = TrackerLimits::default().interval.as_secs(), help_heading = "Limits")]
    pub(super) interval: u64,

    /// A file with the info hashes that are served, one a line; read again when it changes and by SIGHUP
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(super) allow_list: Option<PathBuf>,
    /// A file with the info hashes that are not served
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(super) deny_list: Option<PathBuf>,
    /// Pages that may use the tracker, like https://example.org [default: all]
    #[arg(long, value_name = "ORIGIN", value_parser = value::origin, value_delimiter = ',', help_heading = "Access")]
    pub(super) origin: Vec<String>,
    /// Networks of proxies whose X-Forwarded-For is believed, like 10.0.0.0/8
    #[arg(long, value_name = "CIDR", value_parser = value::network, value_delimiter = ',', help_heading = "Access")]
    pub(super) trusted_proxy: Vec<IpNet>,
    /// Networks that may see /metrics
    #[arg(long, value_name = "CIDR", value_parser = value::network, value_delimiter = ',', default_value = "127.0.0.0/8,::1", help_heading = "Access")]
    pub(super) metrics_from: Vec<IpNet>,

    /// A STUN server for the page to use, like stun:stun.example.org:3478
    #[arg(long, value_name = "URL", value_parser = value::ice_server, value_delimiter = ',', help_heading = "NAT traversal")]
    pub(super) ice_server: Vec<String>,
    /// Where our own STUN server listens, over UDP [default: the address and port number of --listen]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = value::socket_address, help_heading = "NAT traversal")]
    pub(super) stun_listen: Option<SocketAddr>,
    /// Where pages reach our STUN server, if not at their own host name and that port
    #[arg(long, value_name = "URL", value_parser = value::ice_server, help_heading = "NAT traversal")]
    pub(super) stun_url: Option<String>,
    /// No STUN server of our own
    #[arg(long, value_parser = value::truth, help_heading = "NAT traversal")]
    pub(super) no_stun: bool,
    /// A TURN server for the page to use, like turn:turn.example.org:3478, which shares a secret with us
    #[arg(long, value_name = "URL", value_parser = value::turn_server, value_delimiter = ',', help_heading = "NAT traversal")]
    pub(super) turn_url: Vec<String>,
    /// A file with that secret (coturn's static-auth-secret)
    #[arg(long, value_name = "FILE", help_heading = "NAT traversal")]
    pub(super) turn_secret_file: Option<PathBuf>,
    /// The secret itself. Everybody on this machine can read a flag: better in a variable or the file
    #[arg(long, value_name = "SECRET", help_heading = "NAT traversal")]
    pub(super) turn_secret: Option<String>,
    /// How long TURN credentials last, from 60 to 86400; a page asks for new ones before
    #[arg(long, value_name = "SECONDS", value_parser = value::turn_lifetime, default_value_t = 3600, help_heading = "NAT traversal")]
    pub(super) turn_ttl: u64,

    /// The Redis or Valkey server by which several of these servers share their swarms, like redis://:password@host:6379;
    /// rediss:// for TLS, redis-cluster://host,host for a Redis Cluster. A password is better in a variable or the file
    #[arg(long, value_name = "URL", help_heading = "Cluster")]
    pub(super) cluster: Option<String>,
    /// Certificates by which that server is known, a PEM file [default: those that the system trusts]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(super) cluster_ca: Option<PathBuf>,
    /// What this deployment's names in Redis begin with
    #[arg(long, value_name = "PREFIX", value_parser = value::name, default_value = "sr", help_heading = "Cluster")]
    pub(super) cluster_prefix: String,
    /// What this server is called in Redis, for people
    #[arg(long, value_name = "NAME", value_parser = value::name, default_value = "node", help_heading = "Cluster")]
    pub(super) node_name: String,

    /// The least that is logged: error, warn, info or debug. From info up no line names an address or a torrent
    #[arg(long, value_name = "LEVEL", value_parser = value::level, default_value = "info", help_heading = "Logging")]
    pub(super) log_level: tracing::Level,
    /// How it is logged, to stderr: text or json
    #[arg(long, value_name = "FORMAT", value_parser = value::choice::<LogFormat>, default_value = "text", help_heading = "Logging")]
    pub(super) log_format: LogFormat,

    /// A TOML file with options
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(super) config: Option<PathBuf>,
    /// Read everything, say whether it is good, and leave
    #[arg(long, value_parser = value::truth, help_heading = "Configuration")]
    pub(super) check_config: bool,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

const AFTER_HELP: &str = "\
An option that takes a list may be given several times, or with commas.
Each option is also an environment variable (--max-per-ip is SWARMREEL_MAX_PER_IP) and a line of the file:
  listen = \"[::]:443\"
  max-per-ip = 200
  ice-server = [\"stun:stun.example.org\"]
A flag goes before a variable, and a variable before the file.

Examples:
  swarmreel-signaling
  swarmreel-signaling --listen [::]:443 --tls-cert chain.pem --tls-key key.pem
  swarmreel-signaling --listen 127.0.0.1:8080 --trusted-proxy 127.0.0.1 --stun-listen [::]:3478
  swarmreel-signaling --cluster redis://10.0.0.5:6379 --node-name frankfurt-1
  swarmreel-signaling --config swarmreel.toml --check-config

Every path is the tracker for a WebSocket. Pages: / the site, /stats, /stats.json,\n/health, /ready, /metrics, /scrape, /config.json.
Exit codes: 0 after a clean stop, 2 for a mistake, which is told in one sentence.
";

/// The command line, with a variable for each option. `--help` shows neither the variables, whose names follow from the
/// options', nor what they are set to.
pub(super) fn command() -> clap::Command {
    let command = Flags::command();
    command.mut_args(|option| match option.get_long() {
        Some(long) => {
            let variable = format!("SWARMREEL_{}", long.to_uppercase().replace('-', "_"));
            option.env(variable).hide_env(true)
        }
        None => option,
    })
}
