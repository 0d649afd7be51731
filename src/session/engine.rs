//! Without an upstream: commands run in the memory engine, at once and in this task.
//!
//! Nothing is ever owed here: each reply is in the output before the next request is looked at. Only
//! blocking commands wait, as a job, and the client is watched meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};

use super::core::{Core, Mute};
use super::dispatch::{Flow, Job};
use super::shared::Upstream;
use super::transaction::{MAX_QUEUED, Transaction};
use super::{End, Session};
use crate::command::{self, Class, Command, Lookup};
use crate::memory::{Blocked, Caller, Counts, Engine, Eviction, Outcome, Watch};
use crate::resp::Args;
use crate::stats::{DatabaseInfo, KeyspaceInfo, Served};
use crate::upstream::Status;

/// A reply above this is a chunk of its own: that one reply is large is not held against a client that is
/// slow to read it.
const LARGE: usize = 64 * 1024;

/// What INFO says of the keys.
#[derive(Clone, Default)]
pub struct Keyspace {
    counts: Counts,
    databases: Vec<DatabaseInfo>,
}

impl Keyspace {
    /// As the statistics take it.
    pub fn as_info(&self) -> KeyspaceInfo<'_> {
        KeyspaceInfo {
            hits: self.counts.hits,
            misses: self.counts.misses,
            expired: self.counts.expired,
            evicted: self.counts.evicted,
            databases: &self.databases,
        }
    }

    /// What the upstream has said, while it is there.
    fn last_told(upstream: &Upstream) -> Keyspace {
        let up = upstream.router.home().status().0 == Status::Up;
        let databases = if up { upstream.node.vigil.databases() } else { Vec::new() };
        Keyspace { databases, ..Keyspace::default() }
    }

    fn of(engine: &Engine) -> Keyspace {
        let databases = (0..engine.config().databases).map(|db| (db as u32, engine.db_size(db)));
        let databases = databases.filter(|(_, (keys, _))| *keys > 0).map(|(db, (keys, expires))| {
            DatabaseInfo { db, keys: keys as u64, expires: expires as u64, avg_ttl_ms: 0 }
        });
        Keyspace { counts: engine.counts(), databases: databases.collect() }
    }
}

impl Core {
    /// Executes a command that Redis would have executed, of any class but Local.
    pub(super) fn in_memory(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        match command.class {
            Class::Transaction => return self.transaction_in_memory(command, args),
            Class::PubSub => {
                self.subscription_here(command, args);
                return Flow::Next;
            }
            Class::Admin => {
                if let Some(flow) = self.standalone(command, args) {
                    return flow;
                }
            }
            _ => {}
        }
        match self.run(command.id, args) {
            Some(flow) => flow,
            None => self.beside_the_engine(command, args),
        }
    }

    /// Runs a command in the engine, if that has it.
    fn run(&mut self, id: u16, args: Args<'_>) -> Option<Flow> {
        let mut caller = self.caller();
        let engine = self.shared.memory.as_ref()?;
        let out = &mut self.out.tail;
        let start = out.len();
        let outcome = engine.execute_id(id, &mut caller, args, out);
        match outcome {
            Outcome::Unknown => return None,
            Outcome::Done => {}
            Outcome::Block(blocked) => {
                // From here on CLIENT UNBLOCK finds it.
                *self.client.unblock.lock() = Some(blocked.unblocker());
                self.client.flags.lock().blocked = true;
                return Some(Flow::Job(Job::Blocked(Box::new(blocked), id)));
            }
        }
        self.db = caller.db as u32;
        self.replied(id, start);
        Some(Flow::Next)
    }

    /// Counts the reply written from `start` on, and takes it back if the client wants none.
    fn replied(&mut self, id: u16, start: usize) {
        self.tally(id, Served::Local);
        let reply = &self.out.tail[start..];
        if reply.first() == Some(&b'-') {
            self.recorder.error_reply(reply);
            self.recorder.failed(id);
        }
        if self.muted() {
            self.out.tail.truncate(start);
        } else if reply.len() > LARGE {
            let reply = self.out.tail.split_off(start).freeze();
            self.out.large(reply);
        }
    }

    fn caller(&self) -> Caller {
        let tracks = self.tracking.as_ref().is_some_and(|mode| mode.takes());
        let (db, client) = (self.db as usize, self.client.id);
        Caller { db, proto: self.proto, client, tracks, about: self.about }
    }

    /// What is neither the engine's nor about the server.
    fn beside_the_engine(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        match command.name {
            "publish" | "spublish" => {
                self.publish_here(command, args);
                Flow::Next
            }
            name if name.starts_with("pubsub") => self.pubsub_here(command, args),
            "wait" => self.wait_for_nobody(command, args),
            _ => self.reject(command.id, missing(command)),
        }
    }

    // === transactions ===

    fn transaction_in_memory(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        let id = command.id;
        match (command.name, self.transaction.is_some()) {
            ("multi", false) => self.transaction = Some(Transaction::default()),
            ("multi", true) => return self.error(id, b"ERR MULTI calls can not be nested"),
            ("exec", false) => return self.error(id, b"ERR EXEC without MULTI"),
            ("discard", false) => return self.error(id, b"ERR DISCARD without MULTI"),
            ("watch", true) => return self.error(id, b"ERR WATCH inside MULTI is not allowed"),
            ("watch", false) => {
                let Some(engine) = &self.shared.memory else { return Flow::Next };
                let watch = self.watch.get_or_insert_with(|| Watch::new(engine));
                watch.add(self.db as usize, args.skip(1));
            }
            ("discard", true) => {
                self.transaction = None;
                self.watch = None;
            }
            ("exec", true) => return self.exec_in_memory(command),
            // UNWATCH as an element of EXEC: nothing is watched any more.
            _ => self.watch = None,
        }
        self.error_free(command)
    }

    /// Checks a command as Redis does before it is queued.
    pub(super) fn queue_in_memory(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        let Some(engine) = &self.shared.memory else { return Flow::Next };
        if let Err(fault) = engine.admit_queued(args) {
            return self.reject(command.id, fault.0.as_bytes());
        }
        match command.name {
            // They would change how the rest of EXEC's reply looks, or take locks that EXEC holds.
            "client|reply" | "config|set" | "nearcache|config" => return self.not_in_transaction(command),
            _ if command.class == Class::Denied => return self.route(command, args, b""),
            _ if !supported(engine, command) => return self.reject(command.id, missing(command)),
            _ => {}
        }
        let Some(transaction) = &mut self.transaction else { return Flow::Next };
        if transaction.commands.len() >= MAX_QUEUED {
            return self.reject(command.id, b"ERR nearcache: too many commands queued in MULTI");
        }
        transaction.push_command(&args);
        self.answer(command.id, Served::Local, |writer| writer.raw(b"+QUEUED\r\n"));
        Flow::Next
    }

    fn exec_in_memory(&mut self, command: &Command) -> Flow {
        let transaction = self.transaction.take().unwrap_or_default();
        let watch = self.watch.take();
        if transaction.dirty {
            return self.error(command.id, b"EXECABORT Transaction discarded because of previous errors.");
        }
        let shared = Arc::clone(&self.shared);
        let Some(engine) = &shared.memory else { return Flow::Next };
        let mute = std::mem::replace(&mut self.mute, Mute::No);
        let mut caller = self.caller();
        let mut out = std::mem::take(&mut self.out.tail);
        let start = out.len();
        self.keyspace =
            Some(if asks_for_keyspace(&transaction) { Keyspace::of(engine) } else { Keyspace::default() });
        let mut local = |caller: &mut Caller, args: Args<'_>, out: &mut BytesMut| {
            (self.db, self.proto) = (caller.db as u32, caller.proto);
            self.element(args, out);
            (caller.db, caller.proto) = (self.db as usize, self.proto);
            caller.tracks = self.tracking.as_ref().is_some_and(|mode| mode.takes());
        };
        engine.transaction(&mut caller, &transaction.commands, watch.as_ref(), &mut local, &mut out);
        self.keyspace = None;
        self.db = caller.db as u32;
        self.out.tail = out;
        if self.out.tail.get(start) == Some(&b'*') {
            for queued in &transaction.commands {
                if let Lookup::Known(command) = command::lookup(&queued.args())
                    && engine.knows(&queued.args()[0])
                {
                    self.tally(command.id, Served::Local);
                }
            }
        }
        self.mute = mute;
        self.replied(command.id, start);
        Flow::Next
    }

    /// One element of EXEC's reply that is not the engine's. The engine's locks are held.
    fn element(&mut self, args: Args<'_>, out: &mut BytesMut) {
        match command::lookup(&args) {
            Lookup::Known(command) if command.name == "monitor" => return self.local_in_exec(&args, out),
            Lookup::Known(command) => drop(self.route(command, args, b"")),
            _ => {}
        }
        out.extend_from_slice(&self.out.tail);
        self.out.tail.clear();
    }

    // === for INFO and its kin ===

    /// What INFO says of the keys.
    pub(super) fn keyspace(&self) -> Keyspace {
        match (&self.keyspace, &self.shared.memory) {
            (Some(keyspace), _) => keyspace.clone(),
            (None, Some(engine)) => Keyspace::of(engine),
            (None, None) => self.upstream().map_or_else(Keyspace::default, Keyspace::last_told),
        }
    }

    /// The limit in force.
    pub(super) fn max_memory(&self) -> usize {
        self.shared.memory.as_ref().map_or(self.settings.cache.max_memory, |engine| engine.max_memory())
    }

    /// What happens at the limit, by Redis's name.
    pub(super) fn eviction_policy(&self) -> &'static str {
        match self.shared.memory.as_ref().map(|engine| engine.config().eviction) {
            // In front of Redis the proxy holds no data that it could evict, and job queues look here
            // for a policy that would lose their jobs.
            Some(Eviction::Refuse) | None => "noeviction",
            Some(Eviction::Lru) => "allkeys-lru",
        }
    }

    /// Whether this command works without an upstream.
    pub(super) fn works_here(&self, command: &Command) -> bool {
        self.shared.memory.as_ref().is_some_and(|engine| supported(engine, command))
    }
}

/// Commands that show the keys' numbers inside EXEC, when they cannot be asked for.
fn asks_for_keyspace(transaction: &Transaction) -> bool {
    let shows = |name: &[u8]| {
        [b"info".as_slice(), b"memory", b"nearcache"].iter().any(|n| n.eq_ignore_ascii_case(name))
    };
    transaction.commands.iter().any(|command| command.args().get(0).is_some_and(shows))
}

fn supported(engine: &Engine, command: &Command) -> bool {
    let first = command.name.split('|').next().unwrap_or_default();
    match command.class {
        Class::Local | Class::Transaction | Class::PubSub => true,
        Class::Denied => false,
        Class::Admin if first != "object" => !matches!(first, "bgrewriteaof" | "bgsave" | "save"),
        _ => engine.knows(first.as_bytes()) || matches!(first, "publish" | "spublish" | "pubsub" | "wait"),
    }
}

fn missing(command: &Command) -> &'static [u8] {
    match command.name.split('|').next().unwrap_or_default() {
        "eval" | "eval_ro" | "evalsha" | "evalsha_ro" | "fcall" | "fcall_ro" | "function" | "script" => {
            b"ERR nearcache: scripting needs an upstream"
        }
        "save" | "bgsave" | "bgrewriteaof" => {
            b"ERR nearcache: without an upstream the data are in memory only"
        }
        _ => b"ERR nearcache: this command needs an upstream",
    }
}

impl Session {
    /// Waits for a blocking command's reply while the client is served and watched.
    pub(super) async fn wait_blocked(&mut self, mut blocked: Blocked, command: u16) -> Result<(), End> {
        self.core.shared.stats.clients.blocked_clients.inc();
        let ended = self.until_served(&mut blocked).await;
        self.core.shared.stats.clients.blocked_clients.dec();
        *self.core.client.unblock.lock() = None;
        self.core.client.flags.lock().blocked = false;
        let reply = ended?;
        let start = self.core.out.tail.len();
        self.core.out.tail.extend_from_slice(&reply);
        self.core.replied(command, start);
        Ok(())
    }

    async fn until_served(&mut self, blocked: &mut Blocked) -> Result<Bytes, End> {
        let mut wait = pin!(blocked.wait());
        loop {
            let served = poll_fn(|cx| {
                if let Poll::Ready(reply) = wait.as_mut().poll(cx) {
                    return Poll::Ready(Ok(Some(reply)));
                }
                if let Err(end) = self.poll_client(cx) {
                    return Poll::Ready(Err(end));
                }
                // Who waits for something that may never come is gone when its client is.
                if self.eof || self.core.closing {
                    return Poll::Ready(Err(End::Left));
                }
                self.core.client.inbox.poll_ready(cx).map(|()| Ok(None))
            });
            match served.await? {
                Some(reply) => return Ok(reply),
                None => self.look_after_client()?,
            }
        }
    }
}
