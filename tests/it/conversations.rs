//! Scripted conversations, held with Redis and with the subject: the same bytes in the same order.
//!
//! Here are the commands that generated sequences cannot hold (tests/differential/table_server.rs names each
//! with its reason): those that push, wait, take replies away, or end something.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::client::RawClient;
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, encode};
use crate::support::subject::Subject;
use crate::support::until;

/// Holds the conversation with a fresh Redis and with a fresh subject, in each protocol, and compares what
/// was heard.
fn same(conversation: impl Fn(SocketAddr, u8) -> Vec<String>) {
    for proto in [2, 3] {
        let (redis, subject) = (RedisServer::start(&[]), Subject::proxy(&[], &[]));
        let theirs = conversation(redis.addr(), proto);
        let ours = conversation(subject.addr(), proto);
        assert!(!theirs.is_empty());
        assert_eq!(theirs, ours, "RESP{proto}");
    }
}

fn connect(addr: SocketAddr, proto: u8) -> RawClient {
    if proto == 3 { RawClient::connect_resp3(addr) } else { RawClient::connect(addr) }.unwrap()
}

/// Sends commands and hears that many frames, pushes included.
fn hear(client: &mut RawClient, commands: &[&str], frames: usize) -> Vec<String> {
    for command in commands {
        let args: Vec<&str> = command.split(' ').collect();
        client.send(&encode(&args)).unwrap();
    }
    (0..frames).map(|_| client.read_frame().unwrap().escape_ascii().to_string()).collect()
}

/// The same, where each command has one reply.
fn ask(client: &mut RawClient, commands: &[&str]) -> Vec<String> {
    hear(client, commands, commands.len())
}

#[test]
fn subscriptions() {
    same(|addr, proto| {
        let (mut client, mut other) = (connect(addr, proto), connect(addr, proto));
        let mut heard = hear(&mut client, &["SUBSCRIBE a b", "PSUBSCRIBE a* x*", "SSUBSCRIBE s"], 5);
        heard.extend(ask(&mut other, &["PUBLISH a hello", "PUBLISH z nobody", "SPUBLISH s shard"]));
        heard.extend(hear(&mut client, &[], 3));
        heard.extend(ask(&mut other, &["PUBSUB NUMPAT", "PUBSUB NUMSUB a b z", "PUBSUB SHARDNUMSUB s"]));
        heard.extend(ask(&mut client, &["PING", "PING text", "GET k"]));
        heard.extend(hear(&mut client, &["UNSUBSCRIBE b", "UNSUBSCRIBE nosuch", "UNSUBSCRIBE"], 3));
        heard.extend(hear(&mut client, &["PUNSUBSCRIBE x*", "PUNSUBSCRIBE"], 2));
        heard.extend(hear(&mut client, &["SUNSUBSCRIBE s", "SUNSUBSCRIBE"], 2));
        heard.extend(ask(&mut client, &["GET k", "PING", "UNSUBSCRIBE", "SUBSCRIBE", "PSUBSCRIBE"]));
        heard.extend(ask(&mut other, &["PUBLISH a hello", "MULTI", "PUBLISH a again", "EXEC"]));
        heard
    });
}

#[test]
fn subscriptions_end_with_the_connection() {
    same(|addr, proto| {
        let (mut client, mut other) = (connect(addr, proto), connect(addr, proto));
        let heard = hear(&mut client, &["SUBSCRIBE a"], 1);
        drop(client);
        until("the subscription is gone", || {
            (other.call(&["PUBSUB", "NUMSUB", "a"]).unwrap().items()[1].text() == Some(b"0")).then_some(())
        });
        heard
    });
}

#[test]
fn quit_answers_and_closes() {
    same(|addr, proto| {
        let mut client = connect(addr, proto);
        client.send(&[encode(&["PING"]), encode(&["QUIT"]), encode(&["PING"])].concat()).unwrap();
        vec![client.read_to_end().unwrap().escape_ascii().to_string()]
    });
}

#[test]
fn monitor_shows_commands() {
    same(|addr, proto| {
        let (mut watcher, mut client) = (connect(addr, proto), connect(addr, proto));
        let mut heard = ask(&mut watcher, &["MONITOR"]);
        heard.extend(ask(&mut client, &["SET k v", "GET k"]));
        for line in hear(&mut watcher, &[], 2) {
            heard.push(line.split_once(']').unwrap().1.to_owned()); // time and address are before it
        }
        heard
    });
}

#[test]
fn client_reply() {
    same(|addr, proto| {
        let mut client = connect(addr, proto);
        let mut heard = hear(&mut client, &["CLIENT REPLY SKIP", "SET a 1", "GET a"], 1);
        heard.extend(hear(&mut client, &["CLIENT REPLY OFF", "SET a 2", "GET a", "CLIENT REPLY ON"], 1));
        heard.extend(ask(&mut client, &["GET a", "CLIENT REPLY nonsense", "CLIENT REPLY"]));
        heard.extend(hear(&mut client, &["CLIENT REPLY SKIP", "RESET", "GET a"], 1));
        heard.extend(hear(&mut client, &["CLIENT REPLY OFF", "GET a", "RESET", "GET a"], 2));
        heard
    });
}

#[test]
fn client_tracking() {
    same(|addr, proto| {
        ask(
            &mut connect(addr, proto),
            &[
                "CLIENT TRACKING ON NOSUCH",
                "CLIENT TRACKING ON OPTIN OPTOUT",
                "CLIENT TRACKING ON BCAST OPTIN",
                "CLIENT TRACKING ON PREFIX a",
                "CLIENT TRACKING ON PREFIX",
                "CLIENT TRACKING ON REDIRECT 99999999",
                "CLIENT TRACKING ON REDIRECT abc",
                "CLIENT TRACKING nonsense",
                "CLIENT TRACKING OFF",
                "CLIENT TRACKINGINFO",
                "CLIENT GETREDIR",
                "CLIENT CACHING YES",
            ],
        )
    });
}

#[test]
fn client_pause() {
    same(|addr, proto| {
        let (mut client, mut other) = (connect(addr, proto), connect(addr, proto));
        let mut heard = ask(&mut client, &["CLIENT PAUSE abc", "CLIENT PAUSE -1", "CLIENT PAUSE 1 NOSUCH"]);
        heard.extend(ask(&mut client, &["CLIENT PAUSE 100000 WRITE", "GET k"]));
        other.send(&encode(&["SET", "k", "v"])).unwrap();
        other.set_patience(Duration::from_millis(50));
        heard.push(format!("write while paused: {}", other.read().is_ok()));
        other.set_patience(crate::support::PATIENCE);
        heard.extend(ask(&mut client, &["CLIENT UNPAUSE"]));
        heard.extend(hear(&mut other, &[], 1));
        heard
    });
}

#[test]
fn blocking_commands_wait_and_wake() {
    same(|addr, proto| {
        let (mut waiter, mut other) = (connect(addr, proto), connect(addr, proto));
        let mut heard = Vec::new();
        for (blocking, wake) in [
            ("BLPOP l1 l2 0", "RPUSH l2 a"),
            ("BRPOP l1 0", "LPUSH l1 a b"),
            ("BLMOVE l5 l6 LEFT RIGHT 0", "RPUSH l5 a"),
            ("BRPOPLPUSH l5 l6 0", "RPUSH l5 b"),
            ("BLMPOP 0 2 l7 l8 RIGHT COUNT 5", "RPUSH l8 a b c"),
            ("BZPOPMIN z1 0", "ZADD z1 1.5 m"),
            ("BZPOPMAX z1 0", "ZADD z1 inf m"),
            ("BZMPOP 0 1 z1 MIN", "ZADD z1 2 n"),
            ("XREAD BLOCK 0 STREAMS x1 $", "XADD x1 1-1 f v"),
        ] {
            waiter.send(&encode(&blocking.split(' ').collect::<Vec<_>>())).unwrap();
            until("the command waits", || {
                let info = other.call(&["INFO", "clients"]).unwrap();
                String::from_utf8_lossy(info.text().unwrap()).contains("blocked_clients:1\r\n").then_some(())
            });
            heard.extend(ask(&mut other, &[wake]));
            heard.extend(hear(&mut waiter, &[], 1));
        }
        for empty in
            ["BLPOP no 0.01", "BLMOVE no l6 LEFT LEFT 0.01", "BZPOPMIN no 0.01", "BZMPOP 0.01 1 no MAX"]
        {
            heard.extend(ask(&mut waiter, &[empty]));
        }
        heard.extend(ask(&mut waiter, &["XREAD BLOCK 1 STREAMS x1 $", "BLMPOP 0.01 1 no LEFT", "WAIT 1 1"]));
        heard
    });
}

#[test]
fn background_saves() {
    let (redis, subject) = (RedisServer::start(&[]), Subject::proxy(&[], &[]));
    for addr in [redis.addr(), subject.addr()] {
        let mut client = connect(addr, 2);
        for (command, started) in
            [("BGSAVE", "Background saving"), ("BGREWRITEAOF", "Background append only")]
        {
            let reply = client.call(&[command]).unwrap();
            let text = String::from_utf8_lossy(reply.text().unwrap()).into_owned();
            assert!(text.starts_with(started), "{command}: {text}");
        }
    }
}

/// Commands that change what the server is. A proxy may refuse them: then each with an error of its own, and
/// the connection goes on.
#[test]
fn server_admin() {
    let subject = Subject::proxy(&[], &[]);
    let commands = [
        "SHUTDOWN NOSUCH",
        "REPLICAOF nohost",
        "SLAVEOF nohost",
        "FAILOVER NOSUCH",
        "DEBUG NOSUCH",
        "PFSELFTEST x",
        "MODULE LOAD /nosuch",
        "MODULE LOADEX /nosuch",
        "MODULE UNLOAD nosuch",
        "ACL SETUSER u nonsense",
        "ACL DELUSER default",
        "ACL LOAD",
        "ACL SAVE",
        "PSYNC",
        "SYNC now",
        "REPLCONF odd one out",
        "CLUSTER ADDSLOTS 0",
        "CLUSTER ADDSLOTSRANGE 0 1",
        "CLUSTER BUMPEPOCH",
        "CLUSTER DELSLOTS 0",
        "CLUSTER DELSLOTSRANGE 0 1",
        "CLUSTER FAILOVER",
        "CLUSTER FLUSHSLOTS",
        "CLUSTER FORGET n",
        "CLUSTER MEET 127.0.0.1 1",
        "CLUSTER REPLICATE n",
        "CLUSTER RESET",
        "CLUSTER SAVECONFIG",
        "CLUSTER SET-CONFIG-EPOCH 1",
        "CLUSTER SETSLOT 0 STABLE",
        "SCRIPT DEBUG NOSUCH",
    ];
    let mut client = connect(subject.addr(), 2);
    for command in commands {
        let reply = client.call(&command.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(reply.is_error(), "{command}: {reply:?}");
    }
    assert_eq!(client.call(&["PING"]).unwrap(), Reply::Line(b'+', b"PONG".to_vec()));
}
