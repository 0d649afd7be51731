//! Shards, and how commands lock them.
//!
//! A key's hash chooses its shard, in every database the same one. A command locks the shards of all
//! its keys at once, in ascending order, and a MULTI block those of all its commands: so both are
//! atomic and isolated, nobody can deadlock, and commands on other shards run meanwhile. A set of
//! shards is a bit mask, hence at most 64 of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::block::Waiter;
use super::keyspace::Keyspace;
use super::listen::{Change, Listening};
use super::view::Gone;

/// The most shards: a set of them is one u64.
pub const MAX_SHARDS: usize = 64;

/// One shard: its part of all databases.
pub struct Shard {
    /// By database number.
    pub dbs: Vec<Db>,
    /// Waiters here that, when served, push to a second key (BLMOVE).
    pub movers: usize,
    /// Waiters here that are also told when the key is gone (XREADGROUP).
    pub readers: usize,
    /// What happened here.
    pub counts: Counts,
    /// Who is told of reads and changes.
    pub listener: Listening,
    /// The database that may have changed since memory was counted.
    changed: Option<usize>,
    /// Bytes of all databases, as last counted.
    used: usize,
    /// What `used` was when it was last added to the engine's sum.
    published: usize,
}

/// One database in one shard.
#[derive(Default)]
pub struct Db {
    /// The keys.
    pub keys: Keyspace,
    /// The bytes of `keys`, as last counted.
    counted: usize,
    /// Flags to raise when a key is changed: one per WATCHing client.
    pub watched: HashMap<Box<[u8]>, Vec<Arc<AtomicBool>>, ahash::RandomState>,
    /// Clients waiting for a key, in the order in which they came.
    pub waiting: HashMap<Box<[u8]>, BTreeMap<u64, Arc<Waiter>>, ahash::RandomState>,
}

/// Counters for INFO.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Lookups by reading commands that found the key.
    pub hits: u64,
    /// And that did not.
    pub misses: u64,
    /// Keys removed because their time was over.
    pub expired: u64,
    /// Keys removed to free memory.
    pub evicted: u64,
}

impl Shard {
    fn new(databases: usize) -> Shard {
        Shard {
            dbs: (0..databases).map(|_| Db::default()).collect(),
            movers: 0,
            readers: 0,
            counts: Counts::default(),
            listener: None,
            changed: None,
            used: 0,
            published: 0,
        }
    }

    /// Tells those who watch a key, and the listener, that a client (or 0) has changed it.
    pub fn tell(&self, client: u64, db: usize, key: &[u8]) {
        let watched = &self.dbs[db].watched;
        if let Some(flags) = (!watched.is_empty()).then(|| watched.get(key)).flatten() {
            flags.iter().for_each(|flag| flag.store(true, Ordering::Release));
        }
        if let Some(listener) = &self.listener {
            listener.changed(client, Change::Key { db, key });
        }
    }

    /// A database, whose keys are about to change.
    pub fn change(&mut self, db: usize) -> &mut Db {
        if self.changed != Some(db) {
            self.count_memory();
            self.changed = Some(db);
        }
        &mut self.dbs[db]
    }

    fn count_memory(&mut self) {
        let Some(db) = self.changed.take() else { return };
        let db = &mut self.dbs[db];
        db.keys.settle();
        let heap = db.keys.heap();
        self.used = self.used + heap - db.counted;
        db.counted = heap;
    }

    /// The key here that was not used for longest: when that was, its database and its index.
    pub fn oldest(&self) -> Option<(u32, usize, u32)> {
        let mut oldest: Option<(u32, usize, u32)> = None;
        for (number, db) in self.dbs.iter().enumerate() {
            if let Some(at) = db.keys.oldest() {
                let accessed = db.keys.at(at).accessed();
                if oldest.is_none_or(|(other, ..)| accessed.wrapping_sub(other) as i32 <= -1) {
                    oldest = Some((accessed, number, at));
                }
            }
        }
        oldest
    }

    /// Exchanges two databases' keys; who watches or waits stays.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.count_memory();
        let (low, high) = (a.min(b), a.max(b));
        let (left, right) = self.dbs.split_at_mut(high);
        std::mem::swap(&mut left[low].keys, &mut right[0].keys);
        std::mem::swap(&mut left[low].counted, &mut right[0].counted);
    }
}

/// All shards.
pub struct Shards {
    cells: Box<[Alone<Cell>]>,
    /// Bytes in all shards.
    used: Alone<AtomicUsize>,
    /// Whether the order of use is wanted.
    evicts: bool,
}

/// On cache lines of its own: what one thread writes does not slow down who reads its neighbours.
#[repr(align(128))]
struct Alone<T>(T);

struct Cell {
    shard: Mutex<Shard>,
    /// When the shard's oldest key was last used, or some time before: keys are used and go without
    /// this being told. `NOTHING` without keys.
    oldest: AtomicU32,
}

const NOTHING: u32 = u32::MAX;

/// A set of shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardSet(u64);

impl ShardSet {
    /// With one more.
    pub fn with(self, shard: usize) -> ShardSet {
        ShardSet(self.0 | 1 << shard)
    }

    /// With all of another set.
    pub fn union(self, other: ShardSet) -> ShardSet {
        ShardSet(self.0 | other.0)
    }

    /// Their numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let shard = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (shard < MAX_SHARDS).then_some(shard)
        })
    }
}

impl Shards {
    /// `count` is a power of two and at most `MAX_SHARDS`.
    pub fn new(count: usize, databases: usize, evicts: bool) -> Shards {
        let cell = || Cell { shard: Mutex::new(Shard::new(databases)), oldest: AtomicU32::new(NOTHING) };
        let cells = (0..count).map(|_| Alone(cell())).collect();
        Shards { cells, used: Alone(AtomicUsize::new(0)), evicts }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.cells.len()
    }

    /// Which shard a key's hash belongs to.
    pub fn of(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.cells.len() - 1)
    }

    /// All of them.
    pub fn all(&self) -> ShardSet {
        ShardSet(u64::MAX >> (MAX_SHARDS - self.cells.len()))
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.0.load(Ordering::Relaxed)
    }

    /// Locks a set, in ascending order.
    pub fn lock(&self, set: ShardSet) -> Locked<'_> {
        let hold = |index: usize| Held { shards: self, index, shard: self.cells[index].0.shard.lock() };
        let held = match set.0.count_ones() {
            0 => Holding::None,
            1 => Holding::One(hold(set.0.trailing_zeros() as usize)),
            count => {
                let mut many = Vec::with_capacity(count as usize);
                many.extend(set.iter().map(hold));
                Holding::Many(many)
            }
        };
        Locked { set, held }
    }

    /// Removes the key that was not used for longest; gives its database and what it was, none when there
    /// is no key.
    ///
    /// Shards are asked in the order of what is known of them without locking. That may be too early a
    /// time, never too late a one: so a shard whose oldest key really is older than all others' known
    /// times has the oldest one.
    pub fn evict_oldest(&self, now: i64) -> Option<(usize, Gone)> {
        let now = (now / 100) as u32;
        loop {
            let (mut best, mut second) = (None, 0);
            for (index, cell) in self.cells.iter().enumerate() {
                let accessed = cell.0.oldest.load(Ordering::Relaxed);
                let age = now.wrapping_sub(accessed);
                match best {
                    _ if accessed == NOTHING => {}
                    Some((_, oldest)) if age <= oldest => second = second.max(age),
                    _ => second = best.replace((index, age)).map_or(second, |(_, age)| age),
                }
            }
            let (index, _) = best?;
            let mut locked = self.lock(ShardSet::default().with(index));
            let shard = locked.shard(index);
            let mut gone = None;
            if let Some((accessed, db, at)) = shard.oldest()
                && now.wrapping_sub(accessed) >= second
            {
                shard.counts.evicted += 1;
                gone = Some((db, super::view::remove_telling(shard, db, at)));
            }
            let oldest = shard.oldest().map_or(NOTHING, |(accessed, ..)| accessed.min(NOTHING - 1));
            self.cells[index].0.oldest.store(oldest, Ordering::Relaxed);
            if gone.is_some() {
                return gone;
            }
        }
    }
}

/// Shards that are locked until this is dropped.
pub struct Locked<'e> {
    set: ShardSet,
    held: Holding<'e>,
}

enum Holding<'e> {
    None,
    One(Held<'e>),
    Many(Vec<Held<'e>>),
}

/// One locked shard. Unlocking counts its memory.
struct Held<'e> {
    shards: &'e Shards,
    index: usize,
    shard: MutexGuard<'e, Shard>,
}

/// Why a command finds the shard of every key that it asks for.
const LOCKED: &str = "a command's row names every key that it touches, and their shards are locked";

impl Locked<'_> {
    /// A locked shard by its number.
    pub fn shard(&mut self, index: usize) -> &mut Shard {
        let held = match &mut self.held {
            Holding::One(held) => Some(held),
            Holding::Many(held) => held.get_mut(place(self.set, index)),
            Holding::None => None,
        };
        &mut held.filter(|held| held.index == index).expect(LOCKED).shard
    }

    /// A locked shard by its number, to be read.
    pub fn shard_ref(&self, index: usize) -> &Shard {
        let held = match &self.held {
            Holding::One(held) => Some(held),
            Holding::Many(held) => held.get(place(self.set, index)),
            Holding::None => None,
        };
        &held.filter(|held| held.index == index).expect(LOCKED).shard
    }

    /// True when a waiter in one of the locked shards would push to a second key.
    pub fn has_movers(&mut self) -> bool {
        self.set.iter().any(|index| self.shard(index).movers > 0)
    }
}

/// Where among the held ones a shard is.
fn place(set: ShardSet, index: usize) -> usize {
    (set.0 & ((1 << index) - 1)).count_ones() as usize
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let shard = &mut *self.shard;
        shard.count_memory();
        let known = &self.shards.cells[self.index].0.oldest;
        if self.shards.evicts && known.load(Ordering::Relaxed) == NOTHING {
            let oldest = shard.oldest().map_or(NOTHING, |(accessed, ..)| accessed.min(NOTHING - 1));
            known.store(oldest, Ordering::Relaxed);
        }
        if shard.used >= shard.published {
            let more = shard.used - shard.published;
            if more > 0 {
                self.shards.used.0.fetch_add(more, Ordering::Relaxed);
            }
        } else {
            self.shards.used.0.fetch_sub(shard.published - shard.used, Ordering::Relaxed);
        }
        shard.published = shard.used;
    }
}
