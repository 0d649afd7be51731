//! Which keys are written too often to be worth a fetch at present.
//!
//! The one idea: debt. A fetch costs as much as some hits save; what it has not earned when its entry ends
//! is added to the key's debt, what it has earned beyond its cost is taken off. The deeper a key is in debt,
//! the fewer of its misses are fetched: each second, fourth … 64th. So a key that is written as often as it
//! is read costs little, and one that is no longer written is back after 64 misses at most, for good.
//!
//! Where most fetches are lost lately, strangers are taken to be like the others: they begin in debt. But each
//! of them is also a sign that other keys are read now: after some dozens the next are fetched at once again, and
//! what becomes of those tells how it goes on.
//!
//! A debt is told by a key's hash and may be mistaken for another key's, or be forgotten: that costs a fetch
//! or some hits, never more.

use super::size::size_class;

/// What a fetch costs, in hits: it is three commands instead of one, an entry, and the announcement of the
/// key's next change.
const COST: u32 = 3;
/// Debt below this is of no consequence: some writes in a row prove nothing.
const PATIENCE: u32 = 16;
/// Each so much of debt beyond that halves the fetches.
const STEP: u32 = 4;
/// They are halved so often at most: then each 64th miss is fetched.
const MAX_LEVEL: u32 = 6;
const MAX_DEBT: u32 = PATIENCE + STEP * MAX_LEVEL - 1;
/// Where the shard's fetches have lost this much altogether, ...
const BAD: u32 = 32;
/// ... what a key loses or earns counts this many times, ...
const HASTE: i32 = 4;
/// ... and this is a stranger's debt: each eighth miss is fetched.
const STRANGERS: u32 = PATIENCE + STEP * 2;
/// The most that one fetch's earnings count against the others' losses: more says little of them.
const MAX_NEWS: i32 = 9;
/// The most that is remembered of losses, so that better times are noticed soon.
const WORST: u32 = 2 * BAD;
/// One slot for so many bytes of the shard: 0.4 % of it.
const BYTES_PER_SLOT: usize = 1024;
/// A shard of many large values has no more keys to remember than others.
const MAX_SLOTS: usize = 1 << 14;

/// The debts of one shard's keys.
#[derive(Default)]
pub(super) struct Churn {
    /// As many as a power of two; none before the first debt.
    slots: Vec<Slot>,
    /// What the shard's fetches have lost lately.
    losses: u32,
    /// There is a debt to remember.
    wanted: bool,
}

/// One key's debt. The default one is free.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// Which of the keys that share the slot.
    tag: u16,
    debt: u8,
    /// Misses since the last fetch.
    misses: u8,
}

impl Churn {
    /// Counts a miss of a key that is asked for often enough: true if it is to be fetched.
    pub fn pays(&mut self, hash: u64) -> bool {
        let bad = self.losses >= BAD;
        let (place, tag) = self.place(hash);
        let Some(slot) = self.slots.get_mut(place) else { return true };
        if slot.tag != tag {
            // Whoever has the slot counts misses in it: two that took it from each other were never fetched.
            if !bad || slot.debt > 0 {
                return true;
            }
            *slot = Slot { tag, debt: STRANGERS as u8, misses: 0 };
            self.losses -= 1;
        }
        if u32::from(slot.debt) < PATIENCE {
            return true;
        }
        slot.misses += 1;
        let pays = slot.misses >= slot.interval();
        if pays {
            slot.misses = 0;
        }
        pays
    }

    /// So many fetches of a key have been ended by a change, and have saved so many reads.
    pub fn ended(&mut self, hash: u64, fetches: u32, hits: u32) {
        let lost = i64::from(fetches) * i64::from(COST) - i64::from(hits);
        let lost = lost.clamp(-i64::from(MAX_DEBT), i64::from(MAX_DEBT)) as i32;
        // That a key which is known to be bad has lost again is no news.
        if self.slot(hash).is_none_or(|slot| u32::from(slot.debt) <= STRANGERS) {
            let news = lost.clamp(-MAX_NEWS, COST as i32);
            self.losses = self.losses.saturating_add_signed(news).min(WORST);
        }
        let lost = if self.losses >= BAD { lost * HASTE } else { lost };
        if lost > 0 {
            self.owe(hash, lost.unsigned_abs());
        } else if let Some(slot) = self.slot(hash) {
            slot.debt = u32::from(slot.debt).saturating_sub(lost.unsigned_abs()) as u8;
        }
    }

    /// The same for a fetch whose entry has ended without a change: that is not held against the key.
    pub fn earned(&mut self, hash: u64, hits: u32) {
        if hits > COST {
            self.ended(hash, 1, hits);
        }
    }

    fn owe(&mut self, hash: u64, lost: u32) {
        self.wanted = true;
        let (place, tag) = self.place(hash);
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.tag != tag {
            // Who owes more keeps the slot, but not for ever.
            if u32::from(slot.debt) > lost {
                slot.debt -= 1;
                return;
            }
            *slot = Slot { tag, ..Slot::default() };
        }
        slot.debt = (u32::from(slot.debt) + lost).min(MAX_DEBT) as u8;
    }

    fn slot(&mut self, hash: u64) -> Option<&mut Slot> {
        let (place, tag) = self.place(hash);
        self.slots.get_mut(place).filter(|slot| slot.tag == tag)
    }

    fn place(&self, hash: u64) -> (usize, u16) {
        // The shard and its tables use the hash's ends: mix before choosing.
        let mixed = hash.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        ((mixed >> 32) as usize & self.slots.len().wrapping_sub(1), (mixed >> 16) as u16)
    }

    /// Makes the table fit a shard of so many bytes; another size forgets all debts.
    pub fn fit(&mut self, budget: usize) {
        let slots =
            if self.wanted { (budget / BYTES_PER_SLOT).min(MAX_SLOTS).next_power_of_two() } else { 0 };
        if slots != self.slots.len() {
            self.slots = vec![Slot::default(); slots];
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        size_class(self.slots.len() * size_of::<Slot>())
    }
}

impl Slot {
    /// Each so many misses there is a fetch.
    fn interval(self) -> u8 {
        1 << ((u32::from(self.debt) - PATIENCE) / STEP + 1)
    }
}

#[cfg(test)]
#[path = "churn_tests.rs"]
mod tests;
