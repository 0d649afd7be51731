//! Schedules that are about no one rule: what pipelines, scripts, transactions, databases and messages mean
//! for those who read.

use std::time::Duration;

use nearcache::near::Rules;

use super::command::{Command, How, read};
use super::gate::DOWN;
use super::history::{NAMES, Name};
use super::mix::words;
use super::stage::Stage;
use crate::support::client::RawClient;
use crate::support::fake::{Answer, FakeUpstream, Request};
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::{Rng, until};

/// The keys that schedules are about: X is missing.
const K: Name = 0;
const OTHER: Name = 1;
const X: Name = 2;

fn play(schedule: impl Fn(&mut Stage)) {
    let mut stage = Stage::new(Rules::ALL, &[]);
    schedule(&mut stage);
    let found = stage.finish();
    assert!(found.is_empty(), "{found:#?}");
}

// === pipelines ===

#[test]
fn a_read_in_the_middle_is_no_newer_than_the_one_behind_it() {
    play(|stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        stage.gate.hold(DOWN);
        stage.send(1, &[Command::get(X), Command::get(K), Command::get(OTHER)]);
        stage.foreign_write(K);
        stage.foreign_write(OTHER);
        stage.send(2, &[Command::get(K), Command::get(OTHER)]);
        stage.gate.open();
        stage.hear(1, 3);
        stage.hear(2, 2);
    });
}

#[test]
fn every_kind_of_read_follows_every_kind_of_write() {
    play(|stage| {
        let mut rng = Rng::new(1);
        for name in 0..NAMES.len() as Name {
            for how in [How::Plain, How::Block, How::Script, How::SecretScript] {
                for _ in 0..4 {
                    let ask = read(&mut rng, name);
                    (0..3).for_each(|client| _ = stage.ask(client, ask.clone()));
                    let version = stage.fresh();
                    stage
                        .send(1, &[ask.clone(), Command::Write(how, vec![name], version, None), ask.clone()]);
                    stage.hear(1, 3);
                    stage.ask(2, ask);
                }
            }
        }
    });
}

#[test]
fn a_client_that_sends_nothing_more_gets_what_it_is_owed() {
    let mut stage = Stage::new(Rules::ALL, &[]);
    let version = stage.foreign_write(K);
    stage.cache(&Command::get(K));
    stage.gate.hold(DOWN);
    // The second one is parked behind the first one, which is held.
    let mut client = stage.proxy.client();
    client.send(b"GET s2\r\nGET s0\r\nGET s0\r\n").unwrap();
    client.shutdown_write().unwrap();
    stage.gate.await_held(DOWN, "nil");
    stage.gate.open();
    let hit = format!("$4\r\n{version}\r\n");
    assert_eq!(String::from_utf8(client.read_to_end().unwrap()).unwrap(), format!("$-1\r\n{hit}{hit}"));
    assert!(stage.finish().is_empty());
}

// === transactions and databases ===

#[test]
fn a_transaction_that_changes_the_database_leaves_the_client_there() {
    play(|stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        let (first, second) = (stage.fresh(), stage.fresh());
        let block = Command::Write(How::BlockIn(1), vec![K], first, None);
        stage.send(1, &[Command::get(K), block, Command::get(K), Command::set(K, second), Command::get(K)]);
        let replies = stage.hear(1, 5);
        assert_eq!(replies[2].number(), Some(first as f64));
        assert_eq!(replies[4].number(), Some(second as f64));
        stage.ask(2, Command::get(K)); // the other one, in database 0
        stage.send(1, &[Command::Select(0), Command::get(K)]);
        stage.hear(1, 2);
    });
}

#[test]
fn a_database_that_a_transaction_moved_to_is_there_after_a_loss() {
    play(|stage| {
        let version = stage.fresh();
        stage.cache(&Command::get(OTHER));
        stage.ask(1, Command::Write(How::BlockIn(1), vec![K], version, None));
        stage.gate.hold(DOWN);
        stage.send(1, &[Command::get(K)]);
        stage.gate.await_held(DOWN, &version.to_string());
        stage.gate.cut();
        stage.gate.open();
        assert_eq!(stage.hear(1, 1)[0].number(), Some(version as f64));
    });
}

#[test]
fn a_database_that_does_not_exist_leaves_the_client_where_it_is() {
    play(|stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        let version = stage.fresh();
        stage.send(
            1,
            &[
                Command::Select(99),
                Command::get(K),
                Command::set(K, version),
                Command::get(K),
                Command::Select(2),
            ],
        );
        let replies = stage.hear(1, 5);
        assert!(replies[0].is_error());
        assert_eq!(replies[3].number(), Some(version as f64));
        assert!(stage.ask(1, Command::get(K)).is_null());
        stage.ask(2, Command::get(K));
    });
}

#[test]
fn databases_change_places() {
    play(|stage| {
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        for _ in 0..3 {
            stage.send(1, &[Command::get(K), words(&["SWAPDB", "0", "1"]), Command::get(K)]);
            stage.hear(1, 3);
            // The reply says OK and no version: what comes after it is known to be behind the swap.
            let version = stage.fresh();
            stage.ask(1, Command::set(OTHER, version));
            (0..3).for_each(|client| _ = stage.ask(client, Command::get(K)));
        }
    });
}

#[test]
fn a_flush_is_not_survived() {
    for flush in [vec!["FLUSHALL"], vec!["FLUSHDB"], vec!["FLUSHALL", "ASYNC"]] {
        play(|stage| {
            stage.foreign_write(K);
            stage.cache(&Command::get(K));
            stage.send(1, &[Command::get(K), words(&flush), Command::get(K)]);
            let replies = stage.hear(1, 3);
            assert!(replies[2].is_null(), "{replies:?}");
            assert!(stage.ask(0, Command::get(K)).is_null());
            let version = stage.fresh();
            stage.send(
                2,
                &[
                    Command::get(K),
                    Command::Write(How::BlockAfter(&["FLUSHALL"]), vec![OTHER], version, None),
                ],
            );
            stage.hear(2, 2);
            assert!(stage.ask(0, Command::get(K)).is_null());
        });
    }
}

// === several keys ===

#[test]
fn several_keys_are_read_at_one_moment() {
    play(|stage| {
        let both = Command::Read("MGET", vec![K, OTHER, K]);
        for _ in 0..30 {
            let version = stage.fresh();
            stage.cache(&both);
            stage.cache(&Command::get(OTHER));
            stage.direct.put(Command::Write(How::Plain, vec![K, OTHER], version, None));
            stage.direct.flush().unwrap();
            (0..3).for_each(|client| stage.send(client, &[both.clone(), Command::get(K), both.clone()]));
            (0..3).for_each(|client| _ = stage.hear(client, 3));
            stage.direct.hear().unwrap();
        }
    });
}

// === the upstream is busy, or says nothing ===

#[test]
fn hits_wait_while_nothing_is_heard_from_redis() {
    // Stopped, or in a script of two seconds: the one as the other.
    for script in [false, true] {
        let mut stage = Stage::new(Rules::ALL, &[("cache.max_staleness", "100ms")]);
        stage.foreign_write(K);
        stage.cache(&Command::get(K));
        let (version, before) = (stage.fresh(), gets(&stage));
        if script {
            stage.direct.put(words(&["EVAL", BUSY, "1", NAMES[usize::from(K)], &version.to_string()]));
            stage.direct.flush().unwrap();
        } else {
            stage.redis.pause();
        }
        let waits = |stage: &Stage| stage.proxy.shared().stats.l1.staleness_waits.get();
        let busy = until("a read has to wait", || {
            stage.send(1, &[Command::get(K), Command::get(K)]);
            let first = stage.clients[1].hears_within(Duration::from_millis(20)).is_some();
            let second = first && stage.clients[1].hears_within(Duration::from_millis(20)).is_some();
            (!second).then_some(2 - usize::from(first))
        });
        until("it is counted", || (waits(&stage) > 0).then_some(()));
        (0..30).for_each(|_| stage.send(2, &[Command::get(K)]));
        stage.send(0, &[Command::get(K)]);
        if !script {
            stage.redis.resume();
        }
        stage.hear(1, busy);
        stage.hear(2, 30);
        stage.hear(0, 1);
        match script {
            true => _ = stage.direct.hear().unwrap(),
            // Not a herd: those who waited did not ask Redis for the key.
            false => assert_eq!(gets(&stage), before),
        }
        let found = stage.finish();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// How often Redis was asked for a string.
fn gets(stage: &Stage) -> Option<String> {
    let info = stage.redis.client().call(&["INFO", "commandstats"]).unwrap();
    let text = String::from_utf8_lossy(info.text()?).into_owned();
    let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="))?;
    calls.split(',').next().map(str::to_owned)
}

/// Busy for two seconds, and then it writes.
const BUSY: &str = "local t = redis.call('TIME') local e = t[1] * 1000000 + t[2] + 2000000 \
    repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > e return redis.call('SET', KEYS[1], ARGV[1])";

#[test]
fn databases_that_change_places_elsewhere_are_noticed() {
    let mut stage = Stage::new(Rules::ALL, &[]);
    let version = stage.foreign_write(K);
    stage.cache(&Command::get(K));
    stage.direct.ask(words(&["SWAPDB", "0", "1"]));
    // Nobody is told, but the proxy asks now and then. Until then it is wrong, so this is on no account.
    let mut client = stage.proxy.client();
    until("the key has gone", || client.call(&["GET", "s0"]).unwrap().is_null().then_some(()));
    client.call(&["SELECT", "1"]).unwrap();
    assert_eq!(client.call(&["GET", "s0"]).unwrap().number(), Some(version as f64));
    let found = stage.finish();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_outlives_the_redis_that_it_came_from() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[("upstream.reconnect_min", "1ms")]);
    let mut client = proxy.client();
    assert_eq!(client.call_raw(&["SET", "k", "v"]).unwrap(), b"+OK\r\n");
    for _ in 0..5 {
        assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
    }
    let before = proxy.shared().stats.lane.connects.get();
    redis.restart();
    until("the lane is back", || (proxy.shared().stats.lane.connects.get() > before).then_some(()));
    proxy.await_upstream("up");
    assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$-1\r\n");
}

// === what Redis 7 cannot show ===

/// A Redis 6.0 with one string and one list: pushes stand inside of replies.
fn six(_: usize, request: &Request) -> Answer {
    const PUSH: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    let text = String::from_utf8_lossy(&request[0]).to_ascii_uppercase();
    let answer = match text.as_str() {
        "HELLO" => {
            "%3\r\n$7\r\nversion\r\n$6\r\n6.0.20\r\n$2\r\nid\r\n:7\r\n$4\r\nrole\r\n$6\r\nmaster\r\n".into()
        }
        "INFO" => "$13\r\nrun_id:abcdef\r\n".into(),
        "PING" => "+PONG\r\n".into(),
        "PTTL" => ":-1\r\n".into(),
        "GET" => "$1\r\nv\r\n".into(),
        "LRANGE" => format!("*2\r\n$1\r\na\r\n{PUSH}$1\r\nb\r\n"),
        _ => "+OK\r\n".into(),
    };
    Answer::Bytes(answer.into_bytes())
}

#[test]
fn a_push_inside_a_reply_removes_what_it_names() {
    let fake = FakeUpstream::start(six);
    let proxy = Proxy::behind(fake.addr(), &[]);
    let mut client = RawClient::connect(proxy.addr()).unwrap();
    let gets = || fake.seen().iter().filter(|request| request[0] == b"GET").count();
    for list in ["l1", "l2", "l3", "l4"] {
        for _ in 0..4 {
            assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
        }
        let before = gets();
        assert_eq!(client.call_raw(&["LRANGE", list, "0", "-1"]).unwrap(), b"*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
        assert_eq!(gets(), before + 1, "it was asked for again");
    }
}
