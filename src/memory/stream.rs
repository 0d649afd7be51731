//! A stream: entries in the order of their ids.
//!
//! Entries are kept in nodes of up to a hundred, each a `Packed` whose items are entries: the id's
//! distance to the node's first, and the strings. An entry with the same field names as the node's
//! first one, the usual case, stores its values only. Nodes are sorted, in a deque: entries come at the
//! end and mostly leave at the beginning. A node is found by bisection; one that empties in the middle
//! moves the headers of those on its shorter side, once in a hundred deletions.
//!
//! The invariant: where nodes begin is where they do in Redis, so that trimming "about" (`~`), which
//! removes whole nodes only, removes the same entries. So a node knows how large Redis's listpack would
//! be, and how many of its entries are gone (there they stay, marked).

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::blob::allocated;
use super::group::{Groups, Progress};
use super::packed::Packed;
use super::streamid::{Id, NewId};

/// Redis's stream-node-max-entries.
const NODE_ENTRIES: usize = 100;
/// Redis's stream-node-max-bytes.
const NODE_BYTES: usize = 4096;
/// The most that one entry's strings may be together, as in Redis.
const ENTRY_BYTES: usize = 1 << 30;

/// The stream.
#[derive(Default)]
pub struct Stream {
    nodes: VecDeque<Node>,
    len: usize,
    heap: usize,
    /// The id that new ones must exceed.
    pub last_id: Id,
    /// How many entries were ever added.
    pub added: u64,
    /// The greatest id that XDEL took.
    pub max_deleted: Id,
    groups: Option<Box<Groups>>,
}

/// Neighbouring entries.
#[derive(Clone)]
struct Node {
    first: Id,
    /// Of its last entry, which may be gone.
    last: Id,
    /// Field names of the first entry, each after its length.
    names: Box<[u8]>,
    /// How many names.
    width: usize,
    entries: Packed,
    /// How many entries are gone.
    gone: usize,
    /// Bytes of Redis's listpack.
    listpack: usize,
}

/// Why an entry was not added.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The id is not greater than the last.
    NotGreater,
    /// There is no greater id.
    Exhausted,
    /// Too many bytes, or no number left within its milliseconds (Redis has one text for both).
    TooLarge,
}

/// What trimming is to leave.
#[derive(Clone, Copy)]
pub enum Keep {
    /// So many entries.
    Newest(usize),
    /// Those from this id on.
    From(Id),
}

/// How much to trim.
#[derive(Clone, Copy)]
pub struct Trim {
    /// What is to remain.
    pub keep: Keep,
    /// Whole nodes only.
    pub about: bool,
    /// Remove at most so many entries; 0 for any number.
    pub limit: usize,
}

/// An entry.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: Id,
    /// How many fields it has.
    pub width: usize,
    /// Field names, when they are the node's.
    names: Option<&'a [u8]>,
    strings: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Fields and values.
    pub fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let (mut names, mut strings) = (self.names, self.strings);
        (0..self.width).map(move |_| {
            let name = read_string(names.as_mut().unwrap_or(&mut strings));
            (name, read_string(&mut strings))
        })
    }
}

impl Node {
    fn new(id: Id, pairs: &[(&[u8], &[u8])]) -> Node {
        let mut names = Vec::new();
        pairs.iter().for_each(|(name, _)| write_string(&mut names, name));
        // Header and end, three counts, the names, and the zero that ends the first record.
        let listpack = 7 + 6 + listpack_int(pairs.len() as i64);
        let listpack = pairs.iter().map(|(name, _)| listpack_string(name)).sum::<usize>() + listpack;
        let (names, width) = (names.into_boxed_slice(), pairs.len());
        Node { first: id, last: id, names, width, entries: Packed::default(), gone: 0, listpack }
    }

    fn heap(&self) -> usize {
        allocated(self.names.len()) + self.entries.heap()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.listpack + bytes < NODE_BYTES && self.entries.len() + self.gone < NODE_ENTRIES
    }

    fn push(&mut self, id: Id, pairs: &[(&[u8], &[u8])]) {
        let mut names = &*self.names;
        let same =
            pairs.len() == self.width && pairs.iter().all(|(name, _)| read_string(&mut names) == *name);
        let (ms, seq) = (id.ms - self.first.ms, id.seq.wrapping_sub(self.first.seq) as i64);
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        let mut item = Vec::with_capacity(bytes + pairs.len() * 4 + 12);
        write_number(&mut item, ms);
        // Zigzag: small whichever its sign.
        write_number(&mut item, ((seq << 1) ^ (seq >> 63)) as u64);
        write_number(&mut item, if same { 0 } else { pairs.len() as u64 });
        let mut count = pairs.len() + 3;
        self.listpack += 2 + listpack_int(ms as i64) + listpack_int(seq);
        if !same {
            count += pairs.len() + 1;
            self.listpack += listpack_int(pairs.len() as i64);
        }
        for (name, value) in pairs {
            if !same {
                write_string(&mut item, name);
                self.listpack += listpack_string(name);
            }
            write_string(&mut item, value);
            self.listpack += listpack_string(value);
        }
        self.listpack += listpack_int(count as i64);
        self.entries.push_back(&item);
        self.last = id;
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> + Clone {
        self.entries.iter().map(|item| self.entry(item))
    }

    fn entry<'a>(&'a self, mut item: &'a [u8]) -> Entry<'a> {
        let ms = self.first.ms + read_number(&mut item);
        let seq = read_number(&mut item);
        let seq = self.first.seq.wrapping_add((seq >> 1) ^ (seq & 1).wrapping_neg());
        let own = read_number(&mut item) as usize;
        let (width, names) = if own == 0 { (self.width, Some(&*self.names)) } else { (own, None) };
        Entry { id: Id { ms, seq }, width, names, strings: item }
    }

    /// Takes entries from the beginning while `go_on` says so; gives how many.
    fn trim(&mut self, mut go_on: impl FnMut(usize, Id) -> bool) -> usize {
        let count = self.entries().enumerate().take_while(|(i, entry)| go_on(*i, entry.id)).count();
        let from = self.entries.begin();
        let to = self.entries.seek(count).unwrap_or(self.entries.end());
        if count > 0 {
            self.entries.remove_span(from, to, count);
            self.gone += count;
        }
        count
    }

    /// Takes one entry.
    fn remove(&mut self, id: Id) -> bool {
        let Some(index) = self.entries().position(|entry| entry.id == id) else { return false };
        if let Some(at) = self.entries.seek(index) {
            self.entries.remove(at);
            self.gone += 1;
        }
        true
    }
}

impl Stream {
    /// How many entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, |groups| allocated(size_of::<Groups>()) + groups.heap());
        self.heap + allocated(self.nodes.capacity() * size_of::<Node>()) + groups
    }

    /// The consumer groups.
    pub fn groups(&self) -> &Groups {
        static NONE: Groups = Groups::new();
        self.groups.as_deref().unwrap_or(&NONE)
    }

    /// The consumer groups, to be changed.
    pub fn groups_mut(&mut self) -> &mut Groups {
        self.groups.get_or_insert_default()
    }

    /// How far readers can be.
    pub fn progress(&self) -> Progress {
        Progress {
            len: self.len,
            added: self.added,
            first: self.entries().next().map_or(Id::MIN, |entry| entry.id),
            last: self.last_id,
            max_deleted: self.max_deleted,
        }
    }

    /// Adds an entry at the end; gives its id.
    pub fn add(&mut self, id: NewId, now: u64, pairs: &[(&[u8], &[u8])]) -> Result<Id, Refused> {
        let id = self.new_id(id, now)?;
        let bytes = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > ENTRY_BYTES {
            return Err(Refused::TooLarge);
        }
        if !self.nodes.back().is_some_and(|node| node.has_room(bytes)) {
            if self.nodes.capacity() == 0 {
                // Most streams are either large or never need a second node.
                self.nodes.reserve_exact(1);
            }
            self.nodes.push_back(Node::new(id, pairs));
            self.heap += self.nodes.back().map_or(0, Node::heap);
        }
        if let Some(node) = self.nodes.back_mut() {
            self.heap -= node.heap();
            node.push(id, pairs);
            self.heap += node.heap();
        }
        self.len += 1;
        self.added += 1;
        self.last_id = id;
        Ok(id)
    }

    fn new_id(&self, id: NewId, now: u64) -> Result<Id, Refused> {
        let next = self.last_id.next().ok_or(Refused::Exhausted)?;
        let id = match id {
            NewId::Auto if now > self.last_id.ms => Id { ms: now, seq: 0 },
            NewId::Auto => next,
            NewId::Within(ms) if ms == self.last_id.ms && next.ms != ms => return Err(Refused::TooLarge),
            NewId::Within(ms) if ms == self.last_id.ms => next,
            NewId::Within(ms) => Id { ms, seq: 0 },
            NewId::Exactly(id) => id,
        };
        if id > self.last_id { Ok(id) } else { Err(Refused::NotGreater) }
    }

    /// The entries of a range of ids.
    pub fn range(&self, ids: RangeInclusive<Id>) -> impl DoubleEndedIterator<Item = Entry<'_>> + Clone {
        let from = self.nodes.partition_point(|node| node.last < *ids.start());
        let to = self.nodes.partition_point(|node| node.first <= *ids.end());
        let nodes = self.nodes.range(from.min(to)..to);
        nodes.flat_map(Node::entries).filter(move |entry| ids.contains(&entry.id))
    }

    /// All entries.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> + Clone {
        self.nodes.iter().flat_map(Node::entries)
    }

    /// Takes an entry out; true when it was there.
    pub fn remove(&mut self, id: Id) -> bool {
        let index = self.nodes.partition_point(|node| node.last < id);
        let Some(node) = self.nodes.get_mut(index) else { return false };
        let before = node.heap();
        if node.first > id || !node.remove(id) {
            return false;
        }
        if node.entries.is_empty() {
            self.heap -= before;
            self.nodes.remove(index);
            self.give_back();
        } else {
            self.heap = self.heap - before + node.heap();
        }
        self.len -= 1;
        self.max_deleted = self.max_deleted.max(id);
        true
    }

    /// Takes the oldest entries; gives how many.
    pub fn trim(&mut self, trim: Trim) -> usize {
        let mut removed = 0;
        while let Some(node) = self.nodes.front_mut() {
            let count = node.entries.len();
            if matches!(trim.keep, Keep::Newest(keep) if self.len <= keep)
                || trim.limit > 0 && removed + count > trim.limit
            {
                break;
            }
            let whole = match trim.keep {
                Keep::Newest(keep) => self.len - count >= keep,
                Keep::From(id) => node.last < id,
            };
            let before = node.heap();
            if !whole {
                if !trim.about {
                    let len = self.len;
                    let count = node.trim(|index, entry| match trim.keep {
                        Keep::Newest(keep) => len - index > keep,
                        Keep::From(id) => entry < id,
                    });
                    self.heap = self.heap - before + node.heap();
                    self.len -= count;
                    removed += count;
                }
                break;
            }
            self.heap -= before;
            self.nodes.pop_front();
            self.len -= count;
            removed += count;
        }
        self.give_back();
        removed
    }

    /// How many nodes, and how many a radix tree of their first ids has, as Redis keeps them.
    pub fn radix_tree(&self) -> (usize, usize) {
        let keys: Vec<[u8; 16]> = self.nodes.iter().map(|node| node.first.to_bytes()).collect();
        (keys.len(), if keys.is_empty() { 1 } else { radix_nodes(&keys, 0) })
    }

    fn give_back(&mut self) {
        if self.nodes.capacity() > 4 * self.nodes.len() {
            self.nodes.shrink_to(2 * self.nodes.len());
        }
    }
}

impl Clone for Stream {
    fn clone(&self) -> Stream {
        // A copy has no room to spare, so it is counted anew.
        let nodes = self.nodes.clone();
        let heap = nodes.iter().map(Node::heap).sum();
        Stream { nodes, heap, groups: self.groups.clone(), ..*self }
    }
}

/// Nodes of a radix tree below `depth` for sorted keys that agree up to there: one where they part, one
/// for what they have in common before that if it is anything, one for each end.
fn radix_nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 0 };
    let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let below: usize = match common {
        16 => 0,
        _ => keys.chunk_by(|a, b| a[common] == b[common]).map(|keys| radix_nodes(keys, common + 1)).sum(),
    };
    1 + usize::from(common > depth) + below
}

/// Bytes of a string in a listpack.
fn listpack_string(text: &[u8]) -> usize {
    match super::number::integer(text) {
        Some(n) => listpack_int(n),
        None => with_back_length(
            text.len() + [1, 2, 5][(text.len() >= 64) as usize + (text.len() >= 4096) as usize],
        ),
    }
}

/// Bytes of an integer in a listpack.
fn listpack_int(n: i64) -> usize {
    1 + match n {
        0..=127 => 1,
        -4096..=4095 => 2,
        -0x8000..=0x7fff => 3,
        -0x80_0000..=0x7f_ffff => 4,
        -0x8000_0000..=0x7fff_ffff => 5,
        _ => 9,
    }
}

fn with_back_length(len: usize) -> usize {
    len + match len {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

fn write_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    write_number(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn read_number(from: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    while let Some((&byte, rest)) = from.split_first() {
        *from = rest;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    n
}

fn read_string<'a>(from: &mut &'a [u8]) -> &'a [u8] {
    let len = read_number(from) as usize;
    let (text, rest) = from.split_at(len);
    *from = rest;
    text
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
