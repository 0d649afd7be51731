//! Whether it pays to ask L1 behind the client's own unanswered commands.
//!
//! The one idea: such a read is served only if nothing else has to be sent before its turn comes. At the end of
//! a pipeline that is usual, in the middle of reads and writes it is rare: then the lookup, the fetch that it leads
//! to and the parking are in vain. So a session counts what became of its parked reads, and where nearly all had
//! to be sent after all, reads behind its commands go straight to the lane; a few are tried now and then.
//!
//! A session that only reads is not concerned: what it fetches behind its own misses fills L1.

/// So many reads behind an unanswered command, after one that is no cacheable read, count as mixed with it.
const NEAR: u8 = 64;
/// A read that was served in its turn has saved as much as so many others that were sent have cost.
const WORTH: u8 = 4;
/// What a session begins with: so many parked reads may be in vain.
const PATIENCE: u8 = 32;
/// The most that good times are remembered.
const CREDIT: u8 = 64;
/// After so many reads that did not ask, ...
const INTERVAL: u16 = 512;
/// ... so many parked reads may be in vain again.
const TRIAL: u8 = 8;

/// What a session has learned of its parked reads.
pub struct Behind {
    /// Reads that still count as mixed with other commands.
    mixed: u8,
    /// How many more may be in vain.
    credit: u8,
    /// Reads that did not ask since the last trial.
    unasked: u16,
    /// The same, not yet counted in the statistics.
    uncounted: u16,
}

impl Default for Behind {
    fn default() -> Self {
        Behind { mixed: 0, credit: PATIENCE, unasked: 0, uncounted: 0 }
    }
}

impl Behind {
    /// A command that is no cacheable read is sent.
    #[inline]
    pub fn interrupted(&mut self) {
        self.mixed = NEAR;
    }

    /// Whether a read that has unanswered commands before it is to ask L1.
    pub fn asks(&mut self) -> bool {
        if self.mixed == 0 {
            return true;
        }
        self.mixed -= 1;
        if self.credit > 0 {
            return true;
        }
        self.unasked += 1;
        self.uncounted = self.uncounted.saturating_add(1);
        if self.unasked >= INTERVAL {
            (self.unasked, self.credit) = (0, TRIAL);
        }
        false
    }

    /// A parked read had to be sent.
    pub fn was_in_vain(&mut self) {
        self.credit = self.credit.saturating_sub(u8::from(self.mixed > 0));
    }

    /// A parked read was served.
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
    use super::{Behind, INTERVAL, NEAR, PATIENCE, TRIAL};

    /// A parked read that has to be sent: true if L1 was asked at all.
    fn in_vain(behind: &mut Behind) -> bool {
        let asked = behind.asks();
        if asked {
            behind.was_in_vain();
        }
        asked
    }

    #[test]
    fn a_session_that_only_reads_always_asks() {
        let mut behind = Behind::default();
        assert!((0..10_000).all(|_| in_vain(&mut behind)));
        behind.interrupted();
        assert!((0..10_000).filter(|_| !in_vain(&mut behind)).count() <= usize::from(NEAR));
    }

    #[test]
    fn what_is_in_vain_is_given_up_and_tried_now_and_then() {
        let mut behind = Behind::default();
        let mut asked = |n: usize| {
            (0..n)
                .filter(|_| {
                    behind.interrupted();
                    in_vain(&mut behind)
                })
                .count()
        };
        assert_eq!(asked(usize::from(PATIENCE)), usize::from(PATIENCE));
        assert_eq!(asked(usize::from(INTERVAL)), 0);
        assert_eq!(asked(usize::from(TRIAL)), usize::from(TRIAL));
        assert_eq!(asked(usize::from(INTERVAL)), 0);
        assert_eq!(behind.take_uncounted(), u64::from(INTERVAL) * 2);
        assert_eq!(behind.take_uncounted(), 0);
    }

    #[test]
    fn one_served_read_of_five_is_enough() {
        let mut behind = Behind::default();
        for _ in 0..10_000 {
            behind.interrupted();
            for _ in 0..4 {
                assert!(in_vain(&mut behind));
            }
            assert!(behind.asks());
            behind.has_paid();
        }
    }
}
