//! Keys of any type, databases and expiry.

use nearcache::resp::Proto;

use super::oracle::{Pair, check_table};

#[test]
fn key_commands_answer_as_redis_does() {
    check_table(
        r#"
        DEL a b
        MSET a 1 b 2 c 3
        DEL a b b none
        UNLINK c
        EXISTS c c
        SET c 1
        EXISTS c c none
        TOUCH c c none
        TYPE c
        TYPE none
        RPUSH l x
        TYPE l
        RENAME none x
        RENAME c c
        RENAME none none
        RENAMENX none x
        RENAMENX c c
        RENAMENX c l
        RENAME c l
        TYPE l
        SET t 1 EXAT 33177117420
        SET u 1
        RENAME t u
        EXPIRETIME u
        COPY u v
        EXPIRETIME v
        COPY u v
        COPY u v REPLACE
        COPY u u
        COPY u u DB 1
        COPY u v DB 16
        COPY u v DB x
        COPY u v WHAT
        COPY none x
        MOVE u 0
        MOVE u 16
        MOVE u x
        MOVE u 1
        MOVE v 3
        SELECT 3
        GET v
        EXPIRETIME v
        SELECT 1
        DBSIZE
        SELECT 16
        SELECT -1
        SELECT a
        SELECT 0
        SWAPDB 0 3
        GET v
        SWAPDB 0 16
        SWAPDB a 1
        SWAPDB 1 b
        SWAPDB 0 0
        SWAPDB 0 3
        OBJECT HELP
        OBJECT ENCODING
        OBJECT WHAT a
        OBJECT ENCODING none
        SET five 5
        OBJECT REFCOUNT five
        SET big 10000
        OBJECT REFCOUNT big
        OBJECT IDLETIME big
        OBJECT FREQ big
        OBJECT FREQ none
        FLUSHDB WHAT
        FLUSHDB ASYNC SYNC
        FLUSHDB ASYNC
        DBSIZE
        RANDOMKEY
        SET only 1
        RANDOMKEY
        MSET aa 1 ab 2 bb 3 b? 4
        ~KEYS a*
        ~KEYS b\\?
        ~KEYS b[b?]
        KEYS only
        SCAN 0 COUNT 0
        SCAN 0 COUNT -1
        SCAN 0 COUNT a
        SCAN 0 MATCH
        SCAN abc
        SCAN -1 MATCH a WHAT b
        SCAN 0 COUNT 1000 MATCH aa
        SCAN 0 COUNT 1000 TYPE string MATCH on*
        SCAN 0 COUNT 1000 TYPE STRING MATCH on*
        SCAN 0 COUNT 1000 TYPE what
        FLUSHALL
        DBSIZE
        SELECT 3
        DBSIZE
        get
        object
        "#,
    );
}

#[test]
fn expiry_commands_answer_as_redis_does() {
    check_table(
        r#"
        EXPIRE none 10
        SET a 1
        TTL a
        TTL none
        PTTL none
        EXPIRETIME a
        PEXPIRETIME none
        EXPIRE a 100
        TTL a
        EXPIRE a 100 NX
        EXPIRE a 200 XX
        EXPIRE a 100 GT
        EXPIRE a 300 GT
        EXPIRE a 400 LT
        EXPIRE a 100 LT
        EXPIRE a 100 LT GT
        EXPIRE a 100 NX XX
        EXPIRE a 100 NX GT
        EXPIRE a 150 XX GT
        EXPIRE a 100 WHAT
        EXPIRE a abc
        EXPIRE a 9223372036854775807
        EXPIRE a -9223372036854775808
        PEXPIRE a 9223372036854775807
        EXPIREAT a 9223372036854775807
        PEXPIREAT a 33177117420000
        EXPIRETIME a
        PEXPIRETIME a
        PERSIST a
        PERSIST a
        PERSIST none
        EXPIRE a 100 GT
        EXPIRE a 100 XX
        EXPIRE a 100 LT
        EXPIRE a -1
        EXISTS a
        SET a 1
        EXPIRE a 0
        EXISTS a
        SET a 1
        EXPIREAT a 1
        EXISTS a
        SET a 1 EX 100
        PEXPIRE a 50000 LT
        TTL a
        EXPIRE a
        "#,
    );
}

#[test]
fn a_scan_gives_every_key() {
    use nearcache::memory::{Caller, Outcome};
    use nearcache::resp::ArgVec;
    let engine = super::oracle::engine();
    let mut caller = Caller::default();
    let mut run = |line: String| {
        let mut out = bytes::BytesMut::new();
        let args: ArgVec = line.split(' ').collect();
        assert!(matches!(engine.execute(&mut caller, args.args(), &mut out), Outcome::Done));
        String::from_utf8(out.to_vec()).expect("text")
    };
    for n in 0..1000 {
        run(format!("SET key:{n} {n}"));
    }
    let (mut cursor, mut seen) = ("0".to_string(), Vec::new());
    loop {
        let reply = run(format!("SCAN {cursor} COUNT 7"));
        let mut lines = reply.split("\r\n").filter(|line| !line.starts_with(['*', '$']));
        cursor = lines.next().expect("a cursor").to_string();
        seen.extend(lines.filter(|line| !line.is_empty()).map(str::to_string));
        // Others come and go meanwhile.
        run(format!("SET other:{} 1", seen.len()));
        if cursor == "0" {
            break;
        }
    }
    for n in 0..1000 {
        assert_eq!(seen.iter().filter(|key| **key == format!("key:{n}")).count(), 1);
    }
}

#[test]
fn sort_answers_as_redis_does() {
    check_table(
        r#"
        SORT none
        RPUSH l 3 1 2 10 -1 2.5
        SORT l
        SORT l DESC
        SORT l ALPHA
        SORT l ALPHA DESC
        SORT l LIMIT 1 2
        SORT l LIMIT -5 2
        SORT l LIMIT 2 -1
        SORT l LIMIT 100 2
        SORT l LIMIT 0 0
        SORT l LIMIT 1
        SORT l LIMIT a b
        MSET w_3 1 w_1 9 w_2 5 w_10 x v_3 three v_1 one
        SORT l BY w_*
        SET w_10 7
        SORT l BY w_*
        SORT l BY w_* DESC GET v_* GET #
        SORT l BY w_* ALPHA
        SORT l BY nosort
        SORT l BY nosort DESC
        SORT l BY nosort DESC LIMIT 1 2
        SORT l GET nostar
        HSET h_3 weight 1 name three
        HSET h_1 weight 2 name one
        SORT l BY h_*->weight GET h_*->name
        SORT l GET h_*->
        SORT l GET h_*
        SORT l BY w_* STORE d
        LRANGE d 0 -1
        SORT l GET v_* STORE d
        LRANGE d 0 -1
        SORT none STORE d
        EXISTS d
        SORT_RO l
        SORT_RO l STORE d
        RPUSH words b a c
        SORT words
        SORT words ALPHA
        SADD s 3 1 2
        SORT s
        SORT s BY nosort
        SORT s BY nosort STORE d
        LRANGE d 0 -1
        SET text x
        SORT text
        HSET h a b
        SORT h
        SORT l WHAT
        SORT l STORE
        RPUSH odd 1 ""
        SORT odd
        ZADD z 3 1 2 2 1 3
        SORT z
        SORT z DESC
        SORT z BY nosort
        SORT z BY nosort DESC
        SORT z BY nosort DESC LIMIT 0 2
        SORT z BY nosort LIMIT 1 1
        SORT z BY w_* GET # GET v_*
        SORT z BY nosort STORE d
        LRANGE d 0 -1
        # Redis has made a skiplist of it meanwhile; that shows in OBJECT ENCODING only.
        DEL z
        RPUSH inf inf -inf 5 0
        SORT inf
        "#,
    );
}

/// Payloads travel both ways: what one has dumped the other restores.
#[test]
fn dumps_are_redis_s() {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut pair = Pair::new(proto);
        pair.check("DUMP none");
        pair.check("RESTORE a 0 abc");
        pair.check("RESTORE a 0 abcdefghijklmnopqrs");
        pair.check("SET a 1");
        pair.check("RESTORE a 0 abc");
        pair.check("RESTORE a -1 abc REPLACE");
        pair.check("RESTORE a x abc REPLACE");
        pair.check("RESTORE a 0 abc WHAT");
        pair.check("RESTORE a 0 abc IDLETIME -1");
        pair.check("RESTORE a 0 abc FREQ 256");
        pair.check("DUMP a");
        for n in ["200", "-200", "70000", "-70000", "12345678901", "short", "012"] {
            pair.check(&format!("SET a {n}"));
            pair.check("DUMP a");
        }
        let items: Vec<String> = (-600..600).map(|n| (n * n * n).to_string()).collect();
        let few = items[..20].join(" ");
        let long = "x".repeat(70000) + &"y".repeat(300);
        for (key, make) in [
            ("s1", format!("SET s1 {long}")),
            ("s2", "SET s2 -5".into()),
            ("l1", format!("RPUSH l1 {} {long}", items.join(" "))),
            ("l2", format!("RPUSH l2 {few} text {}", "z".repeat(80))),
            ("h1", format!("HSET h1 {}", items.join(" "))),
            ("h2", format!("HSET h2 {few}")),
            ("t1", format!("SADD t1 {}", items.join(" "))),
            ("t2", format!("SADD t2 {few}")),
            ("t3", format!("SADD t3 {few} text")),
            ("z1", "ZADD z1 1 a 2.5 b -inf c inf d 0.1 e".into()),
            (
                "z2",
                format!("ZADD z2 {}", (0..300).map(|n| format!(" {} m{n}", n * n - 50)).collect::<String>()),
            ),
        ] {
            pair.check(&make);
            pair.exchange_dumps(key);
        }
        pair.check_everything();
    }
}

#[test]
fn time_passes_only_by_the_clock() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use nearcache::memory::{Caller, Engine, EngineConfig, Outcome};
    use nearcache::resp::ArgVec;

    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = now.clone();
    let engine = Engine::new(EngineConfig::default(), Arc::new(move || clock.load(Ordering::Relaxed)));
    let run = |line: &str| {
        let args: ArgVec = line.split(' ').collect();
        let mut out = bytes::BytesMut::new();
        assert!(matches!(engine.execute(&mut Caller::default(), args.args(), &mut out), Outcome::Done));
        String::from_utf8(out.to_vec()).expect("text")
    };
    run("SET a 1 PX 1000");
    run("SET b 1");
    now.fetch_add(1000, Ordering::Relaxed);
    // Its last millisecond is still its own, as in Redis.
    assert_eq!(run("PTTL a"), ":0\r\n");
    assert_eq!(run("DBSIZE"), ":2\r\n");
    now.fetch_add(1, Ordering::Relaxed);
    assert_eq!(run("DBSIZE"), ":2\r\n");
    assert_eq!(run("GET a"), "$-1\r\n");
    assert_eq!(run("DBSIZE"), ":1\r\n");
    now.fetch_add(59_000, Ordering::Relaxed);
    assert_eq!(run("OBJECT IDLETIME b"), ":60\r\n");
    assert!(run("MEMORY USAGE b").starts_with(":7"), "less than eighty bytes");

    for n in 0..10_000 {
        run(&format!("SET key:{n} {n} PX {}", 100 + n));
    }
    assert_eq!(engine.db_size(0), (10_001, 10_000));
    now.fetch_add(5_100, Ordering::Relaxed);
    let mut expired = 0;
    for _ in 0..100 {
        expired += engine.expire_some();
    }
    assert_eq!((expired, engine.db_size(0)), (5_000, (5_001, 5_000)));
    assert_eq!(engine.counts().expired, 5_001);
    now.fetch_add(10_000, Ordering::Relaxed);
    // When everything has expired, one step takes it all.
    assert_eq!(engine.expire_some(), 5_000);
    assert_eq!(engine.db_size(0), (1, 0));
}

#[test]
fn random_key_commands_agree() {
    super::oracle::check_random(7, 8000, |rng| {
        let (key, other) = (format!("k{}", rng.u32(0..6)), format!("k{}", rng.u32(0..6)));
        let far = 33_177_117_420u64 + rng.u64(0..5);
        match rng.u32(0..24) {
            0 => format!("SET {key} {}", rng.u32(0..100)),
            1 => format!("RPUSH {key} b a {}", rng.u32(0..9)),
            2 => format!("HSET {key} f {}", rng.u32(0..9)),
            3 => format!("SADD {key} {}", rng.u32(0..9)),
            4 => format!("RENAME {key} {other}"),
            5 => format!("RENAMENX {key} {other}"),
            6 => format!("COPY {key} {other} DB {}", rng.u32(0..3)),
            7 => format!("COPY {key} {other} REPLACE"),
            8 => format!("MOVE {key} {}", rng.u32(0..3)),
            9 => format!("SELECT {}", rng.u32(0..3)),
            10 => format!("SWAPDB {} {}", rng.u32(0..3), rng.u32(0..3)),
            11 => format!("EXPIREAT {key} {far} {}", ["NX", "XX", "GT", "LT", ""][rng.usize(0..5)]),
            12 => format!("PEXPIREAT {key} {far}000"),
            13 => format!("PERSIST {key}"),
            14 => format!("EXPIRETIME {key}"),
            15 => format!("DEL {key} {other}"),
            16 => format!("EXISTS {key} {other}"),
            17 => format!("TYPE {key}"),
            18 => format!("OBJECT ENCODING {key}"),
            19 => format!("SORT {key} ALPHA STORE {other}"),
            20 => format!("GETEX {key} EXAT {far}"),
            21 if rng.u32(0..20) == 0 => "FLUSHDB".into(),
            22 => format!("EXPIRE {key} -1"),
            _ => "DBSIZE".into(),
        }
    });
}
