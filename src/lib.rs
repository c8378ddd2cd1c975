//! Swarmreel's core: a streaming BitTorrent peer without IO, clock, threads or unsafe code.
//!
//! # The run loop
//!
//! The core is one [`engine::Engine`]. A driver (the worker in a page, the simulator, a test) owns the sockets, the data
//! channels, the disk and the player, and does this for ever:
//!
//! 1. Something happened: it says so with [`engine::Engine::handle`] (a fact, which cannot fail) or
//!    [`engine::Engine::command`] (a user's wish, which can be refused). Time is an argument of both.
//! 2. It drains [`engine::Engine::poll`] until `None`, and carries out each [`output::Action`] in order. What
//!    an action brings, at once or later, is the next input.
//! 3. It sleeps until the next event, or until [`engine::Engine::wake_at`], and then says [`input::Input::Wake`].
//!
//! Nothing else goes in or out, so that the same seed and inputs give the same outputs on every platform: a whole swarm
//! runs in one process under virtual time (`tests/sim`), and a fault found there is found again by its seed.
//!
//! # The layers
//!
//! A module imports only modules above it in this list; `cargo xtask tidy` checks that.
//!
//! | layer | modules | what they know |
//! |---|---|---|
//! | 0 | [`ids`] [`time`] [`hash`] [`limits`] | names, moments, digests, numbers |
//! | 1 | [`rng`] [`bencode`] [`geometry`] [`names`] | chance, encodings, arithmetic |
//! | 2 | [`magnet`] [`wire`] [`tracker::message`] [`media`] | formats on bytes |
//! | 3 | [`metainfo`] [`pieces`] [`tracker`] | torrents; what we have and what is asked; our side of a tracker |
//! | 4 | [`picker`] [`choker`] [`peer`] [`input`] [`output`] | which block next, and to whom; one connected peer; what goes in and out |
//! | 5 | [`torrent`] | one swarm |
//! | 6 | [`engine`] | everything together |
#![forbid(unsafe_code)]

pub mod bencode;
pub mod choker;
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
