//! A node's link to a real Redis, and what it gives the shards.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarmreel::ids::{InfoHash, PeerId};
use swarmreel_signaling::cluster::message::{Envelope, Message};
use swarmreel_signaling::cluster::redis::{ClusterOptions, Link};
use swarmreel_signaling::cluster::registry::{Claim, Input, Output, Sync, Synced};
use swarmreel_signaling::cluster::{ClusterLimits, Count, NodeId};
use tokio::sync::mpsc;
use tokio::time::timeout;

pub(crate) const HASH: InfoHash = InfoHash([7; 20]);
/// For what must happen, on a machine however busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) link: Link,
    inputs: mpsc::UnboundedReceiver<Input>,
    pub(crate) id: NodeId,
}

impl Node {
    /// A link that is up.
    pub(crate) async fn start(url: &str) -> Self {
        Self::with(url, ClusterLimits::default()).await
    }

    pub(crate) async fn with(url: &str, limits: ClusterLimits) -> Self {
        Self::of(ClusterOptions { limits, ..options(url) }).await
    }

    pub(crate) async fn of(options: ClusterOptions) -> Self {
        let (sender, inputs) = mpsc::unbounded_channel();
        let link = Link::start(options, move |input| sender.send(input).is_ok()).unwrap();
        let mut node = Self { link, inputs, id: NodeId(0) };
        node.up().await;
        node
    }

    pub(crate) async fn next(&mut self) -> Input {
        timeout(PATIENCE, self.inputs.recv()).await.expect("something happens").expect("the link lives")
    }

    /// The first that is wanted; others are passed over.
    pub(crate) async fn wait<T>(&mut self, wanted: impl Fn(Input) -> Option<T>) -> T {
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < PATIENCE, "it never came");
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// Waits until the link is up; who lives.
    pub(crate) async fn up(&mut self) -> Arc<[NodeId]> {
        let up = |input| if let Input::Up { node, live } = input { Some((node, live)) } else { None };
        let (node, live) = self.wait(up).await;
        self.id = node;
        live
    }

    pub(crate) async fn down(&mut self) {
        self.wait(|input| (input == Input::Down).then_some(())).await;
    }

    pub(crate) async fn table(&mut self) -> Arc<[NodeId]> {
        self.link.sender().send(Output::Table);
        self.wait(|input| if let Input::Nodes(live) = input { Some(live) } else { None }).await
    }

    pub(crate) async fn sync(&mut self, sync: Sync) -> Synced {
        self.link.sender().send(Output::Sync(sync));
        self.wait(|input| if let Input::Synced(synced) = input { Some(synced) } else { None }).await
    }

    pub(crate) async fn received(&mut self) -> Envelope {
        self.wait(|input| if let Input::Received(envelope) = input { Some(envelope) } else { None }).await
    }

    pub(crate) fn says(&self, to: NodeId, message: Message) -> Envelope {
        let envelope = Envelope { sender: self.id, info_hash: HASH, message };
        self.link.sender().send(Output::Publish { to, envelope: envelope.clone() });
        envelope
    }
}

pub(crate) fn options(url: &str) -> ClusterOptions {
    let (address, prefix, node_name) = (url.parse().unwrap(), "test".to_owned(), "a node".to_owned());
    ClusterOptions { address, ca: None, prefix, node_name, limits: ClusterLimits::default() }
}

pub(crate) fn peer(name: u8) -> PeerId {
    PeerId([name; 20])
}

pub(crate) fn claim(peer_id: PeerId, from: Option<NodeId>) -> Claim {
    Claim { peer_id, from, age: Duration::ZERO }
}

pub(crate) fn nothing(info_hash: InfoHash) -> Sync {
    Sync { info_hash, serial: 1, count: Count::NONE, claims: vec![], discards: vec![], forgets: vec![] }
}

pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
