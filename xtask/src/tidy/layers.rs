//! Who may import whom inside the core: a module knows only lower layers (docs/ARCHITECTURE.md).

use super::{Finding, code};

/// The core's modules, lowest layer first. `lib` may name them all.
const LAYERS: [&[&str]; 7] = [
    &["ids", "time", "hash", "limits"],
    &["rng", "bencode", "geometry", "names"],
    &["magnet", "wire", "tracker::message", "media"],
    &["metainfo", "pieces", "tracker"],
    &["picker", "choker", "peer", "input", "output"],
    &["torrent"],
    &["engine"],
];

/// Imports that go up or sideways. `file` is the path below `src/`.
pub(super) fn findings(file: &str, text: &str) -> Vec<Finding> {
    let path: Vec<&str> = file.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    if path == ["lib"] {
        return Vec::new();
    }
    let Some((own, own_layer)) = layer(&path) else {
        return vec![Finding { line: 1, message: "the module has no layer: give it one in xtask/src/tidy".to_owned() }];
    };
    let mut found = Vec::new();
    // What a module's own tests import is their business.
    for (line, code) in code::lines(text).take_while(|(_, code)| code.trim() != "#[cfg(test)]") {
        for import in imports(&code) {
            let allowed = layer(&import).is_none_or(|(name, layer)| name == own || layer < own_layer);
            if !allowed {
                found.push(Finding { line, message: format!("“{own}” must not know “{}”", import.join("::")) });
            }
        }
    }
    found
}

/// The module a path leads into, and its layer; the longest name counts.
fn layer(path: &[&str]) -> Option<(&'static str, usize)> {
    let find = |name: &str| {
        let layer = LAYERS.iter().position(|layer| layer.contains(&name))?;
        LAYERS[layer].iter().find(|known| **known == name).map(|known| (*known, layer))
    };
    let (first, rest) = path.split_first()?;
    rest.first().and_then(|second| find(&format!("{first}::{second}"))).or_else(|| find(first))
}

/// The paths below `crate::` on a line; of `crate::{a, b::c}` each.
fn imports(code: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(split_group(group).into_iter().map(path)),
            None => found.push(path(rest)),
        }
    }
    found
}

/// The parts of `a, b::{c, d}, e}` at the outermost level.
fn split_group(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn path(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(text.len());
    text[..end].split("::").filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(file: &str, text: &str) -> Vec<String> {
        findings(file, text).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_module_knows_only_lower_layers() {
        assert_eq!(messages("magnet.rs", "use crate::ids::InfoHash;"), [""; 0]);
        assert_eq!(messages("magnet.rs", "use crate::wire;"), ["“magnet” must not know “wire”"]);
        assert_eq!(messages("wire/decode.rs", "use crate::wire::Message;"), [""; 0]);
        assert_eq!(
            messages("pieces/mod.rs", "use crate::{ids, torrent::{A, B}, geometry::{C, D}, peer};"),
            ["“pieces” must not know “torrent”", "“pieces” must not know “peer”"]
        );
        assert_eq!(messages("ids.rs", "fn f(_: crate::engine::Engine) {}").len(), 1);
    }

    #[test]
    fn a_part_may_lie_lower_than_its_module() {
        assert_eq!(messages("tracker/mod.rs", "use crate::tracker::message::Event;"), [""; 0]);
        assert_eq!(messages("tracker/message/read.rs", "use crate::tracker::Session;").len(), 1);
        assert_eq!(messages("tracker/session.rs", "use crate::tracker::message::Event;"), [""; 0]);
    }

    #[test]
    fn comments_tests_and_the_root_are_free() {
        assert_eq!(
            messages("ids.rs", "// use crate::engine;\n#[cfg(test)]\nmod tests { use crate::engine; }"),
            [""; 0]
        );
        assert_eq!(messages("lib.rs", "pub use crate::engine::Engine;"), [""; 0]);
        assert_eq!(messages("novel.rs", "").len(), 1);
    }
}
