//! The shard against a naive model, and its policy.

use super::*;
use crate::resp::ArgVec;
use crate::store::{Expiry, Meta, Stamp};
use proptest::prelude::*;

fn state() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}

fn no_args() -> crate::resp::Args<'static> {
    crate::resp::Args::new(&[], &[])
}

fn key(bytes: &[u8]) -> EntryKey<'_> {
    EntryKey { identity: 0, db: 0, command: 1, key: bytes, rest: no_args() }
}

fn entry(key: &EntryKey, reply: &[u8], deadline: u64) -> Entry {
    let meta = Meta { stamp: Stamp::default(), deadline, expiry: Expiry::Never, stored_at: 0 };
    Entry::new(key, &meta, reply)
}

/// A plain LRU as a vector of (key, sub-command, reply size), the most recent last.
#[derive(Default)]
struct Model {
    records: Vec<(u8, Vec<(u16, usize)>)>,
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, u16, usize),
    Get(u8, u16),
    Remove(u8),
    RemoveOne(u8, u16),
    Sweep(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..40u8, 0..4u16, 1..600usize).prop_map(|(k, c, n)| Step::Insert(k, c, n)),
        5 => (0..40u8, 0..4u16).prop_map(|(k, c)| Step::Get(k, c)),
        1 => (0..40u8).prop_map(Step::Remove),
        1 => (0..40u8, 0..4u16).prop_map(|(k, c)| Step::RemoveOne(k, c)),
        1 => (0..4u16).prop_map(Step::Sweep),
    ]
}

impl Model {
    fn at(&mut self, k: u8) -> Option<usize> {
        self.records.iter().position(|(key, _)| *key == k)
    }

    fn touch(&mut self, k: u8) {
        if let Some(i) = self.at(k) {
            let record = self.records.remove(i);
            self.records.push(record);
        }
    }

    fn insert(&mut self, k: u8, c: u16, n: usize) {
        match self.at(k) {
            Some(i) => {
                let subs = &mut self.records[i].1;
                subs.retain(|(sub, _)| *sub != c);
                subs.push((c, n));
                self.touch(k);
            }
            None => self.records.push((k, vec![(c, n)])),
        }
    }

    fn get(&self, k: u8, c: u16) -> Option<usize> {
        let (_, subs) = self.records.iter().find(|(key, _)| *key == k)?;
        subs.iter().find(|(sub, _)| *sub == c).map(|(_, n)| *n)
    }

    fn len(&self) -> usize {
        self.records.iter().map(|(_, subs)| subs.len()).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    /// As a plain LRU: what the model holds is held, in the model's order; bytes stay in bounds.
    #[test]
    fn plain_lru_is_the_model(steps in prop::collection::vec(step(), 1..400)) {
        let budget = 12_000;
        let mut shard = Shard::new(budget, Admission::Always, state());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Insert(k, c, n) => {
                    let bytes = [k];
                    let key = EntryKey { command: c, ..key(&bytes) };
                    shard.insert(u64::from(k), &key, entry(&key, &vec![b'x'; n], 1_000_000_000));
                    model.insert(k, c, n);
                    // The shard says how many must have gone; the model says which.
                    while model.len() > shard.len() {
                        model.records.remove(0);
                    }
                }
                Step::Get(k, c) => {
                    let bytes = [k];
                    let key = EntryKey { command: c, ..key(&bytes) };
                    let mut got = None;
                    shard.visit(None, u64::from(k), &key, |_, _, reply| {
                        got = Some(reply.len());
                        true
                    });
                    prop_assert_eq!(got, model.get(k, c));
                    // Recency is of keys: even another command's lookup makes the key recent.
                    model.touch(k);
                }
                Step::Remove(k) => {
                    let removed = shard.remove(u64::from(k)).is_some();
                    prop_assert_eq!(removed, model.at(k).is_some());
                    model.records.retain(|(key, _)| *key != k);
                }
                Step::RemoveOne(k, c) => {
                    let bytes = [k];
                    let key = EntryKey { command: c, ..key(&bytes) };
                    let removed = shard.remove_entry(u64::from(k), &key).is_some();
                    prop_assert_eq!(removed, model.get(k, c).is_some());
                    if let Some(i) = model.at(k) {
                        model.records[i].1.retain(|(sub, _)| *sub != c);
                        model.records.retain(|(_, subs)| !subs.is_empty());
                    }
                }
                Step::Sweep(c) => {
                    shard.sweep(usize::MAX, |entry| entry.command() == c, &mut Dropped::default());
                    model.records.iter_mut().for_each(|(_, subs)| subs.retain(|(sub, _)| *sub != c));
                    model.records.retain(|(_, subs)| !subs.is_empty());
                }
            }
            shard.validate();
            prop_assert_eq!(shard.len(), model.len());
            prop_assert!(shard.bytes() <= budget, "{} bytes", shard.bytes());
            let order: Vec<u64> = shard.records().map(|(hash, _)| hash).collect();
            let want: Vec<u64> = model.records.iter().rev().map(|(k, _)| u64::from(*k)).collect();
            prop_assert_eq!(order, want);
        }
    }

    /// With frequency: whatever is held is right, counters are true, and bytes stay in bounds.
    #[test]
    fn frequency_keeps_counters_and_bounds(steps in prop::collection::vec(step(), 1..400)) {
        let budget = 14_000;
        let mut shard = Shard::new(budget, Admission::Frequency { admit_after: 1 }, state());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Insert(k, c, n) => {
                    let bytes = [k];
                    let key = EntryKey { command: c, ..key(&bytes) };
                    shard.wants(u64::from(k));
                    shard.insert(u64::from(k), &key, entry(&key, &vec![b'x'; n], 1_000_000_000));
                    model.insert(k, c, n);
                }
                Step::Get(k, c) => {
                    let bytes = [k];
                    let key = EntryKey { command: c, ..key(&bytes) };
                    let mut got = None;
                    shard.visit(None, u64::from(k), &key, |_, _, reply| {
                        got = Some(reply.len());
                        true
                    });
                    prop_assert!(got.is_none() || got == model.get(k, c));
                }
                Step::Remove(k) => {
                    shard.remove(u64::from(k));
                    prop_assert!(shard.record(u64::from(k)).is_none());
                }
                Step::RemoveOne(k, c) => {
                    let bytes = [k];
                    let key = EntryKey { command: c, ..key(&bytes) };
                    shard.remove_entry(u64::from(k), &key);
                    prop_assert!(shard.peek(u64::from(k), &key).is_none());
                }
                Step::Sweep(c) => {
                    shard.sweep(usize::MAX, |entry| entry.command() == c, &mut Dropped::default());
                }
            }
            shard.validate();
            prop_assert!(shard.bytes() <= budget);
        }
    }
}

#[test]
fn a_scan_does_not_push_out_what_is_hot() {
    for (admission, survives) in [(Admission::Frequency { admit_after: 1 }, true), (Admission::Always, false)]
    {
        let mut shard = Shard::new(100_000, admission, state());
        let access = |shard: &mut Shard, n: u64| {
            let bytes = n.to_le_bytes();
            let key = key(&bytes);
            let hash = state().hash_one(n);
            if shard.visit(None, hash, &key, |_, _, _| true) {
                return true;
            }
            shard.wants(hash);
            shard.insert(hash, &key, entry(&key, &[b'x'; 100], u64::MAX));
            false
        };
        for _ in 0..6 {
            (0..200).for_each(|n| _ = access(&mut shard, n));
        }
        (1000..3000).for_each(|n| _ = access(&mut shard, n));
        let hits = (0..200).filter(|&n| access(&mut shard, n)).count();
        assert_eq!(hits > 180, survives, "{hits} of 200 hot keys after a scan, {admission:?}");
    }
}

#[test]
fn a_key_is_wanted_at_its_second_access() {
    let mut shard = Shard::new(1 << 20, Admission::Frequency { admit_after: 2 }, state());
    let hash = state().hash_one(1);
    assert!(!shard.wants(hash));
    assert!(shard.wants(hash));
    let mut lru = Shard::new(1 << 20, Admission::Always, state());
    assert!(lru.wants(hash));
}

#[test]
fn where_new_keys_usually_return_they_are_wanted_at_once() {
    let mut shard = Shard::new(1 << 20, Admission::Frequency { admit_after: 2 }, state());
    for n in 0..1000 {
        shard.wants(state().hash_one(n));
        shard.wants(state().hash_one(n));
    }
    let strangers = (5000..5100).filter(|&n| shard.wants(state().hash_one(n))).count();
    assert_eq!(strangers, 100);
    let mut scanned = Shard::new(1 << 20, Admission::Frequency { admit_after: 2 }, state());
    (0..1000).for_each(|n| _ = scanned.wants(state().hash_one(n)));
    let strangers = (5000..5100).filter(|&n| scanned.wants(state().hash_one(n))).count();
    assert!(strangers < 30, "{strangers}");
}

#[test]
fn the_sweep_reclaims_what_ended_and_then_rests() {
    let mut shard = Shard::new(1 << 20, Admission::Frequency { admit_after: 1 }, state());
    let ms = 1_000_000;
    for n in 0..100u64 {
        let bytes = n.to_le_bytes();
        let key = key(&bytes);
        shard.insert(state().hash_one(n), &key, entry(&key, b"_\r\n", (10 + n % 2 * 90) * ms));
    }
    assert_eq!(shard.earliest(), 10 * ms);
    let swept = shard.sweep(1000, |entry| entry.deadline() <= 50 * ms, &mut Dropped::default());
    assert_eq!((swept.removed, swept.complete), (50, true));
    assert_eq!((shard.len(), shard.earliest()), (50, 100 * ms));
    shard.validate();
}

#[test]
fn one_key_with_very_many_replies_stays_bounded() {
    let mut shard = Shard::new(8 << 20, Admission::Always, state());
    for n in 0..10_000u32 {
        let rest: ArgVec = [n.to_le_bytes()].into_iter().collect();
        let key = EntryKey { rest: rest.args(), ..key(b"hash") };
        shard.insert(7, &key, entry(&key, b"_\r\n", u64::MAX));
    }
    assert_eq!(shard.len(), 4096);
    shard.validate();
    assert_eq!(shard.remove(7).map(|record| record.len()), Some(4096));
    assert!(shard.is_empty());
}

#[test]
fn two_keys_with_one_hash_do_not_answer_for_each_other() {
    let mut shard = Shard::new(1 << 20, Admission::Always, state());
    shard.insert(7, &key(b"a"), entry(&key(b"a"), b"+a\r\n", u64::MAX));
    assert!(!shard.visit(None, 7, &key(b"b"), |_, _, _| true));
    shard.insert(7, &key(b"b"), entry(&key(b"b"), b"+b\r\n", u64::MAX));
    assert!(!shard.visit(None, 7, &key(b"a"), |_, _, _| true));
    assert_eq!(shard.len(), 1);
    shard.validate();
}

#[test]
fn budget_and_admission_change_with_records_inside() {
    let rules = [Admission::Always, Admission::Frequency { admit_after: 2 }];
    for (first, second) in [(rules[0], rules[1]), (rules[1], rules[0])] {
        let mut shard = Shard::new(2 << 20, first, state());
        let fill = |shard: &mut Shard| {
            for n in 0..30_000u32 {
                let bytes = n.to_le_bytes();
                let key = key(&bytes);
                let hash = state().hash_one(bytes);
                shard.wants(hash);
                drop(shard.insert(hash, &key, entry(&key, b"$1\r\nv\r\n", 9)));
            }
        };
        fill(&mut shard);
        let (mut steps, mut evicted) = (0, 0);
        loop {
            let (before, mut dropped) = (shard.len(), Dropped::default());
            let done = shard.set_budget(100_000, &mut dropped);
            assert_eq!(before - shard.len(), dropped.evicted);
            assert!(shard.bytes() <= shard.budget, "within the budget of every step");
            shard.validate();
            (steps, evicted) = (steps + 1, evicted + dropped.evicted);
            if done {
                break;
            }
        }
        assert!(steps > 4 && evicted > 5000, "{steps} steps, {evicted} evicted");
        assert!(shard.len() > 300, "the table gave its room back: {}", shard.len());
        shard.set_admission(second);
        shard.validate();
        assert!(shard.set_budget(2 << 20, &mut Dropped::default()));
        fill(&mut shard);
        shard.validate();
        assert!(shard.bytes() <= 2 << 20 && shard.len() > 5000, "{}", shard.len());
    }
}

#[test]
fn the_table_does_not_grow_for_those_who_left() {
    let mut shard = Shard::new(1 << 20, Admission::Always, state());
    let insert = |shard: &mut Shard, n: u64| {
        let bytes = n.to_le_bytes();
        let key = key(&bytes);
        shard.insert(state().hash_one(n), &key, entry(&key, b"_\r\n", u64::MAX));
    };
    // 440 of the 448 records that fit a table of 512 buckets.
    (0..440).for_each(|n| insert(&mut shard, n));
    let bytes = shard.bytes();
    for n in 440..20_000 {
        assert!(shard.remove(state().hash_one(n - 440)).is_some());
        insert(&mut shard, n);
    }
    assert_eq!((shard.len(), shard.bytes()), (440, bytes));
    shard.validate();
}

/// A shard with `n` small records, each fetched at its first access and hit `hits` times.
fn hit_shard(budget: usize, n: u64, hits: usize) -> Shard {
    let mut shard = Shard::new(budget, Admission::Frequency { admit_after: 1 }, state());
    for n in 0..n {
        let bytes = n.to_le_bytes();
        let (hash, key) = (state().hash_one(n), key(&bytes));
        shard.wants(hash);
        drop(shard.insert(hash, &key, entry(&key, b"$1\r\nv\r\n", u64::MAX)));
        (0..hits).for_each(|_| assert!(shard.visit(None, hash, &key, |_, _, _| true)));
    }
    shard
}

/// How many of the first `n` keys' records are there and have no hits to be settled.
fn settled(shard: &Shard, n: u64) -> usize {
    let slots = (0..n).filter_map(|n| shard.records.find(state().hash_one(n)));
    slots.filter(|&slot| shard.records.unsettled(slot) == 0).count()
}

#[test]
fn noted_hits_count_as_much_as_settled_ones() {
    for hits in 0..20 {
        let mut shard = hit_shard(1 << 20, 1, hits);
        let hash = state().hash_one(0u64);
        let slot = shard.records.find(hash).expect("it was stored");
        let (noted, want) = (shard.records.unsettled(slot), (1 + hits).min(15) as u8);
        assert_eq!(noted as usize, hits.saturating_sub(1) % usize::from(SETTLE_AT));
        assert!(shard.fame(slot) >= want, "{hits} hits");
        shard.validate();
        // Those who leave tell the sketch.
        assert!(shard.remove(hash).is_some());
        let counted = shard.frequency.as_ref().map(|frequency| frequency.sketch.count(hash));
        assert_eq!(counted, Some(want), "{hits} hits");
    }
}

#[test]
fn a_reply_that_is_not_used_is_not_a_hit() {
    let mut shard = hit_shard(1 << 20, 1, 3);
    let (hash, bytes) = (state().hash_one(0u64), 0u64.to_le_bytes());
    assert!(!shard.visit(None, hash, &key(&bytes), |_, _, _| false));
    assert_eq!(shard.peek(hash, &key(&bytes)).map(Entry::hits), Some(3));
    assert_eq!(settled(&shard, 1), 1, "what was noted before is settled");
    let counted = shard.frequency.as_ref().map(|frequency| frequency.sketch.count(hash));
    assert_eq!(counted, Some(4));
}

#[test]
fn one_call_settles_a_bounded_number_of_records() {
    let mut shard = hit_shard(1 << 20, 5000, 1);
    for n in 0..10_000u64 {
        let bytes = (n % 5000).to_le_bytes();
        assert!(shard.visit(None, state().hash_one(n % 5000), &key(&bytes), |_, _, _| true), "all fit");
    }
    assert_eq!(settled(&shard, 5000), 0);
    let large = key(b"large");
    for n in 1..=5 {
        let hash = state().hash_one(b"large");
        drop(shard.insert(hash, &large, entry(&large, &vec![b'x'; 400_000], u64::MAX)));
        shard.validate();
        assert!(shard.bytes() <= 1 << 20);
        drop(shard.remove(hash));
        let settled = settled(&shard, 5000);
        assert!(settled <= n * MAX_MOVES, "{settled} records after {n} calls");
    }
}

#[test]
fn a_record_that_was_hit_is_not_the_victim() {
    let mut shard = hit_shard(60_000, 400, 1);
    let last = shard.records.last(Part::Probation).expect("some have left the window");
    let hash = shard.records.hash_of(last);
    let bytes = shard.records.get(last).key().expect("it is not empty").to_vec();
    (0..2).for_each(|_| assert!(shard.visit(None, hash, &key(&bytes), |_, _, _| true)));
    assert_eq!(shard.records.part_of(last), Part::Probation, "it has not moved yet");
    assert_eq!(shard.victim(&mut 0), Some(last));
    assert_ne!(shard.victim(&mut MAX_MOVES.clone()), Some(last));
    assert_eq!(shard.records.part_of(last), Part::Protected);
    shard.validate();
}

/// A guess may name any slot: one of another record, one that is vacant, one that never was.
#[test]
fn whatever_is_guessed_the_right_record_is_found() {
    let mut shard = Shard::new(1 << 20, Admission::Always, state());
    let keys: Vec<[u8; 2]> = (0..200_u16).map(u16::to_le_bytes).collect();
    for bytes in &keys {
        let _ = shard.insert(state().hash_one(bytes), &key(bytes), entry(&key(bytes), bytes, u64::MAX));
    }
    let mut slots = Vec::new();
    for bytes in &keys {
        let seen = |slot, _: &Entry, _: &[u8]| {
            slots.push(slot);
            true
        };
        assert!(shard.visit(None, state().hash_one(bytes), &key(bytes), seen));
    }
    let gone = |n: usize| n.is_multiple_of(7);
    for (_, bytes) in keys.iter().enumerate().filter(|(n, _)| gone(*n)) {
        shard.remove(state().hash_one(bytes));
    }
    for (n, bytes) in keys.iter().enumerate() {
        let others = [slots[n], slots[(n + 1) % slots.len()], slots[(n + 7) % slots.len()]];
        for guess in others.into_iter().chain([0, 1 << 19, u32::MAX].map(Slot::from)) {
            let right = |slot, _: &Entry, reply: &[u8]| slot == slots[n] && reply == bytes;
            assert_eq!(shard.visit(Some(guess), state().hash_one(bytes), &key(bytes), right), !gone(n));
        }
    }
}
