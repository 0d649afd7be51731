//! Durations of one kind of thing: how many, their sum, and an HDR histogram of them.
//!
//! Values are nanoseconds at two significant digits (1 % apart at worst), because a pipelined hit takes
//! well under a microsecond. A histogram starts at 2 KB and grows with the largest value that it has
//! seen (1 ms: 14 KB, 1 s: 24 KB, the cap: 36 KB), so only what was used, and was slow, costs memory.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer durations count as this one: it bounds the size of a histogram, and whoever waited for an
/// hour is not interested in the minutes.
const LONGEST_NANOS: u64 = 3_600_000_000_000;

const SIGNIFICANT_DIGITS: u8 = 2;

/// Count, sum and distribution of durations. Two of them can be merged without loss.
#[derive(Clone, Default)]
pub struct Latency {
    count: u64,
    nanos: u64,
    /// Allocated at the first record, since most commands are never called.
    histogram: Option<Box<Histogram<u64>>>,
}

impl Latency {
    /// Counts `n` durations of `nanos` each.
    pub fn record(&mut self, nanos: u64, n: u64) {
        self.count += n;
        self.nanos = self.nanos.saturating_add(nanos.saturating_mul(n));
        let histogram = self.histogram.get_or_insert_with(empty);
        // Cannot fail: the histogram grows by itself up to the cap. A lost sample would be harmless.
        let _ = histogram.record_n(nanos.min(LONGEST_NANOS), n);
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Latency) {
        self.count += other.count;
        self.nanos = self.nanos.saturating_add(other.nanos);
        if let Some(theirs) = &other.histogram {
            // Cannot fail either, for the same reason.
            let _ = self.histogram.get_or_insert_with(empty).add(&**theirs);
        }
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

    /// Their exact average in microseconds (not of the histogram's rounded values); 0 for none.
    pub fn average_usec(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.nanos as f64 / self.count as f64 / 1000.0 }
    }

    /// The duration in microseconds that `percent` of them do not exceed; 0 for none.
    pub fn percentile_usec(&self, percent: f64) -> f64 {
        self.histogram.as_ref().map_or(0.0, |h| h.value_at_percentile(percent) as f64 / 1000.0)
    }

    /// The longest one in microseconds, as exact as the histogram; 0 for none.
    pub fn max_usec(&self) -> f64 {
        self.histogram.as_ref().map_or(0.0, |h| h.max() as f64 / 1000.0)
    }

    /// Bytes held by the histogram.
    pub fn bytes(&self) -> usize {
        self.histogram.as_ref().map_or(0, |h| size_of::<Histogram<u64>>() + h.distinct_values() * 8)
    }
}

fn empty() -> Box<Histogram<u64>> {
    Box::new(Histogram::new(SIGNIFICANT_DIGITS).expect("two significant digits are within 0..=5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent_and_merge_without_loss() {
        let (mut all, mut left, mut right) = (Latency::default(), Latency::default(), Latency::default());
        for i in 1..=100_000u64 {
            all.record(i * 10, 1);
            if i % 3 == 0 { left.record(i * 10, 1) } else { right.record(i * 10, 1) }
        }
        left.merge(&right);
        assert_eq!(left.count(), 100_000);
        assert_eq!(left.total(), all.total());
        for p in [0.0, 50.0, 99.0, 99.9, 99.99, 100.0] {
            assert_eq!(left.percentile_usec(p), all.percentile_usec(p));
        }
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.01, "{got} for {want}");
        near(all.percentile_usec(50.0), 500.0);
        near(all.percentile_usec(99.99), 999.9);
        near(all.max_usec(), 1000.0);
        near(all.average_usec(), 500.005);
    }

    #[test]
    fn hits_below_a_microsecond_are_told_apart() {
        let mut latency = Latency::default();
        latency.record(130, 64);
        assert_eq!(latency.percentile_usec(50.0), 0.13);
        assert_eq!(latency.max_usec(), 0.13);
    }

    #[test]
    fn nothing_recorded_is_all_zero_and_holds_no_memory() {
        let latency = Latency::default();
        assert_eq!((latency.count(), latency.bytes()), (0, 0));
        assert_eq!(
            (latency.average_usec(), latency.percentile_usec(99.0), latency.max_usec()),
            (0.0, 0.0, 0.0)
        );
    }

    #[test]
    fn the_longest_duration_bounds_the_histogram() {
        let mut latency = Latency::default();
        latency.record(u64::MAX, 3);
        latency.record(u64::MAX, 1);
        assert!(latency.bytes() < 40_000, "{}", latency.bytes());
        assert!(latency.max_usec() >= 3.6e9 && latency.max_usec() < 3.7e9);
    }
}
