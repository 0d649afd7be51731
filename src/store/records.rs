//! A shard's records: nodes in a slab, a table from hash to node, and three lists through the nodes.
//!
//! One idea: links and table slots are indices of 32 bits, so a record costs 40 bytes of node and
//! 5 bytes per table bucket, and moves between lists without an allocation or a second table. A map of
//! pointers with pointer links (as the crate `lru` has) costs 48 and 17, and one such map per list.
//!
//! Invariant: a node is either in the table and in exactly the list that its tag says, or vacant and in
//! the chain of vacant nodes; a list's `payload` is the sum of its records' costs.

use super::entry::Entry;
use super::record::Record;
use super::shard::Dropped;
use super::size::size_class;
use hashbrown::HashTable;

/// The list that a record is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// New records; all records of a plain LRU.
    Window,
    /// Admitted, and not asked for since.
    Probation,
    /// Admitted, and asked for again.
    Protected,
}

/// Where a record is, until it is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(u32);

impl Slot {
    /// As a number, to be remembered.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl From<u32> for Slot {
    fn from(number: u32) -> Self {
        Slot(number)
    }
}

#[repr(C)]
pub(super) struct Records {
    table: HashTable<u32>,
    /// Boxed so that the slab grows without copying nodes, and by no more than it needs.
    #[expect(clippy::vec_box)]
    chunks: Vec<Box<[Node; CHUNK]>>,
    lists: [List; 3],
    /// Nodes ever in use: those from here on are vacant, and not chained.
    used: u32,
    /// The first of the chain of vacant nodes.
    vacant: u32,
}

struct Node {
    hash: u64,
    record: Record,
    /// The neighbour towards the list's front, and in the highest bits the list: see `tag`.
    prev: u32,
    /// The other neighbour, and in the highest bits the hits that have not been settled.
    next: u32,
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
    /// Heap bytes of the records, without nodes and table.
    payload: usize,
}

/// Nodes are allocated so many at a time: no copying when the slab grows, and exactly a size class.
const CHUNK: usize = 64;
pub(super) const NODE: usize = size_of::<Node>();
/// Above a link there are four bits for something else.
const LINK_BITS: u32 = 28;
const LINK: u32 = (1 << LINK_BITS) - 1;
/// Hits that a node can keep unsettled.
pub(super) const MAX_UNSETTLED: u8 = 15;
/// No node. Also the number of nodes there may be, a bound that 35 GB in one shard would reach.
const NIL: u32 = LINK;
const VACANT: u32 = 3;
const PARTS: [Part; 3] = [Part::Window, Part::Probation, Part::Protected];

impl Records {
    pub fn new() -> Self {
        let list = List { head: NIL, tail: NIL, len: 0, payload: 0 };
        Records { chunks: Vec::new(), table: HashTable::new(), lists: [list; 3], used: 0, vacant: NIL }
    }

    /// Bytes of everything here.
    pub fn bytes(&self) -> usize {
        self.lists.iter().map(|list| list.payload).sum::<usize>()
            + self.chunks.len() * size_class(size_of::<[Node; CHUNK]>())
            + size_class(self.chunks.capacity() * size_of::<Box<[Node; CHUNK]>>())
            + size_class(self.table.allocation_size())
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_full(&self) -> bool {
        self.vacant == NIL && self.used == NIL
    }

    pub fn len_of(&self, part: Part) -> usize {
        self.lists[part as usize].len
    }

    /// Bytes of a list's records and nodes.
    pub fn bytes_of(&self, part: Part) -> usize {
        let list = &self.lists[part as usize];
        list.payload + list.len * NODE
    }

    pub fn find(&self, hash: u64) -> Option<Slot> {
        self.table.find(spread(hash), |&slot| self.node(slot).hash == hash).map(|&slot| Slot(slot))
    }

    /// The same, if it may well be at `guess`.
    #[inline]
    pub fn find_at(&self, guess: Option<Slot>, hash: u64) -> Option<Slot> {
        let right = guess.filter(|&Slot(slot)| {
            slot < self.used && self.node(slot).hash == hash && self.node(slot).tag() != VACANT
        });
        right.or_else(|| self.find(hash))
    }

    pub fn hash_of(&self, slot: Slot) -> u64 {
        self.node(slot.0).hash
    }

    pub fn part_of(&self, slot: Slot) -> Part {
        PARTS[self.node(slot.0).tag() as usize]
    }

    pub fn get(&self, slot: Slot) -> &Record {
        &self.node(slot.0).record
    }

    /// Shows a record to `serve`. If that says what it served, this is noted as a hit, to be settled
    /// before there are more than `MAX_UNSETTLED`; how many there are now comes with the answer.
    #[inline]
    pub fn visit<R>(&mut self, slot: Slot, serve: impl FnOnce(&mut Record) -> Option<R>) -> Option<(R, u8)> {
        let node = self.node_mut(slot.0);
        let served = serve(&mut node.record)?;
        if node.unsettled() < MAX_UNSETTLED {
            node.next += 1 << LINK_BITS;
        }
        Some((served, node.unsettled()))
    }

    /// Hits noted and not yet taken.
    pub fn unsettled(&self, slot: Slot) -> u8 {
        self.node(slot.0).unsettled()
    }

    /// The hits noted, which are now the caller's to settle.
    pub fn take_unsettled(&mut self, slot: Slot) -> u8 {
        let node = self.node_mut(slot.0);
        let hits = node.unsettled();
        node.next &= LINK;
        hits
    }

    /// Changes a record and its list's payload with it.
    pub fn edit<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Record) -> R) -> R {
        let record = &mut self.node_mut(slot.0).record;
        let before = record.cost();
        let result = change(record);
        let after = record.cost();
        let list = &mut self.lists[self.part_of(slot) as usize];
        list.payload = list.payload + after - before;
        result
    }

    /// Adds a record whose hash is not here, at the front of a list. Not to be called when full.
    pub fn insert(&mut self, hash: u64, record: Record, part: Part) {
        let slot = self.vacant_slot();
        let cost = record.cost();
        let node = self.node_mut(slot);
        (node.hash, node.record, node.next) = (hash, record, NIL);
        self.link(slot, part, cost);
        self.sweep_table();
        let chunks = &self.chunks;
        self.table.insert_unique(spread(hash), slot, |&slot| spread(node_in(chunks, slot).hash));
    }

    pub fn remove(&mut self, slot: Slot) -> Record {
        let Slot(slot) = slot;
        let cost = self.node(slot).record.cost();
        self.unlink(slot, cost);
        let hash = spread(self.node(slot).hash);
        if let Ok(found) = self.table.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        let vacant = std::mem::replace(&mut self.vacant, slot);
        let node = self.node_mut(slot);
        (node.prev, node.next) = (VACANT << LINK_BITS, vacant);
        std::mem::take(&mut node.record)
    }

    /// Moves a record to the front of a list.
    pub fn move_to(&mut self, slot: Slot, part: Part) {
        let Slot(slot) = slot;
        if self.lists[part as usize].head == slot {
            return;
        }
        let cost = if self.part_of(Slot(slot)) == part { 0 } else { self.node(slot).record.cost() };
        self.unlink(slot, cost);
        self.link(slot, part, cost);
    }

    /// The least recent record of a list.
    pub fn last(&self, part: Part) -> Option<Slot> {
        some(self.lists[part as usize].tail)
    }

    /// A list's records, the most recent first.
    pub fn iter(&self, part: Part) -> impl Iterator<Item = Slot> {
        std::iter::successors(some(self.lists[part as usize].head), |slot| some(self.node(slot.0).next()))
    }

    /// A list's records, the least recent first.
    pub fn iter_back(&self, part: Part) -> impl Iterator<Item = Slot> {
        std::iter::successors(some(self.lists[part as usize].tail), |slot| some(self.node(slot.0).prev()))
    }

    /// Removes the condemned entries of one record.
    pub fn bury(&mut self, slot: Slot, dead: &impl Fn(&Entry) -> bool, dropped: &mut Dropped) -> usize {
        let record = self.get(slot);
        if record.entries().all(dead) {
            let removed = record.len();
            dropped.push(self.remove(slot));
            return removed;
        }
        self.edit(slot, |record| record.retain(|entry| !dead(entry)))
    }

    /// Gives back chunks and table when less than half of them is in use.
    pub fn compact(&mut self) {
        if self.len() >= self.used as usize / 2 {
            return;
        }
        let mut low = 0;
        for high in (0..self.used).rev() {
            if self.node(high).tag() == VACANT {
                continue;
            }
            while low < high && self.node(low).tag() != VACANT {
                low += 1;
            }
            if low >= high {
                break;
            }
            self.relocate(high, low);
        }
        self.used = self.len() as u32;
        self.vacant = NIL;
        self.chunks.truncate(self.len().div_ceil(CHUNK));
        self.chunks.shrink_to_fit();
        let chunks = &self.chunks;
        self.table.shrink_to(0, |&slot| spread(node_in(chunks, slot).hash));
    }

    /// Moves a node to the vacant place `to`.
    fn relocate(&mut self, from: u32, to: u32) {
        let vacated = Node { hash: 0, record: Record::default(), prev: VACANT << LINK_BITS, next: NIL };
        let node = std::mem::replace(self.node_mut(from), vacated);
        let (part, prev, next) = (PARTS[node.tag() as usize], node.prev(), node.next());
        if let Some(slot) = self.table.find_mut(spread(node.hash), |&slot| slot == from) {
            *slot = to;
        }
        *self.node_mut(to) = node;
        self.join(part, prev, to);
        self.join(part, to, next);
    }

    /// What the table takes more when it doubles for the next record: 0 if it need not.
    pub fn growth(&self) -> usize {
        let bytes = self.table.allocation_size();
        if self.len() < self.fit() { 0 } else { size_class(bytes * 2) - size_class(bytes) }
    }

    /// Records for which the table is large enough, with a 64th to spare for the marks of removed ones.
    fn fit(&self) -> usize {
        match self.table.num_buckets() {
            // Doubling costs next to nothing.
            0..64 => usize::MAX,
            buckets => buckets / 8 * 7 - buckets / 64,
        }
    }

    /// Rebuilds the table when it is filled not by records but by the marks of removed ones, for which
    /// it would double. With something to spare, a rebuild serves many insertions.
    fn sweep_table(&mut self) {
        if self.table.num_buckets() < 64 || self.table.capacity() > self.len() || self.len() > self.fit() {
            return;
        }
        let mut swept = HashTable::with_capacity(self.table.num_buckets() / 8 * 7);
        let hash = |&slot: &u32| spread(node_in(&self.chunks, slot).hash);
        self.table.iter().for_each(|slot| _ = swept.insert_unique(hash(slot), *slot, hash));
        self.table = swept;
    }

    fn vacant_slot(&mut self) -> u32 {
        if self.vacant != NIL {
            let slot = self.vacant;
            self.vacant = self.node(slot).next();
            return slot;
        }
        let slot = self.used;
        self.used += 1;
        if slot as usize == self.chunks.len() * CHUNK {
            let vacant =
                |_| Node { hash: 0, record: Record::default(), prev: VACANT << LINK_BITS, next: NIL };
            self.chunks.push(Box::new(std::array::from_fn(vacant)));
        }
        slot
    }

    fn link(&mut self, slot: u32, part: Part, cost: usize) {
        let list = &mut self.lists[part as usize];
        let second = list.head;
        list.len += 1;
        list.payload += cost;
        let node = self.node_mut(slot);
        node.prev = (part as u32) << LINK_BITS;
        self.join(part, slot, second);
        self.join(part, NIL, slot);
    }

    fn unlink(&mut self, slot: u32, cost: usize) {
        let node = self.node(slot);
        let (part, prev, next) = (PARTS[node.tag() as usize], node.prev(), node.next());
        self.join(part, prev, next);
        let list = &mut self.lists[part as usize];
        list.len -= 1;
        list.payload -= cost;
    }

    /// Makes two nodes of a list neighbours; NIL is before its first and after its last.
    fn join(&mut self, part: Part, before: u32, after: u32) {
        match before {
            NIL => self.lists[part as usize].head = after,
            slot => self.node_mut(slot).set_next(after),
        }
        match after {
            NIL => self.lists[part as usize].tail = before,
            slot => self.node_mut(slot).prev = (part as u32) << LINK_BITS | before,
        }
    }

    fn node(&self, slot: u32) -> &Node {
        node_in(&self.chunks, slot)
    }

    fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    #[cfg(test)]
    pub fn most_unsettled(&self) -> u8 {
        let all = PARTS.into_iter().flat_map(|part| self.iter(part));
        all.map(|slot| self.unsettled(slot)).max().unwrap_or(0)
    }

    /// Recounts everything and compares.
    #[cfg(test)]
    pub fn validate(&self) {
        for part in PARTS {
            let list = &self.lists[part as usize];
            let slots: Vec<Slot> = self.iter(part).collect();
            let mut back: Vec<Slot> = self.iter_back(part).collect();
            back.reverse();
            assert_eq!(slots, back, "links both ways");
            assert_eq!(slots.len(), list.len, "{part:?}");
            assert_eq!(slots.iter().map(|&slot| self.get(slot).cost()).sum::<usize>(), list.payload);
            for slot in slots {
                assert_eq!(self.find(self.hash_of(slot)), Some(slot), "in the table");
                assert_eq!(self.part_of(slot), part);
            }
        }
        assert!(
            self.table.num_buckets() <= 64 || self.table.num_buckets() <= self.used as usize * 3,
            "table"
        );
        assert_eq!(self.lists.iter().map(|list| list.len).sum::<usize>(), self.table.len());
        let chain = std::iter::successors(some(self.vacant), |slot| some(self.node(slot.0).next()));
        assert_eq!(chain.count() + self.len(), self.used as usize, "vacant nodes");
    }
}

impl Node {
    fn tag(&self) -> u32 {
        self.prev >> LINK_BITS
    }

    fn prev(&self) -> u32 {
        self.prev & LINK
    }

    fn next(&self) -> u32 {
        self.next & LINK
    }

    fn set_next(&mut self, slot: u32) {
        self.next = self.next & !LINK | slot;
    }

    fn unsettled(&self) -> u8 {
        (self.next >> LINK_BITS) as u8
    }
}

fn node_in(chunks: &[Box<[Node; CHUNK]>], slot: u32) -> &Node {
    &chunks[slot as usize / CHUNK][slot as usize % CHUNK]
}

fn some(slot: u32) -> Option<Slot> {
    (slot != NIL).then_some(Slot(slot))
}

/// Keys are hashes already (keyed, of 64 bits). The shard is chosen by the high bits and the table's
/// tag uses the top seven: spread them.
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
