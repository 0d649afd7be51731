//! HyperLogLogs: the same estimates, and the same bytes.

use super::oracle::{check_random, check_table};

#[test]
fn hyperloglog_commands_answer_as_in_redis() {
    check_table(
        r#"
        PFADD h a b c
        GET h
        OBJECT ENCODING h
        PFADD h a b c
        PFADD h
        PFADD h d
        PFCOUNT h
        GET h
        PFCOUNT h
        PFADD empty
        PFADD empty
        GET empty
        PFCOUNT empty
        GET empty
        PFCOUNT none
        PFCOUNT none none2
        PFADD h2 c d e "" "a longer element, of more than eight bytes" 12345678 1234567
        PFCOUNT h h2 none
        PFCOUNT h h
        PFMERGE to h h2 none
        GET to
        PFCOUNT to
        GET to
        PFMERGE h
        PFMERGE new
        GET new
        PFMERGE h h2
        PFCOUNT h
        PFDEBUG encoding h
        PFDEBUG decode h
        PFDEBUG todense h
        PFDEBUG todense h
        PFDEBUG decode h
        PFDEBUG encoding h
        PFDEBUG getreg h2
        PFDEBUG encoding h2
        PFDEBUG what h
        PFDEBUG encoding none
        PFDEBUG encoding
        GET h
        PFCOUNT h
        PFADD h x y z
        PFCOUNT h
        STRLEN h
        PFMERGE to2 to h
        GET to2
        SET text x
        PFADD text a
        PFCOUNT text
        PFCOUNT h text
        PFMERGE h text
        PFMERGE text h
        SET int 5
        PFADD int a
        PFCOUNT int
        LPUSH list a
        PFADD list a
        PFCOUNT list
        PFCOUNT h list
        PFMERGE h list
        PFMERGE list h
        PFDEBUG encoding list
        SET bad "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
        PFCOUNT bad
        PFCOUNT bad h
        PFADD bad a
        PFMERGE bad h
        PFMERGE x bad
        EXISTS x
        PFDEBUG todense bad
        SET bad "HYLL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
        PFCOUNT bad
        SET bad "HYLL\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"
        PFCOUNT bad
        SET bad "HYLL\x01\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00"
        PFCOUNT bad
        SET bad "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff\x00"
        PFCOUNT bad
        PFADD
        PFCOUNT
        PFMERGE
        "#,
    );
}

#[test]
fn random_elements_give_the_bytes_they_give_in_redis() {
    check_random(3, 3000, |rng| {
        let key = ["a", "b", "c"][rng.usize(0..3)];
        let other = ["a", "b", "c", "d"][rng.usize(0..4)];
        match rng.u32(0..60) {
            0 => format!("PFMERGE {key} {other}"),
            1 => format!("PFMERGE d {key} {other}"),
            2..8 => format!("PFCOUNT {key}"),
            8..12 => format!("PFCOUNT {key} {other}"),
            12..14 => format!("GET {key}"),
            14 if rng.u32(0..8) == 0 => format!("DEL {key}"),
            _ => {
                let elements: Vec<_> = (0..rng.usize(1..6)).map(|_| rng.u32(..).to_string()).collect();
                format!("PFADD {key} {}", elements.join(" "))
            }
        }
    });
}

#[test]
fn strings_that_are_none_answer_as_in_redis() {
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
