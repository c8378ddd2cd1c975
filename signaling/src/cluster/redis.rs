//! The link to Redis: registry and backplane of a cluster (Redis 7 or Valkey, one server or a Redis Cluster).
//!
//! One thread per process; it decides nothing about swarms. Leases are a sorted set, the registry two hashes a swarm, the
//! backplane one sharded channel a node. Invariant: nothing is waited for longer than the limits say, and nothing
//! queues without bound: what does not get through is told as such, or counted as lost.

mod address;
mod script;
mod session;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::message::Message;
use super::registry::{Input, Output};
use super::{ClusterLimits, NodeId};
pub use address::Address;
use script::Names;
use session::Session;

/// How to take part in a cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where Redis is.
    pub address: Address,
    /// PEM certificates by which servers are known over TLS, if not those that the system trusts.
    pub ca: Option<Vec<u8>>,
    /// What all names in Redis begin with, so that several deployments share one Redis: letters, digits and hyphens.
    pub prefix: String,
    /// What people call this node; it need not be unique.
    pub node_name: String,
    /// The cluster's numbers.
    pub limits: ClusterLimits,
}

impl ClusterOptions {
    /// Whether they can be used at all; connects to nothing.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub fn check(&self) -> Result<(), String> {
        self.address.server(self.ca.as_deref()).map(drop).map_err(|error| error.to_string())
    }
}

/// The link in numbers.
#[derive(Debug, Default)]
pub struct LinkStats {
    up: AtomicBool,
    nodes: AtomicUsize,
    connects: AtomicU64,
    syncs: AtomicU64,
    syncs_failed: AtomicU64,
    published: AtomicU64,
    received: AtomicU64,
    lost: AtomicU64,
    lost_offers: AtomicU64,
    lost_claims: AtomicU64,
    malformed: AtomicU64,
    queued_bytes: AtomicUsize,
}

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident: $kind:ty),* $(,)?) => {
        impl LinkStats {
            $($(#[$doc])* pub fn $name(&self) -> $kind {
                self.$name.load(Ordering::Relaxed)
            })*
        }
    };
}

figures! {
    /// Whether the cluster can be reached: if not, this node is degraded to its own peers.
    up: bool,
    /// Nodes that live, as the last table said.
    nodes: usize,
    /// Times that the link was made.
    connects: u64,
    /// Exchanges with the registry.
    syncs: u64,
    /// Exchanges that failed.
    syncs_failed: u64,
    /// Messages to other nodes that were taken by one.
    published: u64,
    /// Messages from other nodes.
    received: u64,
    /// Messages to or from other nodes that were lost here: the queue was full, or nobody took them.
    lost: u64,
    /// Offers in messages to other nodes that were lost here.
    lost_offers: u64,
    /// Messages to other nodes about who has a peer id that were lost here.
    lost_claims: u64,
    /// What came for this node and is no message of ours: the reason to look who else writes into this Redis.
    malformed: u64,
}

impl LinkStats {
    /// A message to another node is lost.
    fn lose(&self, message: &Message) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.lost_offers.fetch_add(message.offers() as u64, Ordering::Relaxed);
        self.lost_claims.fetch_add(is_claim(message).into(), Ordering::Relaxed);
    }
}

/// The link's thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    /// Dropped to end the thread, which drops its own end when it is over.
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

/// Something to be done, and its share of the queue.
#[derive(Debug)]
struct Errand {
    output: Output,
    hold: Hold,
}

/// Bytes of a message that is not done with; freed when this is dropped, wherever that is.
#[derive(Debug)]
struct Hold {
    stats: Arc<LinkStats>,
    bytes: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.stats.queued_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Unbounded as a channel: the shards bound their exchanges, and [`Hold`]s the bytes of the rest.
type Queue = mpsc::UnboundedReceiver<Errand>;

/// What the shards give their outputs to.
#[derive(Clone, Debug)]
pub struct LinkSender {
    outputs: mpsc::UnboundedSender<Errand>,
    stats: Arc<LinkStats>,
    queue_bytes: usize,
}

/// What the task and its sessions work with.
struct Shared<D> {
    options: ClusterOptions,
    names: Names,
    stats: Arc<LinkStats>,
    deliver: D,
}

impl Link {
    /// Starts the link's thread. Whatever happens is given to `deliver`, which must not block, and is false where there
    /// is no room for it.
    ///
    /// # Errors
    /// The system refuses a thread, or an event loop for it.
    pub fn start<D>(options: ClusterOptions, deliver: D) -> io::Result<Self>
    where
        D: Fn(Input) -> bool + Send + Sync + 'static,
    {
        let (outputs, queue) = mpsc::unbounded_channel();
        let (stop, stopping) = oneshot::channel();
        let (over, stopped) = oneshot::channel();
        let stats = Arc::new(LinkStats::default());
        let queue_bytes = options.limits.queue_bytes;
        let names = Names { prefix: options.prefix.clone() };
        let shared = Arc::new(Shared { options, names, stats: stats.clone(), deliver });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            runtime.block_on(keep(shared, queue, stopping));
            drop(over);
        };
        thread::Builder::new().name("cluster".to_owned()).spawn(work)?;
        Ok(Self { sender: LinkSender { outputs, stats, queue_bytes }, stop, stopped })
    }

    /// What the shards give their outputs to.
    pub fn sender(&self) -> &LinkSender {
        &self.sender
    }

    /// Gives the lease back, if that takes no longer than the limits' patience, and ends.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.stopped.await;
    }
}

impl LinkSender {
    /// The link in numbers.
    pub fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// Has something done. Messages beyond their part of the queue's bytes are lost, and counted.
    pub fn send(&self, output: Output) {
        let (bytes, stats) = (output.message().map_or(0, Message::bytes), self.stats.clone());
        let queued_before = stats.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_full = |message: &&Message| queued_before > part_for(message, self.queue_bytes);
        if let Some(message) = output.message().filter(is_full) {
            stats.lose(message);
            stats.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        // What is said after the end interests nobody.
        let _ = self.outputs.send(Errand { output, hold: Hold { stats, bytes } });
    }
}

/// How full a queue may be that still takes this message: offers go first, since clients make new ones; then answers;
/// claims are small, and what follows from them is asked for only at the next announce.
fn part_for(message: &Message, queue_bytes: usize) -> usize {
    match message {
        Message::Offers(_) => queue_bytes / 2,
        Message::Answer(_) => queue_bytes / 4 * 3,
        Message::Claim(_) | Message::Freed(_) | Message::Taken(_) => queue_bytes,
    }
}

/// Whether it is about who has a peer id.
fn is_claim(message: &Message) -> bool {
    matches!(message, Message::Claim(_) | Message::Freed(_) | Message::Taken(_))
}

/// Makes the link, again and again, until it is to stop.
async fn keep<D>(shared: Arc<Shared<D>>, mut queue: Queue, mut stopping: oneshot::Receiver<()>)
where
    D: Fn(Input) -> bool + Send + Sync + 'static,
{
    let limits = shared.options.limits.clone();
    let (mut retry, mut node, mut is_known) = (limits.retry_first, None, false);
    loop {
        let opening = timeout(limits.connect * 2, Session::open(shared.clone(), node));
        let opened = tokio::select! {
            _ = &mut stopping => return,
            opened = opening => opened.unwrap_or_else(|_| Err((ErrorKind::Io, "too slow").into())),
        };
        let error = match opened {
            Ok(session) => {
                (retry, node, is_known) = (limits.retry_first, Some(session.node()), false);
                match work(&shared, session, &mut queue, &mut stopping).await {
                    Ok(()) => return,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if !is_known {
            tracing::warn!(reason = reason(&error), "the cluster cannot be reached: only our own peers meet");
            is_known = true;
        }
        if pause(&shared, jittered(retry), &mut queue, &mut stopping).await {
            return;
        }
        retry = (retry * 2).min(limits.retry_max);
    }
}

/// Works with a session until it breaks, or is to stop.
async fn work<D>(
    shared: &Shared<D>,
    mut session: Session<D>,
    queue: &mut Queue,
    stopping: &mut oneshot::Receiver<()>,
) -> RedisResult<()>
where
    D: Fn(Input) -> bool + Send + Sync + 'static,
{
    tracing::info!("the cluster is reached");
    shared.stats.up.store(true, Ordering::Relaxed);
    shared.stats.connects.fetch_add(1, Ordering::Relaxed);
    let ended = session.serve(queue, stopping).await;
    shared.stats.up.store(false, Ordering::Relaxed);
    shared.deliver(Input::Down);
    if ended.is_ok() {
        session.leave().await;
    }
    ended
}

/// Waits before the next attempt; true if it is to stop. Who asks for something meanwhile has heard that the link is
/// down.
async fn pause<D>(shared: &Shared<D>, wait: Duration, queue: &mut Queue, stopping: &mut oneshot::Receiver<()>) -> bool {
    let until = Instant::now() + wait;
    loop {
        tokio::select! {
            _ = &mut *stopping => return true,
            () = sleep_until(until) => return false,
            errand = queue.recv() => match errand {
                Some(errand) => errand.output.message().into_iter().for_each(|message| shared.stats.lose(message)),
                None => return true,
            },
        }
    }
}

/// Why Redis did not do what it was asked, in words that name no address, user, torrent or peer: its own code, or what the
/// system or this link says.
fn reason(error: &RedisError) -> String {
    let system = error.source().and_then(<dyn Error>::downcast_ref::<Arc<dyn Error + Send + Sync>>);
    let system = system.and_then(|system| system.downcast_ref::<io::Error>());
    match (error.code(), system) {
        (Some(code), _) => code.to_owned(),
        (None, Some(system)) => system.kind().to_string(),
        (None, None) if error.source().is_none() && error.detail().is_none() => error.to_string(),
        (None, None) => error.category().to_owned(),
    }
}

/// Between half of it and all.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + 0.5 * f64::from(u32::from_ne_bytes(random())) / f64::from(u32::MAX))
}

fn random<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

impl<D> Shared<D> {
    /// A node among the leases: its id, and its name for people.
    fn member(&self, node: NodeId) -> String {
        format!("{node} {}", self.options.node_name)
    }
}

impl<D: Fn(Input) -> bool> Shared<D> {
    fn deliver(&self, input: Input) {
        if !(self.deliver)(input) {
            self.stats.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
