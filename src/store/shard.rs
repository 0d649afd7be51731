//! One shard of the store: records in recency order under a byte bound, with frequency deciding who
//! stays. No lock, no clock: `near` holds one of these under each of its shard locks.
//!
//! The one idea (W-TinyLFU): a new record enters a small *window*; what falls out of the window gets
//! into the *main* part (probation, and protected for those asked for again) only if it was asked for
//! more often lately than the record it would push out. So a scan passes through the window and leaves
//! the hot records alone. Who is turned away and soon asked for again enters the main part at once.
//! With `Admission::Always` all of this is a plain LRU: everything new or asked for is in the window,
//! which has no bound of its own.
//!
//! Invariant: `bytes()` is what `validate()` recounts, and is at most `budget` after every call. So a smaller
//! budget is approached in steps, each of which keeps the invariant.

use super::entry::{Entry, EntryKey};
use super::ghost::Ghost;
use super::record::Record;
use super::records::{Part, Records, Slot};
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
    records: Records,
    /// None with `Admission::Always`.
    frequency: Option<Frequency>,
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

/// What admission by frequency goes by.
struct Frequency {
    sketch: Sketch,
    ghost: Ghost,
    admit_after: u8,
    returns: Returns,
}

// Shares: best on average over the traces of benches/hit_ratio.rs. Hill climbing for the window was tried
// and was worse than this, being slow and noisy.

/// The window is a tenth of the shard.
const WINDOW_SHARE: usize = 10;
/// Of the main part, two thirds are protected.
const PROTECTED_SHARE: (usize, usize) = (2, 3);
/// Records that one call moves from one part to another, at most: one large value may make room
/// necessary for thousands of small ones, and the next calls can do the rest.
const MAX_MOVES: usize = 64;
/// Bytes that one step towards a smaller budget frees, about: some thousand records.
const SHRINK_STEP: usize = 256 * 1024;

impl Shard {
    /// A shard of at most `budget` bytes. `state` is the same in all shards.
    pub fn new(budget: usize, admission: Admission, state: RandomState) -> Self {
        let mut shard =
            Shard { records: Records::new(), frequency: None, budget, entries: 0, state, earliest: u64::MAX };
        shard.set_admission(admission);
        shard
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
            self.records.compact();
            if let Some(frequency) = &mut self.frequency {
                frequency.trim(self.records.len());
            }
        }
        self.budget == wanted
    }

    /// Sets another rule for who may stay. What is here stays.
    pub fn set_admission(&mut self, admission: Admission) {
        match (admission, &mut self.frequency) {
            (Admission::Always, frequency) => *frequency = None,
            (Admission::Frequency { admit_after }, Some(frequency)) => frequency.admit_after = admit_after,
            (Admission::Frequency { admit_after }, none) => *none = Some(Frequency::new(admit_after)),
        }
    }

    /// Bytes in use, overhead included.
    pub fn bytes(&self) -> usize {
        self.records.bytes() + self.frequency.as_ref().map_or(0, Frequency::bytes)
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
        self.frequency.as_mut().is_none_or(|frequency| frequency.wants(hash))
    }

    /// Makes the key's record the most recent one and shows the reply to `key` to `serve`, which says
    /// whether it was used: then that is counted as an access.
    pub fn visit(&mut self, hash: u64, key: &EntryKey, serve: impl FnOnce(&Entry) -> bool) -> bool {
        let Some(slot) = self.records.find(hash) else { return false };
        let entry = self.records.get_mut(slot).get_mut(key, &self.state);
        let served = entry.filter(|entry| serve(entry)).map(Entry::count_hit).is_some();
        if served && let Some(frequency) = &mut self.frequency {
            frequency.touch(hash);
        }
        self.rise(slot);
        served
    }

    /// The reply to `key`, without counting anything.
    pub fn peek(&self, hash: u64, key: &EntryKey) -> Option<&Entry> {
        self.record(hash)?.get(key, &self.state)
    }

    /// All replies under a hash.
    pub fn record(&self, hash: u64) -> Option<&Record> {
        self.records.find(hash).map(|slot| self.records.get(slot))
    }

    /// Stores a reply and makes room for it.
    pub fn insert(&mut self, hash: u64, key: &EntryKey, entry: Entry) -> Dropped {
        let mut dropped = Dropped::default();
        self.earliest = self.earliest.min(entry.deadline());
        let found = self.records.find(hash);
        match found.filter(|&slot| self.records.get(slot).key() == Some(key.key)) {
            Some(slot) => {
                let state = &self.state;
                dropped.entry = self.records.edit(slot, |record| record.insert(key, entry, state));
                self.entries += usize::from(dropped.entry.is_none());
                self.rise(slot);
            }
            // Nothing there, or (once in 2^64) another key with the same hash, which goes.
            None => {
                dropped.first = found.map(|slot| self.take(slot));
                if self.records.is_full() {
                    self.evict_last(&mut dropped);
                }
                let known = self.frequency.as_mut().is_some_and(|frequency| frequency.ghost.take(hash));
                let part = if known { Part::Probation } else { Part::Window };
                self.records.insert(hash, Record::One(entry), part);
                self.entries += 1;
            }
        }
        self.make_room(hash, &mut dropped);
        dropped
    }

    /// Removes all replies under a hash.
    pub fn remove(&mut self, hash: u64) -> Option<Record> {
        self.records.find(hash).map(|slot| self.take(slot))
    }

    fn take(&mut self, slot: Slot) -> Record {
        let record = self.records.remove(slot);
        self.entries -= record.len();
        record
    }

    /// Removes the reply to `key` only.
    pub fn remove_entry(&mut self, hash: u64, key: &EntryKey) -> Option<Record> {
        let slot = self.records.find(hash)?;
        let (record, state) = (self.records.get(slot), &self.state);
        record.get(key, state)?;
        if record.len() <= 1 {
            return Some(self.take(slot));
        }
        let entry = self.records.edit(slot, |record| record.remove(key, state))?;
        self.entries -= 1;
        Some(Record::One(entry))
    }

    /// Removes everything. The frequencies stay: what was hot will be again.
    pub fn clear(&mut self) -> impl Sized + use<> {
        self.entries = 0;
        self.earliest = u64::MAX;
        std::mem::replace(&mut self.records, Records::new())
    }

    /// All records, the most recent of each part first; of a plain LRU, the most recent first.
    pub fn records(&self) -> impl Iterator<Item = (u64, &Record)> {
        let parts = [Part::Window, Part::Protected, Part::Probation].into_iter();
        let slots = parts.flat_map(|part| self.records.iter(part));
        slots.map(|slot| (self.records.hash_of(slot), self.records.get(slot)))
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
        for part in [Part::Window, Part::Probation, Part::Protected] {
            let mut condemned = Vec::new();
            swept.complete &= self.records.len_of(part) <= budget;
            for slot in self.records.iter_back(part).take(budget) {
                swept.seen += 1;
                let mut any = false;
                for entry in self.records.get(slot).entries() {
                    if dead(entry) {
                        any = true;
                    } else {
                        earliest = earliest.min(entry.deadline());
                    }
                }
                if any {
                    condemned.push(slot);
                }
            }
            for slot in condemned {
                swept.removed += self.records.bury(slot, &dead, dropped);
            }
        }
        if swept.complete {
            self.earliest = earliest;
        }
        self.entries -= swept.removed;
        swept
    }

    /// Moves a record that was asked for to where it is safest.
    fn rise(&mut self, slot: Slot) {
        if self.frequency.is_none() || self.records.part_of(slot) == Part::Window {
            return self.records.move_to(slot, Part::Window);
        }
        self.records.move_to(slot, Part::Protected);
        for _ in 0..MAX_MOVES {
            let protected = self.records.bytes_of(Part::Protected);
            let most =
                (self.records.bytes_of(Part::Probation) + protected) / PROTECTED_SHARE.1 * PROTECTED_SHARE.0;
            let Some(last) = self.records.last(Part::Protected).filter(|_| protected > most) else { break };
            self.records.move_to(last, Part::Probation);
        }
    }

    fn make_room(&mut self, newcomer: u64, dropped: &mut Dropped) {
        if let Some(frequency) = &mut self.frequency {
            frequency.fit(self.records.len());
            for _ in 0..MAX_MOVES {
                let window = self.records.bytes_of(Part::Window);
                if window <= self.budget / WINDOW_SHARE || self.records.len_of(Part::Window) <= 1 {
                    break;
                }
                let Some(slot) = self.records.last(Part::Window) else { break };
                self.contest(slot, dropped);
            }
        }
        while self.is_over() {
            let Some(hash) = self.evict_last(dropped) else { break };
            dropped.refused |= hash == newcomer;
        }
    }

    /// Room is kept for the table to double in, else the next record would push out one in 25.
    fn is_over(&self) -> bool {
        self.bytes() + self.records.growth() > self.budget
    }

    /// Evicts the record that is worth least.
    fn evict_last(&mut self, dropped: &mut Dropped) -> Option<u64> {
        let slot = self.last_of_main().or_else(|| self.records.last(Part::Window))?;
        let hash = self.records.hash_of(slot);
        self.evict(slot, dropped);
        Some(hash)
    }

    fn last_of_main(&self) -> Option<Slot> {
        self.records.last(Part::Probation).or_else(|| self.records.last(Part::Protected))
    }

    /// A record that leaves the window takes the place of less frequent ones, or goes.
    fn contest(&mut self, slot: Slot, dropped: &mut Dropped) {
        let hash = self.records.hash_of(slot);
        let fame = self.fame(hash);
        while self.is_over() {
            let Some(victim) = self.last_of_main() else { break };
            if fame <= self.fame(self.records.hash_of(victim)) {
                if let Some(frequency) = &mut self.frequency {
                    frequency.ghost.put(hash);
                }
                return self.evict(slot, dropped);
            }
            self.evict(victim, dropped);
        }
        self.records.move_to(slot, Part::Probation);
    }

    fn fame(&self, hash: u64) -> u8 {
        self.frequency.as_ref().map_or(0, |frequency| frequency.sketch.count(hash))
    }

    fn evict(&mut self, slot: Slot, dropped: &mut Dropped) {
        let record = self.take(slot);
        dropped.evicted += record.len();
        dropped.push(record);
    }

    /// Recounts everything and compares.
    #[cfg(test)]
    pub fn validate(&self) {
        self.records.validate();
        let mut entries = 0;
        for (_, record) in self.records() {
            assert!(!record.is_empty(), "empty record");
            assert!(record.entries().all(|e| Some(e.key()) == record.key()));
            assert!(record.entries().all(|e| e.deadline() >= self.earliest), "earliest");
            entries += record.len();
        }
        assert_eq!(entries, self.entries, "entries");
    }
}

impl Frequency {
    fn new(admit_after: u8) -> Self {
        Frequency { sketch: Sketch::new(0), ghost: Ghost::new(), admit_after, returns: Returns::default() }
    }

    fn wants(&mut self, hash: u64) -> bool {
        self.touch(hash) >= self.admit_after || self.returns.are_usual()
    }

    fn touch(&mut self, hash: u64) -> u8 {
        let accesses = self.sketch.touch(hash);
        self.returns.count(accesses);
        accesses
    }

    fn fit(&mut self, keys: usize) {
        self.sketch.fit(keys);
        self.ghost.fit(keys);
    }

    fn trim(&mut self, keys: usize) {
        self.sketch.trim(keys);
        self.ghost.trim(keys);
    }

    fn bytes(&self) -> usize {
        self.sketch.bytes() + self.ghost.bytes()
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
