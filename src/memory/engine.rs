//! The engine: locks what a command needs, runs it, wakes who waits, keeps memory under its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

use super::block::{self, Blocked, WaitRequest};
use super::commands::{self, Access, Row};
use super::fault::{Fault, OOM};
use super::listen::Listener;
use super::shard::{Counts, MAX_SHARDS, ShardSet, Shards};
use super::table::hash;
use super::view::{self, Gone, Keys, Trash};
use super::watch::Watch;
use crate::resp::{ArgVec, Args, Proto, Writer};

/// Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What happens when memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Commands that need memory are refused (`noeviction`).
    Refuse,
    /// The keys that were not used for longest go (`allkeys-lru`).
    Lru,
}

/// How the engine is to be.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How many databases SELECT can choose from.
    pub databases: usize,
    /// Bytes of keys, values and their tables together; 0: no limit.
    pub max_memory: usize,
    /// What happens beyond that.
    pub eviction: Eviction,
    /// How many parts the keyspace is locked in; made a power of two, at most 64.
    pub shards: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        // Sixteen per core: two cores at work on random keys then rarely want the same one.
        EngineConfig { databases: 16, max_memory: 0, eviction: Eviction::Lru, shards: 16 * cores }
    }
}

/// What the engine must know of a client.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The database it has selected.
    pub db: usize,
    /// How its replies are written.
    pub proto: Proto,
    /// Who it is to the listener; 0 is nobody.
    pub client: u64,
    /// Whether the listener is told what it reads.
    pub tracks: bool,
    /// About when it is, in unix milliseconds, if the caller knows: enough for the order of use, and saves
    /// reading the clock for each command. What expires always does so by the clock.
    pub about: Option<i64>,
}

/// What became of a command.
pub enum Outcome {
    /// The reply was written.
    Done,
    /// The client must wait; the reply comes from the handle.
    Block(Blocked),
    /// The engine has no such command; nothing was written.
    Unknown,
}

/// What one command works with. The fields are apart so that a borrowed value and the writer can be
/// used together.
pub struct Ctx<'a> {
    /// The request.
    pub args: Args<'a>,
    /// The keys.
    pub keys: Keys<'a>,
    /// The reply.
    pub w: Writer<'a>,
    /// Who asks.
    pub caller: &'a mut Caller,
    /// Inside MULTI nobody may wait: blocking commands answer at once.
    pub in_block: bool,
    /// Set by a blocking command that found nothing (and wrote nothing).
    pub wait: Option<WaitRequest>,
    /// The engine's configuration.
    pub config: &'a EngineConfig,
}

impl<'a> Ctx<'a> {
    /// An argument, borrowed from the request rather than from the context. The arity has been checked.
    pub fn arg(&self, i: usize) -> &'a [u8] {
        self.args.get(i).unwrap_or_default()
    }
}

/// The in-memory engine. One for the process; sessions call it from their own tasks.
pub struct Engine {
    config: EngineConfig,
    /// The limit now; the configuration has the first one.
    max_memory: AtomicUsize,
    clock: Clock,
    shards: Shards,
}

impl Engine {
    /// An empty one.
    pub fn new(config: EngineConfig, clock: Clock) -> Arc<Engine> {
        let shards = config.shards.clamp(1, MAX_SHARDS).next_power_of_two();
        let config = EngineConfig { databases: config.databases.max(1), shards, ..config };
        let shards = Shards::new(shards, config.databases, config.eviction == Eviction::Lru);
        Arc::new(Engine { max_memory: config.max_memory.into(), config, clock, shards })
    }

    /// Has a listener told from now on which keys are read and changed, in place of any other.
    pub fn listen(&self, listener: Option<Arc<dyn Listener>>) {
        let mut locked = self.shards.lock(self.shards.all());
        for index in self.shards.all().iter() {
            locked.shard(index).listener.clone_from(&listener);
        }
    }

    /// Runs one command and writes its reply.
    pub fn execute(self: &Arc<Self>, caller: &mut Caller, args: Args, out: &mut BytesMut) -> Outcome {
        let Some(row) = commands::of(args) else { return Outcome::Unknown };
        self.run(row, caller, args, out)
    }

    /// The same for a command that was looked up already, by its id in `crate::command`.
    pub fn execute_id(
        self: &Arc<Self>,
        id: u16,
        caller: &mut Caller,
        args: Args,
        out: &mut BytesMut,
    ) -> Outcome {
        let Some(row) = commands::by_id(id) else { return Outcome::Unknown };
        self.run(row, caller, args, out)
    }

    fn run(
        self: &Arc<Self>,
        row: &'static Row,
        caller: &mut Caller,
        args: Args,
        out: &mut BytesMut,
    ) -> Outcome {
        if let Err(fault) = self.admit(row, args) {
            Writer::new(out, caller.proto).error(&fault.0);
            return Outcome::Done;
        }
        let only = row.keys.only().and_then(|at| args.get(at)).map(|key| (key, hash(key)));
        let set = match only {
            Some((_, hash)) => ShardSet::default().with(self.shards.of(hash)),
            None => self.shards_of(row, args),
        };
        let mut ctx = self.context(set, row.access != Access::Read, caller, args, out);
        ctx.keys.only = only;
        call(row, &mut ctx);
        let blocked = ctx.wait.take().map(|request| block::enqueue(self, &mut ctx.keys, ctx.caller, request));
        block::serve(self, &mut ctx.keys);
        ctx.keys.unlock().free();
        if row.access == Access::Grow {
            self.make_room();
        }
        blocked.map_or(Outcome::Done, Outcome::Block)
    }

    /// Runs a MULTI block at once, as EXEC does, and writes the array of its replies, or the null that
    /// says that a watched key has changed. Commands that are not the engine's go to `local`.
    pub fn transaction(
        self: &Arc<Self>,
        caller: &mut Caller,
        commands: &[ArgVec],
        watch: Option<&Watch>,
        local: &mut dyn FnMut(&mut Caller, Args, &mut BytesMut),
        out: &mut BytesMut,
    ) {
        let rows: Vec<_> = commands.iter().map(|c| (c.args(), commands::of(c.args()))).collect();
        let grows = rows.iter().any(|(_, row)| row.is_some_and(|row| row.access == Access::Grow));
        if grows && !self.make_room() {
            let text = format!("EXECABORT Transaction discarded because of: {}", OOM.0);
            return Writer::new(out, caller.proto).error(&text);
        }
        let writes = rows.iter().any(|(_, row)| row.is_some_and(|row| row.access != Access::Read));
        let mut set = watch.map_or(ShardSet::default(), |watch| watch.shards());
        for (args, row) in &rows {
            set = set.union(row.map_or(ShardSet::default(), |row| self.shards_of(row, *args)));
        }
        let nothing = ArgVec::default();
        let mut ctx = self.context(set, writes, caller, nothing.args(), out);
        ctx.in_block = true;
        if watch.is_some_and(|watch| watch.broken(&mut ctx.keys)) {
            return ctx.w.null_array();
        }
        ctx.w.array(commands.len());
        for (args, row) in rows {
            ctx.args = args;
            match row {
                None => local(ctx.caller, args, ctx.w.out),
                Some(row) if !row.arity_ok(args.len()) => ctx.w.error(&Fault::arity(row.name).0),
                Some(row) => call(row, &mut ctx),
            }
            // Either may have been changed, by SELECT or HELLO.
            ctx.keys.db = ctx.caller.db;
            ctx.w.proto = ctx.caller.proto;
        }
        block::serve(self, &mut ctx.keys);
        ctx.keys.unlock().free();
        if grows {
            self.make_room();
        }
    }

    /// Why a command would be refused before it runs: too few arguments, memory full. For sessions that
    /// queue it for MULTI.
    pub fn admit_queued(&self, args: Args) -> Result<(), Fault> {
        commands::of(args).map_or(Ok(()), |row| self.admit(row, args))
    }

    /// Whether the engine has this command.
    pub fn knows(&self, name: &[u8]) -> bool {
        commands::find(name).is_some()
    }

    /// The names of all its commands, in upper case.
    pub fn commands(&self) -> impl Iterator<Item = &'static str> {
        commands::all().map(|row| row.name)
    }

    /// One step of active expiry: to be called some ten times per second. Its work is bounded: at most
    /// `EXPIRE_ROUNDS` times twenty keys per shard and database, and only a shard where a tenth of
    /// what it saw had expired is looked at again.
    pub fn expire_some(&self) -> usize {
        let now = self.now();
        (0..self.shards.count()).map(|index| self.expire_shard(index, now)).sum()
    }

    /// Changes the limit (0: none), and evicts down to it. While there is none, keys are kept in the
    /// order in which they were added rather than used.
    pub fn set_max_memory(&self, bytes: usize) {
        self.max_memory.store(bytes, Ordering::Relaxed);
        self.make_room();
    }

    /// The limit.
    pub fn max_memory(&self) -> usize {
        self.max_memory.load(Ordering::Relaxed)
    }

    /// Bytes of keys, values and tables.
    pub fn used_memory(&self) -> usize {
        self.shards.used()
    }

    /// Counters for INFO, summed over the shards.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for index in self.shards.all().iter() {
            let counts = self.shards.lock(ShardSet::default().with(index)).shard(index).counts;
            sum.hits += counts.hits;
            sum.misses += counts.misses;
            sum.expired += counts.expired;
            sum.evicted += counts.evicted;
        }
        sum
    }

    /// For INFO: how many keys a database has, and how many of them expire.
    pub fn db_size(&self, db: usize) -> (usize, usize) {
        let (mut keys, mut volatile) = (0, 0);
        for index in self.shards.all().iter() {
            let mut locked = self.shards.lock(ShardSet::default().with(index));
            if let Some(db) = locked.shard(index).dbs.get(db) {
                keys += db.keys.len();
                volatile += db.keys.volatile_len();
            }
        }
        (keys, volatile)
    }

    /// The configuration.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The shards.
    pub(super) fn shards(&self) -> &Shards {
        &self.shards
    }

    /// A view on one database with a set of shards locked.
    pub(super) fn view(&self, set: ShardSet, db: usize) -> Keys<'_> {
        Keys::new(&self.shards, self.shards.lock(set), db, &self.clock, self.evicts())
    }

    /// The time by the engine's clock, in unix milliseconds.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    fn evicts(&self) -> bool {
        self.max_memory() > 0 && self.config.eviction == Eviction::Lru
    }

    fn admit(&self, row: &Row, args: Args) -> Result<(), Fault> {
        if !row.arity_ok(args.len()) {
            return Err(Fault::arity(row.name));
        }
        if row.access == Access::Grow && !self.make_room() { Err(OOM) } else { Ok(()) }
    }

    fn shards_of(&self, row: &Row, args: Args) -> ShardSet {
        let mut set = ShardSet::default();
        let some = row.keys.each(args, |key| set = set.with(self.shards.of(hash(key))));
        if some { set } else { self.shards.all() }
    }

    /// Locks, and makes what a command needs. A writer that might serve a BLMOVE locks everything: what
    /// else that needs is not known before.
    fn context<'a>(
        &'a self,
        set: ShardSet,
        writes: bool,
        caller: &'a mut Caller,
        args: Args<'a>,
        out: &'a mut BytesMut,
    ) -> Ctx<'a> {
        let mut locked = self.shards.lock(set);
        if writes && set != self.shards.all() && locked.has_movers() {
            drop(locked);
            locked = self.shards.lock(self.shards.all());
        }
        let mut keys = Keys::new(&self.shards, locked, caller.db, &self.clock, self.evicts());
        keys.client = caller.client;
        keys.about = caller.about;
        let w = Writer::new(out, caller.proto);
        Ctx { args, keys, w, caller, in_block: false, wait: None, config: &self.config }
    }

    /// Evicts until memory is under its limit. False when it is not, and nothing more can go.
    fn make_room(&self) -> bool {
        let limit = self.max_memory();
        while limit > 0 && self.shards.used() > limit {
            if self.config.eviction == Eviction::Refuse {
                return false;
            }
            let Some((db, gone)) = self.shards.evict_oldest(self.now()) else { return false };
            self.gone(db, gone);
        }
        true
    }

    /// Frees what went by itself, and serves who waited for it.
    fn gone(&self, db: usize, gone: Gone) {
        Trash::from(gone.value).free();
        if let Some(key) = gone.awaited {
            let mut keys = self.view(ShardSet::default().with(self.shards.of(hash(&key))), db);
            keys.ready.push_back((db, key));
            block::serve(self, &mut keys);
            keys.unlock().free();
        }
    }

    fn expire_shard(&self, index: usize, now: i64) -> usize {
        /// Keys looked at in one round, as in Redis.
        const ROUND: usize = 20;
        /// With at most 50,000 keys looked at per shard, one step holds a lock for some milliseconds in
        /// total, and never longer than one round at a time.
        const EXPIRE_ROUNDS: usize = 2_500;
        let mut removed = 0;
        for db in 0..self.config.databases {
            for _ in 0..EXPIRE_ROUNDS {
                let mut locked = self.shards.lock(ShardSet::default().with(index));
                let shard = locked.shard(index);
                let found = shard.dbs[db].keys.expired(ROUND, now);
                let gone: Vec<_> = found.iter().map(|&at| view::expire(shard, db, at)).collect();
                drop(locked);
                gone.into_iter().for_each(|gone| self.gone(db, gone));
                removed += found.len();
                if found.len() * 10 <= ROUND {
                    break;
                }
            }
        }
        removed
    }
}

/// Runs one command; an error takes the place of what it had written.
fn call(row: &Row, ctx: &mut Ctx) {
    let start = ctx.w.out.len();
    if let Err(fault) = (row.run)(ctx) {
        ctx.w.out.truncate(start);
        ctx.w.error(&fault.0);
    } else if ctx.wait.is_some() && ctx.in_block {
        // A blocking command inside MULTI has written its own answer.
        ctx.wait = None;
    }
    if ctx.caller.tracks && row.access == Access::Read {
        row.keys.each(ctx.args, |key| ctx.keys.tell_read(key));
    }
}

/// The reply that a wait ends with when CLIENT UNBLOCK asks for an error.
pub fn unblocked_error() -> Bytes {
    Bytes::from_static(b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")
}
