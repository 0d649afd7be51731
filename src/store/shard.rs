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
//! A hit is only *noted* in its record, which costs no memory access: neither the lists nor the sketch are
//! touched. It is *settled* (counted by the sketch, and the record moves where it is safest) at every
//! `SETTLE_AT`th hit, and before a record that has come to the end of its list loses its place. Hit ratios
//! are the same. A plain LRU settles every hit at once, so that it is one.
//!
//! Invariant: `bytes()` is what `validate()` recounts, and is at most `budget` after every call. So a smaller
//! budget is approached in steps, each of which keeps the invariant.

use super::entry::{Entry, EntryKey};
use super::frequency::Frequency;
use super::record::Record;
use super::records::{MAX_UNSETTLED, Part, Records, Slot};
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

/// One shard. What a hit needs comes first, to be in few cache lines.
#[repr(C)]
pub struct Shard {
    /// A record's hits are settled when there are so many: at once in a plain LRU.
    settle_at: u8,
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

// Shares: best on average over the traces of benches/hit_ratio.rs. Hill climbing for the window was tried
// and was worse than this, being slow and noisy.

/// The window is a tenth of the shard.
const WINDOW_SHARE: usize = 10;
/// Of the main part, two thirds are protected.
const PROTECTED_SHARE: (usize, usize) = (2, 3);
/// Records that one call moves within or between parts, at most: one large value may make room
/// necessary for thousands of small ones, and the next calls can do the rest.
const MAX_MOVES: usize = 64;
/// Hits that a record may have before they are settled: as many as a node can count.
const SETTLE_AT: u8 = MAX_UNSETTLED;
const _: () = assert!(SETTLE_AT <= MAX_UNSETTLED);
/// Bytes that one step towards a smaller budget frees, about: some thousand records.
const SHRINK_STEP: usize = 256 * 1024;

impl Shard {
    /// A shard of at most `budget` bytes. `state` is the same in all shards.
    pub fn new(budget: usize, admission: Admission, state: RandomState) -> Self {
        let mut shard = Shard {
            settle_at: 1,
            records: Records::new(),
            frequency: None,
            budget,
            entries: 0,
            state,
            earliest: u64::MAX,
        };
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
        let mut moves = MAX_MOVES;
        while self.bytes() > self.budget && self.evict_last(&mut moves, dropped).is_some() {
            self.records.compact();
            if let Some(frequency) = &mut self.frequency {
                frequency.trim(self.records.len(), self.budget);
            }
        }
        self.budget == wanted
    }

    /// Sets another rule for who may stay. What is here stays.
    pub fn set_admission(&mut self, admission: Admission) {
        self.settle_at = if admission == Admission::Always { 1 } else { SETTLE_AT };
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

    /// Counts a miss of a key that is worth caching; false if it is written too often to be fetched now.
    pub fn pays(&mut self, hash: u64) -> bool {
        self.frequency.as_mut().is_none_or(|frequency| frequency.churn.pays(hash))
    }

    /// So many fetches of a key have been ended by a change, and so many reads have been saved by them.
    pub fn ended(&mut self, hash: u64, fetches: u32, hits: u32) {
        if let Some(frequency) = &mut self.frequency {
            frequency.churn.ended(hash, fetches, hits);
        }
    }

    /// A fetch of a key has ended by its time, and has saved so many reads.
    pub fn earned(&mut self, hash: u64, hits: u32) {
        if let Some(frequency) = &mut self.frequency {
            frequency.churn.earned(hash, hits);
        }
    }

    /// Shows the entry for `key`, where it is and its reply to `serve`, which says whether it was used: then
    /// that is a hit. `guess`: where the record may well be.
    #[inline]
    pub fn visit(
        &mut self,
        guess: Option<Slot>,
        hash: u64,
        key: &EntryKey,
        serve: impl FnOnce(Slot, &Entry, &[u8]) -> bool,
    ) -> bool {
        let Some(slot) = self.records.find_at(guess, hash) else { return false };
        let state = &self.state;
        let hits = self
            .records
            .visit(slot, |record| record.hit(key, state, |entry, reply| serve(slot, entry, reply)));
        // A first hit is settled at once, so that it is known whether new keys return.
        if hits.is_none_or(|(of_entry, noted)| of_entry == 1 || noted >= self.settle_at) {
            self.settle(slot, &mut MAX_MOVES.clone());
        }
        hits.is_some()
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
                self.rise(slot, &mut MAX_MOVES.clone());
            }
            // Nothing there, or (once in 2^64) another key with the same hash, which goes.
            None => {
                dropped.first = found.map(|slot| self.take(slot));
                if self.records.is_full() {
                    self.evict_last(&mut 0, &mut dropped);
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
        self.count_hits(slot);
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

    /// Removes everything. The frequencies stay, without the hits not settled yet: what was hot will be
    /// again.
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
                        if let Some(frequency) = &mut self.frequency {
                            frequency.churn.earned(self.records.hash_of(slot), u32::from(entry.hits()));
                        }
                    } else {
                        earliest = earliest.min(entry.deadline());
                    }
                }
                if any {
                    condemned.push(slot);
                }
            }
            for slot in condemned {
                self.count_hits(slot);
                swept.removed += self.records.bury(slot, &dead, dropped);
            }
        }
        if swept.complete {
            self.earliest = earliest;
        }
        self.entries -= swept.removed;
        swept
    }

    /// Gives a record what its hits have earned.
    fn settle(&mut self, slot: Slot, moves: &mut usize) {
        self.count_hits(slot);
        self.rise(slot, moves);
    }

    /// Tells the sketch of hits that were only noted so far.
    fn count_hits(&mut self, slot: Slot) {
        let hits = self.records.take_unsettled(slot);
        if let Some(frequency) = self.frequency.as_mut().filter(|_| hits > 0) {
            frequency.add(self.records.hash_of(slot), hits);
        }
    }

    /// Moves a record that was asked for to where it is safest.
    fn rise(&mut self, slot: Slot, moves: &mut usize) {
        if self.frequency.is_none() || self.records.part_of(slot) == Part::Window {
            return self.records.move_to(slot, Part::Window);
        }
        self.records.move_to(slot, Part::Protected);
        while *moves > 0 {
            let protected = self.records.bytes_of(Part::Protected);
            let most =
                (self.records.bytes_of(Part::Probation) + protected) / PROTECTED_SHARE.1 * PROTECTED_SHARE.0;
            let Some(last) = self.records.last(Part::Protected).filter(|_| protected > most) else { break };
            *moves -= 1;
            let was_hit = self.records.unsettled(last) > 0;
            self.count_hits(last);
            self.records.move_to(last, if was_hit { Part::Protected } else { Part::Probation });
        }
    }

    fn make_room(&mut self, newcomer: u64, dropped: &mut Dropped) {
        let mut moves = MAX_MOVES;
        if let Some(frequency) = &mut self.frequency {
            frequency.fit(self.records.len(), self.budget);
            while moves > 0 {
                let window = self.records.bytes_of(Part::Window);
                if window <= self.budget / WINDOW_SHARE || self.records.len_of(Part::Window) <= 1 {
                    break;
                }
                let Some(slot) = self.records.last(Part::Window) else { break };
                moves -= 1;
                match self.records.unsettled(slot) {
                    0 => self.contest(slot, &mut moves, dropped),
                    _ => self.settle(slot, &mut moves),
                }
            }
        }
        while self.is_over() {
            let Some(hash) = self.evict_last(&mut moves, dropped) else { break };
            dropped.refused |= hash == newcomer;
        }
    }

    /// Room is kept for the table to double in, else the next record would push out one in 25.
    fn is_over(&self) -> bool {
        self.bytes() + self.records.growth() > self.budget
    }

    /// Evicts the record that is worth least.
    fn evict_last(&mut self, moves: &mut usize, dropped: &mut Dropped) -> Option<u64> {
        let slot = self.victim(moves).or_else(|| self.records.last(Part::Window))?;
        let hash = self.records.hash_of(slot);
        self.evict(slot, dropped);
        Some(hash)
    }

    /// The record of the main part that is worth least. Those in its way that were hit rise.
    fn victim(&mut self, moves: &mut usize) -> Option<Slot> {
        while *moves > 0
            && let Some(slot) = self.records.last(Part::Probation)
            && self.records.unsettled(slot) > 0
        {
            *moves -= 1;
            self.settle(slot, moves);
        }
        self.records.last(Part::Probation).or_else(|| self.records.last(Part::Protected))
    }

    /// A record that leaves the window takes the place of less frequent ones, or goes.
    fn contest(&mut self, slot: Slot, moves: &mut usize, dropped: &mut Dropped) {
        let fame = self.fame(slot);
        while self.is_over() {
            let Some(victim) = self.victim(moves) else { break };
            if fame <= self.fame(victim) {
                if let Some(frequency) = &mut self.frequency {
                    frequency.ghost.put(self.records.hash_of(slot));
                }
                return self.evict(slot, dropped);
            }
            self.evict(victim, dropped);
        }
        self.records.move_to(slot, Part::Probation);
    }

    /// How often a record was asked for lately.
    fn fame(&self, slot: Slot) -> u8 {
        let counted = self.frequency.as_ref().map_or(0, |f| f.sketch.count(self.records.hash_of(slot)));
        counted + self.records.unsettled(slot)
    }

    fn evict(&mut self, slot: Slot, dropped: &mut Dropped) {
        let hash = self.records.hash_of(slot);
        let record = self.take(slot);
        self.earned(hash, record.entries().map(|entry| u32::from(entry.hits())).sum());
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
        assert!(self.records.most_unsettled() < SETTLE_AT, "hits are settled in time");
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

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
