//! The near cache by hand: what the model in tests/near_model does not come across.

use super::*;
use crate::resp::{ArgVec, Args};
use crate::store::Expiry;

const MS: u64 = 1_000_000;
const START: u64 = 1_000_000 * MS;
const LANE: LaneId = LaneId(0);
const GET: u16 = 1;

fn near(admit_after: u8) -> Near<u32> {
    let config = Config {
        max_memory: 16 << 20,
        admission: Admission::Frequency { admit_after },
        get: GET,
        ..Config::default()
    };
    let near = Near::new(config);
    near.open(LANE, true);
    near.confirmed(LANE, START);
    near
}

fn get(key: &[u8]) -> ReadOf<'_> {
    let key = EntryKey { identity: 0, db: 0, command: GET, key, rest: Args::new(&[], &[]) };
    ReadOf {
        lane: LANE,
        key,
        settings: Settings::default(),
        unanswered: None,
        asked: u64::MAX,
        fenced: false,
    }
}

fn element(key: &[u8]) -> ReadOf<'_> {
    let read = get(key);
    ReadOf { key: EntryKey { command: MGET_ELEMENT, ..read.key }, ..read }
}

fn look(near: &Near<u32>, read: &ReadOf, now: u64) -> Result<Vec<u8>, Looked> {
    let mut got = Vec::new();
    match near.read(read, now, || 7, |reply| got.extend_from_slice(reply)) {
        Looked::Hit => Ok(got),
        other => Err(other),
    }
}

fn fetch(near: &Near<u32>, read: &ReadOf, reply: &[u8], pttl: i64) -> Result<Stored, NotStored> {
    let flight = match near.read(read, START, || 7, |_| ()) {
        Looked::Fetch(flight) => flight,
        other => panic!("no fetch but {other:?}"),
    };
    near.appended(flight, START, 1);
    assert!(near.replied(flight, reply, Absence::of_whole(reply)).is_empty());
    near.ttl_replied(flight, Some(pttl), START + MS)
}

#[test]
fn a_cold_key_is_read_plain_and_a_warm_one_fetched() {
    let near = near(2);
    assert!(matches!(look(&near, &get(b"k"), START), Err(Looked::Plain(Plain::Cold))));
    fetch(&near, &get(b"k"), b"$1\r\nv\r\n", -1).expect("stored");
    assert_eq!(look(&near, &get(b"k"), START).expect("hit"), b"$1\r\nv\r\n");
    assert_eq!(near.counters().stores, 1);
}

#[test]
fn an_entry_lives_by_the_shortest_of_its_bounds_from_the_send_time() {
    let settings = Settings { max_age: 100 * MS, negative_max_age: 10 * MS, ..Settings::default() };
    let cases: [(&[u8], i64, u64); 4] =
        [(b"$1\r\nv\r\n", -1, 100), (b"$1\r\nv\r\n", 50, 50), (b"$1\r\nv\r\n", 500, 100), (b"_\r\n", -2, 10)];
    for (reply, pttl, life_ms) in cases {
        let near = near(1);
        let read = ReadOf { settings, ..get(b"k") };
        let stored = fetch(&near, &read, reply, pttl).expect("stored");
        assert_eq!(stored.deadline, START + life_ms * MS, "{pttl}");
        assert!(look(&near, &read, stored.deadline - 1).is_ok());
        assert!(look(&near, &read, stored.deadline).is_err());
    }
    for (reply, pttl) in [(&b"$1\r\nv\r\n"[..], -2), (b"_\r\n", -1), (b"_\r\n", 5), (b"$1\r\nv\r\n", -3)] {
        assert_eq!(fetch(&near(1), &get(b"k"), reply, pttl), Err(NotStored::Ttl), "{pttl}");
    }
    assert_eq!(fetch(&near(1), &get(b"k"), b"$1\r\nv\r\n", 0), Err(NotStored::Dead));
    assert_eq!(fetch(&near(1), &get(b"k"), b"-ERR x\r\n", -1), Err(NotStored::Error));
    let small = Settings { max_entry: 5, ..Settings::default() };
    let long = ReadOf { settings: small, ..get(b"longer than that") };
    assert!(matches!(look(&near(1), &long, START), Err(Looked::Plain(Plain::Uncached))));
    let near = near(1);
    let read = ReadOf { settings: small, ..get(b"k") };
    assert_eq!(fetch(&near, &read, b"$1\r\nv\r\n", -1), Err(NotStored::Large));
    let counted = Counters { fetches: 1, not_stored: 1, too_large: 1, ..near.counters() };
    assert_eq!(near.counters(), counted);
    near.reset_counters();
    assert_eq!(near.counters(), Counters::default());
}

#[test]
fn the_upstreams_expiry_is_kept_apart_from_the_deadline() {
    let near = near(1);
    let settings = Settings { max_age: 100 * MS, ..Settings::default() };
    fetch(&near, &ReadOf { settings, ..get(b"ttl") }, b"$1\r\nv\r\n", 5000).expect("stored");
    fetch(&near, &ReadOf { settings, ..get(b"none") }, b"$1\r\nv\r\n", -1).expect("stored");
    assert!(near.stale_read(&get(b"ttl").key, START, |_| ()).is_none(), "the lane is up");
    near.freeze(LANE);
    assert!(matches!(look(&near, &get(b"none"), START), Err(Looked::Plain(Plain::Closed))));
    let later = START + 4999 * MS;
    let stale = near.stale_read(&get(b"ttl").key, later, |_| ()).expect("lives upstream");
    assert_eq!(stale.expiry, Expiry::At(START + 5000 * MS));
    assert!(near.stale_read(&get(b"ttl").key, START + 5000 * MS, |_| ()).is_none());
    let stale = near.stale_read(&get(b"none").key, later, |_| ()).expect("lives upstream");
    assert_eq!(stale.expiry, Expiry::Never);
    near.open(LANE, true);
    assert!(near.stale_read(&get(b"none").key, later, |_| ()).is_none(), "a new lane, a new epoch");
    assert!(look(&near, &get(b"none"), START).is_err());
}

#[test]
fn what_the_sweep_finds_is_reclaimed_untouched() {
    let near = near(1);
    for n in 0..200u32 {
        fetch(&near, &get(&n.to_le_bytes()), b"$1\r\nv\r\n", if n % 2 == 0 { 50 } else { -1 })
            .expect("stored");
    }
    let mut cursor = 0;
    assert_eq!(near.sweep(&mut cursor, START + 49 * MS, usize::MAX).removed, 0);
    assert_eq!(near.sweep(&mut cursor, START + 50 * MS, usize::MAX).removed, 100);
    assert_eq!(near.totals().entries, 100);
    near.freeze(LANE);
    assert_eq!(near.sweep(&mut cursor, START + 60 * MS, usize::MAX).removed, 0, "failover may need them");
    near.open(LANE, true);
    assert_eq!(near.sweep(&mut cursor, START + 60 * MS, usize::MAX).removed, 100);
    assert_eq!(near.sweep(&mut cursor, START + 60 * MS, usize::MAX).seen, 0, "nothing to look for");
}

#[test]
fn a_nil_from_mget_does_not_answer_get_but_all_else_is_shared() {
    let near = near(1);
    fetch(&near, &element(b"list"), b"_\r\n", -1).expect_err("present by TTL, absent by reply");
    let flight = near.fetch(&element(b"list")).expect("wanted");
    near.appended(flight, START, 1);
    let _ = near.replied(flight, b"_\r\n", Absence::Either);
    near.ttl_replied(flight, Some(-1), START).expect("a key of another type reads as nil");
    assert!(look(&near, &element(b"list"), START).is_ok());
    assert!(matches!(look(&near, &get(b"list"), START), Err(Looked::Fetch(_))));
    fetch(&near, &element(b"string"), b"$1\r\nv\r\n", -1).expect("stored");
    assert_eq!(look(&near, &get(b"string"), START).expect("hit"), b"$1\r\nv\r\n");
    fetch(&near, &get(b"none"), b"_\r\n", -2).expect("stored");
    assert_eq!(look(&near, &element(b"none"), START).expect("hit"), b"_\r\n");
}

#[test]
fn a_read_of_many_keys_is_all_or_nothing() {
    let near = near(1);
    let names: ArgVec = ["a", "b", "a", "c"].into_iter().collect();
    fetch(&near, &get(b"a"), b"$1\r\n1\r\n", -1).expect("stored");
    fetch(&near, &get(b"b"), b"_\r\n", -2).expect("stored");
    let read = |now| {
        let mut got = Vec::new();
        (near.multi_read(&element(b""), names.args(), now, |i, reply| got.push((i, reply.to_vec()))), got)
    };
    assert_eq!(read(START).0, MultiLooked::Miss);
    fetch(&near, &get(b"c"), b"$1\r\n3\r\n", -1).expect("stored");
    let (looked, got) = read(START);
    assert_eq!(looked, MultiLooked::Hit);
    let want = ["$1\r\n1\r\n", "_\r\n", "$1\r\n1\r\n", "$1\r\n3\r\n"];
    assert!(got.iter().map(|(_, reply)| reply.as_slice()).eq(want.iter().map(|s| s.as_bytes())));
    assert_eq!(read(START + 2000 * MS).0, MultiLooked::Guarded);
    let write = near.write_begin(b"b");
    assert_eq!(read(START).0, MultiLooked::Miss);
    near.write_end(write);
}

#[test]
fn without_tracking_entries_live_by_time_and_own_writes_alone() {
    let config = Config {
        admission: Admission::Always,
        ttl_mode_max_age: 20 * MS,
        max_memory: 4 << 20,
        ..Config::default()
    };
    let near: Near<u32> = Near::new(config);
    near.open(LANE, false);
    assert_eq!(near.phase(LANE), Phase::TtlOnly);
    let stored = fetch(&near, &get(b"k"), b"$1\r\nv\r\n", -1).expect("stored");
    assert_eq!(stored.deadline, START + 20 * MS);
    assert!(look(&near, &get(b"k"), START + 19 * MS).is_ok(), "no stream to be confirmed");
    let write = near.write_begin(b"k");
    near.write_end(write);
    assert!(look(&near, &get(b"k"), START).is_err());
    let off: Near<u32> = Near::new(Config { max_memory: 4 << 20, ..Config::default() });
    off.open(LANE, false);
    assert!(matches!(look(&off, &get(b"k"), START), Err(Looked::Plain(Plain::Closed))));
}

#[test]
fn a_push_drops_every_reply_of_the_key_and_nothing_else() {
    let near = near(1);
    let field: ArgVec = ["f"].into_iter().collect();
    let in_hash = ReadOf { key: EntryKey { command: 9, rest: field.args(), ..get(b"k").key }, ..get(b"k") };
    let in_db = ReadOf { key: EntryKey { db: 3, ..get(b"k").key }, ..get(b"k") };
    for read in [get(b"k"), in_hash, in_db, get(b"other")] {
        fetch(&near, &read, b"$1\r\nv\r\n", -1).expect("stored");
    }
    assert_eq!(near.describe(b"k", START).len(), 3);
    near.pushed(b"k");
    assert_eq!(near.counters().invalidations, 3);
    assert!(near.describe(b"k", START).is_empty());
    assert!(look(&near, &get(b"other"), START).is_ok());
    assert_eq!(near.invalidate(b"oth*"), 1);
    fetch(&near, &get(b"other"), b"$1\r\nv\r\n", -1).expect("stored");
    assert_eq!(near.clear(), 1);
    assert_eq!(near.totals().entries, 0);
}

#[test]
fn joiners_get_the_reply_whatever_becomes_of_the_flight() {
    let near = near(1);
    let Looked::Fetch(flight) = near.read(&get(b"k"), START, || 1, |_| ()) else { panic!("a first read") };
    let again = near.read(&get(b"k"), START, || 2, |_| ());
    assert!(matches!(again, Looked::Plain(Plain::Flying)), "not before it is appended: {again:?}");
    near.appended(flight, START, 10);
    assert!(matches!(near.read(&get(b"k"), START, || 3, |_| ()), Looked::Joined { seq: 10 }));
    let behind = |last| ReadOf { unanswered: Some(last), ..get(b"k") };
    assert!(matches!(near.read(&behind(9), START, || 4, |_| ()), Looked::Joined { seq: 10 }));
    let late = near.read(&behind(10), START, || 5, |_| ());
    assert!(matches!(late, Looked::Plain(Plain::Flying)), "the flight is older than its own: {late:?}");
    near.pushed(b"k");
    assert!(matches!(near.read(&get(b"k"), START, || 6, |_| ()), Looked::Fetch(_)));
    assert_eq!(near.replied(flight, b"$1\r\nv\r\n", Absence::Present), [3, 4]);
    assert_eq!(near.ttl_replied(flight, Some(-1), START), Err(NotStored::Detached));
    assert_eq!(near.ttl_replied(flight, Some(-1), START), Err(NotStored::Unknown));
}

#[test]
fn behind_an_unanswered_command_an_entry_waits_and_a_miss_goes() {
    let near = near(1);
    fetch(&near, &get(b"k"), b"$1\r\nv\r\n", -1).expect("stored");
    let behind = |key| ReadOf { unanswered: Some(7), ..get(key) };
    assert!(matches!(look(&near, &behind(b"k"), START), Err(Looked::Parked)));
    assert!(matches!(look(&near, &behind(b"other"), START), Err(Looked::Fetch(_))));
}

#[test]
fn a_hit_needs_a_stream_confirmed_lately_or_since_it_was_asked_for() {
    let near = near(1);
    fetch(&near, &get(b"k"), b"$1\r\nv\r\n", -1).expect("stored");
    let later = START + 1500 * MS;
    assert!(matches!(look(&near, &get(b"k"), later), Err(Looked::Guarded)));
    // A PING sent when the read came, and answered only after `max_staleness`.
    let asked = |asked| ReadOf { asked, ..get(b"k") };
    near.confirmed(LANE, START + 100 * MS);
    assert!(look(&near, &asked(START + 100 * MS), later).is_ok());
    assert!(matches!(look(&near, &asked(START + 200 * MS), later), Err(Looked::Guarded)));
    let fenced = |asked| ReadOf { asked, fenced: true, ..get(b"k") };
    assert!(look(&near, &fenced(START + 100 * MS), START + 101 * MS).is_ok());
    assert!(matches!(look(&near, &fenced(START + 101 * MS), START + 101 * MS), Err(Looked::Guarded)));
}

#[test]
fn memory_stays_in_bounds_and_is_counted() {
    let near = near(1);
    let value = [b"$1000\r\n".as_slice(), &[b'v'; 1000], b"\r\n"].concat();
    for n in 0..40_000u32 {
        if let Looked::Fetch(flight) = near.read(&get(&n.to_le_bytes()), START, || 7, |_| ()) {
            near.appended(flight, START, 1);
            let _ = near.replied(flight, &value, Absence::Present);
            let _ = near.ttl_replied(flight, Some(-1), START);
        }
    }
    let totals = near.totals();
    assert!(totals.bytes <= 16 << 20, "{}", totals.bytes);
    assert!(totals.bytes > 14 << 20, "{}", totals.bytes);
    assert!(near.counters().evictions > 0);
}

#[test]
fn shards_are_never_too_small_nor_too_many() {
    let counts = [0, 1 << 20, 3 << 20, 14 << 20, 64 << 20, 256 << 20, 1 << 40].map(shard_count);
    assert_eq!(counts, [1, 1, 2, 9, 36, 144, 1152]);
}

#[test]
fn limits_change_while_at_work() {
    let near = near(1);
    let tuning = Tuning {
        max_memory: 16 << 20,
        admission: Admission::Frequency { admit_after: 3 },
        max_staleness: 10 * MS,
        ttl_mode_max_age: 5 * MS,
    };
    fetch(&near, &get(b"k"), b"$1\r\nv\r\n", -1).expect("stored");
    assert!(look(&near, &get(b"k"), START + 11 * MS).is_ok());
    near.configure(&tuning);
    assert!(look(&near, &get(b"k"), START + 10 * MS).is_ok(), "entries stay");
    assert!(matches!(look(&near, &get(b"k"), START + 11 * MS), Err(Looked::Guarded)));
    for _ in 0..2 {
        assert!(matches!(look(&near, &get(b"new"), START), Err(Looked::Plain(Plain::Cold))));
    }
    assert!(matches!(look(&near, &get(b"new"), START), Err(Looked::Fetch(_))));
    near.configure(&Tuning { admission: Admission::Always, ..tuning });
    assert!(matches!(look(&near, &get(b"newer"), START), Err(Looked::Fetch(_))));
    near.open(LANE, false);
    let stored = fetch(&near, &get(b"k"), b"$1\r\nv\r\n", -1).expect("stored");
    assert_eq!(stored.deadline, START + 5 * MS);
    near.configure(&Tuning { ttl_mode_max_age: 0, ..tuning });
    assert!(matches!(look(&near, &get(b"k"), START), Err(Looked::Plain(Plain::Closed))));
}

#[test]
fn a_smaller_memory_holds_at_once_and_a_larger_one_is_used() {
    let near = near(1);
    let value = [b"$1000\r\n".as_slice(), &[b'v'; 1000], b"\r\n"].concat();
    let fill = |from: u32| {
        for n in from..from + 40_000 {
            if let Looked::Fetch(flight) = near.read(&get(&n.to_le_bytes()), START, || 7, |_| ()) {
                near.appended(flight, START, 1);
                let _ = near.replied(flight, &value, Absence::Present);
                let _ = near.ttl_replied(flight, Some(-1), START);
            }
        }
        near.totals().bytes
    };
    assert!(fill(0) > 14 << 20);
    let config = Config::default();
    let tuning = Tuning {
        max_memory: 4 << 20,
        admission: config.admission,
        max_staleness: config.max_staleness,
        ttl_mode_max_age: 0,
    };
    near.configure(&tuning);
    let bytes = near.totals().bytes;
    assert!(bytes <= 4 << 20 && bytes > 3 << 20, "{bytes}");
    near.configure(&Tuning { max_memory: 32 << 20, admission: Admission::Always, ..tuning });
    assert!(near.totals().entries > 2000, "what had room stays");
    let bytes = fill(100_000);
    assert!(bytes <= 32 << 20 && bytes > 28 << 20, "{bytes}");
}

/// Reads a key that is not here; whether it was fetched.
fn fetches(near: &Near<u32>, key: &[u8]) -> bool {
    match near.read(&get(key), START, || 7, |_| ()) {
        Looked::Plain(Plain::Churned) => return false,
        Looked::Fetch(flight) => {
            near.appended(flight, START, 1);
            assert!(near.replied(flight, b"$1\r\nv\r\n", Absence::Present).is_empty());
            near.ttl_replied(flight, Some(-1), START).expect("stored");
        }
        other => panic!("neither fetched nor left: {other:?}"),
    }
    true
}

fn write(near: &Near<u32>, key: &[u8]) {
    near.write_end(near.write_begin(key));
}

#[test]
fn a_key_that_is_written_as_often_as_read_is_fetched_seldom_until_that_ends() {
    let near = near(1);
    let times = 1000;
    let fetched = (0..times).filter(|_| {
        write(&near, b"k");
        fetches(&near, b"k")
    });
    let fetched = fetched.count();
    assert!((times / 64..times / 20).contains(&fetched), "{fetched} of {times}");
    assert_eq!(near.counters().unpaid, (times - fetched) as u64);
    assert!((1..=64).any(|_| fetches(&near, b"k")), "nobody writes it any more");
    assert!(look(&near, &get(b"k"), START).is_ok());
    near.reset_counters();
    assert_eq!(near.counters(), Counters::default());
}

#[test]
fn announcements_of_others_count_as_writes_do() {
    let near = near(1);
    let fetched = (0..1000).filter(|_| {
        near.pushed(b"k");
        fetches(&near, b"k")
    });
    assert!(fetched.count() < 50);
}

#[test]
fn a_key_that_is_hit_often_enough_between_its_writes_is_always_fetched() {
    let near = near(1);
    for n in 0..1000 {
        write(&near, b"k");
        assert!(fetches(&near, b"k"), "{n}");
        (0..3).for_each(|_| assert!(look(&near, &get(b"k"), START).is_ok()));
    }
}

#[test]
fn joiners_are_as_good_as_hits() {
    let near = near(1);
    for n in 0..1000 {
        let Looked::Fetch(flight) = near.read(&get(b"k"), START, || 7, |_| ()) else { panic!("{n}") };
        near.appended(flight, START, 1);
        for _ in 0..3 {
            let joined = near.read(&get(b"k"), START, || 7, |_| ());
            assert!(matches!(joined, Looked::Joined { .. }));
        }
        // Half of them are overtaken by the write.
        if n % 2 == 0 {
            write(&near, b"k");
        }
        assert_eq!(near.replied(flight, b"$1\r\nv\r\n", Absence::Present).len(), 3);
        assert_eq!(near.ttl_replied(flight, Some(-1), START).is_ok(), n % 2 == 1);
        write(&near, b"k");
    }
}

#[test]
fn who_admits_always_fetches_always() {
    let config = Config { admission: Admission::Always, get: GET, ..Config::default() };
    let near = Near::new(config);
    near.open(LANE, true);
    near.confirmed(LANE, START);
    for n in 0..1000 {
        write(&near, b"k");
        assert!(fetches(&near, b"k"), "{n}");
    }
}
