//! `swarmreel-signaling`: configuration, the listening port, and signals around [`server::serve`].
//!
//! Exit codes: 0 after a clean stop, 2 for a bad option or a port that cannot be had; each with one sentence on stderr.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

mod config;
mod log;
mod reload;
mod signals;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use swarmreel_signaling::server::{self, Stun};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use config::{Command, Config, StunPort};
use reload::Files;
use signals::{Hangup, Terminations};

/// Connections that wait in the kernel to be accepted, when all clients come back at once. The system may allow fewer
/// (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Of glibc's, mimalloc and this, it costs the least per connection, and alone gives memory back once 8,000 have left;
/// to the last peer's with the setting in `.cargo/config.toml`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A worker without its thread would keep its share of the swarms from everybody: better to be started anew.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    }));
    let outcome = match config::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(words)) => {
            print!("{words}");
            Ok(())
        }
        Ok(Command::Serve(config)) => run(*config),
        Err(sentence) => Err(sentence),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(config: Config) -> Result<(), String> {
    // Before the port is open, so that a signal is never missed once somebody can know of us.
    let signals = Terminations::new().and_then(|asked| Ok((asked, Terminations::new()?, Hangup::new()?)));
    let (mut asked, mut asked_twice, hangup) =
        signals.map_err(|error| format!("Signals cannot be received: {error}."))?;
    let listener = listen(config.listen.as_deref()).await?;
    let address = listener.local_addr().map_err(|error| format!("The listening address is unknown: {error}."))?;
    log::start(config.log_level, config.log_format);
    let mut options = config.options;
    options.ice.stun = match config.stun {
        StunPort::AsTcp if address.ip().is_loopback() && !options.trusted_proxies.is_empty() => {
            tracing::warn!("STUN passes no proxy, so there is none; --stun-listen [::]:3478 opens it to the world");
            None
        }
        port => stun(port, address)?,
    };
    println!("Swarmreel is at {}", url(address, options.tls.is_some()));
    let (workers, connections_max) = (options.workers, options.sockets.connections);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), port = address.port(), workers, connections_max, "serving");
    tokio::spawn(reload::follow(Files { tls: options.tls.clone(), access: options.access.clone() }, hangup));
    let stop = async {
        asked.received().await;
        tracing::info!("stopping");
    };
    let impatience = async {
        asked_twice.received().await;
        asked_twice.received().await;
    };
    tokio::select! {
        served = server::serve(listener, options, stop) => {
            served.map_err(|error| format!("The workers cannot be started: {error}."))?;
        }
        () = impatience => {}
    }
    tracing::info!("stopped");
    Ok(())
}

async fn listen(address: Option<&str>) -> Result<TcpListener, String> {
    let opened = match address {
        Some(address) => bind(address).await,
        None => match bind("[::]:8080").await {
            // Both IP versions where there are both; a machine without IPv6 has the other.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => bind("0.0.0.0:8080").await,
            opened => opened,
        },
    };
    let wanted = address.unwrap_or("port 8080");
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("Another program listens on {wanted} already; --listen ADDRESS:PORT chooses another.")
        }
        io::ErrorKind::PermissionDenied => format!("Listening on {wanted} is not permitted; try a port above 1023."),
        io::ErrorKind::InvalidInput => format!("--listen needs ADDRESS:PORT, like 127.0.0.1:8080, not {wanted:?}."),
        _ => format!("Listening on {wanted} is not possible: {error}."),
    })
}

/// The first of a name's addresses that can be had.
async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut refused = io::ErrorKind::AddrNotAvailable.into();
    for address in lookup_host(address).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A server that is started anew need not wait for the last connections of the one before to be forgotten. On
        // Windows it would share the port with another program instead.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Our STUN server's UDP port. The tracker and the site are worth having without it, unless it was asked for.
fn stun(port: StunPort, tcp: SocketAddr) -> Result<Option<Stun>, String> {
    match port {
        StunPort::Off => Ok(None),
        StunPort::At(address) => match Stun::bind(address) {
            Ok(stun) => Ok(Some(stun)),
            Err(error) => Err(format!("The STUN server cannot listen on UDP {address}: {error}.")),
        },
        StunPort::AsTcp => match Stun::bind(tcp) {
            Ok(stun) => Ok(Some(stun)),
            Err(error) => {
                tracing::warn!(
                    "There is no STUN server, as UDP port {} cannot be had: {error}. --stun-listen chooses another.",
                    tcp.port()
                );
                Ok(None)
            }
        },
    }
}

/// Where a browser on this machine finds the page.
fn url(address: SocketAddr, tls: bool) -> String {
    let (scheme, port) = (if tls { "https" } else { "http" }, address.port());
    match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => format!("{scheme}://localhost:{port}/"),
        IpAddr::V4(ip) => format!("{scheme}://{ip}:{port}/"),
        IpAddr::V6(ip) => format!("{scheme}://[{ip}]:{port}/"),
    }
}
