//! `soak`: clients come and go, each with a name of its own, and somebody watches the metrics (threat-model S13).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Common, SECOND, megabytes, open};
use crate::arrivals;
use crate::figures::slope;
use crate::fleet::{Event, Fleet};
use crate::process::Process;
use crate::sdp::Chance;
use crate::target::Target;

/// How often memory is looked at, and the metrics are.
const SAMPLE: u64 = 5 * SECOND;

/// Clients come and go for a long time; memory must not
#[derive(Clone, Debug, clap::Args)]
pub struct Soak {
    /// What all scenarios ask for.
    #[command(flatten)]
    pub common: Common,
    /// Peers at a time
    #[arg(long, default_value_t = 5000)]
    pub connections: u32,
    /// Peers that leave and are replaced a second
    #[arg(long, default_value_t = 50)]
    pub churn: u64,
    /// Seconds between two announces of a peer
    #[arg(long, default_value_t = 120)]
    pub interval: u64,
    /// Offers an announce
    #[arg(long, default_value_t = 5)]
    pub offers: u8,
    /// Page of the metrics
    #[arg(long, default_value = "/metrics")]
    pub metrics: String,
    /// Seconds whose memory does not count
    #[arg(long, default_value_t = 300)]
    pub warm_up: u64,
    /// How long, the warm-up included
    #[arg(long, default_value_t = 1800)]
    pub seconds: u64,
}

/// A look at the metrics: HTTP status (0: none), lines, bytes.
type Page = (u16, usize, usize);

impl Soak {
    /// Runs it.
    ///
    /// # Errors
    /// The server can't be reached, or ends meanwhile.
    pub fn run(&self) -> Result<Value> {
        let server = self.common.process()?;
        let target = Target::new(&self.common.server, self.common.authority.as_deref())?;
        let (ask, pages) = watcher(target.address, self.metrics.clone());
        let mut fleet = self.common.fleet_for(target, self.connections)?;
        open(&mut fleet, 0..self.connections, self.common.connect_rate)?;
        let mut churn = Churn { chance: Chance::new(self.common.seed), returned: 0, lost: 0, offers: self.offers };
        let (start, samples) = (fleet.now(), self.seconds * SECOND / SAMPLE);
        let mut memory = Vec::new();
        for sample in 0..samples {
            self.live(&mut fleet, &mut churn, start + sample * SAMPLE)?;
            memory.push(((fleet.now() - start) as f64 / SECOND as f64, server.resident()?));
            let _ = ask.send(());
        }
        drop(ask);
        let pages: Vec<Page> = pages.iter().collect();
        self.report(&fleet, &churn, &memory, &pages, server)
    }

    /// Everything that happens between two samples.
    fn live(&self, fleet: &mut Fleet, churn: &mut Churn, start: u64) -> Result<()> {
        let rate = f64::from(self.connections) / self.interval as f64;
        let seed = churn.chance.next();
        let announces = arrivals::even(rate, SAMPLE, self.connections, seed);
        let leaves = arrivals::even(self.churn as f64, SAMPLE, self.connections, seed.rotate_left(32));
        let mut due: Vec<_> = announces
            .iter()
            .map(|it| (it.at, it.peer, false))
            .chain(leaves.iter().map(|it| (it.at, it.peer, true)))
            .collect();
        due.sort_unstable();
        for (at, peer, leaves) in due {
            churn.rest(fleet, start + at)?;
            if leaves {
                churn.replace(fleet, peer);
            } else {
                fleet.announce(peer, start + at, self.offers);
            }
        }
        churn.rest(fleet, start + SAMPLE)
    }

    fn report(
        &self,
        fleet: &Fleet,
        churn: &Churn,
        memory: &[(f64, u64)],
        pages: &[Page],
        server: Process,
    ) -> Result<Value> {
        let counted = memory.iter().filter(|(second, _)| *second >= self.warm_up as f64);
        let points: Vec<_> =
            counted.map(|(second, bytes)| (second / 3600.0, *bytes as f64 / f64::from(1 << 20))).collect();
        let page = |page: Option<&Page>| {
            page.map(|(status, lines, bytes)| json!({"status": status, "lines": lines, "bytes": bytes}))
        };
        let every = (memory.len() / 20).max(1);
        Ok(json!({
            "connections": self.connections,
            "connections_at_end": fleet.open(),
            "connections_lost": churn.lost,
            "replaced": churn.returned,
            "seconds": self.seconds,
            "rss_slope_mib_per_hour": (slope(&points) * 100.0).round() / 100.0,
            "rss_mib": memory.iter().step_by(every).map(|(second, bytes)| json!([second.round(), megabytes(*bytes)])).collect::<Vec<_>>(),
            "metrics_looked_at": pages.len(),
            "metrics_failed": pages.iter().filter(|page| page.0 != 200).count(),
            "metrics_first": page(pages.first()),
            "metrics_last": page(pages.last()),
            "server_cpu_s": server.cpu()?.as_secs_f64(),
            "traffic": fleet.traffic.to_json(self.seconds as f64),
        }))
    }
}

/// Who comes and goes.
struct Churn {
    chance: Chance,
    offers: u8,
    returned: u64,
    /// Connections that the server ended.
    lost: u64,
}

impl Churn {
    fn replace(&mut self, fleet: &mut Fleet, peer: u32) {
        fleet.close(peer);
        fleet.rename(peer, &mut self.chance);
        fleet.connect(peer);
    }

    /// Newcomers announce; who is thrown out is replaced.
    fn rest(&mut self, fleet: &mut Fleet, until: u64) -> Result<()> {
        loop {
            fleet.turn(until)?;
            for event in fleet.events() {
                match event {
                    Event::Opened(peer) => {
                        self.returned += 1;
                        fleet.announce(peer, fleet.now(), self.offers);
                    }
                    Event::Ended(peer, _) => {
                        self.lost += 1;
                        self.replace(fleet, peer);
                    }
                }
            }
            if fleet.now() >= until {
                return Ok(());
            }
        }
    }
}

/// A thread that looks at the metrics whenever it is asked to, so that the fleet never waits for them.
fn watcher(server: SocketAddr, path: String) -> (Sender<()>, Receiver<Page>) {
    let (ask, asked) = channel();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for () in asked {
            if tell.send(look(server, &path).unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    (ask, told)
}

fn look(server: SocketAddr, path: &str) -> std::io::Result<Page> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(4))?;
    stream.set_read_timeout(Some(Duration::from_secs(4)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let status = page.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, page.lines().count(), page.len()))
}
