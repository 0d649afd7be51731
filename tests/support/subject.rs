//! What is under test: something that speaks Redis's protocol, and the Redis behind it, if there is one.

use std::net::SocketAddr;
use std::sync::Arc;

use nearcache::stats::Stats;

use super::link::{Link, Tamper};
use super::proxy::Proxy;
use super::redis::RedisServer;
use super::until;

/// A subject and what it stands on.
pub struct Subject {
    addr: SocketAddr,
    redis: Option<RedisServer>,
    runs: Option<Box<dyn Send>>,
    knows: fn(&str) -> bool,
    stats: Option<Arc<Stats>>,
}

impl Subject {
    /// Redis itself: nothing may differ, or the comparison is wrong.
    pub fn redis(args: &[&str]) -> Self {
        let redis = RedisServer::start(args);
        Subject { addr: redis.addr(), redis: Some(redis), runs: None, knows: |_| true, stats: None }
    }

    /// Redis behind a link that falsifies: something must differ, or the comparison is blind.
    pub fn tampered(args: &[&str], tamper: impl Fn() -> Tamper + Send + 'static) -> Self {
        let redis = RedisServer::start(args);
        let link = Link::tampering(redis.addr(), tamper);
        let addr = link.addr();
        Subject { addr, redis: Some(redis), runs: Some(Box::new(link)), knows: |_| true, stats: None }
    }

    /// The proxy in front of a Redis of its own.
    pub fn proxy(args: &[&str], options: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start(args);
        let proxy = Proxy::start(redis.addr(), options);
        until("the proxy has its upstream", || {
            let info = proxy.client().call(&["INFO", "nearcache"]).unwrap();
            String::from_utf8_lossy(info.text().unwrap()).contains("upstream_status:up").then_some(())
        });
        // What it refuses, and says so in docs/commands.md, is not asked.
        let knows = |name: &str| {
            nearcache::command::by_name(name.as_bytes())
                .is_none_or(|command| command.class != nearcache::command::Class::Denied)
        };
        let stats = Arc::clone(&proxy.shared().stats);
        Subject { stats: Some(stats), ..Self::other(proxy.addr(), Some(redis), Box::new(proxy), knows) }
    }

    /// Something else that listens at `addr` and lives as long as `runs`. `redis` is the server behind it;
    /// `knows` says which commands it is asked (`config|get`).
    pub fn other(
        addr: SocketAddr,
        redis: Option<RedisServer>,
        runs: Box<dyn Send>,
        knows: fn(&str) -> bool,
    ) -> Self {
        Subject { addr, redis, runs: Some(runs), knows, stats: None }
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The Redis that holds its data; a subject that holds them itself has none.
    pub fn data(&self) -> Option<&RedisServer> {
        self.redis.as_ref()
    }

    /// What the proxy counts, if it is one.
    pub fn stats(&self) -> Option<Arc<Stats>> {
        self.stats.clone()
    }

    /// Whether the subject is asked this command at all.
    pub fn knows(&self, command: &str) -> bool {
        (self.knows)(command)
    }
}
