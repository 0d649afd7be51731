//! What a listener hears: the keys that Redis tells a client that tracks everything about, and no others.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use nearcache::memory::{Caller, Change, Listener, Outcome};
use nearcache::resp::ArgVec;
use parking_lot::Mutex;

use super::oracle::{Redis, engine, strings, words};

/// Notes what it hears.
#[derive(Default)]
struct Notes {
    changed: Mutex<Vec<(u64, String)>>,
    read: Mutex<Vec<(u64, usize, String)>>,
}

impl Listener for Notes {
    fn read(&self, client: u64, db: usize, key: &[u8]) {
        self.read.lock().push((client, db, String::from_utf8_lossy(key).into_owned()));
    }

    fn changed(&self, client: u64, change: Change<'_>) {
        let text = match change {
            Change::Key { key, .. } => String::from_utf8_lossy(key).into_owned(),
            Change::Flushed(_) => "(all)".into(),
            Change::Swapped(a, b) => format!("(swapped {a} {b})"),
        };
        self.changed.lock().push((client, text));
    }
}

impl Notes {
    fn take(&self) -> BTreeSet<String> {
        self.changed.lock().drain(..).map(|(_, text)| text).collect()
    }
}

/// Writes of every family, on few keys of few members, so that many of them change nothing.
fn line(rng: &mut fastrand::Rng) -> String {
    let k = |rng: &mut fastrand::Rng, family: &str| format!("{family}{}", rng.u32(0..3));
    let [s, t] = [k(rng, "s"), k(rng, "s")];
    let [l, m] = [k(rng, "l"), k(rng, "l")];
    let [h, z, y] = [k(rng, "h"), k(rng, "z"), k(rng, "z")];
    let [set, other, x, p] = [k(rng, "t"), k(rng, "t"), k(rng, "x"), k(rng, "p")];
    let any = [&s, &l, &h, &z, &set, &x][rng.usize(0..6)].clone();
    let n = rng.u32(0..4);
    let all = [
        format!("SET {s} {n}"),
        format!("SET {s} {n} XX"),
        format!("SET {s} {n} NX GET"),
        format!("GETEX {s} EX 1000"),
        format!("GETEX {s} PERSIST"),
        format!("GETDEL {s}"),
        format!("SETRANGE {s} 1 a"),
        format!("SETRANGE {s} 1 \"\""),
        format!("APPEND {s} 1"),
        format!("APPEND {s} \"\""),
        format!("INCR {s}"),
        format!("INCRBYFLOAT {s} 1"),
        format!("MSET {s} 1 {t} 2"),
        format!("MSETNX {s} 1 {t} 2"),
        format!("SETBIT {s} 3 0"),
        format!("BITOP NOT {s} {t}"),
        format!("BITFIELD {s} GET u8 0"),
        format!("BITFIELD {s} SET u8 0 1"),
        format!("DEL {any} {s}"),
        format!("UNLINK {any}"),
        format!("RENAME {any} {s}"),
        format!("RENAME {s} {s}"),
        format!("RENAMENX {s} {t}"),
        format!("COPY {s} {t} REPLACE"),
        format!("COPY {s} {t}"),
        format!("EXPIRE {any} 1000 NX"),
        format!("EXPIRE {any} -1"),
        format!("PERSIST {any}"),
        format!("MOVE {any} 1"),
        format!("SORT {l} ALPHA STORE {m}"),
        format!("RPUSH {l} {n}"),
        format!("LPUSHX {l} {n}"),
        format!("LPOP {l}"),
        format!("RPOP {l} 0"),
        format!("LMPOP 2 {l} {m} LEFT"),
        format!("LMOVE {l} {m} LEFT RIGHT"),
        format!("LTRIM {l} 0 -1"),
        format!("LREM {l} 0 {n}"),
        format!("LSET {l} 0 {n}"),
        format!("LINSERT {l} BEFORE {n} x"),
        format!("BLPOP {l} {m} 0.001"),
        format!("HSET {h} f{n} {n}"),
        format!("HSETNX {h} f{n} {n}"),
        format!("HDEL {h} f{n}"),
        format!("HINCRBY {h} n {n}"),
        format!("HINCRBYFLOAT {h} n {n}"),
        format!("SADD {set} {n}"),
        format!("SREM {set} {n}"),
        format!("SMOVE {set} {other} {n}"),
        format!("SINTERSTORE {set} {other} {set}"),
        format!("SUNIONSTORE {set} {other} {set}"),
        format!("ZADD {z} {n} m"),
        format!("ZADD {z} GT CH {n} m{n}"),
        format!("ZINCRBY {z} 0 m"),
        format!("ZREM {z} m{n}"),
        format!("ZPOPMIN {z}"),
        format!("ZPOPMAX {z} 0"),
        format!("ZMPOP 2 {z} {y} MIN"),
        format!("ZREMRANGEBYRANK {z} 1 1"),
        format!("ZREMRANGEBYSCORE {z} 2 3"),
        format!("ZUNIONSTORE {z} 2 {z} {y}"),
        format!("ZRANGESTORE {z} {y} 1 -1"),
        format!("GEOADD {y} 13 38 m{n}"),
        format!("GEOSEARCHSTORE {z} {y} FROMLONLAT 13 38 BYRADIUS 10 m"),
        format!("XADD {x} * a {n}"),
        format!("XTRIM {x} MAXLEN {n}"),
        format!("XDEL {x} 1-1"),
        format!("XSETID {x} 99999999999999999-1"),
        format!("PFADD {p} {n}"),
        format!("PFCOUNT {p}"),
        format!("PFMERGE {p} p1"),
        format!("GET {s}"),
        format!("LRANGE {l} 0 -1"),
        "FLUSHDB".into(),
        "DBSIZE".into(),
    ];
    let rare = if rng.u32(0..30) == 0 { 0 } else { 2 };
    all[rng.usize(..all.len() - rare)].clone()
}

#[test]
fn a_listener_hears_of_the_keys_that_redis_would_name() {
    let redis = Redis::start();
    let (mut client, mut tracker) = (redis.connect(), redis.connect());
    tracker.call("HELLO 3");
    assert_eq!(tracker.call("CLIENT TRACKING ON BCAST"), b"+OK\r\n");
    let (engine, notes) = (engine(), Arc::new(Notes::default()));
    engine.listen(Some(notes.clone()));
    let (mut rng, mut caller) = (fastrand::Rng::with_seed(1), Caller::default());
    let mut heard = 0;
    for _ in 0..6000 {
        let line = line(&mut rng);
        client.call(&line);
        let mut expected = BTreeSet::new();
        tracker.send(&words("PING"));
        loop {
            let frame = tracker.reply();
            if frame == b"+PONG\r\n" {
                break;
            }
            let names = strings(&frame);
            expected.extend(names[1..].iter().cloned());
            expected.extend((names.len() == 1).then(|| "(all)".to_owned()));
        }
        let args: ArgVec = words(&line).iter().collect();
        let outcome = engine.execute(&mut caller, args.args(), &mut BytesMut::new());
        assert!(!matches!(outcome, Outcome::Unknown));
        drop(outcome);
        heard += expected.len();
        assert_eq!(notes.take(), expected, "{line}");
    }
    assert!(heard > 1000, "{heard}");
}

#[test]
fn a_listener_hears_who_reads_and_who_changes() {
    let (engine, notes) = (engine(), Arc::new(Notes::default()));
    engine.listen(Some(notes.clone()));
    let run = |client: u64, tracks: bool, line: &str| {
        let args: ArgVec = words(line).iter().collect();
        let mut caller = Caller { client, tracks, ..Caller::default() };
        engine.execute(&mut caller, args.args(), &mut BytesMut::new())
    };
    run(1, true, "MGET a b");
    run(2, false, "GET a");
    run(1, true, "SET a 1");
    let waiting = run(3, false, "BLPOP q 0");
    run(4, false, "RPUSH q x");
    run(5, false, "SWAPDB 0 1");
    run(5, false, "FLUSHALL");
    drop(waiting);
    let read = [(1, 0, "a"), (1, 0, "b")].map(|(client, db, key)| (client, db, key.to_owned()));
    assert_eq!(*notes.read.lock(), read);
    let changed = [(1, "a"), (4, "q"), (3, "q"), (5, "(swapped 0 1)"), (5, "(all)")];
    assert_eq!(*notes.changed.lock(), changed.map(|(client, text)| (client, text.to_owned())));
    engine.listen(None);
    run(1, true, "SET a 2");
    assert_eq!(notes.take().len(), 4);
}
