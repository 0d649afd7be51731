//! Sets: integers in order while all are such and they are few, a table from then on.

use super::blob::{Blob, allocated};
use super::number::integer;
use super::table::{SCAN_END, Table, hash};

/// The most integers of a set that is not a table (set-max-intset-entries).
const MAX_INTS: usize = 512;

/// The set. A table never turns back.
#[derive(Clone)]
pub enum Set {
    /// Integers only, and few.
    Ints(IntSet),
    /// Anything.
    Table(Box<Table<Blob>>),
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

    /// Removes a member; true when it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => integer(member).is_some_and(|n| ints.remove(n)),
            Set::Table(table) => table.remove_key(member).is_some(),
        }
    }

    /// Visits all members until `visit` says to stop; integers in their order.
    pub fn each_while(&self, mut visit: impl FnMut(&[u8]) -> bool) {
        match self {
            Set::Ints(ints) => {
                let _ = (0..ints.len()).all(|i| visit(itoa::Buffer::new().format(ints.at(i)).as_bytes()));
            }
            Set::Table(table) => {
                let _ = table.iter().all(|member| visit(member));
            }
        }
    }

    /// Visits all members.
    pub fn each(&self, mut visit: impl FnMut(&[u8])) {
        self.each_while(|member| {
            visit(member);
            true
        });
    }

    /// The member with a number below `len()`, shown to `f`.
    pub fn nth<R>(&self, index: usize, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Set::Ints(ints) => f(itoa::Buffer::new().format(ints.at(index)).as_bytes()),
            Set::Table(table) => f(table.at(index as u32)),
        }
    }

    /// One step of a scan, see `Table::scan`; integers are over after the first.
    pub fn scan(&self, position: u64, mut visit: impl FnMut(&[u8])) -> u64 {
        match self {
            Set::Ints(_) => {
                self.each(visit);
                SCAN_END
            }
            Set::Table(table) => table.scan(position, |member| visit(member)),
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
            IntSet::Two(ints) => ints.insert(at, n as i16),
            IntSet::Four(ints) => ints.insert(at, n as i32),
            IntSet::Eight(ints) => ints.insert(at, n),
        }
        true
    }

    fn remove(&mut self, n: i64) -> bool {
        let Ok(at) = self.find(n) else { return false };
        match self {
            IntSet::Two(ints) => drop(ints.remove(at)),
            IntSet::Four(ints) => drop(ints.remove(at)),
            IntSet::Eight(ints) => drop(ints.remove(at)),
        }
        true
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
}
