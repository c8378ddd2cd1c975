//! An open-loop load generator for WebTorrent trackers: thousands of WebSocket peers on one thread that announce on
//! time, however slow the server is, and answer every offer at once.
//!
//! Invariant: every latency counts from the moment a message was *meant* to leave, which travels inside the message
//! (in the offer's id, in the answer's SDP). A server that stalls therefore can't hide it by making the generator wait.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

pub mod arrivals;
pub mod figures;
pub mod fleet;
mod frame;
mod link;
mod message;
pub mod process;
pub mod scenario;
mod sdp;
pub mod target;
