//! Memory: what the engine counts is what the allocator gave, what a key costs is near what it costs in
//! Redis, and the limit holds. A program of its own, since it counts the whole process's bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::BytesMut;
use nearcache::memory::{Caller, Engine, EngineConfig, Eviction, Outcome};
use nearcache::resp::ArgVec;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn allocated() -> usize {
    tikv_jemalloc_ctl::epoch::advance().expect("jemalloc has statistics");
    tikv_jemalloc_ctl::stats::allocated::read().expect("jemalloc has statistics")
}

fn run(engine: &Arc<Engine>, args: &[&[u8]]) -> Vec<u8> {
    let args: ArgVec = args.iter().collect();
    let mut out = BytesMut::new();
    let outcome = engine.execute(&mut Caller::default(), args.args(), &mut out);
    assert!(matches!(outcome, Outcome::Done));
    out.to_vec()
}

fn engine(max_memory: usize, eviction: Eviction, now: &'static AtomicI64) -> Arc<Engine> {
    let config = EngineConfig { max_memory, eviction, shards: 4, ..EngineConfig::default() };
    Engine::new(config, Arc::new(move || now.load(Ordering::Relaxed)))
}

/// In a thread that ends, so that the allocator's caches per thread do not blur the numbers.
fn in_thread(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(f).join().expect("it does not panic"));
}

type Make = fn(usize) -> Vec<Vec<u8>>;

fn text(words: String) -> Vec<Vec<u8>> {
    words.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// The kinds of keys, and the bytes per key that Redis 7.0.15 reports for them (`used_memory` before and
/// after 60,000 of each, jemalloc).
const KINDS: &[(&str, Make, usize)] = &[
    ("short strings", |n| text(format!("SET key:{n} value:{n}")), 88),
    ("integers", |n| text(format!("SET key:{n} {n}00000")), 72),
    ("strings of 100 bytes", |n| text(format!("SET key:{n} {:0100}x", n)), 184),
    ("expiring", |n| text(format!("SET key:{n} value:{n} EX 1000")), 129),
    ("small hashes", |n| text(format!("HSET key:{n} name:1 v{n} name:2 v{n} name:3 v{n}")), 136),
    ("small sets", |n| text(format!("SADD key:{n} {n} 1 2 3 4 5 6 7 8 9")), 111),
    ("small lists", |n| text(format!("RPUSH key:{n} {n} 1 2 3 4 5 6 7 8 9 item")), 216),
    ("one large hash", |n| text(format!("HSET key field:{n} value:{n}")), 72),
    ("one large set", |n| text(format!("SADD key member:{n}")), 56),
    ("one large list", |n| text(format!("RPUSH key {n:0100}x")), 105),
    ("small streams", |n| text(format!("XADD key:{n} 1-1 field value:{n}")), 4328),
    ("one large stream", |n| text(format!("XADD key 1-{} field value:{n}", n + 1)), 25),
];

#[test]
fn memory_is_counted_compact_and_bounded() {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    const COUNT: usize = 60_000;
    for (name, make, redis) in KINDS {
        let engine = engine(0, Eviction::Refuse, &NOW);
        let (before, counted) = (allocated(), engine.used_memory());
        in_thread(|| {
            for n in 0..COUNT {
                let args = make(n);
                run(&engine, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
        });
        let (real, counted) = (allocated() - before, engine.used_memory() - counted);
        println!("{name}: {} bytes each, counted {}, Redis {redis}", real / COUNT, counted / COUNT);
        let difference = real.abs_diff(counted) as f64 / real as f64;
        assert!(difference < 0.06, "{name}: counted {counted} of {real}");
        assert!(real / COUNT <= redis * 3 / 2, "{name}: {} bytes, in Redis {redis}", real / COUNT);
        in_thread(|| drop(run(&engine, &[b"FLUSHALL"])));
        assert!(engine.used_memory() < 100_000, "{name}: {} left", engine.used_memory());
    }
    least_recently_used_goes_first();
    without_eviction_writes_are_refused();
    counting_survives_every_kind_of_change();
}

fn least_recently_used_goes_first() {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    const LIMIT: usize = 4 << 20;
    let engine = engine(LIMIT, Eviction::Lru, &NOW);
    let value = vec![b'v'; 1000];
    for n in 0..20_000 {
        NOW.fetch_add(100, Ordering::Relaxed);
        run(&engine, &[b"SET", format!("key:{n}").as_bytes(), &value]);
        assert!(engine.used_memory() <= LIMIT);
        if n >= 10 {
            // The first ten stay in use.
            run(&engine, &[b"GET", format!("key:{}", n % 10).as_bytes()]);
        }
    }
    let there = |n: usize| run(&engine, &[b"EXISTS", format!("key:{n}").as_bytes()]) == b":1\r\n";
    let count = (0..20_000).filter(|&n| there(n)).count();
    assert!(count > 3000, "{count} kept");
    // Time differs by key, so the order over all shards is exact: the ten, and the newest.
    assert!((0..10).all(there));
    assert!((20_000 - count + 10..20_000).all(there));
    assert_eq!(engine.counts().evicted as usize, 20_000 - count);
    engine.set_max_memory(LIMIT / 2);
    assert!(engine.used_memory() <= LIMIT / 2);
    assert!((0..10).all(there));
}

fn without_eviction_writes_are_refused() {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    let engine = engine(1 << 20, Eviction::Refuse, &NOW);
    run(&engine, &[b"SET", b"large", &vec![b'x'; 2 << 20]]);
    let refused = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_eq!(run(&engine, &[b"SET", b"a", b"1"]), refused);
    assert_eq!(run(&engine, &[b"LPUSH", b"a", b"1"]), refused);
    assert_eq!(run(&engine, &[b"STRLEN", b"large"]), b":2097152\r\n");
    let mut out = BytesMut::new();
    let block: Vec<ArgVec> = vec![["GET", "a"].iter().collect(), ["SET", "a", "1"].iter().collect()];
    engine.transaction(&mut Caller::default(), &block, None, &mut |_, _, _| {}, &mut out);
    assert!(out.starts_with(b"-EXECABORT Transaction discarded because of: OOM"));
    assert_eq!(run(&engine, &[b"DEL", b"large"]), b":1\r\n");
    assert_eq!(run(&engine, &[b"SET", b"a", b"1"]), b"+OK\r\n");
}

fn counting_survives_every_kind_of_change() {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    let engine = engine(0, Eviction::Refuse, &NOW);
    let before = allocated();
    in_thread(|| change(&engine, &NOW));
    let (real, counted) = (allocated() - before, engine.used_memory());
    let difference = real.abs_diff(counted) as f64 / real as f64;
    assert!(difference < 0.06, "counted {counted} of {real}");
    run(&engine, &[b"FLUSHALL"]);
    assert!(engine.used_memory() < 100_000, "{} left", engine.used_memory());
}

fn change(engine: &Arc<Engine>, now: &AtomicI64) {
    let mut rng = fastrand::Rng::with_seed(1);
    for n in 0..60_000 {
        now.fetch_add(1, Ordering::Relaxed);
        let (a, b, m) = (rng.u32(0..300), rng.u32(0..300), rng.u32(0..2000));
        let long = "x".repeat(rng.usize(0..200));
        let line = match rng.u32(0..24) {
            0 => format!("SET s{a} {n}{long}"),
            1 => format!("APPEND s{a} {n}{long}"),
            2 => format!("SETRANGE s{a} {m} {n}{long}"),
            3..=5 => format!("RPUSH l{a} {n}{long} {n} {m}"),
            6 => format!("LPOP l{a} 2"),
            7 => format!("LTRIM l{a} 1 -2"),
            8 => format!("LINSERT l{a} BEFORE {m} x"),
            9..=11 => format!("HSET h{a} {m} {n}{long} {n} {m}"),
            12 => format!("HDEL h{a} {m}"),
            13..=14 => format!("SADD t{a} {m} {n} {n}{}", if n > 30_000 { "x" } else { "" }),
            15 => format!("SREM t{a} {m}"),
            16 => format!("SUNIONSTORE t{a} t{b} t{a}"),
            17 => format!("RENAME s{a} s{b}"),
            18 => format!("PEXPIRE {}{a} {m}", ["s", "l", "h", "t"][rng.usize(0..4)]),
            19..=20 => format!("XADD x{a} {n}-1 f {n}{long} g {n}"),
            21 => format!("XTRIM x{a} MAXLEN {}", m % 300),
            22 => format!("COPY x{a} x{b}"),
            _ => format!("DEL {}{a}", ["s", "l", "h", "t", "x"][rng.usize(0..5)]),
        };
        run(engine, &line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        if n % 1000 == 0 {
            engine.expire_some();
        }
    }
}
