//! The keys as a command sees them: one database, the locked shards, one moment in time.
//!
//! A lookup removes a key whose time is over, notes the use, and counts hits. `modified` is called by
//! whoever changed a value (not by a lookup that might): it is what WATCH sees.

use std::cell::OnceCell;
use std::collections::VecDeque;

use super::blob::Blob;
use super::engine::Clock;
use super::fault::{Fault, WRONG_TYPE};
use super::keyspace::{Entry, Keyspace, NEVER};
use super::listen::Change;
use super::shard::{Locked, Shard, Shards};
use super::table::{Keyed, hash};
use super::value::{Kind, Text, Value};

/// The view.
pub struct Keys<'a> {
    /// The shards of all keys that the command may touch.
    pub locked: Locked<'a>,
    /// The current database.
    pub db: usize,
    /// Whose command it is, for the listener.
    pub client: u64,
    /// About when it is, for the order of use, where reading the clock is to be saved.
    pub about: Option<i64>,
    /// The one key of a command that has but one, and its hash. It is borrowed for as long as this is, so
    /// who comes with the same address and length has the same key.
    pub only: Option<(&'a [u8], u64)>,
    /// Keys that came to be while clients waited for them: (database, key), in that order.
    pub ready: VecDeque<(usize, Box<[u8]>)>,
    clock: &'a Clock,
    /// What the clock said: one moment for a whole MULTI block.
    now: OnceCell<i64>,
    shards: &'a Shards,
    /// Whether the order of use is wanted.
    ordered: bool,
    /// Large values that were removed: freed when the locks are.
    trash: Trash,
}

/// What was removed and takes long to free.
#[derive(Default)]
pub struct Trash {
    values: Vec<Value>,
    databases: Vec<Keyspace>,
}

impl Trash {
    /// Frees it all; much of it on a thread of its own, so that no other session's task waits for it.
    pub fn free(self) {
        /// Some milliseconds' worth.
        const LARGE: usize = 100_000;
        let weight = self.values.iter().map(Value::weight).sum::<usize>()
            + self.databases.iter().map(Keyspace::len).sum::<usize>();
        if weight >= LARGE {
            // The closure owns the trash: it is freed here if there is no thread to be had.
            let _ = std::thread::Builder::new().name("nearcache-free".into()).spawn(move || drop(self));
        }
    }
}

impl From<Value> for Trash {
    fn from(value: Value) -> Trash {
        Trash { values: vec![value], databases: Vec::new() }
    }
}

/// Where a key is.
#[derive(Clone, Copy)]
struct Spot {
    shard: usize,
    at: u32,
}

/// The client that changes what changes by itself.
const NOBODY: u64 = 0;

/// From this many pieces on, a removed value is freed after unlocking.
const HEAVY: usize = 64;

impl<'a> Keys<'a> {
    /// A view on locked shards.
    pub fn new(shards: &'a Shards, locked: Locked<'a>, db: usize, clock: &'a Clock, ordered: bool) -> Self {
        Keys {
            locked,
            db,
            client: NOBODY,
            about: None,
            only: None,
            clock,
            now: OnceCell::new(),
            ready: VecDeque::new(),
            shards,
            ordered,
            trash: Trash::default(),
        }
    }

    /// Unix milliseconds. The clock is read when it is first asked for, and no more.
    pub fn now(&self) -> i64 {
        *self.now.get_or_init(|| (self.clock)())
    }

    /// The value of a key, for a command that reads.
    pub fn get(&mut self, key: &[u8]) -> Option<&Value> {
        let spot = self.counted(key)?;
        self.touch(spot);
        Some(&self.entry(spot).value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Value> {
        let spot = self.find(key)?;
        self.touch(spot);
        let db = self.db;
        Some(self.locked.shard(spot.shard).change(db).keys.value_mut(spot.at))
    }

    /// The entry of a key, without noting a use of it.
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let spot = self.find(key)?;
        Some(self.entry(spot))
    }

    /// True when the key is there. Not a use of it.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// The entry of a key, for a command that reads without that being a use (EXISTS, TYPE).
    pub fn look(&mut self, key: &[u8]) -> Option<&Entry> {
        let spot = self.counted(key)?;
        Some(self.entry(spot))
    }

    /// As `look`: when the key expires, `NEVER` when it does not.
    pub fn look_at_expiry(&mut self, key: &[u8]) -> Option<i64> {
        let spot = self.counted(key)?;
        Some(self.expires(spot).unwrap_or(NEVER))
    }

    /// The value as a type, for a command that reads.
    pub fn typed<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&T>, Fault> {
        self.get(key).map(T::of).transpose()
    }

    /// The value as a type, to be changed.
    pub fn typed_mut<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&mut T>, Fault> {
        self.get_mut(key).map(T::of_mut).transpose()
    }

    /// The value as a type, an empty one when the key is not there. The caller must fill it.
    pub fn typed_or_new<T: Kind>(&mut self, key: &[u8]) -> Result<&mut T, Fault> {
        T::of_mut(self.get_or_add(key, || T::default().into_value()))
    }

    /// Several values as one type, to be read together; a fault if any is of another type.
    pub fn typed_each<T: Kind>(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<&T>>, Fault> {
        for key in keys {
            self.typed::<T>(key)?;
        }
        // Keys whose time was over are gone now, so nothing moves from here on.
        keys.iter().map(|key| self.found(key).map(T::of).transpose()).collect()
    }

    /// The value of a key that was looked up before: not a use of it, and nothing expires.
    pub fn found(&self, key: &[u8]) -> Option<&Value> {
        let hash = self.hash(key);
        let keys = &self.locked.shard_ref(self.shards.of(hash)).dbs[self.db].keys;
        keys.find(hash, key).map(|at| &keys.at(at).value)
    }

    /// The bytes of a string, for a command that reads.
    pub fn text(&mut self, key: &[u8]) -> Result<Option<Text<'_>>, Fault> {
        self.get(key).map(|value| value.text().ok_or(WRONG_TYPE)).transpose()
    }

    /// The bytes of a string to be changed in place, empty ones when the key is not there.
    pub fn raw_or_new(&mut self, key: &[u8]) -> Result<&mut Vec<u8>, Fault> {
        self.get_or_add(key, || Value::Raw(Box::default())).raw_mut()
    }

    /// Removes the key if its value has become empty; true when it did.
    pub fn drop_if_empty<T: Kind>(&mut self, key: &[u8]) -> bool {
        let empty = self.peek(key).is_some_and(|entry| T::of(&entry.value).is_ok_and(|it| it.is_empty()));
        if empty {
            self.take(key);
        }
        empty
    }

    /// Stores a value in place of whatever was there. The key will not expire. Tells watchers.
    pub fn set(&mut self, key: &[u8], value: Value) {
        self.put(key, value, NEVER);
    }

    /// As `set`, with the time when it expires (or `NEVER`).
    pub fn put(&mut self, key: &[u8], value: Value, expires: i64) {
        self.store(key, Some(expires), |old| match old {
            Some(old) => std::mem::replace(old, value),
            None => value,
        });
    }

    /// As `put`, of a string.
    pub fn put_text(&mut self, key: &[u8], text: &[u8], expires: i64) {
        self.store(key, Some(expires), |old| match old {
            // In the same allocation, if it is as long.
            Some(Value::Str(old)) if !Blob::fits_inline(text) => {
                old.replace(text);
                Value::Int(0)
            }
            Some(old) => std::mem::replace(old, Value::string(text)),
            None => Value::string(text),
        });
    }

    /// Has `new` make a value, or put one in the place of what is there and give that.
    fn store(&mut self, key: &[u8], expires: Option<i64>, new: impl FnOnce(Option<&mut Value>) -> Value) {
        let hash = self.hash(key);
        let spot = match self.locate(hash, key) {
            Ok(spot) => {
                self.touch(spot);
                let db = self.db;
                let shard = self.locked.shard(spot.shard);
                let readers = shard.readers;
                let keys = &mut shard.change(db).keys;
                let old = new(Some(keys.value_mut(spot.at)));
                if let Some(expires) = expires {
                    keys.set_expires(spot.at, expires);
                }
                self.discard(old);
                if readers > 0 {
                    // Who waits for what was there is told.
                    self.signal(key);
                }
                spot
            }
            Err(shard) => self.add(hash, shard, key, new(None), expires.unwrap_or(NEVER)),
        };
        self.tell(spot.shard, key);
    }

    /// As `set`, and the key goes on to expire when it would have.
    pub fn set_keeping_expiry(&mut self, key: &[u8], value: Value) {
        self.store(key, None, |old| match old {
            Some(old) => std::mem::replace(old, value),
            None => value,
        });
    }

    /// Removes a key and tells watchers; true when it was there.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let Some(value) = self.take(key) else { return false };
        self.discard(value);
        self.modified(key);
        true
    }

    /// Takes a key out and gives its value. Tells nobody.
    pub fn take(&mut self, key: &[u8]) -> Option<Value> {
        let spot = self.find(key)?;
        let db = self.db;
        let shard = self.locked.shard(spot.shard);
        let value = shard.change(db).keys.remove(spot.at);
        if shard.readers > 0 {
            self.signal(key);
        }
        Some(value)
    }

    /// When the key expires: none without such a key, `NEVER` when it does not.
    pub fn expiry(&mut self, key: &[u8]) -> Option<i64> {
        let spot = self.find(key)?;
        Some(self.expires(spot).unwrap_or(NEVER))
    }

    /// Sets when an existing key expires. Tells nobody.
    pub fn set_expiry(&mut self, key: &[u8], expires: i64) {
        if let Some(spot) = self.find(key) {
            let db = self.db;
            self.locked.shard(spot.shard).change(db).keys.set_expires(spot.at, expires);
        }
    }

    /// Tells those who WATCH the key, and the listener, that it has changed.
    pub fn modified(&mut self, key: &[u8]) {
        self.tell(self.shards.of(self.hash(key)), key);
    }

    fn tell(&self, shard: usize, key: &[u8]) {
        self.locked.shard_ref(shard).tell(self.client, self.db, key);
    }

    /// Tells the listener that the client has read a key.
    pub fn tell_read(&self, key: &[u8]) {
        if let Some(listener) = &self.locked.shard_ref(self.shards.of(self.hash(key))).listener {
            listener.read(self.client, self.db, key);
        }
    }

    /// Tells the listener of a change to whole databases. All shards are locked.
    pub fn tell_all(&self, change: Change<'_>) {
        if let Some(listener) = &self.locked.shard_ref(0).listener {
            listener.changed(self.client, change);
        }
    }

    /// Notes that a key has something for those who wait for it. Creating a key does so by itself.
    pub fn signal(&mut self, key: &[u8]) {
        let (number, shard) = (self.db, self.shards.of(self.hash(key)));
        let db = &self.locked.shard_ref(shard).dbs[number];
        if !db.waiting.is_empty() && db.waiting.contains_key(key) {
            self.ready.push_back((number, key.into()));
        }
    }

    /// Runs `f` in another database.
    pub fn in_db<R>(&mut self, db: usize, f: impl FnOnce(&mut Self) -> R) -> R {
        let current = std::mem::replace(&mut self.db, db);
        let result = f(self);
        self.db = current;
        result
    }

    /// Leaves a value to be freed once the locks are.
    pub fn discard(&mut self, value: Value) {
        if value.weight() >= HEAVY {
            self.trash.values.push(value);
        }
    }

    /// Leaves a whole database's part of a shard to be freed once the locks are.
    pub fn discard_all(&mut self, keys: Keyspace) {
        if keys.len() > 0 {
            self.trash.databases.push(keys);
        }
    }

    /// Unlocks; gives what there is to free.
    pub fn unlock(self) -> Trash {
        self.trash
    }

    /// How many shards there are; their numbers are below that.
    pub fn shard_count(&self) -> usize {
        self.shards.count()
    }

    fn hash(&self, key: &[u8]) -> u64 {
        match self.only {
            Some((only, hash)) if std::ptr::eq(only, key) => hash,
            _ => hash(key),
        }
    }

    /// As `find`, for a command that reads.
    fn counted(&mut self, key: &[u8]) -> Option<Spot> {
        let found = self.locate(self.hash(key), key);
        let (Ok(Spot { shard, .. }) | Err(shard)) = found;
        let counts = &mut self.locked.shard(shard).counts;
        match found {
            Ok(_) => counts.hits += 1,
            Err(_) => counts.misses += 1,
        }
        found.ok()
    }

    fn find(&mut self, key: &[u8]) -> Option<Spot> {
        self.locate(self.hash(key), key).ok()
    }

    /// Where the key is, unless its time is over; else the shard where it would be.
    fn locate(&mut self, hash: u64, key: &[u8]) -> Result<Spot, usize> {
        let (number, shard) = (self.db, self.shards.of(hash));
        let keys = &self.locked.shard_ref(shard).dbs[number].keys;
        let at = keys.find(hash, key).ok_or(shard)?;
        if keys.expires(keys.at(at)).is_none_or(|time| self.now() <= time) {
            return Ok(Spot { shard, at });
        }
        let gone = expire(self.locked.shard(shard), number, at);
        self.discard(gone.value);
        self.ready.extend(gone.awaited.map(|key| (number, key)));
        Err(shard)
    }

    fn expires(&self, spot: Spot) -> Option<i64> {
        let keys = &self.locked.shard_ref(spot.shard).dbs[self.db].keys;
        keys.expires(keys.at(spot.at))
    }

    fn entry(&mut self, spot: Spot) -> &Entry {
        self.locked.shard(spot.shard).dbs[self.db].keys.at(spot.at)
    }

    fn used_at(&self) -> i64 {
        self.about.unwrap_or_else(|| self.now())
    }

    fn touch(&mut self, spot: Spot) {
        let (now, ordered) = (self.used_at(), self.ordered);
        self.locked.shard(spot.shard).dbs[self.db].keys.touch(spot.at, now, ordered);
    }

    /// Adds a key that is not in its shard.
    fn add(&mut self, hash: u64, shard: usize, key: &[u8], value: Value, expires: i64) -> Spot {
        let (now, db) = (self.used_at(), self.db);
        let at = self.locked.shard(shard).change(db).keys.insert(hash, key, value, expires, now);
        self.signal(key);
        Spot { shard, at }
    }

    /// The value of a key, to be changed; a new one when the key is not there.
    fn get_or_add(&mut self, key: &[u8], new: impl FnOnce() -> Value) -> &mut Value {
        let hash = self.hash(key);
        let spot = match self.locate(hash, key) {
            Ok(spot) => {
                self.touch(spot);
                spot
            }
            Err(shard) => self.add(hash, shard, key, new(), NEVER),
        };
        let db = self.db;
        self.locked.shard(spot.shard).change(db).keys.value_mut(spot.at)
    }
}

/// A key that went by itself.
pub struct Gone {
    /// What it held.
    pub value: Value,
    /// The key, if somebody waits for it who must hear that it is gone.
    pub awaited: Option<Box<[u8]>>,
}

/// Removes a key whose time is over.
pub fn expire(shard: &mut Shard, db: usize, at: u32) -> Gone {
    shard.counts.expired += 1;
    remove_telling(shard, db, at)
}

/// Removes a key and tells those who want to know; those who wait for it are the caller's to serve.
pub fn remove_telling(shard: &mut Shard, number: usize, at: u32) -> Gone {
    let db = &shard.dbs[number];
    let key = db.keys.at(at).key();
    shard.tell(NOBODY, number, key);
    let awaited = (shard.readers > 0 && db.waiting.contains_key(key)).then(|| key.into());
    Gone { value: shard.change(number).keys.remove(at), awaited }
}
