//! The tokio shell: one port for the WebSocket tracker, the site, and a few JSON pages.
//!
//! It moves text between sockets and the [`Tracker`](crate::Tracker) and makes no decision about swarms. Invariant:
//! every connection holds a permit of its address, from before its first byte is read until its socket is closed.

#[allow(dead_code, reason = "the workers take it up next")]
mod access;
mod admission;
mod http;
mod hub;
mod ice;
mod limits;
mod meter;
#[allow(dead_code, reason = "the workers take it up next")]
pub mod origin;
mod outbox;
mod patience;
mod proxy;
mod rate;
#[allow(dead_code, reason = "the workers take it up next")]
mod scrape;
mod site;
mod socket;
#[allow(dead_code, reason = "the workers take it up next")]
mod stats_page;
mod stun;
#[allow(dead_code, reason = "the workers take it up next")]
mod tls;
mod turn;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::TrackerLimits;
pub use access::{AccessError, AccessList, ListKind};
use admission::{Admission, Permit, Refused};
use hub::Hub;
pub use ice::Ice;
use ice::IceConfig;
pub use limits::ServerLimits;
use patience::Patience;
pub use proxy::{client_address, is_within};
pub use stun::Stun;
pub use tls::{Tls, TlsError};
pub use turn::Turn;

/// What to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tracker's numbers.
    pub tracker: TrackerLimits,
    /// The sockets' numbers.
    pub sockets: ServerLimits,
    /// What the page needs to find ways between people (`/config.json`).
    pub ice: Ice,
    /// Whether the site is served, or only the tracker and the operator's pages.
    pub site: bool,
    /// The certificate; without one, plain HTTP is spoken.
    pub tls: Option<Arc<Tls>>,
    /// Which torrents are served; without a list, all are.
    pub access: Option<Arc<AccessList>>,
    /// Origins of the pages that may open a WebSocket; none means all, and clients that are no pages.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may see `/metrics`.
    pub metrics_from: Vec<IpNet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tracker: TrackerLimits::default(),
            sockets: ServerLimits::default(),
            ice: Ice::default(),
            site: true,
            tls: None,
            access: None,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            metrics_from: Vec::new(),
        }
    }
}

/// What all connections share.
struct Shared {
    hub: Hub,
    limits: ServerLimits,
    ice: IceConfig,
    /// The files of the site that are served: all or none.
    site: &'static [site::File],
}

/// Tells a task when the server stops; the server waits until all are dropped.
#[derive(Clone)]
struct Stopped(watch::Receiver<bool>);

impl Stopped {
    async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

/// Serves until `stop` resolves; then closes every WebSocket with 1001, lets HTTP responses finish, and returns within
/// the limit's `stop_grace`.
pub async fn serve(listener: TcpListener, options: Options, stop: impl Future<Output = ()>) {
    let limits = options.sockets;
    let stun = options.ice.stun.clone();
    let shared = Arc::new(Shared {
        hub: Hub::new(options.tracker, &limits),
        ice: IceConfig::new(options.ice),
        limits: limits.clone(),
        site: if options.site { site::FILES } else { &[] },
    });
    let admission = Arc::new(Admission::new(limits.connections_per_address, limits.connections));
    let (stopping, stopped) = watch::channel(false);
    let stopped = Stopped(stopped);
    let refusals = Arc::new(Semaphore::new(256));
    if let Some(stun) = stun {
        tokio::spawn(stun.run(stopped.clone()));
    }
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = tick.tick() => shared.hub.wake(),
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match Permit::of(&admission, from.ip()) {
                    Ok(permit) => drop(tokio::spawn(converse(stream, from, permit, shared.clone(), stopped.clone()))),
                    Err(why) => refuse(stream, why, &refusals),
                },
                // Out of file descriptors, or the client left already: the next accept may work.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop((listener, stopped));
    stopping.send_replace(true);
    // Connections hold a receiver each: the channel closes with the last of them.
    let _ = timeout(limits.stop_grace, stopping.closed()).await;
}

/// One accepted connection: HTTP until it ends or becomes a WebSocket, which goes on in a task of its own.
async fn converse(stream: TcpStream, from: SocketAddr, permit: Permit, shared: Arc<Shared>, mut stopped: Stopped) {
    // Without it, small messages wait for the acknowledgement of the last one.
    let _ = stream.set_nodelay(true);
    let limits = &shared.limits;
    let io = TokioIo::new(Patience::new(stream, limits.blocked));
    let guest =
        Arc::new(Guest { address: from.ip(), shared: shared.clone(), stopped: stopped.clone(), _permit: permit });
    let service = service_fn(move |request| {
        let guest = guest.clone();
        async move { Ok::<_, Infallible>(http::respond(request, &guest)) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake)
            .max_headers(limits.head_lines)
            .max_buf_size(limits.head_bytes)
            .serve_connection(io, service)
            .with_upgrades()
    );
    tokio::select! {
        // An HTTP client that breaks off, is too slow or sends nonsense is its own problem.
        _ = connection.as_mut() => return,
        () = stopped.wait() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Who is at the other end of a connection, and what it came to.
struct Guest {
    address: IpAddr,
    shared: Arc<Shared>,
    stopped: Stopped,
    /// Lives as long as the connection, upgraded or not.
    _permit: Permit,
}

/// Tells the client, if that takes little: at most 256 at a time are told, the others just see the connection close.
fn refuse(mut stream: TcpStream, why: Refused, refusals: &Arc<Semaphore>) {
    let Ok(turn) = refusals.clone().try_acquire_owned() else { return };
    let words = match why {
        Refused::Address => "429 Too Many Requests\r\nRetry-After: 30",
        Refused::Full => "503 Service Unavailable\r\nRetry-After: 60",
    };
    let response = format!("HTTP/1.1 {words}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    tokio::spawn(timeout(Duration::from_secs(1), async move {
        let _turn = turn;
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the client might not see the response.
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        std::io::Result::Ok(())
    }));
}
