//! The simulated world: whole swarms of engines, with the real tracker, in one seeded process and virtual time.
//!
//! A [`plan::Plan`] says who joins, over what network, with what disk and what bad habits. [`world::run`] makes it
//! come true: an event queue ([`queue`]) carries facts to engines ([`node`]) and what they do to the network
//! ([`net`]), the trackers ([`signal`]), disks ([`store`]) and screens ([`screen`]); villains ([`villain`]) tamper
//! with their own bytes, and the plan's faults happen. The [`oracle`] compares what honest peers do with the original content, at every step.
//!
//! Invariant: a run follows from its plan alone. Same plan, same [`trace`].

pub mod chance;
pub mod content;
pub mod fact;
pub mod figures;
pub mod film;
pub mod frames;
pub mod net;
pub mod node;
pub mod oracle;
pub mod plan;
pub mod queue;
pub mod screen;
pub mod sdp;
pub mod signal;
pub mod store;
pub mod trace;
pub mod villain;
pub mod web;
pub mod world;
