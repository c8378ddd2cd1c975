//! Names from torrents, made safe to show and to save (protocol.md §4.3).
//!
//! Invariant: a sanitised component is non-empty, at most [`NAME_BYTES_MAX`] bytes of UTF-8, means the same on every
//! system, and can't leave its folder or reorder the text around it. Sanitising twice changes nothing.

use std::collections::BTreeMap;

/// The longest component, bytes of UTF-8: what common file systems take.
pub const NAME_BYTES_MAX: usize = 255;

/// Makes one path component safe; `None` if nothing of it is left.
pub fn sanitise(raw: &str) -> Option<String> {
    let replaced: String =
        raw.chars().filter(|&c| !is_hidden(c)).map(|c| if is_reserved(c) { '_' } else { c }).collect();
    let mut name = trim(&replaced).to_owned();
    if name.is_empty() {
        return None;
    }
    if is_device(&name) {
        name.insert(0, '_');
    }
    shorten(&mut name);
    Some(name)
}

/// Renames files whose path is taken by an earlier file or by a folder, ignoring case: `a.mp4` → `a (2).mp4`.
/// Every path needs at least one component; folders keep their names.
pub fn deduplicate<'a>(paths: impl Iterator<Item = &'a mut Vec<String>>) {
    let paths: Vec<_> = paths.collect();
    // How often each path has been given out; every original is listed first, so no new name can take one.
    let mut given: BTreeMap<Vec<String>, u32> = paths.iter().map(|path| (fold(path), 0)).collect();
    for path in paths {
        let key = fold(path);
        let is_folder = given.range(key.clone()..).nth(1).is_some_and(|(next, _)| next.starts_with(&key));
        let count = given.get_mut(&key).expect("every original is listed");
        if *count == 0 && !is_folder {
            *count = 1;
            continue;
        }
        let mut number = (*count).max(1);
        let (renamed, renamed_key) = loop {
            number += 1;
            let renamed = numbered(path, number);
            let renamed_key = fold(&renamed);
            if !is_taken(&given, &renamed_key) {
                break (renamed, renamed_key);
            }
        };
        given.insert(key, number);
        given.insert(renamed_key, 1);
        *path = renamed;
    }
}

/// A file's last component with ` (number)` before its extension.
fn numbered(path: &[String], number: u32) -> Vec<String> {
    let mut path = path.to_vec();
    let name = path.last_mut().expect("a path has a component");
    let (stem, extension) = split_extension(name);
    let suffix = format!(" ({number}){extension}");
    let room = NAME_BYTES_MAX.saturating_sub(suffix.len());
    *name = format!("{}{suffix}", cut(stem, room));
    path
}

fn is_taken(given: &BTreeMap<Vec<String>, u32>, key: &[String]) -> bool {
    given.range(key.to_owned()..).next().is_some_and(|(next, _)| next.starts_with(key))
}

fn fold(path: &[String]) -> Vec<String> {
    path.iter().map(|component| component.to_lowercase()).collect()
}

/// Control characters, and those that reorder text or take no room: a name must look like what it is. The joiners
/// U+200C and U+200D stay: Persian and emoji are written with them.
fn is_hidden(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    c.is_control() || invisible
}

fn is_reserved(c: char) -> bool {
    matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Without space around it, and without dots at its end (which makes `.` and `..` empty).
fn trim(name: &str) -> &str {
    name.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Names that Windows takes for devices, whatever their extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |prefix: &str| {
        let number = stem.strip_prefix(prefix).map(|rest| rest.chars().collect::<Vec<_>>());
        number.is_some_and(|rest| matches!(rest[..], ['0'..='9' | '¹' | '²' | '³']))
    };
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || numbered("COM") || numbered("LPT")
}

/// Cuts to [`NAME_BYTES_MAX`], keeping the extension: players go by it.
fn shorten(name: &mut String) {
    if name.len() > NAME_BYTES_MAX {
        let (stem, extension) = split_extension(name);
        let stem = trim(cut(stem, NAME_BYTES_MAX - extension.len()));
        *name = format!("{stem}{extension}");
    }
}

/// Stem and extension with its dot; an extension has at most 16 bytes.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= 16 => name.split_at(dot),
        _ => (name, ""),
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn components_are_made_safe() {
        for (raw, safe) in [
            ("film.mp4", Some("film.mp4")),
            ("Ünï – 片.webm", Some("Ünï – 片.webm")),
            ("", None),
            (".", None),
            ("..", None),
            ("  . . ", None),
            ("\0\u{1f}\u{202e}", None),
            ("../../etc/passwd", Some(".._.._etc_passwd")),
            ("C:\\x", Some("C__x")),
            ("end. ", Some("end")),
            (" .hidden", Some(".hidden")),
            ("gpj.\u{202e}exe", Some("gpj.exe")),
            ("con", Some("_con")),
            ("Nul.txt", Some("_Nul.txt")),
            ("COM¹.mp4", Some("_COM¹.mp4")),
            ("com10", Some("com10")),
            ("console", Some("console")),
        ] {
            assert_eq!(sanitise(raw).as_deref(), safe, "{raw:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = sanitise(&format!("{}.mp4", "片".repeat(200))).unwrap();
        assert!(name.len() <= NAME_BYTES_MAX && name.ends_with("片.mp4"));
        assert_eq!(sanitise(&"x".repeat(1000)).unwrap().len(), NAME_BYTES_MAX);
    }

    #[test]
    fn sanitising_twice_changes_nothing() {
        let alphabet: Vec<char> = " ._/\\:aA片\u{202e}\u{200d}\0COMNUL1é".chars().collect();
        let mut rng = Rng::new([3; 32]);
        for _ in 0..5000 {
            let length = rng.below(12) * rng.below(30);
            let raw: String = (0..length).map(|_| alphabet[rng.below(alphabet.len() as u64) as usize]).collect();
            if let Some(once) = sanitise(&raw) {
                assert_eq!(sanitise(&once), Some(once.clone()), "{raw:?}");
                assert!(!once.is_empty() && once.len() <= NAME_BYTES_MAX, "{raw:?}");
            }
        }
    }

    fn deduplicated(paths: &[&str]) -> Vec<String> {
        let mut paths: Vec<Vec<String>> =
            paths.iter().map(|path| path.split('/').map(str::to_owned).collect()).collect();
        deduplicate(paths.iter_mut());
        paths.iter().map(|path| path.join("/")).collect()
    }

    #[test]
    fn no_two_files_share_a_path() {
        assert_eq!(deduplicated(&["a.mp4", "A.MP4", "a.mp4"]), ["a.mp4", "A (2).MP4", "a (3).mp4"]);
        assert_eq!(deduplicated(&["a", "a (2)", "a"]), ["a", "a (2)", "a (3)"]);
        assert_eq!(deduplicated(&["x/a", "y/a"]), ["x/a", "y/a"]);
    }

    #[test]
    fn a_folder_keeps_its_name() {
        assert_eq!(deduplicated(&["a", "A/b", "a"]), ["a (2)", "A/b", "a (3)"]);
        assert_eq!(deduplicated(&["d", "d (2)/x", "D/y"]), ["d (3)", "d (2)/x", "D/y"]);
    }

    #[test]
    fn many_equal_names_take_no_longer_than_many_different_ones() {
        let mut paths = vec![vec!["same".to_owned()]; 20_000];
        deduplicate(paths.iter_mut());
        assert_eq!(paths[19_999], ["same (20000)"]);
    }
}
