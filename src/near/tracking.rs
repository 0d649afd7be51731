//! Clients' own CLIENT TRACKING: which client must be told when a key changes.
//!
//! The one idea: a client is registered *at the moment its value is taken*. For a hit that is under the
//! shard's lock, which the push takes as well; for any other read it is when the lane's reader applies
//! the reply, in stream order. So a push that finds no registration came before the value.
//!
//! As in Redis, a registration is of a key name (no database), is used up by the first push, and
//! outlives TRACKING OFF and the client itself: ids are never used twice, and stale ones are dropped
//! when their key changes. Over the bound, a random key is told as if it had changed.

use super::{WriteRef, hash_of};
use ahash::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keys registered at most: the default of Redis's `tracking-table-max-keys`.
pub const MAX_KEYS: usize = 1_000_000;

/// A client of the proxy, by its CLIENT ID.
pub type ClientId = u64;

/// What a client asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mode {
    /// It hears of all keys with one of its prefixes, and registers none.
    pub bcast: bool,
    /// It does not hear of its own writes.
    pub noloop: bool,
}

/// A key that clients must be told about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The key.
    pub key: Box<[u8]>,
    /// Whom to tell.
    pub clients: Vec<ClientId>,
}

/// Two prefixes of one client of which one begins with the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overlap {
    /// The newly given one.
    pub given: Box<[u8]>,
    /// The one it collides with.
    pub other: Box<[u8]>,
    /// `other` was there before, rather than given with it.
    pub existing: bool,
}

/// Sizes, under the names that INFO has for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TrackingTotals {
    /// Clients with tracking on.
    pub tracking_clients: usize,
    /// Keys registered.
    pub tracking_total_keys: usize,
    /// Registrations: keys times clients.
    pub tracking_total_items: usize,
    /// Prefixes registered.
    pub tracking_total_prefixes: usize,
}

/// The table of registrations.
pub struct Tracking {
    /// Clients with tracking on, and keys registered: at 0, pushes need no lock here.
    active: AtomicUsize,
    table: Mutex<Table>,
    /// The near cache's own, so that its `WriteRef` can be looked up here.
    hasher: RandomState,
    /// Keys registered at most.
    max_keys: usize,
}

#[derive(Default)]
struct Table {
    clients: HashMap<ClientId, Client, RandomState>,
    /// Who hears of keys with a prefix.
    prefixes: BTreeMap<Box<[u8]>, Vec<ClientId>>,
    /// All registered keys, in no order, so that a random one can be picked.
    keys: Vec<Registered>,
    /// Places in `keys`, by hash of the key.
    index: HashTable<u32>,
    items: usize,
}

#[derive(Default)]
struct Client {
    mode: Mode,
    prefixes: BTreeSet<Box<[u8]>>,
}

struct Registered {
    hash: u64,
    key: Box<[u8]>,
    /// Sorted; nearly always one or a few.
    clients: Vec<ClientId>,
}

impl Tracking {
    /// An empty table of at most `max_keys` keys, beside the near cache that hashes with `hasher`.
    pub fn new(max_keys: usize, hasher: RandomState) -> Self {
        let max_keys = max_keys.clamp(1, u32::MAX as usize);
        Tracking { active: AtomicUsize::new(0), table: Mutex::default(), hasher, max_keys }
    }

    /// True when some client tracks, or is registered from when it did: otherwise nobody needs to be told
    /// anything.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire) > 0
    }

    /// True when some client hears of keys by prefix.
    pub fn has_prefixes(&self) -> bool {
        !self.table.lock().prefixes.is_empty()
    }

    /// Redis's rule for the prefixes that a client gives: none may begin with another one of it, be it
    /// given too or there before. None given is none checked.
    pub fn overlap(&self, client: ClientId, given: &[&[u8]]) -> Option<Overlap> {
        let table = self.table.lock();
        let none = BTreeSet::new();
        let had = table.clients.get(&client).map_or(&none, |client| &client.prefixes);
        let collide = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        for (i, &prefix) in given.iter().enumerate() {
            let overlap =
                |other: &[u8], existing| Overlap { given: prefix.into(), other: other.into(), existing };
            if let Some(other) = had.iter().find(|other| collide(prefix, other)) {
                return Some(overlap(other, true));
            }
            if let Some(other) = given[i + 1..].iter().find(|other| collide(prefix, other)) {
                return Some(overlap(other, false));
            }
        }
        None
    }

    /// Turns tracking on for a client, or changes its mode; prefixes are added to those it has. An empty
    /// prefix is all keys.
    pub fn enable(&self, client: ClientId, mode: Mode, prefixes: &[&[u8]]) {
        let mut table = self.table.lock();
        let entry = table.clients.entry(client).or_default();
        entry.mode = mode;
        let fresh: Vec<&[u8]> =
            prefixes.iter().copied().filter(|prefix| entry.prefixes.insert((*prefix).into())).collect();
        for prefix in fresh {
            table.prefixes.entry(prefix.into()).or_default().push(client);
        }
        self.count(&table);
    }

    /// Turns tracking off for a client, or the client has gone.
    pub fn disable(&self, client: ClientId) {
        let mut table = self.table.lock();
        let Some(gone) = table.clients.remove(&client) else { return };
        for prefix in gone.prefixes {
            if let Some(clients) = table.prefixes.get_mut(&prefix) {
                clients.retain(|&other| other != client);
                if clients.is_empty() {
                    table.prefixes.remove(&prefix);
                }
            }
        }
        self.count(&table);
    }

    /// A client that tracks takes the value of a key. Returns the key that had to make room, whose
    /// clients must be told.
    #[must_use = "the clients of the key that made room must be told"]
    pub fn register(&self, client: ClientId, key: &[u8]) -> Option<Told> {
        let hash = hash_of(&self.hasher, key);
        let mut table = self.table.lock();
        if let Some(at) = table.find(hash, key) {
            let registered = &mut table.keys[at];
            if let Err(place) = registered.clients.binary_search(&client) {
                registered.clients.insert(place, client);
                table.items += 1;
            }
            return None;
        }
        let told = match table.keys.len() >= self.max_keys {
            true => {
                let any = fastrand::usize(..table.keys.len());
                let victim = table.take(any);
                let clients = table.listeners(victim.clients, None);
                (!clients.is_empty()).then_some(Told { key: victim.key, clients })
            }
            false => None,
        };
        table.add(Registered { hash, key: key.into(), clients: vec![client] });
        self.count(&table);
        told
    }

    /// True if somebody may have to be told of this write (or of a key with the same hash).
    pub fn concerns(&self, write: WriteRef) -> bool {
        let WriteRef(hash) = write;
        let table = self.table.lock();
        table.index.find(hash, |&at| table.keys.get(at as usize).is_some_and(|r| r.hash == hash)).is_some()
    }

    /// A key has changed; call after its entries are gone. `by` is the client whose write's reply came
    /// directly before the push. Whom to tell: those registered.
    pub fn changed(&self, key: &[u8], by: Option<ClientId>) -> Vec<ClientId> {
        if !self.is_active() {
            return Vec::new();
        }
        let hash = hash_of(&self.hasher, key);
        let mut table = self.table.lock();
        // A registration that is used up counts even if its client is not told (NOLOOP), as in Redis.
        let found = table.find(hash, key).map(|at| table.take(at).clients);
        self.count(&table);
        found.map_or_else(Vec::new, |clients| table.listeners(clients, by))
    }

    /// These keys have changed, `by` a client if that is known. Whom to tell by prefix, and which of the keys: one message per prefix, in
    /// the order of the prefixes, as Redis sends them.
    pub fn broadcast<'k>(
        &self,
        keys: &[&'k [u8]],
        by: Option<ClientId>,
    ) -> Vec<(Vec<&'k [u8]>, Vec<ClientId>)> {
        let table = self.table.lock();
        let under = |prefix: &[u8]| keys.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        let silent = |client: &ClientId| {
            by == Some(*client) && table.clients.get(client).is_some_and(|client| client.mode.noloop)
        };
        let hearing = |clients: &Vec<ClientId>| clients.iter().copied().filter(|c| !silent(c)).collect();
        let told = table.prefixes.iter().map(|(prefix, clients)| (under(prefix), hearing(clients)));
        told.filter(|(keys, _): &(Vec<&[u8]>, _)| !keys.is_empty()).collect()
    }

    /// Everything may have changed: a null push, a lost connection. Whom to tell, of those who hear by
    /// prefix or of the others; the others' registrations are used up.
    pub fn flushed(&self, bcast: bool) -> Vec<ClientId> {
        let mut table = self.table.lock();
        if !bcast {
            table.keys.clear();
            table.index.clear();
            table.items = 0;
        }
        self.count(&table);
        let told = table.clients.iter().filter(|(_, client)| client.mode.bcast == bcast);
        let mut clients: Vec<ClientId> = told.map(|(&id, _)| id).collect();
        clients.sort_unstable();
        clients
    }

    /// A client's prefixes, in order.
    pub fn prefixes(&self, client: ClientId) -> Vec<Box<[u8]>> {
        self.table.lock().clients.get(&client).map_or_else(Vec::new, |c| c.prefixes.iter().cloned().collect())
    }

    fn count(&self, table: &Table) {
        self.active.store(table.clients.len() + table.keys.len(), Ordering::Release);
    }

    /// Sizes.
    pub fn totals(&self) -> TrackingTotals {
        let table = self.table.lock();
        TrackingTotals {
            tracking_clients: table.clients.len(),
            tracking_total_keys: table.keys.len(),
            tracking_total_items: table.items,
            tracking_total_prefixes: table.prefixes.len(),
        }
    }
}

impl Table {
    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let same = |&at: &u32| self.keys.get(at as usize).is_some_and(|r| r.hash == hash && *r.key == *key);
        self.index.find(hash, same).map(|&at| at as usize)
    }

    fn add(&mut self, registered: Registered) {
        self.items += registered.clients.len();
        let (hash, at) = (registered.hash, self.keys.len() as u32);
        self.keys.push(registered);
        let keys = &self.keys;
        self.index.insert_unique(hash, at, |&at| keys[at as usize].hash);
    }

    /// Takes the key at a place out, and moves the last one there.
    fn take(&mut self, at: usize) -> Registered {
        let last = self.keys.len() - 1;
        let hashes = (self.keys[at].hash, self.keys[last].hash);
        if let Ok(found) = self.index.find_entry(hashes.0, |&place| place as usize == at) {
            found.remove();
        }
        if let (true, Some(moved)) = (at != last, self.index.find_mut(hashes.1, |&p| p as usize == last)) {
            *moved = at as u32;
        }
        let taken = self.keys.swap_remove(at);
        self.items -= taken.clients.len();
        taken
    }

    /// Those of `clients` that still track by key and want to hear of a change made by `by`.
    fn listeners(&self, mut clients: Vec<ClientId>, by: Option<ClientId>) -> Vec<ClientId> {
        clients.retain(|client| match self.clients.get(client) {
            Some(Client { mode, .. }) => !(mode.bcast || mode.noloop && by == Some(*client)),
            None => false,
        });
        clients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(max_keys: usize) -> Tracking {
        Tracking::new(max_keys, RandomState::new())
    }

    fn tracking(max_keys: usize, clients: &[ClientId]) -> Tracking {
        let tracking = table(max_keys);
        clients.iter().for_each(|&c| tracking.enable(c, Mode::default(), &[]));
        tracking
    }

    #[test]
    fn a_registration_is_told_once() {
        let tracking = tracking(10, &[1, 2]);
        assert_eq!(tracking.register(2, b"k"), None);
        assert_eq!(tracking.register(1, b"k"), None);
        assert_eq!(tracking.register(1, b"k"), None);
        assert_eq!(tracking.totals().tracking_total_items, 2);
        assert!(tracking.changed(b"other", None).is_empty());
        assert_eq!(tracking.changed(b"k", None), [1, 2]);
        assert!(tracking.changed(b"k", None).is_empty());
        assert_eq!(tracking.totals().tracking_total_keys, 0);
    }

    #[test]
    fn noloop_uses_the_registration_up_in_silence() {
        let tracking = tracking(10, &[2]);
        tracking.enable(1, Mode { noloop: true, ..Mode::default() }, &[]);
        let _ = (tracking.register(1, b"k"), tracking.register(2, b"k"));
        assert_eq!(tracking.changed(b"k", Some(1)), [2]);
        assert!(tracking.changed(b"k", None).is_empty());
    }

    #[test]
    fn prefixes_hear_every_time_one_message_each() {
        let tracking = table(10);
        let bcast = Mode { bcast: true, ..Mode::default() };
        tracking.enable(1, bcast, &[b"a:", b"b:"]);
        tracking.enable(2, bcast, &[b""]);
        let keys: [&[u8]; 3] = [b"a:1", b"a:2", b"b:1"];
        for _ in 0..2 {
            let told = tracking.broadcast(&keys, None);
            let all = keys.to_vec();
            assert_eq!(told, [(all, vec![2]), (keys[..2].to_vec(), vec![1]), (keys[2..].to_vec(), vec![1])]);
        }
        assert_eq!(tracking.broadcast(&[b"c"], None), [(vec![&b"c"[..]], vec![2])]);
        let _ = tracking.register(1, b"a:1");
        assert!(tracking.changed(b"a:1", None).is_empty(), "it hears by prefix");
        assert_eq!((tracking.flushed(true), tracking.flushed(false)), (vec![1, 2], vec![]));
        tracking.disable(2);
        assert!(tracking.broadcast(&[b"c"], None).is_empty());
        tracking.disable(1);
        assert_eq!(tracking.totals(), TrackingTotals::default());
        assert!(!tracking.is_active() && !tracking.has_prefixes());
    }

    #[test]
    fn prefixes_of_one_client_may_not_overlap() {
        let tracking = table(10);
        tracking.enable(1, Mode { bcast: true, ..Mode::default() }, &[b"ab"]);
        let overlap = tracking.overlap(1, &[b"x", b"a"]).expect("a is within ab");
        assert_eq!((&*overlap.given, &*overlap.other, overlap.existing), (&b"a"[..], &b"ab"[..], true));
        assert!(!tracking.overlap(2, &[b"x", b"xy"]).expect("xy is within x").existing);
        assert!(tracking.overlap(1, &[b"ab"]).is_some(), "the same one again");
        assert_eq!(tracking.overlap(1, &[b"c", b"d"]), None);
        assert_eq!(tracking.overlap(1, &[]), None);
    }

    #[test]
    fn over_the_bound_some_key_is_told_as_if_changed() {
        let tracking = tracking(3, &[1]);
        let told: Vec<Told> = (0..50u8).filter_map(|n| tracking.register(1, &[n])).collect();
        assert_eq!(told.len(), 47);
        assert_eq!(tracking.totals().tracking_total_keys, 3);
        let left: usize = (0..50u8).map(|n| tracking.changed(&[n], None).len()).sum();
        assert_eq!(left, 3);
        let mut all: Vec<u8> = told.iter().map(|told| told.key[0]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 47, "each was told once");
    }

    #[test]
    fn clients_that_are_gone_are_not_told() {
        let tracking = tracking(10, &[1, 2]);
        let _ = (tracking.register(1, b"k"), tracking.register(2, b"k"));
        tracking.disable(1);
        assert_eq!(tracking.changed(b"k", None), [2]);
        let _ = tracking.register(2, b"k");
        assert_eq!(tracking.flushed(false), [2]);
        assert!(tracking.changed(b"k", None).is_empty());
    }

    #[test]
    fn a_write_is_found_by_what_stands_for_it() {
        let hasher = RandomState::new();
        let near = crate::near::Near::<()>::with_rules(
            crate::near::Config::default(),
            crate::near::Rules::ALL,
            hasher.clone(),
        );
        let tracking = Tracking::new(10, hasher);
        tracking.enable(1, Mode::default(), &[]);
        let _ = tracking.register(1, b"k");
        assert!(tracking.concerns(near.write_of(b"k")));
        assert!(!tracking.concerns(near.write_of(b"other")));
    }
}
