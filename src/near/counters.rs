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

    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The text after `as` is the field's name in INFO.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident as $shown:literal),* $(,)?) => {
        /// A reading of all counters.
        #[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// All of them, each with its name in INFO.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$(($shown, self.$name),)*]
            }
        }

        #[derive(Default)]
        pub(super) struct Count { $(pub $name: Tally,)* }

        impl Count {
            pub fn read(&self) -> Counters {
                Counters { $($name: self.$name.read(),)* }
            }

            pub fn reset(&self) {
                $(self.$name.reset();)*
            }
        }
    };
}

counters! {
    /// Flights begun.
    fetches as "l1_fetches",
    /// Reads left plain because their key is written too often. Counted by the shards.
    unpaid as "l1_fetches_unpaid",
    /// Entries stored.
    stores as "l1_fills",
    /// Flights whose reply was not stored, for any reason.
    not_stored as "l1_fills_not_stored",
    /// Of these: the reply was larger than an entry may be.
    too_large as "l1_fills_too_large",
    /// Of these: what was there was worth more.
    not_admitted as "l1_fills_not_admitted",
    /// Flights detached by a push or a write.
    fills_detached as "l1_fills_detached",
    /// Entries removed by pushes.
    invalidations as "l1_invalidations",
    /// Entries removed by writes of our own.
    write_removals as "l1_write_removals",
    /// Epochs begun by null pushes and the like.
    epochs as "l1_epoch_bumps",
    /// Entries evicted for room.
    evictions as "l1_evictions",
    /// Entries whose time was over, reclaimed by access or sweep.
    expirations as "l1_expirations",
}
