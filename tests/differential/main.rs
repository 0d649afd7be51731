//! Differential tests: generated commands go to Redis and to a subject, and every reply must be the same.
//!
//! `NEARCACHE_DIFF_COMMANDS` sets how many commands are sent in all, `NEARCACHE_DIFF_SEED` replaces the seeds:
//! two that are always the same, and one that is drawn, except where CI is set.
//! A failure prints its seed, what the client had sent, both replies, and a shortened reproduction.
//! `NEARCACHE_DIFF_REPORTS` sets after how many differences to stop.
//! To test something else than the proxy, make a `Subject` of it and pass it to `compare`.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(missing_docs, reason = "test names are sentences")]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod coverage;
mod grammar;
mod memory;
mod play;
mod rules;
mod sequence;
mod shrink;
mod table;
mod table_data;
mod table_server;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use coverage::Coverage;
use nearcache::stats::Served;
use play::{Arena, Difference, SERVER_ARGS};
use sequence::{Generator, Sequence};
use support::link::Direction;
use support::redis::RedisServer;
use support::subject::Subject;

/// Commands in all, unless the environment says otherwise.
const COMMANDS: usize = 100_000;
/// Commands between two comparisons of the data.
const SEQUENCE: usize = 1_000;
/// Pipelining depths: none, a little, and deep.
const DEPTHS: &[usize] = &[1, 7, 100, 1_000];
/// The seeds of every run; one more is drawn and printed.
const SEEDS: &[u64] = &[1, 2];

/// What a DUMP of a stream begins with.
const STREAM_PAYLOAD: u8 = 19;

/// What a comparison found.
struct Outcome {
    coverage: Coverage,
    failures: Vec<Failure>,
}

struct Failure {
    report: String,
    shortest: Option<usize>,
}

impl Outcome {
    fn assert_same(&self) {
        let reports: Vec<&str> = self.failures.iter().map(|failure| failure.report.as_str()).collect();
        assert!(reports.is_empty(), "{} differences\n\n{}", reports.len(), reports.join("\n"));
    }
}

#[test]
fn the_subject_answers_as_redis_does() {
    let commands = env("NEARCACHE_DIFF_COMMANDS").unwrap_or(COMMANDS as u64) as usize;
    let seeds = seeds();
    println!("seeds {seeds:?}, {commands} commands");
    let begun = Instant::now();
    // L1 takes whatever it may, and a part of what it serves is read upstream as well and compared.
    let options = [
        ("server.admin_commands", "allow"),
        ("cache.admission", "always"),
        ("cache.admit_after", "1"),
        ("cache.verify", "0.2"),
    ];
    let subject = Subject::proxy(SERVER_ARGS, &options);
    let stats = subject.stats().expect("it is a proxy");
    let outcome = compare(subject, &seeds, commands, env("NEARCACHE_DIFF_REPORTS").unwrap_or(5) as usize);
    outcome.assert_same();
    println!("{}\nin {:.1?}", outcome.coverage, begun.elapsed());
    let hits = stats.snapshot().totals.served[Served::Hit as usize].count();
    let (checked, wrong) = (stats.l1.checked.get(), stats.l1.checked_wrong.get());
    println!("{hits} hits, {checked} compared with Redis, {wrong} wrong");
    assert_eq!(wrong, 0);
    assert!(commands < COMMANDS || (hits > 500 && checked > 50), "L1 was hardly asked");
    let gaps = outcome.coverage.gaps();
    assert!(commands < COMMANDS || gaps.is_empty(), "not covered:\n  {}", gaps.join("\n  "));
}

#[test]
fn redis_does_not_differ_from_itself() {
    compare(Subject::redis(SERVER_ARGS), SEEDS, 10_000, 1).assert_same();
}

#[test]
fn every_command_of_redis_has_a_row_or_a_reason() {
    let redis = RedisServer::start(&[]);
    let list = redis.client().call(&["COMMAND", "LIST"]).unwrap();
    let all: BTreeSet<String> =
        list.items().iter().map(|name| String::from_utf8(name.text().unwrap().to_vec()).unwrap()).collect();
    assert!(all.len() > 350, "COMMAND LIST has {} names", all.len());
    let containers: BTreeSet<&str> = all.iter().filter_map(|name| Some(name.split_once('|')?.0)).collect();
    let rows = table::rows();
    let rows: BTreeSet<&str> =
        rows.iter().map(|row| row.name).filter(|name| !name.starts_with('(')).collect();
    let excluded: BTreeSet<&str> = table::excluded().iter().map(|excluded| excluded.name).collect();
    let both: Vec<_> = rows.intersection(&excluded).collect();
    assert!(both.is_empty(), "both in the table and excluded: {both:?}");
    let ours: BTreeSet<&str> = rows.union(&excluded).copied().collect();
    let theirs: BTreeSet<&str> = all
        .iter()
        .map(String::as_str)
        .filter(|name| *name == "command" || !containers.contains(name))
        .collect();
    let missing: Vec<_> = theirs.difference(&ours).collect();
    let unknown: Vec<_> = ours.difference(&theirs).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "without a row: {missing:?}; not in Redis: {unknown:?}"
    );
}

#[test]
fn what_is_excluded_is_tested_elsewhere() {
    for excluded in table::excluded().iter().chain(memory::ITS_OWN) {
        assert!(!excluded.reason.is_empty(), "{}", excluded.name);
        let (file, test) = excluded.covered_by.split_once("::").unwrap();
        let path = format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {path}: {error}", excluded.name));
        assert!(source.contains(&format!("fn {test}(")), "{}: no {test} in {path}", excluded.name);
        let word = excluded.name.split('|').next_back().unwrap().to_ascii_uppercase();
        assert!(source.contains(&word), "{}: {path} never says {word}", excluded.name);
    }
}

#[test]
fn a_subject_that_errs_once_in_a_while_is_found_out() {
    let subject = Subject::tampered(SERVER_ARGS, || {
        let mut replies = 0;
        Box::new(move |direction, bytes| {
            replies += usize::from(direction == Direction::Down);
            if replies == 60 && direction == Direction::Down && bytes.len() > 3 {
                let at = bytes.len() - 3;
                bytes[at] ^= 1;
            }
        })
    });
    let failure = compare(subject, &[5], 2_000, 1).failures.pop().expect("a flipped bit went unnoticed");
    assert!(failure.report.contains("seed 5"), "{}", failure.report);
}

#[test]
fn a_wrong_command_is_shrunk_to_a_short_reproduction() {
    let subject = Subject::tampered(SERVER_ARGS, || {
        Box::new(|direction, bytes| {
            if direction == Direction::Up {
                replace(bytes, b"STRLEN", b"EXISTS");
            }
        })
    });
    let failure =
        compare(subject, &[6], 4_000, 1).failures.pop().expect("STRLEN answered as EXISTS went unnoticed");
    println!("{}", failure.report);
    assert!(failure.shortest.is_some_and(|commands| commands <= 4), "{}", failure.report);
}

#[test]
fn data_that_differ_behind_equal_replies_are_found() {
    let subject = Subject::tampered(SERVER_ARGS, || {
        Box::new(|direction, bytes| {
            if direction == Direction::Up {
                replace(bytes, b"hello world", b"HELLO WORLD");
            }
        })
    });
    let arena = Arena::new(subject);
    let rows = table::rows().into_iter().filter(|row| row.name == "set").collect();
    let mut generator = Generator::new(rows, arena.pools());
    let mut coverage = Coverage::of(&generator);
    let mut sequence = generator.sequence(1, 2, 7, 7);
    for cmd in sequence.batches.iter_mut().flat_map(|batch| batch.units.iter_mut().flatten()) {
        cmd.args = vec![b"SET".to_vec(), b"s1".to_vec(), b"hello world".to_vec()];
    }
    let difference = arena.play(&sequence, &generator, &mut coverage).unwrap_err();
    assert!(matches!(&difference, Difference::Data(text) if text.contains("HELLO")), "{difference:?}");
}

/// Plays `commands` commands over all protocols and depths, spread over the seeds. A command whose reply
/// differs is left out from then on, so that one run shows up to `reports` different differences.
fn compare(subject: Subject, seeds: &[u64], commands: usize, reports: usize) -> Outcome {
    let mut arena = Arena::new(subject);
    let mut rows = table::rows();
    rows.retain(|row| arena.subject().knows(row.name));
    let mut pools = arena.pools();
    if arena.subject().data().is_none() {
        // The memory engine has no payloads of streams.
        pools.payloads.retain(|payload| payload[0] != STREAM_PAYLOAD);
    }
    let mut generator = Generator::new(rows.clone(), pools.clone());
    let mut outcome = Outcome { coverage: Coverage::of(&generator), failures: Vec::new() };
    let mut round = 0;
    while outcome.coverage.replies < commands {
        let mode = round as usize % (2 * DEPTHS.len());
        let seed = seeds[(round as usize / (2 * DEPTHS.len())) % seeds.len()];
        let (proto, depth) = (2 + (mode % 2) as u8, DEPTHS[mode / 2]);
        let sequence = generator.sequence(seed.wrapping_add(round << 32), proto, depth, SEQUENCE);
        if let Err(difference) = arena.play(&sequence, &generator, &mut outcome.coverage) {
            outcome.failures.push(explain(&mut arena, &generator, &sequence, &difference, seed));
            let differing = difference.row(&sequence).map(|row| generator.rows()[row].name);
            let before = rows.len();
            rows.retain(|row| Some(row.name) != differing);
            if outcome.failures.len() >= reports || rows.len() == before {
                break;
            }
            generator = Generator::new(rows.clone(), pools.clone());
        }
        round += 1;
    }
    outcome
}

fn explain(
    arena: &mut Arena,
    generator: &Generator,
    whole: &Sequence,
    found: &Difference,
    seed: u64,
) -> Failure {
    let mut report = format!(
        "a difference: seed {seed} (sequence {:#x}, RESP{}, batches of {})\n",
        whole.seed, whole.proto, whole.depth
    );
    let mut sequence = whole.clone();
    if let Difference::Reply { at, .. } | Difference::Silence { at, .. } = found {
        report.push_str(&history(whole, *at));
        sequence.batches.truncate(at.0 + 1);
    }
    let _ = writeln!(report, "{found}");
    let patience = arena.set_patience(Duration::from_secs(2));
    let mut unused = Coverage::of(generator);
    let shorter = shrink::shrink(&sequence, |candidate| {
        // Both sides wait when a shortened transaction leaves a blocking command alone: no difference.
        match arena.play(candidate, generator, &mut unused) {
            Err(Difference::Silence { side, .. }) => side == "the subject",
            result => result.is_err(),
        }
    });
    let shortest = shorter.as_ref().map(Sequence::len);
    match shorter {
        Some(shorter) => {
            let _ = writeln!(
                report,
                "shortest reproduction (a batch begins where a client is named):\n{shorter}"
            );
            if let Err(again) = arena.play(&shorter, generator, &mut unused) {
                let _ = writeln!(report, "{again}");
            }
        }
        None => {
            report.push_str("the same commands again show no difference: a matter of timing, or of chance\n")
        }
    }
    arena.set_patience(patience);
    Failure { report, shortest }
}

/// What that client sent last before the command at `at`.
fn history(sequence: &Sequence, at: (usize, usize)) -> String {
    let client = sequence.batches[at.0].client;
    let own = sequence.batches[..=at.0].iter().enumerate().filter(|(_, batch)| batch.client == client);
    let cmds: Vec<_> = own
        .flat_map(|(i, batch)| batch.units.iter().flatten().take(if i == at.0 { at.1 } else { usize::MAX }))
        .collect();
    let mut text = format!("client {client} had sent\n");
    for cmd in cmds.iter().rev().take(12).rev() {
        let _ = writeln!(text, "  {cmd}");
    }
    text.push_str("and then ");
    text
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}

/// The usual ones and one that is drawn; in CI no drawn one, so that a change is not held up by what another
/// has done.
fn seeds() -> Vec<u64> {
    if let Some(seed) = env("NEARCACHE_DIFF_SEED") {
        return vec![seed];
    }
    let drawn = std::collections::hash_map::RandomState::new();
    let drawn = std::hash::BuildHasher::hash_one(&drawn, 0) >> 32;
    if std::env::var_os("CI").is_some() { SEEDS.to_vec() } else { [SEEDS, &[drawn]].concat() }
}

fn env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}
