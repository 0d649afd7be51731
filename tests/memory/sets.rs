//! Sets.

use super::oracle::{check_random, check_table};

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
