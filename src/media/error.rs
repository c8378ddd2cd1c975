//! Why a file can't be played.
//!
//! Invariant: every one of these is about the file or the browser, never about the network: it will not go away by
//! waiting, and the file can still be saved.

use std::fmt;

/// Why a file can't be played. `Display` is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaError {
    /// None of the tracks can be played by this browser. Holds the codecs' names, as in `Track::codec`.
    UnsupportedCodec(Vec<String>),
    /// The file is of a kind that is not played here. Holds its name for a person, where it is recognised: `AVI`.
    UnsupportedContainer(Option<&'static str>),
    /// The file contradicts its own format. Holds what is wrong: `a box is larger than its parent`.
    Broken(&'static str),
}

impl MediaError {
    /// For programs: `unsupported-codec`, `unsupported-container` or `broken-media`.
    pub fn code(&self) -> &'static str {
        match self {
            MediaError::UnsupportedCodec(_) => "unsupported-codec",
            MediaError::UnsupportedContainer(_) => "unsupported-container",
            MediaError::Broken(_) => "broken-media",
        }
    }
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MediaError::UnsupportedCodec(codecs) if codecs.is_empty() => {
                f.write_str("This file has no video or audio to play.")
            }
            MediaError::UnsupportedCodec(codecs) => {
                write!(f, "This browser can't play {}. The file can still be saved.", codecs.join(" or "))
            }
            MediaError::UnsupportedContainer(Some(name)) => {
                write!(f, "{name} files can't be played in the browser. The file can still be saved.")
            }
            MediaError::UnsupportedContainer(None) => {
                f.write_str("This doesn't look like a video or audio file that can be played. It can still be saved.")
            }
            MediaError::Broken(what) => {
                write!(f, "This media file is damaged: {what}. It can still be saved.")
            }
        }
    }
}

impl std::error::Error for MediaError {}
