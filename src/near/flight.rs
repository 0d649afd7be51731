//! Tracked fetches under way, and writes not yet answered, of one shard.
//!
//! Both are kept beside the shard's records under the same lock, so a push, a write, a lookup and a
//! fill are ordered by that lock alone. Pushes and writes find flights by the key's hash only: should
//! two keys share one, a flight is detached without need, which costs a fetch and breaks nothing.

use super::policy::Settings;
use crate::resp::ArgVec;
use crate::store::{EntryKey, Stamp};
use hashbrown::HashTable;

/// Flights that one shard may have at a time; reads beyond it go plain. A lane has far fewer commands
/// in flight than all shards together allow.
const MAX_FLIGHTS: usize = 4096;
/// Joiners of one flight; reads beyond it go plain. More than one session's worth of clients.
const MAX_JOINERS: usize = 65_536;

/// Names a flight. Small and `Copy`, to be carried in the lane's queue of expected replies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlightRef {
    pub(super) shard: u16,
    slot: u32,
    generation: u32,
}

/// How far a flight has come.
pub(super) enum Progress {
    /// Created; its commands are not on the lane yet.
    New,
    /// On the lane.
    Appended { sent_at: u64, seq: u64 },
    /// The value has arrived, its PTTL has not.
    Replied { sent_at: u64, reply: Box<[u8]>, absence: super::Absence },
}

/// One tracked fetch.
pub(super) struct Flight<W> {
    pub hash: u64,
    pub ident: Ident,
    pub settings: Settings,
    /// The lane and its epoch when the flight was created, before it was appended: a bump between
    /// the two voids it, which is the safe side.
    pub stamp: Stamp,
    pub progress: Progress,
    /// False once a push, a write or an error says that the reply must not be stored.
    pub storable: bool,
    /// Who waits for the reply beside the client that caused the fetch.
    pub joiners: Vec<W>,
}

/// An `EntryKey` that owns its bytes: `args[0]` is the key.
pub(super) struct Ident {
    pub identity: u16,
    pub db: u32,
    pub command: u16,
    args: ArgVec,
}

impl Ident {
    pub fn of(key: &EntryKey) -> Self {
        let args = std::iter::once(key.key).chain(key.rest.iter()).collect();
        Ident { identity: key.identity, db: key.db, command: key.command, args }
    }

    pub fn key(&self) -> EntryKey<'_> {
        let args = self.args.args();
        EntryKey {
            identity: self.identity,
            db: self.db,
            command: self.command,
            key: args.get(0).unwrap_or_default(),
            rest: args.skip(1),
        }
    }

    pub fn is(&self, key: &EntryKey) -> bool {
        let own = self.key();
        own.command == key.command
            && own.db == key.db
            && own.identity == key.identity
            && own.key == key.key
            && own.rest.iter().eq(key.rest.iter())
    }
}

/// The flights of one shard.
pub(super) struct Flights<W> {
    slots: Vec<Slot<W>>,
    free: Vec<u32>,
    /// Slots of flights that may still be joined or stored, by hash of the key.
    index: HashTable<u32>,
}

struct Slot<W> {
    generation: u32,
    flight: Option<Flight<W>>,
}

impl<W> Flights<W> {
    pub fn new() -> Self {
        Flights { slots: Vec::new(), free: Vec::new(), index: HashTable::new() }
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= MAX_FLIGHTS
    }

    /// The flight for `key` that has not been detached.
    pub fn find(&mut self, hash: u64, key: &EntryKey) -> Option<&mut Flight<W>> {
        let slots = &self.slots;
        let found = self.index.find(hash, |&slot| {
            let flight = slots.get(slot as usize).and_then(|slot| slot.flight.as_ref());
            flight.is_some_and(|flight| flight.hash == hash && flight.ident.is(key))
        });
        let slot = *found?;
        self.slots.get_mut(slot as usize)?.flight.as_mut()
    }

    pub fn add(&mut self, shard: u16, flight: Flight<W>) -> FlightRef {
        let hash = flight.hash;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, flight: None });
            (self.slots.len() - 1) as u32
        });
        let generation = match self.slots.get_mut(slot as usize) {
            Some(place) => {
                place.flight = Some(flight);
                place.generation
            }
            None => 0,
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |&slot| hash_in(slots, slot));
        FlightRef { shard, slot, generation }
    }

    pub fn get(&mut self, flight: FlightRef) -> Option<&mut Flight<W>> {
        let slot = self.slots.get_mut(flight.slot as usize)?;
        if slot.generation != flight.generation {
            return None;
        }
        slot.flight.as_mut()
    }

    pub fn remove(&mut self, flight: FlightRef) -> Option<Flight<W>> {
        self.get(flight)?;
        self.unlink(flight.slot);
        let slot = self.slots.get_mut(flight.slot as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(flight.slot);
        slot.flight.take()
    }

    /// Makes every flight of a key unstorable and unjoinable; how many there were, and how many wait for
    /// them.
    pub fn detach(&mut self, hash: u64) -> (usize, usize) {
        let (mut detached, mut joined) = (0, 0);
        while let Some(slot) = self.linked(hash) {
            self.unlink(slot);
            if let Some(flight) = self.slots.get_mut(slot as usize).and_then(|slot| slot.flight.as_mut()) {
                flight.storable = false;
                detached += 1;
                joined += flight.joiners.len();
            }
        }
        (detached, joined)
    }

    /// Makes one flight unstorable and unjoinable.
    pub fn spoil(&mut self, flight: FlightRef) {
        if let Some(found) = self.get(flight) {
            found.storable = false;
            self.unlink(flight.slot);
        }
    }

    /// Detaches the flights whose keys `condemned` says; how many there were.
    pub fn detach_matching(&mut self, condemned: impl Fn(&[u8]) -> bool) -> usize {
        let linked = self.index.iter().copied().filter(|&slot| {
            let flight = self.slots.get(slot as usize).and_then(|slot| slot.flight.as_ref());
            flight.is_some_and(|flight| condemned(flight.ident.key().key))
        });
        let hashes: Vec<u64> = linked.map(|slot| hash_in(&self.slots, slot)).collect();
        hashes.into_iter().map(|hash| self.detach(hash).0).sum()
    }

    fn linked(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |&slot| hash_in(&self.slots, slot) == hash).copied()
    }

    fn unlink(&mut self, slot: u32) {
        let hash = hash_in(&self.slots, slot);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
    }
}

impl<W> Flight<W> {
    /// Nothing if it has too many joiners.
    pub fn join(&mut self, waiter: impl FnOnce() -> W) -> Option<()> {
        (self.joiners.len() < MAX_JOINERS).then(|| self.joiners.push(waiter()))
    }
}

fn hash_in<W>(slots: &[Slot<W>], slot: u32) -> u64 {
    slots.get(slot as usize).and_then(|slot| slot.flight.as_ref()).map_or(0, |flight| flight.hash)
}

/// Keys with unanswered writes of this proxy, as counts by hash. A shared hash makes a key look
/// pending: its reads go plain for a moment.
#[derive(Default)]
pub(super) struct Pending {
    counts: HashTable<(u64, u32)>,
}

impl Pending {
    pub fn contains(&self, hash: u64) -> bool {
        !self.counts.is_empty() && self.counts.find(hash, |&(other, _)| other == hash).is_some()
    }

    pub fn add(&mut self, hash: u64) {
        match self.counts.find_mut(hash, |&(other, _)| other == hash) {
            Some((_, count)) => *count += 1,
            None => _ = self.counts.insert_unique(hash, (hash, 1), |&(hash, _)| hash),
        }
    }

    pub fn sub(&mut self, hash: u64) {
        if let Ok(mut found) = self.counts.find_entry(hash, |&(other, _)| other == hash) {
            found.get_mut().1 -= 1;
            if found.get().1 == 0 {
                found.remove();
            }
        }
    }

    pub fn len(&self) -> usize {
        self.counts.len()
    }
}
