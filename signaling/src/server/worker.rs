//! A worker: one thread with an event loop of its own, the connections it was given, and its share of the swarms.
//!
//! Invariant: a connection stays with its worker; workers share nothing but the admission table and send each other
//! letters. A worker's mailbox is always read, so that two workers never wait for each other.

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::net::{IpAddr, TcpStream as StdStream};
use std::ops::Deref;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarmreel::time::Moment;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::admission::Permit;
use super::connection::{Visitor, converse, converse_by_tls};
use super::counters::Count;
use super::exchange::{Exchange, Parcel};
use super::metrics::Readings;
use super::{Shared, Stop, Stopped};
use crate::cluster::ClusterCounters;
use crate::cluster::registry::Input;
use crate::{Access, Counters, Stats};

/// Letters that wait for a worker; the sender of more waits.
const LETTERS_MAX: usize = 256;
/// Bytes read or written at once: a whole message.
const BUFFER_BYTES: usize = 64 << 10;
/// Walking all connections for the statistics is done at most this often, and takes at most a hundredth of the time.
const STATS_AGE_MIN: Duration = Duration::from_secs(1);
/// Nobody waits for other nodes for less than this.
const CLUSTER_TICK: Duration = Duration::from_millis(50);
/// A drain closes the connections in so many steps.
const DRAIN_STEPS: usize = 100;

/// To a worker.
pub(super) enum Letter {
    /// A connection was accepted.
    Newcomer { stream: StdStream, from: IpAddr, permit: Permit },
    /// Another worker has something for this one's connections or swarms.
    Parcels(Vec<Parcel>),
    /// To be done between two messages.
    Errand(Errand),
}

type Errand = Box<dyn FnOnce(&mut Exchange, Moment) + Send>;

pub(super) fn mailbox() -> (mpsc::Sender<Letter>, mpsc::Receiver<Letter>) {
    mpsc::channel(LETTERS_MAX)
}

/// What the tasks of one worker share.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    index: usize,
    exchange: RefCell<Exchange>,
    buffer: RefCell<Box<[u8]>>,
    /// Connections of any kind.
    live: Cell<usize>,
    stopped: Stopped,
}

impl Worker {
    pub(super) fn now(&self) -> Moment {
        self.shared.now()
    }

    pub(super) fn exchange(&self) -> RefMut<'_, Exchange> {
        self.exchange.borrow_mut()
    }

    /// Where bytes are read to and written from, so that no client needs a buffer of its own.
    pub(super) fn buffer(&self) -> RefMut<'_, Box<[u8]>> {
        self.buffer.borrow_mut()
    }

    /// Resolves once the server stops.
    pub(super) async fn stopping(&self) {
        self.stopped.clone().wait().await;
    }

    /// Whether clients are being sent away.
    pub(super) fn is_draining(&self) -> bool {
        matches!(self.stopped.get(), Stop::Drain { .. })
    }

    /// Whether load balancers should send clients here.
    pub(super) fn is_ready(&self) -> bool {
        self.stopped.get() == Stop::Never
    }

    /// The statistics of all workers together, about a second old at most. Whoever asks meanwhile waits for the same.
    pub(super) async fn stats(&self) -> Arc<Stats> {
        let mut cached = self.shared.stats.lock().await;
        let began = Instant::now();
        if let Some((until, stats)) = &*cached
            && began < *until
        {
            return stats.clone();
        }
        let stats = self.shared.gather(|exchange, _| exchange.stats()).await;
        let sum = Arc::new(stats.iter().fold(Stats::default(), |mut sum, stats| {
            sum.add(stats);
            sum
        }));
        *cached = Some((Instant::now() + STATS_AGE_MIN.max(began.elapsed() * 100), sum.clone()));
        sum
    }

    /// All that `/metrics` tells.
    pub(super) async fn readings(&self) -> Readings<'_> {
        let shared = &self.shared;
        let counters = shared.gather(|exchange, _| (exchange.tracker_counters(), exchange.cluster_counters())).await;
        let (mut tracker, mut cluster) = (Counters::default(), ClusterCounters::default());
        for (of_tracker, of_cluster) in counters {
            tracker += of_tracker;
            cluster += of_cluster;
        }
        Readings {
            sockets: shared.snapshot(),
            connections_max: shared.options.sockets.connections,
            stats: self.stats().await,
            tracker,
            stun: shared.options.ice.stun.as_ref().map(|stun| stun.counts()),
            cluster: shared.link.as_ref().map(|link| (link.stats(), cluster)),
            uptime: shared.started.elapsed(),
        }
    }
}

/// A connection's hold on its worker, which does not end before it.
pub(super) struct Present(Rc<Worker>);

impl Present {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.live.update(|live| live + 1);
        Self(worker.clone())
    }
}

impl Deref for Present {
    type Target = Rc<Worker>;

    fn deref(&self) -> &Rc<Worker> {
        &self.0
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.live.update(|live| live - 1);
    }
}

impl Shared {
    /// Asks every worker, and waits for all answers; of a worker that is gone there is none.
    pub(super) async fn gather<T: Send + 'static>(
        &self,
        ask: impl Fn(&mut Exchange, Moment) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let (answer, mut answers) = mpsc::unbounded_channel();
        for mailbox in &self.mailboxes {
            let (ask, answer) = (ask.clone(), answer.clone());
            let errand = move |exchange: &mut Exchange, now| drop(answer.send(ask(exchange, now)));
            let _ = mailbox.send(Letter::Errand(Box::new(errand))).await;
        }
        drop(answer);
        let mut all = Vec::new();
        while let Some(one) = answers.recv().await {
            all.push(one);
        }
        all
    }
}

/// The life of a worker's thread. Ends when the server has stopped and all connections are closed, or had their time.
pub(super) fn run(
    runtime: &Runtime,
    shared: Arc<Shared>,
    index: usize,
    mailbox: mpsc::Receiver<Letter>,
    cluster: mpsc::Receiver<Input>,
    stopped: Stopped,
) {
    let exchange = RefCell::new(Exchange::new(index, shared.clone()));
    let buffer = RefCell::new(vec![0; BUFFER_BYTES].into());
    let worker = Rc::new(Worker { shared, index, exchange, buffer, live: Cell::new(0), stopped });
    let tasks = LocalSet::new();
    runtime.block_on(tasks.run_until(work(worker, mailbox, cluster)));
}

async fn work(worker: Rc<Worker>, mut mailbox: mpsc::Receiver<Letter>, mut cluster: mpsc::Receiver<Input>) {
    let others = (0..worker.shared.mailboxes.len()).filter(|&to| to != worker.index);
    others.for_each(|to| drop(spawn_local(carry(worker.clone(), to))));
    spawn_local(tick(worker.clone()));
    if let Some(access) = &worker.shared.options.access {
        spawn_local(follow(worker.clone(), access.follow()));
    }
    if worker.shared.link.is_some() {
        spawn_local(tick_cluster(worker.clone()));
    }
    let mut drained = pin!(async {
        worker.stopping().await;
        let _ = timeout(worker.shared.options.sockets.stop_grace, drain(&worker)).await;
    });
    loop {
        tokio::select! {
            () = &mut drained => return,
            Some(letter) = mailbox.recv() => open(&worker, letter),
            Some(input) = cluster.recv() => worker.exchange().input(worker.now(), input),
        }
    }
}

fn open(worker: &Rc<Worker>, letter: Letter) {
    match letter {
        Letter::Newcomer { stream, from, permit } => {
            // A stream that cannot be polled was closed meanwhile.
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            worker.exchange().counters().add(Count::Accepted, 1);
            let visitor = Visitor::new(Present::new(worker), from, permit);
            match worker.shared.options.tls.clone() {
                None => spawn_local(converse(stream, visitor, worker.shared.options.sockets.handshake)),
                Some(tls) => spawn_local(converse_by_tls(stream, tls, visitor)),
            };
        }
        Letter::Parcels(parcels) => worker.exchange().receive(worker.now(), parcels),
        Letter::Errand(errand) => errand(&mut worker.exchange(), worker.now()),
    }
}

/// Carries what waits for another worker. It runs after the tasks that were ready before it, and so takes together what
/// they leave.
async fn carry(worker: Rc<Worker>, to: usize) {
    loop {
        poll_fn(|context| worker.exchange().poll_outgoing(to, context)).await;
        let Ok(permit) = worker.shared.mailboxes[to].reserve().await else { return };
        permit.send(Letter::Parcels(worker.exchange().take_outgoing(to)));
    }
}

/// Looks at all clocks of the worker, again and again.
async fn tick(worker: Rc<Worker>) {
    let mut ticks = interval(worker.shared.options.sockets.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let late = ticks.tick().await.elapsed();
        let mut exchange = worker.exchange();
        exchange.counters().set(Count::LagMicros, late.as_micros().try_into().unwrap_or(u64::MAX));
        exchange.tick(worker.now());
    }
}

/// Takes over each new access list.
async fn follow(worker: Rc<Worker>, mut access: watch::Receiver<Access>) {
    loop {
        let list = access.borrow_and_update().clone();
        worker.exchange().set_access(list);
        if access.changed().await.is_err() {
            return;
        }
    }
}

/// Looks at the clocks of what waits for other nodes.
async fn tick_cluster(worker: Rc<Worker>) {
    let mut ticks = interval(CLUSTER_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.exchange().wake_cluster(worker.now());
    }
}

/// Sends every client away, step by step and each with a time of its own to come back, so that they don't all come at
/// once (threat-model S14); then waits until all connections are closed.
async fn drain(worker: &Worker) {
    // Without the server's task there is nobody to drain for.
    let Stop::Drain { spread } = worker.stopped.get() else { return };
    let limits = &worker.shared.options.sockets;
    // The last one, too, has the time of a farewell.
    let step = limits.stop_grace.saturating_sub(limits.farewell) / DRAIN_STEPS as u32;
    let conns = worker.exchange().conns();
    for some in conns.chunks(conns.len().div_ceil(DRAIN_STEPS).max(1)) {
        some.iter().for_each(|&conn| worker.exchange().send_away(worker.now(), conn, spread));
        sleep(step).await;
    }
    while worker.live.get() > 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Context, Poll, Wake, Waker};

    use tokio::io::{AsyncWriteExt, duplex};

    use super::super::admission::Admission;
    use super::super::socket::Socket;
    use super::*;
    use crate::Spread;
    use crate::server::Options;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// The only one.
    fn worker() -> Rc<Worker> {
        let shared = Shared::new(Options::default(), vec![mailbox().0], Spread::new(1, [1; 32]), None);
        let shared = Arc::new(shared);
        let exchange = RefCell::new(Exchange::new(0, shared.clone()));
        let buffer = RefCell::new(vec![0; BUFFER_BYTES].into());
        let stopped = Stopped(watch::channel(Stop::Never).1);
        Rc::new(Worker { shared, index: 0, exchange, buffer, live: Cell::new(0), stopped })
    }

    #[tokio::test]
    async fn a_socket_is_not_polled_again_for_the_reply_that_it_has_just_sent() {
        let worker = worker();
        let (mut client, stream) = duplex(BUFFER_BYTES);
        let permit = Permit::of(&Arc::new(Admission::new(1, 1, 1)), None).expect("the first");
        let address = IpAddr::from([127, 0, 0, 1]);
        let mut socket = pin!(Socket::new(Present::new(&worker), stream, Vec::new(), address, permit));
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        let mut context = Context::from_waker(&waker);
        assert_eq!(socket.as_mut().poll(&mut context), Poll::Pending);

        let text = br#"{"action":"scrape","info_hash":"aaaaaaaaaaaaaaaaaaaa"}"#;
        let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], &text[..]].concat();
        client.write_all(&frame).await.unwrap();
        assert_eq!(bell.0.load(Relaxed), 1, "for what came");
        assert_eq!(socket.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(worker.exchange().counters().get(Count::FramesOut), 1, "it was answered");
        assert_eq!(bell.0.load(Relaxed), 1, "and that was all");
    }
}
