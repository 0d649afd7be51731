//! Sets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::BytesMut;
use nearcache::memory::{Caller, Engine, EngineConfig, Outcome};
use nearcache::resp::{ArgVec, Proto};

use super::blocking::Stage;
use super::oracle::{Pair, check_random, check_table, engine, strings, words};

#[test]
fn set_commands_answer_as_redis_does() {
    check_table(
        r#"
        SADD s 3 1 2
        SADD s 1 4
        SMEMBERS s
        OBJECT ENCODING s
        SADD t a b c 1
        OBJECT ENCODING t
        ~SMEMBERS t
        SMEMBERS none
        SREM s 4 none
        SREM none a
        SCARD s
        SCARD none
        SISMEMBER s 1
        SISMEMBER s 01
        SISMEMBER none 1
        SMISMEMBER s 1 9 2
        SMISMEMBER none 1 9
        SMOVE s t 2
        SMOVE s t nope
        SMOVE none t a
        SMOVE s s 1
        SMOVE s new 1
        SMOVE s new 3
        EXISTS s
        SADD s 1 2 3
        SPOP none
        SPOP none 3
        SPOP s 0
        SPOP s -1
        SPOP s x
        SPOP s 1 2
        SPOP s 100
        EXISTS s
        SADD s one
        SPOP s
        SADD s one
        SRANDMEMBER s
        SRANDMEMBER s 5
        SRANDMEMBER s -2
        SRANDMEMBER s 0
        SRANDMEMBER s x
        SRANDMEMBER s 1 2
        SRANDMEMBER s -9223372036854775808
        SRANDMEMBER none
        SRANDMEMBER none 5
        DEL s t
        SADD s 1 2 3 4
        SADD t 3 4 5
        SADD u 4 x
        SINTER s t
        SINTER s t u
        SINTER s none
        ~SUNION s t
        ~SUNION s t u
        SUNION none
        SDIFF s t
        SDIFF s t u
        SDIFF none s
        ~SDIFF u s
        SINTERSTORE d s t
        SMEMBERS d
        OBJECT ENCODING d
        SUNIONSTORE d s u
        OBJECT ENCODING d
        SDIFFSTORE d s t
        OBJECT ENCODING d
        SDIFFSTORE d s s
        EXISTS d
        SINTERSTORE s s t
        SMEMBERS s
        SET text x
        SINTER none text
        SINTER s text
        SINTERSTORE d none text
        SUNION s text
        SDIFF none text
        SDIFF text none
        SUNIONSTORE text s
        TYPE text
        SINTERCARD 2 s t
        SINTERCARD 2 s t LIMIT 1
        SINTERCARD 2 s t LIMIT 0
        SINTERCARD 2 s t LIMIT -1
        SINTERCARD 2 s t LIMIT x
        SINTERCARD 2 s t LIMIT
        SINTERCARD 0 s
        SINTERCARD x s
        SINTERCARD 3 s t
        SINTERCARD 1 none
        SSCAN s 0
        SSCAN t 0 MATCH 3
        SSCAN none 0
        SSCAN s x
        SSCAN s 0 WHAT
        SSCAN s 0 COUNT 100
        ~SINTER u u
        SET text x
        SADD text a
        SREM text a
        SCARD text
        SISMEMBER text a
        SMISMEMBER text a
        SMEMBERS text
        SMOVE text s a
        SMOVE s text 3
        SMOVE none text 3
        SMOVE s text nope
        SPOP text
        SPOP text 1
        SRANDMEMBER text
        SRANDMEMBER text 1
        SINTERCARD 2 s text
        SSCAN text 0
        SADD s
        SADD big 9223372036854775807 -9223372036854775808 0
        SMEMBERS big
        SADD big 9223372036854775808
        OBJECT ENCODING big
        "#,
    );
}

#[test]
fn random_set_commands_agree() {
    check_random(4, 6000, |rng| {
        let key = format!("s{}", rng.u32(0..4));
        let other = format!("s{}", rng.u32(0..4));
        let third = format!("s{}", rng.u32(0..4));
        let member = if rng.u32(0..200) == 0 { "text".into() } else { rng.i64(-400..400).to_string() };
        match rng.u32(0..14) {
            0..=4 => format!("SADD {key} {member} {} {}", rng.u32(0..600), rng.u32(0..600)),
            5 => format!("SREM {key} {member}"),
            6 => format!("SISMEMBER {key} {member}"),
            7 => format!("SMOVE {key} {other} {member}"),
            8 => format!("~SINTER {key} {other} {third}"),
            9 => format!("~SUNION {key} {other}"),
            10 => format!("~SDIFF {key} {other} {third}"),
            11 => format!("SINTERCARD 2 {key} {other} LIMIT {}", rng.u32(0..5)),
            12 if rng.u32(0..10) == 0 => format!("SDIFFSTORE {key} {other} {third}"),
            12 if rng.u32(0..10) == 0 => format!("SINTERSTORE {key} {other} {third}"),
            12 if rng.u32(0..10) == 0 => format!("DEL {key}"),
            _ => format!("SCARD {key}"),
        }
    });
}

#[test]
fn corner_cases_of_sets_agree() {
    check_table(
        r#"
        SADD s "" a a \x00\xff\r\n
        SCARD s
        SISMEMBER s ""
        SREM s "" "" nope
        SADD ints -0 +1 01 " 1"
        OBJECT ENCODING ints
        SADD i 1 1 1
        SADD i 32767 32768 -32768 -32769 2147483648 -2147483649
        SMEMBERS i
        OBJECT ENCODING i
        SISMEMBER i x
        SREM i x 1.0 +1
        SINTERCARD 1 i limit 2
        SINTERCARD 1 i LIMIT 2 LIMIT 3
        SINTERCARD 1 i LIMIT 2 3
        SINTERCARD 1 i i
        SINTERCARD 9223372036854775807 i
        SINTERCARD 99999999999999999999 i
        SINTERCARD -1 i
        SINTERCARD 2 i i LIMIT 9223372036854775808
        SINTERCARD 1
        SINTERCARD 2 i none
        SINTERCARD 2 i i
        SADD j -32769 1 x
        ~SINTER i j
        ~SINTER j i
        SINTER i i
        SUNION i i
        SDIFF i i
        SDIFF i j none
        SDIFF none none
        SINTER none
        SINTER
        SDIFFSTORE d
        SADD mixed 4 x
        SADD letters x
        SDIFFSTORE d mixed letters
        OBJECT ENCODING d
        SADD letters 5 6 7 8 9
        SDIFFSTORE d mixed letters
        OBJECT ENCODING d
        SADD mixed 5 6 7 8 9 10 11 12 13 14 15
        SDIFFSTORE d mixed letters none letters
        OBJECT ENCODING d
        SDIFF mixed letters letters letters letters
        SDIFFSTORE d mixed letters letters letters letters
        OBJECT ENCODING d
        SUNIONSTORE d i
        OBJECT ENCODING d
        SUNIONSTORE d i mixed
        OBJECT ENCODING d
        SINTERSTORE d mixed mixed
        OBJECT ENCODING d
        SINTERSTORE d mixed i
        EXISTS d
        SINTERSTORE d none none
        SADD d 1
        EXPIREAT d 33177117420
        SADD d 2
        SREM d 2
        SMOVE i d 32768
        EXPIRETIME d
        SUNIONSTORE d d i
        EXPIRETIME d
        SMEMBERS d
        EXPIREAT d 33177117420
        SPOP d 1000
        EXISTS d
        SET text x
        SDIFFSTORE text i text
        SUNIONSTORE text none
        EXISTS text
        SET text x
        SINTERSTORE d text
        SMISMEMBER i
        SMOVE i j
        SMOVE i text 1
        SMOVE none text 1
        SMOVE i i nope
        SMOVE i i 32767
        SADD one 7
        SMOVE one other 7
        EXISTS one
        SMOVE other other 7
        SMOVE other i 7
        EXISTS other
        SPOP i 99999999999999999999
        SPOP i 9223372036854775807 x
        SPOP none x
        SPOP text x
        SPOP text -1
        SPOP i 1.0
        SRANDMEMBER i 99999999999999999999
        SRANDMEMBER i 100
        SRANDMEMBER i 9223372036854775807
        SRANDMEMBER text 0
        SRANDMEMBER none x
        SRANDMEMBER i 1 1 1
        SSCAN i 0 COUNT 1
        SSCAN i 77 MATCH -*
        SSCAN i 0 MATCH * COUNT 1 MATCH [23]*
        SSCAN i 0 COUNT -1
        SSCAN i 0 COUNT
        SSCAN i 0 MATCH
        SSCAN i 0 TYPE set
        SSCAN i -1
        SSCAN i ""
        SSCAN i 18446744073709551616
        SSCAN text x
        SSCAN none 0 COUNT x
        SSCAN i
        ~SMEMBERS mixed
        OBJECT ENCODING mixed
        SREM mixed x
        OBJECT ENCODING mixed
        "#,
    );
}

/// A set of the integers below `count` on both sides.
fn fill(pair: &mut Pair, key: &str, count: usize) {
    let members: Vec<_> = (0..count).map(|n| n.to_string()).collect();
    pair.check(&format!("SADD {key} {}", members.join(" ")));
}

#[test]
fn popping_takes_what_it_gives() {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut pair = Pair::new(proto);
        for (size, pops) in
            [(10, 1), (512, 100), (512, 511), (600, 1), (600, 400), (600, 500), (600, 501), (600, 599)]
        {
            pair.check("DEL s");
            fill(&mut pair, "s", size);
            pair.check("EXPIREAT s 33177117420");
            let (expected, given) = pair.both(&format!("SPOP s {pops}"));
            assert_eq!(given[..4], expected[..4], "{proto:?} {size} {pops}");
            let popped: BTreeSet<_> = strings(&given).into_iter().collect();
            let left: BTreeSet<_> = strings(&pair.both("SMEMBERS s").1).into_iter().collect();
            assert_eq!(popped.len(), pops);
            assert!(popped.is_disjoint(&left));
            assert_eq!(popped.union(&left).count(), size);
            pair.check("SCARD s");
            pair.check("OBJECT ENCODING s");
            pair.check("EXPIRETIME s");
            let single = strings(&pair.both("SPOP s").1);
            assert!(single.len() == 1 && left.contains(&single[0]));
            pair.check("EXISTS s");
        }
    }
}

#[test]
fn random_members_are_members_and_differ_as_asked() {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut pair = Pair::new(proto);
        fill(&mut pair, "small", 100);
        fill(&mut pair, "large", 3000);
        for (key, size) in [("small", 100usize), ("large", 3000)] {
            for count in [1i64, 10, 50, 90, 99, -1, -50, -500] {
                let (expected, given) = pair.both(&format!("SRANDMEMBER {key} {count}"));
                let header = expected.iter().position(|&b| b == b'\n').expect("a header");
                assert_eq!(given[..header], expected[..header], "{proto:?} {key} {count}");
                let members: Vec<usize> =
                    strings(&given).iter().map(|m| m.parse().expect("an integer")).collect();
                assert!(members.iter().all(|&member| member < size));
                let different = members.iter().collect::<BTreeSet<_>>().len();
                assert!(count < 0 || different == count as usize, "{members:?}");
            }
            let seen: BTreeSet<_> =
                strings(&pair.both(&format!("SRANDMEMBER {key} -60000")).1).into_iter().collect();
            assert_eq!(seen.len(), size, "every member comes up");
        }
    }
}

#[test]
fn a_scan_meets_every_member_while_others_come_and_go() {
    let mut pair = Pair::new(Proto::Resp2);
    fill(&mut pair, "s", 2000);
    let (mut cursor, mut seen, mut step) = ("0".to_string(), BTreeSet::new(), 0);
    loop {
        let found = strings(&pair.both(&format!("SSCAN s {cursor} COUNT 20")).1);
        assert!(found.len() < 200, "a step stays short");
        cursor = found[0].clone();
        seen.extend(found[1..].iter().cloned());
        if cursor == "0" {
            break;
        }
        step += 1;
        // Others grow the table to the double, then shrink it to the half.
        for n in 0..40 {
            let other = 10_000 + if step < 50 { step * 40 + n } else { (step - 50) * 40 + n };
            pair.both(&format!("{} s {other}", if step < 50 { "SADD" } else { "SREM" }));
        }
    }
    assert!((0..2000).all(|n: usize| seen.contains(&n.to_string())));
}

#[test]
fn watchers_hear_of_changed_sets_only() {
    let mut stage = Stage::new(2);
    for spoil in [
        "SADD k 1",
        "SADD k 3",
        "SREM k 3",
        "SREM k 1",
        "SREM k 1 2",
        "SMOVE k other 1",
        "SMOVE k other 3",
        "SMOVE k k 1",
        "SMOVE other k 8",
        "SMOVE other k 2",
        "SPOP k",
        "SPOP k 0",
        "SPOP k 5",
        "SPOP k x",
        "SRANDMEMBER k 2",
        "SINTERSTORE k other",
        "SINTERSTORE k none",
        "SINTERSTORE gone none",
        "SUNIONSTORE gone other",
        "SDIFFSTORE k k k",
        "SADD text 1",
    ] {
        stage.say(1, "FLUSHALL");
        stage.say(1, "SADD k 1 2");
        stage.say(1, "SADD other 2 8");
        stage.say(1, "SET text x");
        let watch = stage.watch(0, "WATCH k gone text");
        // Not compared: what SPOP gives is a matter of chance.
        stage.say_unheard(1, spoil);
        stage.transaction(0, &["TYPE text"], Some(&watch));
    }
}

#[test]
fn a_reply_without_end_is_refused() {
    let (engine, mut caller) = (engine(), Caller::default());
    let mut run = |line: &str| {
        let args: ArgVec = words(line).iter().collect();
        let mut out = BytesMut::from(&b"+before\r\n"[..]);
        assert!(matches!(engine.execute(&mut caller, args.args(), &mut out), Outcome::Done));
        String::from_utf8_lossy(&out).into_owned()
    };
    let long = "x".repeat(8 << 10);
    run(&format!("SADD s {long}"));
    run(&format!("HSET h {long} {long}"));
    for line in [
        "SRANDMEMBER s -9223372036854775807",
        "HRANDFIELD h -9223372036854775807",
        "HRANDFIELD h -4611686018427387903 WITHVALUES",
    ] {
        assert_eq!(run(line), "+before\r\n-ERR the reply would be too long\r\n");
    }
    assert!(run("SRANDMEMBER s -8000").len() > (8000 * 8) << 10);
}

#[test]
fn sets_whose_time_is_over_are_empty_to_all() {
    let now = Arc::new(AtomicI64::new(1_000_000));
    let clock = now.clone();
    let config = EngineConfig { shards: 1, ..EngineConfig::default() };
    let engine = Engine::new(config, Arc::new(move || clock.load(Ordering::Relaxed)));
    let mut caller = Caller::default();
    let mut run = |line: &str| {
        let args: ArgVec = words(line).iter().collect();
        let mut out = BytesMut::new();
        assert!(matches!(engine.execute(&mut caller, args.args(), &mut out), Outcome::Done));
        String::from_utf8_lossy(&out).into_owned()
    };
    // Removing the first moves the last into its place, in the midst of the lookup.
    for n in 0..20 {
        run(&format!("SADD s{n} {n}"));
        run(&format!("PEXPIRE s{n} {}", if n % 3 == 1 { 1000 } else { 10 }));
    }
    let keys: Vec<_> = (0..20).map(|n| format!("s{n}")).collect();
    now.fetch_add(11, Ordering::Relaxed);
    let members: Vec<_> = strings(run(&format!("SUNION {}", keys.join(" "))).as_bytes());
    assert_eq!(members, ["1", "4", "7", "10", "13", "16", "19"]);
    assert_eq!(run("DBSIZE"), ":7\r\n");
    assert_eq!(run("SINTERCARD 2 s1 s2"), ":0\r\n");
}
