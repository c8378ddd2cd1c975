//! The tracker in numbers, for people: `/stats`.
//!
//! Invariant: the page has no script, and every text in it is escaped, wherever it comes from (threat-model S19).

use std::fmt::Write as _;
use std::time::Duration;

use crate::Stats;

/// The style sheet, at `/stats.css`: the content security policy allows none in the page.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 30rem; margin: 2rem auto; padding: 0 1rem }
table { width: 100%; border-collapse: collapse }
caption { text-align: start; font-weight: 600; padding-top: 1rem }
th { font-weight: normal; text-align: start }
td { text-align: end; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: 0.2rem 0 }
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

fn table(caption: &str, rows: impl IntoIterator<Item = (String, usize)>) -> String {
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
