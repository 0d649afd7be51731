//! Sets: integers in order while all are such and they are few, a table from then on.

use std::cmp::Ordering;

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
        Set::Ints(IntSet::default())
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

/// Sorted integers, as wide as the widest has ever been: a byte that says how many bytes each takes, and
/// they, in one allocation of exactly that size.
#[derive(Clone, Default)]
pub struct IntSet(Box<[u8]>);

impl IntSet {
    fn width(&self) -> usize {
        self.0.first().map_or(2, |&width| width.into())
    }

    fn len(&self) -> usize {
        self.0.len().saturating_sub(1) / self.width()
    }

    fn heap(&self) -> usize {
        allocated(self.0.len())
    }

    fn at(&self, i: usize) -> i64 {
        fn bytes<const N: usize>(ints: &IntSet, i: usize) -> [u8; N] {
            let from = 1 + i * N;
            ints.0[from..from + N].try_into().expect("the slice is of this length")
        }
        match self.width() {
            2 => i16::from_le_bytes(bytes(self, i)).into(),
            4 => i32::from_le_bytes(bytes(self, i)).into(),
            _ => i64::from_le_bytes(bytes(self, i)),
        }
    }

    /// Where it is, or where it would have to be.
    fn find(&self, n: i64) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = (from + to) / 2;
            match self.at(middle).cmp(&n) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }

    fn insert(&mut self, n: i64) -> bool {
        let Err(at) = self.find(n) else { return false };
        self.widen(width_of(n));
        let width = self.width();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        bytes.reserve_exact(if bytes.is_empty() { 1 + width } else { width });
        if bytes.is_empty() {
            bytes.push(width as u8);
        }
        let (place, end) = (1 + at * width, bytes.len());
        bytes.resize(end + width, 0);
        bytes.copy_within(place..end, place + width);
        bytes[place..place + width].copy_from_slice(&n.to_le_bytes()[..width]);
        self.0 = bytes.into_boxed_slice();
        true
    }

    fn remove(&mut self, n: i64) -> bool {
        let Ok(at) = self.find(n) else { return false };
        self.remove_nth(at);
        true
    }

    fn remove_nth(&mut self, at: usize) {
        let width = self.width();
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        bytes.drain(1 + at * width..1 + (at + 1) * width);
        self.0 = bytes.into_boxed_slice();
    }

    fn widen(&mut self, width: usize) {
        if width <= self.width() {
            return;
        }
        let mut bytes = Vec::with_capacity(1 + self.len() * width);
        bytes.push(width as u8);
        (0..self.len()).for_each(|i| bytes.extend_from_slice(&self.at(i).to_le_bytes()[..width]));
        self.0 = bytes.into_boxed_slice();
    }
}

/// How many bytes an integer needs: 2, 4 or 8.
fn width_of(n: i64) -> usize {
    match (i16::try_from(n), i32::try_from(n)) {
        (Ok(_), _) => 2,
        (_, Ok(_)) => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_small_set_is_small() {
        assert_eq!(size_of::<Set>(), 16);
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
