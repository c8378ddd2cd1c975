//! A WebTorrent tracker, and the server that puts it and the Swarmreel site on one port.
//!
//! [`Tracker`] decides everything about swarms and knows no socket and no clock: the simulator runs the same one. It is
//! made of a [`Desk`], which has connections, and of [`Shard`]s, which have swarms. With the feature `server` (the
//! default) the module `server` wraps them in tokio, and the binary wraps that in flags.
#![forbid(unsafe_code)]

mod bucket;
pub mod cluster;
#[cfg(feature = "server")]
pub mod server;
mod tracker;
pub mod websocket;

pub use tracker::{
    Access, Announce, Answer, Asker, ConnId, Counters, Delivery, Desk, Households, Incoming, InfoHashes, Leave,
    Network, Offer, Output, Refusal, Request, Scrape, Sdp, Shard, ShardOutput, Spread, Stats, Tracker, TrackerLimits,
    Withheld,
};
