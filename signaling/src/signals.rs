//! What the operator tells the process while it runs.
//!
//! Invariant: signals are received from the moment they are asked for, so that none is missed once somebody can know of
//! us.

use std::io;

/// SIGTERM and SIGINT (Ctrl-C), which ask the process to stop.
pub(crate) struct Terminations {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Terminations {
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signals: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?] })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Resolves when one comes.
    #[cfg(unix)]
    pub(crate) async fn received(&mut self) {
        let [terminate, interrupt] = &mut self.signals;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }

    /// Resolves when one comes.
    #[cfg(not(unix))]
    pub(crate) async fn received(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}

/// SIGHUP, which asks to read files again. Other systems have no such thing.
pub(crate) struct Hangup {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangup {
    #[cfg(unix)]
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { signal: signal(SignalKind::hangup())? })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Resolves when it comes.
    #[cfg(unix)]
    pub(crate) async fn received(&mut self) {
        if self.signal.recv().await.is_none() {
            std::future::pending().await
        }
    }

    /// Resolves never.
    #[cfg(not(unix))]
    pub(crate) async fn received(&mut self) {
        std::future::pending().await
    }
}
