//! What an operator may change while the near cache is at work.
//!
//! The hit path reads the limits as atomics, each by itself: no decision needs two of them to be of one
//! configuration. Budget and admission belong to the shards and change under their locks.

use super::policy::nanos;
use super::{Near, shard_budget};
use crate::settings::{self, CacheSettings};
use crate::store::{Admission, Dropped};
use std::sync::atomic::{AtomicU64, Ordering};

/// See [`super::Config`] for the meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Bytes for everything in here. The number of shards and of hints stays that of the first value: much
    /// larger ones make for longer waits at the locks, much smaller ones for small largest entries.
    pub max_memory: usize,
    /// Who gets in.
    pub admission: Admission,
    /// Longest silence of the stream during which hits are served (ns).
    pub max_staleness: u64,
    /// Longest life of entries whose upstream cannot track (ns); 0 = not cached.
    pub ttl_mode_max_age: u64,
}

impl From<&CacheSettings> for Tuning {
    fn from(cache: &CacheSettings) -> Self {
        Tuning {
            max_memory: cache.max_memory,
            admission: match cache.admission {
                settings::Admission::Always => Admission::Always,
                settings::Admission::Frequency => Admission::Frequency { admit_after: cache.admit_after },
            },
            max_staleness: nanos(cache.max_staleness),
            ttl_mode_max_age: nanos(cache.ttl_mode_max_age),
        }
    }
}

/// The limits that the hit path reads.
pub(super) struct Tuned {
    max_staleness: AtomicU64,
    ttl_mode_max_age: AtomicU64,
}

impl Tuned {
    pub fn new(max_staleness: u64, ttl_mode_max_age: u64) -> Self {
        Tuned {
            max_staleness: AtomicU64::new(max_staleness),
            ttl_mode_max_age: AtomicU64::new(ttl_mode_max_age),
        }
    }

    pub fn max_staleness(&self) -> u64 {
        self.max_staleness.load(Ordering::Relaxed)
    }

    pub fn ttl_mode_max_age(&self) -> u64 {
        self.ttl_mode_max_age.load(Ordering::Relaxed)
    }
}

impl<W> Near<W> {
    /// Changes what can be changed. Entries stay, with the deadlines they have, as far as there is room
    /// for them. Not to be called twice at a time: the last word on a shard's budget would be either's.
    pub fn configure(&self, tuning: &Tuning) {
        self.tuned.max_staleness.store(tuning.max_staleness, Ordering::Relaxed);
        self.tuned.ttl_mode_max_age.store(tuning.ttl_mode_max_age, Ordering::Relaxed);
        let budget = shard_budget::<W>(tuning.max_memory, &self.hints, self.shards.len());
        for shard in &self.shards {
            shard.lock().store.set_admission(tuning.admission);
            loop {
                let mut dropped = Dropped::default();
                let done = shard.lock().store.set_budget(budget, &mut dropped);
                self.counters.evictions.add(dropped.evicted);
                if done {
                    break;
                }
            }
        }
    }
}
