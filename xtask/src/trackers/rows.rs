//! The figures that are compared, and what is asked of ours.

/// One line of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// In a run's figures.
    pub(super) place: &'static str,
    /// More is better.
    pub(super) more: bool,
    pub(super) bar: Bar,
    /// Where a value counts as “at least”, in a run's figures.
    pub(super) at_least: &'static str,
}

/// What is asked of ours.
#[derive(Clone, Copy)]
pub(super) enum Bar {
    None,
    /// At most so many times the better of the others.
    Times(f64),
    /// More than the better of the others.
    Above,
    /// At most so much.
    Most(f64),
}

const LESS: Row = Row { name: "", place: "", more: false, bar: Bar::None, at_least: "" };
const MORE: Row = Row { more: true, ..LESS };

const LOAD: &[Row] = &[
    Row { name: "announces answered in time", place: "/window/announces_in_time", ..MORE },
    Row { name: "answers owed, in time", place: "/window/answers_in_time", ..MORE },
    Row { name: "offers relayed/s", place: "/traffic/offers_relayed_per_second", ..MORE },
    Row { name: "answers delivered/s", place: "/traffic/answers_relayed_per_second", ..MORE },
    Row { name: "offers owed, lost", place: "/window/offers_lost", ..LESS },
    Row { name: "announce → response p50 ms", place: "/latency/announce_to_response/p50_ms", ..LESS },
    Row {
        name: "announce → response p99 ms",
        place: "/latency/announce_to_response/p99_ms",
        bar: Bar::Times(1.0),
        ..LESS
    },
    Row { name: "announce → response p99.9 ms", place: "/latency/announce_to_response/p999_ms", ..LESS },
    Row { name: "announce → offer p99 ms", place: "/latency/announce_to_offer/p99_ms", bar: Bar::Times(1.0), ..LESS },
    Row { name: "answer → answer p99 ms", place: "/latency/answer_to_answer/p99_ms", bar: Bar::Times(1.0), ..LESS },
    Row { name: "CPU µs/message", place: "/server/cpu_us_per_message", bar: Bar::Times(0.5), ..LESS },
    Row { name: "CPU µs/announce, all told", place: "/server/cpu_us_per_announce", ..LESS },
    Row { name: "generator late, p99 ms", place: "/latency/generator_lateness/p99_ms", ..LESS },
    Row { name: "failures", place: "/failures", ..LESS },
    Row { name: "connections closed", place: "/closed", ..LESS },
];

const MEMORY: &[Row] = &[
    Row { name: "before, MB", place: "/base_mb", ..LESS },
    Row { name: "bytes/connection, idle", place: "/idle_bytes_per_connection", bar: Bar::Most(8000.0), ..LESS },
    Row {
        name: "bytes/connection, +5 offers",
        place: "/announced_bytes_per_connection",
        bar: Bar::Most(14_000.0),
        ..LESS
    },
    Row { name: "after leaving, MB", place: "/left_mb", ..LESS },
    Row { name: "after leaving, bytes/connection", place: "/left_bytes_per_connection", ..LESS },
    Row { name: "after leaving ÷ before", place: "/left_to_base", bar: Bar::Most(1.05), ..LESS },
    Row { name: "back after s", place: "/returned_after_s", bar: Bar::Most(30.0), ..LESS },
    Row { name: "failures", place: "/failures", ..LESS },
    Row { name: "connections closed", place: "/closed", ..LESS },
];

const FLOOD: &[Row] = &[
    Row { name: "growth, MB", place: "/growth_mb", bar: Bar::Most(5.0), ..LESS },
    Row { name: "offers relayed", place: "/traffic/offers_relayed", ..LESS },
    Row { name: "times thrown out", place: "/flooder_thrown_out", ..LESS },
];

const AT_LEAST: Row = Row { at_least: "/at_least", ..MORE };

const SATURATION: &[Row] = &[
    Row { name: "announces/s", place: "/best/offered_announces_per_second", bar: Bar::Above, ..AT_LEAST },
    Row { name: "offers relayed/s", place: "/best/traffic/offers_relayed_per_second", ..AT_LEAST },
    Row { name: "answers delivered/s", place: "/best/traffic/answers_relayed_per_second", ..AT_LEAST },
    Row { name: "announces in time", place: "/best/window/announces_in_time", ..MORE },
    Row { name: "answers owed, in time", place: "/best/window/answers_in_time", ..MORE },
    Row { name: "offers made, in the window", place: "/best/window/offers_made", ..MORE },
    Row { name: "offers owed", place: "/best/window/offers_owed", ..MORE },
    Row { name: "offers owed, lost", place: "/best/window/offers_lost", ..LESS },
    Row { name: "CPU µs/message", place: "/best/server/cpu_us_per_message", ..LESS },
    Row { name: "server CPU %", place: "/best/server/cpu_percent", ..LESS },
    Row { name: "generator CPU %", place: "/best/generator/cpu_percent", ..LESS },
    Row { name: "failures", place: "/failures", ..LESS },
    Row { name: "connections closed", place: "/closed", ..LESS },
];

const HOLD: &[Row] = &[
    Row { name: "server processes", place: "/server_processes", ..LESS },
    Row { name: "held to the end", place: "/connections_at_end", ..MORE },
    Row { name: "closed by the server", place: "/closed", ..LESS },
    Row { name: "failures", place: "/failures", ..LESS },
    Row { name: "seconds", place: "/seconds", ..MORE },
    Row { name: "announces due", place: "/announces_due", ..MORE },
    Row { name: "announces answered", place: "/announces_answered", ..MORE },
    Row { name: "announce → response p50 ms", place: "/announce_to_response_p50_ms", ..LESS },
    Row { name: "announce → response p99 ms", place: "/announce_to_response_p99_ms", ..LESS },
    Row { name: "announce → offer p99 ms", place: "/announce_to_offer_p99_ms", ..LESS },
    Row { name: "answer → answer p99 ms", place: "/answer_to_answer_p99_ms", ..LESS },
    Row { name: "bytes/connection, idle", place: "/idle_bytes_per_connection", ..LESS },
    Row { name: "bytes/connection, announcing", place: "/busy_bytes_per_connection", ..LESS },
    Row { name: "server CPU %", place: "/server_cpu_percent", ..LESS },
];

const STORM: &[Row] = &[
    Row { name: "all back after s", place: "/all_back_after_s", ..LESS },
    Row { name: "connections/client", place: "/connections_per_client", ..LESS },
    Row { name: "back before their delay", place: "/back_before_their_delay", ..LESS },
    Row { name: "told when to return", place: "/told_when_to_return", ..MORE },
    Row { name: "tries in vain/client", place: "/tries_in_vain_per_client", ..LESS },
    Row { name: "server CPU %", place: "/server_cpu_percent_mean", ..LESS },
    Row { name: "server CPU %, worst second", place: "/server_cpu_percent_peak_second", ..LESS },
];

const SOAK: &[Row] = &[
    Row { name: "RSS slope MiB/h", place: "/rss_slope_mib_per_hour", ..LESS },
    Row { name: "± (standard error)", place: "/rss_slope_standard_error", ..LESS },
    Row { name: "RSS at the end, MB", place: "/rss_mb", ..LESS },
    Row { name: "metric series, least", place: "/metric_series_least", ..LESS },
    Row { name: "metric series, most", place: "/metric_series_most", ..LESS },
    Row { name: "metrics not had", place: "/metrics_failed", ..LESS },
    Row { name: "left cleanly", place: "/left_cleanly", ..MORE },
    Row { name: "left abruptly", place: "/left_abruptly", ..MORE },
    Row { name: "closed by the server", place: "/connections_lost", ..LESS },
    Row { name: "refused: who asked had left", place: "/traffic/failures", ..LESS },
];

/// The rows of a measurement.
pub(super) fn of(measurement: &str) -> &'static [Row] {
    match measurement {
        "memory" => MEMORY,
        "flood" => FLOOD,
        "saturation" => SATURATION,
        "hold" => HOLD,
        "storm" | "storm-kill" => STORM,
        "soak" => SOAK,
        _ => LOAD,
    }
}
