//! Waiting clients, transactions and WATCH, compared with Redis client by client.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use nearcache::memory::{Blocked, Caller, Engine, Outcome, Watch};
use nearcache::resp::{ArgVec, Proto};

use super::oracle::{Connection, Redis, engine, words};

/// Several clients of each.
pub struct Stage {
    redis: Redis,
    observer: Connection,
    engine: Arc<Engine>,
    clients: Vec<(Connection, Caller, Option<Blocked>)>,
    blocked: usize,
}

impl Stage {
    pub fn new(clients: usize) -> Stage {
        let redis = Redis::start();
        let observer = redis.connect();
        let clients = (0..clients).map(|_| (redis.connect(), Caller::default(), None)).collect();
        Stage { redis, observer, engine: engine(), clients, blocked: 0 }
    }

    /// A client says something; it is answered at once, or blocks, on both sides.
    pub fn say(&mut self, client: usize, line: &str) {
        let (connection, caller, waiting) = &mut self.clients[client];
        let args: ArgVec = words(line).iter().collect();
        let mut out = BytesMut::new();
        let outcome = self.engine.execute(caller, args.args(), &mut out);
        connection.send(&words(line));
        match outcome {
            Outcome::Done => assert_eq!(text(&connection.reply()), text(&out), "{line}"),
            Outcome::Block(blocked) => {
                assert!(out.is_empty());
                *waiting = Some(blocked);
                self.blocked += 1;
                let expected = format!("blocked_clients:{}", self.blocked);
                while !text(&self.observer.call("INFO clients")).contains(&expected) {
                    std::thread::yield_now();
                }
            }
            Outcome::Unknown => panic!("{line} is not known"),
        }
    }

    /// Waits until a key has expired on both sides.
    fn await_gone(&mut self, key: &str) {
        let line = format!("EXISTS {key}");
        let args: ArgVec = words(&line).iter().collect();
        loop {
            let mut out = BytesMut::new();
            let _ = self.engine.execute(&mut Caller::default(), args.args(), &mut out);
            if out[..] == b":0\r\n"[..] && self.observer.call(&line) == b":0\r\n" {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// A client that waits gets its reply, the same on both sides.
    pub fn hears(&mut self, client: usize) {
        let (connection, _, waiting) = &mut self.clients[client];
        let mut blocked = waiting.take().expect("it waits");
        let given = runtime().block_on(async {
            tokio::time::timeout(Duration::from_secs(20), blocked.wait()).await.expect("it is served")
        });
        assert_eq!(text(&connection.reply()), text(&given), "client {client}");
        self.blocked -= 1;
    }

    /// The clients that wait, and no others, still do, on both sides.
    pub fn still_wait(&mut self, expected: &[usize]) {
        assert_eq!(self.blocked, expected.len());
        let redis = text(&self.observer.call("INFO clients"));
        assert!(redis.contains(&format!("blocked_clients:{}\r", expected.len())), "{redis}");
        for &client in expected {
            let blocked = self.clients[client].2.as_mut().expect("it waits");
            let served = runtime().block_on(async {
                tokio::select! { biased; reply = blocked.wait() => Some(reply), () = std::future::ready(()) => None }
            });
            assert_eq!(served, None, "client {client}");
        }
    }

    /// As `say`, for what never blocks and is answered by chance.
    pub fn say_unheard(&mut self, client: usize, line: &str) {
        let (connection, caller, _) = &mut self.clients[client];
        connection.call(line);
        let args: ArgVec = words(line).iter().collect();
        self.engine.execute(caller, args.args(), &mut BytesMut::new());
    }

    pub fn transaction(&mut self, client: usize, lines: &[&str], watch: Option<&Watch>) {
        let (connection, caller, _) = &mut self.clients[client];
        connection.call("MULTI");
        lines.iter().for_each(|line| drop(connection.call(line)));
        let expected = connection.call("EXEC");
        let commands: Vec<ArgVec> = lines.iter().map(|line| words(line).iter().collect()).collect();
        let mut out = BytesMut::new();
        self.engine.transaction(caller, &commands, watch, &mut |_, _, _| {}, &mut out);
        assert_eq!(text(&expected), text(&out), "{lines:?}");
    }

    pub fn watch(&mut self, client: usize, line: &str) -> Watch {
        let (connection, caller, _) = &mut self.clients[client];
        connection.call(line);
        let mut watch = Watch::new(&self.engine);
        let args: ArgVec = words(line).iter().collect();
        watch.add(caller.db, args.args().skip(1));
        watch
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn who_came_first_is_served_first() {
    let mut stage = Stage::new(4);
    stage.say(0, "BLPOP a b 0");
    stage.say(1, "BRPOP b a 0");
    stage.say(2, "BLPOP a 0");
    stage.say(3, "RPUSH a 1 2");
    stage.hears(0);
    stage.hears(1);
    stage.still_wait(&[2]);
    stage.say(3, "EXISTS a");
    stage.say(3, "LPUSH b 1");
    stage.say(3, "LRANGE b 0 -1");
    stage.say(3, "LPUSH a x y z");
    stage.hears(2);
    stage.say(3, "LRANGE a 0 -1");
}

#[test]
fn moves_chain_and_fail_as_in_redis() {
    let mut stage = Stage::new(5);
    stage.say(0, "BLMOVE a b LEFT RIGHT 0");
    stage.say(1, "BRPOPLPUSH b c 0");
    stage.say(2, "BLPOP c 0");
    stage.say(4, "RPUSH a element");
    stage.hears(0);
    stage.hears(1);
    stage.hears(2);
    stage.say(4, "DBSIZE");
    stage.say(0, "BLMOVE a text LEFT RIGHT 0");
    stage.say(1, "BLPOP a 0");
    stage.say(4, "SET text x");
    stage.say(4, "RPUSH a element");
    stage.hears(0);
    stage.hears(1);
    stage.say(0, "BLMOVE a a LEFT RIGHT 0");
    stage.say(4, "RPUSH a 1 2 3");
    stage.hears(0);
    stage.say(4, "LRANGE a 0 -1");
    stage.say(4, "DEL a");
    stage.say(0, "BLMPOP 0 2 q a RIGHT COUNT 2");
    stage.say(1, "BLMPOP 0 2 a q LEFT COUNT 2");
    stage.say(4, "RPUSH a 1 2 3 4 5");
    stage.hears(0);
    stage.hears(1);
    stage.say(4, "LRANGE a 0 -1");
}

#[test]
fn keys_that_come_to_be_in_any_way_wake() {
    let mut stage = Stage::new(3);
    for (prepare, make) in [
        ("RPUSH other 1", "RENAME other a"),
        ("RPUSH other 1", "COPY other a"),
        ("RPUSH other 1", "LMOVE other a LEFT LEFT"),
        ("SELECT 1", "SELECT 0"),
        ("SET a text", "LPUSH a 1"),
        ("SET a text", "DEL a"),
    ] {
        stage.say(2, "FLUSHALL");
        stage.say(0, "BLPOP a 0");
        stage.say(2, prepare);
        stage.say(2, make);
        if prepare.starts_with("RPUSH") {
            stage.hears(0);
            continue;
        }
        stage.still_wait(&[0]);
        stage.say(2, "DEL a");
        stage.say(2, "RPUSH a last");
        stage.hears(0);
    }
    stage.say(0, "BLPOP a 0");
    stage.say(1, "SELECT 1");
    stage.say(1, "RPUSH a elsewhere");
    stage.still_wait(&[0]);
    stage.say(1, "SWAPDB 0 1");
    stage.hears(0);
    stage.say(0, "BLPOP a 0");
    stage.say(1, "RPUSH a elsewhere");
    stage.say(1, "MOVE a 0");
    stage.hears(0);
}

#[test]
fn a_transaction_wakes_after_it_ends() {
    let mut stage = Stage::new(3);
    stage.say(0, "BLPOP a b 0");
    stage.transaction(2, &["RPUSH b 1", "RPUSH a 2", "LLEN a", "LLEN b"], None);
    stage.hears(0);
    stage.say(2, "DEL a b c");
    stage.say(0, "BLPOP a c 0");
    stage.transaction(2, &["RPUSH c 1", "DEL c", "LLEN c"], None);
    stage.still_wait(&[0]);
}

#[test]
fn transactions_answer_as_redis_does() {
    let mut stage = Stage::new(2);
    stage.transaction(
        0,
        &["SET a 1", "INCR a", "LPUSH a x", "GET a", "BLPOP none 0", "BLMOVE x y LEFT LEFT 0"],
        None,
    );
    stage.transaction(0, &["SELECT 1", "SET b 1", "SELECT 0", "GET b"], None);
    stage.transaction(0, &[], None);
    for (spoil, _why) in [
        ("SET k 2", "a change"),
        ("EXPIRE k 100", "an expiry"),
        ("GET k", "nothing"),
        ("DEL k", "a removal"),
        ("FLUSHALL", "everything"),
        ("SWAPDB 0 1", "another database"),
        ("SET other 1", "nothing"),
        ("SETNX k 5", "nothing"),
        ("RENAME k q", "a move"),
        ("SORT k", "nothing"),
        ("LPUSH k 1", "an error"),
    ] {
        stage.say(1, "FLUSHALL");
        stage.say(1, "SET k 1");
        let watch = stage.watch(0, "WATCH k none");
        stage.say(1, spoil);
        stage.transaction(0, &["GET k"], Some(&watch));
    }
    stage.say(1, "SET k 1 PX 20");
    let watch = stage.watch(0, "WATCH k");
    stage.await_gone("k");
    stage.transaction(0, &["GET k"], Some(&watch));
    let watch = stage.watch(0, "WATCH k");
    stage.transaction(0, &["GET k"], Some(&watch));
    let watch = stage.watch(0, "WATCH k");
    stage.say(0, "SET k own");
    stage.transaction(0, &["GET k"], Some(&watch));
}

#[test]
fn timeouts_and_departures_leave_nothing_behind() {
    let mut stage = Stage::new(3);
    stage.say(0, "BLPOP a 0.5");
    stage.hears(0);
    stage.say(0, "BLMOVE a b LEFT LEFT 0.5");
    stage.hears(0);
    stage.say(0, "BLPOP a 0");
    stage.say(1, "BLPOP a 0");
    // The first one leaves: the second one gets the element.
    stage.clients[0] = (stage.redis.connect(), Caller { proto: Proto::Resp3, ..Caller::default() }, None);
    stage.clients[0].0.call("HELLO 3");
    stage.blocked -= 1;
    while !text(&stage.observer.call("INFO clients")).contains("blocked_clients:1") {
        std::thread::yield_now();
    }
    stage.say(2, "RPUSH a 1");
    stage.hears(1);
    stage.say(0, "BLPOP a 0.5");
    stage.hears(0);
    stage.say(2, "RPUSH a 1");
    stage.say(2, "LLEN a");
}

#[test]
fn all_threads_together_lose_and_invent_nothing() {
    let engine = engine();
    let run = |caller: &mut Caller, line: &str| {
        let mut out = BytesMut::new();
        let args: ArgVec = line.split(' ').collect();
        match engine.execute(caller, args.args(), &mut out) {
            Outcome::Block(mut blocked) => text(&runtime().block_on(blocked.wait())),
            _ => text(&out),
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                let mut caller = Caller::default();
                for n in 0..500 {
                    run(&mut caller, &format!("RPUSH in{} {thread}:{n}", n % 5));
                }
            });
            scope.spawn(move || {
                let mut caller = Caller::default();
                for n in 0..500 {
                    run(&mut caller, &format!("BLMOVE in{} middle LEFT RIGHT 5", n % 5));
                }
            });
            scope.spawn(move || {
                let mut caller = Caller::default();
                for _ in 0..500 {
                    let reply = run(&mut caller, "BLPOP nothing middle 5");
                    assert!(reply.contains("middle"), "{reply}");
                    run(&mut caller, "INCR popped");
                }
            });
        }
    });
    assert_eq!(run(&mut Caller::default(), "GET popped"), "$4\r\n1000\r\n");
    assert_eq!(run(&mut Caller::default(), "DBSIZE"), ":1\r\n");
}

#[test]
fn commands_and_transactions_are_atomic_across_threads() {
    let engine = engine();
    let reply = |caller: &mut Caller, line: &str| {
        let mut out = BytesMut::new();
        let args: ArgVec = line.split(' ').collect();
        assert!(matches!(engine.execute(caller, args.args(), &mut out), Outcome::Done));
        text(&out)
    };
    let block = |lines: &[&str]| {
        let commands: Vec<ArgVec> = lines.iter().map(|line| line.split(' ').collect()).collect();
        let mut out = BytesMut::new();
        engine.transaction(&mut Caller::default(), &commands, None, &mut |_, _, _| {}, &mut out);
        text(&out)
    };
    reply(&mut Caller::default(), "MSET left 0 right 0 a 1000 b 1000");
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (reply, block) = (&reply, &block);
            scope.spawn(move || {
                let mut caller = Caller::default();
                for n in 0..2000 {
                    match (thread + n) % 4 {
                        0 => drop(reply(&mut caller, &format!("MSET left {n} right {n}"))),
                        1 => drop(block(&["DECR a", "INCR b"])),
                        2 => drop(block(&[
                            "RENAME a c",
                            "RENAME b a",
                            "RENAME c b",
                            "SWAPDB 0 1",
                            "SWAPDB 1 0",
                        ])),
                        _ => {
                            let pair = reply(&mut caller, "MGET left right");
                            let parts: Vec<_> = pair.split("\r\n").collect();
                            assert_eq!(parts[2], parts[4], "{pair}");
                            let sum = block(&["GET a", "GET b"]);
                            let numbers = sum.split("\r\n").skip(2).step_by(2);
                            let sum: i64 = numbers.filter_map(|n| n.parse::<i64>().ok()).sum();
                            assert_eq!(sum, 2000);
                        }
                    }
                }
            });
        }
    });
}

/// WATCH, read, MULTI, write: of those who try at once exactly one succeeds.
#[test]
fn watch_loses_no_update() {
    let engine = engine();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let engine = &engine;
            scope.spawn(move || {
                let mut done = 0;
                while done < 300 {
                    let mut caller = Caller::default();
                    let mut watch = Watch::new(engine);
                    watch.add(0, ["n"].iter().collect::<ArgVec>().args());
                    let mut out = BytesMut::new();
                    engine.execute(&mut caller, ["GET", "n"].iter().collect::<ArgVec>().args(), &mut out);
                    let n: i64 = text(&out).split("\r\n").nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                    let set: ArgVec = ["SET".into(), "n".into(), (n + 1).to_string()].iter().collect();
                    out.clear();
                    engine.transaction(&mut caller, &[set], Some(&watch), &mut |_, _, _| {}, &mut out);
                    done += i32::from(out.starts_with(b"*1"));
                }
            });
        }
    });
    let mut out = BytesMut::new();
    engine.execute(&mut Caller::default(), ["GET", "n"].iter().collect::<ArgVec>().args(), &mut out);
    assert_eq!(text(&out), "$3\r\n900\r\n");
}
