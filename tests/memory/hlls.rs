//! HyperLogLogs.

use super::oracle::{check_random, check_table};

#[test]
fn hyperloglog_commands_answer_as_redis_does() {
    check_table(
        r#"
        PFADD h
        GET h
        PFADD h
        PFADD h a b c
        PFADD h a
        GET h
        PFCOUNT h
        GET h
        PFCOUNT h none
        PFCOUNT none
        PFCOUNT none none2
        PFADD g c d e f
        PFCOUNT g h
        PFMERGE m g h
        PFCOUNT m
        GET m
        PFMERGE m
        PFMERGE new
        GET new
        PFMERGE new none
        SET s text
        PFADD s a
        PFCOUNT s
        PFCOUNT h s
        PFMERGE s h
        PFMERGE h s
        RPUSH l a
        PFADD l a
        PFCOUNT l
        PFMERGE l h
        PFMERGE h l
        SET broken "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00"
        PFCOUNT broken
        PFADD broken a
        PFMERGE h broken
        SET odd "HYLL\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00"
        PFCOUNT odd
        SET short HYLL
        PFADD short a
        SET dense "HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00"
        PFADD dense a
        OBJECT ENCODING h
        STRLEN h
        PFCOUNT
        "#,
    );
}

#[test]
fn random_hyperloglog_commands_agree() {
    check_random(6, 3000, |rng| {
        let (key, other) = (format!("h{}", rng.u32(0..3)), format!("h{}", rng.u32(0..3)));
        match rng.u32(0..12) {
            0..=7 => {
                let members: String =
                    (0..rng.u32(1..20)).map(|_| format!(" m{}", rng.u32(0..100_000))).collect();
                format!("PFADD {key}{members}")
            }
            8 => format!("PFCOUNT {key}"),
            9 => format!("PFCOUNT {key} {other}"),
            10 if rng.u32(0..20) == 0 => format!("PFMERGE {key} {other}"),
            11 if rng.u32(0..40) == 0 => format!("DEL {key}"),
            _ => format!("GET {key}"),
        }
    });
}
