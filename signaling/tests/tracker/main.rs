//! The pure tracker: whom it introduces, and what it withstands. Tests named s1, s8, … are rows of the threat model.

mod grammar;
mod introductions;
mod limits;
mod names;
mod room;
mod sybil;
