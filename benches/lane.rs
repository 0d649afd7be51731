//! What sharing one lane costs: `cargo bench --bench lane` starts redis-server and the proxy and prints
//!
//! - **delay**: how long one client's small GETs take while another client fetches one large value over
//!   the same lane, for values of 64 KB to 128 MB, beside the same on plain connections to Redis;
//! - **pace**: requests per second of 50 and of 1,000 clients that pipeline 16 deep, through the proxy
//!   and directly, in alternating rounds.
//!
//! Times on a shared machine are noisy; compare the two columns of one run.
#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use support::client::RawClient;
use support::proxy::Proxy;
use support::redis::RedisServer;
use support::reply::encode;

/// Large values fetched per size: each is the key's first read, which the lane carries.
const FETCHES: usize = 10;
/// How long one round of the pace lasts.
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;
const DEPTH: usize = 16;

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return println!("measures only by `cargo bench`"); // and not by `cargo test --all-targets`
    }
    let redis = RedisServer::start(&["--proto-max-bulk-len", "512mb"]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let subjects = [("redis", redis.addr()), ("proxy", proxy.addr())];
    redis.client().call(&["SET", "small", "value"]).unwrap();
    println!("delay of small GETs while large values are fetched, in microseconds");
    println!("{:>10} {:>8} {:>8} {:>8} {:>8}", "value", "subject", "p50", "p99", "max");
    for size in [0, 64 << 10, 1 << 20, 16 << 20, 128 << 20] {
        for (name, addr) in subjects {
            let [p50, p99, max] = delay(&redis, addr, size);
            println!("{size:>10} {name:>8} {p50:>8} {p99:>8} {max:>8}");
        }
    }
    println!("pace of clients that pipeline {DEPTH} GETs, in requests per second (best of {ROUNDS} rounds)");
    for clients in [50, 1000] {
        let mut best = [0; 2];
        for _ in 0..ROUNDS {
            for (i, (_, addr)) in subjects.iter().enumerate() {
                best[i] = best[i].max(pace(*addr, clients));
            }
        }
        let ratio = best[1] as f64 / best[0] as f64;
        println!("{clients:>6} clients: redis {:>9} proxy {:>9} ratio {ratio:.2}", best[0], best[1]);
    }
}

/// Percentiles of small GETs while `FETCHES` values of `size` bytes are fetched one after the other.
fn delay(redis: &RedisServer, addr: SocketAddr, size: usize) -> [u64; 3] {
    let mut setup = redis.client();
    for i in 0..FETCHES {
        // Made by Redis itself: nothing large goes over a connection before it is measured.
        setup.call(&["SETRANGE", &format!("large:{i}"), &size.max(1).to_string(), "x"]).unwrap();
    }
    let done = AtomicBool::new(false);
    let mut times = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = RawClient::connect(addr).unwrap();
            for i in 0..FETCHES {
                client.call_raw(&["GET", &format!("large:{i}")]).unwrap();
            }
            done.store(true, Relaxed);
        });
        let mut client = RawClient::connect(addr).unwrap();
        while !done.load(Relaxed) || times.len() < 1000 {
            let begun = Instant::now();
            client.call_raw(&["GET", "small"]).unwrap();
            times.push(begun.elapsed().as_micros() as u64);
        }
    });
    for i in 0..FETCHES {
        setup.call(&["DEL", &format!("large:{i}")]).unwrap();
    }
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1]]
}

/// Requests per second of so many clients, each with a batch under way all the time.
fn pace(addr: SocketAddr, clients: usize) -> u64 {
    let batch = encode(&["GET", "small"]).repeat(DEPTH);
    let answered = AtomicU64::new(0);
    let threads = 4;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine: Vec<RawClient> =
                    (0..clients / threads).map(|_| RawClient::connect(addr).unwrap()).collect();
                while begun.elapsed() < ROUND {
                    mine.iter_mut().for_each(|client| client.send(&batch).unwrap());
                    for client in &mut mine {
                        (0..DEPTH).for_each(|_| drop(client.read().unwrap()));
                    }
                    answered.fetch_add((mine.len() * DEPTH) as u64, Relaxed);
                }
            });
        }
    });
    (answered.load(Relaxed) as f64 / begun.elapsed().as_secs_f64()) as u64
}
