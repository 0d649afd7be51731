//! All cached replies of one key: nearly always one, so one entry is held inline.

use super::entry::{Entry, EntryKey};
use super::size::{size_class, table_bytes};
use ahash::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

/// Replies of one key beyond which the next displaces another one of the same key: a hash read field
/// by field must not make one record, which is evicted as a whole, as large as the cache.
const MAX_ENTRIES: usize = 4096;

/// The cached replies of one key.
#[derive(Debug)]
pub enum Record {
    /// The usual case, with no allocation but the entry's own.
    One(Entry),
    /// Several commands, arguments, databases or identities.
    Many(Box<Many>),
}

/// More than one reply of a key, found by hash of everything but the key.
#[derive(Debug)]
pub struct Many {
    table: HashTable<Entry>,
    /// The most entries it has held, which its table has room for.
    peak: usize,
    /// The entries' own bytes.
    bytes: usize,
}

impl Default for Record {
    /// A place without a record, which allocates nothing and is asked nothing.
    fn default() -> Self {
        Record::One(Entry::default())
    }
}

impl Record {
    /// The key, the same in all entries. None only for a record emptied of its entries.
    pub fn key(&self) -> Option<&[u8]> {
        self.entries().next().map(Entry::key)
    }

    /// Bytes on the heap.
    pub fn cost(&self) -> usize {
        match self {
            Record::One(entry) => entry.cost(),
            Record::Many(many) => {
                size_class(size_of::<Many>()) + table_bytes(many.peak, size_of::<Entry>()) + many.bytes
            }
        }
    }

    /// How many replies there are.
    pub fn len(&self) -> usize {
        match self {
            Record::One(_) => 1,
            Record::Many(many) => many.table.len(),
        }
    }

    /// True when every reply has been taken out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The reply to `key`.
    pub fn get(&self, key: &EntryKey, state: &RandomState) -> Option<&Entry> {
        match self {
            Record::One(entry) => entry.answers(key).then_some(entry),
            Record::Many(many) => many.table.find(hash_of(key, state), |e| e.answers(key)),
        }
    }

    /// Shows the entry for `key` and its reply to `serve`, see `Entry::hit`.
    #[inline]
    pub fn hit(
        &mut self,
        key: &EntryKey,
        state: &RandomState,
        serve: impl FnOnce(&Entry, &[u8]) -> bool,
    ) -> Option<u8> {
        match self {
            Record::One(entry) => entry.hit(key, serve),
            Record::Many(many) => many.get_mut(key, state)?.hit(key, serve),
        }
    }

    /// Adds a reply, and returns what it displaced, to be dropped outside the lock.
    pub fn insert(&mut self, key: &EntryKey, entry: Entry, state: &RandomState) -> Option<Entry> {
        match self {
            Record::One(old) if old.answers(key) => Some(std::mem::replace(old, entry)),
            Record::One(_) => {
                let mut many = Box::new(Many { table: HashTable::with_capacity(2), peak: 2, bytes: 0 });
                many.insert(key, entry, state);
                let one = std::mem::replace(self, Record::Many(many));
                if let (Record::Many(many), Record::One(first)) = (self, one) {
                    many.bytes += first.cost();
                    many.table
                        .insert_unique(hash_of_entry(&first, state), first, |e| hash_of_entry(e, state));
                }
                None
            }
            Record::Many(many) => many.insert(key, entry, state),
        }
    }

    /// Takes out the reply to `key`.
    pub fn remove(&mut self, key: &EntryKey, state: &RandomState) -> Option<Entry> {
        match self {
            Record::One(_) => None,
            Record::Many(many) => {
                let found = many.table.find_entry(hash_of(key, state), |e| e.answers(key)).ok()?;
                let (entry, _) = found.remove();
                many.bytes -= entry.cost();
                Some(entry)
            }
        }
    }

    /// Keeps the entries that `keep` says, and returns how many went.
    pub fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) -> usize {
        match self {
            Record::One(_) => 0,
            Record::Many(many) => {
                let before = many.table.len();
                many.table.retain(|entry| keep(entry));
                many.bytes = many.table.iter().map(Entry::cost).sum();
                before - many.table.len()
            }
        }
    }

    /// All replies.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let (one, many) = match self {
            Record::One(entry) => (Some(entry), None),
            Record::Many(many) => (None, Some(many.table.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

impl Many {
    #[cold]
    fn get_mut(&mut self, key: &EntryKey, state: &RandomState) -> Option<&mut Entry> {
        self.table.find_mut(hash_of(key, state), |e| e.answers(key))
    }

    fn insert(&mut self, key: &EntryKey, entry: Entry, state: &RandomState) -> Option<Entry> {
        self.bytes += entry.cost();
        let hash = hash_of(key, state);
        if let Some(old) = self.table.find_mut(hash, |e| e.answers(key)) {
            let old = std::mem::replace(old, entry);
            self.bytes -= old.cost();
            return Some(old);
        }
        let mut displaced = None;
        if self.table.len() >= MAX_ENTRIES {
            // Any other one: hash order is as good as random and cannot be steered from outside.
            let victim = self.table.iter_hash(hash).next().or_else(|| self.table.iter().next());
            let victim_hash = victim.map(|e| hash_of_entry(e, state));
            if let Some(found) = victim_hash.and_then(|h| self.table.find_entry(h, |_| true).ok()) {
                let (old, _) = found.remove();
                self.bytes -= old.cost();
                displaced = Some(old);
            }
        }
        self.table.insert_unique(hash, entry, |e| hash_of_entry(e, state));
        self.peak = self.peak.max(self.table.len());
        displaced
    }
}

/// Hash of what tells the replies of one key apart.
fn hash_of(key: &EntryKey, state: &RandomState) -> u64 {
    hash_parts(key.identity, key.db, key.command, key.rest.iter(), state)
}

fn hash_of_entry(entry: &Entry, state: &RandomState) -> u64 {
    hash_parts(entry.identity(), entry.db(), entry.command(), entry.rest(), state)
}

fn hash_parts<'a>(
    identity: u16,
    db: u32,
    command: u16,
    rest: impl Iterator<Item = &'a [u8]>,
    state: &RandomState,
) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write_u64(u64::from(identity) << 48 | u64::from(command) << 32 | u64::from(db));
    for arg in rest {
        hasher.write_usize(arg.len());
        hasher.write(arg);
    }
    hasher.finish()
}
