//! Swarmreel's core: a streaming BitTorrent peer without IO, clock or threads.
#![forbid(unsafe_code)]

pub mod engine;
pub mod hash;
pub mod ids;
pub mod media;
pub mod metainfo;
pub mod rng;
pub mod time;
pub mod tracker;
