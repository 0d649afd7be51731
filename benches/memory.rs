//! What one command costs in the memory engine, without network, and what a second thread adds.

#![allow(missing_docs, reason = "criterion's macros make functions without")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearcache::memory::{Caller, Engine, EngineConfig, Eviction};
use nearcache::resp::ArgVec;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: usize = 1_000_000;

fn engine(max_memory: usize) -> Arc<Engine> {
    let config = EngineConfig { max_memory, eviction: Eviction::Lru, ..EngineConfig::default() };
    Engine::new(config, Arc::new(|| 1_700_000_000_000))
}

fn args(line: &str) -> ArgVec {
    line.split(' ').collect()
}

fn run(engine: &Arc<Engine>, requests: &[ArgVec], out: &mut BytesMut) {
    let mut caller = Caller::default();
    for request in requests {
        out.clear();
        black_box(engine.execute(&mut caller, request.args(), out));
    }
}

/// A thousand requests on random keys, made before they are timed.
fn requests(make: impl Fn(usize) -> String) -> Vec<ArgVec> {
    (0..1000).map(|_| args(&make(fastrand::usize(0..KEYS)))).collect()
}

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("command");
    group.throughput(Throughput::Elements(1000)).measurement_time(Duration::from_secs(3));
    for (name, limit) in [("unlimited", 0), ("lru", 1 << 30)] {
        let engine = engine(limit);
        let mut out = BytesMut::new();
        for n in 0..KEYS {
            run(&engine, &[args(&format!("SET key:{n} value:{n}"))], &mut out);
        }
        let cases: [(&str, Vec<ArgVec>); 6] = [
            ("get", requests(|n| format!("GET key:{n}"))),
            ("set", requests(|n| format!("SET key:{n} value:{n}"))),
            ("incr", requests(|n| format!("INCR counter:{}", n % 1000))),
            (
                "mget10",
                requests(|n| {
                    format!("MGET{}", (0..10).map(|i| format!(" key:{}", n ^ i)).collect::<String>())
                }),
            ),
            ("hset", requests(|n| format!("HSET hash field:{n} value"))),
            (
                "push+pop",
                requests(|n| if n % 2 == 0 { "LPUSH list element".into() } else { "RPOP list".into() }),
            ),
        ];
        for (case, requests) in &cases {
            group.bench_function(format!("{case}/{name}"), |b| b.iter(|| run(&engine, requests, &mut out)));
        }
    }
    group.finish();
}

/// The same work on more threads: independent keys must not wait for each other.
fn threads(c: &mut Criterion) {
    let engine = engine(0);
    let mut out = BytesMut::new();
    for n in 0..KEYS {
        run(&engine, &[args(&format!("SET key:{n} value:{n}"))], &mut out);
    }
    let mut group = c.benchmark_group("threads");
    for threads in [1, 2, 4] {
        group.throughput(Throughput::Elements(1000 * threads));
        group.bench_function(format!("set+get/{threads}"), |b| {
            b.iter_custom(|rounds| {
                let work: Vec<_> = (0..threads)
                    .map(|_| requests(|n| format!("{} key:{n} x", if n % 2 == 0 { "SET" } else { "GETSET" })))
                    .collect();
                let start = Instant::now();
                std::thread::scope(|scope| {
                    for requests in &work {
                        let engine = &engine;
                        scope.spawn(move || {
                            let mut out = BytesMut::new();
                            (0..rounds).for_each(|_| run(engine, requests, &mut out));
                        });
                    }
                });
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commands, threads);
criterion_main!(benches);
