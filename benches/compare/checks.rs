//! What nearcache aims at, and whether these measurements meet it. Nothing fails by it: a shared machine is no
//! judge, people are.

use crate::figures::{CPU, Figure, OWN, P50, P99, Results, markdown, of};

/// What a program costs before it does anything.
pub struct Footprint {
    /// Its name in tables.
    pub name: &'static str,
    /// Milliseconds from its start to its first reply.
    pub start_ms: f64,
    /// Bytes in memory then.
    pub resident: u64,
    /// Bytes of its file.
    pub binary: Option<u64>,
    /// Idle clients that it held.
    pub clients: usize,
    /// Bytes of memory for each of them.
    pub each: u64,
}

/// One aim.
#[derive(Debug, PartialEq)]
pub struct Check {
    /// What is measured.
    pub what: String,
    /// What came out.
    pub measured: f64,
    /// The most that it should be.
    pub bound: f64,
    /// Of both numbers.
    pub unit: &'static str,
}

/// CPU time of a hit, as a share of what Redis takes for the same GET.
const HITS: [(&str, &str, f64); 3] =
    [("get-p1", "pipeline 1", 0.92), ("get-p16", "pipeline 16", 0.70), ("get-p64", "pipeline 64", 0.40)];

/// What the rows say, by name; of rows or targets that were not measured nothing is said.
pub fn of_rows(rows: &[(&str, &Results)]) -> Vec<Check> {
    let value = |row: &str, target: &str, figure: Figure| {
        let (_, results) = rows.iter().find(|(name, _)| *name == row)?;
        of(results, target, figure)
    };
    let ratio = |figure: Figure, (row, target): (&str, &str), (other_row, other): (&str, &str)| {
        Some(value(row, target, figure)? / value(other_row, other, figure)?)
    };
    let mut checks = Vec::new();
    let mut times = |what: String, measured: Option<f64>, bound: f64| {
        checks.extend(measured.map(|measured| Check { what, measured, bound, unit: "×" }));
    };
    for (row, load, bound) in HITS {
        times(format!("CPU per hit, {load}, to Redis's"), ratio(CPU, (row, "l1"), (row, "redis")), bound);
    }
    let paced = ("get-paced", "10,000 requests/s");
    for (row, load) in HITS.map(|(row, load, _)| (row, load)).into_iter().chain([paced]) {
        times(format!("p99 of hits, {load}, to Redis's"), ratio(P99, (row, "l1"), (row, "redis")), 1.0);
    }
    for (row, load) in HITS.map(|(row, load, _)| (row, load)) {
        let what = format!("CPU of the proxy alone per miss, {load}, to nutcracker's");
        times(what, ratio(OWN, (row, "l1-off"), (row, "nutcracker")), 1.0);
    }
    for (row, load) in [("set-p1", "pipeline 1"), ("set-p16", "pipeline 16"), ("set-p64", "pipeline 64")] {
        let what = format!("CPU of the proxy alone per SET, {load}, to nutcracker's");
        times(what, ratio(OWN, (row, "l1"), (row, "nutcracker")), 1.0);
    }
    let busy = ratio(CPU, ("get-c1000-p1", "l1"), ("get-p1", "l1"));
    let redis = ratio(CPU, ("get-c1000-p1", "redis"), ("get-p1", "redis"));
    let what = format!("CPU per hit, 1,000 busy clients to 50 (Redis: {:.2})", redis.unwrap_or(f64::NAN));
    times(what, busy, 1.0);
    for (row, load) in [("get-c8-p1", "8 clients"), paced] {
        let added = |target| Some(value(row, target, P50)? - value(row, "redis", P50)?);
        if let (Some(measured), Some(bound)) = (added("l1-off"), added("nutcracker")) {
            let what = format!("p50 that a miss adds to Redis's, {load}, bound: nutcracker's");
            checks.push(Check { what, measured, bound, unit: "µs" });
        }
    }
    checks
}

/// What starting and idle clients say.
pub fn of_footprints(footprints: &[Footprint]) -> Vec<Check> {
    let Some(l1) = footprints.iter().find(|footprint| footprint.name == "l1") else { return Vec::new() };
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let check = |what: &str, measured, bound, unit| Check { what: what.to_owned(), measured, bound, unit };
    let mut checks = vec![
        check("start to first reply", l1.start_ms, 50.0, "ms"),
        check("resident memory at start", mega(l1.resident), 15.0, "MB"),
        check(&format!("memory per idle client, {} of them", l1.clients), l1.each as f64 / 1e3, 20.0, "KB"),
    ];
    checks.extend(l1.binary.map(|binary| check("release binary", mega(binary), 15.0, "MB")));
    checks
}

/// As a table.
pub fn table(checks: &[Check]) -> String {
    let line = |check: &Check| {
        let Check { what, measured, bound, unit } = check;
        let met = if measured <= bound { "yes" } else { "no" };
        vec![what.clone(), format!("{measured:.2} {unit}"), format!("{bound:.2} {unit}"), met.into()]
    };
    let lines: Vec<_> = checks.iter().map(line).collect();
    format!("### aims\n\n{}", markdown(&["what", "measured", "at most", "met"], &lines))
}
