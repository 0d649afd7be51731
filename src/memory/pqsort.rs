//! The sort that Redis uses when only a part of the result is wanted (its pqsort.c).
//!
//! It is not stable, so which of several equal items stand within the part, and in which order, depends on
//! the algorithm: GEOSEARCH with COUNT and SORT with LIMIT show it. Hence the same one here, step by step.
//! What is added is a bound on its depth, beyond which the rest is sorted otherwise.

use std::cmp::Ordering;
use std::ops::Range;

/// Partitions within partitions: a fair sequence of pivots needs two per doubling of the length.
const MAX_DEPTH: usize = 64;

/// Sorts so that the positions in `wanted` hold what they would hold if everything were sorted.
pub fn partial_sort<T>(items: &mut [T], wanted: Range<usize>, compare: &impl Fn(&T, &T) -> Ordering) {
    sort(items, 0, &wanted, compare, MAX_DEPTH);
}

/// Sorts `items`, which begin at position `at` of the whole.
fn sort<T>(
    items: &mut [T],
    at: usize,
    wanted: &Range<usize>,
    compare: &impl Fn(&T, &T) -> Ordering,
    depth: usize,
) {
    let n = items.len();
    if n < 7 {
        for end in 1..n {
            let mut i = end;
            while i > 0 && compare(&items[i - 1], &items[i]).is_gt() {
                items.swap(i, i - 1);
                i -= 1;
            }
        }
        return;
    }
    if depth == 0 {
        return items.sort_by(compare);
    }
    items.swap(0, pivot(items, compare));
    let (less, greater) = partition(items, compare);
    for part in [0..less, n - greater..n] {
        let place = at + part.start..at + part.end;
        if part.len() > 1 && wanted.start < place.end && wanted.end > place.start {
            sort(&mut items[part], place.start, wanted, compare, depth - 1);
        }
    }
}

/// The middle one of three, or of three threes.
fn pivot<T>(items: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let n = items.len();
    let median = |a: usize, b: usize, c: usize| {
        let order = |x: usize, y: usize| compare(&items[x], &items[y]);
        if order(a, b).is_lt() {
            if order(b, c).is_lt() {
                b
            } else if order(a, c).is_lt() {
                c
            } else {
                a
            }
        } else if order(b, c).is_gt() {
            b
        } else if order(a, c).is_lt() {
            a
        } else {
            c
        }
    };
    match n {
        7 => 3,
        8..=40 => median(0, n / 2, n - 1),
        _ => {
            let (eighth, middle, last) = (n / 8, n / 2, n - 1);
            let low = median(0, eighth, 2 * eighth);
            let centre = median(middle - eighth, middle, middle + eighth);
            median(low, centre, median(last - 2 * eighth, last - eighth, last))
        }
    }
}

/// Parts the items by the first one: smaller ones to the front, greater ones to the back, equal ones
/// between. Gives how many are smaller and how many greater.
fn partition<T>(items: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let n = items.len();
    // Equal ones gather before `a` and from `d` on; `b` and `c` are where the two searches have come to.
    let (mut a, mut b, mut c, mut d) = (1, 1, n, n);
    loop {
        while b < c {
            match compare(&items[b], &items[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    items.swap(a, b);
                    a += 1;
                }
                Ordering::Less => {}
            }
            b += 1;
        }
        while b < c {
            match compare(&items[c - 1], &items[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    d -= 1;
                    items.swap(c - 1, d);
                }
                Ordering::Greater => {}
            }
            c -= 1;
        }
        if b >= c {
            break;
        }
        items.swap(b, c - 1);
        (b, c) = (b + 1, c - 1);
    }
    let (less, greater) = (b - a, d - c);
    swap_runs(items, 0, b, a.min(less));
    swap_runs(items, b, n, greater.min(n - d));
    (less, greater)
}

/// Exchanges `count` items from `from` on with as many before `end`.
fn swap_runs<T>(items: &mut [T], from: usize, end: usize, count: usize) {
    for i in 0..count {
        items.swap(from + i, end - count + i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_part_is_as_if_everything_were_sorted() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..3000 {
            let n = rng.usize(0..200);
            let most = rng.u32(1..300);
            let mut items: Vec<u32> = (0..n).map(|_| rng.u32(0..most)).collect();
            let mut sorted = items.clone();
            sorted.sort_unstable();
            let from = rng.usize(0..=n);
            let wanted = from..rng.usize(from..=n);
            partial_sort(&mut items, wanted.clone(), &u32::cmp);
            assert_eq!(items[wanted.clone()], sorted[wanted]);
            items.sort_unstable();
            assert_eq!(items, sorted);
        }
    }

    #[test]
    fn the_bound_on_depth_leaves_nothing_unsorted() {
        let mut items: Vec<u32> = (0..1000).rev().collect();
        sort(&mut items, 0, &(0..1000), &u32::cmp, 1);
        assert!(items.is_sorted());
    }
}
