//! What does counting cost the hit path? One command by itself, and a pipeline's batch.

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use nearcache::clock::Clock;
use nearcache::stats::{Served, Stats};

const BATCH: u64 = 64;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    record(&mut criterion);
    criterion.final_summary();
}

fn record(c: &mut Criterion) {
    let names: Vec<&'static str> = vec!["command"; 400];
    let hit = Duration::from_nanos(180);

    let mut group = c.benchmark_group("stats");
    group.bench_function("one hit, flushed", |b| {
        let mut recorder = Stats::new(&names, Clock::start()).recorder();
        b.iter(|| {
            recorder.command(7, Served::Hit, std::hint::black_box(hit));
            recorder.bytes_in(40);
            recorder.bytes_out(70);
            recorder.flush();
        });
    });

    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("64 equal hits, one flush", |b| {
        let mut recorder = Stats::new(&names, Clock::start()).recorder();
        b.iter(|| {
            for _ in 0..BATCH {
                recorder.command(7, Served::Hit, std::hint::black_box(hit));
            }
            recorder.flush();
        });
    });
    group.bench_function("64 commands of three kinds, one flush", |b| {
        let mut recorder = Stats::new(&names, Clock::start()).recorder();
        b.iter(|| {
            for i in 0..BATCH {
                recorder.command((i % 3) as u16, Served::Hit, std::hint::black_box(hit));
            }
            recorder.flush();
        });
    });
    group.bench_function("64 commands, none alike", |b| {
        let mut recorder = Stats::new(&names, Clock::start()).recorder();
        b.iter(|| {
            for i in 0..BATCH {
                recorder.command(7, Served::Miss, std::hint::black_box(hit) * i as u32);
            }
            recorder.flush();
        });
    });
    group.finish();
    look(c, &names);
}

/// What an INFO and a sampling tick cost, with 40 commands in use.
fn look(c: &mut Criterion, names: &[&'static str]) {
    let stats = Stats::new(names, Clock::start());
    let mut recorder = stats.recorder();
    for i in 0..40_000u32 {
        recorder.command((i % 40) as u16, Served::Forwarded, Duration::from_nanos(u64::from(i) * 25));
    }
    recorder.flush();
    let mut group = c.benchmark_group("stats, reading");
    group.bench_function("tick", |b| b.iter(|| stats.tick(std::time::Instant::now())));
    group.bench_function("INFO everything", |b| {
        b.iter_batched(
            || [&b"everything"[..]],
            |asked| stats.info(asked, &Default::default()),
            BatchSize::SmallInput,
        )
    });
    group.finish();
}
