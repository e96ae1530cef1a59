//! How much is under way to a backend: the circuit breaker, and the budget of repeated requests. Both are the whole
//! process', so that what they allow does not depend on which worker a connection came to.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::limits::{UPSTREAM_REPEATED_MIN, UPSTREAM_REPEATED_PERCENT_MAX};

/// A number of requests that are under way.
#[derive(Debug, Default)]
pub(super) struct UnderWay(AtomicUsize);

impl UnderWay {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Enters if fewer than `max` are under way.
    pub(super) fn enter_below(&self, max: usize) -> bool {
        if self.0.fetch_add(1, Ordering::Relaxed) < max {
            return true;
        }
        self.leave();
        false
    }
}

/// What is under way to one backend.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// From the choice of the endpoint to the end of the answer.
    pub(super) requests: UnderWay,
    /// Those of them that are sent once more.
    repeated: UnderWay,
    /// How many were sent once more in all.
    repeats: AtomicU64,
    /// How many might have been, and were not for want of budget.
    unaffordable: AtomicU64,
    /// How many were refused because too many were under way.
    refused: AtomicU64,
}

impl Load {
    /// Takes a place among the requests that are sent once more: a share of those under way, so that a service that is
    /// down is not also asked more often than when it was up. [`Self::end_repeat`] gives it back.
    pub(super) fn begin_repeat(&self) -> bool {
        let max = (self.requests.count() * UPSTREAM_REPEATED_PERCENT_MAX / 100).max(UPSTREAM_REPEATED_MIN);
        let may = self.repeated.enter_below(max);
        let counter = if may { &self.repeats } else { &self.unaffordable };
        counter.fetch_add(1, Ordering::Relaxed);
        may
    }

    pub(super) fn end_repeat(&self) {
        self.repeated.leave();
    }

    /// Counts a request that is refused because too many are under way.
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    pub(super) fn unaffordable(&self) -> u64 {
        self.unaffordable.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_under_way() {
        let under_way = UnderWay::default();
        assert!(under_way.enter_below(2) && under_way.enter_below(2));
        assert!(!under_way.enter_below(2));
        assert_eq!(under_way.count(), 2, "who is refused takes no place");
        under_way.leave();
        assert!(under_way.enter_below(2));
    }

    #[test]
    fn the_budget_is_a_share_of_the_requests_and_never_nothing() {
        let load = Load::default();
        let affordable = |load: &Load| {
            let taken = (0..).take_while(|_| load.begin_repeat()).count();
            (0..taken).for_each(|_| load.end_repeat());
            taken
        };
        assert_eq!(affordable(&load), UPSTREAM_REPEATED_MIN);
        (0..1000).for_each(|_| load.requests.enter());
        assert_eq!(affordable(&load), 1000 * UPSTREAM_REPEATED_PERCENT_MAX / 100);
        assert_eq!(
            load.repeats(),
            (UPSTREAM_REPEATED_MIN + 1000 * UPSTREAM_REPEATED_PERCENT_MAX / 100) as u64
        );
        assert_eq!(load.unaffordable(), 2);
    }
}
