//! One schedule per rule of coherence: nothing to find with all rules, something to find without the one it
//! is about. That shows that the rule is needed, and that the checker can see.

use std::time::Duration;

use nearcache::near::Rules;

use super::command::{Command, How, last_number};
use super::gate::{DOWN, UP};
use super::history::{Name, now};
use super::mix::words;
use super::stage::Stage;
use crate::support::until;

/// The key that a schedule is about, and another one.
const K: Name = 0;
const OTHER: Name = 1;
/// One that does not exist.
const X: Name = 2;
/// A list, whose writes have telling replies.
const LIST: Name = 16;

/// What a schedule without its rule is tried at most: some wait for clocks, and a machine that is busy may
/// spoil an attempt.
const ATTEMPTS: usize = 5;

/// Plays a schedule with and without some rules.
fn race(without: Rules, options: &[(&str, &str)], schedule: impl Fn(&mut Stage)) {
    let play = |rules| {
        let mut stage = Stage::new(rules, options);
        schedule(&mut stage);
        (stage.hits(), stage.finish())
    };
    let (hits, found) = play(Rules::ALL);
    assert!(found.is_empty(), "{found:#?}");
    assert!(hits > 0, "nothing was served from the cache");
    let found = (0..ATTEMPTS).any(|_| !play(without).1.is_empty());
    assert!(found, "nothing needed the rule: {without:?}");
}

#[test]
fn a_push_between_the_value_and_its_ttl() {
    race(Rules { push_detaches: false, ..Rules::ALL }, &[], |stage| {
        stage.make_wanted(K, &Command::get(K));
        stage.gate.pass_through(UP, "GET s0");
        stage.ask(0, Command::get(K)); // executed; PTTL waits at the gate
        stage.foreign_write(K); // its push uses the registration up
        stage.gate.open();
        stage.fence();
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn a_change_elsewhere_is_pushed() {
    race(Rules { push_removes: false, ..Rules::ALL }, &[], |stage| {
        stage.cache(&Command::get(K));
        stage.foreign_write(K);
        stage.fence();
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn everything_is_flushed_elsewhere() {
    race(Rules { epochs: false, ..Rules::ALL }, &[], |stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        stage.direct.ask(other("FLUSHALL"));
        stage.fence();
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn a_flush_of_our_own_inside_multi_is_answered_before_its_push_arrives() {
    race(Rules { own_epochs: false, ..Rules::ALL }, &[], |stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        stage.gate.hold(DOWN);
        let version = stage.fresh();
        stage.send(0, &[Command::Write(How::BlockAfter(&["FLUSHALL"]), vec![OTHER], version, None)]);
        stage.release_through("OK OK");
        stage.hear(0, 1);
        stage.read_shut_in(1, K);
    });
}

#[test]
fn a_lost_lane_takes_its_registrations_along() {
    race(Rules { epochs: false, ..Rules::ALL }, &[], |stage| {
        stage.cache(&Command::get(K));
        let before = stage.proxy.shared().stats.lane.connects.get();
        stage.gate.cut();
        stage.foreign_write(K);
        until("the lane is back", || (stage.proxy.shared().stats.lane.connects.get() > before).then_some(()));
        stage.proxy.await_upstream("up");
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn a_flush_while_a_fetch_is_under_way() {
    race(Rules { epochs: false, ..Rules::ALL }, &[], |stage| {
        stage.make_wanted(K, &Command::get(K));
        stage.gate.pass_through(UP, "GET s0");
        stage.ask(0, Command::get(K));
        stage.direct.ask(other("FLUSHALL"));
        stage.foreign_write(K); // nobody is registered any more
        stage.gate.open();
        stage.fence();
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn an_acknowledged_write_is_read_before_its_push_arrives() {
    // On one lane the rules of a write's beginning and of its end are two nets.
    let neither = Rules { write_removes: false, write_ends: false, ..Rules::ALL };
    race(neither, &[], |stage| {
        stage.direct.ask(Command::Write(How::Plain, vec![LIST], 1, None));
        stage.cache(&Command::Read("LRANGE", vec![LIST]));
        stage.gate.hold(DOWN);
        let version = stage.fresh();
        stage.send(1, &[Command::Write(How::Plain, vec![LIST], version, None)]);
        stage.release_through("2"); // the list's new length; the push is behind it
        stage.hear(1, 1);
        stage.gate.hold(UP);
        stage.send(2, &[Command::Read("LRANGE", vec![LIST])]);
        let answered = stage.answered_or_held(2, UP, "LRANGE l0 -1 -1");
        stage.gate.open();
        if !answered {
            stage.hear(2, 1);
        }
    });
}

#[test]
fn a_fetch_is_under_way_when_the_key_is_written() {
    let neither = Rules { write_detaches: false, write_ends: false, ..Rules::ALL };
    race(neither, &[], |stage| {
        let read = Command::Read("LRANGE", vec![LIST]);
        let old = stage.make_wanted(LIST, &read);
        stage.gate.hold(DOWN);
        stage.send(0, std::slice::from_ref(&read));
        stage.gate.await_held(DOWN, &old.to_string());
        let version = stage.fresh();
        stage.send(1, &[Command::Write(How::Plain, vec![LIST], version, None)]);
        stage.release_through("2");
        stage.hear(0, 1);
        stage.hear(1, 1);
        stage.gate.hold(UP);
        stage.send(2, &[read]);
        let answered = stage.answered_or_held(2, UP, "LRANGE l0 -1 -1");
        stage.gate.open();
        if !answered {
            stage.hear(2, 1);
        }
    });
}

#[test]
fn a_hit_overtakes_the_clients_own_unanswered_read() {
    race(Rules { parking: false, ..Rules::ALL }, &[], |stage| {
        stage.cache(&Command::get(K));
        stage.gate.hold(DOWN);
        stage.foreign_write(K); // its push is held
        stage.foreign_write(OTHER);
        stage.gate.hold(UP);
        stage.send(1, &[Command::get(OTHER), Command::get(K)]);
        stage.gate.await_held(UP, "GET s1"); // so both have been looked at
        stage.gate.open();
        stage.hear(1, 2);
    });
}

#[test]
fn a_client_joins_a_fetch_from_before_its_own_write() {
    race(Rules { join_order: false, ..Rules::ALL }, &[], |stage| {
        let old = stage.make_wanted(K, &Command::get(K));
        stage.gate.hold(DOWN);
        stage.send(0, &[Command::get(K)]);
        stage.gate.await_held(DOWN, &old.to_string()); // executed
        stage.foreign_write(K);
        stage.gate.hold(UP);
        let version = stage.fresh();
        stage.send(1, &[Command::set(OTHER, version), Command::get(K)]);
        stage.gate.await_held(UP, &format!("SET s1 {version}"));
        stage.gate.open();
        stage.hear(0, 1);
        stage.hear(1, 2);
    });
}

#[test]
fn an_entry_outlives_its_keys_ttl() {
    race(Rules { ttl_limits: false, ..Rules::ALL }, &[], |stage| {
        stage.direct.ask(other("DEBUG SET-ACTIVE-EXPIRE 0"));
        expiring(stage, 200);
        stage.cache(&Command::get(K));
        after_the_end(stage, Duration::from_millis(30));
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn a_slow_reply_makes_the_ttl_look_longer() {
    race(Rules { from_send_time: false, ..Rules::ALL }, &[], |stage| {
        stage.direct.ask(other("DEBUG SET-ACTIVE-EXPIRE 0"));
        stage.cache(&Command::get(K));
        expiring(stage, 300);
        stage.fence();
        stage.gate.hold(DOWN);
        stage.send(0, &[Command::get(K)]);
        std::thread::sleep(Duration::from_millis(150)); // the reply is under way so long
        stage.gate.open();
        stage.hear(0, 1);
        stage.fence();
        after_the_end(stage, Duration::from_millis(50));
        stage.ask(1, Command::get(K));
    });
}

#[test]
fn a_key_expires_between_the_value_and_its_ttl() {
    race(Rules { ttl_agrees: false, ..Rules::ALL }, &[], |stage| {
        stage.cache(&Command::get(K));
        expiring(stage, 200);
        stage.fence();
        // As on a replica: reads see that the key has expired, and do not delete it.
        stage.direct.ask(other("CLIENT PAUSE 100000 WRITE"));
        stage.gate.pass_through(UP, "GET s0");
        stage.ask(0, Command::get(K));
        after_the_end(stage, Duration::from_millis(30));
        stage.gate.open();
        stage.ask(2, Command::get(OTHER)); // behind PTTL
        stage.ask(1, Command::get(K));
        stage.direct.ask(other("CLIENT UNPAUSE"));
    });
}

#[test]
fn the_link_stalls() {
    let options = [("cache.max_staleness", "200ms")];
    race(Rules { staleness: false, ..Rules::ALL }, &options, |stage| {
        stage.bound_staleness(Duration::from_millis(200));
        stage.cache(&Command::get(K));
        stage.gate.hold(DOWN);
        stage.foreign_write(K); // its push is stuck in the network
        std::thread::sleep(Duration::from_millis(300));
        stage.send(1, &[Command::get(K)]);
        // It may be served at once (then it is too old) or wait.
        if stage.clients[1].hears_within(Duration::from_millis(100)).is_none() {
            stage.gate.open();
            stage.hear(1, 1);
        }
    });
}

#[test]
fn a_read_ahead_of_the_clients_own_write_must_not_see_it() {
    race(Rules { parked_first: false, ..Rules::ALL }, &[], |stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        let version = stage.fresh();
        stage.send(0, &[Command::get(X), Command::get(K), Command::set(K, version), Command::get(K)]);
        let replies = stage.hear(0, 4);
        assert_eq!(replies[3].number(), Some(version as f64));
    });
}

#[test]
fn a_script_that_does_not_say_what_it_writes_is_answered_before_its_pushes() {
    race(Rules { withhold: false, ..Rules::ALL }, &[], |stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        stage.gate.hold(DOWN);
        let version = stage.fresh();
        stage.send(2, &[Command::Write(How::SecretScript, vec![K], version, None)]);
        stage.release_through(&version.to_string());
        // Either it is answered now, or a PING has to be answered first.
        if stage.answered_or_held(2, DOWN, "PONG") {
            stage.read_shut_in(1, K);
        } else {
            stage.gate.open();
            stage.hear(2, 1);
        }
    });
}

#[test]
fn a_message_outruns_the_change_that_it_announces() {
    race(Rules { fences: false, ..Rules::ALL }, &[], |stage| {
        news(stage, &["PUBLISH", "news"], words(&["SUBSCRIBE", "news"]));
    });
}

#[test]
fn what_is_popped_outruns_the_change_before_it() {
    let pop = Command::Message(vec!["BLPOP".into(), "queue".into(), "0".into()]);
    race(Rules { fences: false, ..Rules::ALL }, &[], |stage| {
        news(stage, &["RPUSH", "queue"], pop.clone());
    });
}

#[test]
fn a_watched_key_is_read_as_it_was_before() {
    // What WATCH's own fence lets through cannot be older than WATCH: two nets again.
    race(Rules { watch_bypasses: false, fences: false, ..Rules::ALL }, &[], |stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        stage.gate.hold(DOWN);
        let version = stage.foreign_write(K);
        let watch = Command::Behind(vec!["WATCH".into(), "s0".into()], version);
        for (command, held) in [(watch, "PONG".to_owned()), (Command::get(K), version.to_string())] {
            stage.send(1, &[command]);
            if !stage.answered_or_held(1, DOWN, &held) {
                stage.gate.open();
                stage.hear(1, 1);
                stage.gate.hold(DOWN);
            }
        }
    });
}

/// A foreign client writes, and tells; the lane's stream is held, so the news could overtake what it is about.
fn news(stage: &mut Stage, tell: &[&str], listens: Command) {
    stage.foreign_write(K);
    stage.cache(&Command::get(K));
    stage.send(2, &[listens]);
    if tell[0] == "PUBLISH" {
        stage.hear(2, 1); // the confirmation
    } else {
        // It waits at Redis.
        until("the client blocks", || {
            let info = stage.redis.client().call(&["INFO", "clients"]).unwrap();
            String::from_utf8_lossy(info.text()?).contains("blocked_clients:1").then_some(())
        });
    }
    stage.gate.hold(DOWN);
    let version = stage.foreign_write(K);
    stage.direct.ask(words(&[tell, &[&version.to_string()]].concat()));
    // Either the news comes at once, or a PING goes ahead of it.
    let hears = |stage: &mut Stage, patience| match tell[0] {
        "PUBLISH" => stage.clients[2].hears_message(patience, last_number),
        _ => stage.clients[2].hears_within(patience).is_some(),
    };
    let early = until("the news comes, or a fence", || {
        let heard = hears(stage, Duration::from_millis(2));
        (heard || stage.gate.holds(DOWN, "PONG")).then_some(heard)
    });
    if !early {
        stage.gate.open();
        until("the news comes", || hears(stage, Duration::from_millis(50)).then_some(()));
    }
    stage.read_shut_in(1, K);
}

fn other(line: &str) -> Command {
    words(&line.split(' ').collect::<Vec<_>>())
}

/// The key gets a value that lives so long (ms).
fn expiring(stage: &mut Stage, px: u64) {
    let version = stage.fresh();
    stage.direct.ask(Command::Write(How::Plain, vec![K], version, Some(px)));
}

/// Waits until the time of the newest value with one is over, and some more.
fn after_the_end(stage: &Stage, more: Duration) {
    let (_, end) = stage.direct.ends[stage.direct.ends.len() - 1];
    std::thread::sleep(Duration::from_nanos(end.latest.saturating_sub(now())) + more);
}
