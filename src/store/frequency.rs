//! What a shard knows of keys beyond those it holds: how often they were asked for, who was turned away lately,
//! and whose fetches do not pay.

use super::churn::Churn;
use super::ghost::Ghost;
use super::returns::Returns;
use super::sketch::Sketch;

/// What admission by frequency goes by.
pub(super) struct Frequency {
    pub sketch: Sketch,
    pub ghost: Ghost,
    pub churn: Churn,
    pub admit_after: u8,
    returns: Returns,
}

impl Frequency {
    pub fn new(admit_after: u8) -> Self {
        let (sketch, ghost) = (Sketch::new(0), Ghost::new());
        Frequency { sketch, ghost, churn: Churn::default(), admit_after, returns: Returns::default() }
    }

    pub fn wants(&mut self, hash: u64) -> bool {
        self.add(hash, 1) >= self.admit_after || self.returns.are_usual()
    }

    /// Counts accesses and returns how many there were lately.
    pub fn add(&mut self, hash: u64, accesses: u8) -> u8 {
        let all = self.sketch.add(hash, accesses);
        self.returns.count(all.saturating_sub(accesses), all);
        all
    }

    pub fn fit(&mut self, keys: usize, budget: usize) {
        self.sketch.fit(keys);
        self.ghost.fit(keys);
        self.churn.fit(budget);
    }

    pub fn trim(&mut self, keys: usize, budget: usize) {
        self.sketch.trim(keys);
        self.ghost.trim(keys);
        self.churn.fit(budget);
    }

    pub fn bytes(&self) -> usize {
        self.sketch.bytes() + self.ghost.bytes() + self.churn.bytes()
    }
}
