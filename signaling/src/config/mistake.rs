//! What clap finds wrong, in one sentence.
//!
//! Invariant: the sentence names the option as its user wrote it, and ends with a full stop.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// `source` gives the name of an option where its value came from: a flag, a variable, a key.
pub(super) fn sentence(error: &clap::Error, source: &dyn Fn(&str) -> String) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        Some(ContextValue::Strings(texts)) => texts.first().map_or("", String::as_str),
        _ => "",
    };
    let argument = context(ContextKind::InvalidArg);
    // clap says `--max-per-ip <N>`.
    let flag = argument.split([' ', '=']).next().unwrap_or(argument);
    let value = context(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
            format!("There is no option {argument:?}; --help lists them.")
        }
        ErrorKind::InvalidValue | ErrorKind::NoEquals if value.is_empty() => format!("{flag} needs a value."),
        ErrorKind::ValueValidation => {
            let needed = error.source().map_or_else(|| "another value".to_owned(), ToString::to_string);
            format!("{} needs {needed}, not {value:?}.", source(flag))
        }
        ErrorKind::TooManyValues => format!("{flag} takes no value, but has {value:?}."),
        ErrorKind::InvalidUtf8 => "The command line is not UTF-8.".to_owned(),
        kind => format!("{}: {kind}.", source(flag)),
    }
}
