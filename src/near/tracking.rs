//! Clients' own CLIENT TRACKING: which client must be told when a key changes.
//!
//! As in Redis, a registration is of a key name (no database), is used up by the first push, and
//! outlives TRACKING OFF and the client itself: ids are never used twice, and stale ones are dropped
//! when their key changes. Over the bound, a random key is pushed as if it had changed.
//!
//! A session registers *before* it looks the key up: a push in between then finds the registration.

use ahash::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A client of the proxy, by its CLIENT ID.
pub type ClientId = u64;

/// What a client asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mode {
    /// It hears of all keys with one of these prefixes, and registers none. An empty prefix is all
    /// keys; an empty list is the default mode.
    pub prefixes: Vec<Box<[u8]>>,
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
    /// Clients with tracking on: at 0, pushes need no lock here.
    active: AtomicUsize,
    table: Mutex<Table>,
    hasher: RandomState,
    /// Keys registered at most; as `tracking-table-max-keys`.
    max_keys: usize,
}

#[derive(Default)]
struct Table {
    clients: HashMap<ClientId, Mode, RandomState>,
    /// Who hears of keys with a prefix.
    prefixes: BTreeMap<Box<[u8]>, Vec<ClientId>>,
    /// All registered keys, in no order, so that a random one can be picked.
    keys: Vec<Registered>,
    /// Places in `keys`, by hash of the key.
    index: HashTable<u32>,
    items: usize,
}

struct Registered {
    hash: u64,
    key: Box<[u8]>,
    /// Sorted; nearly always one or a few.
    clients: Vec<ClientId>,
}

impl Tracking {
    /// An empty table of at most `max_keys` keys.
    pub fn new(max_keys: usize) -> Self {
        let max_keys = max_keys.clamp(1, u32::MAX as usize);
        Tracking {
            active: AtomicUsize::new(0),
            table: Mutex::default(),
            hasher: RandomState::new(),
            max_keys,
        }
    }

    /// True when some client tracks: otherwise nobody needs to be told anything.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire) > 0
    }

    /// Turns tracking on for a client, or changes its mode; prefixes are added to those it has. On
    /// an overlap nothing changes.
    pub fn enable(&self, client: ClientId, mode: Mode) -> Result<(), Overlap> {
        let mut table = self.table.lock();
        let had = table.clients.get(&client).map(|mode| mode.prefixes.clone()).unwrap_or_default();
        let fresh: Vec<_> = mode.prefixes.iter().filter(|p| !had.contains(p)).cloned().collect();
        check_overlap(&had, &fresh)?;
        for prefix in &fresh {
            table.prefixes.entry(prefix.clone()).or_default().push(client);
        }
        let prefixes = had.into_iter().chain(fresh).collect();
        table.clients.insert(client, Mode { prefixes, noloop: mode.noloop });
        self.active.store(table.clients.len(), Ordering::Release);
        Ok(())
    }

    /// Turns tracking off for a client, or the client has gone.
    pub fn disable(&self, client: ClientId) {
        let mut table = self.table.lock();
        let Some(mode) = table.clients.remove(&client) else { return };
        for prefix in mode.prefixes {
            if let Some(clients) = table.prefixes.get_mut(&prefix) {
                clients.retain(|&other| other != client);
                if clients.is_empty() {
                    table.prefixes.remove(&prefix);
                }
            }
        }
        self.active.store(table.clients.len(), Ordering::Release);
    }

    /// A client is about to read a key that it tracks. Returns the key that had to make room, whose
    /// clients must be told.
    #[must_use = "the clients of the key that made room must be told"]
    pub fn register(&self, client: ClientId, key: &[u8]) -> Option<Told> {
        let hash = self.hasher.hash_one(key);
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
        told
    }

    /// A key has changed; call after its entries are gone. `by` is the client whose write's reply came
    /// directly before the push. Whom to tell, by registration and by prefix, each once.
    pub fn changed(&self, key: &[u8], by: Option<ClientId>) -> Vec<ClientId> {
        if !self.is_active() {
            return Vec::new();
        }
        let hash = self.hasher.hash_one(key);
        let mut table = self.table.lock();
        let found = table.find(hash, key).map(|at| table.take(at).clients);
        let mut clients = found.unwrap_or_default();
        // A registration that is used up counts even if its client is not told (NOLOOP), as in Redis.
        for (prefix, listeners) in &table.prefixes {
            if key.starts_with(prefix) {
                clients.extend(listeners);
            }
        }
        clients.sort_unstable();
        clients.dedup();
        table.listeners(clients, by)
    }

    /// Everything may have changed: a null push, a lost lane, failover. All who track are told so.
    pub fn flushed(&self) -> Vec<ClientId> {
        let mut table = self.table.lock();
        table.keys.clear();
        table.index.clear();
        table.items = 0;
        let mut clients: Vec<ClientId> = table.clients.keys().copied().collect();
        clients.sort_unstable();
        clients
    }

    /// A client's mode, if it tracks.
    pub fn mode(&self, client: ClientId) -> Option<Mode> {
        self.table.lock().clients.get(&client).cloned()
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

    /// Those of `clients` that still track and want to hear of a change made by `by`.
    fn listeners(&self, mut clients: Vec<ClientId>, by: Option<ClientId>) -> Vec<ClientId> {
        clients.retain(|client| match self.clients.get(client) {
            Some(mode) => !(mode.noloop && by == Some(*client)),
            None => false,
        });
        clients
    }
}

/// Redis's rule: no prefix of a client may begin with another one of it.
fn check_overlap(had: &[Box<[u8]>], fresh: &[Box<[u8]>]) -> Result<(), Overlap> {
    let collide = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    for (i, given) in fresh.iter().enumerate() {
        let overlap =
            |other: &[u8], existing| Overlap { given: given.clone(), other: other.into(), existing };
        if let Some(other) = had.iter().find(|other| collide(given, other)) {
            return Err(overlap(other, true));
        }
        if let Some(other) = fresh[i + 1..].iter().find(|other| collide(given, other)) {
            return Err(overlap(other, false));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(list: &[&str]) -> Mode {
        Mode { prefixes: list.iter().map(|p| p.as_bytes().into()).collect(), noloop: false }
    }

    fn tracking(max_keys: usize, clients: &[ClientId]) -> Tracking {
        let tracking = Tracking::new(max_keys);
        clients.iter().for_each(|&c| tracking.enable(c, Mode::default()).expect("no prefixes"));
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
        tracking.enable(1, Mode { noloop: true, ..Mode::default() }).expect("no prefixes");
        let _ = (tracking.register(1, b"k"), tracking.register(2, b"k"));
        assert_eq!(tracking.changed(b"k", Some(1)), [2]);
        assert!(tracking.changed(b"k", None).is_empty());
    }

    #[test]
    fn prefixes_hear_every_time_and_once_each() {
        let tracking = tracking(10, &[]);
        tracking.enable(1, prefixes(&["a:", "b:"])).expect("apart");
        tracking.enable(2, prefixes(&[""])).expect("alone");
        assert_eq!(tracking.changed(b"a:1", None), [1, 2]);
        assert_eq!(tracking.changed(b"a:1", None), [1, 2]);
        assert_eq!(tracking.changed(b"c:1", None), [2]);
        tracking.disable(2);
        assert!(tracking.changed(b"c:1", None).is_empty());
        tracking.disable(1);
        assert_eq!(tracking.totals(), TrackingTotals::default());
        assert!(!tracking.is_active());
    }

    #[test]
    fn prefixes_of_one_client_may_not_overlap() {
        let tracking = tracking(10, &[]);
        tracking.enable(1, prefixes(&["ab"])).expect("alone");
        let overlap = tracking.enable(1, prefixes(&["x", "a"])).expect_err("a is within ab");
        assert_eq!((&*overlap.given, &*overlap.other, overlap.existing), (&b"a"[..], &b"ab"[..], true));
        let overlap = tracking.enable(2, prefixes(&["x", "xy"])).expect_err("xy is within x");
        assert!(!overlap.existing);
        assert_eq!(tracking.mode(2), None);
        tracking.enable(1, prefixes(&["ab", "c"])).expect("the same one again is no overlap");
        assert_eq!(tracking.totals().tracking_total_prefixes, 2);
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
        assert_eq!(tracking.flushed(), [2]);
        assert!(tracking.changed(b"k", None).is_empty());
    }
}
