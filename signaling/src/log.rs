//! What the process tells its operator, on stderr.
//!
//! Invariant: only our own lines are written, whatever libraries have to say; from info up those name no address, no
//! torrent and no peer, and at no level a session description (threat-model V3).

use std::io::{IsTerminal, stderr};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::LogFormat;

/// Starts logging, once in the life of the process.
pub(crate) fn start(level: Level, format: LogFormat) {
    let ours = Targets::new().with_target("swarmreel_signaling", level);
    let lines = fmt::layer().with_writer(stderr).with_target(false);
    match format {
        LogFormat::Text => registry().with(lines.with_ansi(stderr().is_terminal()).with_filter(ours)).init(),
        LogFormat::Json => registry().with(lines.json().flatten_event(true).with_filter(ours)).init(),
    }
}
