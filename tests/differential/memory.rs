//! The proxy without an upstream: its memory engine answers as Redis does.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Instant;

use crate::support::proxy::Proxy;
use crate::support::subject::Subject;
use crate::{COMMANDS, SEEDS, compare, env};

/// What it is asked: the commands that it lists, but for some.
static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();

/// Commands that it has and whose replies are its own.
const ITS_OWN: &[&str] = &[
    // Fewer commands, parameters and numbers than Redis has.
    "command",
    "command|count",
    "command|docs",
    "command|info",
    "command|list",
    "acl|cat",
    "config|get",
    "config|set",
    "config|rewrite",
    // Another order of fields, and with it another length.
    "dump",
    // The payloads are of all types, also of those that it does not have.
    "restore",
    // Redis takes an error for its own that another command has left behind in errno, and changes how a
    // sorted set is kept by sorting it.
    "sort",
    "sort_ro",
    // Redis guesses keys where XREAD would refuse its arguments.
    "command|getkeys",
    // Redis sorts by distance with an unstable sort: which of several members equally far away COUNT leaves
    // is chance.
    "georadius",
    "georadius_ro",
    "georadiusbymember",
    "georadiusbymember_ro",
    "geosearch",
    "geosearchstore",
    // Consumer groups need an upstream.
    "xack",
    "xautoclaim",
    "xclaim",
    "xgroup|create",
    "xgroup|createconsumer",
    "xgroup|delconsumer",
    "xgroup|destroy",
    "xgroup|help",
    "xgroup|setid",
    "xinfo|consumers",
    "xinfo|groups",
    "xpending",
    "xreadgroup",
    "command|getkeysandflags",
];

#[test]
fn without_an_upstream_the_proxy_answers_as_redis_does() {
    let commands = env("NEARCACHE_DIFF_COMMANDS").unwrap_or(COMMANDS as u64) as usize;
    let reports = env("NEARCACHE_DIFF_REPORTS").unwrap_or(5) as usize;
    let seeds = env("NEARCACHE_DIFF_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed]);
    let begun = Instant::now();
    let proxy = Proxy::with(&[("memory.eviction", "noeviction")]);
    let list = proxy.client().call(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "*"]).unwrap();
    let names = list.items().iter().filter_map(|name| name.text());
    let names: BTreeSet<String> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    assert!(names.len() > 200, "only {} commands", names.len());
    KNOWN.set(names).unwrap();
    let knows =
        |name: &str| name.starts_with('(') || KNOWN.get().unwrap().contains(name) && !ITS_OWN.contains(&name);
    let subject = Subject::other(proxy.addr(), None, Box::new(proxy), knows);
    let outcome = compare(subject, &seeds, commands, reports);
    println!("{}\nin {:.1?}", outcome.coverage, begun.elapsed());
    outcome.assert_same();
}
