//! The order of a large sorted set: a B-tree that counts, so that ranks cost the logarithm.
//!
//! The one idea: *everything goes by rank*. The tree does not know what it is ordered by; who uses it
//! finds a rank with `partition` (a predicate that holds for the first entries and for none after them)
//! and then inserts, removes or reads there. A node counts what is below it, which is all that finding
//! a rank needs.
//!
//! Invariant: `len` is the number of entries in the node and below; a branch has one child more than it
//! has entries; all leaves are equally deep; no node but the root has fewer than `MIN` or any more than
//! `MAX` entries; `heap` is the sum of what all nodes have allocated.

use super::blob::allocated;

/// The most entries of a node: half a kilobyte, a few cache lines to search.
const MAX: usize = 32;
/// Below this many, a node is joined with its neighbour. Far below half, so that nothing is split and
/// joined in turns.
const MIN: usize = 8;

/// A member's place in the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The score.
    pub score: f64,
    /// The member's index in the table.
    pub at: u32,
}

/// The tree.
#[derive(Clone, Default)]
pub struct Order {
    root: Node,
    heap: usize,
}

#[derive(Clone, Default)]
struct Node {
    len: usize,
    entries: Vec<Entry>,
    /// None in a leaf.
    children: Vec<Node>,
}

/// Where a rank is, seen from a node.
enum Step {
    /// One of its own entries.
    Own(usize),
    /// A child, and the rank within it.
    Child(usize, usize),
}

impl Order {
    /// How many entries.
    pub fn len(&self) -> usize {
        self.root.len
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        self.heap
    }

    /// How many entries `before` holds for. It must hold for none after one that it does not hold for.
    pub fn partition(&self, before: impl Fn(&Entry) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            let i = node.entries.partition_point(&before);
            rank += i + node.children.iter().take(i).map(|child| child.len).sum::<usize>();
            match node.children.get(i) {
                Some(child) => node = child,
                None => return rank,
            }
        }
    }

    /// The entry with a rank below `len()`.
    pub fn get(&self, rank: usize) -> Entry {
        let (run, at) = self.run(rank);
        run[at]
    }

    /// Changes the index of the entry with a rank below `len()`.
    pub fn set_index(&mut self, rank: usize, index: u32) {
        let (mut node, mut rank) = (&mut self.root, rank);
        loop {
            match node.step(rank) {
                Step::Own(i) => return node.entries[i].at = index,
                Step::Child(i, rest) => (node, rank) = (&mut node.children[i], rest),
            }
        }
    }

    /// Puts an entry before the one that has this rank now.
    pub fn insert(&mut self, rank: usize, entry: Entry) {
        let Some((middle, right)) = self.root.insert(rank, entry, &mut self.heap) else { return };
        let left = std::mem::take(&mut self.root);
        self.root =
            Node { len: left.len + 1 + right.len, entries: vec![middle], children: vec![left, right] };
        self.heap += self.root.own_heap();
    }

    /// Takes out the entry with a rank below `len()`.
    pub fn remove(&mut self, rank: usize) -> Entry {
        let entry = self.root.remove(rank, &mut self.heap);
        if self.root.entries.is_empty() {
            self.heap -= self.root.own_heap();
            // What is left is one child, or nothing.
            self.root = self.root.children.pop().unwrap_or_default();
        }
        entry
    }

    /// `count` entries from a rank on, or back from it (from the last one, if it is beyond that).
    pub fn walk(&self, rank: usize, count: usize, back: bool) -> Walk<'_> {
        let rank = if back { rank.min(self.len().saturating_sub(1)) } else { rank.min(self.len()) };
        let room = if back { (rank + 1).min(self.len()) } else { self.len() - rank };
        Walk { order: self, rank, left: count.min(room), back, run: &[] }
    }

    /// Neighbouring entries in one node, the one with this rank among them, and its place there.
    fn run(&self, rank: usize) -> (&[Entry], usize) {
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node.step(rank) {
                Step::Own(i) if node.children.is_empty() => return (&node.entries, i),
                Step::Own(i) => return (&node.entries[i..=i], 0),
                Step::Child(i, rest) => (node, rank) = (&node.children[i], rest),
            }
        }
    }
}

/// Entries in order: finding a node costs the logarithm, the entries in it are then at hand.
pub struct Walk<'a> {
    order: &'a Order,
    rank: usize,
    left: usize,
    back: bool,
    run: &'a [Entry],
}

impl Iterator for Walk<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.left = self.left.checked_sub(1)?;
        if self.run.is_empty() {
            let (run, at) = self.order.run(self.rank);
            self.run = if self.back { &run[..=at] } else { &run[at..] };
        }
        if self.back {
            let (entry, rest) = self.run.split_last()?;
            (self.run, self.rank) = (rest, self.rank.wrapping_sub(1));
            Some(*entry)
        } else {
            let (entry, rest) = self.run.split_first()?;
            (self.run, self.rank) = (rest, self.rank + 1);
            Some(*entry)
        }
    }
}

impl Node {
    /// Bytes that this node itself has allocated.
    fn own_heap(&self) -> usize {
        allocated(self.entries.capacity() * size_of::<Entry>())
            + allocated(self.children.capacity() * size_of::<Node>())
    }

    fn step(&self, mut rank: usize) -> Step {
        if self.children.is_empty() {
            return Step::Own(rank);
        }
        for (i, child) in self.children.iter().enumerate() {
            if rank < child.len {
                return Step::Child(i, rank);
            }
            rank -= child.len;
            if rank == 0 {
                return Step::Own(i);
            }
            rank -= 1;
        }
        // Not reached with a rank below `len`; the last entry then.
        Step::Own(self.entries.len() - 1)
    }

    /// Inserts; gives the middle entry and the right half if the node had to be split.
    fn insert(&mut self, mut rank: usize, entry: Entry, heap: &mut usize) -> Option<(Entry, Node)> {
        self.len += 1;
        if self.children.is_empty() {
            self.change(heap, |node| node.entries.insert(rank, entry));
        } else {
            let mut i = 0;
            while rank > self.children[i].len {
                rank -= self.children[i].len + 1;
                i += 1;
            }
            let (middle, right) = self.children[i].insert(rank, entry, heap)?;
            self.put(i, middle, right, heap);
        }
        (self.entries.len() > MAX).then(|| self.split(heap))
    }

    /// Puts a child's split-off half behind it.
    fn put(&mut self, i: usize, middle: Entry, right: Node, heap: &mut usize) {
        self.change(heap, |node| {
            node.entries.insert(i, middle);
            node.children.insert(i + 1, right);
        });
    }

    /// Cuts the node in two around its middle entry. Neither half keeps room to grow: where members
    /// come in order, as times do, the left one never will.
    fn split(&mut self, heap: &mut usize) -> (Entry, Node) {
        let keep = self.entries.len() / 2;
        let middle = self.entries[keep];
        let mut right = Node::default();
        self.change(heap, |node| {
            right.entries = node.entries.split_off(keep + 1);
            node.entries.truncate(keep);
            node.entries.shrink_to_fit();
            if !node.children.is_empty() {
                right.children = node.children.split_off(keep + 1);
                node.children.shrink_to_fit();
            }
        });
        right.len = right.entries.len() + right.children.iter().map(|child| child.len).sum::<usize>();
        self.len -= right.len + 1;
        *heap += right.own_heap();
        (middle, right)
    }

    fn remove(&mut self, rank: usize, heap: &mut usize) -> Entry {
        let step = self.step(rank);
        self.len -= 1;
        match step {
            Step::Own(i) if self.children.is_empty() => {
                let mut entry = None;
                self.change(heap, |node| {
                    entry = Some(node.entries.remove(i));
                    if node.entries.capacity() > 4 * node.entries.len() {
                        node.entries.shrink_to(2 * node.entries.len());
                    }
                });
                entry.expect("it was just removed")
            }
            Step::Own(i) => {
                // The last one before it takes its place.
                let last = self.children[i].len - 1;
                let before = self.children[i].remove(last, heap);
                let entry = std::mem::replace(&mut self.entries[i], before);
                self.refill(i, heap);
                entry
            }
            Step::Child(i, rest) => {
                let entry = self.children[i].remove(rest, heap);
                self.refill(i, heap);
                entry
            }
        }
    }

    /// Joins a child that has become too small with a neighbour; splits them again if that is too large.
    fn refill(&mut self, i: usize, heap: &mut usize) {
        if self.children[i].entries.len() >= MIN {
            return;
        }
        let left = i.saturating_sub(1);
        let mut taken = None;
        self.change(heap, |node| {
            taken = Some((node.entries.remove(left), node.children.remove(left + 1)));
        });
        let (middle, right) = taken.expect("it was just taken");
        *heap -= right.own_heap();
        let node = &mut self.children[left];
        node.len += 1 + right.len;
        node.change(heap, |node| {
            node.entries.push(middle);
            node.entries.extend(right.entries);
            node.children.extend(right.children);
        });
        if node.entries.len() > MAX {
            let (middle, right) = node.split(heap);
            self.put(left, middle, right, heap);
        }
    }

    fn change(&mut self, heap: &mut usize, f: impl FnOnce(&mut Node)) {
        *heap -= self.own_heap();
        f(self);
        *heap += self.own_heap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Node {
        /// The depth of the leaves.
        fn validate(&self, root: bool, heap: &mut usize) -> usize {
            *heap += self.own_heap();
            assert!(self.entries.len() <= MAX && (root || self.entries.len() >= MIN));
            let below: usize = self.children.iter().map(|child| child.len).sum();
            assert_eq!(self.len, self.entries.len() + below);
            if self.children.is_empty() {
                return 0;
            }
            assert_eq!(self.children.len(), self.entries.len() + 1);
            let depths: Vec<_> = self.children.iter().map(|child| child.validate(false, heap)).collect();
            assert!(depths.iter().all(|&depth| depth == depths[0]));
            depths[0] + 1
        }
    }

    fn check(order: &Order, model: &[Entry]) {
        let mut heap = 0;
        order.root.validate(true, &mut heap);
        assert_eq!(order.heap(), heap);
        assert_eq!(order.len(), model.len());
        assert!(order.walk(0, usize::MAX, false).eq(model.iter().copied()));
        assert!(order.walk(model.len().wrapping_sub(1), model.len(), true).eq(model.iter().rev().copied()));
    }

    #[test]
    fn agrees_with_a_vector() {
        fastrand::seed(5);
        for grow in [0.5, 0.9, 0.1, 0.5] {
            let (mut order, mut model) = (Order::default(), Vec::<Entry>::new());
            if grow < 0.5 {
                (0..20_000).for_each(|at| {
                    let entry = Entry { score: f64::from(at), at };
                    order.insert(model.len(), entry);
                    model.push(entry);
                });
            }
            for step in 0..20_000u32 {
                if model.is_empty() || fastrand::f64() < grow {
                    let score = fastrand::u32(0..1000).into();
                    let rank = order.partition(|entry| entry.score < score);
                    assert_eq!(rank, model.partition_point(|entry| entry.score < score));
                    let entry = Entry { score, at: step };
                    order.insert(rank, entry);
                    model.insert(rank, entry);
                } else {
                    let rank = fastrand::usize(0..model.len());
                    order.set_index(rank, step);
                    model[rank].at = step;
                    assert_eq!(order.get(rank), model[rank]);
                    assert_eq!(order.remove(rank), model.remove(rank));
                }
                if step % 500 == 0 {
                    check(&order, &model);
                    let (rank, count) = (fastrand::usize(0..=model.len()), fastrand::usize(0..100));
                    let end = (rank + count).min(model.len());
                    assert!(order.walk(rank, count, false).eq(model[rank..end].iter().copied()));
                }
            }
            check(&order, &model);
            while !model.is_empty() {
                assert_eq!(order.remove(0), model.remove(0));
            }
            check(&order, &model);
        }
    }
}
