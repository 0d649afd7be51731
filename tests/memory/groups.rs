//! Consumer groups: who is given what, what is pending, and those who wait to be given something. (Random
//! commands on them are in the differential run.)

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use nearcache::memory::{Blocked, Caller, Engine, EngineConfig, Outcome};
use nearcache::resp::ArgVec;

use super::blocking::{Stage, runtime};
use super::oracle::{check_random, check_table, words};

#[test]
fn a_job_queue_answers_as_redis_does() {
    check_table(
        r#"
        XGROUP CREATE jobs workers $
        XGROUP CREATE jobs workers $ MKSTREAM
        XGROUP CREATE jobs workers $ MKSTREAM
        XGROUP CREATE jobs late 0 ENTRIESREAD 0
        XINFO GROUPS jobs
        XADD jobs 1-1 do a
        XADD jobs 2-1 do b
        XADD jobs 3-1 do c and d
        XADD jobs 4-1 do e
        XREADGROUP GROUP workers w1 COUNT 1 STREAMS jobs >
        XREADGROUP GROUP workers w2 COUNT 2 STREAMS jobs >
        XREADGROUP GROUP workers w1 STREAMS jobs 0
        XREADGROUP GROUP workers w2 STREAMS jobs 2-1
        XREADGROUP GROUP late w9 NOACK STREAMS jobs >
        XREADGROUP GROUP workers w3 STREAMS jobs 0
        XPENDING jobs workers
        XPENDING jobs late
        XPENDING jobs workers IDLE 99999999 - + 10
        XINFO GROUPS jobs
        XACK jobs workers 1-1 1-1 9-9
        XACK jobs none 1-1
        XACK none workers 1-1
        XDEL jobs 2-1
        XREADGROUP GROUP workers w2 STREAMS jobs 0
        XCLAIM jobs workers w1 0 3-1 4-1 2-1
        XCLAIM jobs workers w1 0 4-1 FORCE JUSTID
        XCLAIM jobs workers w1 99999999 3-1
        XPENDING jobs workers
        XAUTOCLAIM jobs workers w4 0 0 COUNT 1
        XAUTOCLAIM jobs workers w4 0 3-2 JUSTID
        XAUTOCLAIM jobs workers w4 99999999 -
        XPENDING jobs workers
        XGROUP CREATECONSUMER jobs workers w5
        XGROUP CREATECONSUMER jobs workers w5
        XGROUP DELCONSUMER jobs workers w4
        XGROUP DELCONSUMER jobs workers w4
        XPENDING jobs workers
        XGROUP SETID jobs workers 1-1
        XINFO GROUPS jobs
        XGROUP SETID jobs workers $ ENTRIESREAD 4
        XINFO GROUPS jobs
        XADD jobs 5-1 do f
        XREADGROUP GROUP workers w1 STREAMS jobs >
        XINFO GROUPS jobs
        XTRIM jobs MAXLEN 1
        XINFO GROUPS jobs
        COPY jobs copied
        XGROUP DESTROY jobs workers
        XGROUP DESTROY jobs workers
        XREADGROUP GROUP workers w1 STREAMS jobs >
        XPENDING copied workers
        XINFO GROUPS copied
        XINFO GROUPS jobs
        XINFO STREAM jobs
        XINFO CONSUMERS jobs none
        XGROUP HELP
        "#,
    );
}

/// A short stream whose ends come and go: what a group has read, and how far it is behind, can be told for
/// some of its states only.
#[test]
fn how_far_a_group_is_behind_is_told_as_redis_tells_it() {
    let mut ms = 0;
    check_random(11, 12_000, |rng| {
        let (from, to) = (ms.max(6) - 6, ms + 2);
        let id = |rng: &mut fastrand::Rng| rng.u32(from..to);
        match rng.u32(0..30) {
            0..=6 => {
                ms += 1;
                let trim = match rng.u32(0..8) {
                    0 => format!(" MAXLEN {}", rng.u32(0..3)),
                    1 => format!(" MINID ~ {}", id(rng)),
                    _ => String::new(),
                };
                format!("XADD jobs{trim} {ms} do it")
            }
            7..=10 => format!("XDEL jobs {}", id(rng)),
            11 => format!("XTRIM jobs MAXLEN {}", rng.u32(0..4)),
            12 => format!("XTRIM jobs MINID {}", id(rng)),
            13 => format!("XSETID jobs {ms} ENTRIESADDED {} MAXDELETEDID {}", rng.u32(0..ms + 1), id(rng)),
            14 => format!("XGROUP CREATE jobs g {} MKSTREAM", id(rng)),
            15 => format!("XGROUP CREATE jobs g {} ENTRIESREAD {}", id(rng), rng.u32(0..ms + 1)),
            16 => format!("XGROUP SETID jobs g {} ENTRIESREAD {}", id(rng), rng.u32(0..ms + 1)),
            17 => format!("XGROUP SETID jobs g {}", id(rng)),
            18 if rng.u32(0..4) == 0 => "XGROUP DESTROY jobs g".into(),
            19 if rng.u32(0..8) == 0 => {
                ms = 0;
                "DEL jobs".into()
            }
            18..=23 => format!("XREADGROUP GROUP g one COUNT {} STREAMS jobs >", rng.u32(1..3)),
            24 => "XINFO STREAM jobs".into(),
            _ => "XINFO GROUPS jobs".into(),
        }
    });
}

#[test]
fn who_waits_in_a_group_is_given_what_comes_or_told_that_nothing_will() {
    let mut stage = Stage::new(5);
    stage.say(4, "XGROUP CREATE a g $ MKSTREAM");
    stage.say(4, "XGROUP CREATE b g $ MKSTREAM");
    stage.say(0, "XREADGROUP GROUP g one BLOCK 0 STREAMS a b > >");
    stage.say(1, "XREADGROUP GROUP g two COUNT 1 BLOCK 0 STREAMS b >");
    stage.say(2, "XREAD BLOCK 0 STREAMS a $");
    stage.say(4, "XADD a 1 f v");
    stage.hears(0);
    stage.hears(2);
    stage.still_wait(&[1]);
    stage.say(0, "XREADGROUP GROUP g one BLOCK 0 STREAMS b >");
    stage.transaction(4, &["XADD b 1 f v", "XADD b 2 f w"], None);
    // Who came first takes one, the other what is left.
    stage.hears(1);
    stage.hears(0);
    stage.say(4, "XPENDING b g");
    stage.say(0, "XREADGROUP GROUP g one BLOCK 0 NOACK STREAMS b >");
    stage.say(4, "XADD b 3 f x");
    stage.hears(0);
    stage.say(4, "XPENDING b g");
    stage.say(4, "XINFO GROUPS b");
    // History is never waited for.
    stage.say(0, "XREADGROUP GROUP g one BLOCK 0 STREAMS b 0");
    for end in ["DEL b", "XGROUP DESTROY b g", "SET b x", "FLUSHALL", "RENAME b c", "EXPIRE b -1", "UNLINK b"]
    {
        stage.say(4, "DEL b");
        stage.say(4, "XGROUP CREATE b g $ MKSTREAM");
        stage.say(0, "XREADGROUP GROUP g one BLOCK 0 STREAMS b >");
        stage.say(1, "XREAD BLOCK 0 STREAMS b 99");
        stage.say(4, end);
        stage.hears(0);
        stage.say(4, "DEL b");
        stage.say(4, "XADD b 100 f v");
        stage.hears(1);
    }
    stage.say(4, "DEL b");
    stage.say(4, "XGROUP CREATE b g $ MKSTREAM");
    stage.say(0, "XREADGROUP GROUP g one BLOCK 5 STREAMS b >");
    stage.hears(0);
    stage.transaction(4, &["XREADGROUP GROUP g one BLOCK 0 STREAMS b >", "XADD b 1 f v"], None);
}

#[test]
fn who_waits_in_a_group_hears_when_the_stream_goes_by_itself() {
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    let config = EngineConfig { max_memory: 1 << 20, ..EngineConfig::default() };
    let engine = Engine::new(config, Arc::new(|| NOW.load(Ordering::Relaxed)));
    let run = |line: &str| {
        let args: ArgVec = words(line).iter().collect();
        match engine.execute(&mut Caller::default(), args.args(), &mut BytesMut::new()) {
            Outcome::Block(blocked) => Some(blocked),
            _ => None,
        }
    };
    let waits = |key: &str| {
        run(&format!("XGROUP CREATE {key} g $ MKSTREAM"));
        run(&format!("XREADGROUP GROUP g one BLOCK 0 STREAMS {key} >")).expect("there is nothing yet")
    };
    let hears = |mut blocked: Blocked| {
        let reply =
            runtime().block_on(async { tokio::time::timeout(Duration::from_secs(20), blocked.wait()).await });
        assert_eq!(reply.expect("it is told"), "-UNBLOCKED the stream key no longer exists\r\n");
    };
    let expiring = waits("expiring");
    run("PEXPIRE expiring 10");
    NOW.fetch_add(11, Ordering::Relaxed);
    assert_eq!(engine.expire_some(), 1);
    hears(expiring);
    let evicted = waits("evicted");
    engine.set_max_memory(1);
    assert_eq!(engine.counts().evicted, 1);
    hears(evicted);
}
