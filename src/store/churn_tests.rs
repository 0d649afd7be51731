//! Keys that get into debt and out of it.

use super::*;

fn hash(n: u64) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(n)
}

/// A table that is there from the start.
fn churn() -> Churn {
    let mut churn = Churn { wanted: true, ..Churn::default() };
    churn.fit(1 << 20);
    churn
}

/// How many of so many misses are fetched.
fn fetched(churn: &mut Churn, hash: u64, misses: usize) -> usize {
    (0..misses).filter(|_| churn.pays(hash)).count()
}

#[test]
fn some_writes_prove_nothing() {
    let mut churn = churn();
    for _ in 0..3 {
        churn.ended(hash(1), 1, 0);
        assert_eq!(fetched(&mut churn, hash(1), 10), 10);
    }
}

#[test]
fn what_is_written_as_often_as_read_is_fetched_ever_less_but_never_not_at_all() {
    let mut churn = churn();
    let mut rates = Vec::new();
    for _ in 0..20 {
        churn.ended(hash(1), 1, 1);
        rates.push(fetched(&mut churn, hash(1), 64));
    }
    assert!(rates.is_sorted_by(|a, b| a >= b), "{rates:?}");
    assert_eq!((rates[0], rates[19]), (64, 1));
    assert_eq!(fetched(&mut churn, hash(2), 64), 64, "a key of good standing");
}

#[test]
fn who_is_no_longer_written_is_back_after_64_misses() {
    let mut churn = churn();
    (0..100).for_each(|_| churn.ended(hash(1), 1, 0));
    for _ in 0..5 {
        let first = (1..=100).find(|_| churn.pays(hash(1)));
        assert_eq!(first, Some(64));
    }
    // That entry was hit for long, before the next write ended it.
    churn.ended(hash(1), 1, 255);
    assert_eq!(fetched(&mut churn, hash(1), 64), 64);
}

#[test]
fn what_earns_its_fetches_on_average_stays() {
    let mut churn = churn();
    for n in 0..200 {
        churn.ended(hash(1), 1, [0, 9, 1, 5][n % 4]);
        assert!(churn.pays(hash(1)), "{n}");
    }
}

#[test]
fn where_most_fetches_are_lost_one_tells_much() {
    let mut churn = churn();
    (10..30).for_each(|n| churn.ended(hash(n), 1, 0));
    assert_eq!(fetched(&mut churn, hash(1), 64), 8, "a stranger");
    churn.ended(hash(1), 1, 0);
    assert_eq!(fetched(&mut churn, hash(1), 64), 1);
    // A stranger that turns out to be worth it is fetched each time.
    assert_eq!(fetched(&mut churn, hash(2), 8), 1);
    churn.ended(hash(2), 1, 20);
    assert_eq!(fetched(&mut churn, hash(2), 64), 64);
    // Better times are noticed, though who was bad goes on.
    for n in 30..60 {
        churn.ended(hash(1), 1, 0);
        churn.ended(hash(n), 1, 20);
    }
    assert_eq!(fetched(&mut churn, hash(3), 64), 64, "a stranger");
    assert_eq!(fetched(&mut churn, hash(1), 64), 1);
}

#[test]
fn many_fetches_and_few_hits_at_once_do_not_overflow() {
    let mut churn = churn();
    churn.ended(hash(1), u32::MAX, 0);
    churn.ended(hash(1), u32::MAX, u32::MAX);
    churn.ended(hash(1), 0, u32::MAX);
    churn.ended(hash(1), 1, 0);
    assert_eq!(fetched(&mut churn, hash(1), 64), 64);
}

#[test]
fn what_ends_by_its_time_is_no_debt_but_may_pay_one() {
    let mut churn = churn();
    (0..100).for_each(|_| churn.earned(hash(1), 0));
    assert_eq!(fetched(&mut churn, hash(1), 64), 64);
    (0..100).for_each(|_| churn.ended(hash(1), 1, 0));
    (0..3).for_each(|_| churn.earned(hash(1), 255));
    assert_eq!(fetched(&mut churn, hash(1), 64), 64);
}

#[test]
fn debts_that_nobody_renews_give_way() {
    let mut churn = churn();
    let slots = churn.slots.len() as u64;
    (0..20).for_each(|_| churn.ended(hash(1), 1, 0));
    assert!(fetched(&mut churn, hash(1), 64) <= 1);
    for n in 2..slots * u64::from(MAX_DEBT) * 4 {
        churn.ended(hash(n), 1, COST - 1);
    }
    assert_eq!(fetched(&mut churn, hash(1), 64), 64);
}

#[test]
fn takes_no_memory_before_the_first_debt_and_little_after_it() {
    let mut churn = Churn::default();
    churn.fit(1 << 20);
    assert_eq!(churn.bytes(), 0);
    churn.ended(hash(1), 1, 0);
    churn.fit(1 << 20);
    assert_eq!(churn.bytes(), 4096);
    churn.fit(0);
    assert_eq!(churn.bytes(), 8);
    churn.fit(usize::MAX);
    assert_eq!(churn.bytes(), 1 << 16);
}

/// Bad times are over for keys that had no part in them: only reads come now, so that nothing else tells.
#[test]
fn strangers_are_trusted_again_when_only_they_come() {
    let mut churn = churn();
    for n in 0..200 {
        churn.ended(hash(n), 1, 0);
    }
    let strangers = (1000..1200).map(|n| fetched(&mut churn, hash(n), 1)).collect::<Vec<_>>();
    assert_eq!(strangers[0], 0, "they are taken to be like the others");
    let trusted = strangers.iter().filter(|&&fetched| fetched == 1).count();
    assert!(trusted > 200 - 2 * BAD as usize, "{trusted} of 200");
}
