//! The STUN responder: tells browsers by which address the world sees them, so that they can be reached from other
//! networks and no third party is asked (RFC 8489, Binding over UDP, threat-model V4).
//!
//! Invariant: what it sends is bounded for each network and in all, however many addresses the packets claim to come
//! from; what it remembers is of one size.

mod message;

use std::convert::Infallible;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use swarmreel::time::Moment;
use tokio::io::Interest;
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep};

use super::Stopped;
use super::rate::{Buckets, Rate};
use crate::Network;
use message::{Unanswered, answer};

/// For one network, an IPv4 address or an IPv6 /64. A browser asks again every 10 s for each of its connections, and a
/// provider may have hundreds of customers behind one address; a victim whose address is forged gets 9 KB/s.
const PER_NETWORK: Rate = Rate { per_second: 100, burst: 1000 };
/// For all together: about a tenth of a core.
const IN_ALL: Rate = Rate { per_second: 10_000, burst: 10_000 };
/// 64 KiB of them. Networks that share one by chance share its rate.
const NETWORKS: usize = 8192;

/// Bytes that the system hands over at once: it may join packets of one sender.
const RECEIVED_MAX: usize = 64 << 10;

/// A bound responder, which [`serve`](super::serve) runs.
#[derive(Clone, Debug)]
pub struct Stun {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    counts: Arc<Counts>,
}

/// What became of the packets.
#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    malformed: AtomicU64,
    not_binding: AtomicU64,
    bad_source: AtomicU64,
    limited: AtomicU64,
}

impl Stun {
    /// Opens a UDP port. An IPv6 wildcard address serves both IP versions where the system lets it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket: socket.into(), address, counts: Arc::default() })
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What became of the packets so far, by outcome.
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let counts = &self.counts;
        [
            ("answered", &counts.answered),
            ("malformed", &counts.malformed),
            ("not_binding", &counts.not_binding),
            ("bad_source", &counts.bad_source),
            ("limited", &counts.limited),
        ]
        .map(|(outcome, count)| (outcome, count.load(Relaxed)))
    }

    /// Answers until the server stops.
    pub(super) async fn run(self, mut stopped: Stopped) {
        tokio::select! {
            () = stopped.wait() => {}
            // It can only fail before the first packet: without the socket options that it needs.
            _ = self.answer_all() => {}
        }
    }

    async fn answer_all(&self) -> io::Result<Infallible> {
        let state = UdpSocketState::new(UdpSockRef::from(&*self.socket))?;
        let socket = tokio::net::UdpSocket::from_std(self.socket.try_clone()?)?;
        let (started, mut governor) = (Instant::now(), Governor::new());
        let mut buffer = vec![0; RECEIVED_MAX];
        loop {
            socket.readable().await?;
            // In a flood there is always a packet: the stop has its turn all the same.
            consume_budget().await;
            let mut meta = [RecvMeta::default()];
            let receive = || state.recv((&socket).into(), &mut [IoSliceMut::new(&mut buffer)], &mut meta);
            match socket.try_io(Interest::READABLE, receive) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            }
            let [RecvMeta { addr: from, len, stride, dst_ip, .. }] = meta;
            for packet in buffer[..len].chunks(stride.max(1)) {
                let now = Moment(0) + started.elapsed();
                let Some(answer) = self.reply(&mut governor, now, packet, from, dst_ip) else { continue };
                // From the address that was asked: a machine may have several, and a NAT lets only that one in.
                let transmit =
                    Transmit { destination: from, ecn: None, contents: &answer, segment_size: None, src_ip: dst_ip };
                // What can't be sent is lost, like any packet: the client asks again.
                let _ = socket.try_io(Interest::WRITABLE, || state.try_send((&socket).into(), &transmit));
            }
        }
    }

    /// The answer to one packet, if it gets any.
    fn reply(
        &self,
        governor: &mut Governor,
        now: Moment,
        packet: &[u8],
        from: SocketAddr,
        to: Option<IpAddr>,
    ) -> Option<Vec<u8>> {
        let ours = to.map(|to| SocketAddr::new(to.to_canonical(), self.port()));
        let forged = ours == Some(SocketAddr::new(from.ip().to_canonical(), from.port()));
        let outcome = if forged { Err(Unanswered::BadSource) } else { answer(packet, from) };
        let counts = &self.counts;
        let (count, answer) = match outcome {
            Ok(answer) if governor.admits(now, from.ip()) => (&counts.answered, Some(answer)),
            Ok(_) => (&counts.limited, None),
            Err(Unanswered::Malformed) => (&counts.malformed, None),
            Err(Unanswered::NotBinding) => (&counts.not_binding, None),
            Err(Unanswered::BadSource) => (&counts.bad_source, None),
        };
        count.fetch_add(1, Relaxed);
        answer
    }
}

/// How much may be answered.
struct Governor {
    networks: Buckets,
    all: Buckets,
}

impl Governor {
    fn new() -> Self {
        Self { networks: Buckets::new(NETWORKS, PER_NETWORK), all: Buckets::new(1, IN_ALL) }
    }

    fn admits(&mut self, now: Moment, from: IpAddr) -> bool {
        self.networks.take(now, Network::from(from)) && self.all.take(now, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Binding request without attributes.
    const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn responder() -> (Stun, Governor) {
        (Stun::bind("127.0.0.1:0".parse().unwrap()).unwrap(), Governor::new())
    }

    fn count(stun: &Stun, outcome: &str) -> u64 {
        stun.counts().into_iter().find(|(name, _)| *name == outcome).expect("an outcome").1
    }

    #[test]
    fn a_flood_from_one_network_gets_the_rate_and_others_are_answered() {
        let (stun, mut governor) = responder();
        let mut from = |now: Moment, from: &str| stun.reply(&mut governor, now, &REQUEST, from.parse().unwrap(), None);
        let second = |second: u64, packet: u64| Moment(second * 1_000_000 + packet);
        let answered = (0..10).flat_map(|at| (0..5000).map(move |packet| second(at, packet * 200)));
        let answered = answered.filter(|now| from(*now, "192.0.2.1:5000").is_some()).count();
        assert!((1900..=2000).contains(&answered), "{answered} in 10 s");
        assert!(from(second(10, 0), "198.51.100.1:5000").is_some());
        assert_eq!(count(&stun, "answered") + count(&stun, "limited"), 50_001);
    }

    #[test]
    fn forged_addresses_get_the_rate_of_all_together() {
        let (stun, mut governor) = responder();
        let mut bytes = 0;
        for packet in 0..400_000_u32 {
            let from = SocketAddr::new(IpAddr::V4((packet.wrapping_mul(2_654_435_761)).into()), 5000);
            let now = Moment(u64::from(packet) * 10); // 100,000 a second
            bytes += stun.reply(&mut governor, now, &REQUEST, from, None).map_or(0, |answer| answer.len());
        }
        let limit = 32 * u64::from(IN_ALL.burst + 4 * IN_ALL.per_second);
        assert!((limit * 9 / 10..=limit).contains(&(bytes as u64)), "{bytes} bytes in 4 s");
        assert_eq!(governor.networks.len(), NETWORKS, "nothing grows");
    }

    #[test]
    fn a_request_that_claims_to_be_from_ourselves_is_dropped() {
        let (stun, mut governor) = responder();
        let to = Some("127.0.0.1".parse().unwrap());
        let mut reply = |from: SocketAddr| stun.reply(&mut governor, Moment(0), &REQUEST, from, to);
        assert_eq!(reply(stun.address), None);
        assert_eq!(reply(format!("[::ffff:127.0.0.1]:{}", stun.port()).parse().unwrap()), None);
        assert!(reply(format!("127.0.0.2:{}", stun.port()).parse().unwrap()).is_some());
        assert_eq!(count(&stun, "bad_source"), 2);
    }
}
