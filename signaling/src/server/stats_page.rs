//! The tracker in numbers, for people: `/stats`.
//!
//! Invariant: the page has no script, and every text in it is escaped, wherever it comes from (threat-model S19).

use std::fmt::Write as _;
use std::time::Duration;

use crate::Stats;

/// The style sheet, at `/stats.css`: the content security policy allows none in the page. The colours are the site's, which
/// may not be served.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif;
  color: light-dark(#1c2522, #edf1ec); background: light-dark(#f6f2e9, #0f1514) }
body { max-width: 30rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 }
table { width: 100%; border-spacing: 0; margin: 1.25rem 0; padding: 0.5rem 1.25rem 0.75rem; border-radius: 14px;
  background: light-dark(#fffdf8, #18211f); border: 1px solid light-dark(#ddd4c1, #2a3734) }
caption { text-align: start; font-weight: 600; padding: 0 0 0.5rem }
th { font-weight: normal; text-align: start; overflow-wrap: anywhere }
td { text-align: end; font-variant-numeric: tabular-nums }
th, td { padding: 0.3rem 0 }
tr + tr > * { border-top: 1px solid light-dark(#ece6d8, #2a3734) }
p { color: light-dark(#5b6862, #9bada6) }
a { color: light-dark(#17725f, #62cdb4) }
";

/// The page.
pub(super) fn html(stats: &Stats, uptime: Duration) -> String {
    let counts = [
        ("Torrents", stats.torrents),
        ("Peers", stats.peers_all),
        ("Seeders", stats.peers_seeder_only),
        ("Leechers", stats.peers_leecher_only),
        ("Seeding some, leeching some", stats.peers_seeder_and_leecher),
        ("Over IPv4", stats.peers_ipv4),
        ("Over IPv6", stats.peers_ipv6),
    ];
    let clients = stats.clients.iter().flat_map(|(name, versions)| {
        versions.iter().map(move |(version, count)| (format!("{name} {version}"), *count))
    });
    let (hours, minutes) = (uptime.as_secs() / 3600, uptime.as_secs() / 60 % 60);
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Tracker statistics</title>\n\
         <meta name=viewport content=\"width=device-width\"><link rel=stylesheet href=/stats.css>\n\
         <h1>Tracker statistics</h1>\n{}{}<p>Swarmreel {}, up for {hours} h {minutes} min. \
         <a href=/stats.json>As JSON</a></p></html>\n",
        table("Now", counts.map(|(name, count)| (name.to_owned(), count))),
        table("Clients", clients),
        env!("CARGO_PKG_VERSION"),
    )
}

/// A table, if there is anything to put into it.
fn table(caption: &str, rows: impl IntoIterator<Item = (String, usize)>) -> String {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return String::new();
    }
    let mut table = format!("<table><caption>{}</caption>\n", escaped(caption));
    for (name, count) in rows {
        writeln!(table, "<tr><th scope=row>{}</th><td>{count}</td></tr>", escaped(name.trim()))
            .expect("a string takes all text");
    }
    table + "</table>\n"
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s19_all_text_is_escaped() {
        let mut stats = Stats { torrents: 3, peers_all: 4321, ..Stats::default() };
        let versions = [("0300".to_owned(), 2), ("<script>alert('&\"')</script>".to_owned(), 1)];
        stats.clients.insert("µTorrent", versions.into());
        let page = html(&stats, Duration::from_secs(3 * 3600 + 125));
        assert!(!page.contains("<script"), "{page}");
        assert!(!html(&Stats::default(), Duration::ZERO).contains("Clients"), "there are none");
        for part in [
            "<th scope=row>Torrents</th><td>3</td>",
            "<td>4321</td>",
            "<th scope=row>µTorrent 0300</th><td>2</td>",
            "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;",
            "up for 3 h 2 min",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
