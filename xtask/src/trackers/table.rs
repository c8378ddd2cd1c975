//! The figures side by side, for people.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::contestant::NAMES;

/// Name and place of each figure.
const ROWS: [(&str, &str); 23] = [
    ("announces/s", "/load/traffic/announces_per_second"),
    ("offers relayed/s", "/load/traffic/offers_relayed_per_second"),
    ("answers relayed/s", "/load/traffic/answers_relayed_per_second"),
    ("announces responded to", "/load/completion"),
    ("announce → response p50 ms", "/load/latency/announce_to_response/p50_ms"),
    ("announce → response p99 ms", "/load/latency/announce_to_response/p99_ms"),
    ("announce → response p99.9 ms", "/load/latency/announce_to_response/p999_ms"),
    ("announce → offer p99 ms", "/load/latency/announce_to_offer/p99_ms"),
    ("announce → offer p99.9 ms", "/load/latency/announce_to_offer/p999_ms"),
    ("answer → answer p99 ms", "/load/latency/answer_to_answer/p99_ms"),
    ("answer → answer p99.9 ms", "/load/latency/answer_to_answer/p999_ms"),
    ("CPU µs/message", "/load/server/cpu_us_per_message"),
    ("CPU µs/announce with all it leads to", "/load/server/cpu_us_per_announce"),
    ("generator µs/message", "/load/generator/cpu_us_per_message"),
    ("bytes/connection, idle", "/memory/idle_bytes_per_connection"),
    ("bytes/connection, announced", "/memory/announced_bytes_per_connection"),
    ("bytes/connection, after leaving", "/memory/left_bytes_per_connection"),
    ("flood: growth MB", "/flood/growth_mb"),
    ("saturation: announces/s", "/saturation/best/traffic/announces_per_second"),
    ("saturation: offers relayed/s", "/saturation/best/traffic/offers_relayed_per_second"),
    ("saturation: answers relayed/s", "/saturation/best/traffic/answers_relayed_per_second"),
    ("saturation: CPU µs/message", "/saturation/best/server/cpu_us_per_message"),
    ("saturation: the generator's limit", "/saturation/generator_was_bottleneck"),
];

/// One line a figure, one column a server, ours first; figures that nobody has are left out.
pub(super) fn render(report: &Map<String, Value>) -> String {
    let mut text = format!("{:37}", "");
    let servers: Vec<_> = NAMES.into_iter().filter_map(|name| Some((name, report.get(name)?))).collect();
    for (name, _) in &servers {
        _ = write!(text, "{name:>20}");
    }
    text.push('\n');
    for (name, place) in ROWS {
        let cells: Vec<_> = servers.iter().map(|(_, server)| server.pointer(place)).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        _ = write!(text, "{name:37}");
        for cell in cells {
            _ = write!(text, "{:>20}", cell.map_or("–".to_owned(), shown));
        }
        text.push('\n');
    }
    text
}

fn shown(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() != 0.0 => format!("{number:.2}"),
        Some(number) => format!("{number}"),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_stand_side_by_side() {
        let load = |rate: f64| json!({ "load": { "traffic": { "announces_per_second": rate }, "completion": 0.987 } });
        let report =
            Map::from_iter([(NAMES[1].to_owned(), json!({ "load": "failed" })), (NAMES[0].to_owned(), load(800.0))]);
        let text = render(&report);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines,
            [NAMES[..2].to_vec(), vec!["announces/s", "800", "–"], vec!["announces", "responded", "to", "0.99", "–"]]
        );
    }
}
