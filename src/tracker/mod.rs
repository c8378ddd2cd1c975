//! The WebTorrent tracker protocol.
//!
//! Invariant: nothing here opens a socket; a tracker is text in, text out.

mod allowance;
pub mod farewell;
pub mod message;
pub mod sdp;
pub mod session;
