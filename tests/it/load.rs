//! Many clients, and bad ones: the others make progress, and memory stays bounded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread;

use crate::process::{Process, fastest};
use crate::support::client::RawClient;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

const MB: usize = 1 << 20;

fn start(redis: &RedisServer, limits: &str, args: &[&str]) -> Process {
    let url = format!("redis://{}", redis.addr());
    let process = Process::start_binary(&fastest(), limits, &[&["--upstream", &url], args].concat());
    until("the upstream is there", || {
        (process.client().call_raw(&["SET", "there", "1"]).unwrap() == b"+OK\r\n").then_some(())
    });
    process
}

/// Some hundred commands of one client, checked.
fn progress(addr: SocketAddr) {
    let mut client = RawClient::connect(addr).unwrap();
    for n in 0..100 {
        let n = n.to_string();
        let requests = [encode(&["SET", "progress", &n]), encode(&["GET", "progress"])].concat();
        let replies = client.exchange(&requests, 2).unwrap();
        assert_eq!(replies[1], format!("${}\r\n{n}\r\n", n.len()).into_bytes());
    }
}

/// Lets this process open as many files as the hard limit allows, and says how many those are.
fn raise_file_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard = line.split_whitespace().nth(4).unwrap();
    let pid = std::process::id().to_string();
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={hard}:{hard}")]).status();
    assert!(status.unwrap().success(), "prlimit of util-linux");
    hard.parse().unwrap()
}

/// A hundred clients that pipeline twenty commands at a time.
fn pipeline(addr: SocketAddr, thread: usize) {
    let mut clients: Vec<_> = (0..100).map(|_| RawClient::connect(addr).unwrap()).collect();
    for round in 0..5 {
        for (n, client) in clients.iter_mut().enumerate() {
            let key = format!("c{thread}-{n}");
            let bytes = [encode(&["INCR", &key]), encode(&["GET", &key])].concat().repeat(10);
            client.send(&bytes).unwrap();
        }
        for client in &mut clients {
            for n in 1..=10 {
                let n = (round * 10 + n).to_string();
                assert_eq!(client.read().unwrap(), format!(":{n}\r\n").into_bytes());
                assert_eq!(client.read().unwrap(), format!("${}\r\n{n}\r\n", n.len()).into_bytes());
            }
        }
    }
}

/// Sets a value of 512 MB, the largest that Redis takes, a megabyte at a time.
fn set_huge(addr: SocketAddr) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$536870912\r\n").unwrap();
    let part = vec![b'x'; MB];
    (0..512).for_each(|_| stream.write_all(&part).unwrap());
    stream.write_all(b"\r\n").unwrap();
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+OK\r\n");
}

/// The whole zoo at once: ten thousand idle connections, as far as the file limit allows, a thousand
/// clients that pipeline, a value of 512 MB, a client that never reads, one that sends a byte now and then;
/// and somebody who wants to be served meanwhile.
#[test]
fn all_of_them_at_once() {
    let count = raise_file_limit().saturating_sub(2500).clamp(200, 10_000);
    let redis = RedisServer::start(&[]);
    let process = start(&redis, "ulimit -n $(ulimit -Hn);", &["--set", "server.max_clients=20000"]);
    let addr = process.addr();
    redis.client().call(&["SET", "k", &"v".repeat(100_000)]).unwrap();

    let before = process.resident();
    let mut idle: Vec<_> = (0..count).map(|_| RawClient::connect(addr).unwrap()).collect();
    idle.iter_mut().for_each(|client| client.send(b"*1\r\n$4\r\nPING\r\n").unwrap());
    idle.iter_mut().for_each(|client| assert_eq!(client.read().unwrap(), b"+PONG\r\n"));
    let each = process.resident().saturating_sub(before) / count;
    assert!(each < 16 * 1024, "{each} bytes for each of {count}");

    let mut greedy = process.client();
    greedy.send(&encode(&["GET", "k"]).repeat(20_000)).unwrap();
    let mut busy: Vec<_> = (0..10).map(|n| thread::spawn(move || pipeline(addr, n))).collect();
    busy.push(thread::spawn(move || set_huge(addr)));
    let mut slow = process.client();
    for byte in encode(&["SET", "slow", "value"]) {
        slow.send(&[byte]).unwrap();
        progress(addr);
    }
    assert_eq!(slow.read().unwrap(), b"+OK\r\n");
    while busy.iter().any(|thread| !thread.is_finished()) {
        progress(addr);
    }
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    idle.iter_mut().for_each(|client| assert_eq!(client.call_raw(&["PING"]).unwrap(), b"+PONG\r\n"));

    // Less than half of the one value.
    let peak = process.peak();
    assert!(peak < 250 * MB, "{peak} bytes");
    let mut client = process.client();
    assert_eq!(client.call_raw(&["STRLEN", "huge"]).unwrap(), b":536870912\r\n");
    assert_eq!(client.call_raw(&["GETRANGE", "huge", "0", "9"]).unwrap(), b"$10\r\nxxxxxxxxxx\r\n");
    assert_eq!(client.call_raw(&["GET", "c9-99"]).unwrap(), b"$2\r\n50\r\n");
}

#[test]
fn a_client_that_never_reads_harms_itself_only() {
    let redis = RedisServer::start(&[]);
    // At most 100 replies of 100 kB for each of them.
    let process = start(&redis, "", &["--set", "server.max_in_flight=100"]);
    redis.client().call(&["SET", "k", &"v".repeat(100_000)]).unwrap();
    let addr = process.addr();
    let before = process.resident();
    let greedy: Vec<_> = (0..4)
        .map(|_| {
            let mut client = RawClient::connect(addr).unwrap();
            // 2 GB of replies; written beside, until nobody reads it any more.
            client.send(&encode(&["GET", "k"]).repeat(20_000)).unwrap();
            client
        })
        .collect();
    for _ in 0..5 {
        progress(addr);
    }
    assert!(process.resident() - before < 200 * MB, "{} bytes", process.resident());
    drop(greedy);
}

#[test]
fn slow_senders_hold_nobody_up() {
    let redis = RedisServer::start(&[]);
    let process = start(&redis, "", &[]);
    let request = encode(&["SET", "slow", "value"]);
    let mut slow: Vec<_> = (0..100).map(|_| process.client()).collect();
    for byte in &request {
        for client in &mut slow {
            client.send(&[*byte]).unwrap();
        }
    }
    progress(process.addr());
    for client in &mut slow {
        assert_eq!(client.read().unwrap(), b"+OK\r\n");
    }
}

/// Each of them holds half a megabyte of queued commands, which alone is nothing.
#[test]
fn many_small_clients_stay_within_the_budget_together() {
    const BUDGET: usize = 4 * MB;
    let redis = RedisServer::start(&[]);
    let options = [("server.client_buffers", "4mb")];
    for proxy in [Proxy::behind(redis.addr(), &options), Proxy::with(&options)] {
        let used = || proxy.shared().buffers.used();
        let set = encode(&["SET", "k", &"v".repeat(100_000)]);
        let block = [encode(&["MULTI"]), set.repeat(5)].concat();
        let mut clients: Vec<RawClient> = Vec::new();
        for _ in 0..40 {
            let mut client = proxy.client();
            // It may be disconnected meanwhile.
            if client.exchange(&block, 6).is_ok() {
                clients.push(client);
            }
            assert!(used() < 2 * BUDGET, "{} bytes", used());
        }
        until("all together hold no more than they may", || (used() <= BUDGET).then_some(()));
        assert_ne!(proxy.info("evicted_clients").as_deref(), Some("0"));
        let done =
            |client: &mut RawClient| client.call_raw(&["EXEC"]).is_ok_and(|reply| reply.starts_with(b"*5"));
        let left = clients.iter_mut().filter_map(|client| done(client).then_some(())).count();
        assert!((1..=8).contains(&left), "{left} clients are left");
        assert_eq!(proxy.client().call_raw(&["PING"]).unwrap(), b"+PONG\r\n");
        until("nothing is held any more", || (used() == 0).then_some(()));
    }
}

/// A subscriber that waits in another command and reads nothing.
#[test]
fn messages_for_a_client_that_waits_are_bounded() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[("server.client_output_limit", "4mb")]);
    let mut waits = RawClient::connect_resp3(proxy.addr()).unwrap();
    waits.send(&[encode(&["SUBSCRIBE", "c"]), encode(&["BLPOP", "none", "0"])].concat()).unwrap();
    until("it waits", || (proxy.info("blocked_clients")? == "1").then_some(()));
    let (mut publisher, text) = (proxy.client(), "x".repeat(MB / 2));
    let mut sent = 0;
    until("it is gone", || {
        sent += 1;
        assert!(sent < 400, "200 MB wait for a client that reads nothing");
        let receivers = publisher.call_raw(&["PUBLISH", "c", &text]).unwrap();
        (receivers == b":0\r\n").then_some(())
    });
    until("its buffers are, too", || (proxy.info("blocked_clients")? == "0").then_some(()));
}
