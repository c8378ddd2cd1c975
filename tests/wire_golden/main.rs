//! The wire protocol held to exact bytes: one test for each hazard of protocol.md §3 and pitfall of §7 that concerns it,
//! and for the rows P1 to P6 of the threat model. Bytes are those of protocol.md §3.12, in hex.

mod extensions;
mod hostile;
mod messages;
mod order;
mod rig;
mod slots;
