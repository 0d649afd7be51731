//! How often keys were asked for lately, in four bits a counter: a count-min sketch that ages.
//!
//! One idea: a key's four counters lie in one cache line, and only the smallest of them are raised
//! (conservative update), so a count is never too low and seldom too high. After a sample of
//! accesses all counters are halved, so old fame fades.

/// Words of 16 counters in one cache line.
const BLOCK: usize = 8;
/// Counters saturate here.
const MAX: u64 = 15;
/// Counters are halved after this many accesses per expected key. TinyLFU has ten; forgetting that soon
/// costs the rule of the second access its firsts.
const SAMPLE_PER_KEY: usize = 40;
/// Expected keys per word: a word (16 counters) serves two keys.
const KEYS_PER_WORD: usize = 2;
/// The smallest sketch: 2 KB, so that few keys do not share counters.
const MIN_WORDS: usize = 256;

/// A frequency sketch over 64-bit key hashes.
pub struct Sketch {
    words: Vec<u64>,
    /// Accesses since the last halving.
    seen: usize,
    /// Halve when `seen` reaches this.
    sample: usize,
}

impl Sketch {
    /// A sketch for about `keys` distinct keys.
    pub fn new(keys: usize) -> Self {
        let mut sketch = Sketch { words: Vec::new(), seen: 0, sample: 0 };
        sketch.resize(Self::words_for(keys));
        sketch
    }

    fn words_for(keys: usize) -> usize {
        (keys / KEYS_PER_WORD).next_power_of_two().max(MIN_WORDS)
    }

    /// Grows (by copying, counts are kept) when `keys` outgrow the sketch.
    pub fn fit(&mut self, keys: usize) {
        if Self::words_for(keys) > self.words.len() {
            self.resize(self.words.len() * 2);
        }
    }

    /// Shrinks (by folding, no count gets too low) while it is larger than `keys` need.
    pub fn trim(&mut self, keys: usize) {
        while Self::words_for(keys) < self.words.len() {
            // Blocks are chosen by the low bits, so blocks i and i + half become block i.
            let half = self.words.len() / 2;
            let upper = self.words.split_off(half);
            self.words.iter_mut().zip(upper).for_each(|(word, other)| *word = larger_of_each(*word, other));
            self.words.shrink_to_fit();
            self.sample = half * KEYS_PER_WORD * SAMPLE_PER_KEY;
        }
    }

    fn resize(&mut self, words: usize) {
        let old = self.words.len().max(1);
        let mut wider = vec![0; words];
        for (i, word) in wider.iter_mut().enumerate() {
            // Blocks are chosen by the low bits, so block i becomes blocks i and i + old.
            *word = self.words.get(i % old).copied().unwrap_or(0);
        }
        self.words = wider;
        self.sample = words * KEYS_PER_WORD * SAMPLE_PER_KEY;
    }

    /// The four counters of a hash: (word, shift).
    fn slots(&self, hash: u64) -> [(usize, u32); 4] {
        // The table uses the high bits of the same hash, so mix before choosing.
        let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = mixed ^ (mixed >> 32);
        let base = (mixed as usize % (self.words.len() / BLOCK)) * BLOCK;
        let pick = mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        std::array::from_fn(|row| {
            // Row r owns words 2r and 2r+1 of the block: five bits choose one of its 32 counters.
            let bits = (pick >> (24 + row * 8)) as usize & 31;
            (base + row * 2 + (bits >> 4), (bits & 15) as u32 * 4)
        })
    }

    /// The estimated number of recent accesses, at most 15.
    pub fn count(&self, hash: u64) -> u8 {
        let least = self.slots(hash).iter().map(|&(word, shift)| (self.words[word] >> shift) & MAX).min();
        least.unwrap_or(0) as u8
    }

    /// Counts one access and returns the new estimate.
    pub fn touch(&mut self, hash: u64) -> u8 {
        let slots = self.slots(hash);
        let counts = slots.map(|(word, shift)| (self.words[word] >> shift) & MAX);
        let count = counts.into_iter().min().unwrap_or(0);
        if count < MAX {
            for ((word, shift), _) in slots.into_iter().zip(counts).filter(|(_, c)| *c == count) {
                self.words[word] += 1 << shift;
            }
        }
        self.seen += 1;
        if self.seen >= self.sample {
            self.halve();
        }
        (count + 1).min(MAX) as u8
    }

    fn halve(&mut self) {
        for word in &mut self.words {
            *word = (*word >> 1) & 0x7777_7777_7777_7777;
        }
        self.seen /= 2;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.seen = 0;
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        super::size::size_class(self.words.len() * 8)
    }
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
                sketch.touch(hash(n));
            }
        }
        for n in 0..1000u64 {
            assert!(u64::from(sketch.count(hash(n))) > n % 5);
        }
    }

    #[test]
    fn few_counts_are_too_high() {
        let mut sketch = Sketch::new(4000);
        (0..4000u64).for_each(|n| _ = sketch.touch(hash(n)));
        let wrong = (4000..8000u64).filter(|&n| sketch.count(hash(n)) > 0).count();
        assert!(wrong < 1000, "{wrong} of 4000 strangers look known");
    }

    #[test]
    fn growth_keeps_counts_and_age_fades_them() {
        let mut sketch = Sketch::new(32);
        (0..9).for_each(|_| _ = sketch.touch(hash(7)));
        sketch.fit(100_000);
        assert!(sketch.count(hash(7)) >= 9);
        sketch.trim(32);
        assert_eq!(sketch.bytes(), Sketch::new(32).bytes());
        assert!(sketch.count(hash(7)) >= 9);
        sketch.halve();
        assert!(sketch.count(hash(7)) <= 7);
    }
}
