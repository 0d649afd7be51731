//! Records in recency order and the bytes they take: what a shard's window and main part have in common.

use super::entry::Entry;
use super::record::Record;
use super::shard::Dropped;
use super::size::{size_class, table_bytes};
use lru::LruCache;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroUsize;

/// Records in recency order and their bytes.
pub(super) struct Segment {
    pub records: LruCache<u64, Record, ByHash>,
    /// Heap bytes of the records, without nodes and table.
    pub payload: usize,
    /// The most records held so far, which the table has room for.
    pub peak: usize,
}

/// Node of `lru`: two links beside key and record.
pub(super) const NODE: usize = size_class(16 + size_of::<(u64, Record)>());
/// Slot of `lru`'s table: two pointers.
const SLOT: usize = 16;
/// A segment's fixed cost: its two end nodes.
const ENDS: usize = 2 * NODE;

impl Segment {
    pub fn new() -> Self {
        Segment { records: LruCache::unbounded_with_hasher(ByHash), payload: 0, peak: 0 }
    }

    pub fn bytes(&self) -> usize {
        self.payload + self.records.len() * NODE + table_bytes(self.peak, SLOT) + ENDS
    }

    pub fn put(&mut self, hash: u64, record: Record) -> Option<Record> {
        self.payload += record.cost();
        let old = self.records.put(hash, record);
        self.payload -= old.as_ref().map_or(0, Record::cost);
        self.peak = self.peak.max(self.records.len());
        old
    }

    pub fn pop(&mut self, hash: u64) -> Option<Record> {
        let record = self.records.pop(&hash)?;
        self.payload -= record.cost();
        Some(record)
    }

    /// Gives back the part of the table that the records left have no use for.
    pub fn compact(&mut self) {
        let len = self.records.len();
        if table_bytes(len, SLOT) < table_bytes(self.peak, SLOT) {
            self.records.resize(NonZeroUsize::new(len).unwrap_or(NonZeroUsize::MIN));
            self.records.resize(NonZeroUsize::MAX);
            self.peak = len;
        }
    }

    pub fn pop_lru(&mut self) -> Option<(u64, Record)> {
        let (hash, record) = self.records.pop_lru()?;
        self.payload -= record.cost();
        Some((hash, record))
    }

    /// Removes the condemned entries of one record.
    pub fn bury(&mut self, hash: u64, dead: &impl Fn(&Entry) -> bool, dropped: &mut Dropped) -> usize {
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

/// The map's keys are hashes already (keyed, of 64 bits), so they are not hashed again.
#[derive(Clone, Copy, Default)]
pub(super) struct ByHash;

pub(super) struct Given(u64);

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
