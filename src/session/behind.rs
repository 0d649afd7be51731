//! Whether it pays to ask L1 behind the client's own unanswered commands.
//!
//! The one idea: such a read is served only if nothing else has to be sent before its turn comes. At the end of
//! a pipeline that is usual, in the middle of reads and writes it is rare: then the lookup, the fetch that it leads
//! to and the parking are in vain. So a session counts what its questions were worth, and where that is next to
//! nothing, reads behind its commands go straight to the lane; a few are tried now and then.
//!
//! A session that only reads is not concerned: what it fetches behind its own misses fills L1.

/// So many reads behind an unanswered command, after one that is no cacheable read, count as mixed with it.
const NEAR: u8 = 16;
/// What a read that was served in its turn is worth, in questions. It saves a request, some four times what a
/// question costs by itself; but whoever does not ask does not fill L1 either, so that there is less to be hit in
/// front of the next pipelines. Loads of 99 % reads, 16 deep, are hit once in five, those of 90 % once in thirty.
const WORTH: u16 = 16;
/// What a session begins with.
const PATIENCE: u16 = 256;
/// The most that good times are remembered.
const CREDIT: u16 = 512;
/// After so many reads that did not ask, ...
const INTERVAL: u16 = 512;
/// ... so many may again.
const TRIAL: u16 = 32;

/// What a session has learned of its reads behind its own commands.
pub struct Behind {
    /// A checker may want all reads to ask.
    gives_up: bool,
    /// Reads that still count as mixed with other commands.
    mixed: u8,
    /// How many more may ask.
    credit: u16,
    /// Reads that did not ask since the last trial.
    unasked: u16,
    /// The same, not yet counted in the statistics.
    uncounted: u16,
}

impl Behind {
    /// Of a session that has not asked yet; `Rules::gives_up`.
    pub fn new(gives_up: bool) -> Self {
        Behind { gives_up, mixed: 0, credit: PATIENCE, unasked: 0, uncounted: 0 }
    }

    /// A command that is no cacheable read is sent.
    #[inline]
    pub fn interrupted(&mut self) {
        self.mixed = NEAR;
    }

    /// Whether a read that has unanswered commands before it is to ask L1.
    pub fn asks(&mut self) -> bool {
        if self.mixed == 0 || !self.gives_up {
            return true;
        }
        self.mixed -= 1;
        if self.credit > 0 {
            self.credit -= 1;
            return true;
        }
        self.unasked += 1;
        self.uncounted = self.uncounted.saturating_add(1);
        if self.unasked >= INTERVAL {
            (self.unasked, self.credit) = (0, TRIAL);
        }
        false
    }

    /// A read that had to wait was served in its turn.
    pub fn has_paid(&mut self) {
        self.credit = (self.credit + WORTH).min(CREDIT);
    }

    /// How many reads have not asked since this was asked last.
    pub fn take_uncounted(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted).into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Behind, INTERVAL, NEAR, PATIENCE, TRIAL, WORTH};

    /// How many of so many reads ask, each behind a write.
    fn asked(behind: &mut Behind, reads: u16) -> u16 {
        let ask = |_: &u16| {
            behind.interrupted();
            behind.asks()
        };
        (0..reads).filter(ask).count() as u16
    }

    #[test]
    fn a_session_that_only_reads_always_asks() {
        let mut behind = Behind::new(true);
        assert!((0..10_000).all(|_| behind.asks()));
        asked(&mut behind, PATIENCE);
        assert!((0..10_000).filter(|_| !behind.asks()).count() < usize::from(NEAR));
    }

    #[test]
    fn what_is_in_vain_is_given_up_and_tried_now_and_then() {
        let mut behind = Behind::new(true);
        assert_eq!(asked(&mut behind, PATIENCE), PATIENCE);
        assert_eq!(asked(&mut behind, INTERVAL), 0);
        assert_eq!(asked(&mut behind, TRIAL), TRIAL);
        assert_eq!(asked(&mut behind, INTERVAL), 0);
        assert_eq!(behind.take_uncounted(), u64::from(INTERVAL) * 2);
        assert_eq!(behind.take_uncounted(), 0);
    }

    #[test]
    fn few_hits_are_enough() {
        let mut behind = Behind::new(true);
        for _ in 0..10_000 {
            assert_eq!(asked(&mut behind, WORTH), WORTH);
            behind.has_paid();
        }
    }
}
