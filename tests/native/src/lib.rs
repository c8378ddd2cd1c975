//! The engine on a machine without a browser: links are TCP connections, the store is memory, signalling is made up.
//!
//! Invariant: this is a driver like the page's worker. It moves bytes and facts, and knows nothing of the wire protocol.
//!
//! TCP is where BitTorrent without WebRTC lives, so any native client can be the other side ([`Peer::dial`], or the
//! other way round: [`Peer::address`]). The engine only knows WebRTC. It is told that a tracker relayed an offer, whose
//! session description names a TCP address as its candidate ([`sdp`]); its answer then opens the connection.

mod link;
mod peer;
pub mod sdp;
mod store;

pub use link::Transcript;
pub use peer::Peer;
