//! One database's part of one shard: its keys with their values, in order of use, and when they expire.
//!
//! What reading a key needs is one cache line: a slot of the table is 64 bytes. The links of the recency
//! list and the times of expiry, which most requests do not need, are beside it, as indexes into the
//! table; the table moves its last entry into a hole, and `remove` mends them.
//! Memory is counted incrementally: `open` names the one entry whose value may just now be changing,
//! and is therefore not counted; `settle` counts it again. Everything that reads sizes settles first.

use super::blob::{Blob, allocated};
use super::table::{Chunks, Keyed, NONE, Table};
use super::value::Value;

/// `expires` of a key that does not.
pub const NEVER: i64 = i64::MAX;

/// One key.
pub struct Entry {
    key: Blob,
    /// What it holds.
    pub value: Value,
    /// Last access, in tenths of a second since 1970, wrapping.
    accessed: u32,
    /// Its index in `volatile`, if it expires.
    volatile_at: u32,
}

/// An entry's neighbours in the recency list.
#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
}

/// When an entry expires, in unix milliseconds.
#[derive(Clone, Copy)]
struct Deadline {
    time: i64,
    at: u32,
}

impl Entry {
    /// Milliseconds since it was last used.
    pub fn idle_ms(&self, now: i64) -> i64 {
        // The clock may have been set back since.
        i64::from((tenths(now).wrapping_sub(self.accessed) as i32).max(0)) * 100
    }

    /// Bytes that it takes: its slot in the table and what it has allocated.
    pub fn footprint(&self) -> usize {
        size_of::<Entry>() + size_of::<Link>() + super::table::SLOT_OVERHEAD + self.heap()
    }

    /// When it was last used, comparable by wrapping difference.
    pub fn accessed(&self) -> u32 {
        self.accessed
    }
}

impl Keyed for Entry {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn heap(&self) -> usize {
        self.key.heap() + self.value.heap()
    }
}

fn tenths(now: i64) -> u32 {
    (now / 100) as u32
}

/// The keys.
pub struct Keyspace {
    table: Table<Entry>,
    /// By index, as the table.
    links: Chunks<Link>,
    newest: u32,
    oldest: u32,
    /// The entries that expire, in no order.
    volatile: Vec<Deadline>,
    /// Where the next step of active expiry begins in `volatile`.
    hand: usize,
    open: u32,
    /// The heap bytes of the open entry, when it was opened.
    open_heap: usize,
}

impl Default for Keyspace {
    fn default() -> Self {
        Keyspace {
            table: Table::default(),
            links: Chunks::default(),
            newest: NONE,
            oldest: NONE,
            volatile: Vec::new(),
            hand: 0,
            open: NONE,
            open_heap: 0,
        }
    }
}

impl Keyspace {
    /// How many keys, expired ones that were not noticed yet included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// How many of them expire.
    pub fn volatile_len(&self) -> usize {
        self.volatile.len()
    }

    /// The index of a key. It holds until the next insert or remove.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.table.find(hash, key)
    }

    /// The entry at an index.
    pub fn at(&self, at: u32) -> &Entry {
        self.table.at(at)
    }

    /// When an entry expires, if it does.
    pub fn expires(&self, entry: &Entry) -> Option<i64> {
        self.volatile.get(entry.volatile_at as usize).map(|deadline| deadline.time)
    }

    /// True when an entry's time is over.
    pub fn is_over(&self, entry: &Entry, now: i64) -> bool {
        self.expires(entry).is_some_and(|time| now > time)
    }

    /// The value at an index, to be changed.
    pub fn value_mut(&mut self, at: u32) -> &mut Value {
        if self.open != at {
            self.settle();
            self.open = at;
            self.open_heap = self.table.at(at).heap();
        }
        &mut self.table.at_mut(at).value
    }

    /// Adds a key that is not there yet, as the one used last.
    pub fn insert(&mut self, hash: u64, key: &[u8], value: Value, expires: i64, now: i64) -> u32 {
        let entry = Entry { key: Blob::new(key), value, accessed: tenths(now), volatile_at: NONE };
        let at = self.table.insert(hash, entry);
        self.links.push(Link { newer: NONE, older: NONE });
        self.link_newest(at);
        self.set_expires(at, expires);
        at
    }

    /// Takes a key out.
    pub fn remove(&mut self, at: u32) -> Value {
        self.settle();
        self.set_expires(at, NEVER);
        self.unlink(at);
        let removed = self.table.remove(at);
        self.links.swap_remove(at as usize);
        if removed.moved_from.is_some() {
            let Link { newer, older } = self.links[at as usize];
            match newer {
                NONE => self.newest = at,
                _ => self.links[newer as usize].older = at,
            }
            match older {
                NONE => self.oldest = at,
                _ => self.links[older as usize].newer = at,
            }
            let volatile_at = self.table.at(at).volatile_at;
            if volatile_at != NONE {
                self.volatile[volatile_at as usize].at = at;
            }
        }
        removed.item.value
    }

    /// Sets when a key expires, or that it does not (`NEVER`).
    pub fn set_expires(&mut self, at: u32, expires: i64) {
        let place = self.table.at(at).volatile_at;
        match (place == NONE, expires == NEVER) {
            (true, false) => {
                self.table.at_mut(at).volatile_at = self.volatile.len() as u32;
                self.volatile.push(Deadline { time: expires, at });
            }
            (false, false) => self.volatile[place as usize].time = expires,
            (false, true) => {
                self.table.at_mut(at).volatile_at = NONE;
                self.volatile.swap_remove(place as usize);
                if let Some(moved) = self.volatile.get(place as usize) {
                    self.table.at_mut(moved.at).volatile_at = place;
                }
                if self.volatile.capacity() > 64 && self.volatile.len() * 4 < self.volatile.capacity() {
                    self.volatile.shrink_to(self.volatile.len() * 2);
                }
            }
            (true, true) => {}
        }
    }

    /// Notes a use; `order` also makes it the last to be evicted. Within one tenth of a second, which is as
    /// exact as times of use are, keys stay in the order of their first use: moving one costs access to
    /// three others, which is most of what a read costs.
    pub fn touch(&mut self, at: u32, now: i64, order: bool) {
        let now = tenths(now);
        let before = std::mem::replace(&mut self.table.at_mut(at).accessed, now);
        if order && before != now && self.newest != at {
            self.unlink(at);
            self.link_newest(at);
        }
    }

    /// The index of the key that was not used for longest.
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Visits the keys at a scan position (see `Table::scan`).
    pub fn scan(&self, position: u64, visit: impl FnMut(&Entry)) -> u64 {
        self.table.scan(position, visit)
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// Looks at up to `count` keys that expire, beginning where it last stopped, and gives the indexes of
    /// those whose time is over, the largest first: removing in that order keeps the others valid.
    pub fn expired(&mut self, count: usize, now: i64) -> Vec<u32> {
        let count = count.min(self.volatile.len());
        let mut found = Vec::new();
        for _ in 0..count {
            self.hand = (self.hand + 1) % self.volatile.len();
            let Deadline { time, at } = self.volatile[self.hand];
            if now > time {
                found.push(at);
            }
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    /// Counts the memory of a value that was being changed.
    pub fn settle(&mut self) {
        if self.open != NONE {
            let heap = self.table.at(self.open).heap();
            self.table.account(self.open_heap, heap);
            self.open = NONE;
        }
    }

    /// Bytes allocated, once settled.
    pub fn heap(&self) -> usize {
        self.table.heap() + self.links.heap() + allocated(self.volatile.capacity() * size_of::<Deadline>())
    }

    fn link_newest(&mut self, at: u32) {
        let older = self.newest;
        self.links[at as usize] = Link { newer: NONE, older };
        match older {
            NONE => self.oldest = at,
            _ => self.links[older as usize].newer = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Link { newer, older } = self.links[at as usize];
        match newer {
            NONE => self.newest = older,
            _ => self.links[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            _ => self.links[older as usize].newer = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::hash;
    use super::*;

    impl Keyspace {
        fn validate(&self) {
            let (mut at, mut newer, mut count) = (self.newest, NONE, 0);
            while at != NONE {
                assert_eq!(self.links[at as usize].newer, newer);
                (newer, at, count) = (at, self.links[at as usize].older, count + 1);
            }
            assert_eq!((newer, count), (self.oldest, self.len()));
            for (place, deadline) in self.volatile.iter().enumerate() {
                assert_eq!(self.at(deadline.at).volatile_at as usize, place);
            }
            assert_eq!(self.volatile.len(), self.iter().filter(|e| self.expires(e).is_some()).count());
        }
    }

    #[test]
    fn links_survive_random_changes_and_order_is_by_use() {
        let mut keys = Keyspace::default();
        fastrand::seed(5);
        let mut order: Vec<u32> = Vec::new();
        for step in 0..20_000 {
            let n = fastrand::u32(0..200);
            let key = n.to_string();
            let hash = hash(key.as_bytes());
            let found = keys.find(hash, key.as_bytes());
            order.retain(|&other| other != n || (found.is_some() && step % 3 == 1));
            match (found, step % 3) {
                (Some(at), 0) => drop(keys.remove(at)),
                (Some(at), 1) => keys.set_expires(at, if step % 2 == 0 { NEVER } else { step }),
                (Some(at), _) => {
                    keys.touch(at, step * 100, true);
                    order.push(n);
                }
                (None, _) => {
                    keys.insert(hash, key.as_bytes(), Value::Int(0), NEVER, 0);
                    order.push(n);
                }
            }
            keys.validate();
            let oldest = keys.oldest().map(|at| keys.at(at).key().to_vec());
            assert_eq!(oldest, order.first().map(|n| n.to_string().into_bytes()));
        }
    }

    #[test]
    fn memory_follows_values_that_change_in_place() {
        let mut keys = Keyspace::default();
        let at = keys.insert(hash(b"a"), b"a", Value::Raw(Box::default()), NEVER, 0);
        let before = keys.heap();
        if let Value::Raw(bytes) = keys.value_mut(at) {
            bytes.resize(100_000, 0);
        }
        keys.settle();
        assert!(keys.heap() >= before + 100_000);
        keys.remove(at);
        assert!(keys.heap() < before);
    }
}
