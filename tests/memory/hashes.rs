//! Hashes.

use std::collections::BTreeSet;

use nearcache::resp::Proto;

use super::blocking::Stage;
use super::oracle::{Pair, check_random, check_table, strings};

#[test]
fn hash_commands_answer_as_redis_does() {
    check_table(
        r#"
        HSET h a 1 b 2
        HSET h a 3 c 4
        HSET h a
        HSET h a 1 b
        HMSET h a 5 d 6
        HMSET h a
        HMSET h a 1 b
        HGETALL h
        HKEYS h
        HVALS h
        HGETALL none
        HKEYS none
        HGET h a
        HGET h none
        HGET none a
        HMGET h a none b
        HMGET none a b
        HSETNX h a 9
        HSETNX h e 9
        HSETNX new e 9
        HDEL h e none
        HDEL none a
        HDEL new e
        EXISTS new
        HLEN h
        HLEN none
        HSTRLEN h a
        HSTRLEN h none
        HSTRLEN none a
        HEXISTS h a
        HEXISTS h none
        HEXISTS none a
        HINCRBY h a 10
        HINCRBY h new 10
        HINCRBY h a x
        HINCRBY h a 9223372036854775807
        HSET h text abc
        HINCRBY h text 1
        HINCRBYFLOAT h text 1
        HINCRBYFLOAT h f 3.0
        HINCRBYFLOAT h f 1.1
        HINCRBYFLOAT h f x
        HINCRBYFLOAT h f inf
        HINCRBYFLOAT h f nan
        HINCRBYFLOAT hf f 1e17
        HINCRBYFLOAT h a 0.5
        HINCRBY h a 1
        HRANDFIELD none
        HRANDFIELD none 3
        HRANDFIELD none 3 WITHVALUES
        HRANDFIELD h 0
        HRANDFIELD h 0 WITHVALUES
        HRANDFIELD h 100
        HRANDFIELD h 100 WITHVALUES
        HRANDFIELD h x
        HRANDFIELD h 1 WHAT
        HRANDFIELD h 1 WITHVALUES x
        HRANDFIELD h -9223372036854775808
        HRANDFIELD h 9223372036854775807
        HRANDFIELD h 9223372036854775807 WITHVALUES
        HSET one x y
        HRANDFIELD one
        HRANDFIELD one -3
        HRANDFIELD one -3 WITHVALUES
        HRANDFIELD one 1 WITHVALUES
        HSCAN h 0
        HSCAN h 0 MATCH a*
        HSCAN h 0 COUNT 0
        HSCAN h 0 COUNT x
        HSCAN h 0 TYPE hash
        HSCAN h x
        HSCAN h 5
        HSCAN none 0
        HSCAN none 5 WHAT
        SET s x
        HSET s a 1
        HGET s a
        HMGET s a
        HDEL s a
        HLEN s
        HGETALL s
        HINCRBY s a 1
        HINCRBYFLOAT s a 1
        HINCRBYFLOAT s a x
        HSETNX s a 1
        HEXISTS s a
        HSTRLEN s a
        HRANDFIELD s
        HRANDFIELD s 1
        HSCAN s 0
        OBJECT ENCODING h
        HSET h long xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        OBJECT ENCODING h
        HSET h long xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        OBJECT ENCODING h
        HDEL h long
        OBJECT ENCODING h
        %HGETALL h
        ~HKEYS h
        ~HVALS h
        "#,
    );
}

#[test]
fn random_hash_commands_agree() {
    check_random(3, 6000, |rng| {
        let key = format!("h{}", rng.u32(0..3));
        let field = rng.u32(0..500);
        let value = "v".repeat(rng.usize(1..70).saturating_sub(rng.usize(0..60)).max(1));
        match rng.u32(0..12) {
            0..=4 => format!("HSET {key} {field} {value} f{field} {value}"),
            5 => format!("HDEL {key} {field} f{field}"),
            6 => format!("HGET {key} {field}"),
            7 => format!("HINCRBY {key} {field} {}", rng.i64(-5..5)),
            8 => format!("HINCRBYFLOAT {key} n{field} {}.5", rng.i64(-5..5)),
            9 => format!("HMGET {key} {field} f{field}"),
            10 if rng.u32(0..30) == 0 => format!("DEL {key}"),
            10 => format!("HLEN {key}"),
            _ => format!("HSETNX {key} {field} {value}"),
        }
    });
}

#[test]
fn corner_cases_of_hashes_agree() {
    check_table(
        r#"
        HSET h "" "" a \x00\r\n\xff
        HGETALL h
        HSTRLEN h ""
        HEXISTS h ""
        HGET h ""
        HSET h a 1 a 2 a 3
        HGET h a
        HLEN h
        HMSET h a 1 a 2
        HDEL h a a "" nope
        EXISTS h
        HSETNX h a 1
        HSETNX h a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        OBJECT ENCODING h
        HSET h c 3 b 2 a 1
        HGETALL h
        HSET h c 33333 a 1
        HGETALL h
        HDEL h c
        HSET h c 3
        HKEYS h
        HVALS h
        HINCRBY h xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 1
        OBJECT ENCODING h
        HINCRBY n f 9223372036854775807
        HINCRBY n f 1
        HINCRBY n f -9223372036854775808
        HINCRBY n f -9223372036854775808
        HINCRBY n f 9223372036854775808
        HINCRBY n f +1
        HINCRBY n f 01
        HINCRBY n f ""
        HINCRBY n f 1.0
        HSET n plus +1 zero 01 empty "" space " 1" float 1.5 exp 1e3 inf inf hex 0x10
        HINCRBY n plus 1
        HINCRBY n zero 1
        HINCRBY n empty 1
        HINCRBY n space 1
        HINCRBY n float 1
        HINCRBYFLOAT n plus 1
        HINCRBYFLOAT n zero 1
        HINCRBYFLOAT n empty 1
        HINCRBYFLOAT n space 1
        HINCRBYFLOAT n float 1
        HINCRBYFLOAT n exp 0
        HINCRBYFLOAT n inf 1
        HINCRBYFLOAT n hex 1
        HINCRBYFLOAT n float " 1"
        HINCRBYFLOAT n float ""
        HINCRBYFLOAT n float -inf
        HINCRBYFLOAT n float 1e4931
        HINCRBYFLOAT n float 1e5000
        HINCRBYFLOAT n float 1e-20
        HINCRBYFLOAT n small 0.00000000000000000001
        HINCRBYFLOAT n small 5e-18
        HINCRBYFLOAT n neg -0
        HINCRBYFLOAT n tenth 0.1
        HINCRBYFLOAT n tenth 0.2
        HINCRBYFLOAT n tenth -0.3
        HINCRBYFLOAT missing f nan
        HINCRBYFLOAT missing f inf
        HINCRBY missing f x
        EXISTS missing
        HINCRBYFLOAT big f 1e300
        OBJECT ENCODING big
        EXPIREAT n 33177117420
        HINCRBY n f 0
        HDEL n f
        EXPIRETIME n
        HSET n f 1
        EXPIRETIME n
        HRANDFIELD h -4611686018427387904 WITHVALUES
        HRANDFIELD h 4611686018427387904 WITHVALUES
        ~HRANDFIELD h 4611686018427387904
        HRANDFIELD h 99999999999999999999
        HRANDFIELD h "" x
        HRANDFIELD h x x
        HRANDFIELD none x
        HRANDFIELD none 1 x
        HSET o a 1 b 2 c 3
        HRANDFIELD o 3
        HRANDFIELD o 4 withvalues
        HSCAN o 0 COUNT 1
        HSCAN o 0 MATCH [bc] COUNT 1
        HSCAN o 0 MATCH 1
        HSCAN o 0 NOVALUES
        HSCAN o 0 COUNT -1
        HSCAN o 0 COUNT
        HSCAN o ""
        HSCAN o -1 MATCH a
        HSCAN o 99999999999999999999
        HSCAN none x
        HSCAN o
        SET text x
        HSCAN text x
        HSCAN text 0 WHAT
        HRANDFIELD text x
        HRANDFIELD text 1 x
        HMSET text a
        HMSET text a b
        HKEYS text
        HVALS text
        HINCRBY text a x
        HINCRBYFLOAT text a inf
        "#,
    );
}

/// A hash of fields below `count`, each with itself as its value, on both sides.
fn fill(pair: &mut Pair, key: &str, count: usize) {
    let fields: Vec<_> = (0..count).map(|n| format!("{n} v{n}")).collect();
    pair.check(&format!("HSET {key} {}", fields.join(" ")));
}

#[test]
fn a_hash_turns_into_a_table_when_redis_turns_it() {
    let mut pair = Pair::new(Proto::Resp2);
    fill(&mut pair, "h", 512);
    pair.check("OBJECT ENCODING h");
    pair.check("HSET h 0 again");
    pair.check("OBJECT ENCODING h");
    pair.check("HGETALL h");
    pair.check("HINCRBY h one-more 1");
    pair.check("OBJECT ENCODING h");
    pair.check("HDEL h 1 2 3");
    pair.check("OBJECT ENCODING h");
    pair.check_everything();
}

#[test]
fn random_fields_are_fields_and_differ_as_asked() {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut pair = Pair::new(proto);
        fill(&mut pair, "small", 100);
        fill(&mut pair, "large", 3000);
        for (key, size) in [("small", 100usize), ("large", 3000)] {
            for (count, values) in
                [1i64, 10, 50, 99, -1, -500].into_iter().flat_map(|n| [(n, false), (n, true)])
            {
                let option = if values { "WITHVALUES" } else { "" };
                let (expected, given) = pair.both(&format!("HRANDFIELD {key} {count} {option}"));
                let header = expected.iter().position(|&b| b == b'$').expect("a field");
                assert_eq!(given[..header], expected[..header], "{proto:?} {key} {count} {values}");
                let found = strings(&given);
                let fields: Vec<&String> = found.iter().step_by(if values { 2 } else { 1 }).collect();
                assert!(fields.iter().all(|field| field.parse::<usize>().is_ok_and(|n| n < size)));
                if values {
                    assert!(found.chunks(2).all(|pair| pair[1] == format!("v{}", pair[0])));
                }
                let different = fields.iter().collect::<BTreeSet<_>>().len();
                assert!(count < 0 || different == count as usize, "{fields:?}");
            }
            let all = strings(&pair.both(&format!("HRANDFIELD {key} -60000")).1);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), size, "every field comes up");
        }
    }
}

#[test]
fn a_scan_meets_every_field_once() {
    let mut pair = Pair::new(Proto::Resp3);
    fill(&mut pair, "h", 2000);
    let (mut cursor, mut seen) = ("0".to_string(), BTreeSet::new());
    loop {
        let found = strings(&pair.both(&format!("HSCAN h {cursor} COUNT 20")).1);
        assert!(found.len() < 400, "a step stays short");
        for field in found[1..].chunks(2) {
            assert_eq!(field[1], format!("v{}", field[0]));
            assert!(seen.insert(field[0].clone()), "{} comes twice", field[0]);
        }
        cursor = found[0].clone();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 2000);
}

#[test]
fn watchers_hear_of_changed_hashes_only() {
    let mut stage = Stage::new(2);
    for spoil in [
        "HSET k a 1",
        "HSET k b 1",
        "HMSET k a 1",
        "HSETNX k a 2",
        "HSETNX k b 2",
        "HDEL k none",
        "HDEL k a",
        "HINCRBY k a 0",
        "HINCRBY k a x",
        "HINCRBY text a 1",
        "HINCRBYFLOAT k a 0",
        "HINCRBYFLOAT gone a inf",
        "HDEL gone a",
        "HGETALL k",
        "HRANDFIELD k 1",
    ] {
        stage.say(1, "FLUSHALL");
        stage.say(1, "HSET k a 1");
        stage.say(1, "SET text x");
        let watch = stage.watch(0, "WATCH k gone text");
        stage.say(1, spoil);
        stage.transaction(0, &["TYPE text"], Some(&watch));
    }
}
