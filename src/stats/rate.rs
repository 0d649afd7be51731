//! Rates per second as Redis computes them: the mean of the last 16 samples, 100 ms apart.

use std::time::Instant;

/// Samples averaged: 1.6 s at the usual interval, the same as Redis's.
const SAMPLES: usize = 16;

/// The rate of one ever-growing number.
#[derive(Default)]
pub(super) struct Rate {
    last: Option<(Instant, u64)>,
    samples: [f64; SAMPLES],
    next: usize,
}

impl Rate {
    /// Takes a sample; two at the same instant are one.
    pub fn sample(&mut self, now: Instant, value: u64) {
        let Some((before, old)) = self.last else {
            self.last = Some((now, value));
            return;
        };
        let seconds = now.saturating_duration_since(before).as_secs_f64();
        if seconds > 0.0 {
            // A reset in between makes the number smaller; that sample is 0, not a wrap.
            self.samples[self.next] = value.saturating_sub(old) as f64 / seconds;
            self.next = (self.next + 1) % SAMPLES;
            self.last = Some((now, value));
        }
    }

    /// The mean of the last samples, per second.
    pub fn per_second(&self) -> f64 {
        self.samples.iter().sum::<f64>() / SAMPLES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_steady_rate_is_found_and_fades() {
        let (start, mut rate) = (Instant::now(), Rate::default());
        for i in 0..=16u32 {
            rate.sample(start + i * Duration::from_millis(100), u64::from(i) * 50);
        }
        assert!((rate.per_second() - 500.0).abs() < 0.01, "{}", rate.per_second());
        for i in 17..=32u32 {
            rate.sample(start + i * Duration::from_millis(100), 800);
        }
        assert_eq!(rate.per_second(), 0.0);
    }

    #[test]
    fn a_number_that_was_reset_is_not_a_burst() {
        let (start, mut rate) = (Instant::now(), Rate::default());
        rate.sample(start, 1_000_000);
        rate.sample(start + Duration::from_millis(100), 5);
        assert_eq!(rate.per_second(), 0.0);
    }
}
