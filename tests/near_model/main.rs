//! The near cache's rules against a simulated Redis, with schedules at random and by hand. Every rule
//! is also turned off, to see that the checker notices and that the rule is needed.

mod by_hand;
mod check;
mod redis;
mod sim;

use nearcache::near::Rules;
use redis::{Cmd, DBS, KEYS, MS};
use sim::Sim;

/// What one seed did.
struct Outcome {
    violations: Vec<String>,
    hits: usize,
    joins: usize,
}

fn run(rules: Rules, seed: u64) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    let clients = 4;
    let mut sim = Sim::new(rules, clients);
    sim.redis.push_first = rng.u8(..4) == 0;
    sim.redis.deletes_expired = rng.u8(..4) != 0;
    sim.hold_appends = rng.bool();
    let writes = rng.u8(1..40);
    // Clients that pipeline meet the rules about their own order; clients that do not get hits.
    let pipelines = rng.bool();
    for _ in 0..400 {
        let client = rng.usize(..clients);
        match rng.u8(..100) {
            0..=34 if pipelines || sim.is_idle(client) => {
                let cmd = command(&mut rng, writes);
                sim.send(client, cmd);
            }
            0..=59 => _ = sim.serve(),
            60..=84 => _ = sim.apply(),
            85..=88 => sim.flush(client),
            89..=92 => {
                let cmd = command(&mut rng, 100);
                sim.foreign(cmd);
            }
            93..=97 => sim.pass(rng.u64(..3 * MS)),
            98 if rng.u8(..4) == 0 => sim.reconnect(),
            98 if rng.u8(..4) == 0 => sim.pass(rng.u64(..50 * MS)),
            _ => _ = sim.near.sweep(&mut 0, sim.now, 10),
        }
    }
    sim.finish();
    Outcome { violations: sim.check.violations, hits: sim.hits, joins: sim.joins }
}

fn command(rng: &mut fastrand::Rng, writes: u8) -> Cmd {
    let key = (rng.u8(..DBS), rng.u8(..KEYS));
    if rng.u8(..100) >= writes {
        return match rng.u8(..4) {
            0 => Cmd::Mget(vec![rng.u8(..KEYS), rng.u8(..KEYS)]),
            _ => Cmd::Get(key),
        };
    }
    match rng.u8(..20) {
        0..=9 => Cmd::Set(key, None),
        10..=14 => Cmd::Set(key, Some(rng.u64(1..20))),
        15..=18 => Cmd::Del(key),
        _ => Cmd::FlushAll,
    }
}

#[test]
fn with_all_rules_nobody_sees_time_go_back() {
    let (mut hits, mut joins) = (0, 0);
    for seed in 0..6000 {
        let outcome = run(Rules::ALL, seed);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
        hits += outcome.hits;
        joins += outcome.joins;
    }
    // The run must have exercised what it is about.
    assert!(hits > 10_000, "{hits} hits");
    assert!(joins > 1_000, "{joins} joins");
}

/// The three rules about a write's beginning, and the one about its end, are two nets.
const NO_END: Rules = Rules { write_ends: false, ..Rules::ALL };
const NO_BEGIN: Rules = Rules { write_removes: false, write_detaches: false, pending: false, ..Rules::ALL };

#[test]
fn either_net_under_writes_holds() {
    for seed in 0..1000 {
        for rules in [NO_END, NO_BEGIN] {
            let outcome = run(rules, seed);
            assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
        }
    }
}

macro_rules! needed {
    ($($rule:ident of $all:expr),* $(,)?) => {
        /// Every rule by itself: without it, random schedules find a violation.
        mod needed {
            use super::*;

            $(#[test]
            fn $rule() {
                let rules = Rules { $rule: false, ..$all };
                let found = (0..20_000).find(|&seed| !run(rules, seed).violations.is_empty());
                assert!(found.is_some(), "no schedule needed this rule");
            })*
        }
    };
}

needed!(
    epochs of Rules::ALL,
    push_removes of Rules::ALL,
    push_detaches of Rules::ALL,
    ttl_agrees of Rules::ALL,
    ttl_limits of Rules::ALL,
    from_send_time of Rules::ALL,
    write_removes of NO_END,
    write_detaches of NO_END,
    pending of NO_END,
    write_ends of NO_BEGIN,
    join_order of Rules::ALL,
    parking of Rules::ALL,
    staleness of Rules::ALL,
);
