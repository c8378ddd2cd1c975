//! Files that may change while the server runs: the certificate and the access list.
//!
//! Invariant: they are read where no connection waits for it, and what cannot be read leaves the old contents in force.

use std::sync::Arc;
use std::time::Duration;

use swarmreel_signaling::server::{AccessError, AccessList, Tls};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::signals::Hangup;

/// Between two looks at whether the access list has changed.
const LOOK: Duration = Duration::from_secs(5);

/// What is read again.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) access: Option<Arc<AccessList>>,
}

/// Reads all of it when asked to, and the access list besides when its file has changed; never ends. A certificate is
/// two files, which are only known to belong together when the operator says so.
pub(crate) async fn follow(files: Files, mut hangup: Hangup) {
    loop {
        let asked = tokio::select! {
            () = hangup.received() => true,
            () = sleep(LOOK) => false,
        };
        let files = files.clone();
        // It does not panic, and there is nobody to tell if it did.
        let _ = spawn_blocking(move || if asked { files.reload() } else { files.look() }).await;
    }
}

impl Files {
    fn reload(&self) {
        match self.tls.as_ref().map(|tls| tls.reload()) {
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => tracing::error!("{error}; the old certificate stays"),
            None => {}
        }
        tell(self.access.as_ref().map(|access| access.reload()));
    }

    fn look(&self) {
        tell(self.access.as_ref().and_then(|access| access.reload_if_changed()));
    }
}

fn tell(outcome: Option<Result<usize, AccessError>>) {
    match outcome {
        Some(Ok(count)) => tracing::info!(count, "the access list was read again"),
        Some(Err(error)) => tracing::error!("{error}; the old access list stays"),
        None => {}
    }
}
