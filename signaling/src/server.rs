//! The tokio shell: one port for the WebSocket tracker, the site, and a few JSON pages.
//!
//! Workers, a thread each, have a [`Desk`](crate::Desk) and a [`Shard`](crate::Shard); this moves text between sockets and
//! those, and makes no decision about swarms. Data flows one way: the door accepts a connection and gives it to a worker;
//! there it is HTTP first (`connection`, `http`), then a WebSocket (`socket`), whose messages go to the worker's exchange
//! and from there to outboxes, its own or another worker's. Invariant: every connection holds a permit, from before its
//! first byte is read until its socket is closed.

mod access;
mod admission;
mod arrivals;
mod client;
mod cluster;
mod connection;
mod counters;
mod door;
mod exchange;
mod http;
mod ice;
mod limits;
mod metrics;
pub mod origin;
mod outbox;
mod page;
mod patience;
mod process;
mod proxy;
mod rate;
mod scrape;
mod site;
mod socket;
mod stats_page;
mod stun;
mod tls;
mod turn;
mod worker;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ipnet::IpNet;
use swarmreel::time::Moment;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::cluster::redis::{ClusterOptions, Link, LinkSender};
use crate::{Households, Network, Spread, Stats, TrackerLimits};
pub use access::{AccessError, AccessList, ListKind};
use arrivals::Arrivals;
use counters::Counters;
pub use counters::{Count, Snapshot};
use door::Door;
use exchange::WORKERS_MAX;
pub use ice::Ice;
use ice::IceConfig;
pub use limits::ServerLimits;
pub use proxy::{client_address, is_within};
use rate::{Buckets, Rate};
pub use stun::Stun;
pub use tls::{Tls, TlsError};
pub use turn::Turn;
use worker::Letter;

/// HTTP scrapes of one household, as of one WebSocket.
const SCRAPES: Rate = Rate { per_second: 2, burst: 20 };
/// 32 KiB of them.
const SCRAPERS: usize = 4096;
/// Half a MiB of them: hardly two households share one.
const HOUSEHOLDS: usize = 1 << 16;

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
    /// Threads that serve connections: one a core is best.
    pub workers: usize,
    /// The cluster to take part in; without one, swarms are this server's own.
    pub cluster: Option<ClusterOptions>,
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
            workers: thread::available_parallelism().map_or(1, NonZero::get),
            cluster: None,
        }
    }
}

/// What all workers share.
struct Shared {
    options: Options,
    ice: IceConfig,
    /// How often clients may come.
    arrivals: Arrivals,
    /// How often a household may scrape over HTTP.
    scrapes: Buckets,
    /// How often it may announce.
    households: Arc<Households>,
    /// The last statistics, and until when they are good enough.
    stats: tokio::sync::Mutex<Option<(Instant, Arc<Stats>)>>,
    /// The files of the site that are served: all or none.
    site: site::Site,
    /// When time began.
    started: Instant,
    /// By worker, as the mailboxes.
    counters: Vec<Counters>,
    mailboxes: Vec<mpsc::Sender<Letter>>,
    /// Which torrents are which worker's.
    spread: Spread,
    /// The way to the other nodes of a cluster.
    link: Option<LinkSender>,
}

impl Shared {
    fn new(options: Options, mailboxes: Vec<mpsc::Sender<Letter>>, spread: Spread, link: Option<LinkSender>) -> Self {
        Self {
            ice: IceConfig::new(options.ice.clone()),
            arrivals: Arrivals::new(&options.sockets),
            scrapes: Buckets::new(SCRAPERS, SCRAPES),
            households: Arc::new(Households::new(&options.tracker, seed(), HOUSEHOLDS)),
            stats: tokio::sync::Mutex::default(),
            site: if options.site { site::SITE } else { site::Site::NONE },
            started: Instant::now(),
            counters: mailboxes.iter().map(|_| Counters::default()).collect(),
            mailboxes,
            spread,
            link,
            options,
        }
    }

    /// The time, as everybody here counts it.
    fn now(&self) -> Moment {
        Moment(0) + self.started.elapsed()
    }

    fn may_arrive(&self, address: IpAddr) -> bool {
        self.arrivals.admit(self.now(), address)
    }

    fn may_scrape(&self, address: IpAddr) -> bool {
        self.scrapes.take(self.now(), Network::from(address))
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.counters.iter())
    }
}

/// Whether the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Never,
    /// Load balancers are told to send nobody any more; nothing else changes yet.
    Soon,
    /// Clients are told to come back within so many seconds.
    Drain {
        spread: u64,
    },
}

/// Tells a task when the server drains, or is gone.
#[derive(Clone)]
struct Stopped(watch::Receiver<Stop>);

impl Stopped {
    async fn wait(&mut self) {
        let _ = self.0.wait_for(|stop| matches!(stop, Stop::Drain { .. })).await;
    }

    fn get(&self) -> Stop {
        *self.0.borrow()
    }
}

/// Serves until `stop` resolves, and for the limit's `lame_duck` more, in which `/ready` tells load balancers to send
/// nobody. Then sends every WebSocket away with 1012 and a time to come back, lets HTTP responses finish, and returns
/// within the limit's `stop_grace`.
///
/// # Errors
/// The system refuses a thread, or an event loop for it.
pub async fn serve(listener: TcpListener, options: Options, stop: impl Future<Output = ()>) -> io::Result<()> {
    let (workers, link, stopping) = start(options)?;
    if let Some(stun) = workers.options.ice.stun.clone() {
        let stopped = Stopped(stopping.subscribe());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // Whoever floods it takes a thread that accepts no connections.
        thread::Builder::new().name("stun".to_owned()).spawn(move || runtime.block_on(stun.run(stopped)))?;
    }
    let mut door = Door::new(workers.clone());
    door.keep_open(&listener, stop).await;
    stopping.send_replace(Stop::Soon);
    door.keep_open(&listener, sleep(workers.options.sockets.lame_duck)).await;
    let open = workers.snapshot()[Count::Open];
    stopping.send_replace(Stop::Drain { spread: (open / 500).clamp(3, 60) });
    // Every worker holds a receiver: the channel closes with the last of them. They look at the grace themselves.
    door.turn_away(&listener, timeout(workers.options.sockets.stop_grace * 2, stopping.closed())).await;
    if let Some(link) = link {
        link.stop().await;
    }
    Ok(())
}

/// Starts the workers' threads. They end when the sender tells them, or is gone.
fn start(options: Options) -> io::Result<(Arc<Shared>, Option<Link>, watch::Sender<Stop>)> {
    let count = options.workers.clamp(1, WORKERS_MAX);
    let (mailboxes, letters): (Vec<_>, Vec<_>) = (0..count).map(|_| worker::mailbox()).unzip();
    let spread = Spread::new(count, seed());
    let (link, inputs) = cluster::start(options.cluster.as_ref(), spread)?;
    let shared = Arc::new(Shared::new(options, mailboxes, spread, link.as_ref().map(|link| link.sender().clone())));
    let (stopping, stopped) = watch::channel(Stop::Never);
    let stopped = Stopped(stopped);
    for (index, (letters, inputs)) in letters.into_iter().zip(inputs).enumerate() {
        let (shared, stopped) = (shared.clone(), stopped.clone());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let work = move || worker::run(&runtime, shared, index, letters, inputs, stopped);
        thread::Builder::new().name(format!("worker-{index}")).spawn(work)?;
    }
    Ok((shared, link, stopping))
}

/// What chance is drawn from, so that nobody outside can tell what comes.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system has random bytes");
    seed
}
