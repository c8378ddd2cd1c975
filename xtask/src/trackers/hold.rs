//! `hold`: 50,000 connections at a time, of one server where the system grants it as many open files. Where it does not,
//! as many servers as it takes, each with a generator of its own, share them, and the figures say so.

use std::process::{Child, Stdio};

use anyhow::Result;
use serde_json::{Value, json};

use super::contestant::{Contestant, Server};
use super::{Measurement, Plan, report};
use crate::process::{command, output};

const CONNECTIONS: u64 = 50_000;
/// What a server needs for them: ours keeps 5 % of its files for other things.
const FILES: u64 = CONNECTIONS / 9 * 10;
/// New connections a second, of all generators together.
const CONNECT_RATE: u64 = 1000;

/// Runs all parts at once.
pub(super) fn measure(plan: &Plan, contestant: &Contestant, measurement: &Measurement) -> Result<Value> {
    let granted = output(command("sh").args(["-c", "ulimit -Hn"])).and_then(|files| files.parse().ok());
    let granted = granted.unwrap_or(u64::MAX);
    let can_raise =
        granted < FILES && output(command("prlimit").args([&format!("--nofile={FILES}:{FILES}"), "true"])).is_some();
    let plan = &Plan { files: can_raise.then_some(FILES), ..plan.clone() };
    let count = if can_raise { 1 } else { FILES.div_ceil(granted) };
    if count > 1 {
        eprintln!("A process is granted {granted} open files here: {count} servers share {CONNECTIONS} connections.");
    }
    let servers: Vec<Server> = (0..count).map(|_| contestant.start(plan)).collect::<Result<_>>()?;
    let generators: Vec<Child> = servers
        .iter()
        .zip(0..)
        .map(|(server, part)| generator(plan, measurement, server, part, count))
        .collect::<Result<_>>()?;
    let parts: Vec<Value> = generators.into_iter().map(report).collect::<Result<_>>()?;
    Ok(total(&parts))
}

fn generator(plan: &Plan, measurement: &Measurement, server: &Server, part: u64, count: u64) -> Result<Child> {
    let connections = CONNECTIONS / count + u64::from(part < CONNECTIONS % count);
    let mut generator = plan.generator(measurement, server.port);
    generator.args(["--pid", &server.process.id().to_string(), "--connections", &connections.to_string()]);
    generator.args(["--connect-rate", &(CONNECT_RATE / count).to_string(), "--seed", &(part + 1).to_string()]);
    Ok(generator.stdout(Stdio::piped()).spawn()?)
}

fn total(parts: &[Value]) -> Value {
    let all = |place| parts.iter().filter_map(move |part| part.pointer(place).and_then(Value::as_f64));
    let sum = |place| all(place).sum::<f64>();
    let worst = |place| all(place).fold(0.0, f64::max);
    let each = |place| (sum(place) / parts.len() as f64).round();
    let (held, closed, failures) = (sum("/connections_at_end"), sum("/connections_lost"), sum("/failures"));
    let (due, answered) = (sum("/announces_due"), sum("/announces_answered"));
    json!({
        "met": held == sum("/connections") && closed == 0.0 && failures == 0.0 && answered == due,
        "bar": "all connections are held to the end, every announce is answered, nobody is refused or thrown out",
        "server_processes": parts.len(),
        "connections_at_end": held,
        "closed": closed,
        "failures": failures,
        "seconds": worst("/seconds"),
        "announces_due": due,
        "announces_answered": answered,
        "rss_mb": sum("/rss_mb"),
        "idle_bytes_per_connection": each("/idle_bytes_per_connection"),
        "busy_bytes_per_connection": each("/busy_bytes_per_connection"),
        "server_cpu_percent": sum("/server_cpu_percent"),
        "announces_per_second": sum("/traffic/announces_per_second"),
        "announce_to_response_p50_ms": worst("/latency/announce_to_response/p50_ms"),
        "announce_to_response_p99_ms": worst("/latency/announce_to_response/p99_ms"),
        "announce_to_offer_p99_ms": worst("/latency/announce_to_offer/p99_ms"),
        "answer_to_answer_p99_ms": worst("/latency/answer_to_answer/p99_ms"),
        "parts": parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let part = |open: u32, p99: f64| {
            json!({
                "connections": 17, "connections_at_end": open, "connections_lost": 17 - open, "failures": 0,
                "announces_due": 10, "announces_answered": 10, "idle_bytes_per_connection": 3000,
                "latency": { "answer_to_answer": { "p99_ms": p99 } }
            })
        };
        let lossy = total(&[part(17, 1.5), part(16, 2.5)]);
        assert_eq!(
            (&lossy["met"], &lossy["connections_at_end"], &lossy["closed"]),
            (&json!(false), &json!(33.0), &json!(1.0))
        );
        assert_eq!(lossy["idle_bytes_per_connection"], 3000.0);
        assert_eq!(lossy["answer_to_answer_p99_ms"], 2.5);
        assert_eq!(total(&[part(17, 1.5), part(17, 2.5)])["met"], true);
    }
}
