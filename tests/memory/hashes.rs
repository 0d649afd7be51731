//! Hashes.

use super::oracle::{check_random, check_table};

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
