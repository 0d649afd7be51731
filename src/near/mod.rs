//! The near cache (L1): the rules of coherence over the store. No sockets, no tasks, no clock.
//!
//! The one idea: every shard's lock orders lookups, fills, pushes and writes of its keys, and the
//! lane's reader applies replies and pushes in stream order. So an entry that can be found under the
//! lock equals the upstream's value at the last applied position of the stream. What may break that
//! is a fill that a push or a write overtook; such flights are *detached* under the same lock and
//! never stored.
//!
//! The order of calls for a fetch: `read` says `Fetch`; the caller appends `CLIENT CACHING YES`, the
//! read and `PTTL key` adjacent to the lane and calls `appended`; the lane's reader calls `replied`
//! with the value and `ttl_replied` with the TTL. For a write: `write_begin` before the append,
//! `write_end` before its reply is released. Times are nanoseconds of one monotonic clock.

mod absence;
mod counters;
mod fill;
mod flight;
mod hints;
mod lanes;
mod lookup;
mod multi;
mod policy;
mod rules;
mod sweep;
pub mod tracking;
mod tuning;
mod write;

pub use absence::Absence;
pub use counters::Counters;
pub use fill::{NotStored, Stored};
pub use flight::FlightRef;
pub use lanes::{LaneId, Phase};
pub use lookup::{Looked, Plain, ReadOf, Stale, Verdict};
pub use multi::MultiLooked;
pub use policy::{Namespace, Policy, Reads, Settings};
#[doc(hidden)]
pub use rules::Rules;
pub use sweep::{Described, Totals};
pub use tuning::Tuning;
pub use write::WriteRef;

use crate::settings::CacheSettings;
use crate::store::{Admission, EntryKey, Shard};
use ahash::RandomState;
use counters::Count;
use flight::{Flights, Pending};
use hints::Hints;
use lanes::Lanes;
use parking_lot::{Mutex, MutexGuard};
use std::hash::{BuildHasher, Hasher};
use tuning::Tuned;

/// The command number under which a key's place in an MGET is cached. A nil there may mean a key of
/// another type, so it does not answer GET; a string does, and is stored as GET's.
pub const MGET_ELEMENT: u16 = u16::MAX;

/// What the near cache is made for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes for everything in here, overhead included.
    pub max_memory: usize,
    /// Who gets in.
    pub admission: Admission,
    /// Hits are served only this long after the stream was last known alive (ns).
    pub max_staleness: u64,
    /// Longest life of entries whose upstream cannot track (ns); 0 = not cached.
    pub ttl_mode_max_age: u64,
    /// How many lanes there may be.
    pub lanes: u8,
    /// GET's command number.
    pub get: u16,
}

impl Config {
    /// As an operator wants it.
    pub fn new(cache: &CacheSettings, lanes: u8, get: u16) -> Self {
        let Tuning { max_memory, admission, max_staleness, ttl_mode_max_age } = cache.into();
        Config { max_memory, admission, max_staleness, ttl_mode_max_age, lanes, get }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_memory: 256 << 20,
            admission: Admission::Frequency { admit_after: 2 },
            max_staleness: 1_000_000_000,
            ttl_mode_max_age: 0,
            lanes: 1,
            get: 0,
        }
    }
}

/// The near cache. `W` is what the session waits with for another client's fetch.
pub struct Near<W> {
    shards: Box<[Locked<W>]>,
    lanes: Lanes,
    counters: Count,
    hasher: RandomState,
    tuned: Tuned,
    /// GET's command number.
    get: u16,
    rules: Rules,
    hints: Hints,
}

/// A shard and its lock, in cache lines of their own. What a hit needs is in the first two, which
/// processors fetch as a pair.
#[repr(align(128))]
struct Locked<W>(Mutex<Part<W>>);

impl<W> Locked<W> {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, Part<W>> {
        self.0.lock()
    }
}

/// Everything about the keys of one shard, under one lock; what a hit needs comes first.
#[repr(C)]
struct Part<W> {
    pending: Pending,
    store: Shard,
    flights: Flights<W>,
    /// `Counters::unpaid` of this shard.
    unpaid: u64,
    /// `Lanes::changes` when the last sweep had seen every record.
    swept_at_change: u64,
}

/// Shards are at least this large, so that one can hold a value of a size worth caching.
const SHARD_BYTES: usize = 3 << 19;
/// And no more than this many.
const MAX_SHARDS: usize = 9 << 7;

/// 1, 2, 4, then 9 times a power of two: a million entries then sit just below a doubling of the
/// shards' tables, and the choice of a shard needs no power of two anyway.
fn shard_count(max_memory: usize) -> usize {
    let most = (max_memory / SHARD_BYTES).clamp(1, MAX_SHARDS);
    match most {
        0..=8 => 1 << most.ilog2(),
        _ => 9 << (most / 9).ilog2(),
    }
}

fn shard_budget<W>(max_memory: usize, hints: &Hints, shards: usize) -> usize {
    (max_memory.saturating_sub(hints.bytes()) / shards).saturating_sub(size_of::<Locked<W>>())
}

impl<W> Near<W> {
    /// An empty near cache with all lanes closed.
    pub fn new(config: Config) -> Self {
        Self::with_rules(config, Rules::ALL, RandomState::new())
    }

    /// For checkers only: some rules off, and hashes that repeat.
    #[doc(hidden)]
    pub fn with_rules(config: Config, rules: Rules, hasher: RandomState) -> Self {
        let shards = shard_count(config.max_memory);
        let hints = Hints::new(config.max_memory);
        let budget = shard_budget::<W>(config.max_memory, &hints, shards);
        let part = |_| {
            let store = Shard::new(budget, config.admission, hasher.clone());
            let flights = Flights::new();
            let pending = Pending::default();
            Locked(Mutex::new(Part { pending, store, flights, unpaid: 0, swept_at_change: 0 }))
        };
        Near {
            shards: (0..shards).map(part).collect(),
            lanes: Lanes::new(config.lanes),
            counters: Count::default(),
            hasher,
            tuned: Tuned::new(config.max_staleness, config.ttl_mode_max_age),
            get: config.get,
            rules,
            hints,
        }
    }

    /// The rules in force.
    #[doc(hidden)]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A lane has connected: nothing of its past is valid. `tracking`: `CLIENT TRACKING` said +OK.
    pub fn open(&self, lane: LaneId, tracking: bool) {
        let phase = if tracking { Phase::Tracking } else { Phase::TtlOnly };
        self.lanes.set(lane, Some(phase), self.rules.epochs);
    }

    /// A lane was lost: its entries may be read by `stale_read` only, its flights store nothing.
    pub fn freeze(&self, lane: LaneId) {
        self.lanes.set(lane, Some(Phase::Frozen), false);
    }

    /// Nothing is stored or served for this lane until it opens again.
    pub fn close(&self, lane: LaneId) {
        self.lanes.set(lane, Some(Phase::Closed), true);
    }

    /// Voids everything that the lane fetched: a null push, another run_id or role, FLUSHALL,
    /// FLUSHDB or SWAPDB of our own (at enqueue and at reply).
    pub fn bump_epoch(&self, lane: LaneId) {
        if self.rules.epochs {
            self.lanes.set(lane, None, true);
        }
        self.counters.epochs.add(1);
    }

    /// The lane's phase.
    pub fn phase(&self, lane: LaneId) -> Phase {
        self.lanes.stamp(lane).1
    }

    /// A reply to a command sent then has been applied; call after applying it.
    pub fn confirmed(&self, lane: LaneId, sent_at: u64) {
        self.lanes.confirm(lane, sent_at);
    }

    /// Send time of the newest command answered on the lane.
    pub fn confirmed_at(&self, lane: LaneId) -> u64 {
        self.lanes.confirmed_at(lane)
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        let unpaid = self.shards.iter().map(|shard| shard.lock().unpaid).sum();
        Counters { unpaid, ..self.counters.read() }
    }

    /// Counts from zero again.
    pub fn reset_counters(&self) {
        self.counters.reset();
        self.shards.iter().for_each(|shard| shard.lock().unpaid = 0);
    }

    fn hash(&self, key: &[u8]) -> u64 {
        hash_of(&self.hasher, key)
    }

    fn index_of(&self, hash: u64) -> usize {
        // The high bits, scaled: even for any number of shards.
        ((u128::from(hash) * self.shards.len() as u128) >> 64) as usize
    }

    fn part(&self, hash: u64) -> MutexGuard<'_, Part<W>> {
        self.shards[self.index_of(hash)].lock()
    }

    /// The commands under which an entry may answer `key`, preferred first.
    fn answers(&self, command: u16) -> [Option<u16>; 2] {
        match command {
            MGET_ELEMENT => [Some(self.get), Some(MGET_ELEMENT)],
            other => [Some(other), None],
        }
    }

    fn stored_as<'a>(&self, key: EntryKey<'a>, reply: &[u8]) -> EntryKey<'a> {
        let is_string = reply.first() == Some(&b'$');
        match key.command {
            MGET_ELEMENT if is_string => EntryKey { command: self.get, ..key },
            _ => key,
        }
    }
}

/// A key's hash. Of the bytes only: `hash_one` of a slice hashes its length too, which `write` mixes in anyway.
fn hash_of(hasher: &RandomState, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests;
