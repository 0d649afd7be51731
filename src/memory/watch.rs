//! WATCH: a flag per client, raised by whoever changes one of its keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::Engine;
use super::shard::ShardSet;
use super::table::hash;
use super::view::Keys;
use crate::resp::Args;

/// The keys that one client watches. Dropping it is UNWATCH.
pub struct Watch {
    engine: Arc<Engine>,
    broken: Arc<AtomicBool>,
    keys: Vec<(usize, Box<[u8]>)>,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(engine: &Arc<Engine>) -> Watch {
        Watch { engine: engine.clone(), broken: Arc::default(), keys: Vec::new() }
    }

    /// Watches the keys `args` (a WATCH request without its name) of a database too.
    pub fn add(&mut self, db: usize, args: Args) {
        for key in args.iter() {
            if self.keys.iter().any(|(other, watched)| *other == db && **watched == *key) {
                continue;
            }
            let shard = self.engine.shards().of(hash(key));
            let mut keys = self.engine.view(ShardSet::default().with(shard), db);
            // Removes a key whose time is over: that must not break this watch later.
            keys.exists(key);
            let watched = &mut keys.locked.shard(shard).dbs[db].watched;
            watched.entry(key.into()).or_default().push(self.broken.clone());
            self.keys.push((db, key.into()));
        }
    }

    /// Whether a watched key is known to have changed.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// The shards of all watched keys.
    pub(super) fn shards(&self) -> ShardSet {
        let of = |key: &[u8]| self.engine.shards().of(hash(key));
        self.keys.iter().fold(ShardSet::default(), |set, (_, key)| set.with(of(key)))
    }

    /// Whether a watched key has changed or expired, with all their shards locked.
    pub(super) fn broken(&self, keys: &mut Keys) -> bool {
        for (db, key) in &self.keys {
            // Removing an expired key raises the flag.
            keys.in_db(*db, |keys| keys.exists(key));
        }
        self.is_broken()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        let mut locked = self.engine.shards().lock(self.shards());
        for (db, key) in &self.keys {
            let watched = &mut locked.shard(self.engine.shards().of(hash(key))).dbs[*db].watched;
            if let Some(flags) = watched.get_mut(key) {
                flags.retain(|flag| !Arc::ptr_eq(flag, &self.broken));
                if flags.is_empty() {
                    watched.remove(key);
                }
            }
        }
    }
}
