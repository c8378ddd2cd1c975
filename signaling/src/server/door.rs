//! Where connections come in: admits them and gives each to a worker, or refuses them.
//!
//! Invariant: a refused client costs nothing beyond a second, and at most 256 of them at once cost that.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swarmreel::rng::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Permit, Refused};
use super::counters::Count;
use super::worker::Letter;
use super::{Shared, is_within, seed};

/// Between two complaints that connections cannot be accepted.
const COMPLAINTS: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Door {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    refusals: Arc<Semaphore>,
    /// When it was last said that connections cannot be accepted.
    complained: Option<Instant>,
    rng: Rng,
}

impl Door {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let limits = &shared.options.sockets;
        let admission = Admission::new(limits.connections_per_address, limits.connections, shared.mailboxes.len());
        let refusals = Arc::new(Semaphore::new(256));
        Self { shared, admission: admission.into(), refusals, complained: None, rng: Rng::new(seed()) }
    }

    /// Takes in what comes until then.
    pub(super) async fn keep_open(&mut self, listener: &TcpListener, until: impl Future) {
        let mut until = pin!(until);
        loop {
            let next = async {
                match listener.accept().await {
                    Ok((stream, from)) => self.admit(stream, from.ip()).await,
                    Err(error) => self.complain(&error).await,
                }
            };
            tokio::select! {
                _ = &mut until => return,
                () = next => {}
            }
        }
    }

    /// Tells who comes until then that the server stops, so that a load balancer sends them elsewhere.
    pub(super) async fn turn_away(&mut self, listener: &TcpListener, until: impl Future) {
        let mut until = pin!(until);
        loop {
            tokio::select! {
                _ = &mut until => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => self.refuse(stream, from.ip(), Refused::Stopping),
                    Err(error) => self.complain(&error).await,
                }
            }
        }
    }

    /// Takes in an accepted connection. Waits while its worker has too many letters to open: others wait in the kernel.
    /// Whom a proxy forwards is judged once that is known ([`http`](super::http)).
    async fn admit(&mut self, stream: TcpStream, from: IpAddr) {
        let address = Some(from).filter(|from| !is_within(*from, &self.shared.options.trusted_proxies));
        let permit = match Permit::of(&self.admission, address) {
            Ok(permit) if address.is_none_or(|address| self.shared.may_arrive(address)) => permit,
            Ok(_) => return self.refuse(stream, from, Refused::Rate),
            Err(why) => return self.refuse(stream, from, why),
        };
        // Without it, small messages wait for the acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        let Ok(stream) = stream.into_std() else { return };
        let mailbox = &self.shared.mailboxes[permit.worker()];
        let _ = mailbox.send(Letter::Newcomer { stream, from, permit }).await;
    }

    /// Out of open files, or the client left already: the next accept may work.
    async fn complain(&mut self, error: &io::Error) {
        self.shared.counters[0].add(Count::AcceptErrors, 1);
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAINTS) {
            self.complained = Some(Instant::now());
            tracing::warn!(%error, "connections cannot be accepted");
        }
        sleep(Duration::from_millis(50)).await;
    }

    /// Tells the client, if that takes little: at most 256 at a time are told, the others just see the connection close.
    fn refuse(&mut self, mut stream: TcpStream, from: IpAddr, why: Refused) {
        let (count, status, wait) = why.terms();
        tracing::debug!(%from, ?why, "a connection is refused");
        self.shared.counters[0].add(count, 1);
        let seconds = wait.start + self.rng.below(wait.end - wait.start);
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
