//! Strings and bits.

use super::oracle::{check_random, check_table};

#[test]
fn string_commands_answer_as_redis_does() {
    check_table(
        r#"
        GET a
        SET a 1
        SET a
        SET a 1 XX NX
        SET a 1 EX
        SET a 1 EX 0
        SET a 1 EX -1
        SET a 1 EX abc
        SET a 1 EX 9223372036854775807
        SET a 1 PX 9223372036854775807
        SET a 1 EX 100 PX 100
        SET a 1 EX 100 EX 200
        SET a 1 KEEPTTL EX 100
        SET a 1 EX 100 KEEPTTL
        SET a 2 NX
        SET a 2 XX GET
        SET a 3 NX GET
        SET nope 3 XX
        SET nope 3 XX GET
        SET nope 3 GET NX
        SET nope x EXAT 33177117420
        EXPIRETIME nope
        SET nope y KEEPTTL
        EXPIRETIME nope
        SET nope y
        TTL nope
        SET a 1 WHAT
        SET a 1 PXAT 33177117420000 GET
        SETNX a 5
        SETNX b 5
        SETEX c 100 x
        TTL c
        SETEX c 0 x
        SETEX c -5 x
        SETEX c abc x
        PSETEX c 100000 y
        PSETEX c 0 y
        GETSET c z
        TTL c
        GETSET none z
        GETDEL none
        GETDEL none
        GETEX none
        GETEX none EX 0
        GETEX c
        GETEX c EX 100
        GETEX c EX 0
        GETEX c EX 100 PERSIST
        GETEX c PERSIST EX 100
        GETEX c PXAT 1
        EXISTS c
        SET c 1 EX 100
        GETEX c PERSIST
        TTL c
        GETEX c NX
        GETEX c EX
        MSET x 1 y 2 z
        MSET x 1 y 2 x 3
        MGET x y none z
        MSETNX x 1 q 2
        MSETNX q 1 r 2
        MSETNX q 1 r
        STRLEN x
        STRLEN none
        APPEND x abc
        OBJECT ENCODING x
        APPEND newkey 12
        OBJECT ENCODING newkey
        GETRANGE x 0 -1
        GETRANGE x 1 2
        GETRANGE x -2 -1
        GETRANGE x -1 -2
        GETRANGE x 5 10
        GETRANGE x -100 100
        GETRANGE x 0 -100
        GETRANGE x a b
        GETRANGE none 0 1
        SUBSTR x 0 1
        SETRANGE x 1 Z
        SETRANGE x 10 Z
        SETRANGE x -1 Z
        SETRANGE x 536870911 ZZ
        SETRANGE none2 0 ""
        EXISTS none2
        SETRANGE none2 3 abc
        GET none2
        OBJECT ENCODING none2
        SET n 10
        INCR n
        DECR n
        INCRBY n 100
        INCRBY n abc
        DECRBY n 50
        DECRBY n -9223372036854775808
        SET n 9223372036854775807
        INCR n
        SET n " 1"
        INCR n
        SET n 1.5
        INCR n
        INCR fresh
        DECR fresh2
        INCRBYFLOAT f 3.0
        INCRBYFLOAT f 1.1
        INCRBYFLOAT f -4.1
        INCRBYFLOAT f 1e300
        INCRBYFLOAT f abc
        INCRBYFLOAT f inf
        INCRBYFLOAT f nan
        INCRBYFLOAT f 0x10
        SET f 1e5
        INCRBYFLOAT f 0
        SET f 0.1
        INCRBYFLOAT f 0.2
        SET f -0
        INCRBYFLOAT f 0
        OBJECT ENCODING f
        SET long aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        OBJECT ENCODING long
        SET long aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        OBJECT ENCODING long
        RPUSH l a
        GET l
        SET l x GET
        APPEND l x
        INCR l
        INCRBYFLOAT l 1
        GETRANGE l 0 1
        SETRANGE l 0 x
        STRLEN l
        GETSET l x
        GETDEL l
        GETEX l
        MGET l a
        SETNX l a
        SET l a
        GET l
        "#,
    );
}

#[test]
fn lcs_answers_as_redis_does() {
    check_table(
        r#"
        MSET a ohmytext b mynewtext
        LCS a b
        LCS a b LEN
        LCS a b IDX
        LCS a b IDX MINMATCHLEN 4
        LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
        LCS a b IDX WITHMATCHLEN
        LCS a b IDX LEN
        LCS a b WHAT
        LCS a b MINMATCHLEN
        LCS a b MINMATCHLEN x
        LCS a b IDX MINMATCHLEN -1
        LCS a none
        LCS none none2 IDX
        LCS none none2 LEN
        RPUSH l x
        LCS a l
        LCS a
        "#,
    );
}

#[test]
fn bit_commands_answer_as_redis_does() {
    check_table(
        r#"
        SETBIT b 7 1
        GET b
        OBJECT ENCODING b
        SETBIT b 7 0
        SETBIT b 100 1
        SETBIT b -1 1
        SETBIT b 4294967296 1
        SETBIT b 1 2
        SETBIT b a 1
        SETBIT b 1 a
        GETBIT b 100
        GETBIT b 1000
        GETBIT b -1
        GETBIT none 1
        SET n 12345
        GETBIT n 3
        BITCOUNT n
        BITCOUNT none
        SET k foobar
        BITCOUNT k
        BITCOUNT k 0 0
        BITCOUNT k 1 1
        BITCOUNT k 1
        BITCOUNT k 1 1 BYTE
        BITCOUNT k 5 30 BIT
        BITCOUNT k -2 -1
        BITCOUNT k 3 1
        BITCOUNT k -1 -3
        BITCOUNT k -100 100 BIT
        BITCOUNT k 0 0 WHAT
        BITCOUNT k a b
        BITCOUNT none a b
        BITCOUNT none 0 0 WHAT
        BITCOUNT none 1
        BITCOUNT k 0 -1 BIT x
        SET p \xff\xf0\x00
        BITPOS p 0
        BITPOS p 1
        BITPOS p 2
        BITPOS p x
        BITPOS p 1 1
        BITPOS p 1 2
        BITPOS p 0 0 0
        BITPOS p 0 0
        BITPOS p 0 0 -1 BIT
        BITPOS p 0 0 11 BIT
        BITPOS p 1 7 15 BIT
        BITPOS p 1 13 23 BIT
        BITPOS p 0 0 7 BIT
        BITPOS p 1 2 1
        BITPOS p 1 -1 -3
        BITPOS p 1 0 0 WHAT
        BITPOS p 1 0 0 BIT x
        BITPOS none 0
        BITPOS none 1
        BITPOS none 1 a
        SET ones \xff\xff\xff
        BITPOS ones 0
        BITPOS ones 0 0
        BITPOS ones 0 0 -1
        BITPOS ones 0 1
        SET e ""
        BITPOS e 0
        BITPOS e 1
        BITCOUNT e
        BITOP AND d p k
        GET d
        BITOP OR d p k none
        GET d
        BITOP XOR d p k
        GET d
        BITOP NOT d p
        GET d
        OBJECT ENCODING d
        BITOP NOT d p k
        BITOP WHAT d p
        BITOP AND d none none2
        EXISTS d
        BITOP AND d none p
        GET d
        BITOP AND d p
        RPUSH l x
        BITOP AND d p l
        BITOP AND l p p
        TYPE l
        RPUSH l2 x
        SETBIT l2 1 1
        GETBIT l2 1
        BITCOUNT l2
        BITCOUNT l2 a b
        BITPOS l2 1
        BITFIELD l2 GET u8 0
        BITFIELD f SET u8 0 255 GET u4 0 GET i4 0
        BITFIELD f INCRBY u8 0 10
        BITFIELD f OVERFLOW SAT INCRBY u8 0 250 INCRBY u8 0 250
        BITFIELD f OVERFLOW FAIL INCRBY u8 0 1
        BITFIELD f OVERFLOW WRAP INCRBY i8 0 200 INCRBY i8 0 -200
        BITFIELD f OVERFLOW WHAT INCRBY i8 0 200
        BITFIELD f SET i64 #1 -1 GET u63 #1
        BITFIELD f SET u63 5 9223372036854775807 GET i64 3
        BITFIELD f OVERFLOW SAT INCRBY i64 #1 9223372036854775807 INCRBY i64 #1 9223372036854775807
        BITFIELD f OVERFLOW SAT INCRBY i64 #1 -9223372036854775808 INCRBY i64 #1 -9223372036854775808
        BITFIELD f OVERFLOW FAIL INCRBY i64 #1 -9223372036854775808
        BITFIELD f OVERFLOW SAT SET i5 3 100 SET i5 3 -100
        BITFIELD f OVERFLOW FAIL SET u5 3 100 SET i5 3 -100
        BITFIELD f GET u64 0
        BITFIELD f GET i65 0
        BITFIELD f GET i0 0
        BITFIELD f GET x8 0
        BITFIELD f GET u8 -1
        BITFIELD f GET u8 #-1
        BITFIELD f GET u8 4294967296
        BITFIELD f GET u8
        BITFIELD f SET u8 0
        BITFIELD f SET u8 0 abc
        BITFIELD f WHAT u8 0
        BITFIELD f
        BITFIELD f GET u8 1000
        BITFIELD none GET u8 0
        EXISTS none
        BITFIELD_RO f GET u8 0
        BITFIELD_RO f SET u8 0 1
        BITFIELD_RO f OVERFLOW SAT GET u8 0
        GET f
        "#,
    );
}

#[test]
fn random_string_commands_agree() {
    check_random(1, 6000, |rng| {
        let key = format!("k{}", rng.u32(0..6));
        let other = format!("k{}", rng.u32(0..6));
        let values =
            ["1", "-7", "abc", "", "12345678901234567890", "0.5", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "10"];
        let value = values[rng.usize(0..values.len())];
        let value = if value.is_empty() { "\"\"" } else { value };
        let n = rng.i64(-20..40);
        let m = rng.i64(-20..40);
        match rng.u32(0..26) {
            0 => format!("SET {key} {value}"),
            1 => format!("SET {key} {value} NX GET"),
            2 => format!("SET {key} {value} XX EXAT 33177117420"),
            3 => format!("SET {key} {value} KEEPTTL"),
            4 => format!("GET {key}"),
            5 => format!("APPEND {key} {value}"),
            6 => format!("GETRANGE {key} {n} {m}"),
            7 => format!("SETRANGE {key} {n} {value}"),
            8 => format!("INCRBY {key} {n}"),
            9 => format!("INCRBYFLOAT {key} {n}.{}", m.abs()),
            10 => format!("SETBIT {key} {n} {}", rng.u32(0..2)),
            11 => format!("GETBIT {key} {n}"),
            12 => format!("BITCOUNT {key} {n} {m} {}", if rng.bool() { "BIT" } else { "BYTE" }),
            13 => {
                format!("BITPOS {key} {} {n} {m} {}", rng.u32(0..2), if rng.bool() { "BIT" } else { "BYTE" })
            }
            14 => format!("BITOP {} {key} {other} k0", ["AND", "OR", "XOR"][rng.usize(0..3)]),
            15 => format!("BITOP NOT {key} {other}"),
            16 => format!(
                "BITFIELD {key} OVERFLOW {} {} {}{} {} {m}",
                ["WRAP", "SAT", "FAIL"][rng.usize(0..3)],
                ["INCRBY", "SET"][rng.usize(0..2)],
                ["i", "u"][rng.usize(0..2)],
                rng.u32(1..64),
                rng.u32(0..100)
            ),
            17 => format!("LCS {key} {other} IDX WITHMATCHLEN"),
            18 => format!("DEL {key}"),
            19 => format!("GETDEL {key}"),
            20 => format!("RENAME {key} {other}"),
            21 => format!("COPY {key} {other} REPLACE"),
            22 => format!("PERSIST {key}"),
            23 => format!("MSETNX {key} {value} {other} {n}"),
            24 => format!("BITPOS {key} {} {n}", rng.u32(0..2)),
            _ => format!("RPUSH {key} {value}"),
        }
    });
}
