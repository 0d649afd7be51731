//! How fast is the near cache? Hits, and the way in and out of a full cache, from one thread and from several
//! at once.

#![allow(missing_docs)] // criterion's macros make undocumented functions

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearcache::near::{Absence, Config, LaneId, Looked, Near, ReadOf, Settings};
use nearcache::resp::Args;
use nearcache::store::{Admission, EntryKey};
use std::hint::black_box;
use std::time::{Duration, Instant};

const KEYS: usize = 100_000;

fn near(max_memory: usize) -> Near<()> {
    let admission = Admission::Frequency { admit_after: 1 };
    let near = Near::new(Config { max_memory, admission, ..Config::default() });
    near.open(LaneId(0), true);
    near
}

fn read_of(key: &[u8]) -> ReadOf<'_> {
    let key = EntryKey { identity: 0, db: 0, command: 0, key, rest: Args::new(&[], &[]) };
    ReadOf {
        lane: LaneId(0),
        key,
        settings: Settings::default(),
        unanswered: None,
        asked: u64::MAX,
        fenced: false,
    }
}

/// Reads a key through; true for a hit.
fn read(near: &Near<()>, key: &[u8], reply: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    match near.read(&read_of(key), 1, || (), |reply| out.extend_from_slice(reply)) {
        Looked::Hit => true,
        Looked::Fetch(flight) => {
            near.appended(flight, 1, 1);
            let _ = near.replied(flight, reply, Absence::Present);
            let _ = near.ttl_replied(flight, Some(-1), 1);
            false
        }
        _ => false,
    }
}

fn keys(n: usize) -> Vec<[u8; 16]> {
    let mut keys = Vec::with_capacity(n);
    for i in 0..n {
        let mut key = [0; 16];
        key.copy_from_slice(format!("key:{i:012}").as_bytes());
        keys.push(key);
    }
    fastrand::Rng::with_seed(1).shuffle(&mut keys);
    keys
}

fn reply() -> Vec<u8> {
    format!("$64\r\n{}\r\n", "v".repeat(64)).into_bytes()
}

fn filled(keys: &[[u8; 16]]) -> Near<()> {
    let near = near(256 << 20);
    keys.iter().for_each(|key| _ = read(&near, key, &reply(), &mut Vec::new()));
    near
}

fn hits(c: &mut Criterion) {
    let mut group = c.benchmark_group("hit");
    group.throughput(Throughput::Elements(1));
    for (name, count) in
        [("10 hot keys", 10), ("10k keys", 10_000), ("100k keys", KEYS), ("1M keys", 1_000_000)]
    {
        let keys = keys(count);
        let near = filled(&keys);
        let mut out = Vec::new();
        let mut rng = fastrand::Rng::with_seed(2);
        group.bench_function(name, |b| {
            b.iter(|| black_box(read(&near, &keys[rng.usize(..count)], b"", &mut out)))
        });
    }
    group.finish();
}

/// Every thread hits the same keys; the time is per hit of one thread.
fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("hit contended");
    group.throughput(Throughput::Elements(1));
    for (name, count) in [("1 key", 1), ("100k keys", KEYS)] {
        let keys = keys(count);
        let near = filled(&keys);
        for threads in [2, 4] {
            group.bench_function(format!("{name}, {threads} threads"), |b| {
                b.iter_custom(|iters| race(&near, &keys, b"", threads, iters))
            });
        }
    }
    group.finish();
}

/// Every thread fetches, stores and evicts keys of the same large set; the time is per key of one thread.
fn inserts_contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("miss contended");
    group.throughput(Throughput::Elements(1));
    let (keys, reply) = (keys(KEYS * 4), reply());
    for threads in [1, 2, 4] {
        let near = near(16 << 20);
        group.bench_function(format!("fetch, store and evict, {threads} threads"), |b| {
            b.iter_custom(|iters| race(&near, &keys, &reply, threads, iters))
        });
    }
    group.finish();
}

/// Each thread reads the keys in its own part of the same round.
fn race(near: &Near<()>, keys: &[[u8; 16]], reply: &[u8], threads: usize, iters: u64) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let mut out = Vec::new();
                for i in 0..iters as usize {
                    let at = i + thread * keys.len() / threads;
                    black_box(read(near, &keys[at % keys.len()], reply, &mut out));
                }
            });
        }
    });
    start.elapsed()
}

fn fill_and_evict(c: &mut Criterion) {
    let mut group = c.benchmark_group("miss");
    group.throughput(Throughput::Elements(1));
    let keys = keys(KEYS * 4);
    let near = near(16 << 20);
    let (mut out, mut at, reply) = (Vec::new(), 0, reply());
    group.bench_function("fetch, store and evict", |b| {
        b.iter(|| {
            at = (at + 1) % keys.len();
            black_box(read(&near, &keys[at], &reply, &mut out))
        })
    });
    let near = filled(&keys[..KEYS]);
    group.bench_function("write of a cached key", |b| {
        b.iter(|| {
            at = (at + 1) % KEYS;
            let write = near.write_begin(&keys[at]);
            near.write_end(black_box(write));
        })
    });
    group.finish();
}

criterion_group!(benches, hits, contended, fill_and_evict, inserts_contended);
criterion_main!(benches);
