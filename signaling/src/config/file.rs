//! The TOML file: what it says takes the place of the options' defaults.
//!
//! Invariant: each line is checked just as a flag would be, and a mistake is named with its file and line.

use std::ops::Range;
use std::path::Path;

use clap::{ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{mistake, value};

/// The command line with the file's values for defaults.
pub(super) fn apply(path: &Path, mut command: Command) -> Result<Command, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name} cannot be read: {error}."))?;
    let at = |span: Range<usize>| format!("{name}, line {}", line(&text, span.start));
    let table = DeTable::parse(&text).map_err(|error| {
        let place = at(error.span().unwrap_or_default());
        format!("{place}: {}.", error.message().replace('\n', ", "))
    })?;
    for (key, value) in table.get_ref() {
        let place = at(key.span());
        let key: &str = key.get_ref();
        let id = option(&command, key).ok_or_else(|| format!("{place}: there is no option {key:?}."))?;
        let values = values(value).ok_or_else(|| format!("{place}: {key} needs a value or a list of values."))?;
        check(&command, key, &values).map_err(|sentence| format!("{place}: {sentence}"))?;
        command = command.mut_arg(id, |option| option.default_values(values));
    }
    Ok(command)
}

/// The identifier of an option that may stand in a file.
fn option(command: &Command, key: &str) -> Option<String> {
    let known = command.get_arguments().find(|option| option.get_long() == Some(key))?;
    let id = known.get_id().to_string();
    let only_a_flag = ["config", "check_config", "help", "version"].contains(&id.as_str());
    (!only_a_flag).then_some(id)
}

fn values(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect(),
        value => Some(vec![scalar(value)?]),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// Lets the option judge its values, as if they came as a flag; a switch has none as a flag.
fn check(command: &Command, key: &str, values: &[String]) -> Result<(), String> {
    let option = command.get_arguments().find(|option| option.get_long() == Some(key));
    let action = option.expect("the caller found it").get_action();
    match (action, values) {
        (ArgAction::SetTrue, [value]) => {
            value::truth(value).map(drop).map_err(|needed| format!("{key} needs {needed}."))
        }
        (ArgAction::Append, _) | (_, [_]) => {
            let flags = values.iter().map(|value| format!("--{key}={value}"));
            let judged = command.clone().try_get_matches_from(std::iter::once(String::new()).chain(flags));
            judged.map(drop).map_err(|error| mistake::sentence(&error, &|_| key.to_owned()))
        }
        _ => Err(format!("{key} needs one value.")),
    }
}

/// From 1, as editors count.
fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}
