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

mod fleet;
mod footprint;
mod link;
mod mix;
mod process;
mod redis_benchmark;
mod rows;
mod table;
#[path = "../../tests/support/mod.rs"]
mod support;

use clap::Parser;

use fleet::{Fleet, Target};
use rows::{Group, Load, Row};
use table::{Results, Run};

/// Compares nearcache with Redis, nutcracker and Envoy.
#[derive(Parser)]
struct Options {
    /// Rows to measure, by name, beginning of a name, or group (proxy, memory); also `footprint`
    #[arg(long, value_delimiter = ',', default_value = "proxy,memory,footprint")]
    rows: Vec<String>,
    /// Targets to measure; Redis is always there, as the measure of the others
    #[arg(long, value_delimiter = ',', default_value = "redis,nutcracker,envoy,l1,l1-off,memory")]
    targets: Vec<String>,
    /// How often each row is measured on each target
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Multiplies the requests of every run
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// The Envoy binary
    #[arg(long, default_value = "envoy")]
    envoy: String,
    /// The nearcache binary, if not the one just built
    #[arg(long, default_value = env!("CARGO_BIN_EXE_nearcache"))]
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
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| row.is_named(&options.rows)).collect();
    if options.list {
        rows.iter().for_each(|row| println!("{:<14} {}", row.name, row.describe()));
        return;
    }
    // Before the first thread: what we start inherits both.
    process::pin_self(options.load_core);
    process::raise_file_limit();
    println!("{}\n", table::machine(&options.nearcache));
    if rows::names_match("footprint", "footprint", &options.rows) {
        footprint::print(&options);
    }
    for group in [Group::Proxy, Group::Memory] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.group == group).collect();
        if !rows.is_empty() {
            measure(group, &rows, &options);
        }
    }
}

/// Measures all rows of a group and prints them, each as it is done, then all side by side.
fn measure(group: Group, rows: &[&Row], options: &Options) {
    let near = Fleet::start(options, group, false);
    let far = rows.iter().any(|row| row.far).then(|| Fleet::start(options, group, true));
    let mut all = Vec::new();
    for row in rows {
        let fleet = if row.far { far.as_ref().expect("started for such rows") } else { &near };
        let results = measure_row(row, fleet, options);
        println!("{}", table::one(row, &results));
        all.push((*row, results));
    }
    println!("{}", table::side_by_side(&all));
}

fn measure_row(row: &Row, fleet: &Fleet, options: &Options) -> Results {
    fleet.fill(row);
    let requests = ((row.requests as f64 * options.scale) as usize).max(row.clients * row.pipeline);
    let mut results: Results = fleet.targets.iter().map(|target| (target.name, Vec::new())).collect();
    for target in &fleet.targets {
        target.warm(row);
        let _ = run(row, target, requests / 5); // what fails here fails below, and is shown there
    }
    for _ in 0..options.rounds {
        for (target, (_, runs)) in fleet.targets.iter().zip(&mut results) {
            match run(row, target, requests) {
                Ok(run) => runs.push(run),
                Err(error) => eprintln!("{} on {}: {error}", row.name, target.name),
            }
        }
    }
    results
}

/// One run of one row on one target.
fn run(row: &Row, target: &Target, requests: usize) -> Result<Run, String> {
    let before = target.cpu();
    let load = match row.load {
        Load::RedisBenchmark(args) => redis_benchmark::run(row, args, target.port, requests)?,
        Load::Mix { reads } => {
            mix::run(row, reads, target.port, requests).map_err(|error| error.to_string())?
        }
    };
    let after = target.cpu();
    let own = after.0.since(before.0).per_request(requests);
    let whole = after.1.since(before.1).per_request(requests);
    Ok(Run { load, own, whole })
}
