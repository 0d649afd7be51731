//! Lists: a queue of packed nodes of at most 8 KB each (Redis's quicklist).
//!
//! Both ends are one node's end away; a place in the middle is found by the nodes' counts, from the
//! nearer end. A node that grows too large is split, a node that gets empty goes. Invariant: no node is
//! empty, and `len` is the sum of their counts.

use std::collections::VecDeque;

use super::blob::allocated;
use super::packed::Packed;

/// Bytes after which a node takes no more, unless it is empty (list-max-listpack-size -2).
const NODE: usize = 8 * 1024;

/// The list.
#[derive(Clone, Default)]
pub struct List {
    nodes: VecDeque<Packed>,
    len: usize,
    /// Bytes that the nodes have allocated.
    heap: usize,
}

/// A place in a list: a node's number and a position in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    node: usize,
    at: usize,
}

impl List {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        self.heap + allocated(self.nodes.capacity() * size_of::<Packed>())
    }

    /// Adds an element at one end.
    pub fn push(&mut self, element: &[u8], front: bool) {
        let end = if front { self.nodes.front() } else { self.nodes.back() };
        if end.is_none_or(|node| node.bytes() + element.len() + 4 > NODE) {
            let node = Packed::default();
            if self.nodes.is_empty() {
                // Most lists have one node; a queue's first allocation is for four.
                self.nodes.reserve_exact(1);
            }
            if front { self.nodes.push_front(node) } else { self.nodes.push_back(node) }
        }
        let end = if front { 0 } else { self.nodes.len() - 1 };
        self.len += 1;
        self.change(end, |node| if front { node.push_front(element) } else { node.push_back(element) });
    }

    /// The element at one end, shown to `f` before it is taken out.
    pub fn pop<R>(&mut self, front: bool, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let number = if front { 0 } else { self.nodes.len().checked_sub(1)? };
        let node = self.nodes.get(number)?;
        let at = if front { node.begin() } else { node.before(node.end()) };
        let result = f(node.get(at).0);
        self.remove(Place { node: number, at });
        Some(result)
    }

    /// The place of the element with an index, from the front, or from the back if negative.
    pub fn seek(&self, index: i64) -> Option<Place> {
        let index = if index < 0 { index + self.len as i64 } else { index };
        let index = usize::try_from(index).ok().filter(|&index| index < self.len)?;
        if index <= self.len / 2 {
            let mut rest = index;
            for (number, node) in self.nodes.iter().enumerate() {
                if rest < node.len() {
                    return node.seek(rest).map(|at| Place { node: number, at });
                }
                rest -= node.len();
            }
            return None;
        }
        let mut rest = self.len - index;
        for (number, node) in self.nodes.iter().enumerate().rev() {
            if rest <= node.len() {
                return node.seek(node.len() - rest).map(|at| Place { node: number, at });
            }
            rest -= node.len();
        }
        None
    }

    /// The element at a place.
    pub fn get(&self, place: Place) -> &[u8] {
        self.nodes[place.node].get(place.at).0
    }

    /// The place after one.
    pub fn after(&self, place: Place) -> Option<Place> {
        let node = &self.nodes[place.node];
        let at = node.get(place.at).1;
        if at < node.end() {
            return Some(Place { node: place.node, at });
        }
        self.nodes.get(place.node + 1).map(|next| Place { node: place.node + 1, at: next.begin() })
    }

    /// The place before one.
    pub fn before(&self, place: Place) -> Option<Place> {
        let node = &self.nodes[place.node];
        if place.at > node.begin() {
            return Some(Place { node: place.node, at: node.before(place.at) });
        }
        let number = place.node.checked_sub(1)?;
        let node = &self.nodes[number];
        Some(Place { node: number, at: node.before(node.end()) })
    }

    /// Elements from a place on.
    pub fn iter_from(&self, place: Option<Place>) -> impl Iterator<Item = &[u8]> {
        let mut next = place;
        std::iter::from_fn(move || {
            let place = next?;
            next = self.after(place);
            Some(self.get(place))
        })
    }

    /// Puts another element at a place.
    pub fn replace(&mut self, place: Place, element: &[u8]) {
        self.change(place.node, |node| {
            node.replace(place.at, element);
        });
        self.split_if_large(place.node);
    }

    /// Adds an element before the one at a place, or after it.
    pub fn insert(&mut self, place: Place, element: &[u8], before: bool) {
        self.len += 1;
        let node = &self.nodes[place.node];
        let at = if before { place.at } else { node.get(place.at).1 };
        if node.bytes() + element.len() + 4 <= NODE {
            return self.change(place.node, |node| {
                node.insert(at, element);
            });
        }
        // No room: between two nodes, made by splitting this one if need be, comes a new one.
        let (begin, end) = (node.begin(), node.end());
        let number = if at == begin { place.node } else { place.node + 1 };
        if at != begin && at != end {
            let mut rest = Packed::default();
            self.change(place.node, |node| rest = node.split_off(at));
            self.heap += rest.heap();
            self.nodes.insert(number, rest);
        }
        let mut new = Packed::default();
        new.push_back(element);
        self.heap += new.heap();
        self.nodes.insert(number, new);
        self.join(number);
        self.join(number + 1);
    }

    /// Takes out the element at a place; gives the place of the next one.
    pub fn remove(&mut self, place: Place) -> Option<Place> {
        self.len -= 1;
        let mut at = 0;
        self.change(place.node, |node| at = node.remove(place.at));
        if self.nodes[place.node].is_empty() {
            self.drop_node(place.node);
            return self.nodes.get(place.node).map(|node| Place { node: place.node, at: node.begin() });
        }
        if at < self.nodes[place.node].end() {
            return Some(Place { node: place.node, at });
        }
        self.nodes.get(place.node + 1).map(|next| Place { node: place.node + 1, at: next.begin() })
    }

    /// Takes out `count` elements at one end, or all that there are.
    pub fn cut(&mut self, mut count: usize, front: bool) {
        while count > 0 && self.len > 0 {
            let number = if front { 0 } else { self.nodes.len() - 1 };
            let node = &self.nodes[number];
            let here = node.len();
            if here <= count {
                self.len -= here;
                count -= here;
                self.drop_node(number);
                continue;
            }
            self.len -= count;
            let (from, to) = if front {
                (node.begin(), node.seek(count).unwrap_or(node.end()))
            } else {
                (node.seek(here - count).unwrap_or(node.end()), node.end())
            };
            self.change(number, |node| {
                node.remove_span(from, to, count);
            });
            count = 0;
        }
    }

    fn change(&mut self, number: usize, f: impl FnOnce(&mut Packed)) {
        let node = &mut self.nodes[number];
        self.heap -= node.heap();
        f(node);
        self.heap += node.heap();
    }

    fn drop_node(&mut self, number: usize) {
        if let Some(node) = self.nodes.remove(number) {
            self.heap -= node.heap();
        }
        if self.nodes.capacity() > 16 && self.nodes.len() * 4 < self.nodes.capacity() {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
    }

    /// Joins a node with the one before it if both are far from full, so that inserting in the middle
    /// does not leave a trail of tiny nodes.
    fn join(&mut self, number: usize) {
        let Some(left) = number.checked_sub(1) else { return };
        let Some(right) = self.nodes.get(number) else { return };
        if self.nodes[left].bytes() + right.bytes() > NODE / 2 {
            return;
        }
        let Some(right) = self.nodes.remove(number) else { return };
        self.heap -= right.heap();
        self.change(left, |node| right.iter().for_each(|element| node.push_back(element)));
    }

    fn split_if_large(&mut self, number: usize) {
        let node = &self.nodes[number];
        if node.bytes() <= NODE || node.len() < 2 {
            return;
        }
        let Some(at) = node.seek(node.len() / 2) else { return };
        let mut tail = Packed::default();
        self.change(number, |node| tail = node.split_off(at));
        self.heap += tail.heap();
        self.nodes.insert(number + 1, tail);
        self.split_if_large(number + 1);
        self.split_if_large(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl List {
        fn validate(&self) {
            assert_eq!(self.len, self.nodes.iter().map(Packed::len).sum::<usize>());
            assert_eq!(self.heap, self.nodes.iter().map(Packed::heap).sum::<usize>());
            assert!(
                self.nodes.iter().all(|node| !node.is_empty() && (node.bytes() <= NODE || node.len() == 1))
            );
        }
    }

    #[test]
    fn agrees_with_a_deque() {
        fastrand::seed(11);
        let (mut list, mut model) = (List::default(), VecDeque::<Vec<u8>>::new());
        for step in 0..30_000u32 {
            let len = if step % 97 == 0 { fastrand::usize(0..20_000) } else { fastrand::usize(0..200) };
            let element = vec![step as u8; len];
            let index = fastrand::usize(0..model.len().max(1));
            let place = list.seek(index as i64);
            match (fastrand::u32(0..9), place) {
                (0 | 1, _) => (list.push(&element, true), model.push_front(element)).1,
                (2 | 3, _) => (list.push(&element, false), model.push_back(element)).1,
                (4, _) => assert_eq!(list.pop(true, <[u8]>::to_vec), model.pop_front()),
                (5, _) => assert_eq!(list.pop(false, <[u8]>::to_vec), model.pop_back()),
                (6, Some(place)) => (list.replace(place, &element), model[index] = element).1,
                (7, Some(place)) => {
                    let before = step % 2 == 0;
                    list.insert(place, &element, before);
                    model.insert(index + usize::from(!before), element);
                }
                (_, Some(place)) if step % 3 > 0 => {
                    let next = list.remove(place);
                    model.remove(index);
                    assert_eq!(next.map(|place| list.get(place)), model.get(index).map(|m| &m[..]));
                }
                (_, _) => {
                    let (count, front) = (fastrand::usize(0..20), step % 2 == 0);
                    list.cut(count, front);
                    let count = count.min(model.len());
                    let range = if front { 0..count } else { model.len() - count..model.len() };
                    model.drain(range);
                }
            }
            assert_eq!(list.len(), model.len());
            if step % 61 == 0 {
                list.validate();
                assert!(list.iter_from(list.seek(0)).eq(&model));
                for (index, element) in model.iter().enumerate() {
                    assert_eq!(list.get(list.seek(index as i64).expect("it is in range")), element);
                }
            }
        }
    }
}
