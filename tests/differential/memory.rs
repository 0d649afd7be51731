//! The proxy without an upstream: its memory engine answers as Redis does.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Instant;

use crate::support::proxy::Proxy;
use crate::support::subject::Subject;
use crate::table::{self, Excluded};
use crate::{compare, env, seeds};

/// Commands in all, unless the environment says otherwise: without a Redis behind it they take half the time.
const COMMANDS: usize = 240_000;

/// What it is asked: the commands that it lists, but for some.
static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();

const fn its_own(name: &'static str, reason: &'static str, covered_by: &'static str) -> Excluded {
    Excluded { name, reason, covered_by }
}

const FEWER: &str = "it has fewer commands, parameters and words about them than Redis";
const DESCRIBED: &str = "memory_proxy::commands_are_described_as_redis_describes_them";
const COUNTED: &str = "memory_proxy::commands_are_counted_and_documented";
const SAID: &str = "memory_proxy::what_is_said_of_the_server_is_what_redis_says";

/// Commands that it has and whose replies are its own.
pub const ITS_OWN: &[Excluded] = &[
    its_own("command", FEWER, DESCRIBED),
    its_own("command|count", FEWER, COUNTED),
    its_own("command|docs", FEWER, COUNTED),
    its_own("command|list", FEWER, DESCRIBED),
    its_own("acl|cat", FEWER, SAID),
    its_own("config|get", FEWER, SAID),
    its_own("config|set", FEWER, SAID),
    its_own("config|rewrite", "there is no file that it could write", SAID),
    its_own(
        "dump",
        "plain encodings, other bytes: what counts is what they restore to",
        "memory/generic::dumps_are_redis_s",
    ),
];

/// Commands of later versions than the one that it is compared with.
const NEWER: &[&str] = &["client|no-touch", "client|setinfo"];

/// What the proxy says that it knows.
fn listed(proxy: &Proxy) -> BTreeSet<String> {
    let list = proxy.client().call(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "*"]).unwrap();
    let names = list.items().iter().filter_map(|name| name.text());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[test]
fn without_an_upstream_the_proxy_answers_as_redis_does() {
    let commands = env("NEARCACHE_DIFF_COMMANDS").unwrap_or(COMMANDS as u64) as usize;
    let reports = env("NEARCACHE_DIFF_REPORTS").unwrap_or(5) as usize;
    let seeds = seeds();
    println!("seeds {seeds:?}, {commands} commands");
    let begun = Instant::now();
    let proxy = Proxy::with(&[("memory.eviction", "noeviction")]);
    KNOWN.set(listed(&proxy)).unwrap();
    let knows = |name: &str| {
        let own = ITS_OWN.iter().any(|excluded| excluded.name == name);
        name.starts_with('(') || KNOWN.get().unwrap().contains(name) && !own
    };
    let subject = Subject::other(proxy.addr(), None, Box::new(proxy), knows);
    let outcome = compare(subject, &seeds, commands, reports);
    println!("{}\nin {:.1?}", outcome.coverage, begun.elapsed());
    outcome.assert_same();
    let gaps = outcome.coverage.gaps();
    assert!(commands < COMMANDS || gaps.is_empty(), "not covered:\n  {}", gaps.join("\n  "));
}

#[test]
fn every_command_that_works_without_an_upstream_is_compared_or_excused() {
    let listed = listed(&Proxy::with(&[]));
    assert!(listed.len() > 200, "only {} commands", listed.len());
    let containers: BTreeSet<&str> = listed
        .iter()
        .filter_map(|name| Some(name.split_once('|')?.0))
        .filter(|name| *name != "command")
        .collect();
    let rows: BTreeSet<&str> = table::rows().iter().map(|row| row.name).collect();
    let excused = table::excluded().iter().chain(ITS_OWN);
    let excused: BTreeSet<&str> = excused.map(|excluded| excluded.name).collect();
    let forgotten: Vec<_> = listed
        .iter()
        .map(String::as_str)
        .filter(|name| !containers.contains(name) && !name.starts_with("nearcache"))
        .filter(|name| !rows.contains(name) && !excused.contains(name) && !NEWER.contains(name))
        .collect();
    assert!(forgotten.is_empty(), "neither compared nor excused: {forgotten:?}");
    let unknown: Vec<_> = ITS_OWN.iter().map(|own| own.name).filter(|name| !listed.contains(*name)).collect();
    assert!(unknown.is_empty(), "excused, but not there: {unknown:?}");
}
