//! Lists. (Waiting for them is in `blocking`.)

use super::oracle::{check_random, check_table};

#[test]
fn list_commands_answer_as_redis_does() {
    check_table(
        r#"
        LPUSH l a b c
        RPUSH l d e
        LRANGE l 0 -1
        LRANGE l 1 2
        LRANGE l -2 -1
        LRANGE l 3 1
        LRANGE l -100 100
        LRANGE l 10 20
        LRANGE none 0 -1
        LRANGE l a b
        LPUSHX none a
        RPUSHX none a
        LPUSHX l z
        RPUSHX l z
        LLEN l
        LLEN none
        LINDEX l 0
        LINDEX l -1
        LINDEX l 100
        LINDEX l -100
        LINDEX l x
        LINDEX none 0
        LINDEX none x
        LSET l 0 first
        LSET l -1 last
        LSET l 100 x
        LSET none 0 x
        LSET l a x
        LSET none a x
        LINSERT l BEFORE a x
        LINSERT l AFTER a y
        LINSERT l AFTER nope y
        LINSERT none AFTER a y
        LINSERT l WHAT a y
        LINSERT none WHAT a y
        LRANGE l 0 -1
        LPOP l
        RPOP l
        LPOP none
        LPOP none 0
        LPOP none 2
        LPOP l 0
        LPOP l -1
        LPOP l abc
        LPOP l 2
        RPOP l 2
        RPOP l 100
        EXISTS l
        LPOP l 1 2
        RPOP l 1 2
        RPUSH l a b a b a
        LREM l 1 a
        LREM l -1 a
        LREM l 0 b
        LREM l 0 nope
        LREM none 0 a
        LREM l x a
        LREM l 0 a
        EXISTS l
        RPUSH l 1 2 3 4 5
        LTRIM l 1 -2
        LRANGE l 0 -1
        LTRIM l a b
        LTRIM none 0 1
        LTRIM l 5 10
        EXISTS l
        RPUSH l a b c 1 2 3 c c
        LPOS l c
        LPOS l c RANK 2
        LPOS l c RANK -1
        LPOS l c RANK 0
        LPOS l c RANK -9223372036854775808
        LPOS l c RANK -9223372036854775808 COUNT 1
        LPOS l c RANK -9223372036854775807 COUNT 1
        LPOS l c RANK x
        LPOS l c COUNT 0
        LPOS l c COUNT 2
        LPOS l c COUNT -1
        LPOS l c COUNT x
        LPOS l c RANK -1 COUNT 2
        LPOS l c COUNT 0 MAXLEN 3
        LPOS l c RANK -1 COUNT 0 MAXLEN 2
        LPOS l c MAXLEN 1
        LPOS l c MAXLEN -1
        LPOS l nope
        LPOS l nope COUNT 0
        LPOS none a
        LPOS none a COUNT 1
        LPOS l c WHAT
        LPOS l c RANK
        RPOPLPUSH l m
        RPOPLPUSH l l
        RPOPLPUSH none m
        LMOVE l m LEFT RIGHT
        LMOVE l l LEFT RIGHT
        LMOVE l l LEFT LEFT
        LMOVE l m UP RIGHT
        LMOVE none m LEFT RIGHT
        RPUSH one x
        LMOVE one one LEFT RIGHT
        LRANGE one 0 -1
        LMOVE one two LEFT RIGHT
        EXISTS one
        LMPOP 2 none l LEFT
        LMPOP 2 none l RIGHT COUNT 2
        LMPOP 2 none none2 RIGHT COUNT 2
        LMPOP 0 l LEFT
        LMPOP x l LEFT
        LMPOP 1 l UP
        LMPOP 1 l LEFT COUNT 0
        LMPOP 1 l LEFT COUNT x
        LMPOP 1 l LEFT COUNT 1 COUNT 1
        LMPOP 1 l LEFT COUNT
        LMPOP 5 l LEFT
        LMPOP 1 l LEFT COUNT 100
        EXISTS l
        SET s x
        LPUSH s a
        LPUSHX s a
        LPOP s
        LPOP s 1
        LPOP s x
        LLEN s
        LINDEX s 0
        LINDEX s x
        LSET s 0 x
        LRANGE s 0 1
        LREM s 0 a
        LTRIM s 0 1
        LPOS s a
        LINSERT s BEFORE a b
        LMOVE s l LEFT LEFT
        RPUSH l q
        LMOVE l s LEFT LEFT
        LMPOP 2 s l LEFT
        RPOPLPUSH none s
        BLPOP l 0
        BLPOP s 0
        BLPOP l x
        BLPOP l -1
        BLPOP l 1e400
        RPUSH l a b c d e
        BLPOP none l 0
        BRPOP l 1
        BLMPOP 0 2 none l LEFT COUNT 2
        BLMPOP -1 2 none l LEFT
        BLMPOP x 2 none l LEFT
        BLMOVE l m LEFT RIGHT 0
        BLMOVE l m LEFT UP 0
        BLMOVE l m LEFT RIGHT x
        RPUSH l x
        BRPOPLPUSH l m 0
        LRANGE m 0 -1
        OBJECT ENCODING m
        LPUSH l
        LPOP
        "#,
    );
}

#[test]
fn random_list_commands_agree() {
    check_random(2, 5000, |rng| {
        let key = format!("l{}", rng.u32(0..3));
        let other = format!("l{}", rng.u32(0..3));
        let element = match rng.u32(0..20) {
            0 => "x".repeat(rng.usize(0..5000) + 1),
            _ => rng.u32(0..12).to_string(),
        };
        let end = ["LEFT", "RIGHT"][rng.usize(0..2)];
        let other_end = ["LEFT", "RIGHT"][rng.usize(0..2)];
        let (n, m) = (rng.i64(-30..60), rng.i64(-30..60));
        match rng.u32(0..19) {
            0..=2 => format!("RPUSH {key} {element} {n} {m}"),
            3 | 4 => format!("LPUSH {key} {element} {n} {m} q"),
            5 => format!("LPOP {key}"),
            6 => format!("RPOP {key} {}", rng.u32(0..5)),
            7 => format!("LRANGE {key} {n} {m}"),
            8 => format!("LINDEX {key} {n}"),
            9 => format!("LSET {key} {n} {element}"),
            10 => format!("LINSERT {key} {} {n} {element}", ["BEFORE", "AFTER"][rng.usize(0..2)]),
            11 => format!("LREM {key} {} {element}", rng.i64(-3..4)),
            12 if rng.u32(0..4) == 0 => format!("LTRIM {key} {n} {m}"),
            13 => format!("LPOS {key} {element} RANK {} COUNT {}", rng.u32(1..4), rng.u32(0..4)),
            14 => format!("LPOS {key} {element} RANK -{} MAXLEN {}", rng.u32(1..4), rng.u32(0..40)),
            15 => format!("LMOVE {key} {other} {end} {other_end}"),
            16 => format!("LMPOP 2 {key} {other} {end} COUNT {}", rng.u32(1..4)),
            17 => format!("COPY {key} {other}"),
            _ => format!("LLEN {key}"),
        }
    });
}
