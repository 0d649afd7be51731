//! Where entries lie in memory, so that they can be fetched before they are needed.
//!
//! A lookup follows a chain: shard, table, node, entry. Each step is mostly a cache miss, and none can begin
//! before the one in front of it has ended. So the ends of the chain are kept here by hash, outside of all locks:
//! the addresses of entries that were hit, and their slots. A hit begins with its hint, which brings the end of
//! the chain while its beginning is gone through, and makes the table unnecessary. In a pipeline it is known what
//! is asked for next: then `prepare` brings the line with the hint and `bring` what it leads to, both while other
//! requests are executed.
//!
//! Nothing depends on them. A hint may be missing, another key's, or lead to where nothing is any more: memory is
//! fetched in vain then, and what lies there is not looked at. A slot is looked at under the shard's lock, whether
//! it is the one of that hash.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::Near;
use crate::prefetch::prefetch;
use crate::store::{Entry, Slot};

/// Hints by hash, four to a cache line.
pub(super) struct Hints(Box<[Line]>);

/// The hints of hashes with the same low bits.
#[derive(Default)]
#[repr(align(64))]
struct Line {
    /// The address of an entry's bytes, and in the highest bits those of its hash.
    bytes: [AtomicU64; WAYS],
    /// The address of the entry itself, which is part of the store's node, and the node's slot.
    entry: [AtomicU64; WAYS],
}

const WAYS: usize = 4;

/// Of all memory, this share is for hints: one for each 4 KB, far fewer than there may be small entries.
const SHARE: usize = 256;

/// Addresses of programs have no more bits, on all that this runs on.
const ADDRESS: u64 = (1 << 48) - 1;

/// Entries are aligned to so many bits.
const ALIGNED: u32 = align_of::<Entry>().ilog2();
const ENTRY_BITS: u32 = ADDRESS.count_ones() - ALIGNED;

/// A processor's cache line.
const CACHE_LINE: usize = 64;

impl Hints {
    /// As many as there should be for a cache of so many bytes.
    pub fn new(max_memory: usize) -> Self {
        let lines = (max_memory / SHARE / size_of::<Line>()).max(1);
        Hints((0..1 << lines.ilog2()).map(|_| Line::default()).collect())
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    #[inline(always)]
    fn line(&self, hash: u64) -> &Line {
        &self.0[hash as usize & (self.0.len() - 1)]
    }

    /// Keeps where an entry lies.
    #[inline(always)]
    pub fn note(&self, hash: u64, slot: Slot, entry: &Entry) {
        let bytes = tagged(hash, entry.address());
        if self.line(hash).bytes.iter().all(|known| known.load(Relaxed) != bytes) {
            self.learn(hash, bytes, numbered(slot, std::ptr::from_ref(entry).addr()));
        }
    }

    #[inline(never)]
    fn learn(&self, hash: u64, bytes: u64, entry: u64) {
        let line = self.line(hash);
        let is_own = |word: u64| word == 0 || is_tagged(hash, word);
        let own = line.bytes.iter().position(|known| is_own(known.load(Relaxed)));
        // Where there are too many for a line, some stay and others are always displaced: better than all being
        // displaced in turn.
        let way = own.unwrap_or((hash >> 32) as usize % WAYS);
        line.bytes[way].store(bytes, Relaxed);
        line.entry[way].store(entry, Relaxed);
    }

    /// Where an entry and its bytes may lie, and the slot.
    #[inline(always)]
    fn find(&self, hash: u64) -> Option<(usize, usize, Slot)> {
        let line = self.line(hash);
        let way = line.bytes.iter().position(|known| is_tagged(hash, known.load(Relaxed)))?;
        let (bytes, entry) = (line.bytes[way].load(Relaxed), line.entry[way].load(Relaxed));
        let slot = Slot::from((entry >> ENTRY_BITS) as u32);
        Some((((entry << ALIGNED) & ADDRESS) as usize, (bytes & ADDRESS) as usize, slot))
    }

    /// Brings an entry that is asked for now or soon, if there is a hint, and tells in which slot it may be.
    #[inline(always)]
    pub fn bring(&self, hash: u64) -> Option<Slot> {
        let (entry, bytes, slot) = self.find(hash)?;
        prefetch(bytes);
        // A small value; the processor sees by itself that a large one is read on.
        prefetch(bytes + CACHE_LINE);
        prefetch(entry);
        Some(slot)
    }
}

/// An entry's address, without the bits that are always 0, and above it the slot: as far as there is room, since
/// whoever follows a hint looks whether it was right.
#[inline(always)]
fn numbered(slot: Slot, address: usize) -> u64 {
    (address as u64 & ADDRESS) >> ALIGNED | u64::from(slot.number()) << ENTRY_BITS
}

#[inline(always)]
fn tagged(hash: u64, address: usize) -> u64 {
    hash & !ADDRESS | address as u64 & ADDRESS
}

#[inline(always)]
fn is_tagged(hash: u64, word: u64) -> bool {
    (word ^ hash) & !ADDRESS == 0
}

impl<W> Near<W> {
    /// A key will be asked for soon: what leads to it is brought. Its hash is for `bring`, a little later.
    #[inline(always)]
    pub fn prepare(&self, key: &[u8]) -> u64 {
        let hash = self.hash(key);
        prefetch(std::ptr::from_ref(self.hints.line(hash)).addr());
        let shard = std::ptr::from_ref(&self.shards[self.index_of(hash)]).addr();
        prefetch(shard);
        prefetch(shard + CACHE_LINE);
        hash
    }

    /// The key that was prepared will be asked for sooner.
    #[inline(always)]
    pub fn bring(&self, hash: u64) {
        self.hints.bring(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Args;
    use crate::store::{EntryKey, Expiry, Meta, Stamp};

    fn entry() -> Entry {
        let key = EntryKey { identity: 0, db: 0, command: 1, key: b"k", rest: Args::new(b"", &[]) };
        let meta = Meta { stamp: Stamp::default(), deadline: 1, expiry: Expiry::Never, stored_at: 0 };
        Entry::new(&key, &meta, b"$1\r\nv\r\n")
    }

    fn at(entry: &Entry, slot: u32) -> Option<(usize, usize, Slot)> {
        Some((std::ptr::from_ref(entry).addr(), entry.reply().as_ptr().addr() - 10, Slot::from(slot)))
    }

    #[test]
    fn a_hint_leads_to_the_entry_and_follows_it() {
        let hints = Hints::new(1 << 20);
        let (hash, first) = (0xABCD_0000_0000_0123, entry());
        assert_eq!(hints.find(hash), None);
        hints.note(hash, Slot::from(7), &first);
        assert_eq!(hints.find(hash), at(&first, 7));
        assert_eq!(hints.bring(hash), Some(Slot::from(7)));
        assert_eq!(hints.find(hash ^ 1 << 60), None, "another hash of the same line");
        let second = entry();
        hints.note(hash, Slot::from(400_000), &second);
        assert_eq!(hints.find(hash), at(&second, 400_000));
        let known = hints.line(hash).bytes.iter().filter(|word| word.load(Relaxed) != 0).count();
        assert_eq!(known, 1, "it has one place");
    }

    #[test]
    fn a_line_that_is_full_keeps_most() {
        let hints = Hints::new(1 << 20);
        let entries: Vec<Entry> = (0..5).map(|_| entry()).collect();
        let hash = |i: usize| (i as u64 + 1) << 48 | 7;
        for (i, entry) in entries.iter().enumerate() {
            hints.note(hash(i), Slot::from(i as u32), entry);
        }
        assert_eq!(hints.find(hash(4)), at(&entries[4], 4), "the newest");
        let kept = (0..4).filter(|&i| hints.find(hash(i)) == at(&entries[i], i as u32)).count();
        assert_eq!(kept, 3);
    }

    #[test]
    fn they_take_their_share_at_most() {
        for max_memory in [0, 1, 1 << 16, 1 << 20, 3 << 20, 256 << 20] {
            let hints = Hints::new(max_memory);
            assert!(hints.bytes() <= (max_memory / SHARE).max(size_of::<Line>()));
            assert!(hints.0.len().is_power_of_two());
        }
    }
}
