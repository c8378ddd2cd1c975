//! Where connections come in: admits them and gives each to a worker, or refuses them.
//!
//! Invariant: a refused client costs nothing beyond a second, and at most 256 of them at once cost that.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use swarmreel::rng::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Permit, Refused};
use super::counters::Count;
use super::rate::{Buckets, Rate};
use super::worker::Letter;
use super::{Shared, is_within, seed};
use crate::Network;

/// Buckets for households.
const HOUSEHOLDS: usize = 4096;

/// See the module.
pub(super) struct Door {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    /// One bucket for all, for those who are admitted.
    rate: Buckets,
    /// So that nobody empties it alone.
    households: Buckets,
    refusals: Arc<Semaphore>,
    rng: Rng,
}

impl Door {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let limits = &shared.options.sockets;
        let admission = Admission::new(limits.connections_per_address, limits.connections, shared.mailboxes.len());
        let rate = Rate { per_second: limits.accepts_per_second, burst: limits.accept_burst };
        let refusals = Arc::new(Semaphore::new(256));
        // Twice what a household may have at once, so that all of it may come back at once.
        let share = u32::try_from(limits.connections_per_address).unwrap_or(u32::MAX).clamp(1, limits.accept_burst);
        let of_household = Rate { per_second: share, burst: share.saturating_mul(2) };
        let (rate, households) = (Buckets::new(1, rate), Buckets::new(HOUSEHOLDS, of_household));
        Self { shared, admission: admission.into(), rate, households, refusals, rng: Rng::new(seed()) }
    }

    /// Takes in what comes until then.
    pub(super) async fn keep_open(&mut self, listener: &TcpListener, until: impl Future) {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                _ = &mut until => return,
                (stream, from) = next(listener) => self.admit(stream, from).await,
            }
        }
    }

    /// Tells who comes until then that the server stops, so that a load balancer sends them elsewhere.
    pub(super) async fn turn_away(&mut self, listener: &TcpListener, until: impl Future) {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                _ = &mut until => return,
                (stream, _) = next(listener) => self.refuse(stream, Refused::Stopping),
            }
        }
    }

    /// Takes in an accepted connection. Waits while its worker has too many letters to open: others wait in the kernel.
    async fn admit(&mut self, stream: TcpStream, from: IpAddr) {
        let address = Some(from).filter(|from| !is_within(*from, &self.shared.options.trusted_proxies));
        match self.permit(address) {
            Ok(permit) => {
                // Without it, small messages wait for the acknowledgement of the last one.
                let _ = stream.set_nodelay(true);
                let Ok(stream) = stream.into_std() else { return };
                let mailbox = &self.shared.mailboxes[permit.worker()];
                let _ = mailbox.send(Letter::Newcomer { stream, from, permit }).await;
            }
            Err(why) => self.refuse(stream, why),
        }
    }

    /// Whoever is refused takes nothing from the others' rate.
    fn permit(&mut self, address: Option<IpAddr>) -> Result<Permit, Refused> {
        let now = self.shared.now();
        let permit = Permit::of(&self.admission, address)?;
        let in_turn = address.is_none_or(|address| self.households.take(now, Network::from(address)));
        if in_turn && self.rate.take(now, ()) { Ok(permit) } else { Err(Refused::Rate) }
    }

    /// Tells the client, if that takes little: at most 256 at a time are told, the others just see the connection close.
    fn refuse(&mut self, mut stream: TcpStream, why: Refused) {
        let (count, status, soonest, latest) = match why {
            Refused::Address => (Count::RefusedAddress, "429 Too Many Requests", 30, 60),
            Refused::Full => (Count::RefusedFull, "503 Service Unavailable", 60, 120),
            Refused::Stopping => (Count::RefusedStopping, "503 Service Unavailable", 2, 10),
            Refused::Rate => (Count::RefusedRate, "503 Service Unavailable", 2, 10),
        };
        self.shared.counters[0].add(count, 1);
        let seconds = soonest + self.rng.below(latest - soonest);
        if self.shared.options.tls.is_some() {
            return; // A word in the clear would only confuse it.
        }
        let Ok(turn) = self.refusals.clone().try_acquire_owned() else { return };
        let response =
            format!("HTTP/1.1 {status}\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        tokio::spawn(timeout(Duration::from_secs(1), async move {
            let _turn = turn;
            stream.write_all(response.as_bytes()).await?;
            stream.shutdown().await?;
            // Closing with unread bytes would reset the connection, and the client might not see the response.
            let mut unread = [0; 1024];
            while stream.read(&mut unread).await? > 0 {}
            io::Result::Ok(())
        }));
    }
}

/// The next connection.
async fn next(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => return (stream, from.ip()),
            // Out of file descriptors, or the client left already: the next accept may work.
            Err(error) => {
                tracing::debug!(%error, "no connection could be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
