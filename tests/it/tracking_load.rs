//! Clients with caches of their own, under load: when the writers have ended, nobody is left with an old
//! value. Whoever is told too little is found here, whatever the interleaving was.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::support::client::RawClient;
use crate::support::link::Link;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, decode, encode};

const KEYS: usize = 12;
const ROUNDS: usize = 1500;

/// How a client asks to be told.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Default,
    Optin,
    Noloop,
    Bcast,
}

/// A client that keeps what it has read until it is told.
struct Cache {
    kind: Kind,
    client: RawClient,
    values: HashMap<String, Option<Vec<u8>>>,
    rng: fastrand::Rng,
    name: usize,
}

impl Cache {
    fn new(addr: SocketAddr, kind: Kind, name: usize, seed: u64) -> Self {
        let mut cache = Cache {
            kind,
            client: RawClient::connect_resp3(addr).unwrap(),
            values: HashMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            name,
        };
        let on: &[&str] = match kind {
            Kind::Default => &["CLIENT", "TRACKING", "ON"],
            Kind::Optin => &["CLIENT", "TRACKING", "ON", "OPTIN"],
            Kind::Noloop => &["CLIENT", "TRACKING", "ON", "NOLOOP"],
            Kind::Bcast => &["CLIENT", "TRACKING", "ON", "BCAST"],
        };
        assert!(!cache.ask(&[on])[0].is_error());
        cache
    }

    /// Sends requests in one write; each one's reply, in order. What it is told meanwhile takes effect at
    /// its place between the replies, so `keep` is called at the place of each.
    fn exchange(&mut self, requests: &[&[&str]], mut keep: impl FnMut(&mut Self, usize, &Reply)) {
        let bytes: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
        self.client.send(&bytes).unwrap();
        let mut n = 0;
        while n < requests.len() {
            let frame = self.client.read_frame().unwrap();
            let (reply, _) = decode(&frame).unwrap().unwrap();
            if frame[0] == b'>' {
                self.told(&reply);
            } else {
                keep(self, n, &reply);
                n += 1;
            }
        }
    }

    fn ask(&mut self, requests: &[&[&str]]) -> Vec<Reply> {
        let mut replies = Vec::new();
        self.exchange(requests, |_, _, reply| replies.push(reply.clone()));
        replies
    }

    fn told(&mut self, push: &Reply) {
        assert_eq!(push.items()[0].text(), Some(&b"invalidate"[..]), "{push:?}");
        match &push.items()[1] {
            keys if keys.is_null() => self.values.clear(),
            keys => keys.items().iter().for_each(|key| {
                self.values.remove(std::str::from_utf8(key.text().unwrap()).unwrap());
            }),
        }
    }

    fn keep(&mut self, key: &str, reply: &Reply) {
        if !reply.is_error() {
            let value = reply.text().filter(|_| !reply.is_null()).map(<[u8]>::to_vec);
            self.values.insert(key.to_owned(), value);
        }
    }

    fn round(&mut self, round: usize) {
        let key = format!("k{}", self.rng.usize(..KEYS));
        let other = format!("k{}", self.rng.usize(..KEYS));
        let optin = matches!(self.kind, Kind::Optin);
        let get: &[&str] = &["GET", &key];
        match self.rng.u8(..10) {
            0..5 if optin => {
                let caching: &[&str] = &["CLIENT", "CACHING", "YES"];
                self.exchange(&[caching, get], |cache, n, reply| {
                    if n == 1 {
                        cache.keep(&key, reply);
                    }
                });
            }
            0..5 => self.exchange(&[get, get], |cache, _, reply| cache.keep(&key, reply)),
            5 if !optin => self.exchange(&[&["MGET", &key, &other]], |cache, _, reply| {
                if let [first, second] = reply.items() {
                    cache.keep(&key, first);
                    cache.keep(&other, second);
                }
            }),
            6 if !optin => self.exchange(&[&["MULTI"], get, &["EXEC"]], |cache, n, reply| {
                if let (2, [value]) = (n, reply.items()) {
                    cache.keep(&key, value);
                }
            }),
            7 => {
                // Changes nothing: what it keeps stays good, and who changes it next must be told of.
                self.exchange(&[&["SET", &key, "never", "NX"]], |cache, _, reply| {
                    if !reply.is_null() {
                        cache.values.remove(&key);
                    }
                });
            }
            8 => {
                let value = format!("{}-{round}", self.name);
                // Its own write is its own business, if it said NOLOOP: it may be told, or not.
                self.exchange(&[&["SET", &key, &value]], |cache, _, _| _ = cache.values.remove(&key));
            }
            _ => _ = self.ask(&[&["PING"]]),
        }
    }

    /// Waits until all that it keeps is right.
    fn settle(&mut self, truth: &mut RawClient) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.ask(&[&["PING"]]);
            let wrong: Vec<_> = self
                .values
                .iter()
                .filter(|(key, value)| truth.call(&["GET", key]).unwrap().text() != value.as_deref())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if wrong.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{:?} client keeps {wrong:?}", self.kind);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs caches and strangers against each other; `trouble` happens meanwhile.
fn nobody_keeps_an_old_value(options: &[(&str, &str)], trouble: impl Fn(&Link)) {
    let upstream = RedisServer::start(&[]);
    let link = Link::to(upstream.addr());
    let proxy = Proxy::behind(link.addr(), options);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let kinds = [Kind::Default, Kind::Optin, Kind::Noloop, Kind::Bcast];
    let (writing, addr, data) = (Arc::new(AtomicUsize::new(1)), proxy.addr(), upstream.addr());
    let clients: Vec<_> = (0..8)
        .map(|name| {
            let writing = Arc::clone(&writing);
            writing.fetch_add(1, SeqCst);
            let mut cache = Cache::new(addr, kinds[name % kinds.len()], name, seed.wrapping_add(name as u64));
            std::thread::spawn(move || {
                (0..ROUNDS).for_each(|round| cache.round(round));
                writing.fetch_sub(1, SeqCst);
                while writing.load(SeqCst) > 0 {
                    cache.ask(&[&["PING"]]);
                    std::thread::yield_now();
                }
                cache.settle(&mut RawClient::connect(data).unwrap());
            })
        })
        .collect();
    let (mut stranger, mut rng) = (upstream.client(), fastrand::Rng::with_seed(seed));
    while writing.load(SeqCst) > 1 && !clients.iter().any(std::thread::JoinHandle::is_finished) {
        let key = format!("k{}", rng.usize(..KEYS));
        match rng.u8(..20) {
            0 => trouble(&link),
            1 => _ = stranger.call(&["DEL", &key]).unwrap(),
            _ => _ = stranger.call(&["SET", &key, &rng.u32(..).to_string()]).unwrap(),
        }
    }
    writing.fetch_sub(1, SeqCst);
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn nobody_keeps_an_old_value_with_keys_in_l1() {
    nobody_keeps_an_old_value(&[("cache.admit_after", "1")], |_| {});
}

#[test]
fn nobody_keeps_an_old_value_where_l1_serves_nothing() {
    nobody_keeps_an_old_value(&[("cache.mode", "observe")], |_| {});
}

#[test]
fn nobody_keeps_an_old_value_when_connections_are_lost() {
    let left = AtomicUsize::new(20);
    nobody_keeps_an_old_value(&[("cache.admit_after", "1"), ("upstream.down_after", "10s")], |link| {
        if left.load(SeqCst) > 0 {
            left.fetch_sub(1, SeqCst);
            link.cut();
        }
    });
}
