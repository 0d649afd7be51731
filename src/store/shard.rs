//! One shard of the store: records in recency order under a byte bound, with frequency deciding who
//! stays. No lock, no clock: `near` holds one of these under each of its shard locks.
//!
//! The one idea (W-TinyLFU): a new record enters a small *window*; what falls out of the window gets
//! into the *main* part only if it was asked for more often lately than the record it would push
//! out. So a scan passes through the window and leaves the hot records alone. With
//! `Admission::Always` there is no window and no sketch, and this is a plain LRU.
//!
//! Invariant: `bytes()` is what `validate()` recounts, and is at most `budget` after every call.

use super::entry::{Entry, EntryKey};
use super::record::Record;
use super::size::{size_class, table_bytes};
use super::sketch::Sketch;
use ahash::RandomState;
use lru::LruCache;
use std::hash::{BuildHasher, Hasher};

/// Who may stay in a full shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Everybody; the least recently used go. Plain LRU.
    Always,
    /// Who has been asked for this often lately, and more often than whom it would push out.
    Frequency {
        /// Accesses before a key is worth an entry; 1 = the first.
        admit_after: u8,
    },
}

/// One shard.
pub struct Shard {
    window: Segment,
    main: Segment,
    sketch: Option<Sketch>,
    admit_after: u8,
    climber: Climber,
    /// Bytes that everything here may take.
    budget: usize,
    /// Entries in all records.
    entries: usize,
    state: RandomState,
    /// No entry ends before this moment (ns), so a sweep before it would find nothing.
    earliest: u64,
}

/// Records in recency order and their bytes.
struct Segment {
    records: LruCache<u64, Record, ByHash>,
    /// Heap bytes of the records, without nodes and table.
    payload: usize,
    /// The most records held so far, which the table has room for.
    peak: usize,
}

/// Records that left, to be dropped after the lock is released.
#[derive(Default)]
pub struct Dropped {
    first: Option<Record>,
    more: Vec<Record>,
    entry: Option<Entry>,
    /// Entries evicted for room.
    pub evicted: usize,
    /// True when the new record itself was turned away or pushed out.
    pub refused: bool,
}

/// What `Shard::sweep` did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Swept {
    /// Records looked at.
    pub seen: usize,
    /// Entries removed.
    pub removed: usize,
    /// Every record was looked at.
    pub complete: bool,
}

/// Node of `lru`: two links beside key and record.
const NODE: usize = size_class(16 + size_of::<(u64, Record)>());
/// Slot of `lru`'s table: two pointers.
const SLOT: usize = 16;
/// A segment's fixed cost: its two end nodes.
const ENDS: usize = 2 * NODE;

impl Segment {
    fn new() -> Self {
        Segment { records: LruCache::unbounded_with_hasher(ByHash), payload: 0, peak: 0 }
    }

    fn bytes(&self) -> usize {
        self.payload + self.records.len() * NODE + table_bytes(self.peak, SLOT) + ENDS
    }

    fn put(&mut self, hash: u64, record: Record) -> Option<Record> {
        self.payload += record.cost();
        let old = self.records.put(hash, record);
        self.payload -= old.as_ref().map_or(0, Record::cost);
        self.peak = self.peak.max(self.records.len());
        old
    }

    fn pop(&mut self, hash: u64) -> Option<Record> {
        let record = self.records.pop(&hash)?;
        self.payload -= record.cost();
        Some(record)
    }

    fn pop_lru(&mut self) -> Option<(u64, Record)> {
        let (hash, record) = self.records.pop_lru()?;
        self.payload -= record.cost();
        Some((hash, record))
    }
}

impl Shard {
    /// A shard of at most `budget` bytes. `state` is the same in all shards.
    pub fn new(budget: usize, admission: Admission, state: RandomState) -> Self {
        let (sketch, admit_after) = match admission {
            Admission::Always => (None, 0),
            Admission::Frequency { admit_after } => (Some(Sketch::new(0)), admit_after),
        };
        Shard {
            window: Segment::new(),
            main: Segment::new(),
            sketch,
            admit_after,
            climber: Climber::new(),
            budget,
            entries: 0,
            state,
            earliest: u64::MAX,
        }
    }

    /// Bytes in use, overhead included.
    pub fn bytes(&self) -> usize {
        self.window.bytes() + self.main.bytes() + self.sketch.as_ref().map_or(0, Sketch::bytes)
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The largest entry worth storing here: half the shard, so that one value cannot own it.
    pub fn max_entry(&self) -> usize {
        self.budget / 2
    }

    /// Counts an access to a key that is not (validly) cached; true when it is worth caching.
    pub fn wants(&mut self, hash: u64) -> bool {
        self.climber.access(false);
        match &mut self.sketch {
            None => true,
            Some(sketch) => sketch.touch(hash) >= self.admit_after,
        }
    }

    /// The reply to `key`, counted as an access, and its key's record made the most recent one.
    pub fn get(&mut self, hash: u64, key: &EntryKey) -> Option<&Entry> {
        let records = match self.main.records.contains(&hash) {
            true => &mut self.main.records,
            false => &mut self.window.records,
        };
        let entry = records.get_mut(&hash)?.get_mut(key, &self.state)?;
        if let Some(sketch) = &mut self.sketch {
            sketch.touch(hash);
            self.climber.access(true);
        }
        entry.count_hit();
        Some(entry)
    }

    /// The reply to `key`, without counting anything.
    pub fn peek(&self, hash: u64, key: &EntryKey) -> Option<&Entry> {
        self.record(hash)?.get(key, &self.state)
    }

    /// All replies under a hash.
    pub fn record(&self, hash: u64) -> Option<&Record> {
        self.main.records.peek(&hash).or_else(|| self.window.records.peek(&hash))
    }

    /// Stores a reply and makes room for it.
    pub fn insert(&mut self, hash: u64, key: &EntryKey, entry: Entry) -> Dropped {
        let mut dropped = Dropped::default();
        self.earliest = self.earliest.min(entry.deadline());
        let segment = match self.main.records.contains(&hash) {
            true => &mut self.main,
            false => &mut self.window,
        };
        match segment.records.get_mut(&hash) {
            Some(record) if record.key() == Some(key.key) => {
                let (before, count) = (record.cost(), record.len());
                dropped.entry = record.insert(key, entry, &self.state);
                segment.payload = segment.payload + record.cost() - before;
                self.entries = self.entries + record.len() - count;
            }
            // Nothing there, or (once in 2^64) another key with the same hash, which goes.
            _ => {
                let segment = if self.sketch.is_some() { &mut self.window } else { &mut self.main };
                let old = segment.put(hash, Record::One(entry));
                self.entries = self.entries + 1 - old.as_ref().map_or(0, Record::len);
                dropped.first = old;
            }
        }
        self.make_room(hash, &mut dropped);
        dropped
    }

    /// Removes all replies under a hash.
    pub fn remove(&mut self, hash: u64) -> Option<Record> {
        let record = self.main.pop(hash).or_else(|| self.window.pop(hash))?;
        self.entries -= record.len();
        Some(record)
    }

    /// Removes the reply to `key` only.
    pub fn remove_entry(&mut self, hash: u64, key: &EntryKey) -> Option<Record> {
        let segment = match self.main.records.contains(&hash) {
            true => &mut self.main,
            false => &mut self.window,
        };
        let record = segment.records.peek_mut(&hash)?;
        if record.len() <= 1 {
            record.get(key, &self.state)?;
            return self.remove(hash);
        }
        let before = record.cost();
        let entry = record.remove(key, &self.state)?;
        segment.payload = segment.payload + record.cost() - before;
        self.entries -= 1;
        Some(Record::One(entry))
    }

    /// Removes everything. The frequencies stay: what was hot will be again.
    pub fn clear(&mut self) -> impl Sized + use<> {
        self.entries = 0;
        self.earliest = u64::MAX;
        let old = (std::mem::replace(&mut self.window, Segment::new()), &mut self.main);
        (old.0.records, std::mem::replace(old.1, Segment::new()).records)
    }

    /// All records, the most recent first.
    pub fn records(&self) -> impl Iterator<Item = (u64, &Record)> {
        self.window.records.iter().chain(self.main.records.iter()).map(|(hash, record)| (*hash, record))
    }

    /// The moment before which no entry can have ended.
    pub fn earliest(&self) -> u64 {
        self.earliest
    }

    /// Removes entries that `dead` condemns among the `budget` least recently used records of each
    /// part. The caller chooses a budget that keeps the lock short.
    pub fn sweep(&mut self, budget: usize, dead: impl Fn(&Entry) -> bool, dropped: &mut Dropped) -> Swept {
        let mut swept = Swept { complete: true, ..Swept::default() };
        let mut earliest = u64::MAX;
        for segment in [&mut self.window, &mut self.main] {
            let mut condemned = Vec::new();
            swept.complete &= segment.records.len() <= budget;
            for (hash, record) in segment.records.iter().rev().take(budget) {
                swept.seen += 1;
                let mut any = false;
                for entry in record.entries() {
                    if dead(entry) {
                        any = true;
                    } else {
                        earliest = earliest.min(entry.deadline());
                    }
                }
                if any {
                    condemned.push(*hash);
                }
            }
            for hash in condemned {
                swept.removed += segment.bury(hash, &dead, dropped);
            }
        }
        if swept.complete {
            self.earliest = earliest;
        }
        self.entries -= swept.removed;
        swept
    }

    fn make_room(&mut self, newcomer: u64, dropped: &mut Dropped) {
        if let Some(sketch) = &mut self.sketch {
            sketch.fit(self.entries);
            let share = self.climber.window_share();
            while self.window.bytes() > (self.budget as f64 * share) as usize && self.window.records.len() > 1
            {
                let Some((hash, record)) = self.window.pop_lru() else { break };
                self.contest(hash, record, dropped);
            }
        }
        while self.bytes() > self.budget {
            let victim = self.main.pop_lru().or_else(|| self.window.pop_lru());
            let Some((hash, record)) = victim else { break };
            dropped.refused |= hash == newcomer;
            self.evict(record, dropped);
        }
    }

    /// A record that left the window takes the place of less frequent ones, or goes.
    fn contest(&mut self, hash: u64, record: Record, dropped: &mut Dropped) {
        let fame = self.fame(hash);
        let cost = record.cost() + NODE;
        while self.bytes() + cost > self.budget {
            let Some((victim, _)) = self.main.records.peek_lru() else { break };
            if fame <= self.fame(*victim) {
                return self.evict(record, dropped);
            }
            if let Some((_, victim)) = self.main.pop_lru() {
                self.evict(victim, dropped);
            }
        }
        self.main.put(hash, record);
    }

    fn fame(&self, hash: u64) -> u8 {
        self.sketch.as_ref().map_or(0, |sketch| sketch.count(hash))
    }

    fn evict(&mut self, record: Record, dropped: &mut Dropped) {
        self.entries -= record.len();
        dropped.evicted += record.len();
        dropped.push(record);
    }

    /// Recounts everything and compares.
    #[cfg(test)]
    pub fn validate(&self) {
        let mut entries = 0;
        for segment in [&self.window, &self.main] {
            let payload: usize = segment.records.iter().map(|(_, record)| record.cost()).sum();
            assert_eq!(payload, segment.payload, "payload bytes");
            assert!(segment.records.len() <= segment.peak);
            for (_, record) in &segment.records {
                assert!(!record.is_empty(), "empty record");
                assert!(record.entries().all(|e| Some(e.key()) == record.key()));
                assert!(record.entries().all(|e| e.deadline() >= self.earliest), "earliest");
                entries += record.len();
            }
        }
        for (hash, _) in &self.window.records {
            assert!(!self.main.records.contains(hash), "in both parts");
        }
        assert_eq!(entries, self.entries, "entries");
    }
}

impl Segment {
    /// Removes the condemned entries of one record.
    fn bury(&mut self, hash: u64, dead: &impl Fn(&Entry) -> bool, dropped: &mut Dropped) -> usize {
        let Some(record) = self.records.peek_mut(&hash) else { return 0 };
        if record.entries().all(dead) {
            let removed = record.len();
            if let Some(record) = self.pop(hash) {
                dropped.push(record);
            }
            return removed;
        }
        let before = record.cost();
        let removed = record.retain(|entry| !dead(entry));
        self.payload = self.payload + record.cost() - before;
        removed
    }
}

impl Dropped {
    fn push(&mut self, record: Record) {
        match self.first {
            None => self.first = Some(record),
            Some(_) => self.more.push(record),
        }
    }
}

/// Finds how large the window should be: it moves the border while that raises the hit ratio, and
/// turns round when it lowers it (hill climbing, as in Caffeine).
struct Climber {
    share: f64,
    step: f64,
    hits: u32,
    accesses: u32,
    last_ratio: f64,
    sample: u32,
}

const SHARE_MIN: f64 = 0.01;
const SHARE_MAX: f64 = 0.8;
const STEP: f64 = 0.0625;

impl Climber {
    fn new() -> Self {
        Climber { share: SHARE_MIN, step: STEP, hits: 0, accesses: 0, last_ratio: 0.0, sample: 1 << 14 }
    }

    fn window_share(&self) -> f64 {
        self.share
    }

    fn access(&mut self, hit: bool) {
        self.accesses += 1;
        self.hits += u32::from(hit);
        if self.accesses >= self.sample {
            self.climb();
        }
    }

    fn climb(&mut self) {
        let ratio = f64::from(self.hits) / f64::from(self.accesses);
        let change = ratio - self.last_ratio;
        if change < 0.0 {
            self.step = -self.step;
        }
        // A large change restarts the search, a small one lets it settle.
        self.step = if change.abs() >= 0.05 { STEP.copysign(self.step) } else { self.step * 0.98 };
        self.share = (self.share + self.step).clamp(SHARE_MIN, SHARE_MAX);
        self.last_ratio = ratio;
        self.hits = 0;
        self.accesses = 0;
    }
}

/// The map's keys are hashes already (keyed, of 64 bits), so they are not hashed again.
#[derive(Clone, Copy, Default)]
struct ByHash;

struct Given(u64);

impl BuildHasher for ByHash {
    type Hasher = Given;

    fn build_hasher(&self) -> Given {
        Given(0)
    }
}

impl Hasher for Given {
    fn write_u64(&mut self, n: u64) {
        // The shard is chosen by the high bits and the table's tag uses the top seven: spread them.
        self.0 = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "keys are u64");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
