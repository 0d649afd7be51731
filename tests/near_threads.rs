//! The near cache with real threads: readers, a writer and the lane's reader at once, on one key set.
//! The order that the shard locks make must be enough: no acknowledged write is ever unseen.

use nearcache::near::{Absence, Config, LaneId, Looked, MGET_ELEMENT, MultiLooked, Near, ReadOf, Settings};
use nearcache::resp::{ArgVec, Args};
use nearcache::store::{Admission, EntryKey};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};

const LANE: LaneId = LaneId(0);
const ROUNDS: u64 = 20_000;
const READERS: usize = 3;

fn read_of(key: &[u8]) -> ReadOf<'_> {
    let key = EntryKey { identity: 0, db: 0, command: 1, key, rest: Args::new(&[], &[]) };
    ReadOf {
        lane: LANE,
        key,
        settings: Settings::default(),
        unanswered: None,
        asked: u64::MAX,
        fenced: false,
    }
}

fn near() -> Near<()> {
    let config = Config { admission: Admission::Always, get: 1, max_memory: 64 << 20, ..Config::default() };
    let near = Near::new(config);
    near.open(LANE, true);
    near
}

fn encode(version: u64) -> Vec<u8> {
    format!("${}\r\n{version}\r\n", version.to_string().len()).into_bytes()
}

fn parse(reply: &[u8]) -> u64 {
    let text = std::str::from_utf8(reply).expect("text");
    text.lines().nth(1).and_then(|line| line.parse().ok()).expect("a version")
}

/// The upstream: one value, and what it does is one step under one lock.
struct Upstream {
    value: Mutex<u64>,
    /// The newest write whose reply has been released.
    acknowledged: AtomicU64,
}

/// A reader's fetch: the value is read upstream at one moment and reaches the cache later.
fn read(near: &Near<()>, upstream: &Upstream) -> u64 {
    let mut got = None;
    match near.read(&read_of(b"k"), 1, || (), |reply| got = Some(parse(reply))) {
        Looked::Hit => got.expect("a hit hands out the reply"),
        Looked::Fetch(flight) => {
            let value = *upstream.value.lock().expect("no panics");
            std::thread::yield_now();
            near.appended(flight, 1, 1);
            drop(near.replied(flight, &encode(value), Absence::Present));
            let _ = near.ttl_replied(flight, Some(-1), 1);
            value
        }
        _ => *upstream.value.lock().expect("no panics"),
    }
}

#[test]
fn readers_see_every_acknowledged_write() {
    let near = near();
    let upstream = Upstream { value: Mutex::new(0), acknowledged: AtomicU64::new(0) };
    let start = Barrier::new(READERS + 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            for version in 1..=ROUNDS {
                let write = near.write_begin(b"k");
                *upstream.value.lock().expect("no panics") = version;
                near.write_end(write);
                upstream.acknowledged.store(version, Ordering::SeqCst);
                for _ in 0..version % 8 {
                    std::hint::spin_loop();
                }
            }
        });
        for _ in 0..READERS {
            scope.spawn(|| {
                start.wait();
                let mut last = 0;
                while last < ROUNDS {
                    let acknowledged = upstream.acknowledged.load(Ordering::SeqCst);
                    let value = read(&near, &upstream);
                    assert!(value >= acknowledged, "read {value} after {acknowledged} was acknowledged");
                    assert!(value >= last, "read {value} after {last}");
                    last = value;
                }
            });
        }
    });
    let totals = near.totals();
    assert_eq!((totals.flights, totals.pending), (0, 0));
}

#[test]
fn a_read_of_many_keys_never_sees_half_of_a_step() {
    let near = near();
    let names: ArgVec = (0..8u8).map(|n| [b'k', n]).collect();
    let store = |version: u64| {
        for name in names.args().iter() {
            if let Looked::Fetch(flight) = near.read(&read_of(name), 1, || (), |_| ()) {
                near.appended(flight, 1, 1);
                drop(near.replied(flight, &encode(version), Absence::Present));
                let _ = near.ttl_replied(flight, Some(-1), 1);
            }
        }
    };
    let template = ReadOf { key: EntryKey { command: MGET_ELEMENT, ..read_of(b"").key }, ..read_of(b"") };
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The lane's reader: all keys are pushed one by one, then all are fetched anew.
            for version in 1..=ROUNDS / 10 {
                names.args().iter().for_each(|name| near.pushed(name));
                store(version);
            }
            done.store(1, Ordering::SeqCst);
        });
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut last = 0;
                while done.load(Ordering::SeqCst) == 0 {
                    let mut seen = Vec::new();
                    let looked =
                        near.multi_read(&template, names.args(), 1, |_, reply| seen.push(parse(reply)));
                    if looked == MultiLooked::Hit {
                        assert!(seen.iter().all(|version| *version == seen[0]), "{seen:?}");
                        assert!(seen[0] >= last, "{} after {last}", seen[0]);
                        last = seen[0];
                    }
                }
            });
        }
    });
}
