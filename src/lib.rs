//! Swarmreel's core: a streaming BitTorrent peer without IO, clock or threads.
#![forbid(unsafe_code)]

pub mod bencode;
pub mod engine;
pub mod hash;
pub mod ids;
pub mod magnet;
pub mod media;
pub mod metainfo;
pub mod names;
pub mod rng;
pub mod time;
