//! Keys whose replies were seen to be large: the next read of one goes by a connection of its own, where
//! its reply holds up nobody. Hashes are kept, not keys: a collision costs one small read a detour.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ahash::RandomState;
use lru::LruCache;
use parking_lot::Mutex;

/// Keys remembered: a data set with more large values than this is not one for a shared lane, and 4,096
/// hashes are some 300 KB.
const MAX_KEYS: usize = 4096;

/// The large keys of one upstream.
pub struct LargeKeys {
    hasher: RandomState,
    keys: Mutex<LruCache<u64, usize>>,
    /// How many there are: most data sets have none, and then nobody takes the lock.
    count: AtomicUsize,
}

impl Default for LargeKeys {
    fn default() -> Self {
        let keys = LruCache::new(NonZeroUsize::new(MAX_KEYS).expect("it is not zero"));
        LargeKeys { hasher: RandomState::new(), keys: Mutex::new(keys), count: AtomicUsize::new(0) }
    }
}

impl LargeKeys {
    /// What stands for a key here.
    pub fn hash(&self, db: u32, key: &[u8]) -> u64 {
        self.hasher.hash_one((db, key))
    }

    /// True if no key is known to be large.
    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// The size of the last reply seen for this key, if it was large.
    pub fn size(&self, key: u64) -> Option<usize> {
        self.keys.lock().get(&key).copied()
    }

    /// A large reply for this key has been seen.
    pub fn note(&self, key: u64, size: usize) {
        let mut keys = self.keys.lock();
        keys.put(key, size);
        self.count.store(keys.len(), Relaxed);
    }

    /// Its reply is no longer large.
    pub fn forget(&self, key: u64) {
        let mut keys = self.keys.lock();
        keys.pop(&key);
        self.count.store(keys.len(), Relaxed);
    }
}
