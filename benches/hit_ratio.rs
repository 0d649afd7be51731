//! Which hit ratio does the store's policy reach? Replays traces of accesses against it and, side by
//! side, a plain LRU, moka and quick_cache, at several sizes relative to the distinct keys.
//!
//! `NEARCACHE_TRACES` names a directory of `*.gz`, one key number per line. Without it only the
//! generated mix (Zipf with scans) runs. All caches are given room for the same number of entries.

use flate2::read::GzDecoder;
use nearcache::resp::Args;
use nearcache::store::{Admission, Entry, EntryKey, Expiry, Meta, Shard, Stamp};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

const SIZES_PERCENT: [usize; 4] = [1, 5, 10, 25];

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return println!("measures only by `cargo bench`"); // and not by `cargo test --all-targets`
    }
    let mut traces = vec![("zipf+scans".to_string(), zipf_with_scans(1_000_000, 100_000))];
    if let Some(dir) = std::env::var_os("NEARCACHE_TRACES") {
        traces.extend(load_traces(Path::new(&dir)));
    }
    println!("{:<12} {:>5} {:>9} | {}", "trace", "size", "entries", columns(&names().map(String::from)));
    let mut sums = [0.0; 6];
    let mut rows = 0;
    for (name, trace) in &traces {
        let distinct = trace.iter().collect::<HashSet<_>>().len();
        for percent in SIZES_PERCENT {
            let entries = (distinct * percent / 100).max(10);
            let ratios = measure(trace, entries);
            println!(
                "{name:<12} {percent:>4}% {entries:>9} | {}",
                columns(&ratios.map(|r| format!("{r:.2}")))
            );
            (0..ratios.len()).for_each(|i| sums[i] += ratios[i]);
            rows += 1;
        }
    }
    let means = sums.map(|sum| format!("{:.2}", sum / f64::from(rows)));
    println!("{:<12} {:>5} {:>9} | {}", "mean", "", "", columns(&means));
}

fn columns(cells: &[String]) -> String {
    cells.iter().map(|cell| format!("{cell:>12}")).collect()
}

fn names() -> [&'static str; 6] {
    ["lru", "after 1", "after 2", "moka", "moka lru", "quick_cache"]
}

/// Hit ratios in percent, in the order of `names`.
fn measure(trace: &[u64], entries: usize) -> [f64; 6] {
    [
        ours(trace, entries, Admission::Always),
        ours(trace, entries, Admission::Frequency { admit_after: 1 }),
        ours(trace, entries, Admission::Frequency { admit_after: 2 }),
        moka(trace, entries, moka::policy::EvictionPolicy::tiny_lfu()),
        moka(trace, entries, moka::policy::EvictionPolicy::lru()),
        quick(trace, entries),
    ]
}

fn percent(hits: usize, trace: &[u64]) -> f64 {
    100.0 * hits as f64 / trace.len() as f64
}

/// The store as `near` drives it: a miss is fetched for storing only if the shard wants it.
fn ours(trace: &[u64], entries: usize, admission: Admission) -> f64 {
    let mut shard = Shard::new(bytes_for(entries, admission), admission, hasher());
    let mut hits = 0;
    for key in trace {
        let bytes = key.to_le_bytes();
        let key = entry_key(&bytes);
        let hash = hasher().hash_one(bytes);
        if shard.visit(None, hash, &key, |_, _, _| true) {
            hits += 1;
        } else if shard.wants(hash) {
            shard.insert(hash, &key, entry(&key));
        }
    }
    percent(hits, trace)
}

/// The budget in which this many equal entries fit.
fn bytes_for(entries: usize, admission: Admission) -> usize {
    let mut shard = Shard::new(usize::MAX / 2, admission, hasher());
    for n in 0..entries as u64 {
        let bytes = n.to_le_bytes();
        let key = entry_key(&bytes);
        shard.insert(hasher().hash_one(bytes), &key, entry(&key));
    }
    shard.bytes()
}

fn hasher() -> ahash::RandomState {
    ahash::RandomState::with_seeds(1, 2, 3, 4)
}

fn entry_key(key: &[u8]) -> EntryKey<'_> {
    EntryKey { identity: 0, db: 0, command: 0, key, rest: Args::new(&[], &[]) }
}

fn entry(key: &EntryKey) -> Entry {
    let meta = Meta { stamp: Stamp::default(), deadline: u64::MAX, expiry: Expiry::Never, stored_at: 0 };
    Entry::new(key, &meta, b"$1\r\nx\r\n")
}

fn moka(trace: &[u64], entries: usize, policy: moka::policy::EvictionPolicy) -> f64 {
    let cache = moka::sync::Cache::builder().max_capacity(entries as u64).eviction_policy(policy).build();
    let mut hits = 0;
    for (i, key) in trace.iter().enumerate() {
        match cache.get(key) {
            Some(()) => hits += 1,
            None => cache.insert(*key, ()),
        }
        // Its housekeeping is deferred; a proxy at rest would do it between requests.
        if i % 16 == 0 {
            cache.run_pending_tasks();
        }
    }
    percent(hits, trace)
}

fn quick(trace: &[u64], entries: usize) -> f64 {
    let cache = quick_cache::unsync::Cache::new(entries);
    quick_run(cache, trace)
}

fn quick_run(mut cache: quick_cache::unsync::Cache<u64, ()>, trace: &[u64]) -> f64 {
    let mut hits = 0;
    for key in trace {
        match cache.get(key) {
            Some(()) => hits += 1,
            None => cache.insert(*key, ()),
        }
    }
    percent(hits, trace)
}

fn load_traces(dir: &Path) -> Vec<(String, Vec<u64>)> {
    let files = std::fs::read_dir(dir).expect("NEARCACHE_TRACES is a directory");
    let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "gz"));
    paths.sort();
    let load = |path: &std::path::PathBuf| {
        let file = std::fs::File::open(path).expect("a trace can be opened");
        let lines = BufReader::new(GzDecoder::new(file)).lines();
        let keys = lines.map_while(Result::ok).filter_map(|line| line.trim().parse().ok()).collect();
        (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), keys)
    };
    paths.iter().map(load).collect()
}

/// A Zipf-like mix (exponent about 0.9) in which every tenth of the time a scan over fresh keys runs.
fn zipf_with_scans(accesses: usize, keys: usize) -> Vec<u64> {
    let mut rng = fastrand::Rng::with_seed(7);
    let weights: Vec<f64> = (1..=keys).map(|rank| (rank as f64).powf(-0.9)).collect();
    let mut sums = weights;
    (1..sums.len()).for_each(|i| sums[i] += sums[i - 1]);
    let total = sums[sums.len() - 1];
    let mut scanned = keys as u64;
    let mut trace = Vec::with_capacity(accesses);
    while trace.len() < accesses {
        if trace.len() % 50_000 == 0 {
            for _ in 0..5_000 {
                scanned += 1;
                trace.push(scanned);
            }
        }
        let point = rng.f64() * total;
        trace.push(sums.partition_point(|&sum| sum < point) as u64);
    }
    trace
}
