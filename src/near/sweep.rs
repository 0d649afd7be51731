//! Reclaiming what nobody touches, and showing what is here.

use super::lanes::Standing;
use super::{Locked, Near};
use crate::store::{Dropped, Entry, Expiry, Swept};

/// Records that one sweep looks at under one lock, at most: tens of microseconds.
const SWEEP_RECORDS: usize = 8192;

/// What the near cache holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Entries, void ones that were not reclaimed yet included.
    pub entries: usize,
    /// Bytes in use, overhead included.
    pub bytes: usize,
    /// Fetches under way.
    pub flights: usize,
    /// Keys with unanswered writes.
    pub pending: usize,
}

/// One entry, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Described {
    /// The command's number.
    pub command: u16,
    /// The arguments behind the key.
    pub rest: Vec<Box<[u8]>>,
    /// The database.
    pub db: u32,
    /// The upstream identity.
    pub identity: u16,
    /// Bytes of the reply.
    pub reply_bytes: usize,
    /// Bytes of memory, without its share of node and table.
    pub cost: usize,
    /// The moment from which it is not served (ns).
    pub deadline: u64,
    /// The key's own end upstream.
    pub expiry: Expiry,
    /// How long ago it was stored (ns, to the second).
    pub age: u64,
    /// Hits so far, at most 255.
    pub hits: u8,
    /// The lane and its epoch.
    pub lane: u8,
    /// See `lane`.
    pub epoch: u32,
    /// May be served now.
    pub live: bool,
}

impl<W> Near<W> {
    /// Reclaims dead entries in one shard after another, from `*cursor` on, until `budget` records
    /// have been looked at or every shard was visited once. To be called a few times a second; a
    /// shard without anything to find costs a lock and a comparison.
    pub fn sweep(&self, cursor: &mut usize, now: u64, budget: usize) -> Swept {
        let mut total = Swept::default();
        for _ in 0..self.shards.len() {
            let index = *cursor % self.shards.len();
            *cursor = index + 1;
            let mut part = self.shards[index].lock();
            let changes = self.lanes.changes();
            if now < part.store.earliest() && part.swept_at_change == changes {
                continue;
            }
            let mut dropped = Dropped::default();
            let dead = |entry: &Entry| self.is_dead(entry, now);
            let swept = part.store.sweep(SWEEP_RECORDS, dead, &mut dropped);
            if swept.complete {
                part.swept_at_change = changes;
            }
            drop(part);
            drop(dropped);
            total.seen += swept.seen;
            total.removed += swept.removed;
            if total.seen >= budget {
                break;
            }
        }
        self.counters.expirations.add(total.removed);
        total
    }

    fn is_dead(&self, entry: &Entry, now: u64) -> bool {
        match self.lanes.standing(entry.stamp()) {
            Standing::Live => now >= entry.deadline(),
            Standing::Frozen => !self.is_stale_but_usable(entry, now),
            Standing::Void => true,
        }
    }

    /// Calls `each` with the databases and keys of up to `budget` records of the shard at `*cursor` that were used
    /// last and have been hit: the ones to be kept warm upstream. Moves on to the next shard.
    pub fn hot_keys(&self, cursor: &mut usize, budget: usize, mut each: impl FnMut(u32, &[u8])) {
        let index = *cursor % self.shards.len();
        *cursor = index + 1;
        let part = self.shards[index].lock();
        let recent = part.store.records().take(budget);
        for entry in recent.flat_map(|(_, record)| record.entries()).filter(|entry| entry.hits() > 0) {
            each(entry.db(), entry.key());
        }
    }

    /// How many shards there are: cursors of `sweep` and `hot_keys` go round them.
    pub fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Sizes, shard by shard: not of one moment.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { bytes: self.hints.bytes(), ..Totals::default() };
        for shard in &self.shards {
            let part = shard.lock();
            totals.entries += part.store.len();
            totals.bytes += part.store.bytes() + size_of::<Locked<W>>();
            totals.flights += part.flights.len();
            totals.pending += part.pending.len();
        }
        totals
    }

    /// All entries of a key.
    pub fn describe(&self, key: &[u8], now: u64) -> Vec<Described> {
        let hash = self.hash(key);
        let part = self.part(hash);
        let Some(record) = part.store.record(hash) else { return Vec::new() };
        let entries = record.entries().filter(|entry| entry.key() == key);
        entries.map(|entry| self.described(entry, now)).collect()
    }

    fn described(&self, entry: &Entry, now: u64) -> Described {
        let stamp = entry.stamp();
        Described {
            command: entry.command(),
            rest: entry.rest().map(Box::from).collect(),
            db: entry.db(),
            identity: entry.identity(),
            reply_bytes: entry.reply().len(),
            cost: entry.cost(),
            deadline: entry.deadline(),
            expiry: entry.expiry(),
            age: entry.age_ns(now),
            hits: entry.hits(),
            lane: stamp.lane,
            epoch: stamp.epoch,
            live: self.lanes.standing(stamp) == Standing::Live && now < entry.deadline(),
        }
    }
}
