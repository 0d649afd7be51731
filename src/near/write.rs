//! What removes entries: pushes, writes of our own, and the operator.

use super::{Near, Part};
use crate::store::{Record, glob_match};

/// A key with an unanswered write, to be given back when the reply is applied. Small and `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WriteRef(pub(super) u64);

/// What a change of a key has ended. To be dropped when the shard's lock has been released.
struct Gone {
    detached: usize,
    record: Option<Record>,
}

impl Gone {
    fn entries(&self) -> usize {
        self.record.as_ref().map_or(0, Record::len)
    }
}

impl<W> Part<W> {
    /// Ends what is known of a key, and notes whether it was worth its fetches.
    fn change(&mut self, hash: u64, detaches: bool, removes: bool) -> Gone {
        let (detached, joined) = if detaches { self.flights.detach(hash) } else { (0, 0) };
        let record = if removes { self.store.remove(hash) } else { None };
        let gone = Gone { detached, record };
        let fetches = gone.entries() + detached;
        if fetches > 0 {
            let hits = gone.record.iter().flat_map(Record::entries).map(|entry| u32::from(entry.hits()));
            self.store.ended(hash, fetches as u32, hits.sum::<u32>() + joined as u32);
        }
        gone
    }
}

impl<W> Near<W> {
    /// The upstream says that `key` changed, in some database.
    pub fn pushed(&self, key: &[u8]) {
        let hash = self.hash(key);
        let mut part = self.part(hash);
        let gone = part.change(hash, self.rules.push_detaches, self.rules.push_removes);
        drop(part);
        self.counters.fills_detached.add(gone.detached);
        self.counters.invalidations.add(gone.entries());
    }

    /// A write of `key` is about to be appended to a lane, or sent elsewhere. From now on its entries
    /// are gone, its flights store nothing and are not joined, and its reads go behind the write.
    #[must_use = "the key stays pending until write_end"]
    pub fn write_begin(&self, key: &[u8]) -> WriteRef {
        let write = self.write_of(key);
        self.begin(write);
        write
    }

    /// What stands for a write of `key` that has not begun: a command that MULTI has queued.
    pub fn write_of(&self, key: &[u8]) -> WriteRef {
        WriteRef(self.hash(key))
    }

    /// `write_begin` for what `write_of` gave.
    pub fn begin(&self, write: WriteRef) {
        let WriteRef(hash) = write;
        let mut part = self.part(hash);
        part.pending.add(hash);
        let gone = part.change(hash, self.rules.write_detaches, self.rules.write_removes);
        drop(part);
        self.counters.fills_detached.add(gone.detached);
        self.counters.write_removals.add(gone.entries());
    }

    /// The write's reply has been applied, or will never come; call before it is released.
    pub fn write_end(&self, write: WriteRef) {
        let WriteRef(hash) = write;
        let mut part = self.part(hash);
        let gone = part.change(hash, self.rules.write_ends, self.rules.write_ends);
        part.pending.sub(hash);
        drop(part);
        self.counters.fills_detached.add(gone.detached);
        self.counters.write_removals.add(gone.entries());
    }

    /// Removes all entries of the keys that match a glob; how many entries there were.
    pub fn invalidate(&self, pattern: &[u8]) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut part = shard.lock();
            let store = &part.store;
            let matching = store.records().filter(|(_, r)| r.key().is_some_and(|k| glob_match(pattern, k)));
            let hashes: Vec<u64> = matching.map(|(hash, _)| hash).collect();
            let records: Vec<_> = hashes.into_iter().filter_map(|hash| part.store.remove(hash)).collect();
            part.flights.detach_matching(|key| glob_match(pattern, key));
            drop(part);
            removed += records.iter().map(|record| record.len()).sum::<usize>();
        }
        removed
    }

    /// Removes everything; how many entries there were.
    pub fn clear(&self) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut part = shard.lock();
            removed += part.store.len();
            part.flights.detach_matching(|_| true);
            let records = part.store.clear();
            drop(part);
            drop(records);
        }
        removed
    }
}
