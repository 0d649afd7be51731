//! Tests of the hash table against a model.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::memory::blob::Blob;

fn key(n: u32) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

impl<T: Keyed> Table<T> {
    fn validate(&self) {
        let mut seen = vec![false; self.len()];
        for bucket in 0..self.buckets.len() {
            let mut at = self.buckets[bucket];
            while at != NONE {
                assert!(!seen[at as usize], "in two chains");
                seen[at as usize] = true;
                assert_eq!(self.bucket_of(self.slots[at as usize].hash), bucket);
                at = self.slots[at as usize].next;
            }
        }
        assert!(seen.iter().all(|&s| s), "every item is in a chain");
        assert_eq!(self.heap, self.iter().map(|i| i.heap()).sum::<usize>());
        assert!(self.buckets.len() <= MIN_BUCKETS.max(self.len() * 4 + 2), "it shrinks");
    }
}

#[test]
fn agrees_with_a_hash_map_through_growth_and_shrinking() {
    let mut table = Table::<Blob>::default();
    let mut model = HashMap::new();
    fastrand::seed(7);
    for step in 0..60_000u32 {
        let growing = (step / 15_000) % 2 == 0;
        let n = fastrand::u32(0..5_000);
        let k = key(n);
        if fastrand::u32(0..10) < if growing { 7 } else { 2 } {
            if model.insert(n, ()).is_none() {
                assert!(table.get(&k).is_none());
                table.insert(hash(&k), Blob::new(&k));
            }
        } else {
            assert_eq!(table.remove_key(&k).is_some(), model.remove(&n).is_some());
        }
        if step % 997 == 0 {
            table.validate();
            assert_eq!(table.len(), model.len());
        }
    }
    for n in model.keys() {
        assert!(table.get(&key(*n)).is_some());
    }
}

#[test]
fn a_scan_sees_every_item_that_stays_exactly_once() {
    let mut table = Table::<Blob>::default();
    let stay: Vec<_> = (0..2_000).map(key).collect();
    for k in &stay {
        table.insert(hash(k), Blob::new(k));
    }
    let (mut seen, mut position, mut extra) = (Vec::new(), 0, 10_000);
    while position != SCAN_END {
        position = table.scan(position, |k| seen.push(k.to_vec()));
        // First it grows to several times its size, then it shrinks again.
        for _ in 0..20 {
            if seen.len() < 700 {
                table.insert(hash(&key(extra)), Blob::new(&key(extra)));
                extra += 1;
            } else if extra > 10_000 {
                extra -= 1;
                table.remove_key(&key(extra));
            }
        }
    }
    let seen: Vec<_> = seen.into_iter().filter(|k| stay.contains(k)).collect();
    assert_eq!(seen.len(), stay.len(), "none twice");
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), stay.len());
}
