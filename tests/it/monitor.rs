//! MONITOR: Redis's feed, of all clients of the proxy, with and without an upstream.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

fn request(line: &str) -> Vec<u8> {
    encode(&line.split(' ').collect::<Vec<_>>())
}

/// What is shown up to `ECHO end`, without times and ports.
fn shown(monitor: &mut RawClient) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = monitor.read_frame().unwrap().escape_ascii().to_string();
        assert!(line.starts_with("+1"), "{line}");
        let (_, rest) = line.split_once(' ').unwrap();
        let (client, command) = rest.split_once("] ").unwrap();
        let (client, _port) = client.rsplit_once(':').unwrap();
        lines.push(format!("{client}] {command}"));
        if command.contains("ECHO") {
            return lines;
        }
    }
}

const LINES: &[&str] = &[
    "SET k a\"b\\c\n\r\t\u{7}\u{8}\0\u{ff}\u{7f}",
    "GET k",
    "get k",
    "gEt none",
    "GET",
    "NOSUCHCOMMAND1 a b",
    "AUTH secret",
    "AUTH default secret",
    "HELLO 3 AUTH default secret SETNAME x",
    "HELLO 2 SETNAME auth AUTH default secret",
    "HELLO 2",
    "CONFIG GET maxmemory",
    "SELECT 3",
    "PING",
    "MULTI",
    "SET a 1",
    "GET",
    "EXEC",
    "MULTI",
    "SET a 1",
    "DISCARD",
    "MULTI",
    "SET a 1",
    "CLIENT GETNAME",
    "AUTH default secret",
    "PUBLISH c m",
    "EXEC",
    "WATCH a",
    "MULTI",
    "GET a",
    "EXEC",
    "UNWATCH",
    "EXEC",
    "CLIENT NOSUCH",
    "CLIENT SETNAME name",
    "CLIENT KILL ID 99999",
    "BLPOP none 0.01",
    "RPUSH l a",
    "BLPOP l 0",
    "SUBSCRIBE c",
    "PING",
    "GET k",
    "UNSUBSCRIBE c",
    "PUBLISH c m",
    "LPUSH k a",
    "RESET",
    "SELECT 3",
    "ECHO end",
];

fn feed(addr: SocketAddr, proto: &str, piped: bool) -> Vec<String> {
    let mut monitor = RawClient::connect(addr).unwrap();
    monitor.call(&["HELLO", proto]).unwrap();
    assert_eq!(monitor.call_raw(&["MONITOR"]).unwrap(), b"+OK\r\n");
    let mut client = RawClient::connect(addr).unwrap();
    // What is asked of Redis for unknown commands is not part of this.
    let lines = LINES.iter().filter(|line| !line.starts_with("NOSUCH"));
    let requests: Vec<Vec<u8>> = lines.map(|line| request(line)).collect();
    if piped {
        client.send(&requests.concat()).unwrap();
        return shown(&mut monitor);
    }
    for request in &requests {
        client.exchange(request, 1).unwrap();
    }
    shown(&mut monitor)
}

#[test]
fn everything_that_clients_ask_for_is_shown_and_nothing_else() {
    let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let (proxy, memory) =
        (Proxy::behind(behind.addr(), &[("upstream.ping_every", "10ms")]), Proxy::with(&[]));
    for (proto, piped) in [("2", false), ("3", false), ("2", true)] {
        let theirs = feed(redis.addr(), proto, piped);
        assert!(theirs.iter().any(|line| line.contains("redacted")), "{theirs:?}");
        assert_eq!(theirs, feed(proxy.addr(), proto, piped), "RESP{proto}, piped: {piped}");
        assert_eq!(theirs, feed(memory.addr(), proto, piped), "in memory, RESP{proto}, piped: {piped}");
    }
    assert_eq!(proxy.info("monitors"), None);
}

#[test]
fn a_monitor_sees_itself_and_may_do_little_else() {
    let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let (proxy, memory) = (Proxy::behind(behind.addr(), &[]), Proxy::with(&[]));
    let [theirs, ours, in_memory] = [redis.addr(), proxy.addr(), memory.addr()].map(|addr| {
        let mut client = RawClient::connect(addr).unwrap();
        let mut heard = Vec::new();
        for (line, frames) in [
            ("MONITOR", 1),
            ("PING", 2),
            ("GET k", 1),
            ("SET k v", 1),
            ("PUBLISH c m", 1),
            ("MONITOR", 0),
            ("CLIENT SETNAME me", 2),
            ("RESET", 1),
            ("SET k v", 1),
            ("MONITOR", 1),
            ("CLIENT REPLY OFF", 0),
            ("PING", 0),
            ("CLIENT REPLY ON", 2),
            ("QUIT", 1),
        ] {
            client.send(&request(line)).unwrap();
            for _ in 0..frames {
                let frame = client.read_frame().unwrap().escape_ascii().to_string();
                heard.push(frame.rsplit_once("] ").map_or(frame.clone(), |(_, command)| command.to_owned()));
            }
        }
        heard.push(client.read_to_end().unwrap().escape_ascii().to_string());
        heard
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs, in_memory);
}

#[test]
fn a_monitor_that_does_not_read_is_disconnected() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let (mut slow, mut client) = (proxy.client(), proxy.client());
    slow.call(&["MONITOR"]).unwrap();
    let set = encode(&["SET", "k", &"x".repeat(500_000)]);
    let mut sent = 0;
    until("the slow one is gone", || {
        sent += 1;
        assert!(sent < 800, "400 MB wait for a client that reads nothing");
        assert_eq!(client.exchange(&set, 1).unwrap()[0], b"+OK\r\n");
        let list = client.call(&["CLIENT", "LIST"]).unwrap();
        (!String::from_utf8_lossy(list.text()?).contains("flags=O")).then_some(())
    });
}
