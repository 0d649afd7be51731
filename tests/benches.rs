//! The parts of `benches/compare` that compute, and their tests: they stand here because a bench has no test
//! harness of its own.
#![allow(dead_code, reason = "the bench uses the rest")]
#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

#[path = "../benches/compare/checks.rs"]
mod checks;
#[path = "../benches/compare/figures.rs"]
mod figures;
#[path = "../benches/compare/process.rs"]
mod process;
#[path = "../benches/compare/report.rs"]
mod report;
#[path = "../benches/compare/rows.rs"]
mod rows;

use checks::{Check, Footprint, of_footprints, of_rows};
use figures::{Figures, Results, Run, markdown, median, readable, spread, with_spread};
use process::{Cpu, on_cpu, ticks};

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
    assert!(median([].into_iter()).is_nan());
}

#[test]
fn the_spread_is_half_the_range() {
    assert_eq!(spread([90.0, 100.0, 110.0].into_iter()), 10.0);
    assert_eq!(spread([5.0].into_iter()), 0.0);
    assert_eq!(with_spread(&[90.0, 100.0, 110.0], 0), "100 ±10 %");
    assert_eq!(with_spread(&[0.25], 2), "0.25");
}

#[test]
fn a_table_is_aligned() {
    let lines = [vec!["redis".to_owned(), "8.36".to_owned()], vec!["l1".to_owned()]];
    let text = markdown(&["row", "CPU"], &lines);
    assert_eq!(text, "| row   |  CPU |\n| ----- | ---: |\n| redis | 8.36 |\n| l1    |      |\n");
}

#[test]
fn numbers_are_as_long_as_they_deserve() {
    assert_eq!([0.4321, 99.5, 123.45, 98_765.4].map(readable), ["0.43", "99.50", "123.5", "98765"]);
}

#[test]
fn ticks_are_found_behind_any_name() {
    let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 123 456 7 8 20 0 4 0 99 1 2 3";
    assert_eq!(ticks(stat), Some([123.0, 456.0]));
    assert_eq!(ticks("42 (short) S 1"), None);
}

#[test]
fn the_time_on_a_cpu_comes_first() {
    assert_eq!(on_cpu("51646123 200 17\n"), Some(51_646_123));
    assert_eq!(on_cpu(""), None);
}

#[test]
fn the_total_is_divided_as_the_ticks_are() {
    let cpu = Cpu { total: 1000.0, user: 10_000.0, system: 30_000.0 };
    assert_eq!(cpu.split(), Cpu { total: 1000.0, user: 250.0, system: 750.0 });
    let idle = Cpu { total: 8.0, user: 0.0, system: 0.0 };
    assert_eq!(idle.split().total, 8.0);
}

const REPORT: &str = "\
====== GET ======
  80000 requests completed in 0.85 seconds
  50 parallel clients
  64 bytes payload

Latency by percentile distribution:
0.000% <= 0.103 milliseconds (cumulative count 2)
50.000% <= 0.247 milliseconds (cumulative count 40770)
99.805% <= 0.615 milliseconds (cumulative count 79849)
99.902% <= 0.759 milliseconds (cumulative count 79923)
100.000% <= 1.503 milliseconds (cumulative count 80000)

Cumulative distribution of latencies:
0.000% <= 0.103 milliseconds (cumulative count 2)
99.999% <= 1.607 milliseconds (cumulative count 80000)

Summary:
  throughput summary: 94339.62 requests per second
  latency summary (msec):
      avg       min       p50       p95       p99       max
    0.268     0.096     0.247     0.383     0.463     1.503
";

#[test]
fn a_report_is_read() {
    let figures = Figures { rate: 94_339.62, p50: 247.0, p99: 463.0, p999: 759.0 };
    assert_eq!(report::redis_benchmark(REPORT), Some(figures));
}

#[test]
fn a_report_that_broke_off_is_none() {
    let cut = REPORT.find("Summary").expect("it is there");
    assert_eq!(report::redis_benchmark(&REPORT[..cut]), None);
    assert_eq!(report::redis_benchmark("Error: Connection reset by peer\n"), None);
}

#[test]
fn info_tells_hits_and_misses() {
    assert_eq!(report::l1("# Nearcache\r\nl1_entries:7\r\nl1_hits:998\r\nl1_misses:2\r\n"), Some((998, 2)));
    assert_eq!(report::l1("# Server\r\nredis_version:7.0.15\r\n"), None);
}

#[test]
fn the_program_is_found_in_cargos_messages() {
    let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/release/nearcache\",\"fresh\":true}\n\
        {\"reason\":\"build-finished\",\"success\":true}\n";
    assert_eq!(report::executable(messages), Some("/t/release/nearcache"));
    assert_eq!(report::executable("{\"reason\":\"build-finished\",\"success\":false}\n"), None);
}

fn named(wanted: &[&str]) -> Vec<&'static str> {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    rows::all().iter().filter(|row| row.is_named(&wanted)).map(|row| row.name).collect()
}

#[test]
fn rows_are_named_by_name_beginning_and_group() {
    assert_eq!(named(&["get-p1"]), ["get-p1"], "and not get-p16");
    assert_eq!(named(&["set", "mix50"]), ["set-p1", "set-p16", "set-p64", "mix50-p1", "mix50-p16"]);
    assert!(named(&["memory"]).iter().all(|name| name.starts_with("m-")));
    assert!(named(&["aims"]).contains(&"get-c1000-p1") && !named(&["aims"]).contains(&"get-1k"));
    assert_eq!(named(&["proxy", "memory"]).len(), rows::all().len());
    assert!(named(&["ge", ""]).is_empty());
}

#[test]
fn no_two_rows_have_one_name() {
    let mut names: Vec<_> = rows::all().iter().map(|row| row.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn a_row_says_what_it_is() {
    let says = |name| rows::all().iter().find(|row| row.name == name).expect("it is there").describe();
    assert_eq!(says("get-p16"), "GET, 64 B, 50 clients, pipeline 16, 10000 keys");
    assert_eq!(says("get-paced"), "GET, Zipf, 10000 requests/s, 64 B, 50 clients, pipeline 1, 10000 keys");
}

/// One run with this much CPU, of which `own` is the target's, and this latency.
fn run(whole: f64, own: f64, latency: f64) -> Vec<Run> {
    let cpu = |total| Cpu { total, user: 0.0, system: 0.0 };
    let load = Figures { rate: 1.0, p50: latency, p99: latency, p999: latency };
    vec![Run { load, own: cpu(own), whole: cpu(whole), hits: None }]
}

fn find<'a>(checks: &'a [Check], what: &str) -> &'a Check {
    checks.iter().find(|check| check.what.starts_with(what)).expect("it is said")
}

#[test]
fn rows_are_held_against_redis_and_nutcracker() {
    let p1: Results = vec![
        ("redis", run(8.0, 8.0, 100.0)),
        ("nutcracker", run(12.0, 6.0, 200.0)),
        ("l1", run(6.0, 6.0, 80.0)),
        ("l1-off", run(11.0, 3.0, 150.0)),
    ];
    let c8: Results = vec![
        ("redis", run(8.0, 8.0, 20.0)),
        ("nutcracker", run(8.0, 8.0, 45.0)),
        ("l1-off", run(8.0, 8.0, 50.0)),
    ];
    let checks = of_rows(&[("get-p1", &p1), ("get-c8-p1", &c8)]);
    let hit = find(&checks, "CPU per hit, pipeline 1,");
    assert_eq!((hit.measured, hit.bound), (0.75, 0.92));
    assert_eq!(find(&checks, "p99 of hits, pipeline 1,").measured, 0.8);
    assert_eq!(find(&checks, "CPU of the proxy alone per miss, pipeline 1,").measured, 0.5);
    let added = find(&checks, "p50 that a miss adds");
    assert_eq!((added.measured, added.bound), (30.0, 25.0));
    assert_eq!(checks.len(), 4, "what was not measured is not said");
    assert!(checks::table(&checks).contains("| 25.00 µs |  no |"), "{}", checks::table(&checks));
}

#[test]
fn a_target_that_failed_meets_nothing() {
    let p1: Results = vec![("redis", run(8.0, 8.0, 100.0)), ("l1", Vec::new())];
    assert_eq!(of_rows(&[("get-p1", &p1)]), []);
}

#[test]
fn footprints_are_nearcaches() {
    let of = |name, each| Footprint {
        name,
        start_ms: 5.0,
        resident: 8_400_000,
        binary: Some(16_000_000),
        clients: 10_000,
        each,
    };
    let checks = of_footprints(&[of("redis", 1), of("l1", 8_000)]);
    assert_eq!(find(&checks, "memory per idle client").measured, 8.0);
    assert!(checks::table(&checks).contains("| 16.00 MB | 15.00 MB |  no |"), "{}", checks::table(&checks));
    assert!(of_footprints(&[of("redis", 1)]).is_empty());
}
