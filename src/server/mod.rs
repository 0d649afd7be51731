//! The program while it runs: builds everything from the settings, accepts clients, and ends in order.

mod accept;
mod keeper;
mod reload;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ahash::RandomState;
use arc_swap::ArcSwap;
use tracing::info;

use self::keeper::NearKeeper;
use self::reload::Live;
use crate::clock::Clock;
use crate::command;
use crate::config::Config;
use crate::memory::{Engine, EngineConfig};
use crate::near::tracking::{MAX_KEYS, Tracking};
use crate::near::{self, Near, Policy, Rules};
use crate::net::{Address, ClientTls, ListenAddr, ListenOptions, Listener, ServerTls, TlsError};
use crate::session::{Budget, Bus, Clients, LargeKeys, Monitors, Shared, Upstream};
use crate::settings::{Eviction, Settings, UpstreamSettings};
use crate::shutdown::Drain;
use crate::stats::Stats;
use crate::timers;
use crate::upstream::{Audience, Broadcast, Close, Credentials, Hub, Node, Pool, Quotas, Router, Target};

/// How often rates are sampled.
const TICK: Duration = Duration::from_millis(100);

/// How often idle clients are looked for, and after how long a silence they give their buffers back.
const SWEEP: Duration = Duration::from_secs(1);

/// Lanes per upstream: more would buy bandwidth and cost the order between keys.
const LANES: u8 = 1;

/// A running proxy.
pub struct Server {
    shared: Arc<Shared>,
    live: Arc<Live>,
    tls: Option<ServerTls>,
    addrs: Vec<ListenAddr>,
    drain: Drain,
    background: Vec<tokio::task::JoinHandle<()>>,
}

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(ListenAddr, io::Error),
    /// A certificate or key is not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Starts everything. Clients are accepted when this returns; the upstream may still be away.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        Self::start_with(config, Rules::ALL).await
    }

    /// The same with some rules of coherence turned off, for checkers that must notice.
    #[doc(hidden)]
    pub async fn start_with(config: Config, rules: Rules) -> Result<Server, StartError> {
        let settings = config.settings.clone();
        let clock = Clock::start();
        let names: Vec<&'static str> = command::all().iter().map(|command| command.name).collect();
        let stats = Stats::new(&names, clock);
        let tls = settings.server.tls.as_ref().map(ServerTls::load).transpose()?;
        let mut background = Vec::new();
        let upstream = match &settings.upstream {
            Some(upstream) => Some(connect(upstream, &settings, rules, &stats, clock, &mut background)?),
            None => None,
        };
        let memory = upstream.is_none().then(|| engine(&settings));
        let audience = match &upstream {
            Some(upstream) => Arc::clone(upstream.node.lane.audience()),
            None => Arc::new(Audience::new(Tracking::new(MAX_KEYS, RandomState::new()))),
        };
        if let Some(memory) = &memory {
            memory.listen(Some(Arc::clone(&audience) as _));
        }
        let config_file = config.file().map(|file| file.display().to_string()).unwrap_or_default();
        let live = Live::new(config);
        let shared = Arc::new(Shared {
            options: live.clone(),
            settings: ArcSwap::from_pointee(settings.clone()),
            version: AtomicU64::new(0),
            rules,
            policy: ArcSwap::from_pointee(Policy::from(&settings.cache)),
            stats,
            clock,
            clients: Clients::default(),
            upstream,
            memory,
            audience,
            monitors: Monitors::default(),
            bus: Bus::default(),
            buffers: Budget::default(),
            run_id: std::iter::repeat_with(|| fastrand::digit(16)).take(40).collect(),
            tcp_port: AtomicU16::new(0),
            config_file,
        });
        let mut server = Server { shared, live, tls, addrs: Vec::new(), drain: Drain::new(), background };
        server.listen(&settings).await?;
        server.background.push(tokio::spawn(housekeeping(Arc::clone(&server.shared))));
        Ok(server)
    }

    /// The addresses listened on, with the ports that the system chose.
    pub fn addrs(&self) -> &[ListenAddr] {
        &self.addrs
    }

    /// What sessions share: for tests that look inside.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    async fn listen(&mut self, settings: &Settings) -> Result<(), StartError> {
        let options = ListenOptions {
            unix_mode: settings.server.unix_mode,
            keepalive: settings.server.tcp_keepalive,
            tls: self.tls.clone(),
        };
        for addr in &settings.server.listen {
            let listener = Listener::bind(addr, &options)
                .await
                .map_err(|error| StartError::Listen(addr.clone(), error))?;
            let bound = listener.local_addr();
            info!(address = %bound, "listening");
            if let Address::Tcp { port, .. } = &bound.address
                && self.shared.tcp_port.load(Relaxed) == 0
            {
                self.shared.tcp_port.store(*port, Relaxed);
            }
            self.addrs.push(bound);
            let accept = accept::run(listener, Arc::clone(&self.shared), self.drain.clone());
            self.background.push(tokio::spawn(accept));
        }
        Ok(())
    }

    /// Takes nothing new, finishes what is in flight, at most `shutdown_grace`.
    pub async fn stop(self) {
        let grace = self.shared.settings.load().server.shutdown_grace;
        self.drain.start();
        self.shared.clients.all().iter().for_each(|client| client.inbox.close(Close::Shutdown));
        let late = self.drain.finish(grace).await;
        if late > 0 {
            tracing::warn!(clients = late, "clients were cut off at the end of shutdown_grace");
        }
        self.background.iter().for_each(|task| task.abort());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.background.iter().for_each(|task| task.abort());
    }
}

/// The memory engine, which answers when no upstream is configured.
fn engine(settings: &Settings) -> Arc<Engine> {
    let eviction = match settings.memory.eviction {
        Eviction::Lru => crate::memory::Eviction::Lru,
        Eviction::NoEviction => crate::memory::Eviction::Refuse,
    };
    let shards = match settings.server.worker_threads {
        // Nobody to get in the way of: one lock, and its data always at hand.
        1 => 1,
        // Sixteen per thread: two at work on random keys then rarely want the same one.
        threads => 16 * threads,
    };
    let config =
        EngineConfig { max_memory: settings.cache.max_memory, eviction, shards, ..EngineConfig::default() };
    let unix_ms = || {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    };
    Engine::new(config, Arc::new(unix_ms))
}

/// Builds the upstream and starts its tasks.
fn connect(
    upstream: &UpstreamSettings,
    settings: &Settings,
    rules: Rules,
    stats: &Arc<Stats>,
    clock: Clock,
    tasks: &mut Vec<tokio::task::JoinHandle<()>>,
) -> Result<Upstream, StartError> {
    let get = command::by_name(b"get").map_or(0, |get| get.id);
    let hasher = RandomState::new();
    let audience = Arc::new(Audience::new(Tracking::new(MAX_KEYS, hasher.clone())));
    let config = near::Config::new(&settings.cache, LANES, get);
    let l1 = Arc::new(Near::with_rules(config, rules, hasher));
    let node = Node::new(target(upstream, settings)?, l1, audience, Arc::clone(stats), clock);
    let quotas = Quotas {
        blocking: upstream.blocking_connections,
        transaction: upstream.transaction_connections,
        bulk: upstream.bulk_connections,
    };
    let pool = Pool::new(Arc::clone(&node), quotas, Arc::clone(stats));
    let hub = Hub::new(Arc::clone(&node), Arc::clone(stats), clock);
    let broadcast = Broadcast::new(Arc::clone(&node), clock);
    node.lane.expect_db(upstream.db);
    tasks.push(tokio::spawn(Arc::clone(&node).keep_connected()));
    tasks.push(tokio::spawn(Arc::clone(&hub).run()));
    tasks.push(tokio::spawn(Arc::clone(&broadcast).run()));
    let router = Router::new(Arc::clone(&node.lane));
    Ok(Upstream { router, node, pool, hub, broadcast, first_db: upstream.db, large: LargeKeys::default() })
}

/// Where the upstream is and how to talk to it, by the settings.
fn target(upstream: &UpstreamSettings, settings: &Settings) -> Result<Target, TlsError> {
    Ok(Target {
        address: upstream.address.clone(),
        tls: upstream.tls.as_ref().map(ClientTls::load).transpose()?,
        credentials: Credentials {
            user: upstream.user.clone().unwrap_or_default(),
            password: upstream.password.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default(),
        },
        connect: upstream.connect_options(),
        reply_timeout: upstream.reply_timeout,
        down_after: upstream.down_after,
        backoff_min: upstream.reconnect_min,
        backoff_max: upstream.reconnect_max,
        ping_every: settings.heartbeat().unwrap_or(upstream.ping_every),
    })
}

/// What has to be done from time to time.
async fn housekeeping(shared: Arc<Shared>) {
    let mut swept = Instant::now();
    let mut near = NearKeeper::default();
    let mut tick = timers::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let now = Instant::now();
        shared.stats.tick(now);
        if let Some(memory) = &shared.memory {
            memory.expire_some();
        }
        shared.stats.clients.evicted_clients.add(shared.relieve() as u64);
        if let Some(upstream) = &shared.upstream {
            near.sweep(&upstream.node, shared.clock.now());
        }
        if now.duration_since(swept) < SWEEP {
            continue;
        }
        swept = now;
        if let Some(upstream) = &shared.upstream {
            near.each_second(&upstream.node, &shared);
        }
        shared.clients.rest_silent(shared.clock.now().saturating_sub(SWEEP.as_nanos() as u64));
        if let Some(idle) = shared.settings.load().server.idle_timeout {
            let closed = shared.clients.close_idle(idle.as_nanos() as u64, shared.clock.now());
            shared.stats.clients.idle_clients_closed.add(closed as u64);
        }
    }
}
