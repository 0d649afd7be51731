//! Counts of what happens off the hit path. Hits and misses are counted by the sessions, each for
//! itself, from what `read` returned.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    pub fn add(&self, n: usize) {
        if n != 0 {
            self.0.fetch_add(n as u64, Ordering::Relaxed);
        }
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A reading of all counters.
        #[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Default)]
        pub(super) struct Count { $(pub $name: Tally,)* }

        impl Count {
            pub fn read(&self) -> Counters {
                Counters { $($name: self.$name.read(),)* }
            }
        }
    };
}

counters! {
    /// Flights begun.
    fetches,
    /// Entries stored.
    stores,
    /// Flights whose reply was not stored, for any reason.
    not_stored,
    /// Flights detached by a push or a write.
    fills_detached,
    /// Entries removed by pushes.
    invalidations,
    /// Entries removed by writes of our own.
    write_removals,
    /// Epochs begun by null pushes and the like.
    epochs,
    /// Entries evicted for room.
    evictions,
    /// Entries whose time was over, reclaimed by access or sweep.
    expirations,
}
