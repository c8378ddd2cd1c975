//! Just enough of a lexer to tell code from comments and strings, line by line.

/// The lines of a Rust file without comments and string contents, with their numbers from 1. Strings and comments
/// that span lines are not followed: rules look at words that only code has.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, strip(line)))
}

fn strip(line: &str) -> String {
    let (mut code, mut in_string) = (String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if in_string => drop(rest.next()),
            '"' => in_string = !in_string,
            '\'' if !in_string && rest.peek() == Some(&'"') => drop(rest.next()),
            '/' if !in_string && rest.peek() == Some(&'/') => break,
            _ if in_string => {}
            c => code.push(c),
        }
    }
    code
}

/// Identifiers and keywords.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether a line of a script, style sheet or page is only a comment.
pub(super) fn is_comment(line: &str) -> bool {
    ["//", "/*", "*", "<!--"].iter().any(|mark| line.trim_start().starts_with(mark))
}

/// A URL of another host. Namespaces of the W3C are names, and are never loaded.
pub(super) fn outside_url(line: &str) -> Option<&str> {
    let starts = ["https://", "http://", "\"//", "url(//"].iter().flat_map(|start| line.match_indices(start));
    let urls = starts.map(|(at, start)| {
        let rest = &line[at + start.len()..];
        let end = rest.find(['"', '\'', '`', ')', '<', ' ']).unwrap_or(rest.len());
        (&rest[..end], line[at..at + start.len() + end].trim_start_matches('"'))
    });
    let mut outside =
        urls.filter(|(host, _)| host.starts_with(|c: char| c.is_alphanumeric()) && !host.starts_with("www.w3.org/"));
    outside.next().map(|(_, url)| url)
}
