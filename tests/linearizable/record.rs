//! Clients that ask at random and note what they saw: through the proxy's sockets, or the engine itself from
//! threads, where calls meet within microseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use bytes::BytesMut;
use nearcache::memory::{Caller, Engine, EngineConfig, Outcome, Watch};
use nearcache::resp::ArgVec;

use crate::checker::Event;
use crate::model::Call;
use crate::support::Rng;
use crate::support::client::RawClient;
use crate::support::reply::encode_into;

/// Somebody who can be asked.
pub enum Client {
    /// Of the proxy.
    Proxy(RawClient),
    /// Of an engine in this process.
    Engine(Box<Direct>),
}

/// What a session of the engine holds.
pub struct Direct {
    engine: Arc<Engine>,
    caller: Caller,
    watch: Option<Watch>,
    waits: tokio::runtime::Runtime,
}

/// An engine of its own, whose time stands still: nothing here expires.
pub fn engine() -> Arc<Engine> {
    Engine::new(EngineConfig { shards: 8, ..EngineConfig::default() }, Arc::new(|| 1_700_000_000_000))
}

impl Client {
    /// A client of this engine.
    pub fn of(engine: &Arc<Engine>) -> Client {
        let waits = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let direct = Direct {
            engine: Arc::clone(engine),
            caller: Caller::default(),
            watch: None,
            waits: waits.expect("a runtime"),
        };
        Client::Engine(Box::new(direct))
    }

    /// The reply, in RESP2; of a block EXEC's.
    pub fn ask(&mut self, call: &Call) -> String {
        let reply = match self {
            Client::Proxy(client) => over_a_socket(client, call),
            Client::Engine(direct) => direct.ask(call),
        };
        String::from_utf8(reply).expect("the values are text")
    }
}

fn over_a_socket(client: &mut RawClient, call: &Call) -> Vec<u8> {
    let (mut bytes, mut replies) = (Vec::new(), call.commands.len());
    if call.block {
        encode_into(&mut bytes, &["MULTI"]);
        replies += 2;
    }
    call.commands.iter().for_each(|command| encode_into(&mut bytes, command));
    if call.block {
        encode_into(&mut bytes, &["EXEC"]);
    }
    client.exchange(&bytes, replies).expect("the proxy answers").pop().expect("one reply at least")
}

impl Direct {
    fn ask(&mut self, call: &Call) -> Vec<u8> {
        let mut out = BytesMut::new();
        let commands: Vec<ArgVec> = call.commands.iter().map(|command| command.iter().collect()).collect();
        if call.block {
            let watch = self.watch.take();
            self.engine.transaction(&mut self.caller, &commands, watch.as_ref(), &mut |_, _, _| {}, &mut out);
            return out.to_vec();
        }
        let args = commands[0].args();
        match call.commands[0][0].as_str() {
            "WATCH" => {
                let watch = self.watch.get_or_insert_with(|| Watch::new(&self.engine));
                watch.add(self.caller.db, args.skip(1));
                return b"+OK\r\n".to_vec();
            }
            "UNWATCH" => {
                self.watch = None;
                return b"+OK\r\n".to_vec();
            }
            _ => {}
        }
        match self.engine.execute(&mut self.caller, args, &mut out) {
            Outcome::Done => out.to_vec(),
            Outcome::Block(mut blocked) => self.waits.block_on(blocked.wait()).to_vec(),
            Outcome::Unknown => panic!("the engine has no {call:?}"),
        }
    }
}

/// Has each client make its calls, all at the same time, and gives what they saw.
pub fn record(clients: &mut [Client], calls: Vec<Vec<Call>>) -> Vec<Event> {
    let (clock, start) = (AtomicU64::new(0), Barrier::new(clients.len()));
    let (clock, start) = (&clock, &start);
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .zip(calls)
            .enumerate()
            .map(|(number, (client, calls))| {
                scope.spawn(move || {
                    start.wait();
                    let ask = |call: Call| {
                        let invoked = clock.fetch_add(1, Ordering::SeqCst);
                        let reply = client.ask(&call);
                        let answered = clock.fetch_add(1, Ordering::SeqCst);
                        Event { client: number, call, reply, invoked, answered }
                    };
                    calls.into_iter().map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client does not panic")).collect()
    })
}

/// About `count` random calls of one client; values are all different.
pub fn calls(rng: &mut Rng, count: usize, unique: &mut u32) -> Vec<Call> {
    let mut calls = Vec::new();
    while calls.len() < count {
        *unique += 10;
        let (s, t) = (*rng.pick(&["a", "b", "c"]), *rng.pick(&["a", "b", "c"]));
        match rng.below(12) {
            // Reads, and then writes what depends on it.
            0 => calls.extend([
                Call::one(&format!("WATCH {s}")),
                Call::one(&format!("GET {s}")),
                Call::block(&format!("SET {s} {unique}; GET {t}; {}", single(rng, *unique + 1))),
            ]),
            1 => calls.push(Call::block(&format!(
                "{}; {}; {}",
                single(rng, *unique),
                single(rng, *unique + 1),
                single(rng, *unique + 2)
            ))),
            _ => calls.push(Call::one(&single(rng, *unique))),
        }
    }
    calls
}

fn single(rng: &mut Rng, value: u32) -> String {
    let strings = ["a", "b", "c"];
    let (s, t) = (*rng.pick(&strings), *rng.pick(&strings));
    let (l, m) = (*rng.pick(&["l", "m"]), *rng.pick(&["l", "m"]));
    match rng.below(20) {
        0 => format!("SET {s} {value}"),
        1 => format!("GET {s}"),
        2 => format!("INCR {s}"),
        3 => format!("MSET a {value} c {value}"),
        4 => format!("MSETNX {s} {value} b {value}"),
        5 | 6 => "MGET a b c".into(),
        7 => format!("DEL {s} {l}"),
        8 => format!("GETDEL {s}"),
        9 => format!("RENAME {s} {t}"),
        10 => format!("EXISTS a {t} {l}"),
        11 | 12 => format!("RPUSH {l} {value}"),
        13 => format!("RPUSH {l} {value} {}", value + 5),
        14 => format!("LPOP {l}"),
        15 => format!("LRANGE {l} 0 -1"),
        16 => format!("LMOVE {l} {m} LEFT RIGHT"),
        17 => format!("BLMOVE {l} {m} LEFT RIGHT 0.01"),
        18 => format!("BLPOP {l} {m} 0.01"),
        _ => "BLPOP l 0.01".into(),
    }
}
