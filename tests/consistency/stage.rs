//! Where a schedule is played: one Redis, its history, a gate on the lane, one proxy, some clients.

use std::net::SocketAddr;
use std::time::Duration;

use nearcache::near::Rules;

use super::check::{Ages, violations};
use super::client::Client;
use super::command::{Command, How, first_read};
use super::gate::{DOWN, Gate, UP};
use super::history::{DBS, Feed, NAMES, Name, server};
use super::mix::nothing_is_left;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::Reply;
use crate::support::until;

/// A proxy with these rules.
pub fn start(upstream: SocketAddr, options: &[(&str, &str)], rules: Rules) -> Proxy {
    let url = format!("redis://{upstream}");
    let proxy = Proxy::with_rules(&[&[("upstream.url", url.as_str())], options].concat(), rules);
    proxy.await_upstream("up");
    proxy
}

/// A key that no schedule is about.
const ASIDE: Name = 11;

/// Everything that a schedule needs.
pub struct Stage {
    pub redis: RedisServer,
    pub gate: Gate,
    pub proxy: Proxy,
    /// Clients of the proxy, in turn RESP2 and RESP3.
    pub clients: Vec<Client>,
    /// A client of Redis.
    pub direct: Client,
    /// One more client of the proxy, to know that the lane has come so far.
    fencer: Client,
    feed: Feed,
    ages: Ages,
    version: u64,
}

impl Stage {
    /// An empty stage.
    pub fn new(rules: Rules, options: &[(&str, &str)]) -> Self {
        let redis = server();
        let feed = Feed::follow(&redis);
        let gate = Gate::to(redis.addr());
        let usual: &[(&str, &str)] = &[
            ("cache.admission", "always"),
            // No PINGs but those that a schedule is about, and no loss that it does not want.
            ("cache.max_staleness", "1h"),
            ("upstream.ping_every", "1h"),
            ("upstream.reply_timeout", "1h"),
            ("upstream.reconnect_min", "1ms"),
        ];
        let options = [usual, options].concat();
        let proxy = start(gate.addr(), &options, rules);
        let clients = (0..3).map(|id| Client::connect(proxy.addr(), id, id % 2 == 1)).collect();
        let direct = Client::connect(redis.addr(), 100, false);
        let fencer = Client::connect(proxy.addr(), 200, false);
        let ages = Ages::default();
        Stage { redis, gate, proxy, clients, direct, fencer, feed, ages, version: 1000 }
    }

    /// From now on replies may be no older than this.
    pub fn bound_staleness(&mut self, age: Duration) {
        self.ages.max_staleness = Some(age.as_nanos() as u64);
    }

    /// A version that nobody has used.
    pub fn fresh(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// A client of Redis itself writes the key.
    pub fn foreign_write(&mut self, name: Name) -> u64 {
        let version = self.fresh();
        self.direct.ask(Command::Write(How::Plain, vec![name], version, None));
        version
    }

    /// Client 0 reads until the key is cached, if anything is.
    pub fn cache(&mut self, command: &Command) {
        for _ in 0..3 {
            self.clients[0].ask(command.clone());
            self.fence();
        }
    }

    /// The key is wanted, but no longer cached: the next read fetches it, at this version.
    pub fn make_wanted(&mut self, name: Name, command: &Command) -> u64 {
        self.cache(command);
        let version = self.foreign_write(name);
        self.fence();
        version
    }

    /// Everything that Redis did before now has been applied by the proxy.
    pub fn fence(&mut self) {
        let version = self.fresh();
        let reply = self.fencer.ask(Command::set(ASIDE, version));
        assert!(!reply.is_error(), "{reply:?}");
    }

    /// A client sends a pipeline.
    pub fn send(&mut self, client: usize, commands: &[Command]) {
        let client = &mut self.clients[client];
        commands.iter().for_each(|command| client.put(command.clone()));
        client.flush().unwrap();
    }

    /// A client asks once.
    pub fn ask(&mut self, client: usize, command: Command) -> Reply {
        self.clients[client].ask(command)
    }

    /// A client hears so many replies.
    pub fn hear(&mut self, client: usize, count: usize) -> Vec<Reply> {
        (0..count).map(|_| self.clients[client].hear().unwrap()).collect()
    }

    /// Waits until the client's request has been dealt with: it is answered, which is heard, or a frame with
    /// this text waits at the gate. True if it was answered.
    pub fn answered_or_held(&mut self, client: usize, way: usize, text: &str) -> bool {
        until(&format!("client {client} is answered or {text:?} is held"), || {
            let heard = self.clients[client].hears_within(Duration::from_millis(2)).is_some();
            (heard || self.gate.holds(way, text)).then_some(heard)
        })
    }

    /// A client reads while nothing passes upwards, so that it is answered from here or not at all; then all
    /// passes again.
    pub fn read_shut_in(&mut self, client: usize, name: Name) {
        self.gate.hold(UP);
        self.send(client, &[Command::get(name)]);
        let text = format!("GET {}", NAMES[usize::from(name)]);
        let answered = self.answered_or_held(client, UP, &text);
        self.gate.open();
        if !answered {
            self.hear(client, 1);
        }
    }

    /// Lets pass what is held downwards up to this frame.
    pub fn release_through(&mut self, text: &str) {
        self.gate.await_held(DOWN, text);
        self.gate.pass_through(DOWN, text);
    }

    /// Hits so far.
    pub fn hits(&self) -> u64 {
        self.proxy.info("l1_hits").and_then(|hits| hits.parse().ok()).unwrap_or(0)
    }

    /// Everything passes; every key is read once more; what all clients were told is checked.
    pub fn finish(mut self) -> Vec<String> {
        self.gate.open();
        self.fence();
        // Behind the fence nothing may be older than everything that has happened.
        let mut reader = Client::connect(self.proxy.addr(), 300, true);
        for db in 0..DBS as u32 {
            reader.put(Command::Select(db));
            (0..NAMES.len() as Name).for_each(|name| reader.put(first_read(name)));
        }
        reader.flush().unwrap();
        reader.hear_all().unwrap();
        nothing_is_left(&self.proxy);
        let version = self.fresh();
        self.feed.catch_up(&self.redis, version);
        let mut ops = Vec::new();
        for mut client in self.clients.drain(..).chain([self.fencer, reader]) {
            ops.append(&mut client.log);
            self.ages.ends.extend(client.ends);
        }
        self.ages.ends.extend(self.direct.ends);
        violations(&self.feed.history(), ops, &self.ages)
    }
}
