//! The way from the cluster's link to the workers.
//!
//! Invariant: what a shard waits for always has room; messages of other nodes, which may be lost, leave that room free.

use std::io;

use tokio::sync::mpsc;

use crate::Spread;
use crate::cluster::redis::{ClusterOptions, Link};
use crate::cluster::registry::Input;

/// Inputs that wait for a worker: what it asked for itself is much less.
const INPUTS_MAX: usize = 8192;
/// Room that messages of other nodes leave.
const INPUTS_FREE: usize = 2048;

/// Starts the link, if there is a cluster, and gives each worker what is for its swarms.
pub(super) fn start(
    options: Option<&ClusterOptions>,
    spread: Spread,
) -> io::Result<(Option<Link>, Vec<mpsc::Receiver<Input>>)> {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..spread.count()).map(|_| mpsc::channel(INPUTS_MAX)).unzip();
    let start = |options: &ClusterOptions| Link::start(options.clone(), move |input| deliver(&senders, spread, input));
    Ok((options.map(start).transpose()?, receivers))
}

fn deliver(workers: &[mpsc::Sender<Input>], spread: Spread, input: Input) -> bool {
    let (info_hash, is_message) = match &input {
        Input::Synced(synced) => (synced.info_hash, false),
        Input::Unsynced { info_hash, .. } => (*info_hash, false),
        Input::Received(envelope) => (envelope.info_hash, true),
        Input::Up { .. } | Input::Down | Input::Nodes(_) => {
            // All hear it, also when one of them does not listen any more.
            return workers.iter().filter(|worker| worker.try_send(input.clone()).is_err()).count() == 0;
        }
    };
    let worker = &workers[spread.shard_of(&info_hash)];
    (!is_message || worker.capacity() > INPUTS_FREE) && worker.try_send(input).is_ok()
}
