//! The one coordinator: input, output, timers, routing, limits.
pub mod input;
pub mod output;
