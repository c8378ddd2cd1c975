//! The pure tracker.
