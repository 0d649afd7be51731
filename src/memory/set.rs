//! Sets: integers in order while all are such and they are few, a table from then on.

use super::blob::{Blob, allocated};
use super::number::integer;
use super::table::{SCAN_END, Table, hash};

/// The most integers of a set that is not a table (set-max-intset-entries).
const MAX_INTS: usize = 512;

/// The set. A table never turns back; it is behind a box, so that the small and many take no more room
/// than they need.
#[derive(Clone)]
pub enum Set {
    /// Integers only, and few.
    Ints(IntSet),
    /// Anything.
    Table(Box<Table<Blob>>),
}

/// A member as it is kept. An integer's text is its canonical one.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// Of integers.
    Int(i64),
    /// Of a table.
    Bytes(&'a [u8]),
}

impl Member<'_> {
    /// Its bytes; `buffer` is where an integer is written out.
    pub fn bytes<'b>(&'b self, buffer: &'b mut itoa::Buffer) -> &'b [u8] {
        match self {
            Member::Int(n) => buffer.format(*n).as_bytes(),
            Member::Bytes(bytes) => bytes,
        }
    }
}

impl Default for Set {
    fn default() -> Self {
        Set::Ints(IntSet::Two(Vec::new()))
    }
}

impl Set {
    /// How many members.
    pub fn len(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.len(),
            Set::Table(table) => table.len(),
        }
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.heap(),
            Set::Table(table) => allocated(size_of::<Table<Blob>>()) + table.heap(),
        }
    }

    /// As OBJECT ENCODING names it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Set::Ints(_) => "intset",
            Set::Table(_) => "hashtable",
        }
    }

    /// Whether it has a member.
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => integer(member).is_some_and(|n| ints.find(n).is_ok()),
            Set::Table(table) => table.get(member).is_some(),
        }
    }

    /// Whether it has a member of another set.
    pub fn has(&self, member: Member) -> bool {
        match (self, member) {
            (Set::Ints(ints), Member::Int(n)) => ints.find(n).is_ok(),
            _ => self.contains(member.bytes(&mut itoa::Buffer::new())),
        }
    }

    /// Adds a member; true when it is new.
    pub fn add(&mut self, member: &[u8]) -> bool {
        if let Set::Ints(ints) = self {
            if let Some(n) = integer(member) {
                let new = ints.insert(n);
                if ints.len() > MAX_INTS {
                    self.unpack();
                }
                return new;
            }
            self.unpack();
        }
        let Set::Table(table) = self else { return false };
        let hash = hash(member);
        let new = table.find(hash, member).is_none();
        if new {
            table.insert(hash, Blob::new(member));
        }
        new
    }

    /// Adds a member of another set.
    pub fn add_member(&mut self, member: Member) -> bool {
        self.add(member.bytes(&mut itoa::Buffer::new()))
    }

    /// Removes a member; true when it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => integer(member).is_some_and(|n| ints.remove(n)),
            Set::Table(table) => table.remove_key(member).is_some(),
        }
    }

    /// Removes the member with a number below `len()`. The others may change theirs.
    pub fn remove_nth(&mut self, index: usize) {
        match self {
            Set::Ints(ints) => ints.remove_nth(index),
            Set::Table(table) => drop(table.remove(index as u32)),
        }
    }

    /// All members; integers in their order.
    pub fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        let (ints, table) = match self {
            Set::Ints(ints) => (Some(ints), None),
            Set::Table(table) => (None, Some(table)),
        };
        let ints = ints.into_iter().flat_map(|ints| (0..ints.len()).map(|i| Member::Int(ints.at(i))));
        ints.chain(table.into_iter().flat_map(|table| table.iter().map(|member| Member::Bytes(member))))
    }

    /// Visits all members, written out.
    pub fn each(&self, mut visit: impl FnMut(&[u8])) {
        self.iter().for_each(|member| visit(member.bytes(&mut itoa::Buffer::new())));
    }

    /// The member with a number below `len()`.
    pub fn nth(&self, index: usize) -> Member<'_> {
        match self {
            Set::Ints(ints) => Member::Int(ints.at(index)),
            Set::Table(table) => Member::Bytes(table.at(index as u32)),
        }
    }

    /// One step of a scan, see `Table::scan`; integers are over after the first.
    pub fn scan<'a>(&'a self, position: u64, mut visit: impl FnMut(Member<'a>)) -> u64 {
        match self {
            Set::Ints(_) => {
                self.iter().for_each(visit);
                SCAN_END
            }
            Set::Table(table) => table.scan(position, |member| visit(Member::Bytes(member))),
        }
    }

    fn unpack(&mut self) {
        let mut table = Table::default();
        self.each(|member| {
            table.insert(hash(member), Blob::new(member));
        });
        *self = Set::Table(Box::new(table));
    }
}

/// Sorted integers, as wide as the widest has ever been.
#[derive(Clone)]
pub enum IntSet {
    /// Two bytes each.
    Two(Vec<i16>),
    /// Four.
    Four(Vec<i32>),
    /// Eight.
    Eight(Vec<i64>),
}

impl IntSet {
    fn len(&self) -> usize {
        match self {
            IntSet::Two(ints) => ints.len(),
            IntSet::Four(ints) => ints.len(),
            IntSet::Eight(ints) => ints.len(),
        }
    }

    fn heap(&self) -> usize {
        allocated(match self {
            IntSet::Two(ints) => ints.capacity() * 2,
            IntSet::Four(ints) => ints.capacity() * 4,
            IntSet::Eight(ints) => ints.capacity() * 8,
        })
    }

    fn at(&self, i: usize) -> i64 {
        match self {
            IntSet::Two(ints) => ints[i].into(),
            IntSet::Four(ints) => ints[i].into(),
            IntSet::Eight(ints) => ints[i],
        }
    }

    /// Where it is, or where it would have to be.
    fn find(&self, n: i64) -> Result<usize, usize> {
        match self {
            IntSet::Two(ints) => ints.binary_search_by(|&i| i64::from(i).cmp(&n)),
            IntSet::Four(ints) => ints.binary_search_by(|&i| i64::from(i).cmp(&n)),
            IntSet::Eight(ints) => ints.binary_search(&n),
        }
    }

    fn insert(&mut self, n: i64) -> bool {
        let Err(at) = self.find(n) else { return false };
        self.widen(n);
        match self {
            IntSet::Two(ints) => insert(ints, at, n as i16),
            IntSet::Four(ints) => insert(ints, at, n as i32),
            IntSet::Eight(ints) => insert(ints, at, n),
        }
        true
    }

    fn remove(&mut self, n: i64) -> bool {
        let Ok(at) = self.find(n) else { return false };
        self.remove_nth(at);
        true
    }

    fn remove_nth(&mut self, at: usize) {
        match self {
            IntSet::Two(ints) => remove(ints, at),
            IntSet::Four(ints) => remove(ints, at),
            IntSet::Eight(ints) => remove(ints, at),
        }
    }

    fn widen(&mut self, n: i64) {
        let all = |set: &IntSet| (0..set.len()).map(|i| set.at(i)).collect::<Vec<_>>();
        if i16::try_from(n).is_err() && matches!(self, IntSet::Two(_)) {
            *self = IntSet::Four(all(self).into_iter().map(|i| i as i32).collect());
        }
        if i32::try_from(n).is_err() && matches!(self, IntSet::Four(_)) {
            *self = IntSet::Eight(all(self));
        }
    }
}

/// Grows to the allocator's next size, not to the double: these are many and small.
fn insert<T>(ints: &mut Vec<T>, at: usize, n: T) {
    if ints.len() == ints.capacity() {
        let room = allocated((ints.len() + 1) * size_of::<T>()) / size_of::<T>();
        ints.reserve_exact(room - ints.len());
    }
    ints.insert(at, n);
}

fn remove<T>(ints: &mut Vec<T>, at: usize) {
    ints.remove(at);
    if ints.len() * 2 < ints.capacity() {
        ints.shrink_to(allocated(ints.len() * size_of::<T>()) / size_of::<T>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_small_set_is_small() {
        assert_eq!(size_of::<Set>(), 32);
    }

    #[test]
    fn integers_of_any_width_stay_in_order() {
        let (mut set, mut model) = (Set::default(), BTreeSet::new());
        fastrand::seed(9);
        for step in 0..3000 {
            let n = fastrand::i64(-100..100) * [1, 1, 300, 1 << 40][step / 750];
            let text = n.to_string();
            if fastrand::bool() {
                assert_eq!(set.add(text.as_bytes()), model.insert(n));
            } else {
                assert_eq!(set.remove(text.as_bytes()), model.remove(&n));
            }
        }
        let mut members = Vec::new();
        set.each(|member| members.push(String::from_utf8_lossy(member).into_owned()));
        assert_eq!(members, model.iter().map(i64::to_string).collect::<Vec<_>>());
        assert_eq!(set.encoding(), "intset");
        set.add(b"01");
        assert_eq!((set.encoding(), set.len()), ("hashtable", model.len() + 1));
    }

    #[test]
    fn agrees_with_a_set_in_both_encodings() {
        for range in [400, 5000] {
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            fastrand::seed(range);
            for _ in 0..20_000 {
                let mut member = fastrand::u64(0..range).to_string();
                if range > 400 && fastrand::bool() {
                    member.insert_str(0, "a prefix that does not fit in place: ");
                }
                match fastrand::u32(0..5) {
                    0..3 => assert_eq!(set.add(member.as_bytes()), model.insert(member)),
                    3 => assert_eq!(set.remove(member.as_bytes()), model.remove(&member)),
                    _ if set.len() > 0 => {
                        let index = fastrand::usize(0..set.len());
                        let mut buffer = itoa::Buffer::new();
                        let victim = set.nth(index).bytes(&mut buffer).to_vec();
                        set.remove_nth(index);
                        assert!(model.remove(std::str::from_utf8(&victim).expect("it was text")));
                        assert!(!set.contains(&victim));
                    }
                    _ => {}
                }
                assert_eq!(set.len(), model.len());
            }
            assert_eq!(set.encoding(), if range == 400 { "intset" } else { "hashtable" });
            let mut members = BTreeSet::new();
            set.each(|member| assert!(members.insert(String::from_utf8_lossy(member).into_owned())));
            assert_eq!(members, model);
            assert!(set.iter().all(|member| set.has(member)));
            let (mut copy, heap) = (set.clone(), set.heap());
            model.iter().for_each(|member| assert!(copy.remove(member.as_bytes())));
            assert!(copy.len() == 0 && copy.heap() * 10 < heap, "{} of {heap} bytes stay", copy.heap());
        }
    }

    #[test]
    fn sets_of_both_encodings_know_each_others_members() {
        let (mut ints, mut table) = (Set::default(), Set::default());
        ["1", "2", "-70000"].iter().for_each(|member| assert!(ints.add(member.as_bytes())));
        ["1", "-70000", "x", "02"].iter().for_each(|member| assert!(table.add(member.as_bytes())));
        let in_table: Vec<_> = ints.iter().map(|member| table.has(member)).collect();
        assert_eq!(in_table, [true, true, false]);
        assert_eq!(table.iter().filter(|&member| ints.has(member)).count(), 2);
        assert!(!ints.has(Member::Bytes(b"02")) && ints.has(Member::Bytes(b"2")));
    }
}
