//! Passive outlier ejection: an endpoint that fails several times in a row is left alone for a while, and for longer each
//! time that this did not help.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{
    UPSTREAM_EJECTION_FAILURES, UPSTREAM_EJECTION_MEMORY, UPSTREAM_EJECTION_TIME, UPSTREAM_EJECTION_TIME_MAX,
};

/// What is remembered of an endpoint's failures, by all workers together.
#[derive(Debug)]
pub(super) struct Outliers {
    origin: Instant,
    /// Failures without a success in between.
    failures: AtomicU32,
    /// How often it was ejected lately, by which the next time is longer.
    repeated: AtomicU32,
    /// The end of the last ejection, in milliseconds from `origin`; zero if there was none.
    until: AtomicU64,
    /// How often it was ejected in all.
    ejections: AtomicU64,
}

impl Outliers {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            failures: AtomicU32::new(0),
            repeated: AtomicU32::new(0),
            until: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
        }
    }

    /// An answer came that is no failure of the endpoint.
    pub(super) fn success(&self) {
        // The usual case only reads, so that the workers do not take the memory from each other.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// No connection, no answer, or one that says that there is none. Whether the endpoint is ejected by it.
    pub(super) fn failure(&self, now: Instant) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < UPSTREAM_EJECTION_FAILURES {
            return false;
        }
        let (now, until) = (self.milliseconds(now), self.until.load(Ordering::Relaxed));
        if now < until {
            // What was sent before, or because nobody else is left.
            return false;
        }
        let is_new = until == 0 || now - until > milliseconds(UPSTREAM_EJECTION_MEMORY);
        let repeated = if is_new { 0 } else { self.repeated.load(Ordering::Relaxed) };
        let time =
            UPSTREAM_EJECTION_TIME.saturating_mul(1 << repeated.min(16)).min(UPSTREAM_EJECTION_TIME_MAX);
        let ends = now + milliseconds(time);
        if self.until.compare_exchange(until, ends, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        self.repeated.store(repeated.saturating_add(1), Ordering::Relaxed);
        // After its time one more failure is enough.
        self.failures.store(UPSTREAM_EJECTION_FAILURES - 1, Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether it is left alone at the moment. One that has answered since, because it was asked when the others did no better,
    /// is not: else one that is down would get as many requests as one that came back. A single failure ends that.
    pub(super) fn is_ejected(&self, now: impl FnOnce() -> Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        // Most endpoints never fail, and the clock need not be read for them.
        until != 0 && self.failures.load(Ordering::Relaxed) != 0 && self.milliseconds(now()) < until
    }

    /// How often it was ejected in all.
    pub(super) fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        milliseconds(at.saturating_duration_since(self.origin))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_row_of_failures_ejects_and_each_time_for_longer() {
        let start = Instant::now();
        let outliers = Outliers::new(start);
        let is_ejected = |at: Instant| outliers.is_ejected(|| at);
        for _ in 1..UPSTREAM_EJECTION_FAILURES {
            assert!(!outliers.failure(start));
        }
        outliers.success();
        for _ in 1..UPSTREAM_EJECTION_FAILURES {
            assert!(!outliers.failure(start), "a success in between");
        }
        assert!(outliers.failure(start));
        let end = start + UPSTREAM_EJECTION_TIME;
        assert!(is_ejected(start) && !is_ejected(end));
        assert!(!outliers.failure(start), "it is ejected already");
        outliers.success();
        assert!(!is_ejected(start), "it has answered");
        assert!(!outliers.failure(start) && is_ejected(start), "and does not again");
        for _ in 0..UPSTREAM_EJECTION_FAILURES {
            assert!(!outliers.failure(start), "that is the same ejection");
        }
        // Back again, and the first failure is enough, also a moment later.
        let end = end + Duration::from_secs(1);
        assert!(outliers.failure(end));
        assert!(is_ejected(end + UPSTREAM_EJECTION_TIME));
        let mut end = end + 2 * UPSTREAM_EJECTION_TIME;
        assert!(!is_ejected(end));
        for _ in 0..20 {
            assert!(outliers.failure(end));
            end += UPSTREAM_EJECTION_TIME_MAX;
            assert!(!is_ejected(end), "never for longer than the longest");
        }
        assert_eq!(outliers.ejections(), 22);
        // What lies far enough back is forgotten.
        let later = end + UPSTREAM_EJECTION_MEMORY + Duration::from_secs(1);
        outliers.success();
        for _ in 0..UPSTREAM_EJECTION_FAILURES {
            outliers.failure(later);
        }
        assert!(is_ejected(later) && !is_ejected(later + UPSTREAM_EJECTION_TIME));
    }
}
