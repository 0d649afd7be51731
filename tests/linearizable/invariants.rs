//! What must hold whatever the order: sums stay, pairs written together are seen together, and what is put
//! into a queue comes out once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::model::Call;
use crate::record::{Client, engine};
use crate::support::Rng;
use crate::support::client::RawClient;
use crate::support::proxy::Proxy;

const ACCOUNTS: usize = 7;
const ROUNDS: usize = 300;

fn keys() -> String {
    (0..ACCOUNTS).map(|n| format!(" account:{n}")).collect()
}

/// The bulk strings and integers of a flat reply.
fn numbers(reply: &str) -> Vec<i64> {
    let lines = reply.split("\r\n").filter(|line| !line.starts_with(['*', '$', '+']) && !line.is_empty());
    lines.map(|line| line.trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{reply:?}"))).collect()
}

/// Two ways to move money, two ways to look.
fn transfers(mut clients: Vec<Client>) {
    let setup: String = (0..ACCOUNTS).map(|n| format!(" account:{n} 100")).collect();
    clients[0].ask(&Call::one(&format!("MSET{setup}")));
    clients[0].ask(&Call::one("MSET left 0 right 0"));
    let moved = AtomicUsize::new(0);
    let moved = &moved;
    std::thread::scope(|scope| {
        for (number, mut client) in clients.drain(..).enumerate() {
            scope.spawn(move || {
                let mut rng = Rng::new(number as u64);
                for round in 0..ROUNDS {
                    let (from, to) = (rng.below(ACCOUNTS), rng.below(ACCOUNTS));
                    match number % 4 {
                        0 => {
                            let block = format!("DECRBY account:{from} 3; INCRBY account:{to} 3");
                            client.ask(&Call::block(&block));
                        }
                        1 if from != to => {
                            client.ask(&Call::one(&format!("WATCH account:{from} account:{to}")));
                            let both = format!("MGET account:{from} account:{to}");
                            let [a, b] = numbers(&client.ask(&Call::one(&both)))[..] else { panic!() };
                            let set = format!("MSET account:{from} {} account:{to} {}", a - 7, b + 7);
                            let done = client.ask(&Call::block(&set)) == "*1\r\n+OK\r\n";
                            moved.fetch_add(done.into(), Ordering::Relaxed);
                        }
                        2 => {
                            client.ask(&Call::one(&format!("MSET left {round} right {round}")));
                            let all = numbers(&client.ask(&Call::one(&format!("MGET{}", keys()))));
                            assert_eq!(all.iter().sum::<i64>(), 100 * ACCOUNTS as i64, "{all:?}");
                        }
                        _ => {
                            let gets: Vec<String> =
                                (0..ACCOUNTS).map(|n| format!("GET account:{n}")).collect();
                            let all = numbers(&client.ask(&Call::block(&gets.join("; "))));
                            assert_eq!(all.iter().sum::<i64>(), 100 * ACCOUNTS as i64, "{all:?}");
                            let pair = numbers(&client.ask(&Call::one("MGET left right")));
                            assert!(number % 2 == 0 || pair[0] == pair[1], "{pair:?}");
                        }
                    }
                }
            });
        }
    });
    assert!(moved.load(Ordering::Relaxed) > 0, "no WATCH ever held");
}

/// Producers, and consumers that wait in every way there is. What went in came out or is still there, once.
fn queues(mut clients: Vec<Client>) {
    const PRODUCERS: usize = 3;
    let (open, over) = (AtomicUsize::new(PRODUCERS), AtomicBool::new(false));
    let (open, over) = (&open, &over);
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    let mut last = clients.pop().expect("there are clients");
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .drain(..)
            .enumerate()
            .map(|(number, mut client)| {
                scope.spawn(move || {
                    let mut rng = Rng::new(number as u64);
                    if number < PRODUCERS {
                        for round in 0..ROUNDS {
                            let (id, q) = (number * 10_000 + round * 2, rng.below(3));
                            let push = format!("RPUSH q{q} {id} {}", id + 1);
                            client.ask(&if rng.chance(50) { Call::one(&push) } else { Call::block(&push) });
                        }
                        over.store(open.fetch_sub(1, Ordering::SeqCst) == 1, Ordering::SeqCst);
                        return Vec::new();
                    }
                    let mut got = Vec::new();
                    // Each waits once more after the last push, and finds what is left or nothing.
                    loop {
                        let ends = over.load(Ordering::SeqCst);
                        let line = match rng.below(5) {
                            0 => "BLPOP q0 q1 q2 0.02",
                            1 => "BRPOP q2 q1 0.02",
                            2 => "BLMPOP 0.02 3 q1 q0 q2 LEFT COUNT 3",
                            3 => "BLMOVE q0 q1 RIGHT LEFT 0.02",
                            _ => "LMPOP 2 q0 q2 RIGHT COUNT 2",
                        };
                        let reply = client.ask(&Call::one(line));
                        if !line.starts_with("BLMOVE") && reply != "*-1\r\n" {
                            let ids = reply.split("\r\n").filter(|text| !text.starts_with(['*', '$', 'q']));
                            got.extend(ids.filter(|id| !id.is_empty()).map(|id| id.parse::<i64>().unwrap()));
                        }
                        if ends {
                            return got;
                        }
                    }
                })
            })
            .collect();
        for id in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            *seen.entry(id).or_default() += 1;
        }
    });
    for q in 0..3 {
        for id in numbers(&last.ask(&Call::one(&format!("LRANGE q{q} 0 -1")))) {
            *seen.entry(id).or_default() += 1;
        }
    }
    let expected = (0..PRODUCERS).flat_map(|p| (0..2 * ROUNDS).map(move |n| ((p * 10_000 + n) as i64, 1)));
    assert_eq!(seen, expected.collect(), "lost or twice");
}

fn of_a_proxy(proxy: &Proxy, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::Proxy(RawClient::connect(proxy.addr()).unwrap())).collect()
}

#[test]
fn sums_stay_and_pairs_stay_together() {
    transfers(of_a_proxy(&Proxy::with(&[]), 8));
    let engine = engine();
    transfers((0..8).map(|_| Client::of(&engine)).collect());
}

#[test]
fn nothing_is_lost_in_a_queue_or_taken_twice() {
    queues(of_a_proxy(&Proxy::with(&[]), 9));
    let engine = engine();
    queues((0..9).map(|_| Client::of(&engine)).collect());
}
