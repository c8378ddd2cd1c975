//! Three servers as processes of their own, and a crowd of clients that find their way back to one of them.
//!
//! Invariant: a client keeps its peer id whatever happens to its connection, announces every few seconds, answers every
//! offer at once, and never looks at anything but what its server tells it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use futures_util::stream::FusedStream;
use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use swarmreel::ids::{InfoHash, OfferId, PeerId};
use swarmreel::tracker::message::{Announce, Answer, ClientMessage, ServerMessage};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// For what must happen, on a machine however busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two announces of a client.
const INTERVAL: Duration = Duration::from_secs(6);
const SWARMS: usize = 50;

type Socket = WebSocketStream<TcpStream>;

/// One server.
pub(crate) struct Node {
    pub(crate) port: u16,
    name: String,
    redis: String,
    process: Child,
}

impl Node {
    pub(crate) fn start(redis: &str, name: &str) -> Self {
        let (process, port) = spawn(redis, name, 0);
        Self { port, name: name.to_owned(), redis: redis.to_owned(), process }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for its end; whether that was a clean one.
    pub(crate) fn wait(&mut self) -> bool {
        self.process.wait().unwrap().success()
    }

    /// Starts it again, with the same name and at the same port.
    pub(crate) fn restart(&mut self) {
        (self.process, self.port) = spawn(&self.redis, &self.name, self.port);
    }

    /// Bytes of memory that it holds.
    pub(crate) fn rss(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut page = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut page)).await.expect("a page").unwrap();
        page
    }

    /// One of its metrics.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").await;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is in {page}")).parse().unwrap()
    }

    /// All peers of all swarms of the crowd, as this node counts them.
    pub(crate) async fn count(&self) -> u32 {
        let mut socket = open(self.port).await.unwrap();
        let hashes = (0..SWARMS).map(swarm).collect();
        socket.send(Message::text(ClientMessage::Scrape(hashes).write())).await.unwrap();
        loop {
            if let Message::Text(text) = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
                match ServerMessage::parse(&text).unwrap() {
                    ServerMessage::Scrape(tallies) => {
                        return tallies.iter().map(|(_, tally)| tally.complete + tally.incomplete).sum();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(redis: &str, name: &str, port: u16) -> (Child, u16) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmreel-signaling"));
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--no-stun", "--cluster", redis, "--node-name", name]);
    command.args(["--max-per-ip", "100000", "--interval", "30", "--log-level", "warn"]);
    let begin = Instant::now();
    loop {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.strip_prefix("Swarmreel is at http://localhost:").and_then(|rest| rest.strip_suffix("/\n"));
        if let Some(port) = port {
            return (process, port.parse().unwrap());
        }
        // The port of a server that was killed may be in use for a moment.
        let _ = process.wait();
        assert!(begin.elapsed() < PATIENCE, "it does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// See the module.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Where the nodes are; a client asks this only when it connects.
    ports: RwLock<Vec<u16>>,
    clients: Vec<Mutex<Client>>,
    /// From announce to response, of clients that never changed their node.
    latencies: Mutex<Vec<Duration>>,
}

#[derive(Default)]
struct Client {
    /// The node that has answered its last announce.
    node: Option<usize>,
    /// Answers to its offers since the last look.
    answers: u32,
    connections: u32,
    announces: Announces,
    /// The last announce failed.
    is_retry: bool,
}

/// What became of announces. One fails if the connection ends before it is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Announces {
    pub(crate) sent: u32,
    pub(crate) failed: u32,
    /// Those that failed after one that had failed.
    pub(crate) failed_twice: u32,
}

impl Crowd {
    /// So many clients, spread over swarms and nodes.
    pub(crate) fn gather(nodes: &[Node], count: usize) -> Self {
        let ports = RwLock::new(nodes.iter().map(|node| node.port).collect());
        let clients = (0..count).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared { ports, clients, latencies: Mutex::default() });
        let tasks = (0..count).map(|index| tokio::spawn(live(shared.clone(), index))).collect();
        Self { shared, tasks }
    }

    /// Clients that a node serves.
    pub(crate) fn served(&self) -> usize {
        self.shared.clients.iter().filter(|client| client.lock().unwrap().node.is_some()).count()
    }

    pub(crate) fn forget_answers(&self) {
        self.shared.clients.iter().for_each(|client| client.lock().unwrap().answers = 0);
    }

    /// Clients of whose offers none was answered since.
    pub(crate) fn unanswered(&self) -> usize {
        self.shared.clients.iter().filter(|client| client.lock().unwrap().answers == 0).count()
    }

    /// Announces of all clients so far.
    pub(crate) fn announces(&self) -> Announces {
        let mut sum = Announces::default();
        for client in &self.shared.clients {
            let Announces { sent, failed, failed_twice } = client.lock().unwrap().announces;
            sum.sent += sent;
            sum.failed += failed;
            sum.failed_twice += failed_twice;
        }
        sum
    }

    /// Connections that were made, of all clients.
    pub(crate) fn connections(&self) -> u32 {
        self.shared.clients.iter().map(|client| client.lock().unwrap().connections).sum()
    }

    /// The 99th percentile since the last look, of clients that never changed their node.
    pub(crate) fn latency_p99(&self) -> Duration {
        let mut latencies = std::mem::take(&mut *self.shared.latencies.lock().unwrap());
        latencies.sort_unstable();
        latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn live(shared: Arc<Shared>, index: usize) {
    let mut node = index % 3;
    loop {
        let port = shared.ports.read().unwrap()[node];
        let mut wait = Duration::from_millis(500);
        if let Ok(mut socket) = open(port).await {
            shared.clients[index].lock().unwrap().connections += 1;
            let mut announced = None;
            wait = converse(&shared, &mut socket, &mut announced, index, node).await.unwrap_or(wait);
            if announced.is_some() {
                let mut client = shared.clients[index].lock().unwrap();
                client.announces.failed += 1;
                client.announces.failed_twice += u32::from(std::mem::replace(&mut client.is_retry, true));
            }
        }
        shared.clients[index].lock().unwrap().node = None;
        sleep(wait.mul_f64(0.5 + fraction(index, node))).await;
        node = (node + 1) % 3;
    }
}

/// Half of anything between nothing and all, the same in each run.
fn fraction(index: usize, node: usize) -> f64 {
    ((index * 7919 + node * 104_729) % 1000) as f64 / 2000.0
}

/// Until the connection ends. When to come back, if the server said so. An announce that is not answered stays where it
/// was noted.
async fn converse(
    shared: &Shared,
    socket: &mut Socket,
    announced: &mut Option<Instant>,
    index: usize,
    node: usize,
) -> Option<Duration> {
    let mut beat = interval_at(tokio::time::Instant::now(), INTERVAL);
    let mut serial = 0u64;
    loop {
        tokio::select! {
            _ = beat.tick() => {
                serial += 1;
                *announced = Some(Instant::now());
                shared.clients[index].lock().unwrap().announces.sent += 1;
                socket.send(Message::text(announce(index, node, serial).write())).await.ok()?;
            }
            message = socket.next() => match message?.ok()? {
                Message::Text(text) => match ServerMessage::parse(&text).expect("servers write what clients read") {
                    ServerMessage::Response { .. } => {
                        let took = announced.take().map(|at| at.elapsed());
                        shared.latencies.lock().unwrap().extend(took.filter(|_| node == index % 3));
                        let mut client = shared.clients[index].lock().unwrap();
                        (client.node, client.is_retry) = (Some(node), false);
                    }
                    ServerMessage::Offer { info_hash, peer_id, offer_id, .. } => {
                        let answer = Answer {
                            info_hash, peer_id: name(index), to_peer_id: peer_id, offer_id,
                            sdp: "v=0 answer".repeat(30), left: None,
                        };
                        socket.send(Message::text(ClientMessage::Answer(answer).write())).await.ok()?;
                    }
                    ServerMessage::Answer { .. } => shared.clients[index].lock().unwrap().answers += 1,
                    _ => {}
                },
                Message::Close(Some(frame)) => {
                    let seconds = frame.reason.strip_prefix("retry in ")?.strip_suffix(" s")?.parse().ok()?;
                    return Some(Duration::from_secs(seconds));
                }
                _ => {}
            }
        }
    }
}

fn announce(index: usize, node: usize, serial: u64) -> ClientMessage {
    let mut id = [node as u8; 20];
    id[..8].copy_from_slice(&(index as u64).to_be_bytes());
    id[8..16].copy_from_slice(&serial.to_be_bytes());
    let offer = |number: u8| {
        let mut id = id;
        id[19] = number;
        (OfferId(id), "v=0 offer".repeat(30))
    };
    ClientMessage::Announce(Announce {
        info_hash: swarm(index),
        peer_id: name(index),
        event: None,
        left: Some(if index < 2 * SWARMS { 0 } else { 1 }),
        uploaded: 0,
        downloaded: 0,
        numwant: Some(2),
        offers: (0..2).map(offer).collect(),
    })
}

pub(crate) fn swarm(index: usize) -> InfoHash {
    InfoHash([(index % SWARMS) as u8 * 5; 20])
}

fn name(index: usize) -> PeerId {
    let mut id = *b"-SR0001-xxxxxxxxxxxx";
    id[8..16].copy_from_slice(&(index as u64).to_be_bytes());
    PeerId(id)
}

async fn open(port: u16) -> Result<Socket, Error> {
    let stream = timeout(PATIENCE, TcpStream::connect(("127.0.0.1", port))).await.expect("a connection or none")?;
    let request = format!("ws://127.0.0.1:{port}/announce").into_client_request()?;
    // The defaults of the library would take 400 MB for a crowd of 3,000.
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let opening = timeout(PATIENCE, client_async_with_config(request, stream, Some(config)));
    Ok(opening.await.expect("an upgrade or none")?.0)
}

/// A client that does what it is told.
pub(crate) struct Guest {
    socket: Socket,
    name: PeerId,
    info_hash: InfoHash,
    serial: u8,
}

impl Guest {
    pub(crate) async fn join(node: &Node, name: u8, info_hash: InfoHash) -> Self {
        Self { socket: open(node.port).await.unwrap(), name: PeerId([name; 20]), info_hash, serial: 0 }
    }

    /// Announces with one offer.
    pub(crate) async fn announce(&mut self) {
        self.serial = self.serial.wrapping_add(1);
        let (info_hash, peer_id, offer_id) = (self.info_hash, self.name, OfferId([self.serial; 20]));
        let offers = vec![(offer_id, "v=0".to_owned())];
        let (event, left, numwant) = (None, None, None);
        let announce = Announce { info_hash, peer_id, event, left, uploaded: 0, downloaded: 0, numwant, offers };
        // Who is not answered sees that the connection ended.
        let _ = self.socket.send(Message::text(ClientMessage::Announce(announce).write())).await;
    }

    /// Answers offers until its own is answered, the time is over or the connection ends; by whom.
    pub(crate) async fn answered(&mut self, within: Duration) -> Option<PeerId> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let message = tokio::time::timeout_at(until, self.socket.next()).await.ok()??.ok()?;
            let Message::Text(text) = message else { continue };
            match ServerMessage::parse(&text).unwrap() {
                ServerMessage::Answer { peer_id, .. } => return Some(peer_id),
                ServerMessage::Offer { info_hash, peer_id: to_peer_id, offer_id, .. } => {
                    let (peer_id, sdp) = (self.name, "v=0".to_owned());
                    let answer = Answer { info_hash, peer_id, to_peer_id, offer_id, sdp, left: None };
                    self.socket.send(Message::text(ClientMessage::Answer(answer).write())).await.ok()?;
                }
                _ => {}
            }
        }
    }

    /// The same until the connection ends.
    pub(crate) fn answering(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            while !self.socket.is_terminated() {
                self.announce().await;
                self.answered(Duration::from_secs(5)).await;
            }
        })
    }
}

/// Waits until it is so; how long that took.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(100)).await;
    }
    begin.elapsed()
}

/// A size from the environment, or the usual one.
pub(crate) fn size(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().map_or(usual, |text| text.parse().expect("a number"))
}

/// What each node counts, by port; for messages.
pub(crate) async fn counts(nodes: &[&Node]) -> BTreeMap<u16, u32> {
    let mut counts = BTreeMap::new();
    for node in nodes {
        counts.insert(node.port, node.count().await);
    }
    counts
}
