//! How often keys were asked for lately, in four bits a counter: a count-min sketch that ages.
//!
//! One idea: a key's four counters lie in one cache line, and only the smallest of them are raised
//! (conservative update), so a count is never too low and seldom too high. After a sample of
//! accesses all counters are halved, so old fame fades.

/// The words of 16 counters in one cache line.
type Block = [u64; 8];
/// Counters saturate here.
const MAX: u64 = 15;
/// Counters are halved after this many accesses per expected key. TinyLFU has ten; forgetting that soon
/// costs the rule of the second access its firsts.
const SAMPLE_PER_KEY: usize = 40;
/// Expected keys per block: a word (16 counters) serves two keys.
const KEYS_PER_BLOCK: usize = 16;
/// The smallest sketch: 2 KB, so that few keys do not share counters.
const MIN_BLOCKS: usize = 32;

/// A frequency sketch over 64-bit key hashes.
pub struct Sketch {
    /// As many as a power of two.
    blocks: Vec<Block>,
    /// Accesses since the last halving.
    seen: usize,
    /// Halve when `seen` reaches this.
    sample: usize,
}

impl Sketch {
    /// A sketch for about `keys` distinct keys.
    pub fn new(keys: usize) -> Self {
        let mut sketch = Sketch { blocks: Vec::new(), seen: 0, sample: 0 };
        sketch.resize(Self::blocks_for(keys));
        sketch
    }

    fn blocks_for(keys: usize) -> usize {
        (keys / KEYS_PER_BLOCK).next_power_of_two().max(MIN_BLOCKS)
    }

    /// Grows (by copying, counts are kept) when `keys` outgrow the sketch.
    pub fn fit(&mut self, keys: usize) {
        if Self::blocks_for(keys) > self.blocks.len() {
            self.resize(self.blocks.len() * 2);
        }
    }

    /// Shrinks (by folding, no count gets too low) while it is larger than `keys` need.
    pub fn trim(&mut self, keys: usize) {
        while Self::blocks_for(keys) < self.blocks.len() {
            // Blocks are chosen by the low bits, so blocks i and i + half become block i.
            let half = self.blocks.len() / 2;
            let upper = self.blocks.split_off(half);
            for (block, other) in self.blocks.iter_mut().zip(upper) {
                block.iter_mut().zip(other).for_each(|(word, other)| *word = larger_of_each(*word, other));
            }
            self.blocks.shrink_to_fit();
            self.sample = half * KEYS_PER_BLOCK * SAMPLE_PER_KEY;
        }
    }

    fn resize(&mut self, blocks: usize) {
        let old = self.blocks.len().max(1);
        // Blocks are chosen by the low bits, so block i becomes blocks i and i + old.
        self.blocks = (0..blocks).map(|i| self.blocks.get(i % old).copied().unwrap_or_default()).collect();
        self.sample = blocks * KEYS_PER_BLOCK * SAMPLE_PER_KEY;
    }

    /// Which block is a hash's.
    fn place(&self, hash: u64) -> usize {
        mix(hash) as usize & (self.blocks.len() - 1)
    }

    /// The estimated number of recent accesses, at most 15.
    pub fn count(&self, hash: u64) -> u8 {
        least(&self.blocks[self.place(hash)], counters(hash)) as u8
    }

    /// Counts so many accesses and returns the new estimate.
    pub fn add(&mut self, hash: u64, accesses: u8) -> u8 {
        let place = self.place(hash);
        let block = &mut self.blocks[place];
        let counters = counters(hash);
        let count = (least(block, counters) + u64::from(accesses)).min(MAX);
        for (word, shift) in counters {
            let short = count.saturating_sub((block[word] >> shift) & MAX);
            block[word] += short << shift;
        }
        self.seen += usize::from(accesses);
        if self.seen >= self.sample {
            self.halve();
        }
        count as u8
    }

    fn halve(&mut self) {
        for word in self.blocks.as_flattened_mut() {
            *word = (*word >> 1) & 0x7777_7777_7777_7777;
        }
        self.seen /= 2;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.blocks.fill(Block::default());
        self.seen = 0;
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        super::size::size_class(self.blocks.len() * size_of::<Block>())
    }
}

/// The shards' tables use the high bits of the same hash, so it is mixed before anything is chosen by it.
#[inline]
fn mix(hash: u64) -> u64 {
    let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

/// The four counters of a hash in its block: (word, shift).
#[inline]
fn counters(hash: u64) -> [(usize, u32); 4] {
    let pick = mix(hash).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    std::array::from_fn(|row| {
        // Row r owns words 2r and 2r+1 of the block: five bits choose one of its 32 counters.
        let bits = (pick >> (24 + row * 8)) as usize & 31;
        (row * 2 + (bits >> 4), (bits & 15) as u32 * 4)
    })
}

#[inline]
fn least(block: &Block, counters: [(usize, u32); 4]) -> u64 {
    counters.into_iter().fold(MAX, |least, (word, shift)| least.min((block[word] >> shift) & MAX))
}

/// The larger of each pair of counters.
fn larger_of_each(a: u64, b: u64) -> u64 {
    (0..64).step_by(4).fold(0, |word, shift| word | ((a >> shift) & MAX).max((b >> shift) & MAX) << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(n)
    }

    #[test]
    fn counts_are_never_too_low_before_halving() {
        let mut sketch = Sketch::new(1000);
        for n in 0..1000u64 {
            for _ in 0..=(n % 5) {
                sketch.add(hash(n), 1);
            }
        }
        for n in 0..1000u64 {
            assert!(u64::from(sketch.count(hash(n))) > n % 5);
        }
    }

    #[test]
    fn few_counts_are_too_high() {
        let mut sketch = Sketch::new(4000);
        (0..4000u64).for_each(|n| _ = sketch.add(hash(n), 1));
        let wrong = (4000..8000u64).filter(|&n| sketch.count(hash(n)) > 0).count();
        assert!(wrong < 1000, "{wrong} of 4000 strangers look known");
    }

    #[test]
    fn growth_keeps_counts_and_age_fades_them() {
        let mut sketch = Sketch::new(32);
        (0..9).for_each(|_| _ = sketch.add(hash(7), 1));
        sketch.fit(100_000);
        assert!(sketch.count(hash(7)) >= 9);
        sketch.trim(32);
        assert_eq!(sketch.bytes(), Sketch::new(32).bytes());
        assert!(sketch.count(hash(7)) >= 9);
        sketch.halve();
        assert!(sketch.count(hash(7)) <= 7);
    }
}
