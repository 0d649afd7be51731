//! redis-benchmark: its arguments, and what it prints.

use std::process::Command;

use crate::rows::Row;
use crate::table::Figures;

/// The most that one run may take, in seconds: a target that stops answering must not stop the rest.
const PATIENCE: &str = "60";

/// Runs it against a port.
pub fn run(row: &Row, args: &[&str], port: u16, requests: usize) -> Result<Figures, String> {
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "redis-benchmark", "-p", &port.to_string()]);
    for (flag, n) in
        [("-n", requests), ("-c", row.clients), ("-P", row.pipeline), ("-r", row.keys), ("-d", row.value)]
    {
        command.args([flag, &n.to_string()]);
    }
    command.args(["--precision", "3"]);
    if row.resp3 {
        command.arg("-3");
    }
    let output = command.args(args).output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = if output.status.success() { parse(&text) } else { None };
    figures.ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let why = errors.lines().chain(text.lines()).last().unwrap_or("nothing was printed");
        format!("redis-benchmark: {}: {why}", output.status)
    })
}

/// Its report: the percentiles that it lists are halvings (50, 75, 87.5, …), of which the first not below
/// the one wanted is taken; p50 and p99 it also prints.
fn parse(text: &str) -> Option<Figures> {
    let percentile = |wanted: f64| {
        text.lines().find_map(|line| {
            let (percent, rest) = line.split_once("% <= ")?;
            let (millis, _) = rest.split_once(" milliseconds")?;
            let percent: f64 = percent.trim().parse().ok()?;
            (percent >= wanted).then(|| millis.parse::<f64>().ok().map(|millis| millis * 1000.0))?
        })
    };
    let (_, rate) = text.split_once("throughput summary: ")?;
    let rate = rate.split_whitespace().next()?.parse().ok()?;
    let summary = text.lines().skip_while(|line| !line.contains("latency summary")).nth(2)?;
    let p99 = summary.split_whitespace().nth(4)?.parse::<f64>().ok()? * 1000.0;
    Some(Figures { rate, p50: percentile(50.0)?, p99, p999: percentile(99.9)? })
}
