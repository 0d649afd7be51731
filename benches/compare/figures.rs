//! What runs give, and what is made of it: medians, spread, Markdown.

use crate::process::Cpu;

/// What the load says of a run: requests per second, and latencies in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Of 100 cacheable reads, how many L1 answered; only of a target that has it.
    pub hits: Option<f64>,
}

/// The runs of one row by target, Redis first. No runs: the target cannot do it.
pub type Results = Vec<(&'static str, Vec<Run>)>;

/// One number of a run.
pub type Figure = fn(&Run) -> f64;

/// CPU time per request of the whole server side.
pub const CPU: Figure = |run| run.whole.total;
/// CPU time per request of the target without what is behind it.
pub const OWN: Figure = |run| run.own.total;
/// Requests per second.
pub const RATE: Figure = |run| run.load.rate;
/// Median latency.
pub const P50: Figure = |run| run.load.p50;
/// 99th percentile of the latency.
pub const P99: Figure = |run| run.load.p99;
/// 99.9th percentile of the latency.
pub const P999: Figure = |run| run.load.p999;

/// The median of a figure over the runs of a target; none if it was not measured.
pub fn of(results: &Results, target: &str, figure: Figure) -> Option<f64> {
    let (_, runs) = results.iter().find(|(name, _)| *name == target)?;
    (!runs.is_empty()).then(|| median(runs.iter().map(figure)))
}

/// The middle one, or the mean of the two in the middle; of nothing it is not a number.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => f64::NAN,
        values => (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0,
    }
}

/// Half of what lies between the least and the most, in per cent of the median.
pub fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    50.0 * (most - least) / median(values.into_iter())
}

/// A median with its spread, as `98200 ±3 %`; one value has no spread.
pub fn with_spread(values: &[f64], digits: usize) -> String {
    let text = format!("{:.digits$}", median(values.iter().copied()));
    match values.len() {
        0 | 1 => text,
        _ => format!("{text} ±{:.0} %", spread(values.iter().copied())),
    }
}

/// A number with as many digits as its size deserves.
pub fn readable(value: f64) -> String {
    match value.abs() {
        size if size < 100.0 => format!("{value:.2}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A Markdown table that can also be read as it is.
pub fn markdown(heads: &[&str], lines: &[Vec<String>]) -> String {
    let cell = |line: &[String], i: usize| line.get(i).cloned().unwrap_or_default();
    let width = |i: usize| {
        let cells = lines.iter().map(|line| cell(line, i).chars().count());
        cells.max().unwrap_or(0).max(heads[i].chars().count()).max(3)
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
