//! Whom the shard turned away lately: fifteen bits of each hash, each in the one slot its hash chooses.
//!
//! One idea: who is asked for again so soon after being turned away was judged wrongly, and goes past
//! the window the next time. Slots overwrite each other, which is how old ones are forgotten; two bytes
//! mistake a stranger for one of them once in 32768 times, which costs nothing but a place.

use super::size::size_class;

/// Slots per record: more make it remember those who are too rare to be worth a place.
const KEYS_PER_SLOT: usize = 4;
/// The smallest: 128 bytes.
const MIN_SLOTS: usize = 64;

/// Hashes turned away.
pub(super) struct Ghost {
    slots: Vec<u16>,
}

impl Ghost {
    pub fn new() -> Self {
        Ghost { slots: vec![0; MIN_SLOTS] }
    }

    fn slots_for(keys: usize) -> usize {
        (keys / KEYS_PER_SLOT).next_power_of_two().max(MIN_SLOTS)
    }

    /// Grows when `keys` outgrow it. Slots are chosen by the low bits, so each is now two.
    pub fn fit(&mut self, keys: usize) {
        if Self::slots_for(keys) > self.slots.len() {
            self.slots.reserve_exact(self.slots.len());
            self.slots.extend_from_within(..);
        }
    }

    /// Shrinks while it is larger than `keys` need.
    pub fn trim(&mut self, keys: usize) {
        if Self::slots_for(keys) < self.slots.len() {
            self.slots.truncate(Self::slots_for(keys));
            self.slots.shrink_to_fit();
        }
    }

    fn place(&self, hash: u64) -> (usize, u16) {
        // The shard and the tables use the hash's ends: mix before choosing.
        let mixed = hash.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        // Never zero, which is an empty slot.
        ((mixed >> 32) as usize & (self.slots.len() - 1), (mixed >> 16) as u16 | 1)
    }

    pub fn put(&mut self, hash: u64) {
        let (slot, tag) = self.place(hash);
        self.slots[slot] = tag;
    }

    /// Whether the hash was turned away lately; it is forgotten by this.
    pub fn take(&mut self, hash: u64) -> bool {
        let (slot, tag) = self.place(hash);
        let known = self.slots[slot] == tag;
        if known {
            self.slots[slot] = 0;
        }
        known
    }

    pub fn bytes(&self) -> usize {
        size_class(self.slots.capacity() * size_of::<u16>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(n)
    }

    #[test]
    fn knows_the_latest_once_and_no_strangers() {
        let mut ghost = Ghost::new();
        (0..10_000).for_each(|n| ghost.put(hash(n)));
        assert!(ghost.take(hash(9_999)));
        assert!(!ghost.take(hash(9_999)), "forgotten");
        let strangers = (20_000..30_000).filter(|&n| ghost.take(hash(n))).count();
        assert!(strangers < 10, "{strangers}");
    }

    #[test]
    fn keeps_what_it_knows_when_it_grows() {
        let mut ghost = Ghost::new();
        ghost.put(hash(1));
        for keys in [1000, 1000, 1000, 1000] {
            ghost.fit(keys);
        }
        assert!(ghost.bytes() > Ghost::new().bytes());
        assert!(ghost.take(hash(1)));
        ghost.trim(0);
        assert_eq!(ghost.bytes(), Ghost::new().bytes());
    }
}
