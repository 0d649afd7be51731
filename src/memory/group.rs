//! Consumer groups of a stream: how far each has read, and which entries it has given out but not seen
//! acknowledged.
//!
//! The invariant: each pending entry names one consumer of the group, and is in that consumer's own list.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::streamid::Id;

/// All groups of a stream, by name.
#[derive(Clone, Default)]
pub struct Groups {
    map: BTreeMap<Box<[u8]>, Group>,
}

/// One group.
#[derive(Clone)]
pub struct Group {
    /// The last entry that was given out.
    pub last: Id,
    /// How many entries of all that were ever added are before what it reads next, if that is known.
    pub read: Option<u64>,
    pending: BTreeMap<Id, Pending>,
    consumers: BTreeMap<Name, Consumer>,
}

/// A consumer's name, shared by its pending entries.
pub type Name = Arc<[u8]>;

/// An entry that was given out.
#[derive(Clone)]
pub struct Pending {
    /// To whom.
    pub consumer: Name,
    /// When, in unix milliseconds.
    pub delivered: i64,
    /// How often.
    pub count: u64,
}

/// Somebody who reads for the group.
#[derive(Clone)]
pub struct Consumer {
    /// When it last asked for something, in unix milliseconds.
    pub seen: i64,
    pending: BTreeSet<Id>,
}

impl Consumer {
    /// How many entries it has not acknowledged.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

/// What a stream says of itself, for counting how far a group is.
#[derive(Clone, Copy)]
pub struct Progress {
    /// How many entries.
    pub len: usize,
    /// How many were ever added.
    pub added: u64,
    /// The first entry there is.
    pub first: Id,
    /// The last that was added.
    pub last: Id,
    /// The greatest that XDEL took.
    pub max_deleted: Id,
}

impl Progress {
    /// Whether XDEL took something between the entries that there are.
    fn has_holes(&self) -> bool {
        self.len > 0 && self.max_deleted != Id::MIN && self.max_deleted >= self.first
    }

    /// Whether one of those holes is at this id or behind it.
    fn has_holes_from(&self, id: Id) -> bool {
        self.has_holes() && id <= self.max_deleted
    }

    /// How many entries were added up to this one, if that can be told.
    fn count_up_to(&self, id: Id) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if id == self.last || self.len == 0 && id < self.last {
            return Some(self.added);
        }
        if id > self.last || self.has_holes() || id > self.first {
            return None;
        }
        Some(self.added - self.len as u64 + u64::from(id == self.first))
    }
}

impl Groups {
    /// None at all.
    pub const fn new() -> Groups {
        Groups { map: BTreeMap::new() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.map.iter().map(|(name, group)| (&**name, group))
    }

    /// A group by name.
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.map.get(name)
    }

    /// A group by name, to be changed.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.map.get_mut(name)
    }

    /// Makes a group; false if there is one of this name.
    pub fn create(&mut self, name: &[u8], last: Id, read: Option<u64>) -> bool {
        if self.map.contains_key(name) {
            return false;
        }
        let group = Group { last, read, pending: BTreeMap::new(), consumers: BTreeMap::new() };
        self.map.insert(name.into(), group);
        true
    }

    /// Removes a group; true when it was there.
    pub fn destroy(&mut self, name: &[u8]) -> bool {
        self.map.remove(name).is_some()
    }

    /// Bytes allocated, about: what a tree's node has to spare is not known.
    pub fn heap(&self) -> usize {
        /// An element of a tree, with its part of a node that is on average three quarters full.
        const fn element(size: usize) -> usize {
            size * 4 / 3 + 8
        }
        let each = |(name, group): (&[u8], &Group)| {
            name.len()
                + element(size_of::<Box<[u8]>>() + size_of::<Group>())
                + group.consumers.len() * (48 + element(size_of::<Name>() + size_of::<Consumer>()))
                + group.pending.len()
                    * (element(size_of::<Id>() + size_of::<Pending>()) + element(size_of::<Id>()))
        };
        self.iter().map(each).sum()
    }
}

impl Group {
    /// Pending entries of a range of ids, in order.
    pub fn pending(&self, ids: RangeInclusive<Id>) -> impl DoubleEndedIterator<Item = (Id, &Pending)> {
        // A range that ends before it begins is empty here, and a panic in the tree.
        let ids = (ids.start() <= ids.end()).then_some(ids);
        ids.into_iter().flat_map(|ids| self.pending.range(ids)).map(|(id, pending)| (*id, pending))
    }

    /// How many are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Those of one consumer.
    pub fn pending_of<'a>(
        &'a self,
        consumer: &'a Consumer,
        ids: RangeInclusive<Id>,
    ) -> impl Iterator<Item = (Id, &'a Pending)> {
        let ids = (ids.start() <= ids.end()).then_some(ids);
        let own = ids.into_iter().flat_map(|ids| consumer.pending.range(ids));
        own.filter_map(|id| Some((*id, self.pending.get(id)?)))
    }

    /// The consumers, in the order of their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = (&[u8], &Consumer)> {
        self.consumers.iter().map(|(name, consumer)| (&**name, consumer))
    }

    /// One of them.
    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Makes a consumer; false when it is there.
    pub fn create_consumer(&mut self, name: &[u8], now: i64) -> bool {
        let new = !self.consumers.contains_key(name);
        if new {
            self.consumers.insert(name.into(), Consumer { seen: now, pending: BTreeSet::new() });
        }
        new
    }

    /// Removes a consumer and what is pending for it; gives how much that was.
    pub fn delete_consumer(&mut self, name: &[u8]) -> usize {
        let Some(consumer) = self.consumers.remove(name) else { return 0 };
        consumer.pending.iter().for_each(|id| drop(self.pending.remove(id)));
        consumer.pending.len()
    }

    /// Notes that a consumer asks for something; makes it if need be.
    pub fn seen(&mut self, name: &[u8], now: i64) -> Name {
        self.create_consumer(name, now);
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen = now;
        }
        self.consumers.get_key_value(name).map_or_else(|| name.into(), |(name, _)| name.clone())
    }

    /// Gives out a new entry: the group has read up to it, and unless nobody will acknowledge it, it is
    /// pending.
    pub fn deliver(&mut self, id: Id, to: &Name, acknowledged: bool, progress: &Progress, now: i64) {
        if id > self.last {
            self.read = match self.read {
                Some(read) if !progress.has_holes_from(id) => Some(read + 1),
                _ if progress.added > 0 => progress.count_up_to(id),
                read => read,
            };
            self.last = id;
        }
        if acknowledged {
            // An entry may be pending already, for somebody else: XGROUP SETID goes back.
            self.assign(id, to);
            if let Some(pending) = self.pending.get_mut(&id) {
                (pending.delivered, pending.count) = (now, 1);
            }
        }
    }

    /// Makes an entry pending for a consumer, whoever had it.
    pub fn assign(&mut self, id: Id, to: &Name) -> Option<&mut Pending> {
        let new = Pending { consumer: to.clone(), delivered: 0, count: 1 };
        let pending = self.pending.entry(id).or_insert(new);
        if pending.consumer != *to
            && let Some(old) = self.consumers.get_mut(&pending.consumer)
        {
            old.pending.remove(&id);
        }
        pending.consumer = to.clone();
        self.consumers.get_mut(to)?.pending.insert(id);
        Some(pending)
    }

    /// Notes that an entry was shown to its consumer again.
    pub fn repeat(&mut self, id: Id, now: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered = now;
            pending.count = pending.count.saturating_add(1);
        }
    }

    /// Whether an entry is pending.
    pub fn is_pending(&self, id: Id) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Takes an entry out of those pending; true when it was.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// How many entries it has not read yet, if that can be told.
    pub fn lag(&self, progress: &Progress) -> Option<i64> {
        let known = self.read.filter(|_| !progress.has_holes_from(self.last));
        let read =
            if progress.added == 0 { Some(0) } else { known.or_else(|| progress.count_up_to(self.last)) };
        read.map(|read| progress.added.wrapping_sub(read) as i64)
    }
}
