//! Sorted sets: members with scores, side by side in order while they are few and short; from then on
//! a table that finds members beside a tree that has them in order.
//!
//! The order is by score, then by the members' bytes. Scores are never NaN. Invariant of a large set:
//! the tree has exactly one entry per member of the table, with its score and its index there.

use std::cmp::Ordering;

use super::blob::Blob;
use super::packed::{Packed, PackedIter};
use super::table::{Keyed, SCAN_END, Table, hash};
use super::zorder::{Entry, Order, Walk};

/// The most members of a packed set (zset-max-listpack-entries).
const MAX_ENTRIES: usize = 128;
/// The longest member in one (zset-max-listpack-value).
const MAX_ITEM: usize = 64;
/// Bytes of the score in front of a packed member.
const SCORE: usize = size_of::<f64>();

/// The sorted set. A large one never becomes packed again.
#[derive(Clone)]
pub enum ZSet {
    /// Items in order: a score's eight bytes and the member's.
    Packed(Packed),
    /// Many members, or long ones.
    Large(Box<Large>),
}

/// A large set.
#[derive(Clone, Default)]
pub struct Large {
    table: Table<Member>,
    order: Order,
}

/// A member of a large set.
#[derive(Clone)]
pub struct Member {
    name: Blob,
    score: f64,
}

impl Keyed for Member {
    fn key(&self) -> &[u8] {
        &self.name
    }

    fn heap(&self) -> usize {
        self.name.heap()
    }
}

impl Default for ZSet {
    fn default() -> Self {
        ZSet::Packed(Packed::default())
    }
}

/// The order of members with scores.
pub fn compare(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

impl ZSet {
    /// How many members.
    pub fn len(&self) -> usize {
        match self {
            ZSet::Packed(packed) => packed.len(),
            ZSet::Large(large) => large.table.len(),
        }
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        match self {
            ZSet::Packed(packed) => packed.heap(),
            ZSet::Large(large) => {
                super::blob::allocated(size_of::<Large>()) + large.table.heap() + large.order.heap()
            }
        }
    }

    /// As OBJECT ENCODING names it.
    pub fn encoding(&self) -> &'static str {
        match self {
            ZSet::Packed(_) => "listpack",
            ZSet::Large(_) => "skiplist",
        }
    }

    /// A member's score.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            ZSet::Packed(packed) => find(packed, member).map(|(_, _, score)| score),
            ZSet::Large(large) => large.table.get(member).map(|member| member.score),
        }
    }

    /// A member's place in the order, from 0.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match self {
            ZSet::Packed(packed) => find(packed, member).map(|(rank, _, _)| rank),
            ZSet::Large(large) => large.table.get(member).map(|found| large.rank(found.score, member)),
        }
    }

    /// How many members `before` holds for. It must hold for none after one that it does not hold for.
    pub fn partition(&self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match self {
            ZSet::Packed(_) => self.iter(0, usize::MAX, false).take_while(|(m, s)| before(*s, m)).count(),
            ZSet::Large(large) => {
                large.order.partition(|entry| before(entry.score, &large.table.at(entry.at).name))
            }
        }
    }

    /// `count` members from a rank on, or back from it (from the last one, if it is beyond that).
    pub fn iter(&self, rank: usize, count: usize, back: bool) -> Members<'_> {
        match self {
            ZSet::Packed(packed) => {
                let skip = if back { packed.len().saturating_sub(rank.saturating_add(1)) } else { rank };
                Members::Packed { items: packed.iter(), back, skip, left: count }
            }
            ZSet::Large(large) => Members::Large(&large.table, large.order.walk(rank, count, back)),
        }
    }

    /// All members in order.
    pub fn all(&self) -> Members<'_> {
        self.iter(0, usize::MAX, false)
    }

    /// Any member, by a number below `len()`; in no order.
    pub fn nth(&self, index: usize) -> (&[u8], f64) {
        match self {
            ZSet::Packed(packed) => unpack(packed.get(packed.seek(index).unwrap_or(packed.begin())).0),
            ZSet::Large(large) => {
                let member = large.table.at(index as u32);
                (&member.name, member.score)
            }
        }
    }

    /// `nth` for many calls: a packed set is walked but once.
    pub fn by_number<'a>(&'a self, calls: usize) -> impl Fn(usize) -> (&'a [u8], f64) {
        let wanted = if calls > 1 && matches!(self, ZSet::Packed(_)) { usize::MAX } else { 0 };
        let members: Vec<_> = self.iter(0, wanted, false).collect();
        move |index| members.get(index).copied().unwrap_or_else(|| self.nth(index))
    }

    /// An empty set that keeps `count` members, the longest of so many bytes, in one form from the first
    /// on: a packed set knows no negative zero.
    pub fn for_members(count: usize, longest: usize) -> ZSet {
        let packed = count <= MAX_ENTRIES && longest <= MAX_ITEM;
        if packed { ZSet::default() } else { ZSet::Large(Box::default()) }
    }

    /// Sets a member's score; true when the member is new.
    pub fn set(&mut self, member: &[u8], score: f64) -> bool {
        if let ZSet::Packed(packed) = self {
            if let Some((_, at, old)) = find(packed, member) {
                if old != score {
                    packed.remove(at);
                    insert(packed, member, score);
                }
                return false;
            }
            if packed.len() < MAX_ENTRIES && member.len() <= MAX_ITEM {
                insert(packed, member, score);
                return true;
            }
            self.unpack();
        }
        let ZSet::Large(large) = self else { return false };
        large.set(member, score)
    }

    /// Keeps the members as many are kept, however few they are.
    pub fn unpack(&mut self) {
        if let ZSet::Packed(_) = self {
            let mut large = Box::<Large>::default();
            for (member, score) in self.all() {
                large.set(member, score);
            }
            *self = ZSet::Large(large);
        }
    }

    /// Removes a member; true when it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            ZSet::Packed(packed) => {
                let found = find(packed, member);
                if let Some((_, at, _)) = found {
                    packed.remove(at);
                }
                found.is_some()
            }
            ZSet::Large(large) => {
                let Some(at) = large.table.find(hash(member), member) else { return false };
                let rank = large.rank(large.table.at(at).score, member);
                large.remove(rank, at);
                true
            }
        }
    }

    /// Removes the members with ranks in a range, which must be within `len()`.
    pub fn remove_ranks(&mut self, ranks: std::ops::Range<usize>) {
        match self {
            ZSet::Packed(packed) => {
                if let Some(from) = packed.seek(ranks.start).filter(|_| !ranks.is_empty()) {
                    let to = packed.seek(ranks.end).unwrap_or(packed.end());
                    packed.remove_span(from, to, ranks.len());
                }
            }
            ZSet::Large(large) => {
                for _ in ranks.clone() {
                    let entry = large.order.get(ranks.start);
                    large.remove(ranks.start, entry.at);
                }
            }
        }
    }

    /// One step of a scan, see `Table::scan`; a packed set is over after the first.
    pub fn scan(&self, position: u64, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            ZSet::Packed(_) => {
                self.all().for_each(|(member, score)| visit(member, score));
                SCAN_END
            }
            ZSet::Large(large) => large.table.scan(position, |member| visit(&member.name, member.score)),
        }
    }
}

impl Large {
    /// The rank that a member with this score has, or would have.
    fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.order.partition(|entry| {
            // The table need only be asked where scores are equal.
            entry.score < score || entry.score == score && self.table.at(entry.at).name.as_bytes() < member
        })
    }

    fn set(&mut self, member: &[u8], score: f64) -> bool {
        let hash = hash(member);
        let (at, new) = match self.table.find(hash, member) {
            None => (self.table.insert(hash, Member { name: Blob::new(member), score }), true),
            Some(at) => {
                let old = self.table.at(at).score;
                if old == score {
                    return false;
                }
                let rank = self.rank(old, member);
                self.order.remove(rank);
                self.table.at_mut(at).score = score;
                (at, false)
            }
        };
        let rank = self.rank(score, member);
        self.order.insert(rank, Entry { score, at });
        new
    }

    /// Removes the member with a rank and an index.
    fn remove(&mut self, rank: usize, at: u32) {
        self.order.remove(rank);
        let last = self.table.len() as u32 - 1;
        if at != last {
            // The table moves its last item into the hole: its entry must know.
            let moved = self.table.at(last);
            let rank = self.rank(moved.score, &moved.name);
            self.order.set_index(rank, at);
        }
        self.table.remove(at);
    }
}

/// Members and their scores, in order or in reverse.
pub enum Members<'a> {
    /// Of a packed set.
    Packed {
        /// All items.
        items: PackedIter<'a>,
        /// From the end.
        back: bool,
        /// So many first ones are not wanted.
        skip: usize,
        /// And after them only so many are.
        left: usize,
    },
    /// Of a large one.
    Large(&'a Table<Member>, Walk<'a>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Members::Packed { items, back, skip, left } => {
                *left = left.checked_sub(1)?;
                let mut next = || if *back { items.next_back() } else { items.next() };
                for _ in 0..std::mem::take(skip) {
                    next()?;
                }
                next().map(unpack)
            }
            Members::Large(table, walk) => walk.next().map(|entry| {
                let member = table.at(entry.at);
                (&*member.name, member.score)
            }),
        }
    }
}

fn unpack(item: &[u8]) -> (&[u8], f64) {
    match item.split_first_chunk::<SCORE>() {
        Some((score, member)) => (member, f64::from_le_bytes(*score)),
        None => (item, 0.0),
    }
}

/// A packed member's rank, position and score.
fn find(packed: &Packed, member: &[u8]) -> Option<(usize, usize, f64)> {
    let (mut at, mut rank) = (packed.begin(), 0);
    while at < packed.end() {
        let (item, next) = packed.get(at);
        let (name, score) = unpack(item);
        if name == member {
            return Some((rank, at, score));
        }
        (at, rank) = (next, rank + 1);
    }
    None
}

fn insert(packed: &mut Packed, member: &[u8], score: f64) {
    let mut at = packed.begin();
    while at < packed.end() {
        let (item, next) = packed.get(at);
        let (name, other) = unpack(item);
        if compare((other, name), (score, member)) == Ordering::Greater {
            break;
        }
        at = next;
    }
    let mut item = [0; SCORE + MAX_ITEM];
    let item = &mut item[..SCORE + member.len()];
    // Redis keeps scores as integers here where it can, so that -0 turns into 0.
    let score = score + 0.0;
    item[..SCORE].copy_from_slice(&score.to_le_bytes());
    item[SCORE..].copy_from_slice(member);
    packed.insert(at, item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn sorted(model: &HashMap<Vec<u8>, f64>) -> Vec<(&[u8], f64)> {
        let mut all: Vec<_> = model.iter().map(|(member, score)| (&member[..], *score)).collect();
        all.sort_by(|a, b| compare((a.1, a.0), (b.1, b.0)));
        all
    }

    fn check(set: &ZSet, model: &HashMap<Vec<u8>, f64>) {
        let all = sorted(model);
        assert!(set.all().eq(all.iter().copied()));
        assert!(set.iter(all.len().wrapping_sub(1), usize::MAX, true).eq(all.iter().rev().copied()));
        for (rank, (member, score)) in all.iter().enumerate() {
            assert_eq!(set.rank(member), Some(rank));
            assert_eq!(set.score(member), Some(*score));
        }
        let (rank, count) = (fastrand::usize(0..all.len() + 2), fastrand::usize(0..20));
        let (from, to) = (rank.min(all.len()), (rank + count).min(all.len()));
        assert!(set.iter(rank, count, false).eq(all[from..to].iter().copied()));
        if rank < all.len() {
            let expected = all[..=rank].iter().rev().take(count).copied();
            assert!(set.iter(rank, count, true).eq(expected));
        }
    }

    #[test]
    fn agrees_with_a_map_in_both_encodings() {
        for members in [60, 3000] {
            let (mut set, mut model) = (ZSet::default(), HashMap::new());
            fastrand::seed(members);
            for step in 0..20_000u32 {
                let member = format!("member {}", fastrand::u64(0..members)).into_bytes();
                let score = f64::from(fastrand::i32(-50..50)) / 4.0;
                match fastrand::u32(0..20) {
                    0 => {
                        let from = fastrand::usize(0..=set.len());
                        let to = (from + fastrand::usize(0..12)).min(set.len());
                        let gone: Vec<_> =
                            set.iter(from, to - from, false).map(|(member, _)| member.to_vec()).collect();
                        set.remove_ranks(from..to);
                        for member in gone {
                            model.remove(&member);
                        }
                    }
                    1..6 => assert_eq!(set.remove(&member), model.remove(&member).is_some()),
                    _ => assert_eq!(set.set(&member, score), model.insert(member, score).is_none()),
                }
                assert_eq!(set.len(), model.len());
                if step % 300 == 0 {
                    check(&set, &model);
                    let below = model.values().filter(|&&s| s < score).count();
                    assert_eq!(set.partition(|s, _| s < score), below);
                }
            }
            assert_eq!(set.encoding(), if members == 60 { "listpack" } else { "skiplist" });
            let mut seen = HashMap::new();
            let mut at = 0;
            while at < SCAN_END {
                at = set.scan(at, |member, score| {
                    seen.insert(member.to_vec(), score);
                });
            }
            assert_eq!(seen, model);
        }
    }

    #[test]
    fn grows_large_as_redis_does() {
        let mut set = ZSet::default();
        for n in 0..128 {
            set.set(format!("{n}").as_bytes(), n.into());
        }
        assert_eq!(set.encoding(), "listpack");
        set.set(b"one more", 1.0);
        assert_eq!(set.encoding(), "skiplist");
        let mut set = ZSet::default();
        set.set(&[b'x'; 64], 1.0);
        assert_eq!(set.encoding(), "listpack");
        set.set(&[b'x'; 65], 1.0);
        assert_eq!((set.encoding(), set.len()), ("skiplist", 2));
    }
}
