//! Figures, their medians and spread, and the tables that show them.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::process::Cpu;
use crate::rows::Row;

/// What the load says of a run: requests per second, and latencies in microseconds.
pub struct Figures {
    /// Requests per second.
    pub rate: f64,
    /// Latency that half of the requests stay below.
    pub p50: f64,
    /// … that 99 % stay below.
    pub p99: f64,
    /// … that 99.9 % stay below.
    pub p999: f64,
}

/// One run: what the load saw, and CPU time per request in microseconds.
pub struct Run {
    /// The load's view.
    pub load: Figures,
    /// The target's own.
    pub own: Cpu,
    /// The target's and that of the Redis behind it.
    pub whole: Cpu,
}

/// The runs of one row, by target; Redis first. No runs: the target cannot do it.
pub type Results = Vec<(&'static str, Vec<Run>)>;

/// One number of a run.
type Figure = fn(&Run) -> f64;

/// The middle one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One row on all targets: medians over the rounds, with the spread of what matters most.
pub fn one(row: &Row, results: &Results) -> String {
    let heads = [
        "target",
        "requests/s",
        "× Redis",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU µs/request",
        "min–max",
        "× Redis",
        "user + system",
        "proxy's own",
    ];
    let of = |runs: &[Run], figure: Figure| median(runs.iter().map(figure));
    let redis = &results[0].1;
    let lines = results.iter().map(|(name, runs)| {
        if runs.is_empty() {
            return vec![(*name).to_owned(), "not supported".into()];
        }
        let cpu = |run: &Run| run.whole.total;
        let (min, max) =
            runs.iter().map(cpu).fold((f64::MAX, 0.0), |(min, max), cpu| (cpu.min(min), cpu.max(max)));
        vec![
            (*name).to_owned(),
            format!("{:.0}", of(runs, |run| run.load.rate)),
            format!("{:.2}", of(runs, |run| run.load.rate) / of(redis, |run| run.load.rate)),
            format!("{:.2}", of(runs, |run| run.load.p50) / 1000.0),
            format!("{:.2}", of(runs, |run| run.load.p99) / 1000.0),
            format!("{:.2}", of(runs, |run| run.load.p999) / 1000.0),
            format!("{:.2}", of(runs, cpu)),
            format!("{min:.2}–{max:.2}"),
            format!("{:.2}", of(runs, cpu) / of(redis, cpu)),
            format!("{:.2} + {:.2}", of(runs, |run| run.whole.user), of(runs, |run| run.whole.system)),
            format!("{:.2}", of(runs, |run| run.own.total)),
        ]
    });
    format!("### {}: {}\n\n{}", row.name, row.describe(), markdown(&heads, &lines.collect::<Vec<_>>()))
}

/// All rows of a group side by side: CPU time, then rates, each with its ratio to Redis.
pub fn side_by_side(all: &[(&Row, Results)]) -> String {
    let mut text = String::new();
    let figures: [(&str, Figure); 2] =
        [("CPU µs per request", |run| run.whole.total), ("requests per second", |run| run.load.rate)];
    for (title, figure) in figures {
        let mut heads = vec!["row"];
        heads.extend(all[0].1.iter().map(|(name, _)| *name));
        let lines = all.iter().map(|(row, results)| {
            let mut line = vec![row.name.to_owned()];
            let redis = median(results[0].1.iter().map(figure));
            line.extend(results.iter().map(|(name, runs)| {
                let value = median(runs.iter().map(figure));
                let digits = if value < 1000.0 { 2 } else { 0 };
                match *name {
                    _ if runs.is_empty() => "–".to_owned(),
                    "redis" => format!("{value:.digits$}"),
                    _ => format!("{value:.digits$} ({:.2})", value / redis),
                }
            }));
            line
        });
        let lines: Vec<_> = lines.collect();
        let _ = writeln!(text, "### {title} (× Redis)\n\n{}", markdown(&heads, &lines));
    }
    text
}

/// A Markdown table that can also be read as it is.
pub fn markdown(heads: &[&str], lines: &[Vec<String>]) -> String {
    let cell = |line: &[String], i: usize| line.get(i).cloned().unwrap_or_default();
    let width = |i: usize| {
        let cells = lines.iter().map(|line| cell(line, i).chars().count());
        cells.max().unwrap_or(0).max(heads[i].chars().count())
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let row = |cells: &dyn Fn(usize) -> String| {
        let pad = |(i, &width): (usize, &usize)| match i {
            0 => format!(" {:<width$} |", cells(i)),
            _ => format!(" {:>width$} |", cells(i)),
        };
        format!("|{}\n", widths.iter().enumerate().map(pad).collect::<String>())
    };
    let rule =
        |i: usize| if i == 0 { "-".repeat(widths[i]) } else { format!("{}:", "-".repeat(widths[i] - 1)) };
    let mut text = row(&|i| heads[i].to_owned()) + &row(&rule);
    lines.iter().for_each(|line| text.push_str(&row(&|i| cell(line, i))));
    text
}

/// What the figures were measured on.
pub fn machine(nearcache: &str) -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        String::from_utf8_lossy(&output.map(|output| output.stdout).unwrap_or_default()).trim().to_owned()
    };
    format!(
        "{cores} × {}, Linux {}, load average before {}\n{}\n{}",
        model.trim_start_matches([':', ' ', '\t']),
        file("/proc/sys/kernel/osrelease").trim(),
        file("/proc/loadavg").split(' ').next().unwrap_or("?"),
        version("redis-server"),
        version(nearcache),
    )
}
