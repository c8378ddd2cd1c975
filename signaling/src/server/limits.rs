//! The only home of the shell's numbers: unit, default, and one line of why (threat-model.md §1).

use std::time::Duration;

use crate::websocket;

/// Files that the process opens for itself: event loops, signals, STUN, Redis, logs, lists.
const OWN_FILES: u64 = 64;

/// What one socket may use, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// For TLS and the head of the first request together, and for the head of every later one of a connection.
    pub handshake: Duration,
    /// Bytes of a request's head. hyper takes no less than 8 KiB.
    pub head_bytes: usize,
    /// Header lines of a request.
    pub head_lines: usize,
    /// What one WebSocket may send.
    pub websocket: websocket::Limits,
    /// Between two looks at the clocks of all WebSockets, so that none needs a timer: what is due then is this late at most.
    pub tick: Duration,
    /// Between our pings: proxies cut idle connections after 60 to 100 s.
    pub ping: Duration,
    /// Without any frame from a client that was pinged: two pings and some patience.
    pub pong: Duration,
    /// As `pong`, once another connection claims to be the same peer: its owner is to be back within 5 s.
    pub probe: Duration,
    /// A write that makes no progress for this long ends the connection.
    pub blocked: Duration,
    /// Messages waiting for a slow client.
    pub queue_messages: usize,
    /// Bytes of messages waiting for a slow client.
    pub queue_bytes: usize,
    /// Connections of one IPv4 address, or of one IPv6 /64 (a home's share of the address space).
    pub connections_per_address: usize,
    /// Connections of all addresses together.
    pub connections: usize,
    /// Connections accepted a second, once the burst is used up: a machine does a few times as many.
    pub accepts_per_second: u32,
    /// Connections accepted at once.
    pub accept_burst: u32,
    /// For a client to answer our close.
    pub farewell: Duration,
    /// Between the wish to stop and the drain: for load balancers, which ask `/ready` now and then, to send clients
    /// elsewhere.
    pub lame_duck: Duration,
    /// For all connections to end in a drain. Their closes are spread over it, but for the last one's farewell.
    pub stop_grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head_bytes: 8 << 10,
            head_lines: 64,
            websocket: websocket::Limits::default(),
            tick: Duration::from_secs(1),
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(75),
            probe: Duration::from_secs(3),
            blocked: Duration::from_secs(10),
            queue_messages: 64,
            queue_bytes: 256 << 10,
            connections_per_address: 64,
            connections: 900, // of the 1024 files that are a common default; `with_open_files` knows better
            accepts_per_second: 2000,
            accept_burst: 4000,
            farewell: Duration::from_secs(2),
            lame_duck: Duration::ZERO,
            stop_grace: Duration::from_secs(3),
        }
    }
}

impl ServerLimits {
    /// Raises the process's limit of open files as far as is allowed, and takes 95 % of it as the limit of connections,
    /// or less where so few remain that the process itself needs them.
    pub fn with_open_files(self) -> Self {
        match open_files() {
            Some(files) => Self { connections: connections(files), ..self },
            None => self,
        }
    }
}

/// The connections that so many files leave room for, one at least.
fn connections(files: u64) -> usize {
    let kept = OWN_FILES.max(files / 20);
    usize::try_from(files.saturating_sub(kept).max(1)).unwrap_or(usize::MAX)
}

#[cfg(unix)]
fn open_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No more than a million: some kernels say 2^30, and nothing here is made for that.
    let wanted = maximum.unwrap_or(u64::MAX).min(1 << 20).max(current.unwrap_or(0));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    if raised { Some(wanted) } else { current }
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_for_the_process_itself() {
        for (files, most) in [(0, 1), (64, 1), (128, 64), (1024, 960), (20_000, 19_000), (1 << 20, 996_148)] {
            assert_eq!(connections(files), most, "{files}");
        }
    }
}
