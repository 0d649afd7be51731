//! Hashes: fields and values side by side while they are few and short, a table from then on.

use super::blob::{Blob, allocated};
use super::packed::Packed;
use super::table::{Keyed, SCAN_END, Table, hash};

/// The most fields of a packed hash (hash-max-listpack-entries).
const MAX_ENTRIES: usize = 512;
/// The longest field or value in one (hash-max-listpack-value).
const MAX_ITEM: usize = 64;

/// The hash. A packed one keeps the order in which fields were added; a table never turns back. Tables
/// are behind a box, so that the small and many take no more room than they need.
#[derive(Clone)]
pub enum Hash {
    /// Field, value, field, value, …
    Packed(Packed),
    /// Many fields, or long ones.
    Table(Box<Table<Field>>),
}

/// A field of a table.
#[derive(Clone)]
pub struct Field {
    name: Blob,
    value: Blob,
}

impl Keyed for Field {
    fn key(&self) -> &[u8] {
        &self.name
    }

    fn heap(&self) -> usize {
        self.name.heap() + self.value.heap()
    }
}

impl Default for Hash {
    fn default() -> Self {
        Hash::Packed(Packed::default())
    }
}

impl Hash {
    /// How many fields.
    pub fn len(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.len() / 2,
            Hash::Table(table) => table.len(),
        }
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        match self {
            Hash::Packed(packed) => packed.heap(),
            Hash::Table(table) => allocated(size_of::<Table<Field>>()) + table.heap(),
        }
    }

    /// As OBJECT ENCODING names it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Hash::Packed(_) => "listpack",
            Hash::Table(_) => "hashtable",
        }
    }

    /// A field's value.
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match self {
            Hash::Packed(packed) => find(packed, field).map(|at| packed.get(packed.get(at).1).0),
            Hash::Table(table) => table.get(field).map(|field| &*field.value),
        }
    }

    /// Sets a field; true when it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        if let Hash::Packed(packed) = self {
            if field.len() <= MAX_ITEM && value.len() <= MAX_ITEM {
                if let Some(at) = find(packed, field) {
                    let value_at = packed.get(at).1;
                    packed.replace(value_at, value);
                    return false;
                }
                if packed.len() / 2 < MAX_ENTRIES {
                    packed.push_back(field);
                    packed.push_back(value);
                    return true;
                }
            }
            self.unpack();
        }
        let Hash::Table(table) = self else { return false };
        let hash = hash(field);
        match table.find(hash, field) {
            Some(at) => {
                let field = table.at_mut(at);
                let before = field.heap();
                field.value.replace(value);
                let after = field.heap();
                table.account(before, after);
                false
            }
            None => {
                table.insert(hash, Field { name: Blob::new(field), value: Blob::new(value) });
                true
            }
        }
    }

    /// Removes a field; true when it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Hash::Packed(packed) => {
                let Some(at) = find(packed, field) else { return false };
                let end = packed.get(packed.get(at).1).1;
                packed.remove_span(at, end, 2);
                true
            }
            Hash::Table(table) => table.remove_key(field).is_some(),
        }
    }

    /// Visits all fields.
    pub fn each<'a>(&'a self, mut visit: impl FnMut(&'a [u8], &'a [u8])) {
        match self {
            Hash::Packed(packed) => {
                let mut items = packed.iter();
                while let (Some(field), Some(value)) = (items.next(), items.next()) {
                    visit(field, value);
                }
            }
            Hash::Table(table) => table.iter().for_each(|field| visit(&field.name, &field.value)),
        }
    }

    /// The field with a number below `len()`.
    pub fn nth(&self, index: usize) -> (&[u8], &[u8]) {
        match self {
            Hash::Packed(packed) => {
                let (field, next) = packed.get(packed.seek(index * 2).unwrap_or(packed.begin()));
                (field, packed.get(next).0)
            }
            Hash::Table(table) => {
                let field = table.at(index as u32);
                (&field.name, &field.value)
            }
        }
    }

    /// `nth` for many calls: a packed hash is walked but once.
    pub fn by_number<'a>(&'a self, calls: usize) -> impl Fn(usize) -> (&'a [u8], &'a [u8]) {
        let mut pairs = Vec::new();
        if calls > 1 && matches!(self, Hash::Packed(_)) {
            self.each(|field, value| pairs.push((field, value)));
        }
        move |index| pairs.get(index).copied().unwrap_or_else(|| self.nth(index))
    }

    /// One step of a scan, see `Table::scan`; a packed hash is over after the first.
    pub fn scan<'a>(&'a self, position: u64, mut visit: impl FnMut(&'a [u8], &'a [u8])) -> u64 {
        match self {
            Hash::Packed(_) => {
                self.each(visit);
                SCAN_END
            }
            Hash::Table(table) => table.scan(position, |field| visit(&field.name, &field.value)),
        }
    }

    fn unpack(&mut self) {
        let mut table = Table::default();
        self.each(|field, value| {
            table.insert(hash(field), Field { name: Blob::new(field), value: Blob::new(value) });
        });
        *self = Hash::Table(Box::new(table));
    }
}

/// The position of a field.
fn find(packed: &Packed, field: &[u8]) -> Option<usize> {
    let mut at = packed.begin();
    while at < packed.end() {
        let (name, value_at) = packed.get(at);
        if name == field {
            return Some(at);
        }
        at = packed.get(value_at).1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_small_hash_is_small() {
        assert_eq!(size_of::<Hash>(), 32);
    }

    #[test]
    fn agrees_with_a_map_in_both_encodings() {
        for fields in [100, 2000] {
            let (mut hash, mut model) = (Hash::default(), HashMap::new());
            fastrand::seed(fields);
            for _ in 0..10_000 {
                let field = fastrand::u64(0..fields).to_string().into_bytes();
                let value = vec![b'v'; fastrand::usize(0..65)];
                if fastrand::u32(0..3) > 0 {
                    assert_eq!(hash.set(&field, &value), model.insert(field, value).is_none());
                } else {
                    assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                }
                assert_eq!(hash.len(), model.len());
            }
            assert_eq!(hash.encoding(), if fields == 100 { "listpack" } else { "hashtable" });
            let mut all = HashMap::new();
            hash.each(|field, value| drop(all.insert(field.to_vec(), value.to_vec())));
            assert_eq!(all, model);
            assert!(model.iter().all(|(field, value)| hash.get(field) == Some(value)));
            for calls in [1, 2] {
                let pick = hash.by_number(calls);
                let picked: HashMap<_, _> = (0..hash.len()).map(pick).collect();
                assert!(picked.len() == model.len() && picked.iter().all(|(&f, &v)| model[f] == v));
            }
            let (mut copy, heap) = (hash.clone(), hash.heap());
            model.keys().for_each(|field| assert!(copy.remove(field)));
            assert!(copy.len() == 0 && copy.heap() * 10 < heap, "{} of {heap} bytes stay", copy.heap());
        }
    }
}
