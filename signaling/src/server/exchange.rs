//! One worker's desk and shard, its clients, and what goes to the other workers.
//!
//! Requests for the worker's own shard and deliveries to its own clients are plain calls; the others wait here for their
//! courier. Invariant: after every call all that the tracker had to say is in an outbox or waits for a courier, and a
//! client is told of its closing after the tracker has forgotten it, so that a dying socket is offered to nobody.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use swarmreel::ids::InfoHash;
use swarmreel::rng::Rng;
use swarmreel::time::Moment;
use swarmreel::tracker::message::Tally;
use tokio::sync::oneshot;

use super::client::{Client, Pulse};
use super::counters::{Count, Counters};
use super::limits::ServerLimits;
use super::{Shared, seed};
use crate::cluster::registry::Input;
use crate::cluster::{ClusterCounters, ClusterLimits, ClusterShard};
use crate::{Access, Asker, ConnId, Delivery, Desk, Output, Request, Scrape, Shard, ShardOutput, Stats};

/// From one worker to another.
pub(super) enum Parcel {
    Request(Request<'static>),
    Delivery(Delivery),
    Tallied { ticket: u64, tallies: Vec<(InfoHash, Tally)> },
}

/// Parcels that wait for one courier. Beyond, nothing is read from sockets until it has left.
const PARCELS_MAX: usize = 1024;

/// Bits of a slot's number in a [`ConnId`]; above it is a count of connections, and the worker in the highest 8.
const SLOT_BITS: u32 = 24;
const WORKER_SHIFT: u32 = 56;

/// Workers that a [`ConnId`] can tell apart. Its highest bit stays clear: other nodes' ids have it set.
pub(super) const WORKERS_MAX: usize = 128;

/// See the module.
pub(super) struct Exchange {
    worker: usize,
    shared: Arc<Shared>,
    desk: Desk,
    shard: ClusterShard,
    clients: Slab<Client>,
    opened: u32,
    /// By worker.
    outgoing: Vec<Vec<Parcel>>,
    /// Couriers that wait for parcels, by worker.
    couriers: Vec<Option<Waker>>,
    /// Sockets that are not read until parcels have left.
    readers: Vec<Waker>,
    tickets: BTreeMap<u64, oneshot::Sender<Vec<(InfoHash, Tally)>>>,
    /// How many there were: a number that comes again would answer the wrong asker.
    ticketed: u64,
    rng: Rng,
}

impl Exchange {
    pub(super) fn new(worker: usize, shared: Arc<Shared>) -> Self {
        let count = shared.counters.len();
        let (limits, cluster) = (&shared.options.tracker, &shared.options.cluster);
        let shard = Shard::new(limits.clone(), seed(), shared.spread);
        let cluster = cluster.as_ref().map_or_else(ClusterLimits::default, |cluster| cluster.limits.clone());
        let mut desk = Desk::new(limits.clone());
        desk.share(shared.households.clone());
        Self {
            worker,
            desk,
            shard: ClusterShard::new(shard, limits.clone(), cluster, seed()),
            clients: Slab::new(),
            opened: 0,
            outgoing: (0..count).map(|_| Vec::new()).collect(),
            couriers: vec![None; count],
            readers: Vec::new(),
            tickets: BTreeMap::new(),
            ticketed: 0,
            rng: Rng::new(seed()),
            shared,
        }
    }

    /// A WebSocket opened.
    pub(super) fn open(&mut self, now: Moment, address: IpAddr) -> ConnId {
        let entry = self.clients.vacant_entry();
        self.opened = self.opened.wrapping_add(1);
        let slot = u64::try_from(entry.key()).expect("a slot");
        assert!(slot < 1 << SLOT_BITS, "the limit of connections is far below");
        let conn = ConnId((self.worker as u64) << WORKER_SHIFT | u64::from(self.opened) << SLOT_BITS | slot);
        entry.insert(Client::new(now, conn, &self.shared.options.sockets));
        self.counters().add(Count::Upgraded, 1);
        self.counters().set(Count::Open, self.clients.len() as u64);
        self.desk.opened(now, conn, address);
        tracing::debug!(conn = conn.0, %address, "a WebSocket opened");
        conn
    }

    /// A message arrived.
    pub(super) fn message(&mut self, now: Moment, conn: ConnId, text: &str) {
        self.counters().add(Count::MessagesIn, 1);
        if let Some(request) = self.desk.message(now, conn, text) {
            self.ask(now, request);
        }
        self.settle(now);
    }

    /// Says goodbye to a client, with a close code (RFC 6455 §7.4.1).
    pub(super) fn close(&mut self, now: Moment, conn: ConnId, code: u16, reason: &str) {
        tracing::debug!(conn = conn.0, code, reason, "a WebSocket is closed");
        self.desk.closed(now, conn);
        self.settle(now);
        let limits = &self.shared.options.sockets;
        self.clients[slot(conn)].close(now, limits, code, reason);
    }

    /// Closes with a hint when to come back, drawn from 1 to `spread` seconds.
    pub(super) fn send_away(&mut self, now: Moment, conn: ConnId, spread: u64) {
        if self.find(conn).is_some() {
            let seconds = self.draw(1..1 + spread);
            self.close(now, conn, 1012, &format!("retry in {seconds} s"));
        }
    }

    /// One number of these.
    pub(super) fn draw(&mut self, from: Range<u64>) -> u64 {
        from.start + self.rng.below(from.end - from.start)
    }

    /// A client's bytes arrived, so it lives.
    pub(super) fn heard(&mut self, now: Moment, conn: ConnId, bytes: usize) {
        self.counters().add(Count::BytesIn, bytes as u64);
        self.clients[slot(conn)].heard(now, &self.shared.options.sockets);
    }

    /// A client takes nothing now.
    pub(super) fn stuck(&mut self, now: Moment, conn: ConnId) {
        let until = now + self.limits().blocked;
        self.client(conn).stuck(until);
    }

    /// A client took some bytes of its outbox. Whoever takes a byte now and then, and never a whole message, is as good
    /// as deaf.
    pub(super) fn sent(&mut self, conn: ConnId, bytes: usize) {
        let client = self.client(conn);
        let frames = client.outbox.advance(bytes);
        if frames > 0 {
            client.unstuck();
        }
        self.counters().add(Count::FramesOut, frames);
        self.counters().add(Count::BytesOut, bytes as u64);
    }

    /// A socket is gone.
    pub(super) fn remove(&mut self, now: Moment, conn: ConnId) {
        tracing::debug!(conn = conn.0, "a WebSocket is gone");
        self.desk.closed(now, conn);
        self.clients.remove(slot(conn));
        if self.clients.len() < self.clients.capacity() / 4 {
            self.clients.shrink_to_fit();
        }
        self.counters().set(Count::Open, self.clients.len() as u64);
        self.settle(now);
    }

    /// The client of a socket that is not gone.
    pub(super) fn client(&mut self, conn: ConnId) -> &mut Client {
        &mut self.clients[slot(conn)]
    }

    pub(super) fn conns(&self) -> Vec<ConnId> {
        self.clients.iter().map(|(_, client)| client.conn).collect()
    }

    /// Parcels of another worker.
    pub(super) fn receive(&mut self, now: Moment, parcels: Vec<Parcel>) {
        for parcel in parcels {
            match parcel {
                Parcel::Request(request) => self.shard.handle(now, request),
                Parcel::Delivery(delivery) => self.desk.delivered(now, delivery),
                Parcel::Tallied { ticket, tallies } => self.tallied(ticket, tallies),
            }
            self.settle(now);
        }
    }

    /// Looks at all clocks.
    pub(super) fn tick(&mut self, now: Moment) {
        let limits = &self.shared.options.sockets;
        let counters = &self.shared.counters[self.worker];
        for (_, client) in &mut self.clients {
            match client.pulse(now, limits) {
                Pulse::Pinged => counters.add(Count::Pings, 1),
                Pulse::Silent => counters.add(Count::Silent, 1),
                Pulse::Deaf => counters.add(Count::Deaf, 1),
                Pulse::Fine | Pulse::Over => {}
            }
        }
        self.desk.wake(now);
        self.settle(now);
        self.tickets.retain(|_, asker| !asker.is_closed());
    }

    /// Something happened in the cluster.
    pub(super) fn input(&mut self, now: Moment, input: Input) {
        self.shard.input(now, input);
        self.settle(now);
    }

    /// Does what has become due in the cluster, where less than a second matters.
    pub(super) fn wake_cluster(&mut self, now: Moment) {
        if self.shard.wake_at().is_some_and(|at| at <= now) {
            self.shard.wake(now);
            self.settle(now);
        }
    }

    /// This worker's part in the cluster.
    pub(super) fn cluster_counters(&self) -> ClusterCounters {
        self.shard.counters()
    }

    /// This worker's part of the statistics.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.desk.stats();
        stats.add_torrents(self.shard.shard().torrents());
        stats
    }

    /// Serves other torrents from now on.
    pub(super) fn set_access(&mut self, access: Access) {
        self.desk.set_access(access);
    }

    /// What the tracker's parts here have counted.
    pub(super) fn tracker_counters(&self) -> crate::Counters {
        let mut sum = self.desk.counters();
        sum += self.shard.shard().counters();
        sum
    }

    /// Counts the peers of some torrents, without joining.
    pub(super) fn tally(&mut self, now: Moment, hashes: Vec<InfoHash>) -> oneshot::Receiver<Vec<(InfoHash, Tally)>> {
        let (asker, answer) = oneshot::channel();
        self.ticketed += 1;
        let ticket = (self.worker as u64) << WORKER_SHIFT | self.ticketed;
        self.tickets.insert(ticket, asker);
        self.ask(now, Request::Scrape(Scrape::new(Asker::Ticket(ticket), hashes)));
        self.settle(now);
        answer
    }

    pub(super) fn limits(&self) -> &ServerLimits {
        &self.shared.options.sockets
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.shared.counters[self.worker]
    }

    /// Whether so much waits for other workers that sockets should not be read; the reader is woken when it has left.
    pub(super) fn is_congested(&mut self, reader: &Waker) -> bool {
        let congested = self.outgoing.iter().any(|parcels| parcels.len() >= PARCELS_MAX);
        if congested {
            self.readers.push(reader.clone());
        }
        congested
    }

    /// Waits until something goes to another worker.
    pub(super) fn poll_outgoing(&mut self, to: usize, courier: &mut Context<'_>) -> Poll<()> {
        if self.outgoing[to].is_empty() {
            self.couriers[to] = Some(courier.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// All that goes to another worker.
    pub(super) fn take_outgoing(&mut self, to: usize) -> Vec<Parcel> {
        self.readers.drain(..).for_each(Waker::wake);
        std::mem::take(&mut self.outgoing[to])
    }

    fn post(&mut self, to: usize, parcel: Parcel) {
        let droppable = matches!(parcel, Parcel::Delivery(Delivery::Text { droppable: true, .. }));
        if droppable && self.outgoing[to].len() >= PARCELS_MAX {
            return self.counters().add(Count::ForwardDropped, 1);
        }
        self.counters().add(Count::Forwarded, 1);
        self.outgoing[to].push(parcel);
        if let Some(courier) = self.couriers[to].take() {
            courier.wake();
        }
    }

    fn ask(&mut self, now: Moment, request: Request<'_>) {
        let to = request.shard(&self.shared.spread);
        if to == self.worker {
            self.shard.handle(now, request);
        } else {
            self.post(to, Parcel::Request(request.into_owned()));
        }
    }

    /// Carries on until nothing more is to be done here.
    fn settle(&mut self, now: Moment) {
        loop {
            if let Some(request) = self.desk.poll_request() {
                self.ask(now, request);
            } else if let Some(output) = self.shard.poll() {
                self.told(now, output);
            } else if let Some(output) = self.desk.poll() {
                self.obey(now, output);
            } else {
                break;
            }
        }
        while let Some(output) = self.shard.poll_output() {
            if let Some(link) = &self.shared.link {
                link.send(output);
            }
        }
    }

    fn told(&mut self, now: Moment, output: ShardOutput) {
        match output {
            ShardOutput::Deliver(delivery) => match worker(delivery.conn().0) {
                own if own == self.worker => self.desk.delivered(now, delivery),
                other => self.post(other, Parcel::Delivery(delivery)),
            },
            ShardOutput::Forward(request) => self.ask(now, request),
            ShardOutput::Tallied { ticket, tallies } => match worker(ticket) {
                own if own == self.worker => self.tallied(ticket, tallies),
                other => self.post(other, Parcel::Tallied { ticket, tallies }),
            },
        }
    }

    fn obey(&mut self, now: Moment, output: Output) {
        let limits = &self.shared.options.sockets;
        let (Output::Send { conn, .. } | Output::Probe { conn } | Output::Close { conn, .. }) = output;
        let Some(client) = self.clients.get_mut(slot(conn)).filter(|client| client.conn == conn) else { return };
        match output {
            Output::Send { text, droppable, .. } => {
                let dropped = client.outbox.text(limits, text, droppable);
                client.wake();
                if dropped > 0 {
                    self.counters().add(Count::OutboxDropped, dropped);
                }
            }
            Output::Probe { .. } => {
                let pings = u64::from(client.probe(now, limits));
                self.counters().add(Count::Pings, pings);
            }
            Output::Close { code, reason, .. } => client.close(now, limits, code, reason),
        }
    }

    fn find(&self, conn: ConnId) -> Option<&Client> {
        self.clients.get(slot(conn)).filter(|client| client.conn == conn)
    }

    fn tallied(&mut self, ticket: u64, tallies: Vec<(InfoHash, Tally)>) {
        if let Some(asker) = self.tickets.remove(&ticket) {
            let _ = asker.send(tallies); // who does not wait any more needs no answer
        }
    }
}

fn slot(conn: ConnId) -> usize {
    usize::try_from(conn.0 & ((1 << SLOT_BITS) - 1)).expect("24 bits")
}

fn worker(number: u64) -> usize {
    usize::try_from(number >> WORKER_SHIFT).expect("8 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Options, worker};
    use crate::{Spread, TrackerLimits};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use swarmreel::ids::PeerId;
    use swarmreel::tracker::message::{Announce, ClientMessage};

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first of two workers, with a client that may announce as often as it likes.
    fn exchange() -> (Exchange, ConnId) {
        let most = u32::MAX / 2;
        let tracker = TrackerLimits { announce_burst: most, torrents_per_connection: 10_000, ..Default::default() };
        let mailboxes = [(); 2].map(|()| worker::mailbox().0).to_vec();
        let shared = Shared::new(Options { tracker, ..Options::default() }, mailboxes, Spread::new(2, [1; 32]), None);
        let mut exchange = Exchange::new(0, Arc::new(shared));
        let conn = exchange.open(Moment(0), IpAddr::from([127, 0, 0, 1]));
        (exchange, conn)
    }

    fn torrent(number: u16) -> InfoHash {
        let mut info_hash = InfoHash([0; 20]);
        info_hash.0[2..4].copy_from_slice(&number.to_be_bytes());
        info_hash
    }

    fn announce(exchange: &mut Exchange, conn: ConnId, number: u16) {
        let info_hash = torrent(number);
        let (peer_id, offers) = (PeerId([1; 20]), Vec::new());
        let announce =
            Announce { info_hash, peer_id, event: None, left: None, uploaded: 0, downloaded: 0, numwant: None, offers };
        exchange.message(Moment(0), conn, &ClientMessage::Announce(announce).write());
    }

    #[test]
    fn sockets_are_not_read_while_too_much_waits_for_another_worker() {
        let (mut exchange, conn) = exchange();
        let (reader, courier) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let (reading, carrying) = (Waker::from(reader.clone()), Waker::from(courier.clone()));
        let mut context = Context::from_waker(&carrying);
        assert_eq!(exchange.poll_outgoing(1, &mut context), Poll::Pending);
        let mut number = 0;
        while !exchange.is_congested(&reading) {
            announce(&mut exchange, conn, number);
            number += 1;
        }
        assert!((1024..4096).contains(&number), "about half of the torrents are the other worker's: {number}");
        assert_eq!((reader.0.load(Ordering::Relaxed), courier.0.load(Ordering::Relaxed)), (0, 1), "woken once");
        assert_eq!(exchange.poll_outgoing(1, &mut context), Poll::Ready(()));
        assert_eq!(exchange.take_outgoing(1).len(), PARCELS_MAX);
        assert_eq!(reader.0.load(Ordering::Relaxed), 1, "the reader goes on");
        assert!(!exchange.is_congested(&reading));
    }

    #[test]
    fn offers_to_a_worker_that_is_too_busy_are_lost_and_counted() {
        let (mut exchange, _) = exchange();
        let to_other = |text: &str, droppable| {
            let conn = ConnId(1 << WORKER_SHIFT);
            ShardOutput::Deliver(Delivery::Text { conn, text: text.to_owned(), droppable })
        };
        for _ in 0..PARCELS_MAX {
            exchange.told(Moment(0), to_other("offer", true));
        }
        exchange.told(Moment(0), to_other("offer", true));
        exchange.told(Moment(0), to_other("reply", false));
        assert_eq!(exchange.counters().get(Count::ForwardDropped), 1);
        let last = exchange.take_outgoing(1).pop();
        assert!(matches!(last, Some(Parcel::Delivery(Delivery::Text { text, .. })) if text == "reply"));
    }

    #[test]
    fn s7_whoever_takes_bytes_but_no_message_is_deaf() {
        for (bytes, pulse) in [(7, Pulse::Fine), (1, Pulse::Deaf)] {
            let (mut exchange, conn) = exchange();
            let output = Output::Send { conn, text: "reply".to_owned(), droppable: false };
            exchange.obey(Moment(0), output);
            exchange.stuck(Moment(0), conn);
            exchange.sent(conn, bytes);
            let limits = exchange.limits().clone();
            assert_eq!(exchange.client(conn).pulse(Moment(0) + limits.blocked, &limits), pulse, "{bytes}");
        }
    }

    #[test]
    fn probes_count_as_pings() {
        let (mut exchange, conn) = exchange();
        (0..3).for_each(|_| exchange.obey(Moment(0), Output::Probe { conn }));
        assert_eq!(exchange.counters().get(Count::Pings), 1, "one is under way already");
    }

    #[test]
    fn what_is_for_a_client_that_is_gone_reaches_nobody() {
        let (mut exchange, gone) = exchange();
        exchange.remove(Moment(0), gone);
        let next = exchange.open(Moment(0), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(slot(gone), slot(next), "the slot is used again");
        let output = Output::Send { conn: gone, text: "late".to_owned(), droppable: false };
        exchange.obey(Moment(0), output);
        assert!(exchange.client(next).outbox.is_empty());
    }
}
