//! A short sequence of byte strings in one allocation: what small hashes, sorted sets and the nodes of
//! lists are made of.
//!
//! An item is `length, bytes, length of the two backwards`, so that it can be walked from both ends
//! (Redis's listpack). Lengths are base-128; a short item costs two bytes more than its content.
//! Positions are byte offsets of an item's first byte; `end()` is the position behind the last item.

use super::blob::allocated;

/// The sequence, 32 bytes in size. It never holds more than 4 GB: the longest string is 512 MB, and who
/// uses it bounds how much is added to that.
#[derive(Clone, Default)]
pub struct Packed {
    buf: Vec<u8>,
    /// Where the first item begins: taking from the front moves nothing.
    start: u32,
    count: u32,
}

impl Packed {
    /// How many items.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all items.
    pub fn bytes(&self) -> usize {
        self.buf.len() - self.start as usize
    }

    /// Bytes allocated.
    pub fn heap(&self) -> usize {
        allocated(self.buf.capacity())
    }

    /// The position of the first item.
    pub fn begin(&self) -> usize {
        self.start as usize
    }

    /// The position behind the last item.
    pub fn end(&self) -> usize {
        self.buf.len()
    }

    /// The item at a position, and the next position.
    pub fn get(&self, at: usize) -> (&[u8], usize) {
        let (len, header) = read_len(&self.buf[at..]);
        let from = at + header;
        (&self.buf[from..from + len], from + len + width(header + len))
    }

    /// The position of the item before a position that is not the first.
    pub fn before(&self, at: usize) -> usize {
        let (mut size, mut bytes, mut shift) = (0, 0, 0);
        loop {
            bytes += 1;
            let byte = self.buf[at - bytes];
            size |= ((byte & 0x7f) as usize) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return at - bytes - size;
            }
        }
    }

    /// The position of the item number `index`, counted from the nearer end.
    pub fn seek(&self, index: usize) -> Option<usize> {
        if index >= self.len() {
            return None;
        }
        if index <= self.len() / 2 {
            let mut at = self.begin();
            (0..index).for_each(|_| at = self.get(at).1);
            return Some(at);
        }
        let mut at = self.end();
        (index..self.len()).for_each(|_| at = self.before(at));
        Some(at)
    }

    /// All items in order.
    pub fn iter(&self) -> PackedIter<'_> {
        PackedIter { packed: self, front: self.begin(), back: self.end() }
    }

    /// Adds an item at the end.
    pub fn push_back(&mut self, item: &[u8]) {
        self.insert(self.end(), item);
    }

    /// Adds an item at the beginning.
    pub fn push_front(&mut self, item: &[u8]) {
        self.insert(self.begin(), item);
    }

    /// Adds an item before the one at `at`; gives its position.
    pub fn insert(&mut self, at: usize, item: &[u8]) -> usize {
        let size = item_size(item);
        let front = at == self.begin() && !self.is_empty();
        self.count += 1;
        if front && at >= size {
            self.start -= size as u32;
            write_item(&mut self.buf[at - size..at], item);
            return self.begin();
        }
        let at = at - self.reserve(size);
        let old_end = self.buf.len();
        // At the front all that the allocation has to spare: the next ones then move nothing.
        let room = if front { self.buf.capacity() - old_end } else { size };
        self.buf.resize(old_end + room, 0);
        self.buf.copy_within(at..old_end, at + room);
        let at = at + room - size;
        if front {
            self.start = at as u32;
        }
        write_item(&mut self.buf[at..at + size], item);
        at
    }

    /// Takes out the item at `at`; gives the position of the next one.
    pub fn remove(&mut self, at: usize) -> usize {
        let next = self.get(at).1;
        self.remove_span(at, next, 1)
    }

    /// Takes out the items from one position to another, which are `count`; gives the position of the
    /// item that followed them.
    pub fn remove_span(&mut self, from: usize, to: usize, count: usize) -> usize {
        self.count -= count as u32;
        if self.count == 0 {
            *self = Packed::default();
            return 0;
        }
        let mut next = from;
        if from == self.begin() {
            self.start = to as u32;
            next = to;
        } else {
            self.buf.drain(from..to);
        }
        let wasted = self.buf.capacity() - self.bytes();
        if wasted > 64 && wasted > self.bytes() {
            next -= self.close_gap();
            self.buf.shrink_to(allocated(self.buf.len()));
        }
        next
    }

    /// Puts another item in the place of the one at `at`; gives its position.
    pub fn replace(&mut self, at: usize, item: &[u8]) -> usize {
        let (size, old_size) = (item_size(item), self.get(at).1 - at);
        let mut at = at;
        if size > old_size {
            at -= self.reserve(size - old_size);
            let old_end = self.buf.len();
            self.buf.resize(old_end + size - old_size, 0);
            self.buf.copy_within(at + old_size..old_end, at + size);
        } else {
            self.buf.drain(at + size..at + old_size);
        }
        write_item(&mut self.buf[at..at + size], item);
        at
    }

    /// Splits off the items from position `at` on.
    pub fn split_off(&mut self, at: usize) -> Packed {
        let (mut count, mut next, end) = (0, at, self.end());
        while next < end {
            (count, next) = (count + 1, self.get(next).1);
        }
        let tail = Packed { buf: self.buf[at..].to_vec(), start: 0, count: count as u32 };
        self.remove_span(at, end, count);
        tail
    }

    /// Makes room for `more` bytes; gives by how much all positions became smaller. Grows to the
    /// allocator's next size, not to the double: these are many and small.
    fn reserve(&mut self, more: usize) -> usize {
        if self.buf.len() + more <= self.buf.capacity() {
            return 0;
        }
        let moved = self.close_gap();
        let target = allocated(self.buf.len() + more);
        self.buf.reserve_exact(target - self.buf.len());
        moved
    }

    fn close_gap(&mut self) -> usize {
        self.buf.drain(..self.begin());
        std::mem::take(&mut self.start) as usize
    }
}

/// Items of a `Packed`, from either end.
#[derive(Clone)]
pub struct PackedIter<'a> {
    packed: &'a Packed,
    front: usize,
    back: usize,
}

impl<'a> Iterator for PackedIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.front >= self.back {
            return None;
        }
        let (item, next) = self.packed.get(self.front);
        self.front = next;
        Some(item)
    }
}

impl DoubleEndedIterator for PackedIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = self.packed.before(self.back);
        Some(self.packed.get(self.back).0)
    }
}

fn item_size(item: &[u8]) -> usize {
    let header = width(item.len());
    header + item.len() + width(header + item.len())
}

/// Bytes that a length takes.
fn width(len: usize) -> usize {
    (usize::BITS - (len | 1).leading_zeros()).div_ceil(7) as usize
}

fn read_len(buf: &[u8]) -> (usize, usize) {
    let (mut len, mut shift) = (0, 0);
    for (i, byte) in buf.iter().enumerate() {
        len |= ((byte & 0x7f) as usize) << shift;
        if byte & 0x80 == 0 {
            return (len, i + 1);
        }
        shift += 7;
    }
    (len, buf.len())
}

/// Fills `out`, which has the item's exact size.
fn write_item(out: &mut [u8], item: &[u8]) {
    let header = width(item.len());
    write_len(&mut out[..header], item.len());
    out[header..header + item.len()].copy_from_slice(item);
    let tail = &mut out[header + item.len()..];
    write_len(tail, header + item.len());
    tail.reverse();
}

fn write_len(out: &mut [u8], mut len: usize) {
    let last = out.len() - 1;
    for byte in &mut out[..last] {
        *byte = len as u8 | 0x80;
        len >>= 7;
    }
    out[last] = len as u8;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_vector() {
        fastrand::seed(3);
        let (mut packed, mut model) = (Packed::default(), Vec::<Vec<u8>>::new());
        for step in 0..20_000 {
            let len = if step % 50 == 0 { fastrand::usize(100..20_000) } else { fastrand::usize(0..40) };
            let item = vec![step as u8; len];
            let index = fastrand::usize(0..=model.len());
            let at = packed.seek(index).unwrap_or(packed.end());
            match fastrand::u32(0..8) {
                0 => (packed.push_front(&item), model.insert(0, item)).1,
                1 => (packed.push_back(&item), model.push(item)).1,
                2 => {
                    let at = packed.insert(at, &item);
                    assert_eq!(packed.get(at).0, item);
                    model.insert(index, item);
                }
                3 if index < model.len() => {
                    let at = packed.replace(at, &item);
                    assert_eq!(packed.get(at).0, item);
                    model[index] = item;
                }
                4 if model.len() > 3 => {
                    let tail = packed.split_off(at);
                    assert!(tail.iter().eq(model.drain(index..)));
                }
                _ if index < model.len() => {
                    let next = packed.remove(at);
                    model.remove(index);
                    assert_eq!(
                        (next < packed.end()).then(|| packed.get(next).0),
                        model.get(index).map(|m| &m[..])
                    );
                }
                _ if !model.is_empty() => {
                    packed.remove(packed.begin());
                    model.remove(0);
                }
                _ => {}
            }
            assert_eq!(packed.len(), model.len());
            assert!(packed.iter().eq(&model), "step {step}");
            assert!(packed.iter().rev().eq(model.iter().rev()));
        }
    }
}
