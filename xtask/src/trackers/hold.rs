//! `hold`: 50,000 connections at a time. Where the system grants a process fewer open files, as many servers as it
//! takes, each with a generator of its own, share them; nothing but the file table is then divided.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Plan;
use super::contestant::{Contestant, Server};
use crate::process::{command, output};

const CONNECTIONS: u64 = 50_000;

/// Runs all parts at once.
pub(super) fn measure(plan: &Plan, contestant: &Contestant) -> Result<Value> {
    let files = output(command("sh").args(["-c", "ulimit -Hn"])).and_then(|files| files.parse().ok());
    // Servers keep some for other things: ours 5 %.
    let most = files.map_or(CONNECTIONS, |files: u64| files * 9 / 10);
    let count = CONNECTIONS.div_ceil(most);
    let servers: Vec<Server> = (0..count).map(|_| contestant.start(plan)).collect::<Result<_>>()?;
    let mut generators = Vec::new();
    for (server, part) in servers.iter().zip(0..) {
        let connections = CONNECTIONS / count + u64::from(part < CONNECTIONS % count);
        let mut generator = plan.generator("hold", server.port);
        generator.args(["--pid", &server.process.id().to_string(), "--connections", &connections.to_string()]);
        generator.args(["--connect-rate", &(1000 / count).to_string(), "--seed", &(part + 1).to_string()]);
        generators.push(generator.stdout(Stdio::piped()).spawn()?);
    }
    let mut parts = Vec::new();
    for generator in generators {
        let output = generator.wait_with_output()?;
        if !output.status.success() {
            bail!("a generator failed ({}).", output.status);
        }
        parts.push(serde_json::from_slice::<Value>(&output.stdout).context("the generator prints JSON")?);
    }
    Ok(total(&parts))
}

fn total(parts: &[Value]) -> Value {
    let all = |place| parts.iter().filter_map(move |part| part.pointer(place).and_then(Value::as_f64));
    let sum = |place| all(place).sum::<f64>();
    let worst = |place| all(place).fold(0.0, f64::max);
    let each = |place| (sum(place) / parts.len() as f64).round();
    json!({
        "server_processes": parts.len(),
        "connections_at_end": sum("/connections_at_end"),
        "connections_lost": sum("/connections_lost"),
        "seconds": worst("/seconds"),
        "rss_mb": sum("/rss_mb"),
        "idle_bytes_per_connection": each("/idle_bytes_per_connection"),
        "busy_bytes_per_connection": each("/busy_bytes_per_connection"),
        "server_cpu_percent": sum("/server_cpu_percent"),
        "announces_per_second": sum("/traffic/announces_per_second"),
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
        let part = |open: u32, p99: f64| json!({ "connections_at_end": open, "idle_bytes_per_connection": 3000, "latency": { "answer_to_answer": { "p99_ms": p99 } } });
        let total = total(&[part(17, 1.5), part(16, 2.5)]);
        assert_eq!(total["connections_at_end"], 33.0);
        assert_eq!(total["idle_bytes_per_connection"], 3000.0);
        assert_eq!(total["answer_to_answer_p99_ms"], 2.5);
    }
}
