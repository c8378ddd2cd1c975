//! Bencode (BEP 3): a bounded reader that borrows, and a writer that sorts.
//!
//! Invariant: a [`Value`] spans exactly one well-formed value, so looking into it can't fail or run past its end,
//! and [`Value::raw`] gives the bytes a hash is taken over, as they came.

mod reader;
mod writer;

pub use reader::{DEPTH_MAX, DecodeError, Entries, Items, Reason, TOKENS_MAX, Value, decode, decode_prefix};
pub use writer::{Encoded, bytes, dict, int, list, text};
