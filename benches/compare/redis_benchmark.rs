//! The load that redis-benchmark makes.

use std::process::Command;

use crate::figures::Figures;
use crate::report;
use crate::rows::Row;

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
    let figures = if output.status.success() { report::redis_benchmark(&text) } else { None };
    figures.ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let why = errors.lines().chain(text.lines()).last().unwrap_or("nothing was printed");
        format!("redis-benchmark: {}: {why}", output.status)
    })
}
