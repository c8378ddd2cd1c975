//! The link to Redis: registry and backplane of a cluster (Redis 7 or Valkey, one server or a Redis Cluster).
//!
//! One task per process; it decides nothing about swarms. Leases are a sorted set, the registry two hashes a swarm, the
//! backplane one sharded channel a node. Invariant: nothing is waited for longer than the limits say, and nothing
//! queues without bound: what does not get through is told as such, or counted as lost.

mod address;
mod script;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::ClusterLimits;
use super::registry::{Input, Output};
pub use address::Address;
use script::Names;
use session::Session;

/// How to take part in a cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where Redis is.
    pub address: Address,
    /// What all names in Redis begin with, so that several deployments share one Redis: letters, digits and hyphens.
    pub prefix: String,
    /// What people call this node; it need not be unique.
    pub node_name: String,
    /// The cluster's numbers.
    pub limits: ClusterLimits,
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
    /// What came for this node and is no message of ours: the reason to look who else writes into this Redis.
    malformed: u64,
}

/// A task that holds the link; dropping this ends it.
#[derive(Debug)]
pub struct Link {
    outputs: mpsc::UnboundedSender<Output>,
    stats: Arc<LinkStats>,
    queue_bytes: usize,
    /// Dropped to end the task; the task drops its end when it is over.
    stop: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<()>,
}

/// What the task and its sessions work with.
struct Shared<D> {
    options: ClusterOptions,
    names: Names,
    stats: Arc<LinkStats>,
    deliver: D,
}

impl Link {
    /// Starts the link's task on the current runtime. Whatever happens is given to `deliver`, which must not block.
    pub fn start<D>(options: ClusterOptions, deliver: D) -> Self
    where
        D: Fn(Input) + Send + Sync + 'static,
    {
        let (outputs, queue) = mpsc::unbounded_channel();
        let (stop, stopping) = oneshot::channel();
        let (over, stopped) = oneshot::channel();
        let stats = Arc::new(LinkStats::default());
        let queue_bytes = options.limits.queue_bytes;
        let names = Names { prefix: options.prefix.clone() };
        let shared = Arc::new(Shared { options, names, stats: stats.clone(), deliver });
        tokio::spawn(async move {
            keep(shared, queue, stopping).await;
            drop(over);
        });
        Self { outputs, stats, queue_bytes, stop: Some(stop), stopped }
    }

    /// The link in numbers.
    pub fn stats(&self) -> &Arc<LinkStats> {
        &self.stats
    }

    /// Has something done. Messages beyond the queue's bytes are lost, and counted.
    pub fn send(&self, output: Output) {
        if let Output::Publish { envelope, .. } = &output {
            let queued = self.stats.queued_bytes.fetch_add(envelope.message.bytes(), Ordering::Relaxed);
            if queued > self.queue_bytes {
                self.stats.queued_bytes.fetch_sub(envelope.message.bytes(), Ordering::Relaxed);
                self.stats.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        // The task ends only with this link.
        let _ = self.outputs.send(output);
    }

    /// Gives the lease back, if that takes no longer than the limits' patience, and ends.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = (&mut self.stopped).await;
    }
}

/// Makes the link, again and again, until it is to stop.
async fn keep<D>(
    shared: Arc<Shared<D>>,
    mut queue: mpsc::UnboundedReceiver<Output>,
    mut stopping: oneshot::Receiver<()>,
) where
    D: Fn(Input) + Send + Sync + 'static,
{
    let limits = shared.options.limits.clone();
    let mut retry = limits.retry_first;
    let mut node = None;
    loop {
        let opening = timeout(limits.connect * 2, Session::open(shared.clone(), node));
        tokio::select! {
            _ = &mut stopping => return,
            opened = opening => if let Ok(Ok(mut session)) = opened {
                retry = limits.retry_first;
                node = Some(session.node());
                shared.stats.up.store(true, Ordering::Relaxed);
                shared.stats.connects.fetch_add(1, Ordering::Relaxed);
                let stopped = session.serve(&mut queue, &mut stopping).await;
                shared.stats.up.store(false, Ordering::Relaxed);
                (shared.deliver)(Input::Down);
                if stopped {
                    return session.leave().await;
                }
            }
        }
        let retry_at = Instant::now() + jittered(retry);
        retry = (retry * 2).min(limits.retry_max);
        loop {
            tokio::select! {
                _ = &mut stopping => return,
                () = sleep_until(retry_at) => break,
                output = queue.recv() => match output {
                    Some(output) => shared.lose(&output),
                    None => return,
                },
            }
        }
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

impl<D: Fn(Input)> Shared<D> {
    /// What is asked for while the link is down: who asked hears that it is.
    fn lose(&self, output: &Output) {
        if let Output::Publish { envelope, .. } = output {
            self.stats.queued_bytes.fetch_sub(envelope.message.bytes(), Ordering::Relaxed);
            self.stats.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
