//! Streams, compared with Redis.

use super::blocking::Stage;
use super::oracle::{check_random, check_table};

#[test]
fn stream_commands_answer_as_redis_does() {
    check_table(
        r#"
        XADD s 1-1 a b
        XADD s 1-1 a b
        XADD s 1-0 a b
        XADD s 0-0 a b
        XADD new 0-0 a b
        EXISTS new
        XADD new 0 a b
        XADD new 0-* a b
        XADD new 0-* a b c d
        XADD new 5 a b
        XADD new 5-* a b
        XADD new 4-* a b
        XADD new 007-+8 "" ""
        XADD new 8-1 a
        XADD new 8-1 a b c
        XADD new 8-1
        XADD new * a
        XADD new nonsense a b
        XADD new - a b
        XADD new + a b
        XADD new 1-2-3 a b
        XADD new -1-2 a b
        XADD new *-1 a b
        XADD new *-* a b
        XADD new 1-** a b
        XADD new 18446744073709551616-1 a b
        XADD new 9-1 a b a c
        XADD missing NOMKSTREAM 1-1 a b
        XADD missing nomkstream * a b
        EXISTS missing
        XADD new NOMKSTREAM 10-1 a b
        XADD new MAXLEN 3 11-1 a b
        XADD new MAXLEN = 2 12-1 a b
        XADD new MAXLEN ~ 1 13-1 a b
        XADD new MINID 12-1 14-1 a b
        XADD new MINID ~ 14 LIMIT 0 15-1 a b
        XADD new MINID - 16-1 a b
        XADD new MINID x 17-1 a b
        XADD new MAXLEN -1 17-1 a b
        XADD new MAXLEN x 17-1 a b
        XADD new MAXLEN ~ x 17-1 a b
        XADD new MAXLEN 1 MINID 1 17-1 a b
        XADD new MAXLEN 1 LIMIT 1 17-1 a b
        XADD new LIMIT 1 17-1 a b
        XADD new LIMIT 0 17-1 a b
        XADD new LIMIT -1 17-1 a b
        XADD new LIMIT x 17-1 a b
        XADD new MAXLEN ~ 1 LIMIT -5 17-1 a b
        XADD new MAXLEN
        XADD new MAXLEN ~ 1
        XADD new MAXLEN ~ 1 17-1
        XADD new MAXLEN 1 2 3
        XRANGE new - +
        XLEN new
        XADD new MAXLEN 0 20-1 a b
        XLEN new
        EXISTS new
        XRANGE new - +
        TYPE new
        OBJECT ENCODING new
        XINFO STREAM new
        XINFO STREAM new FULL
        XADD new 21-1 a b
        XINFO STREAM new

        # ranges
        XADD r 1-0 a 1
        XADD r 1-1 a 2
        XADD r 2-0 a 3 b 4
        XADD r 2-5 b 5
        XADD r 9-9 a 6
        XADD r 18446744073709551615-18446744073709551614 a 7
        XRANGE r - +
        XRANGE r + -
        XREVRANGE r + -
        XREVRANGE r - +
        XRANGE r 1 2
        XRANGE r 1 1
        XRANGE r (1 2
        XRANGE r (1-1 (2-5
        XRANGE r (2 (2
        XRANGE r 3 8
        XRANGE r 5 1
        XREVRANGE r 2 1
        XREVRANGE r (2 (1
        XREVRANGE r + (2-5 COUNT 1
        XRANGE r - + COUNT 2
        XRANGE r - + COUNT 0
        XRANGE r - + COUNT -3
        XRANGE r - + COUNT 100
        XRANGE r - + COUNT x
        XRANGE r - + COUNT
        XRANGE r - + COUNT 1 COUNT 2
        XRANGE r - + LIMIT 2
        XRANGE r - + foo
        XRANGE r ( +
        XRANGE r (- +
        XRANGE r - (+
        XRANGE r x +
        XRANGE r - x
        XRANGE r (18446744073709551615-18446744073709551615 +
        XRANGE r - (0-0
        XRANGE none - +
        XRANGE none - + COUNT 0
        XRANGE none x +
        XREVRANGE none + -
        XADD r * a b
        XADD r * a b
        XADD r 18446744073709551615-* a b
        XINFO STREAM r
        XINFO STREAM r FULL COUNT 2
        XINFO STREAM r FULL COUNT 0
        XINFO STREAM r FULL COUNT -1
        XINFO STREAM r FULL COUNT x
        XINFO STREAM r FULL COUNT
        XINFO STREAM r FULL foo 1
        XINFO STREAM r foo
        xinfo Stream r foo
        XINFO STREAM none
        XINFO STREAM none foo
        XINFO STREAM
        XINFO HELP
        XINFO HELP me
        XINFO foo
        XINFO
        XINFO GROUPS r
        XINFO GROUPS none
        XINFO GROUPS
        XINFO CONSUMERS r g
        XINFO CONSUMERS none g
        XINFO CONSUMERS r

        # deleting, trimming
        XDEL r 1-1 2
        XDEL r 1-1
        XDEL r 1-0 x
        XDEL r
        XDEL none 1
        XDEL none x
        XDEL r 18446744073709551615-18446744073709551614
        XINFO STREAM r
        XTRIM r MAXLEN 2
        XTRIM r MAXLEN ~ 0
        XTRIM r MAXLEN ~ 0 LIMIT 1
        XTRIM r
        XTRIM r foo
        XTRIM r foo 1
        XTRIM r MAXLEN
        XTRIM r MAXLEN ~
        XTRIM r MAXLEN x
        XTRIM r MAXLEN ~ 5 LIMIT
        XTRIM r MAXLEN 5 LIMIT 3
        XTRIM r MAXLEN = 5 LIMIT 0
        XTRIM r LIMIT 3
        XTRIM r LIMIT 0
        XTRIM r NOMKSTREAM MAXLEN 1
        XTRIM r MAXLEN 1 MAXLEN 1
        XTRIM r MINID 3
        XTRIM r MINID +
        XTRIM r MINID x
        XTRIM none MAXLEN 1
        XTRIM none foo 1
        XINFO STREAM r
        XLEN none

        # a node whose entries are all gone, but not by deleting the last of them
        XADD n 1 a b
        XADD n 2 a b
        XADD n 3 a b
        XDEL n 3
        XTRIM n MINID 3
        XINFO STREAM n
        XREVRANGE n + -
        XADD n 4 a b
        XINFO STREAM n
        XDEL n 4
        XINFO STREAM n

        # setting
        XSETID s 5-5
        XSETID s 1-0
        XSETID s 5 ENTRIESADDED 100
        XSETID s 5 ENTRIESADDED 0
        XSETID s 5 ENTRIESADDED -1
        XSETID s 5 ENTRIESADDED x
        XSETID s 5 ENTRIESADDED
        XSETID s 5 MAXDELETEDID 6
        XSETID s 7 MAXDELETEDID 6
        XSETID s 5
        XSETID s 7 MAXDELETEDID 0 ENTRIESADDED 50
        XSETID s 7 MAXDELETEDID x
        XSETID s 7 foo 1
        XSETID s x
        XSETID none 1
        XSETID none x
        XSETID none 1 foo
        XSETID s
        XINFO STREAM s
        XSETID s 7-18446744073709551615
        XADD s 7-* a b
        XSETID s 18446744073709551615-18446744073709551615
        XADD s * a b
        XADD s 1-1 a b
        XREAD STREAMS s 18446744073709551615-18446744073709551615

        # reading
        XADD a 1 f v
        XADD a 2 f v
        XADD b 3 f v g w
        XREAD STREAMS a 0
        XREAD STREAMS a b 0 0
        XREAD STREAMS a b none 1 3 0
        XREAD COUNT 1 STREAMS a b 0 0
        XREAD COUNT 0 STREAMS a 0
        XREAD COUNT -1 STREAMS a 0
        XREAD COUNT x STREAMS a 0
        XREAD COUNT 1 COUNT 2 STREAMS a 0
        XREAD STREAMS a a 0 1
        XREAD STREAMS a $
        XREAD STREAMS none $
        XREAD STREAMS a 2
        XREAD STREAMS a 5
        XREAD STREAMS a -
        XREAD STREAMS a +
        XREAD STREAMS a >
        XREAD STREAMS a x
        XREAD STREAMS a b 0
        xread streams a b 0
        XREAD STREAMS a
        XREAD STREAMS
        XREAD COUNT 1
        XREAD COUNT 1 foo
        XREAD BLOCK x STREAMS a 0
        XREAD BLOCK -1 STREAMS a 0
        XREAD BLOCK 0 STREAMS a 0
        XREAD block 10 count 1 streams a b 0 0
        XREAD GROUP g c STREAMS a 0
        XREAD NOACK STREAMS a 0
        XREAD foo STREAMS a 0
        XREAD STREAMS streams streams 0 0
        XREAD BLOCK STREAMS STREAMS a 0
        XDEL a 2
        XREAD STREAMS a 1
        XREAD STREAMS a b 1 0

        # other types, and whole keys
        SET text x
        XADD text 1 a b
        XADD text NOMKSTREAM 1 a b
        XADD text x a b
        XLEN text
        XRANGE text - +
        XRANGE text - + COUNT 0
        XREVRANGE text + -
        XDEL text 1
        XDEL text x
        XTRIM text MAXLEN 1
        XSETID text 1
        XINFO STREAM text
        XINFO GROUPS text
        XREAD STREAMS text 0
        XREAD STREAMS a text 0 0
        XREAD STREAMS text >
        GET a
        LPUSH a x
        COPY a copied
        XINFO STREAM copied FULL
        XADD copied 9 a b
        XLEN a
        RENAME copied renamed
        XRANGE renamed - +
        EXPIRE renamed 0
        XLEN renamed
        DEL b
        SORT a
        "#,
    );
}

/// Several nodes, of mixed entries: where they begin shows in what is trimmed.
#[test]
fn random_stream_commands_agree() {
    let mut ms = 0;
    check_random(9, 6000, |rng| {
        let key = format!("x{}", rng.u32(0..2));
        let (from, to) = (ms.max(400) - 400, ms + 2);
        let id = |rng: &mut fastrand::Rng| format!("{}-{}", rng.u64(from..to), rng.u32(0..6));
        match rng.u32(0..40) {
            0..=22 => {
                ms += rng.u64(0..3);
                // The boundaries of listpack's encodings, and of its lengths.
                let number = [0, 127, 128, 4095, 4096, 32768, 1 << 23, 1 << 31, i64::MAX][rng.usize(0..9)];
                let value = |rng: &mut fastrand::Rng| match rng.u32(0..30) {
                    0..=9 => format!(" {}", number - rng.i64(0..2)),
                    10..=14 => format!(" -{}", number - rng.i64(0..2)),
                    15 => format!(" {}", "v".repeat([63, 64, 126, 127, 128, 4095, 4096][rng.usize(0..7)])),
                    _ => format!(" value:{}", rng.u32(0..1000)),
                };
                let fields: String = match rng.u32(0..8) {
                    0 => (0..rng.u32(1..5)).map(|_| value(rng) + &value(rng)).collect(),
                    _ => ["first", "second"].map(|name| format!(" {name}{}", value(rng))).concat(),
                };
                let trim = match rng.u32(0..30) {
                    0 => format!(" MAXLEN ~ {}", rng.u32(0..400)),
                    1 => format!(" MINID ~ {}", id(rng)),
                    2 => format!(" MAXLEN {}", rng.u32(200..400)),
                    _ => String::new(),
                };
                format!(
                    "XADD {key}{trim} {ms}-{}{fields}",
                    if rng.bool() { "*".into() } else { rng.u32(0..9).to_string() }
                )
            }
            23..=27 => format!("XDEL {key} {} {} {}", id(rng), id(rng), id(rng)),
            28 => match rng.u32(0..8) {
                0 => format!("XTRIM {key} MAXLEN {}", rng.u32(0..300)),
                1 => format!("XTRIM {key} MINID {}", id(rng)),
                2 => format!("XTRIM {key} MAXLEN ~ {}", rng.u32(0..300)),
                3 => format!("XTRIM {key} MINID ~ {}", id(rng)),
                4 => format!("XTRIM {key} MAXLEN ~ {} LIMIT {}", rng.u32(0..200), rng.u32(0..300)),
                _ => format!("XLEN {key}"),
            },
            29 if rng.u32(0..5) == 0 => format!("COPY {key} x{} REPLACE", rng.u32(0..3)),
            30 => format!("XRANGE {key} - +"),
            31..=32 => format!("XRANGE {key} {} ({}", id(rng), id(rng)),
            33..=34 => format!("XREVRANGE {key} {} {} COUNT {}", id(rng), id(rng), rng.u32(0..9)),
            35..=36 => format!("XREAD COUNT {} STREAMS x0 x1 {} {}", rng.u32(0..5), id(rng), id(rng)),
            37 => format!("XINFO STREAM {key} FULL COUNT 3"),
            _ => format!("XINFO STREAM {key}"),
        }
    });
}

/// A value of each of listpack's encodings, then one that just fits into the node or just does not.
#[test]
fn nodes_end_where_redis_s_end() {
    let numbers = [0, 127, 4095, 32767, (1 << 23) - 1, (1 << 31) - 1, i64::MAX - 1];
    let numbers = numbers.iter().flat_map(|n| [*n, n + 1, -n, -n - 1, -n - 2].map(|n| n.to_string()));
    let strings = [1, 63, 64, 125, 126, 127, 4095].map(|len| "v".repeat(len));
    let odd = ["007", "-0", "+1", "9223372036854775808"].map(str::to_string);
    let mut table = String::new();
    for value in numbers.chain(strings).chain(odd) {
        for pad in 4045 - value.len().min(200)..4080 {
            let pad = "p".repeat(pad);
            for entry in [format!("1-5 a {value}"), format!("2-3 a {pad}"), format!("2-4 {value} b")] {
                table += &format!("XADD k {entry}\n");
            }
            table += "XINFO STREAM k\nXTRIM k MAXLEN ~ 1\nXINFO STREAM k\nDEL k\n";
        }
    }
    check_table(&table);
}

#[test]
fn readers_wait_for_what_comes() {
    let mut stage = Stage::new(5);
    stage.say(0, "XREAD BLOCK 0 STREAMS a b $ $");
    stage.say(1, "XREAD COUNT 1 BLOCK 0 STREAMS b a 0 5");
    stage.say(2, "XREAD BLOCK 0 STREAMS b 7");
    stage.say(4, "XADD a 5 f v");
    stage.hears(0);
    stage.still_wait(&[1, 2]);
    stage.say(4, "XADD b 6 f v");
    stage.hears(1);
    stage.say(4, "XADD b 7-0 f v");
    stage.still_wait(&[2]);
    stage.say(4, "XADD b 7-1 f v");
    stage.hears(2);
    // All who wait are served, and who waits for a list is not.
    stage.say(0, "BLPOP c 0");
    stage.say(1, "XREAD BLOCK 0 STREAMS c c 0 $");
    stage.say(2, "XREAD BLOCK 0 STREAMS c $");
    stage.say(3, "XREAD BLOCK 0 STREAMS c 3");
    stage.transaction(4, &["XADD c 1 f v", "XADD c 2 f v", "XDEL c 1"], None);
    stage.hears(1);
    stage.hears(2);
    stage.still_wait(&[0, 3]);
    stage.say(4, "DEL c");
    stage.still_wait(&[0, 3]);
    stage.say(4, "RPUSH c x");
    stage.hears(0);
    stage.say(4, "XADD other 1 f v");
    stage.say(4, "XADD other 9 f v");
    stage.say(4, "RENAME other c");
    stage.hears(3);
    // What came is gone again.
    stage.say(0, "XREAD BLOCK 0 STREAMS d $");
    stage.transaction(4, &["XADD d 1 f v", "XDEL d 1"], None);
    stage.hears(0);
    stage.say(0, "XREAD BLOCK 5 STREAMS d $");
    stage.hears(0);
    stage.transaction(4, &["XREAD BLOCK 0 STREAMS d $", "XREAD BLOCK 0 STREAMS d 0"], None);
}

#[test]
fn watchers_hear_of_changes() {
    let mut stage = Stage::new(2);
    for change in [
        "XADD s 1 a b",
        "XADD s 1 a b",
        "XADD s 2 a b",
        "XADD s NOMKSTREAM 3 a b",
        "XDEL s 9",
        "XDEL s 1",
        "XTRIM s MAXLEN 5",
        "XTRIM s MAXLEN 1",
        "XSETID s 7",
        "XRANGE s - +",
    ] {
        let watch = stage.watch(0, "WATCH s");
        stage.say(1, change);
        stage.transaction(0, &["XLEN s"], Some(&watch));
    }
}
