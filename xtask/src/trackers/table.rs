//! The figures side by side, for people: ours first, then its ratio to the better of the others, the bar, and whether it is met.
//!
//! Invariant: what was not measured meets no bar.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::contestant::NAMES;
use super::rows::{self, Bar, Row};

/// One server's figure: of several turns the median.
struct Cell {
    value: f64,
    /// All turns, in order.
    turns: Vec<f64>,
    at_least: bool,
}

/// All measurements.
pub(super) fn render(report: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (measurement, figures) in report {
        _ = write!(text, "\n{measurement:32}");
        NAMES.iter().for_each(|name| _ = write!(text, "{name:>19}"));
        _ = writeln!(text, "{:>7}  bar", "ratio");
        for row in rows::of(measurement) {
            line(&mut text, row, &cells(row, figures));
        }
        for sentence in sentences(figures) {
            _ = writeln!(text, "  {sentence}");
        }
    }
    text
}

/// Bars that are not met, and runs that failed or in which servers refused what they should have done: a sentence each.
pub(super) fn complaints(report: &Map<String, Value>) -> Vec<String> {
    let mut all = Vec::new();
    for (measurement, figures) in report {
        for row in rows::of(measurement) {
            let cells = cells(row, figures);
            if verdict(row, &cells) == Some("NOT MET") {
                all.push(format!("{measurement}: {}", row.name));
            }
            if row.name == "failures" || row.name.contains("closed") {
                let lossy = NAMES.iter().zip(&cells).filter_map(|(name, cell)| Some((name, cell.as_ref()?)));
                for (name, cell) in lossy.filter(|(_, cell)| cell.turns.iter().any(|count| *count > 0.0)) {
                    all.push(format!("{measurement}: {name}: {} {}", shown(cell), row.name));
                }
            }
        }
        for (name, turns) in figures.as_object().into_iter().flatten() {
            for turn in turns.as_array().into_iter().flatten() {
                if turn["met"] == false {
                    all.push(format!("{measurement}: {name}: not met: {}", turn["bar"].as_str().unwrap_or_default()));
                }
                if let Some(error) = turn["error"].as_str() {
                    all.push(format!("{measurement}: {name}: {error}"));
                }
            }
        }
    }
    all
}

/// What the figures say of themselves, once.
fn sentences(figures: &Value) -> Vec<&str> {
    let turns = figures.as_object().into_iter().flatten().flat_map(|(_, turns)| turns.as_array().into_iter().flatten());
    let said = turns.flat_map(|turn| ["definition", "bar"].map(|key| turn[key].as_str())).flatten();
    let mut sentences: Vec<_> = said.collect();
    sentences.dedup();
    sentences
}

fn cells(row: &Row, figures: &Value) -> [Option<Cell>; NAMES.len()] {
    NAMES.map(|name| {
        let runs = figures[name].as_array()?;
        let turns: Vec<f64> = runs.iter().filter_map(|run| run.pointer(row.place)?.as_f64()).collect();
        let mut sorted = turns.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let value = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
        let at_least = runs.iter().any(|run| run.pointer(row.at_least).is_some_and(|flag| flag == true));
        Some(Cell { value, turns, at_least })
    })
}

fn line(text: &mut String, row: &Row, cells: &[Option<Cell>; NAMES.len()]) {
    if cells.iter().all(Option::is_none) && matches!(row.bar, Bar::None) {
        return;
    }
    _ = write!(text, "  {:30}", row.name);
    for cell in cells {
        _ = write!(text, "{:>19}", cell.as_ref().map_or("–".to_owned(), shown));
    }
    let ratio = ratio(row, cells).map_or(String::new(), |ratio| format!("{ratio:.2}"));
    _ = write!(text, "{ratio:>7}");
    if let Some(verdict) = verdict(row, cells) {
        _ = write!(text, "  {}: {verdict}", asked(row.bar));
    }
    text.push('\n');
    if let Some(turns) = cells.iter().flatten().map(|cell| cell.turns.len()).max().filter(|turns| *turns > 1)
        && !matches!(row.bar, Bar::None)
    {
        for turn in 0..turns {
            _ = write!(text, "    {:28}", format!("turn {}", turn + 1));
            for cell in cells {
                let value = cell.as_ref().and_then(|cell| cell.turns.get(turn));
                _ = write!(text, "{:>19}", value.map_or("–".to_owned(), |value| number(*value)));
            }
            text.push('\n');
        }
    }
}

/// The better of the others.
fn better<'c>(row: &Row, cells: &'c [Option<Cell>; NAMES.len()]) -> Option<&'c Cell> {
    let order = |one: &&Cell, other: &&Cell| one.value.total_cmp(&other.value);
    let others = cells[1..].iter().flatten();
    if row.more { others.max_by(order) } else { others.min_by(order) }
}

fn ratio(row: &Row, cells: &[Option<Cell>; NAMES.len()]) -> Option<f64> {
    let (ours, better) = (cells[0].as_ref()?, better(row, cells)?);
    (better.value > 0.0).then(|| ours.value / better.value)
}

/// Whether ours meets the row's bar; nothing if there is no bar, or nothing of ours was measured.
fn verdict(row: &Row, cells: &[Option<Cell>; NAMES.len()]) -> Option<&'static str> {
    let ours = cells[0].as_ref();
    let others = better(row, cells);
    let met = match row.bar {
        Bar::None => return None,
        Bar::Most(most) => ours.is_some_and(|ours| ours.value <= most),
        _ if others.is_none() => return Some("nothing to compare with"),
        _ if others.is_some_and(|others| others.at_least) => return Some("NOT SHOWN"),
        Bar::Times(most) => ours.zip(others).is_some_and(|(ours, others)| ours.value <= most * others.value),
        Bar::Above => ours.zip(others).is_some_and(|(ours, others)| ours.value > others.value),
    };
    Some(if met { "met" } else { "NOT MET" })
}

fn asked(bar: Bar) -> String {
    match bar {
        Bar::None => String::new(),
        Bar::Times(most) => format!("≤ {most} × the better"),
        Bar::Above => "above both".to_owned(),
        Bar::Most(most) => format!("≤ {most}"),
    }
}

fn shown(cell: &Cell) -> String {
    format!("{}{}", if cell.at_least { "≥ " } else { "" }, number(cell.value))
}

fn number(number: f64) -> String {
    if number.fract() == 0.0 {
        format!("{number}")
    } else if number < 100.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(measurement: &str, figures: Value) -> Map<String, Value> {
        Map::from_iter([(measurement.to_owned(), figures)])
    }

    fn words(text: &str, row: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.trim_start().starts_with(row)).expect(row);
        line.trim_start()[row.len()..].split_whitespace().map(str::to_owned).collect()
    }

    fn cpu(turns: [f64; 3]) -> Value {
        turns
            .map(|micros| json!({ "server": { "cpu_us_per_message": micros }, "failures": 0, "closed": 0 }))
            .to_vec()
            .into()
    }

    #[test]
    fn ours_is_compared_with_the_better_by_the_median() {
        let figures = json!({ NAMES[0]: cpu([9.0, 30.0, 10.0]), NAMES[1]: cpu([27.0; 3]), NAMES[2]: cpu([44.5; 3]) });
        let met = report("load", figures);
        let text = render(&met);
        assert_eq!(
            words(&text, "CPU µs/message"),
            ["10", "27", "44.50", "0.37", "≤", "0.5", "×", "the", "better:", "met"]
        );
        assert_eq!(words(&text, "turn 2"), ["30", "27", "44.50"]);
        let bare: Vec<_> = complaints(&met).into_iter().filter(|complaint| complaint.contains("CPU")).collect();
        assert!(bare.is_empty(), "{bare:?}");
        let slow = report("load", json!({ NAMES[0]: cpu([14.0; 3]), NAMES[1]: cpu([27.0; 3]) }));
        assert!(complaints(&slow).contains(&"load: CPU µs/message".to_owned()));
    }

    #[test]
    fn a_rate_that_is_not_the_servers_limit_is_at_least_that() {
        let rate = |rate: u32, at_least: bool| json!([{ "best": { "offered_announces_per_second": rate }, "at_least": at_least }]);
        let figures = json!({ NAMES[0]: rate(9000, true), NAMES[1]: rate(3000, false), NAMES[2]: rate(2500, false) });
        assert_eq!(
            words(&render(&report("saturation", figures)), "announces/s"),
            ["≥", "9000", "3000", "2500", "3.00", "above", "both:", "met"]
        );
        let unclear = json!({ NAMES[0]: rate(9000, false), NAMES[1]: rate(3000, true) });
        assert!(render(&report("saturation", unclear)).contains("NOT SHOWN"));
    }

    #[test]
    fn what_went_wrong_is_said() {
        let held = json!([{ "closed": 3, "failures": 0, "met": false, "bar": "all are held" }]);
        let complaints = complaints(&report("hold", json!({ NAMES[0]: held, NAMES[1]: [{ "error": "it ended" }] })));
        let expected = [
            "hold: swarmreel: 3 closed by the server",
            "hold: swarmreel: not met: all are held",
            "hold: bittorrent-tracker: it ended",
        ];
        assert_eq!(complaints.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), expected.into());
        let nothing = report("memory", json!({ NAMES[0]: [{ "error": "it ended" }] }));
        assert!(render(&nothing).contains("NOT MET"), "what was not measured meets no bar");
    }
}
