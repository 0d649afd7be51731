//! The proxy without an upstream, through sockets: what several clients see of each other is what they
//! would see of a Redis.
//!
//! Each conversation is held with both, and all bytes must be the same.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(missing_docs, reason = "test names are sentences")]

mod support;

use support::client::RawClient;
use support::proxy::Proxy;
use support::redis::RedisServer;
use support::reply::Reply;
use support::until;

/// Both servers, and the same clients of both.
struct Both {
    redis: RedisServer,
    proxy: Proxy,
    clients: Vec<[RawClient; 2]>,
    ids: Vec<[String; 2]>,
}

impl Both {
    fn new(clients: usize, proto: u8) -> Both {
        let (redis, proxy) = (RedisServer::start(&[]), Proxy::with(&[]));
        let mut both = Both { redis, proxy, clients: Vec::new(), ids: Vec::new() };
        for _ in 0..clients {
            let mut pair =
                [both.redis.addr(), both.proxy.addr()].map(|addr| RawClient::connect(addr).unwrap());
            both.ids.push(pair.each_mut().map(|client| {
                if proto == 3 {
                    client.call(&["HELLO", "3"]).unwrap();
                }
                client.call(&["CLIENT", "ID"]).unwrap().number().unwrap().to_string()
            }));
            both.clients.push(pair);
        }
        both
    }

    /// Sends a command and forgets about the reply for now.
    fn send(&mut self, client: usize, line: &str) {
        let ids = &self.ids;
        for (side, connection) in self.clients[client].iter_mut().enumerate() {
            let words = line.split(' ').map(|word| match word.strip_prefix("id:") {
                Some(other) => ids[other.parse::<usize>().unwrap()][side].clone(),
                None => word.to_owned(),
            });
            let words: Vec<String> = words.collect();
            connection.send(&support::reply::encode(&words)).unwrap();
        }
    }

    /// The next frame that a client gets, from both.
    fn frame(&mut self, client: usize) -> String {
        let [redis, proxy] = self.clients[client].each_mut().map(|client| client.read_frame());
        let (redis, proxy) = (redis.unwrap(), proxy.unwrap());
        assert_eq!(redis.escape_ascii().to_string(), proxy.escape_ascii().to_string());
        proxy.escape_ascii().to_string()
    }

    /// A command and its reply.
    fn check(&mut self, client: usize, line: &str) -> String {
        self.send(client, line);
        self.frame(client)
    }

    /// A command whose client then waits.
    fn block(&mut self, client: usize, line: &str) {
        self.send(client, line);
        let id = self.ids[client].clone();
        for (side, addr) in [self.redis.addr(), self.proxy.addr()].into_iter().enumerate() {
            let mut observer = RawClient::connect(addr).unwrap();
            until("the client is blocked", || {
                let list = observer.call(&["CLIENT", "LIST", "ID", &id[side]]).unwrap();
                let list = String::from_utf8_lossy(list.text().unwrap()).into_owned();
                list.contains(" flags=b ").then_some(())
            });
        }
    }
}

#[test]
fn blocking_commands_wait_and_are_served_in_order() {
    for proto in [2, 3] {
        let mut both = Both::new(4, proto);
        both.block(0, "BLPOP q 0");
        both.block(1, "BRPOP nothing q 0");
        both.check(2, "RPUSH q a b c");
        assert!(both.frame(0).contains('a'));
        assert!(both.frame(1).contains('c'));
        both.check(2, "LRANGE q 0 -1");
        both.check(2, "DEL q");
        both.block(0, "BLMOVE q r LEFT RIGHT 0");
        both.block(1, "BLMPOP 0 2 x r LEFT COUNT 2");
        both.check(2, "RPUSH q a");
        both.frame(0);
        both.frame(1);
        both.block(0, "BZPOPMIN z 0");
        both.block(1, "BZMPOP 0 1 z MAX");
        both.check(2, "ZADD z 1 a 2 b");
        both.frame(0);
        both.frame(1);
        // What a waiting client sends meanwhile is executed behind the wait.
        both.block(0, "BLPOP q 0");
        both.send(0, "PING behind");
        both.check(2, "MULTI");
        both.check(2, "LPUSH q a");
        both.check(2, "DEL q");
        both.check(2, "LPUSH q b");
        both.check(2, "EXEC");
        both.frame(0);
        both.frame(0);
        both.check(0, "BLPOP q 0.01");
        both.check(0, "BLMOVE q r LEFT LEFT 0.01");
        both.check(0, "BZPOPMAX q 0.01");
    }
}

#[test]
fn client_unblock_ends_a_wait_once() {
    for proto in [2, 3] {
        let mut both = Both::new(3, proto);
        both.block(0, "BLPOP q 0");
        both.check(1, "CLIENT UNBLOCK id:0");
        both.frame(0);
        both.block(0, "BLPOP q 0");
        both.check(1, "CLIENT UNBLOCK id:0 ERROR");
        both.frame(0);
        both.check(1, "CLIENT UNBLOCK id:0");
        both.block(0, "BLPOP q 0");
        // Served, and so not blocked any more, before the second command of the batch is executed.
        both.send(1, "LPUSH q a");
        both.send(1, "CLIENT UNBLOCK id:0");
        both.frame(1);
        both.frame(1);
        both.frame(0);
    }
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_nothing() {
    let mut both = Both::new(2, 2);
    both.block(0, "BLPOP q 0");
    let left = both.clients.remove(0);
    both.ids.remove(0);
    drop(left);
    for addr in [both.redis.addr(), both.proxy.addr()] {
        let mut observer = RawClient::connect(addr).unwrap();
        until("nobody is blocked", || {
            let info = observer.call(&["INFO", "clients"]).unwrap();
            String::from_utf8_lossy(info.text().unwrap()).contains("blocked_clients:0").then_some(())
        });
    }
    both.check(0, "RPUSH q a");
    both.check(0, "LLEN q");
}

#[test]
fn a_killed_client_waits_no_more() {
    let mut both = Both::new(2, 2);
    both.block(0, "BLPOP q 0");
    both.check(1, "CLIENT KILL ID id:0");
    for client in &mut both.clients[0] {
        assert_eq!(client.read_to_end().unwrap(), b"");
    }
    both.check(1, "RPUSH q a");
    both.check(1, "LLEN q");
}

#[test]
fn watched_keys_decide_about_exec() {
    for proto in [2, 3] {
        let mut both = Both::new(2, proto);
        both.check(0, "SET a 1");
        both.check(0, "WATCH a b");
        both.check(1, "SET b 1");
        both.check(0, "MULTI");
        both.check(0, "INCR a");
        both.check(0, "EXEC");
        both.check(0, "WATCH a");
        both.check(0, "MULTI");
        both.check(1, "GET a");
        for line in
            ["INCR a", "PING", "ECHO x", "SELECT 1", "SET a 9", "SELECT 0", "LPUSH a x", "EXEC", "GET a"]
        {
            both.check(0, line);
        }
        for end in ["UNWATCH", "DISCARD", "EXEC now", "RESET"] {
            both.check(0, "WATCH a");
            both.check(1, "INCR a");
            if end == "DISCARD" {
                both.check(0, "MULTI");
            }
            both.check(0, end);
            if end == "RESET" && proto == 3 {
                for client in &mut both.clients[0] {
                    client.call(&["HELLO", "3"]).unwrap();
                }
            }
            both.check(0, "MULTI");
            both.check(0, "GET a");
            both.check(0, "EXEC");
        }
        both.check(0, "MULTI");
        both.check(0, "NOSUCH");
        both.check(0, "GET");
        both.check(0, "EXEC");
        both.check(0, "WATCH a");
        both.check(1, "FLUSHALL");
        both.check(0, "MULTI");
        both.check(0, "BLPOP q 0");
        both.check(0, "EXEC");
    }
}

#[test]
fn messages_reach_subscribers_and_are_counted() {
    for proto in [2, 3] {
        let mut both = Both::new(4, proto);
        both.check(0, "SUBSCRIBE news");
        both.check(1, "PSUBSCRIBE n*");
        both.check(1, "SUBSCRIBE news");
        both.check(2, "SSUBSCRIBE news");
        assert_eq!(both.check(3, "PUBLISH news hello"), ":3\\r\\n");
        assert_eq!(both.check(3, "SPUBLISH news hello"), ":1\\r\\n");
        both.check(3, "PUBLISH other hello");
        both.check(3, "PUBSUB CHANNELS");
        both.check(3, "PUBSUB NUMSUB news other");
        both.check(3, "PUBSUB NUMPAT");
        both.check(3, "PUBSUB SHARDCHANNELS n*");
        both.check(3, "PUBSUB SHARDNUMSUB news other");
        both.frame(0);
        both.frame(1);
        both.frame(1);
        both.frame(2);
        both.check(0, "PING");
        both.check(0, "PING x");
        both.check(0, "GET a");
        both.check(1, "PUNSUBSCRIBE");
        both.check(1, "UNSUBSCRIBE other");
        both.check(3, "MULTI");
        both.check(3, "PUBLISH news a");
        both.check(3, "PUBLISH news b");
        both.check(3, "EXEC");
        for client in [0, 0, 1, 1] {
            both.frame(client);
        }
        both.check(0, "RESET");
        both.check(1, "QUIT");
        both.check(3, "PUBLISH news c");
        both.check(3, "PUBSUB CHANNELS");
    }
}

#[test]
fn who_publishes_to_itself_gets_the_message_before_the_reply() {
    let mut both = Both::new(2, 3);
    both.check(0, "SUBSCRIBE a b");
    both.frame(0);
    both.send(0, "PUBLISH a x");
    both.send(0, "UNSUBSCRIBE a");
    both.send(0, "PUBLISH a y");
    for _ in 0..4 {
        both.frame(0);
    }
    both.check(0, "SET k v");
    both.check(0, "GET k");
}

#[test]
fn what_is_said_of_the_server_is_what_redis_says() {
    const LINES: &[&str] = &[
        "ROLE",
        "WAIT 0 0",
        "WAIT a 0",
        "WAIT 1 -1",
        "LOLWUT",
        "TIME x",
        "MODULE LIST",
        "CLUSTER INFO",
        "SLOWLOG GET",
        "SLOWLOG GET 1 2",
        "SLOWLOG GET x",
        "SLOWLOG LEN",
        "SLOWLOG RESET",
        "LATENCY LATEST",
        "LATENCY DOCTOR",
        "LATENCY RESET",
        "LATENCY HISTORY a",
        "LATENCY GRAPH a",
        "ACL WHOAMI",
        "ACL LIST",
        "ACL USERS",
        "ACL CAT",
        "ACL CAT nosuch",
        "ACL GETUSER default",
        "ACL GETUSER nobody",
        "ACL LOG",
        "ACL DRYRUN default get a",
        "ACL DRYRUN default get",
        "CONFIG GET save",
        "CONFIG GET maxmemory-samples",
        "CONFIG GET nosuch",
        "CONFIG SET nosuch 1",
        "CONFIG SET maxmemory x",
        "CONFIG SET maxmemory 1mb maxmemory 2mb",
        "CONFIG SET databases 3",
        "CONFIG SET maxmemory-policy nosuch",
        "CONFIG SET a b c",
        "CONFIG REWRITE",
        "CONFIG RESETSTAT",
        "MEMORY PURGE",
        "MEMORY NOSUCH",
        "OBJECT HELP",
        "ACL HELP",
        "CLIENT HELP",
        "COMMAND HELP",
        "CONFIG HELP",
        "LATENCY HELP",
        "MEMORY HELP",
        "MODULE HELP",
        "PUBSUB HELP",
        "SLOWLOG HELP",
        "COMMAND GETKEYS set a b",
        "COMMAND GETKEYS get a b",
        "COMMAND GETKEYS zunionstore d 2 a b",
        "COMMAND GETKEYS zunionstore d 1x a",
        "COMMAND GETKEYS zunionstore d 3x a",
        "COMMAND GETKEYS eval s +2 a b",
        "COMMAND GETKEYS eval s 4294967297 a b",
        "COMMAND GETKEYS eval s -4294967295 a b",
        "COMMAND GETKEYS eval s 9223372036854775809 a b",
        "COMMAND GETKEYS blmpop 0 01 a LEFT",
        "COMMAND GETKEYSANDFLAGS zunionstore d 1x a",
        "COMMAND GETKEYS nosuch a",
        "COMMAND GETKEYSANDFLAGS set a b",
        "COMMAND LIST FILTERBY MODULE x",
        "COMMAND LIST FILTERBY x y",
        "NOSUCH a",
        "CLIENT NOSUCH",
        "SELECT 99",
        "DBSIZE",
        "SWAPDB 0 99",
    ];
    for proto in [2, 3] {
        let mut both = Both::new(1, proto);
        LINES.iter().for_each(|line| drop(both.check(0, line)));
    }
}

#[test]
fn commands_are_described_as_redis_describes_them() {
    for proto in [2, 3] {
        let mut both = Both::new(1, proto);
        let names = both.proxy.client().call(&["COMMAND", "LIST"]).unwrap();
        let names: Vec<String> = names
            .items()
            .iter()
            .map(|name| String::from_utf8_lossy(name.text().unwrap()).into_owned())
            .collect();
        assert!(names.len() > 150, "{}", names.len());
        for name in names.iter().filter(|name| *name != "nearcache") {
            // A container's subcommands come in the order of a hash table.
            let alone = nearcache::command::by_name(name.as_bytes()).unwrap().subcommands().is_empty();
            if alone {
                both.check(0, &format!("COMMAND INFO {name}"));
            }
        }
    }
}

#[test]
fn commands_are_counted_and_documented() {
    let both = Both::new(1, 3);
    let (proxy, redis) = (&mut both.proxy.client(), &mut both.redis.client());
    let names = proxy.call(&["COMMAND", "LIST"]).unwrap();
    let count = proxy.call(&["COMMAND", "COUNT"]).unwrap();
    assert_eq!(count.number(), Some(names.items().len() as f64));
    for name in ["get", "zadd", "xreadgroup", "blmpop", "geosearch", "config"] {
        let [ours, theirs] = [&mut *proxy, &mut *redis].map(|client| {
            client.call(&["HELLO", "3"]).unwrap();
            client.call(&["COMMAND", "DOCS", name]).unwrap().items()[1].clone()
        });
        for field in ["summary", "since", "group", "complexity"] {
            let value = |docs: &Reply| {
                let at = docs.items().iter().position(|item| item.text() == Some(field.as_bytes()));
                at.map(|at| docs.items()[at + 1].clone())
            };
            assert_eq!(value(&ours), value(&theirs), "{name} {field}");
        }
    }
}

#[test]
fn full_memory_refuses_or_evicts() {
    let options = [("cache.max_memory", "4mb"), ("memory.eviction", "noeviction")];
    let proxy = Proxy::with(&options);
    let mut client = proxy.client();
    let value = "x".repeat(64 * 1024);
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    let full = (0..200).any(|i| client.call_raw(&["SET", &i.to_string(), &value]).unwrap() == oom.as_bytes());
    assert!(full, "no limit");
    client.call(&["MULTI"]).unwrap();
    assert_eq!(client.call_raw(&["SET", "a", "1"]).unwrap(), oom.as_bytes());
    assert!(client.call(&["EXEC"]).unwrap().is_error());
    assert_eq!(client.call_raw(&["GET", "0"]).unwrap().len(), value.len() + 10);
    client.call(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(client.call_raw(&["SET", "a", "1"]).unwrap(), b"+OK\r\n");

    let proxy = Proxy::with(&options[..1]);
    let mut client = proxy.client();
    for i in 0..200 {
        assert_eq!(client.call_raw(&["SET", &i.to_string(), &value]).unwrap(), b"+OK\r\n");
    }
    let left = client.call(&["DBSIZE"]).unwrap().number().unwrap();
    assert!(left > 10.0 && left < 70.0, "{left} keys");
}

#[test]
fn what_needs_an_upstream_says_so() {
    let proxy = Proxy::with(&[]);
    let mut client = proxy.client();
    for (command, error) in [
        (&["EVAL", "return 1", "0"][..], "-ERR nearcache: scripting needs an upstream\r\n"),
        (&["FUNCTION", "LIST"], "-ERR nearcache: scripting needs an upstream\r\n"),
        (&["SAVE"], "-ERR nearcache: without an upstream the data are in memory only\r\n"),
        (
            &["DEBUG", "SLEEP", "1"],
            "-ERR nearcache: this command administers a Redis server, and there is none here\r\n",
        ),
    ] {
        assert_eq!(client.call_raw(command).unwrap(), error.as_bytes());
    }
}
