//! Swarmreel's core: a streaming BitTorrent peer without IO, clock or threads.
#![forbid(unsafe_code)]

pub mod bencode;
pub mod engine;
pub mod geometry;
pub mod hash;
pub mod ids;
pub mod input;
pub mod limits;
pub mod magnet;
pub mod media;
pub mod metainfo;
pub mod names;
pub mod output;
pub mod peer;
pub mod picker;
pub mod pieces;
pub mod rng;
pub mod time;
pub mod torrent;
pub mod tracker;
pub mod wire;
