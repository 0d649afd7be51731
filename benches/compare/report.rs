//! What redis-benchmark prints, and what `INFO` says of L1.

use crate::figures::Figures;

/// redis-benchmark's report. The percentiles that it lists are halvings (50, 75, 87.5, …), of which the first
/// not below the one wanted is taken; p99 stands in its summary.
pub fn redis_benchmark(text: &str) -> Option<Figures> {
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

/// Hits and misses of L1 so far, by nearcache's INFO.
pub fn l1(info: &str) -> Option<(u64, u64)> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("l1_hits:")?, field("l1_misses:")?))
}

/// The program that `cargo build --message-format=json` says it has built.
pub fn executable(messages: &str) -> Option<&str> {
    messages.lines().rev().find_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next())
}
