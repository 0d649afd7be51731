//! Many clients, and bad ones: the others make progress, and memory stays bounded.

use std::net::SocketAddr;
use std::thread;

use crate::process::Process;
use crate::support::client::RawClient;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

const MB: usize = 1 << 20;

fn start(redis: &RedisServer, limits: &str, args: &[&str]) -> Process {
    let url = format!("redis://{}", redis.addr());
    let process = Process::start(limits, &[&["--upstream", &url], args].concat());
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

#[test]
fn a_thousand_clients_pipeline() {
    let redis = RedisServer::start(&["--maxclients", "4000"]);
    let process = start(&redis, "ulimit -n 4000;", &[]);
    let addr = process.addr();
    let threads: Vec<_> = (0..10)
        .map(|thread| {
            thread::spawn(move || {
                let mut clients: Vec<_> = (0..100).map(|_| RawClient::connect(addr).unwrap()).collect();
                for round in 0..5 {
                    for (n, client) in clients.iter_mut().enumerate() {
                        let key = format!("c{thread}-{n}");
                        let mut bytes = Vec::new();
                        (0..10).for_each(|_| {
                            bytes.extend([encode(&["INCR", &key]), encode(&["GET", &key])].concat())
                        });
                        client.send(&bytes).unwrap();
                    }
                    for client in &mut clients {
                        for n in 1..=10 {
                            let n = (round * 10 + n).to_string();
                            assert_eq!(client.read().unwrap(), format!(":{n}\r\n").into_bytes());
                            assert_eq!(
                                client.read().unwrap(),
                                format!("${}\r\n{n}\r\n", n.len()).into_bytes()
                            );
                        }
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(process.resident() < 150 * MB, "{} bytes", process.resident());
}

#[test]
fn idle_connections_cost_little() {
    let redis = RedisServer::start(&[]);
    let process = start(&redis, "ulimit -n $(ulimit -Hn);", &["--set", "server.max_clients=20000"]);
    let before = process.resident();
    // As many as this process may open, and no more than ten thousand.
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let open: usize = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap();
    let count = open.saturating_sub(700).clamp(200, 10_000);
    let mut clients: Vec<_> = (0..count).map(|_| RawClient::connect(process.addr()).unwrap()).collect();
    for client in &mut clients {
        client.send(b"*1\r\n$4\r\nPING\r\n").unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.read().unwrap(), b"+PONG\r\n");
    }
    progress(process.addr());
    let each = process.resident().saturating_sub(before) / count;
    assert!(each < 16 * 1024, "{each} bytes for each of {count}");
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

#[test]
fn a_huge_value_passes_through_without_being_held() {
    let redis = RedisServer::start(&[]);
    let process = start(&redis, "", &[]);
    let before = process.resident();
    let addr = process.addr();
    let writer = thread::spawn(move || {
        let mut client = RawClient::connect(addr).unwrap();
        let value = vec![b'x'; 128 * MB];
        client.exchange(&encode(&[b"SET".as_slice(), b"huge", &value]), 1).unwrap().remove(0)
    });
    progress(addr);
    assert_eq!(writer.join().unwrap(), b"+OK\r\n");
    assert!(process.resident() - before < 32 * MB, "{} bytes more", process.resident() - before);
    let mut client = process.client();
    assert_eq!(client.call_raw(&["STRLEN", "huge"]).unwrap(), b":134217728\r\n");
    client.send(&encode(&["GETRANGE", "huge", "0", "9"])).unwrap();
    assert_eq!(client.read().unwrap(), b"$10\r\nxxxxxxxxxx\r\n");
}
