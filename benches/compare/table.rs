//! The tables that are printed.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::Options;
use crate::figures::{
    CPU, Figure, OWN, P50, P99, P999, RATE, Results, markdown, median, of, readable, with_spread,
};
use crate::fleet::Kind;
use crate::rows::{Group, Row};

/// A row and its results.
pub type Measured = (Row, Results);

/// One row on all targets: medians over the rounds, with their spread.
pub fn one(row: &Row, results: &Results) -> String {
    let heads = [
        "target",
        "requests/s",
        "× Redis",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "CPU µs/request",
        "× Redis",
        "user + system",
        "core busy",
        "hits",
    ];
    let redis = |figure: Figure| of(results, "redis", figure).unwrap_or(f64::NAN);
    let lines = results.iter().map(|(name, runs)| {
        if runs.is_empty() {
            return vec![(*name).to_owned(), "not supported".into()];
        }
        let middle = |figure: Figure| median(runs.iter().map(figure));
        let cell = |figure: Figure, digits| with_spread(&runs.iter().map(figure).collect::<Vec<_>>(), digits);
        let hits: Vec<f64> = runs.iter().filter_map(|run| run.hits).collect();
        vec![
            (*name).to_owned(),
            cell(RATE, 0),
            format!("{:.2}", middle(RATE) / redis(RATE)),
            cell(P50, 0),
            cell(P99, 0),
            cell(P999, 0),
            cell(CPU, 2),
            format!("{:.2}", middle(CPU) / redis(CPU)),
            format!("{:.2} + {:.2}", middle(|run| run.whole.user), middle(|run| run.whole.system)),
            format!("{:.0} %", median(runs.iter().map(|run| CPU(run) * RATE(run) / 1e4))),
            if hits.is_empty() { String::new() } else { format!("{:.1} %", median(hits.into_iter())) },
        ]
    });
    format!("### {}: {}\n\n{}", row.name, row.describe(), markdown(&heads, &lines.collect::<Vec<_>>()))
}

/// All rows of a group side by side, one table per figure.
pub fn side_by_side(group: Group, all: &[Measured]) -> String {
    let all: Vec<&Measured> = all.iter().filter(|(row, _)| row.group == group).collect();
    let group = if group == Group::Proxy { "" } else { "memory engine: " };
    let ratio = |value: f64, redis: f64| format!("{} ({:.2})", readable(value), value / redis);
    let mut text = String::new();
    for (title, figure) in
        [("CPU µs per request", CPU), ("requests per second", RATE), ("p50 µs", P50), ("p99 µs", P99)]
    {
        let title = format!("{group}{title} (× Redis)");
        let is_there = |_: &str| true;
        text += &compared(&title, &all, is_there, |results, name| {
            let (value, redis) = (of(results, name, figure)?, of(results, "redis", figure)?);
            Some(if name == "redis" { readable(value) } else { ratio(value, redis) })
        });
    }
    text += &compared(
        "CPU µs per request of the proxy alone (× nutcracker)",
        &all,
        is_proxy,
        |results, name| {
            let own = of(results, name, OWN)?;
            match of(results, "nutcracker", OWN) {
                Some(nutcracker) if name != "nutcracker" => Some(ratio(own, nutcracker)),
                _ => Some(readable(own)),
            }
        },
    );
    let unpipelined: Vec<&Measured> = all.into_iter().filter(|(row, _)| row.pipeline == 1).collect();
    text += &compared("p50 µs added to Redis's", &unpipelined, is_proxy, |results, name| {
        Some(format!("{:+.0}", of(results, name, P50)? - of(results, "redis", P50)?))
    });
    text
}

fn is_proxy(name: &str) -> bool {
    Kind::ALL.iter().any(|(kind, known)| *known == name && kind.is_proxy())
}

/// A table of one cell per row and target; nothing if it would be empty.
fn compared(
    title: &str,
    all: &[&Measured],
    shown: impl Fn(&str) -> bool,
    cell: impl Fn(&Results, &str) -> Option<String>,
) -> String {
    let measured =
        |name: &str| all.iter().any(|(_, results)| results.iter().any(|(other, _)| *other == name));
    let names: Vec<&str> = Kind::ALL.map(|(_, name)| name).into_iter().filter(|name| shown(name)).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| measured(name)).collect();
    if names.is_empty() {
        return String::new();
    }
    let lines: Vec<Vec<String>> = all
        .iter()
        .map(|(row, results)| {
            let cells = names.iter().map(|name| cell(results, name).unwrap_or_else(|| "–".to_owned()));
            std::iter::once(row.name.to_owned()).chain(cells).collect()
        })
        .collect();
    let heads: Vec<&str> = std::iter::once("row").chain(names.iter().copied()).collect();
    format!("### {title}\n\n{}\n", markdown(&heads, &lines))
}

/// What the figures were measured on.
pub fn machine(options: &Options) -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let mut text = format!(
        "{} × {}, Linux {}, load average before {}\n",
        cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        model.trim_start_matches([':', ' ', '\t']),
        file("/proc/sys/kernel/osrelease").trim(),
        file("/proc/loadavg").split(' ').next().unwrap_or("?"),
    );
    let mut programs: Vec<&str> = Kind::ALL.iter().map(|(kind, _)| kind.program(options)).collect();
    programs.dedup();
    for program in programs {
        let Ok(output) = Command::new(program).arg("--version").output() else { continue };
        // nutcracker says it on standard error.
        let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        let said = String::from_utf8_lossy(&said).into_owned();
        let line = said.lines().find(|line| line.contains(char::is_numeric)).unwrap_or("?");
        let name = program.rsplit('/').next().unwrap_or(program);
        let _ = writeln!(text, "{}", line.trim().replace(program, name));
    }
    text
}
