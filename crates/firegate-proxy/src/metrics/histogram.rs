//! A histogram with fixed buckets: two relaxed additions for an observation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Durations, counted by the smallest bound that they do not exceed.
#[derive(Debug)]
pub(super) struct Histogram<const BOUNDS: usize> {
    /// In seconds, ascending.
    bounds: &'static [f64; BOUNDS],
    nanoseconds: [u64; BOUNDS],
    counts: [AtomicU64; BOUNDS],
    /// Those that exceed every bound.
    beyond: AtomicU64,
    sum_nanoseconds: AtomicU64,
}

/// A histogram of one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HistogramFigures {
    /// In seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
    /// A bound and the number of those that do not exceed it but the bound before; the last bound is infinite.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    pub(super) fn new(bounds: &'static [f64; BOUNDS]) -> Self {
        Self {
            bounds,
            nanoseconds: bounds.map(|seconds| nanoseconds(Duration::from_secs_f64(seconds))),
            counts: [const { AtomicU64::new(0) }; BOUNDS],
            beyond: AtomicU64::new(0),
            sum_nanoseconds: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, duration: Duration) {
        let observed = nanoseconds(duration);
        let bucket = self.nanoseconds.partition_point(|bound| *bound < observed);
        self.counts.get(bucket).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum_nanoseconds.fetch_add(observed, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> HistogramFigures {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().chain([&self.beyond]).map(|count| count.load(Ordering::Relaxed));
        let buckets = bounds.zip(counts).collect::<Vec<_>>();
        HistogramFigures {
            sum: Duration::from_nanos(self.sum_nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
            // Not counted apart, so that it never differs from the sum of the buckets.
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_by_the_smallest_bound_that_it_does_not_exceed() {
        const BOUNDS: [f64; 3] = [0.001, 0.01, 1.0];
        let histogram = Histogram::new(&BOUNDS);
        for microseconds in [0, 1, 1000, 1001, 10_000, 999_999, 1_000_000, 1_000_001, 90_000_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let figures = histogram.figures();
        assert_eq!(figures.buckets, [(0.001, 3), (0.01, 2), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!(figures.count, 9);
        assert!((figures.sum - 93.012_002).abs() < 1e-9, "{}", figures.sum);
    }
}
