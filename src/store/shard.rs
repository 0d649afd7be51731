//! One shard of the store: records in recency order under a byte bound, with frequency deciding who
//! stays. No lock, no clock: `near` holds one of these under each of its shard locks.
//!
//! The one idea (W-TinyLFU): a new record enters a small *window*; what falls out of the window gets
//! into the *main* part only if it was asked for more often lately than the record it would push
//! out. So a scan passes through the window and leaves the hot records alone. With
//! `Admission::Always` there is no window and no sketch, and this is a plain LRU.
//!
//! Invariant: `bytes()` is what `validate()` recounts, and is at most `budget` after every call. So a smaller
//! budget is approached in steps, each of which keeps the invariant.

use super::entry::{Entry, EntryKey};
use super::record::Record;
use super::segment::{NODE, Segment};
use super::sketch::Sketch;
use ahash::RandomState;

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
    returns: Returns,
    /// Bytes that everything here may take.
    budget: usize,
    /// Entries in all records.
    entries: usize,
    state: RandomState,
    /// No entry ends before this moment (ns), so a sweep before it would find nothing.
    earliest: u64,
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

/// The window is a tenth of the shard: best on average over the traces of benches/hit_ratio.rs. Hill
/// climbing for it was tried and was worse than this at every sample size, being slow and noisy.
const WINDOW_SHARE: usize = 10;
/// Bytes that one step towards a smaller budget frees, about: some thousand records.
const SHRINK_STEP: usize = 256 * 1024;
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
            returns: Returns::default(),
            budget,
            entries: 0,
            state,
            earliest: u64::MAX,
        }
    }

    /// Sets another budget, or makes one step towards a smaller one, so that the caller's lock is held
    /// shortly: to be called again until it returns true.
    #[must_use = "false: the budget is not yet the one wanted"]
    pub fn set_budget(&mut self, wanted: usize, dropped: &mut Dropped) -> bool {
        let bytes = self.bytes();
        self.budget = wanted.max(bytes.saturating_sub(SHRINK_STEP));
        if bytes <= wanted {
            return true;
        }
        // What tables give back may spare a record, so they are asked each time; they do at halvings only.
        while self.bytes() > self.budget && self.evict_last(dropped).is_some() {
            self.window.compact();
            self.main.compact();
            if let Some(sketch) = &mut self.sketch {
                sketch.trim(self.entries);
            }
        }
        self.budget == wanted
    }

    /// Sets another rule for who may stay. What is here stays.
    pub fn set_admission(&mut self, admission: Admission) {
        match admission {
            Admission::Always => {
                self.sketch = None;
                while let Some((hash, record)) = self.window.pop_lru() {
                    self.main.put(hash, record);
                }
                self.window.compact();
            }
            Admission::Frequency { admit_after } => {
                self.sketch.get_or_insert_with(|| Sketch::new(0));
                self.admit_after = admit_after;
            }
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
        let Some(sketch) = &mut self.sketch else { return true };
        let accesses = sketch.touch(hash);
        self.returns.count(accesses);
        accesses >= self.admit_after || self.returns.are_usual()
    }

    /// Makes the key's record the most recent one and shows the reply to `key` to `serve`, which says
    /// whether it was used: then that is counted as an access.
    pub fn visit(&mut self, hash: u64, key: &EntryKey, serve: impl FnOnce(&Entry) -> bool) -> bool {
        let record = match self.main.records.get_mut(&hash) {
            Some(record) => Some(record),
            None => self.window.records.get_mut(&hash),
        };
        let entry = record.and_then(|record| record.get_mut(key, &self.state));
        let Some(entry) = entry.filter(|entry| serve(entry)) else { return false };
        entry.count_hit();
        if let Some(sketch) = &mut self.sketch {
            self.returns.count(sketch.touch(hash));
        }
        true
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
            while self.window.bytes() > self.budget / WINDOW_SHARE && self.window.records.len() > 1 {
                let Some((hash, record)) = self.window.pop_lru() else { break };
                self.contest(hash, record, dropped);
            }
        }
        while self.bytes() > self.budget {
            let Some(hash) = self.evict_last(dropped) else { break };
            dropped.refused |= hash == newcomer;
        }
    }

    /// Evicts the record that is worth least.
    fn evict_last(&mut self, dropped: &mut Dropped) -> Option<u64> {
        let (hash, record) = self.main.pop_lru().or_else(|| self.window.pop_lru())?;
        self.evict(record, dropped);
        Some(hash)
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

impl Dropped {
    pub(super) fn push(&mut self, record: Record) {
        match self.first {
            None => self.first = Some(record),
            Some(_) => self.more.push(record),
        }
    }
}

/// Whether new keys come back: how many of them were asked for a second time.
///
/// A tracked fetch costs Redis about 1.4 µs, a plain read 0.5 µs. With a share p of new keys coming
/// back, fetching tracked at once costs 1.4, at the second access 0.5 + 1.4 p: equal at p = 0.64. So
/// above that, waiting for the second access costs Redis more than it saves, and costs a hit.
#[derive(Default)]
struct Returns {
    firsts: u32,
    seconds: u32,
}

/// First accesses before the share is believed.
const RETURNS_SAMPLE: u32 = 256;

impl Returns {
    fn count(&mut self, accesses: u8) {
        match accesses {
            1 => self.firsts += 1,
            2 => self.seconds += 1,
            _ => {}
        }
        if self.firsts >= 8 * RETURNS_SAMPLE {
            self.firsts /= 2;
            self.seconds /= 2;
        }
    }

    fn are_usual(&self) -> bool {
        self.firsts >= RETURNS_SAMPLE && f64::from(self.seconds) > 0.64 * f64::from(self.firsts)
    }
}

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
