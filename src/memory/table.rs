//! A hash table for large maps and sets: no operation ever takes long, and its order can be scanned.
//!
//! The one idea: *linear hashing over a dense array*. Items lie without holes in an array of fixed
//! chunks; buckets are chains of indexes into it. The table grows and shrinks by one bucket per insert
//! or remove, so there is no rehash to stall on. Removing moves the last item into the hole, which
//! keeps the array dense: a random item is one index away, and uniformly so.
//!
//! Scanning goes by the bit-reversed hash: a bucket is all items whose hashes share their low bits,
//! hence one interval of reversed hashes, and growing or shrinking only halves or joins intervals. A
//! cursor is a position in that space. An item that stays in the table during a whole scan is therefore
//! seen, whatever the others do (and seen once).
//!
//! Invariant: every index in `buckets` and in `next` is `NONE` or below `len()`; every item is in
//! exactly the chain of `bucket_of(its hash)`.

use std::sync::LazyLock;

use ahash::RandomState;

/// No slot.
pub const NONE: u32 = u32::MAX;

/// The end of a scan, one past the last position.
pub const SCAN_END: u64 = 1 << 32;

/// Bytes that an item costs besides itself: hash, link, bucket.
pub const SLOT_OVERHEAD: usize = 12;

/// Slots of a chunk: a chunk is the largest piece that is ever allocated or copied at once.
const CHUNK: usize = 1024;
const MIN_BUCKETS: usize = 4;

/// Keyed by the process's own random state, so that nobody can aim at one bucket.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hash that all tables use: the low 32 bits inside tables, higher ones choose a shard.
pub fn hash(key: &[u8]) -> u64 {
    HASHER.hash_one(key)
}

/// An item that knows its own key.
pub trait Keyed {
    /// What it is found by.
    fn key(&self) -> &[u8];

    /// Bytes that it has allocated.
    fn heap(&self) -> usize;
}

/// The table.
#[derive(Clone)]
pub struct Table<T> {
    slots: Chunks<Slot<T>>,
    buckets: Chunks<u32>,
    /// Bytes that the items have allocated, as of their insertion; see `account`.
    heap: usize,
}

#[derive(Clone)]
struct Slot<T> {
    item: T,
    hash: u32,
    next: u32,
}

/// What `remove` did.
pub struct Removed<T> {
    /// The item.
    pub item: T,
    /// The index from which an item was moved into the hole, when one was.
    pub moved_from: Option<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { slots: Chunks::default(), buckets: Chunks::default(), heap: 0 }
    }
}

impl<T: Keyed> Table<T> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the item with this key. `hash` is `hash(key)`.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let hash = hash as u32;
        let mut at = self.buckets[self.bucket_of(hash)];
        while at != NONE {
            let slot = &self.slots[at as usize];
            if slot.hash == hash && slot.item.key() == key {
                return Some(at);
            }
            at = slot.next;
        }
        None
    }

    /// The item with this key.
    pub fn get(&self, key: &[u8]) -> Option<&T> {
        self.find(hash(key), key).map(|at| self.at(at))
    }

    /// The item at an index below `len()`.
    pub fn at(&self, at: u32) -> &T {
        &self.slots[at as usize].item
    }

    /// The item at an index below `len()`. Its key must stay, and what it allocates is told to `account`.
    pub fn at_mut(&mut self, at: u32) -> &mut T {
        &mut self.slots[at as usize].item
    }

    /// Corrects the counted heap bytes after an item was changed in place.
    pub fn account(&mut self, before: usize, after: usize) {
        self.heap = self.heap + after - before;
    }

    /// Adds an item whose key is not in the table yet. `hash` is the hash of its key.
    pub fn insert(&mut self, hash: u64, item: T) -> u32 {
        let at = self.slots.len() as u32;
        self.heap += item.heap();
        if self.buckets.len() < MIN_BUCKETS {
            (0..MIN_BUCKETS).for_each(|_| self.buckets.push(NONE));
        } else if self.slots.len() >= self.buckets.len() {
            self.split();
        }
        let bucket = self.bucket_of(hash as u32);
        self.slots.push(Slot { item, hash: hash as u32, next: self.buckets[bucket] });
        self.buckets[bucket] = at;
        at
    }

    /// Takes out the item at an index below `len()`.
    pub fn remove(&mut self, at: u32) -> Removed<T> {
        self.unlink(at);
        let last = self.slots.len() as u32 - 1;
        if at != last {
            *self.link_to(last) = at;
        }
        let slot = self.slots.swap_remove(at as usize);
        self.heap -= slot.item.heap();
        if self.slots.len() * 4 < self.buckets.len() && self.buckets.len() > MIN_BUCKETS {
            // Two at a time, so that it shrinks faster than it grows.
            self.merge();
            self.merge();
        }
        Removed { item: slot.item, moved_from: (at != last).then_some(last) }
    }

    /// Takes out the item with this key.
    pub fn remove_key(&mut self, key: &[u8]) -> Option<T> {
        self.find(hash(key), key).map(|at| self.remove(at).item)
    }

    /// All items, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.item)
    }

    /// Visits the items of one bucket from `position` on; gives the next position, `SCAN_END` at the end.
    pub fn scan<'a>(&'a self, position: u64, mut visit: impl FnMut(&'a T)) -> u64 {
        if self.is_empty() || position >= SCAN_END {
            return SCAN_END;
        }
        let bucket = self.bucket_of((position as u32).reverse_bits());
        let mut at = self.buckets[bucket];
        while at != NONE {
            let slot = &self.slots[at as usize];
            if u64::from(slot.hash.reverse_bits()) >= position {
                visit(&slot.item);
            }
            at = slot.next;
        }
        let width = 1u64 << (32 - self.bits_of(bucket));
        (position | (width - 1)) + 1
    }

    /// Bytes allocated by the table and its items.
    pub fn heap(&self) -> usize {
        self.heap + self.slots.heap + self.buckets.heap
    }

    /// With 2^level <= buckets: bucket numbers below the split point have one more bit.
    fn level(&self) -> u32 {
        self.buckets.len().ilog2()
    }

    fn bucket_of(&self, hash: u32) -> usize {
        let level = self.level();
        let wide = (u64::from(hash) & ((2 << level) - 1)) as usize;
        if wide < self.buckets.len() { wide } else { wide & ((1 << level) - 1) }
    }

    /// How many low bits of the hash this bucket stands for.
    fn bits_of(&self, bucket: usize) -> u32 {
        let level = self.level();
        let split = self.buckets.len() - (1 << level);
        if bucket < split || bucket >= 1 << level { level + 1 } else { level }
    }

    /// Adds a bucket and moves into it what belongs there from its elder.
    fn split(&mut self) {
        let new = self.buckets.len();
        let elder = new - (1 << self.level());
        let mut at = self.buckets[elder];
        self.buckets.push(NONE);
        let (mut stay, mut go) = (NONE, NONE);
        while at != NONE {
            let home = self.bucket_of(self.slots[at as usize].hash);
            let slot = &mut self.slots[at as usize];
            let next = slot.next;
            let chain = if home == new { &mut go } else { &mut stay };
            slot.next = *chain;
            *chain = at;
            at = next;
        }
        self.buckets[elder] = stay;
        self.buckets[new] = go;
    }

    /// Undoes the newest split.
    fn merge(&mut self) {
        if self.buckets.len() <= MIN_BUCKETS {
            return;
        }
        let mut at = self.buckets.pop().unwrap_or(NONE);
        let gone = self.buckets.len();
        // The elder is the same whether or not a level ended here: the number without its top bit.
        let elder = gone - (1 << gone.ilog2());
        while at != NONE {
            let slot = &mut self.slots[at as usize];
            let next = slot.next;
            slot.next = self.buckets[elder];
            self.buckets[elder] = at;
            at = next;
        }
    }

    fn unlink(&mut self, at: u32) {
        let next = self.slots[at as usize].next;
        *self.link_to(at) = next;
    }

    /// The place that holds the index `at`: a bucket's head or another slot's `next`.
    fn link_to(&mut self, at: u32) -> &mut u32 {
        let bucket = self.bucket_of(self.slots[at as usize].hash);
        let mut link = self.buckets[bucket];
        if link == at {
            return &mut self.buckets[bucket];
        }
        while self.slots[link as usize].next != at {
            link = self.slots[link as usize].next;
        }
        &mut self.slots[link as usize].next
    }
}

/// A vector that grows by chunks, so that growing a large one copies nothing.
pub struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
    /// Bytes allocated: asked for after each change to a key, and changed by few.
    heap: usize,
}

impl<T: Clone> Clone for Chunks<T> {
    fn clone(&self) -> Self {
        let mut copy = Chunks { chunks: self.chunks.clone(), len: self.len, heap: 0 };
        // A copy has no room to spare.
        copy.heap = copy.count_heap();
        copy
    }
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), len: 0, heap: 0 }
    }
}

impl<T> Chunks<T> {
    /// Bytes allocated by itself.
    pub fn heap(&self) -> usize {
        self.heap
    }

    fn len(&self) -> usize {
        self.len
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        let chunk = self.len / CHUNK;
        if chunk == self.chunks.len() {
            // The first chunk grows as a vector does: most tables are small.
            self.chunks.push(if chunk == 0 { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        let full = self.chunks[chunk].len() == self.chunks[chunk].capacity();
        self.chunks[chunk].push(item);
        self.len += 1;
        if full || self.len % CHUNK == 1 {
            self.heap = self.count_heap();
        }
    }

    fn pop(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        let item = self.chunks[last / CHUNK].pop();
        self.len = last;
        self.shrink();
        item
    }

    /// The last item takes the place of the one at `at`.
    pub fn swap_remove(&mut self, at: usize) -> T {
        let last = self.len - 1;
        let mut item = self.chunks[last / CHUNK].pop().expect("the last chunk in use is not empty");
        if at != last {
            std::mem::swap(&mut item, &mut self[at]);
        }
        self.len = last;
        self.shrink();
        item
    }

    /// Frees what is not needed, but keeps an empty chunk in hand until the one before it is half empty.
    fn shrink(&mut self) {
        if self.chunks.len() > (self.len + CHUNK / 2) / CHUNK + 1 {
            self.chunks.pop();
            self.heap = self.count_heap();
        }
        if self.chunks.len() == 1 && self.len * 4 < self.chunks[0].capacity() {
            self.chunks[0].shrink_to(self.len * 2);
            self.heap = self.count_heap();
        }
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    fn count_heap(&self) -> usize {
        let Some(first) = self.chunks.first() else { return 0 };
        let later = (self.chunks.len() - 1) * super::blob::allocated(CHUNK * size_of::<T>());
        super::blob::allocated(first.capacity() * size_of::<T>())
            + later
            + super::blob::allocated(self.chunks.capacity() * size_of::<Vec<T>>())
    }
}

impl<T> std::ops::Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.chunks[at / CHUNK][at % CHUNK]
    }
}

impl<T> std::ops::IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }
}

impl Keyed for super::blob::Blob {
    fn key(&self) -> &[u8] {
        self
    }

    fn heap(&self) -> usize {
        super::blob::Blob::heap(self)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
