//! A WebTorrent tracker, and the server that puts it and the Swarmreel site on one port.
//!
//! [`Tracker`] decides everything about swarms and knows no socket and no clock: the simulator runs the same one. With
//! the feature `server` (the default) the module `server` wraps it in tokio, and the binary wraps that in flags.
#![forbid(unsafe_code)]

pub mod cluster;
#[cfg(feature = "server")]
pub mod server;
mod tracker;

pub use tracker::{Access, ConnId, InfoHashes, Output, Stats, Tracker, TrackerLimits};
