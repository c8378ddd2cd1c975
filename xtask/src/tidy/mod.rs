//! The rules of the house that no compiler knows (docs/ARCHITECTURE.md), checked on the text of every source file.
//!
//! Invariant: a rule looks at one file's path and text and nothing else, so each is shown by a test of two lines.

mod code;
mod layers;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::root;

/// A file longer than this has more than one purpose.
const LINES_MAX: usize = 600;
/// Folders that hold nothing of ours.
const FOREIGN: [&str; 5] = ["target", "node_modules", ".git", "artifacts", "corpus"];

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Counted from 1.
    line: usize,
    message: String,
}

/// Checks every file; prints what is wrong.
pub(crate) fn run() -> Result<()> {
    let (mut files, mut wrong) = (0, 0);
    for path in sources(root())? {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&path).with_context(|| format!("{name} can't be read"))?;
        files += 1;
        for Finding { line, message } in findings(&name, &text) {
            println!("{name}:{line}: {message}");
            wrong += 1;
        }
    }
    println!("tidy: {files} files, {wrong} findings");
    if wrong > 0 {
        bail!("{wrong} findings, see above.");
    }
    Ok(())
}

/// Every source file below a folder, in order.
pub(crate) fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !FOREIGN.contains(&&*name) {
            found.extend(sources(&path)?);
        } else if Language::of(&name).is_some() && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[derive(Clone, Copy, PartialEq)]
enum Language {
    Rust,
    Script,
    Style,
    Page,
}

impl Language {
    fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "rs" => Some(Self::Rust),
            "js" | "mjs" | "ts" => Some(Self::Script),
            "css" => Some(Self::Style),
            "html" => Some(Self::Page),
            _ => None,
        }
    }
}

fn findings(name: &str, text: &str) -> Vec<Finding> {
    let Some(language) = Language::of(name) else { return Vec::new() };
    let mut found: Vec<Finding> = header(language, text).into_iter().chain(length(text)).collect();
    match language {
        Language::Rust => {
            found.extend(unfinished(text));
            if let Some(module) = name.strip_prefix("src/") {
                found.extend(layers::findings(module, text));
                found.extend(impure(text));
            }
        }
        _ if name.starts_with("www/") => found.extend(unsafe_page(language, text)),
        _ => {}
    }
    found
}

/// A file opens by saying what it is for.
fn header(language: Language, text: &str) -> Option<Finding> {
    let openings: &[&str] = match language {
        Language::Rust => &["//!"],
        Language::Script => &["//", "/*", "#!"],
        Language::Style => &["/*"],
        Language::Page => &["<!doctype html>"],
    };
    let first = text.lines().next().unwrap_or_default().to_lowercase();
    let is_opened = openings.iter().any(|opening| first.starts_with(opening));
    (!is_opened).then(|| Finding { line: 1, message: format!("the file opens without “{}”", openings[0]) })
}

fn length(text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| Finding { line: LINES_MAX, message: format!("{lines} lines: split the file") })
}

/// Nothing is left half done, and no test is switched off without a reason.
fn unfinished(text: &str) -> Vec<Finding> {
    let message = |line: &str| {
        let line = line.trim();
        ["todo!", "unimplemented!"]
            .iter()
            .find(|mark| line.contains(&format!("{mark}(")))
            .map(|mark| format!("“{mark}”: finish it"))
            .or_else(|| (line == "#[ignore]").then(|| "say why: #[ignore = \"…\"]".to_owned()))
    };
    code::lines(text).filter_map(|(line, code)| Some(Finding { line, message: message(&code)? })).collect()
}

/// The core has no dynamic dispatch, no tasks and no shared state, so that it stays deterministic (docs/ARCHITECTURE.md).
fn impure(text: &str) -> Vec<Finding> {
    const BANNED: [&str; 7] = ["dyn", "async", "Rc", "Arc", "RefCell", "Mutex", "unsafe"];
    let words = |(line, code): (usize, String)| {
        let found = code::words(&code).find(|word| BANNED.contains(word)).map(str::to_owned);
        found.map(|word| Finding { line, message: format!("“{word}” has no place in the core") })
    };
    code::lines(text).filter_map(words).collect()
}

/// Text never becomes markup, and nothing is loaded from elsewhere.
fn unsafe_page(language: Language, text: &str) -> Vec<Finding> {
    const MARKUP: [&str; 5] = ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("];
    let message = |code: &str| {
        let markup = MARKUP.iter().find(|name| language == Language::Script && code.contains(*name));
        let outside = || code::outside_url(code).map(|url| format!("“{url}” lies outside"));
        markup.map(|name| format!("“{name}” makes markup of text: use textContent")).or_else(outside)
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !code::is_comment(line));
    lines.filter_map(|(index, line)| Some(Finding { line: index + 1, message: message(line)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    /// The lines at which a file breaks a rule.
    fn lines(name: &str, text: &str) -> Vec<usize> {
        findings(name, text).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(lines("tests/a.rs", "fn main() {}"), [1]);
        assert_eq!(lines("tests/a.rs", "//! A test.\n"), NONE);
        assert_eq!(lines("tests/browser/a.mjs", "import x"), [1]);
        assert_eq!(lines("www/js/a.js", "// The page.\n"), NONE);
        assert_eq!(lines("www/app.css", "body {}"), [1]);
        assert_eq!(lines("www/index.html", "<!DOCTYPE html>\n<p>"), NONE);
        assert_eq!(lines("README.md", "anything"), NONE);
    }

    #[test]
    fn long_files_are_split() {
        assert_eq!(lines("tests/a.rs", &format!("//! x\n{}", "\n".repeat(LINES_MAX))), [LINES_MAX]);
    }

    #[test]
    fn nothing_is_half_done() {
        let text = "//! x\nfn f() { todo!() }\n// todo!(later)\n#[ignore]\n#[ignore = \"slow\"]\n\"todo!()\";\n";
        assert_eq!(lines("tests/a.rs", text), [2, 4]);
    }

    #[test]
    fn the_core_is_pure() {
        let text = "//! dyn\nfn f(x: &dyn A) {}\nuse std::rc::Rc;\nlet dynamic = \"async Mutex\"; // Rc\nunsafe {}\n";
        assert_eq!(lines("src/ids.rs", text), [2, 3, 5]);
        assert_eq!(lines("www/src/lib.rs", text), NONE);
    }

    #[test]
    fn the_page_takes_text_as_text_and_loads_only_its_own() {
        let text = "// see https://a.test\nx.innerHTML = y;\nimport \"https://b.test/x.js\";\nx = \"http://\";\n\
                    ns = \"http://www.w3.org/2000/svg\";\n";
        assert_eq!(lines("www/js/a.js", text), [2, 3]);
        assert_eq!(lines("www/index.html", "<!doctype html>\n<script src=\"//cdn.test/x.js\">\n"), [2]);
        assert_eq!(lines("tests/browser/a.mjs", "// x\nx.innerHTML = \"https://a.test\";\n"), NONE);
    }
}
