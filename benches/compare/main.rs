//! nearcache beside Redis and beside other proxies: `cargo bench --bench compare`.
//!
//! ```text
//!   load core:    redis-benchmark, or `mix` for what it cannot do        (one at a time)
//!                     │
//!   server core:  redis-server · nutcracker · envoy · nearcache          (all idle but the one measured)
//! ```
//!
//! Every row of `rows` is measured on every target of `fleet`, in interleaved rounds, so that a drift of the
//! machine hits all alike. What counts is CPU time per request of the whole server side (a proxy *and* the
//! Redis behind it), read from /proc: on a shared machine it is much steadier than rates and latencies.
//!
//! A short run: `cargo bench --bench compare -- --rows get-p1,set-p1 --targets redis,l1-off --rounds 3`.
//! Needed: redis-server, redis-benchmark, taskset, prlimit; nutcracker and envoy take part if they are found.
#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

mod binary;
mod checks;
mod figures;
mod fleet;
mod footprint;
mod link;
mod mix;
mod process;
mod redis_benchmark;
mod report;
mod rows;
mod table;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use clap::Parser;

use figures::{Figures, Results, Run};
use fleet::{Fleet, Target};
use process::Cpu;
use rows::{Group, Load, Row};
use table::Measured;

/// How long a run of a row on a target lasts, in seconds.
const RUN: f64 = 1.0;

/// Before it come a short run and one of this length, to find how many requests that takes.
const TRIAL: f64 = 0.2;

/// Compares nearcache with Redis, nutcracker and Envoy.
#[derive(Parser)]
struct Options {
    /// Rows to measure, by name, beginning of a name, or group (proxy, memory, aims); also `footprint`
    #[arg(long, value_delimiter = ',', default_value = "proxy,footprint")]
    rows: Vec<String>,
    /// Targets to measure; Redis is always there, as the measure of the others
    #[arg(long, value_delimiter = ',', default_value = "redis,nutcracker,envoy,l1,l1-off,memory")]
    targets: Vec<String>,
    /// How often each row is measured on each target
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Multiplies the length of every run, a second
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The Envoy binary
    #[arg(long, default_value = "envoy")]
    envoy: String,
    /// The nearcache binary; without it, `cargo build --release` makes one
    #[arg(long, default_value = "", hide_default_value = true)]
    nearcache: String,
    /// The core of the servers
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Name the rows and end
    #[arg(long)]
    list: bool,
    /// Given by `cargo bench`, and not by `cargo test`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut options = Options::parse();
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| row.is_named(&options.rows)).collect();
    if options.list {
        rows.iter().for_each(|row| println!("{:<14} {}", row.name, row.describe()));
        return;
    }
    if !options.bench {
        return println!("measures only by `cargo bench` or with --bench");
    }
    if options.nearcache.is_empty() {
        options.nearcache = binary::release();
    }
    // Before the first thread: what we start inherits both.
    process::pin_self(options.load_core);
    process::raise_file_limit();
    let started = Instant::now();
    println!("{}", table::machine(&options));
    let mut checks = Vec::new();
    if rows::names_match("footprint", "footprint", true, &options.rows) {
        let footprints = footprint::measure(&options);
        println!("{}", footprint::table(&footprints));
        checks = checks::of_footprints(&footprints);
    }
    let all = measure(&rows, &options);
    for group in [Group::Proxy, Group::Memory] {
        print!("{}", table::side_by_side(group, &all));
    }
    let by_name: Vec<_> = all.iter().map(|(row, results)| (row.name, results)).collect();
    checks.splice(0..0, checks::of_rows(&by_name));
    if !checks.is_empty() {
        println!("{}", checks::table(&checks));
    }
    eprintln!("took {} s", started.elapsed().as_secs());
}

/// Measures the rows and prints them, each as it is done.
fn measure(rows: &[Row], options: &Options) -> Vec<Measured> {
    let (far, near): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.far);
    let mut all = Vec::new();
    for (rows, far) in [(near, false), (far, true)] {
        if rows.is_empty() {
            continue;
        }
        let fleet = Fleet::start(options, &rows, far);
        for row in rows {
            let results = measure_row(row, &fleet, options);
            println!("{}", table::one(row, &results));
            all.push((*row, results));
        }
    }
    all
}

fn measure_row(row: &Row, fleet: &Fleet, options: &Options) -> Results {
    fleet.fill(row);
    let targets: Vec<&Target> = fleet.targets_of(row).collect();
    let requests: Vec<usize> = targets
        .iter()
        .map(|target| {
            target.warm(row);
            requests(row, target, RUN * options.scale)
        })
        .collect();
    let mut results: Results = targets.iter().map(|target| (target.name, Vec::new())).collect();
    for round in 0..options.rounds {
        for i in 0..targets.len() {
            let i = (i + round) % targets.len(); // each is the first once
            match run(row, targets[i], requests[i]) {
                Ok(run) => results[i].1.push(run),
                Err(error) => eprintln!("{} on {}: {error}", row.name, targets[i].name),
            }
        }
    }
    results
}

/// How many requests take a target about so long.
fn requests(row: &Row, target: &Target, seconds: f64) -> usize {
    let least = row.clients * row.pipeline * 2;
    let mut requests = least.max(500);
    for next in [TRIAL, seconds] {
        // What fails here fails again where it is shown.
        let rate = offer(row, target, requests).map_or(0.0, |figures| figures.rate);
        if rate.is_finite() {
            requests = ((rate * next) as usize).max(least);
        }
    }
    requests
}

/// Sends so many requests.
fn offer(row: &Row, target: &Target, requests: usize) -> Result<Figures, String> {
    match row.load {
        Load::RedisBenchmark(args) => redis_benchmark::run(row, args, target.port, requests),
        Load::Mix { reads, rate } => {
            mix::run(row, reads, rate, target.port, requests).map_err(|error| error.to_string())
        }
    }
}

/// One run of one row on one target. Before it comes one in which every client sends one pipeline and leaves:
/// what connecting 1,000 clients costs is in both, and is no part of a request.
fn run(row: &Row, target: &Target, requests: usize) -> Result<Run, String> {
    let few = row.clients * row.pipeline;
    let idle = target.cpu();
    offer(row, target, few)?;
    let asked = target.l1();
    let connected = target.cpu();
    let load = offer(row, target, requests)?;
    let after = target.cpu();
    let hits = target.l1().zip(asked).and_then(|(after, before)| {
        let (hits, misses) = (after.0 - before.0, after.1 - before.1);
        (hits + misses > 0).then(|| 100.0 * hits as f64 / (hits + misses) as f64)
    });
    let cpu = |which: fn(&(Cpu, Cpu)) -> Cpu| {
        let connecting = which(&connected).since(which(&idle));
        let whole = which(&after).since(which(&connected));
        Cpu { total: whole.total - connecting.total, ..whole }.split().per_request(requests - few)
    };
    Ok(Run { load, own: cpu(|(own, _)| *own), whole: cpu(|(_, whole)| *whole), hits })
}
