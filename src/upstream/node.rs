//! One upstream node: where it is, what it said of itself, and the task that keeps its lane connected.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::audience::Audience;
use super::batch::Batch;
use super::check::Check;
use super::effect::L1;
use super::handshake::{Credentials, Welcome, open_lane};
use super::inbox::Inbox;
use super::lane::{Connection, Events, Lane, LaneKey, Patience};
use super::queue::Status;
use super::vigil::{self, Question, Vigil};
use super::wire::{Wire, WireError};
use crate::clock::{Clock, Nanos};

use crate::net::{Address, ClientTls, ConnectError, ConnectOptions, connect};
use crate::stats::Stats;
use crate::timers;

/// Connections that were given up in the middle of a command and whose ids the next lane kills. Far
/// more than pinned connections exist at once; beyond it the oldest are forgotten.
const MAX_ZOMBIES: usize = 10_000;

/// Where an upstream is and how to talk to it.
#[derive(Clone)]
pub struct Target {
    /// Where.
    pub address: Address,
    /// How to speak TLS there, if it does.
    pub tls: Option<ClientTls>,
    /// User and password.
    pub credentials: Credentials,
    /// Bounds of connecting.
    pub connect: ConnectOptions,
    /// Longest silence of the lane with requests outstanding.
    pub reply_timeout: Duration,
    /// How long requests wait for a lost upstream before they are refused.
    pub down_after: Duration,
    /// First pause between attempts to connect; doubles, with jitter.
    pub backoff_min: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// An idle lane is pinged this often.
    pub ping_every: Duration,
}

/// A lane that lived so long was no failure to connect: the next attempt comes at once. One that is closed
/// as soon as it is there is one.
const SETTLED: Duration = Duration::from_secs(1);

/// One upstream node. Shared by `Arc`.
pub struct Node {
    /// Replaced at a reload; read at each connect.
    pub target: ArcSwap<Target>,
    /// Its lane.
    pub lane: Arc<Lane>,
    /// What it said of itself at the last handshake.
    pub welcome: ArcSwap<Welcome>,
    /// What its answers to questions of ours have told.
    pub vigil: Vigil,
    /// Ids of connections that may still execute something we have given up.
    zombies: Mutex<Vec<i64>>,
    stats: Arc<Stats>,
    clock: Clock,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not even a socket.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The handshake failed.
    #[error("handshake failed: {0}")]
    Handshake(#[from] WireError),
    /// The handshake took longer than `connect_timeout`.
    #[error("no answer to the handshake within {0:?}")]
    Slow(Duration),
}

impl Node {
    /// A node whose lane is not connected yet.
    pub fn new(
        target: Target,
        l1: Arc<L1>,
        audience: Arc<Audience>,
        stats: Arc<Stats>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Node {
            target: ArcSwap::from_pointee(target),
            lane: Lane::new(clock, l1, audience, LaneKey::default()),
            welcome: ArcSwap::from_pointee(Welcome::default()),
            vigil: Vigil::default(),
            zombies: Mutex::new(Vec::new()),
            stats,
            clock,
        })
    }

    /// Notes a connection that was closed by us while a command of it may still be executed.
    pub fn bury(&self, client_id: i64) {
        let mut zombies = self.zombies.lock();
        if zombies.len() == MAX_ZOMBIES {
            zombies.remove(0);
        }
        zombies.push(client_id);
    }

    /// Asks the upstream, by the lane, whether it is still what it was.
    pub fn look_around(&self) {
        self.inquire(&[Question::Role, Question::Swaps, Question::Eviction, Question::Keyspace]);
    }

    fn inquire(&self, questions: &[Question]) {
        self.ask(|batch, now| vigil::ask(batch, questions, now));
    }

    /// Tells the upstream that these keys are in use, which it does not see: L1 answers for them.
    pub fn keep_warm(&self, mut keys: Vec<(u32, Vec<u8>)>) {
        if !keys.is_empty() {
            keys.sort();
            self.ask(|batch, now| vigil::touch(batch, &keys, now));
        }
    }

    fn ask(&self, ask: impl FnOnce(&mut Batch, Nanos)) {
        if self.lane.status().0 != Status::Up {
            return;
        }
        let mut batch = Batch::default();
        ask(&mut batch, self.clock.now());
        // A full lane is asked another time.
        let _ = self.lane.append(&mut batch, &Inbox::new());
    }

    /// Opens a socket to the node.
    pub async fn dial(&self) -> Result<Wire, ConnectError> {
        let target = self.target.load_full();
        Ok(Wire::new(connect(&target.address, target.tls.as_ref(), target.connect).await?))
    }

    /// Keeps the lane connected until dropped.
    pub async fn keep_connected(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let (wire, welcome, asked_at) = self.connected(&mut backoff).await;
            let target = self.target.load_full();
            info!(address = %target.address, version = welcome.version, tracking = welcome.tracking, "upstream connected");
            let (id, tracking, since) = (welcome.client_id, welcome.tracking, Instant::now());
            let dbs = welcome.dbs.clone();
            for db in self.lane.queue.lock().dbs().into_iter().filter(|db| !dbs.contains(db)) {
                warn!(address = %target.address, db, "upstream lacks a database that clients use");
            }
            self.vigil.begin(&welcome);
            self.welcome.store(Arc::new(welcome));
            let patience = Patience { reply_timeout: target.reply_timeout, ping_every: target.ping_every };
            let mut events = Applied { node: &self };
            let Wire { stream, read } = wire;
            let mut connection = Connection::new(&self.lane, stream, read, patience, &mut events);
            self.stats.lane.connects.inc();
            self.stats.lane.connected.inc();
            let (l1, lane) = (self.lane.l1(), self.lane.id());
            // In this order: what is appended from now on belongs to the new epoch.
            l1.open(lane, tracking);
            l1.confirmed(lane, asked_at);
            self.lane.audience().flush(false);
            let waker = self.lane.queue.lock().connected(dbs, self.clock.now(), &self.lane.owner);
            drop(waker);
            // The rest has been told in the handshake.
            self.inquire(&[Question::Eviction, Question::Keyspace]);
            let error = connection.serve().await;
            l1.freeze(lane);
            // Nobody will announce what changes from now on.
            self.lane.audience().flush(false);
            warn!(address = %target.address, %error, "upstream connection lost");
            self.stats.lane.connected.dec();
            self.stats.lane.disconnects.inc();
            self.bury(id);
            let repeated = connection.give_up();
            self.stats.lane.read_retries.add(repeated as u64);
            self.stats.lane.in_flight.set(0);
            if since.elapsed() > SETTLED {
                backoff = Backoff::default();
            }
        }
    }

    /// Tries until there is a connection; after `down_after` the lane refuses what comes.
    async fn connected(&self, backoff: &mut Backoff) -> (Wire, Welcome, Nanos) {
        loop {
            let asked_at = self.clock.now();
            match self.or_down(self.open()).await {
                Ok((wire, welcome)) => return (wire, welcome, asked_at),
                Err(error) => {
                    self.stats.lane.connect_failures.inc();
                    let target = self.target.load();
                    let pause = backoff.next(target.backoff_min, target.backoff_max);
                    warn!(address = %target.address, %error, pause_ms = pause.as_millis() as u64, "upstream unreachable");
                    self.or_down(timers::sleep(pause)).await;
                }
            }
        }
    }

    /// Awaits `future`; meanwhile marks the lane as down when its time is up.
    async fn or_down<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let (_, since) = self.lane.status();
        let down_at = self.clock.instant(since + self.target.load().down_after.as_nanos() as Nanos);
        tokio::select! {
            biased;
            done = &mut future => return done,
            () = timers::sleep_until(down_at.into()) => {}
        }
        self.lane.queue.lock().down(self.clock.now(), &self.lane.owner);
        future.await
    }

    async fn open(&self) -> Result<(Wire, Welcome), OpenError> {
        let target = self.target.load_full();
        let mut wire = self.dial().await?;
        let last = self.welcome.load_full();
        let zombies = std::mem::take(&mut *self.zombies.lock());
        let dbs = self.lane.queue.lock().dbs();
        let limit = target.connect.timeout;
        let handshake = open_lane(&mut wire, &target.credentials, Some(&last), &zombies, &dbs);
        match timers::timeout(limit, handshake).await {
            Ok(Ok(welcome)) => Ok((wire, welcome)),
            other => {
                self.zombies.lock().extend(zombies);
                Err(match other {
                    Ok(Err(error)) => error.into(),
                    _ => OpenError::Slow(limit),
                })
            }
        }
    }
}

/// The pauses between attempts: doubling, each a random half to whole of its length, so that a
/// thousand sidecars do not come back at the same instant.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self, min: Duration, max: Duration) -> Duration {
        let full = min.saturating_mul(1u32 << self.failures.min(16)).min(max);
        self.failures += 1;
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Where the lane's pushes and counts go.
struct Applied<'a> {
    node: &'a Node,
}

impl Events for Applied<'_> {
    fn ping_every(&self) -> Duration {
        self.node.target.load().ping_every
    }

    fn told(&mut self, question: Question, reply: &[u8]) {
        if self.node.vigil.told(question, reply) {
            self.node.lane.l1().bump_epoch(self.node.lane.id());
            self.node.lane.audience().flush(false);
        }
    }

    fn pushed(&mut self) {
        self.node.stats.lane.pushes.inc();
    }

    fn checked(&mut self, check: &Check, reply: &[u8]) {
        let l1 = &self.node.stats.l1;
        let (right, wrong) = check.judge(self.node.lane.l1(), reply, self.node.clock.now());
        l1.checked.add(right + wrong);
        l1.checked_wrong.add(wrong);
    }

    fn answered(&mut self, at: Nanos, now: Nanos, n: u64) {
        self.node.stats.lane_round_trip(Duration::from_nanos(now.saturating_sub(at)), n);
    }

    fn in_flight(&mut self, requests: usize) {
        self.node.stats.lane.in_flight.set(requests as u64);
    }

    fn traffic(&mut self, read: usize, written: usize, replies: usize) {
        self.node.stats.lane.input_bytes.add(read as u64);
        self.node.stats.lane.output_bytes.add(written as u64);
        self.node.stats.lane.commands.add(replies as u64);
    }
}
