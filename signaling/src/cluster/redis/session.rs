//! One connection to Redis, from its making to its end.
//!
//! Invariant: it ends when no heartbeat has succeeded for the length of a lease, or when this node no longer hears itself
//! on its own channel: a subscription can die while everything else works. What is merely too slow ends nothing, since to
//! tell everything anew would make a slow server slower.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, PushInfo, PushKind, RedisError, RedisFuture, RedisResult, Value,
    cmd,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::super::NodeId;
use super::super::message::Envelope;
use super::super::registry::{Input, Output, Sync};
use super::address::Server;
use super::script::{self, Lease};
use super::{Errand, Hold, Queue, Shared, random, reason};

/// What a node says to itself.
const ECHO: &[u8] = b"echo";
/// Between two complaints about the same server.
const SILENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Session<D> {
    shared: Arc<Shared<D>>,
    node: NodeId,
    connection: Connection,
    pushes: mpsc::Receiver<PushInfo>,
    /// What was asked for and is on its way.
    errands: JoinSet<Done>,
    /// Whether a heartbeat is: one at a time, so that each table was asked for after the one before had come.
    beating: bool,
    /// When the last heartbeat that succeeded began.
    renewed_at: Instant,
    heard_at: Instant,
    complained_at: Option<Instant>,
}

/// What has become of an errand.
enum Done {
    /// When the heartbeat began.
    Beat(RedisResult<Instant>),
    Other(RedisResult<()>),
}

impl<D: Fn(Input) -> bool + Send + std::marker::Sync + 'static> Session<D> {
    /// Connects, subscribes, and takes a lease under a new id, in place of that of the session before: what that one
    /// left in the registry, or has still on its way there, is a dead node's.
    pub(super) async fn open(shared: Arc<Shared<D>>, former: Option<NodeId>) -> RedisResult<Self> {
        let (sender, pushes) = mpsc::channel(shared.options.limits.inbox_messages);
        let stats = shared.stats.clone();
        let push = move |push: PushInfo| {
            sender.try_send(push).inspect_err(|_| {
                stats.lost.fetch_add(1, Ordering::Relaxed);
            })
        };
        let connection = Connection::open(&shared, push).await?;
        let node = NodeId::from_random(u64::from_ne_bytes(random()));
        let (errands, now) = (JoinSet::new(), Instant::now());
        let (beating, renewed_at, heard_at, complained_at) = (false, now, now, None);
        let mut session =
            Self { shared, node, connection, pushes, errands, beating, renewed_at, heard_at, complained_at };
        // Before the lease, so that nothing is sent where nobody listens.
        let channel = session.shared.names.channel(session.node);
        session.connection.subscribe(&channel).await?;
        let lease = Lease::New { former: former.map(|former| session.shared.member(former)) };
        let live = beat(&session.shared, session.connection.clone(), node, lease).await?;
        session.shared.deliver(Input::Up { node, live });
        Ok(session)
    }

    /// Who this is.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Works until the link breaks, or is to stop.
    pub(super) async fn serve(&mut self, queue: &mut Queue, stopping: &mut oneshot::Receiver<()>) -> RedisResult<()> {
        let limits = self.shared.options.limits.clone();
        let mut tick = interval(limits.heartbeat);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        self.echo();
        loop {
            tokio::select! {
                _ = &mut *stopping => return Ok(()),
                Some(push) = self.pushes.recv() => self.pushed(push)?,
                Some(done) = self.errands.join_next() => self.done(done.unwrap_or(Done::Other(Ok(()))))?,
                _ = tick.tick() => {
                    if self.heard_at.elapsed() > limits.lease {
                        return Err((ErrorKind::Io, "nothing is heard on the own channel").into());
                    }
                    if self.renewed_at.elapsed() >= limits.lease {
                        return Err((ErrorKind::Io, "no heartbeat succeeds").into());
                    }
                    self.echo();
                    self.heartbeat();
                }
                errand = queue.recv() => match errand {
                    Some(Errand { output: Output::Table, .. }) => self.heartbeat(),
                    Some(Errand { output: Output::Sync(sync), .. }) => self.sync(sync),
                    Some(Errand { output: Output::Publish { to, envelope }, hold }) => self.publish(to, envelope, hold),
                    None => return Ok(()),
                },
            }
        }
    }

    /// Gives the lease back.
    pub(super) async fn leave(mut self) {
        let mut command = cmd("ZREM");
        command.arg(self.shared.names.leases()).arg(self.shared.member(self.node));
        let patience = self.shared.options.limits.patience;
        let _ = timeout(patience, command.exec_async(&mut self.connection)).await;
    }

    /// Renews the lease, and tells who lives, unless that is under way. A lease that ended is the end of the session:
    /// others took this node for dead, and it has to begin anew.
    fn heartbeat(&mut self) {
        if std::mem::replace(&mut self.beating, true) {
            return;
        }
        let (shared, node, connection) = (self.shared.clone(), self.node, self.connection.clone());
        self.errands.spawn(async move {
            let begin = Instant::now();
            let live = beat(&shared, connection, node, Lease::Renewed).await;
            Done::Beat(live.map(|live| {
                shared.deliver(Input::Nodes(live));
                begin
            }))
        });
    }

    /// An error only if the connection does not live. Of others, which are counted, the operator is told the first.
    fn done(&mut self, done: Done) -> RedisResult<()> {
        let done = match done {
            Done::Beat(renewed_at) => {
                self.beating = false;
                renewed_at.map(|at| self.renewed_at = at)
            }
            Done::Other(done) => done,
        };
        match done {
            Err(error) if error.is_unrecoverable_error() => return Err(error),
            Err(error) => self.complain(&error),
            Ok(()) => {}
        }
        Ok(())
    }

    fn complain(&mut self, error: &RedisError) {
        if self.complained_at.is_none_or(|at| at.elapsed() >= SILENCE) {
            self.complained_at = Some(Instant::now());
            tracing::warn!(reason = reason(error), "Redis does not do what it is asked");
        }
    }

    fn sync(&mut self, sync: Sync) {
        let (shared, node, mut connection) = (self.shared.clone(), self.node, self.connection.clone());
        self.errands.spawn(async move {
            let limits = &shared.options.limits;
            let done = script::sync(&mut connection, &shared.names, node, &sync, limits);
            shared.stats.syncs.fetch_add(1, Ordering::Relaxed);
            let done = within(limits.patience, done).await;
            shared.stats.syncs_failed.fetch_add(done.is_err().into(), Ordering::Relaxed);
            let Sync { info_hash, serial, .. } = sync;
            let (synced, done) = match done {
                Ok(synced) => (Input::Synced(synced), Ok(())),
                Err(error) => (Input::Unsynced { info_hash, serial }, Err(error)),
            };
            shared.deliver(synced);
            Done::Other(done)
        });
    }

    fn publish(&mut self, to: NodeId, envelope: Envelope, hold: Hold) {
        let (shared, connection) = (self.shared.clone(), self.connection.clone());
        self.errands.spawn(async move {
            let _hold = hold;
            let channel = shared.names.channel(to);
            let taken = match envelope.encode() {
                Some(message) => within(shared.options.limits.patience, say(connection, &channel, &message)).await,
                None => Ok(0),
            };
            match taken {
                Ok(1..) => drop(shared.stats.published.fetch_add(1, Ordering::Relaxed)),
                _ => shared.stats.lose(&envelope.message),
            }
            Done::Other(taken.map(drop))
        });
    }

    fn echo(&mut self) {
        let (shared, connection) = (self.shared.clone(), self.connection.clone());
        let channel = shared.names.channel(self.node);
        self.errands.spawn(async move {
            Done::Other(within(shared.options.limits.patience, say(connection, &channel, ECHO)).await.map(drop))
        });
    }

    /// Redis says something unasked.
    fn pushed(&mut self, push: PushInfo) -> RedisResult<()> {
        let stats = &self.shared.stats;
        match (push.kind, push.data.as_slice()) {
            (PushKind::SMessage, [_, Value::BulkString(message)]) if message == ECHO => self.heard_at = Instant::now(),
            (PushKind::SMessage, [_, Value::BulkString(message)]) => match Envelope::decode(message) {
                Ok(envelope) => {
                    stats.received.fetch_add(1, Ordering::Relaxed);
                    self.shared.deliver(Input::Received(envelope));
                }
                Err(_) => {
                    stats.malformed.fetch_add(1, Ordering::Relaxed);
                }
            },
            // A Redis Cluster's connection makes new ones by itself.
            (PushKind::Disconnection, _) if matches!(self.connection, Connection::Single(_)) => {
                return Err((ErrorKind::Io, "disconnected").into());
            }
            _ => {}
        }
        Ok(())
    }
}

/// Takes or renews a node's lease. Gives who lives.
async fn beat<D>(
    shared: &Shared<D>,
    mut connection: Connection,
    node: NodeId,
    lease: Lease,
) -> RedisResult<Arc<[NodeId]>> {
    let (limits, member) = (&shared.options.limits, shared.member(node));
    let beat = script::heartbeat(&mut connection, &shared.names, &member, lease, limits);
    let ended = RedisError::from((ErrorKind::Io, "the lease ended"));
    let members = within(limits.patience, beat).await?.ok_or(ended)?;
    let live: Arc<[NodeId]> = members.iter().filter_map(|member| NodeId::from_hex(member.get(..16)?)).collect();
    shared.stats.nodes.store(live.len(), Ordering::Relaxed);
    Ok(live)
}

/// Publishes; gives how many took it.
async fn say(mut connection: Connection, channel: &str, message: &[u8]) -> RedisResult<u64> {
    cmd("SPUBLISH").arg(channel).arg(message).query_async(&mut connection).await
}

async fn within<T>(patience: Duration, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// A connection to one server or to a Redis Cluster; clones share it.
#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    async fn open<D, E: Send + 'static>(
        shared: &Shared<D>,
        push: impl Fn(PushInfo) -> Result<(), E> + Send + std::marker::Sync + 'static,
    ) -> RedisResult<Self> {
        let limits = &shared.options.limits;
        Ok(match shared.options.address.server(shared.options.ca.as_deref())? {
            Server::Single(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(limits.connect))
                    .set_response_timeout(None)
                    .set_push_sender(push);
                Self::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Server::Cluster(builder) => {
                let builder =
                    builder.connection_timeout(limits.connect).response_timeout(limits.patience).push_sender(push);
                Self::Cluster(builder.build()?.get_async_connection().await?)
            }
        })
    }

    async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Single(connection) => cmd("SSUBSCRIBE").arg(channel).exec_async(connection).await,
            Self::Cluster(connection) => connection.ssubscribe(channel).await,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
