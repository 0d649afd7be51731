//! Sorted sets.

use std::collections::HashSet;

use bytes::BytesMut;
use nearcache::memory::Caller;
use nearcache::resp::ArgVec;

use super::blocking::Stage;
use super::oracle::{check_random, check_table, engine};

#[test]
fn members_and_scores_answer_as_in_redis() {
    check_table(
        r#"
        ZADD z 1 a 2 b 3 c
        ZADD z
        ZADD z 1
        ZADD z 1 a 2
        ZADD z x a
        ZADD z nan a
        ZADD z 1 a x b
        ZADD z NX XX 1 a
        ZADD z NX GT 1 a
        ZADD z NX LT 1 a
        ZADD z GT LT 1 a
        ZADD z XX
        ZADD z CH
        ZADD z INCR 1 a 2 b
        ZADD z INCR 1 a
        ZADD z INCR NX 1 a
        ZADD z INCR XX 1 new
        ZADD z INCR GT -1 a
        ZADD z INCR LT 1 a
        ZADD z INCR LT 0 a
        ZADD z INCR GT 0 a
        ZADD z CH GT 0 a 5 b 9 new
        ZADD z LT CH 0 a 9 b
        ZADD z XX CH 1 a 2 b 4 other
        ZADD z NX CH 1 a 2 b 4 other
        ZADD z nx ch gt 1 a
        ZADD none XX 1 a
        ZADD none XX INCR 1 a
        ZADD none XX CH 1 a
        EXISTS none
        ZADD none GT 1 a
        ZADD q inf a -inf b +inf c Infinity d 1e308 e -1e308 f
        ZADD q 1e400 x
        ZADD q 0x10 x
        ZADD q 1_0 x
        ZADD q " 1" x
        ZADD q "" x
        ZRANGE q 0 -1 WITHSCORES
        ZADD q INCR -inf a
        ZADD q INCR inf b
        ZINCRBY q -inf a
        ZINCRBY q 1e308 e
        ZINCRBY q inf new
        ZINCRBY q nan a
        ZINCRBY q x a
        ZINCRBY q nx a
        ZINCRBY q 1
        ZINCRBY q 1 a b
        ZINCRBY z 1.5 a
        ZINCRBY z 0.1 a
        ZINCRBY z -0 a
        ZINCRBY fresh 3 a
        ZSCORE fresh a
        ZADD zero -0 a
        ZSCORE zero a
        ZADD zero 0 a
        ZINCRBY zero -0 b
        ZSCORE zero b
        ZRANGE zero 0 -1 WITHSCORES
        ZADD bigzero -0 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -0 b
        ZRANGE bigzero 0 -1 WITHSCORES
        ZADD bigzero 0 b
        ZSCORE bigzero b
        OBJECT ENCODING bigzero
        ZADD num 3.14159265358979 a 1e17 b 123456789012345678 c 0.1 d 1e-10 e 9007199254740993 f -5 g 1e16 h 4503599627370497 i
        ZRANGE num 0 -1 WITHSCORES
        ZSCORE num a
        ZMSCORE num a b c d none e
        ZMSCORE none a b
        ZMSCORE num
        ZSCAN num 0
        ZSCAN num 0 MATCH a*
        ZSCAN num 0 COUNT 1
        ZSCAN num 0 COUNT 0
        ZSCAN num 0 MATCH
        ZSCAN num 0 TYPE zset
        ZSCAN num abc
        ZSCAN none 0
        ZSCAN none 0 WHAT
        ZSCORE z none
        ZSCORE none a
        ZCARD z
        ZCARD none
        ZRANK z a
        ZRANK z c
        ZRANK z none
        ZRANK none a
        ZREVRANK z a
        ZREVRANK z c
        ZREVRANK z none
        ZRANK z a WITHSCORE
        ZREM z none
        ZREM z none a a
        ZREM none a
        ZREM fresh a
        EXISTS fresh
        ZREM z
        SET text x
        ZADD text 1 a
        ZADD text XX 1 a
        ZADD text x a
        ZINCRBY text 1 a
        ZCARD text
        ZSCORE text a
        ZMSCORE text a
        ZRANK text a
        ZREM text a
        ZSCAN text 0
        ZPOPMIN text
        ZPOPMIN text 0
        ZMPOP 1 text MIN
        ZMPOP 2 none text MIN
        ZRANDMEMBER text
        ZRANDMEMBER text 1
        BZPOPMIN text 0
        BZMPOP 0 1 text MIN
        DEL z
        ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h
        ZPOPMIN z
        ZPOPMAX z
        ZPOPMIN z 2
        ZPOPMAX z 2
        ZPOPMIN z 0
        ZPOPMIN z -1
        ZPOPMIN z x
        ZPOPMIN z 1 2
        ZPOPMIN none
        ZPOPMIN none 2
        ZPOPMIN none -1
        ZPOPMAX z 9223372036854775808
        ZPOPMAX z 100
        EXISTS z
        ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h
        ZMPOP 1 z MIN
        ZMPOP 2 none z MAX COUNT 2
        ZMPOP 2 none none2 MAX COUNT 2
        ZMPOP 0 z MIN
        ZMPOP -1 z MIN
        ZMPOP x z MIN
        ZMPOP 99999999999999 z MIN
        ZMPOP 9223372036854775807 z MIN
        ZMPOP 1 z WHAT
        ZMPOP 2 z MIN
        ZMPOP 1 z MIN COUNT
        ZMPOP 1 z MIN COUNT 0
        ZMPOP 1 z MIN COUNT x
        ZMPOP 1 z MIN COUNT 1 COUNT 2
        ZMPOP 1 z MIN WHAT 2
        ZMPOP 1 z MIN COUNT 100
        EXISTS z
        ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h
        BZPOPMIN z 0
        BZPOPMAX none z 0
        BZPOPMIN z x
        BZPOPMIN z -1
        BZPOPMIN z
        BZMPOP 0 1 z MIN
        BZMPOP 0 2 none z MAX COUNT 2
        BZMPOP x 0 z MIN
        BZMPOP x 1 z WHAT
        BZMPOP x 1 z MIN
        BZMPOP -1 1 z MIN
        BZMPOP 0 1 z MIN COUNT 0
        BZMPOP 0 1 z MIN COUNT 100
        EXISTS z
        ZADD one 1 a
        ZRANDMEMBER one
        ZRANDMEMBER one 5
        ZRANDMEMBER one 1 WITHSCORES
        ZRANDMEMBER one -3
        ZRANDMEMBER one -3 WITHSCORES
        ZRANDMEMBER one 0
        ZRANDMEMBER one x
        ZRANDMEMBER one 1 WHAT
        ZRANDMEMBER one 1 WITHSCORES 2
        ZRANDMEMBER one -9223372036854775808
        ZRANDMEMBER one 9223372036854775807 WITHSCORES
        ZRANDMEMBER one 9223372036854775807
        ZRANDMEMBER none
        ZRANDMEMBER none 5
        ZRANDMEMBER none -5 WITHSCORES
        ZADD three 1 a 2 b 3 c
        ZRANDMEMBER three 3
        ZRANDMEMBER three 10 WITHSCORES
        ZADD three 1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        ZRANDMEMBER three 10 WITHSCORES
        "#,
    );
}

#[test]
fn ranges_answer_as_in_redis() {
    check_table(
        r#"
        ZADD z 1 a 2 b 2 c 3 d 5 e inf f -inf g
        ZRANGE z 0 -1
        ZRANGE z 1 2
        ZRANGE z -2 -1
        ZRANGE z -100 100
        ZRANGE z 5 2
        ZRANGE z 100 200
        ZRANGE z 0 -100
        ZRANGE z 0 -1 WITHSCORES
        ZRANGE z 0 -1 REV
        ZRANGE z 1 2 REV WITHSCORES
        ZRANGE z -2 -1 REV
        ZRANGE z 0 -1 REV REV
        ZRANGE z 0 -1 WITHSCORES WITHSCORES
        ZRANGE z x 1
        ZRANGE z 1 x
        ZRANGE z 0 -1 LIMIT 0 1
        ZRANGE z 0 -1 LIMIT 1 -1
        ZRANGE z 0 -1 LIMIT 0
        ZRANGE z 0 -1 LIMIT x 1
        ZRANGE z 0 -1 WHAT
        ZRANGE z 9223372036854775807 9223372036854775807
        ZRANGE z -9223372036854775808 9223372036854775807
        ZRANGE none 0 -1
        ZRANGE none x -1
        ZRANGE z 1 3 BYSCORE
        ZRANGE z (1 3 BYSCORE WITHSCORES
        ZRANGE z (1 (3 BYSCORE
        ZRANGE z 3 1 BYSCORE
        ZRANGE z 3 1 BYSCORE REV
        ZRANGE z +inf -inf BYSCORE REV LIMIT 1 3
        ZRANGE z -inf +inf BYSCORE LIMIT 1 3
        ZRANGE z -inf +inf BYSCORE LIMIT 1 -1
        ZRANGE z -inf +inf BYSCORE LIMIT 1 -5 WITHSCORES
        ZRANGE z -inf +inf BYSCORE LIMIT -1 5
        ZRANGE z -inf +inf BYSCORE LIMIT 0 0
        ZRANGE z -inf +inf BYSCORE LIMIT 100 1
        ZRANGE z -inf +inf BYSCORE LIMIT 6 10
        ZRANGE z -inf +inf BYSCORE BYLEX
        ZRANGE z -inf +inf BYSCORE BYSCORE
        ZRANGE z x 1 BYSCORE
        ZRANGE z nan 1 BYSCORE
        ZRANGE z "" 1 BYSCORE
        ZRANGE z "(" 2 BYSCORE
        ZRANGE z " 1" 2 BYSCORE
        ZRANGE z "1 " 2 BYSCORE
        ZRANGE z " " 2 BYSCORE
        ZRANGE z 1e400 1e500 BYSCORE
        ZRANGE z 0x1 0x2 BYSCORE
        ZRANGE z 1 2 BYLEX
        ZRANGEBYSCORE z -inf +inf
        ZRANGEBYSCORE z (-inf (+inf WITHSCORES
        ZRANGEBYSCORE z 2 2
        ZRANGEBYSCORE z (2 2
        ZRANGEBYSCORE z 2 (2
        ZRANGEBYSCORE z 0 10 LIMIT 1 2 WITHSCORES
        ZRANGEBYSCORE z 0 10 LIMIT 1
        ZRANGEBYSCORE z 0 10 REV
        ZRANGEBYSCORE z 0 10 BYLEX
        ZREVRANGEBYSCORE z 10 0
        ZREVRANGEBYSCORE z 0 10
        ZREVRANGEBYSCORE z +inf (2 WITHSCORES LIMIT 0 2
        ZREVRANGEBYSCORE z (3 2
        ZREVRANGE z 0 -1
        ZREVRANGE z 1 2 WITHSCORES
        ZREVRANGE z 0 0 BYSCORE
        ZREVRANGE z 0 0 LIMIT 0 1
        ZCOUNT z -inf +inf
        ZCOUNT z (1 2
        ZCOUNT z 2 1
        ZCOUNT z x 1
        ZCOUNT none 0 1
        ZLEXCOUNT z - +
        ZADD lex 0 a 0 b 0 c 0 d 0 aa 0 bb 0 "" 0 z
        ZRANGEBYLEX lex - +
        ZRANGEBYLEX lex [b [c
        ZRANGEBYLEX lex (b (c
        ZRANGEBYLEX lex (b [c
        ZRANGEBYLEX lex + -
        ZRANGEBYLEX lex - -
        ZRANGEBYLEX lex + +
        ZRANGEBYLEX lex [ [b
        ZRANGEBYLEX lex ( [b
        ZRANGEBYLEX lex [c [b
        ZRANGEBYLEX lex [b [b
        ZRANGEBYLEX lex (b [b
        ZRANGEBYLEX lex b c
        ZRANGEBYLEX lex -x +
        ZRANGEBYLEX lex "" +
        ZRANGEBYLEX lex - + LIMIT 1 2
        ZRANGEBYLEX lex - + LIMIT -1 2
        ZRANGEBYLEX lex - + LIMIT 1 -1
        ZRANGEBYLEX lex - + WITHSCORES
        ZREVRANGEBYLEX lex + -
        ZREVRANGEBYLEX lex [c (a LIMIT 1 2
        ZREVRANGEBYLEX lex - +
        ZRANGE lex - + BYLEX
        ZRANGE lex + - BYLEX REV LIMIT 1 3
        ZRANGE lex - + BYLEX WITHSCORES
        ZRANGE lex [zz + BYLEX
        ZLEXCOUNT lex - +
        ZLEXCOUNT lex [a (c
        ZLEXCOUNT lex a c
        ZLEXCOUNT none - +
        ZADD mixed 3 a 2 b 1 c 2 d 0 e
        ZRANGEBYLEX mixed [b [d
        ZRANGEBYLEX mixed [a [c
        ZREVRANGEBYLEX mixed [d [b
        ZREVRANGEBYLEX mixed [c -
        ZLEXCOUNT mixed [b [d
        ZRANGESTORE to z 0 -1
        ZRANGE to 0 -1 WITHSCORES
        ZRANGESTORE to z 1 3 BYSCORE
        ZRANGE to 0 -1 WITHSCORES
        ZRANGESTORE to z 3 1 BYSCORE REV LIMIT 1 2
        ZRANGE to 0 -1 WITHSCORES
        ZRANGESTORE to lex [b + BYLEX
        ZRANGE to 0 -1 WITHSCORES
        ZRANGESTORE to z 0 -1 WITHSCORES
        ZRANGESTORE to z 0 -1 LIMIT 0 1
        ZRANGESTORE to z 0
        ZRANGESTORE to none 0 -1
        EXISTS to
        ZRANGESTORE z z 0 3
        ZRANGE z 0 -1 WITHSCORES
        SET text x
        ZRANGESTORE text z 0 -1
        TYPE text
        SET text x
        ZRANGESTORE text none 0 -1
        SET text x
        ZRANGE text 0 -1
        ZRANGE text x -1
        ZRANGESTORE to text 0 -1
        ZCOUNT text 0 1
        ZLEXCOUNT text - +
        ZREMRANGEBYRANK text 0 1
        ZREMRANGEBYSCORE text 0 1
        ZREMRANGEBYLEX text - +
        DEL z
        ZADD z 1 a 2 b 2 c 3 d 5 e inf f -inf g
        ZREMRANGEBYRANK z 1 2
        ZREMRANGEBYRANK z -1 -1
        ZREMRANGEBYRANK z 5 1
        ZREMRANGEBYRANK z 100 200
        ZREMRANGEBYRANK z x 1
        ZREMRANGEBYSCORE z (2 3
        ZREMRANGEBYSCORE z x 3
        ZRANGE z 0 -1 WITHSCORES
        ZREMRANGEBYSCORE z -inf +inf
        EXISTS z
        ZREMRANGEBYLEX lex [b (c
        ZREMRANGEBYLEX lex b c
        ZREMRANGEBYLEX mixed [b [d
        ZRANGE mixed 0 -1
        ZREMRANGEBYLEX lex - +
        EXISTS lex
        ZREMRANGEBYRANK none 0 1
        "#,
    );
}

#[test]
fn combinations_answer_as_in_redis() {
    check_table(
        r#"
        ZADD a 1 x 2 y 3 z
        ZADD b 10 y 20 z 30 w
        SADD s y w q
        ZUNION 2 a b
        ZUNION 2 a b WITHSCORES
        ZUNION 3 a b s WITHSCORES
        ZUNION 2 a b WEIGHTS 2 3 WITHSCORES
        ZUNION 2 a b WEIGHTS 2 WITHSCORES
        ZUNION 2 a b WEIGHTS 2
        ZUNION 2 a b WEIGHTS 2 x
        ZUNION 2 a b WEIGHTS 2 nan
        ZUNION 2 a b AGGREGATE MIN WITHSCORES
        ZUNION 2 a b AGGREGATE MAX WITHSCORES
        ZUNION 2 a b AGGREGATE SUM WEIGHTS 0.5 -1 WITHSCORES
        ZUNION 2 a b AGGREGATE
        ZUNION 2 a b AGGREGATE AVG
        ZUNION 2 a b LIMIT 1
        ZUNION 2 a b WEIGHTS inf -inf WITHSCORES
        ZUNION 2 a b WEIGHTS 0 0 WITHSCORES
        ZUNION 1 a WEIGHTS -0 WITHSCORES
        ZUNIONSTORE negative 1 a WEIGHTS -0
        ZRANGE negative 0 -1 WITHSCORES
        ZUNION 2 a a WITHSCORES
        ZUNION 1 none
        ZUNION 0 a
        ZUNION -1 a
        ZUNION x a
        ZUNION 3 a b
        ZUNION 9223372036854775807 a b
        ZINTER 2 a b
        ZINTER 2 a b WITHSCORES
        ZINTER 3 a b s WITHSCORES
        ZINTER 3 a b s WITHSCORES WEIGHTS 1 2 3 AGGREGATE MAX
        ZINTER 2 a b WEIGHTS inf -inf WITHSCORES
        ZINTER 2 a none WITHSCORES
        ZINTER 2 none a
        ZINTER 2 a a WITHSCORES
        ZINTER 0 a
        ZINTER 1 s WITHSCORES
        ZDIFF 2 a b
        ZDIFF 2 a b WITHSCORES
        ZDIFF 2 b s WITHSCORES
        ZDIFF 2 s b WITHSCORES
        ZDIFF 2 a a
        ZDIFF 2 none a
        ZDIFF 2 a none WITHSCORES
        ZDIFF 2 a b WEIGHTS 1 2
        ZDIFF 2 a b AGGREGATE MIN
        ZDIFF 0 a
        ZINTERCARD 2 a b
        ZINTERCARD 2 a b LIMIT 1
        ZINTERCARD 2 a b LIMIT 0
        ZINTERCARD 2 a b LIMIT -1
        ZINTERCARD 2 a b LIMIT x
        ZINTERCARD 2 a b LIMIT
        ZINTERCARD 2 a b WITHSCORES
        ZINTERCARD 2 a b WEIGHTS 1 2
        ZINTERCARD 0 a
        ZINTERCARD 2 a none
        ZUNIONSTORE to 2 a b
        ZRANGE to 0 -1 WITHSCORES
        ZUNIONSTORE to 2 a b WITHSCORES
        ZUNIONSTORE to 3 a b s WEIGHTS 1 2 3 AGGREGATE MIN
        ZRANGE to 0 -1 WITHSCORES
        ZUNIONSTORE to 0 a
        ZINTERSTORE to 2 a b
        ZRANGE to 0 -1 WITHSCORES
        ZINTERSTORE to 2 a none
        EXISTS to
        ZINTERSTORE to 2 a none
        ZDIFFSTORE to 2 a b
        ZRANGE to 0 -1 WITHSCORES
        ZDIFFSTORE a 2 a b
        ZRANGE a 0 -1 WITHSCORES
        ZDIFFSTORE to 0 a
        zunionstore TO 0 a
        SET text x
        ZUNION 2 a text
        ZUNION 2 a text WHAT
        ZUNIONSTORE text 1 b
        TYPE text
        SET text x
        ZINTERSTORE text 2 b none
        EXISTS text
        LPUSH list 1
        ZINTER 2 none list
        ZDIFF 2 none list
        ZADD inf1 inf m -inf n 0 o
        ZADD inf2 -inf m inf n inf o
        ZUNION 2 inf1 inf2 WITHSCORES
        ZUNION 2 inf1 inf2 WEIGHTS 0 1 WITHSCORES
        ZINTER 2 inf1 inf2 WEIGHTS 1 0 WITHSCORES
        ZINTER 2 inf1 inf2 WEIGHTS 1 0 AGGREGATE MIN WITHSCORES
        ZINTER 2 inf1 inf2 WEIGHTS 0 0 AGGREGATE MAX WITHSCORES
        ZADD f1 0.1 m
        ZADD f2 0.2 m 1 n
        ZADD f3 0.3 m 1 n 2 o
        ZUNION 3 f3 f2 f1 WITHSCORES
        ZINTER 3 f1 f3 f2 WITHSCORES
        "#,
    );
}

/// Some line on few keys and members, so that everything happens.
fn random_line(rng: &mut fastrand::Rng, members: u32) -> String {
    let key = ["a", "b", "c", "d"][rng.usize(0..4)];
    let other = ["a", "b", "c", "d", "s"][rng.usize(0..5)];
    let member = format!("m{}", rng.u32(0..members));
    let second = format!("m{}", rng.u32(0..members));
    let score = f64::from(rng.i32(-40..40)) / 4.0;
    let (from, to) = (rng.i32(-20..20), rng.i32(-20..20));
    let open = |rng: &mut fastrand::Rng| if rng.bool() { "(" } else { "" };
    let edge = |rng: &mut fastrand::Rng| if rng.bool() { "(" } else { "[" };
    let (o1, o2, e1, e2) = (open(rng), open(rng), edge(rng), edge(rng));
    let limit =
        if rng.bool() { format!("LIMIT {} {}", rng.u32(0..6), rng.i32(-1..9)) } else { String::new() };
    let scores = if rng.bool() { "WITHSCORES" } else { "" };
    let sum = ["SUM", "MIN", "MAX"][rng.usize(0..3)];
    match rng.u32(0..34) {
        0 => format!("ZINCRBY {key} {score} {member}"),
        1 => format!("ZADD {key} GT CH {score} {member}"),
        2 => format!("ZADD {key} LT INCR {score} {member}"),
        3 => format!("ZREM {key} {member} {second}"),
        4 => format!("ZRANK {key} {member}"),
        5 => format!("ZREVRANK {key} {member}"),
        6 => format!("ZRANGE {key} {from} {to} {scores}"),
        7 => format!("ZREVRANGE {key} {from} {to} {scores}"),
        8 => format!("ZRANGEBYSCORE {key} {o1}{from} {o2}{to} {scores} {limit}"),
        9 => format!("ZREVRANGEBYSCORE {key} {o2}{to} {o1}{from} {limit} {scores}"),
        10 => format!("ZCOUNT {key} {o1}{from} {o2}{to}"),
        11 if rng.u32(0..3) == 0 => format!("ZREMRANGEBYSCORE {key} {o1}{score} {o2}{}", score + 1.0),
        12 if rng.u32(0..3) == 0 => format!("ZREMRANGEBYRANK {key} {from} {}", from + 3),
        13 => format!("ZRANGEBYLEX lex {e1}{member} {e2}{second} {limit}"),
        14 => format!("ZREVRANGEBYLEX lex {e1}{member} {e2}{second} {limit}"),
        15 => format!("ZLEXCOUNT lex {e1}{member} {e2}{second}"),
        16 => format!("ZREMRANGEBYLEX lex {e1}{member} {e2}{member}1"),
        17 => format!("ZADD lex 0 {member} 0 {second}"),
        18 => format!("ZPOPMIN {key} {}", rng.u32(0..4)),
        19 => format!("ZPOPMAX {key}"),
        20 => format!("ZUNION 2 {key} {other} {scores} AGGREGATE {sum}"),
        21 => format!("ZINTER 2 {other} {key} {scores} AGGREGATE {sum} WEIGHTS {score} 2"),
        22 => format!("ZDIFF 2 {key} {other} {scores}"),
        23 if rng.u32(0..8) == 0 => format!("ZUNIONSTORE {key} 2 {key} {other} WEIGHTS 1 0.5"),
        24 if rng.u32(0..20) == 0 => format!("ZINTERSTORE {key} 2 {key} {other}"),
        25 if rng.u32(0..20) == 0 => format!("ZDIFFSTORE {key} 2 {key} {other}"),
        26 if rng.u32(0..20) == 0 => format!("ZRANGESTORE {key} {other} {from} {to} BYSCORE"),
        27 => format!("ZINTERCARD 2 {key} {other} LIMIT {}", rng.u32(0..9)),
        28 => format!("SADD s {member}"),
        29 => format!("SREM s {member}"),
        30 => format!("ZMPOP 2 {key} {other} MAX COUNT {}", rng.u32(1..4)),
        _ => format!("ZADD {key} {score} {member} {} {second}", score * 2.0),
    }
}

#[test]
fn random_commands_on_small_sets_answer_as_in_redis() {
    check_random(1, 4000, |rng| random_line(rng, 40));
}

#[test]
fn random_commands_on_large_sets_answer_as_in_redis() {
    check_random(2, 8000, |rng| random_line(rng, 2000));
}

#[test]
fn who_waits_for_a_sorted_set_is_served_as_in_redis() {
    let mut stage = Stage::new(4);
    stage.say(0, "BZPOPMIN a b 0");
    stage.say(1, "BZPOPMAX a 0");
    stage.say(2, "BZMPOP 0 2 b a MIN COUNT 2");
    stage.say(3, "ZADD a 1 x 2 y 3 z 4 w");
    stage.hears(0);
    stage.hears(1);
    stage.hears(2);
    stage.say(3, "EXISTS a");
    stage.say(0, "BZPOPMIN a 0");
    stage.say(3, "SET a text");
    stage.say(3, "DEL a");
    stage.say(3, "RPUSH a 1");
    stage.still_wait(&[0]);
    stage.say(3, "DEL a");
    stage.say(1, "BLPOP a 0");
    stage.say(3, "ZADD a INCR 5 m");
    stage.hears(0);
    stage.still_wait(&[1]);
    stage.say(3, "RPUSH a 1");
    stage.hears(1);
    for make in [
        "ZUNIONSTORE a 1 other",
        "ZRANGESTORE a other 0 -1",
        "RENAME other a",
        "GEOADD a 1 1 place",
        "GEOSEARCHSTORE a places FROMLONLAT 1 1 BYRADIUS 100 km",
        "COPY other a",
    ] {
        stage.say(3, "DEL a");
        stage.say(3, "ZADD other 1 m 2 n");
        stage.say(3, "GEOADD places 1 1 here");
        stage.say(0, "BZMPOP 0 1 a MAX COUNT 5");
        stage.say(3, make);
        stage.hears(0);
    }
    stage.say(0, "BZPOPMIN a 0.01");
    stage.hears(0);
    stage.transaction(0, &["BZPOPMIN none 0", "BZMPOP 0 1 none MIN", "ZADD a 1 b", "BZPOPMAX a 0"], None);
}

#[test]
fn a_scan_sees_every_member_that_stays() {
    let (engine, mut caller) = (engine(), Caller::default());
    let mut run = |line: &str| {
        let (args, mut out): (ArgVec, _) = (line.split(' ').collect(), BytesMut::new());
        engine.execute(&mut caller, args.args(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    for len in [100, 3000] {
        run("DEL z");
        (0..len).for_each(|n| drop(run(&format!("ZADD z {n} member{n}"))));
        let (mut cursor, mut seen) = (String::from("0"), HashSet::new());
        loop {
            let reply = run(&format!("ZSCAN z {cursor} COUNT 20"));
            let mut lines = reply.split("\r\n").skip(2);
            cursor = lines.next().expect("a cursor").to_string();
            seen.extend(lines.filter(|line| line.starts_with("member")).map(str::to_string));
            if cursor == "0" {
                break;
            }
            // Others come and go meanwhile.
            run(&format!("ZADD z 1 other{cursor} 1 another{cursor}"));
            run(&format!("ZREM z other{cursor}"));
        }
        assert_eq!(seen.len(), len);
    }
}
