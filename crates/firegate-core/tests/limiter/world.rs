//! What the tests count with: a clock that stands still, counters, and rules.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use firegate_core::limiter::{
    Algorithm, Ban, Count, Counters, Counting, KeyPart, KeyType, Limits, MemoryCounters, OnStoreFailure,
    RateLimit, RateLimitDescription, RuleLabel, Threshold,
};
use firegate_core::time::{Clock, UnixTime};

/// Both clocks, moved by hand.
#[derive(Debug, Default)]
pub(crate) struct HandClock {
    wall_seconds: AtomicI64,
    steady_ms: AtomicU64,
}

impl HandClock {
    pub(crate) fn advance_ms(&self, milliseconds: u64) {
        self.steady_ms.fetch_add(milliseconds, Ordering::SeqCst);
    }

    pub(crate) fn step_wall(&self, seconds: i64) {
        self.wall_seconds.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(self.wall_seconds.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.steady_ms.load(Ordering::SeqCst))
    }
}

pub(crate) fn counters() -> (Arc<HandClock>, MemoryCounters) {
    let clock = Arc::new(HandClock::default());
    (Arc::clone(&clock), MemoryCounters::new(clock, [7; 16]))
}

pub(crate) fn threshold(count: u32, seconds: u64) -> Threshold {
    Threshold::new(NonZeroU32::new(count).expect("not zero"), Duration::from_secs(seconds))
}

pub(crate) fn throttle(count: u32, seconds: u64) -> Limits {
    Limits { threshold: threshold(count, seconds), ban: None, algorithm: Algorithm::Fixed }
}

pub(crate) fn sliding(count: u32, seconds: u64) -> Limits {
    Limits { algorithm: Algorithm::Sliding, ..throttle(count, seconds) }
}

pub(crate) fn ban(limits: Limits, threshold: Option<Threshold>, seconds: u64) -> Limits {
    Limits { ban: Some(Ban::new(threshold, Duration::from_secs(seconds))), ..limits }
}

pub(crate) fn label() -> RuleLabel {
    RuleLabel { backend: "api".to_owned(), policy: "edge".to_owned(), priority: 1000 }
}

pub(crate) fn rule(limits: Limits) -> Arc<RateLimit> {
    rule_on_failure(limits, OnStoreFailure::Local)
}

pub(crate) fn rule_on_failure(limits: Limits, on_store_failure: OnStoreFailure) -> Arc<RateLimit> {
    let description =
        RateLimitDescription { label: &label(), limits, rule: b"IP", preview: false, on_store_failure };
    Arc::new(RateLimit::new(&description))
}

/// Counts a request by an address.
pub(crate) fn count(counters: &dyn Counters, rule: &Arc<RateLimit>, address: &str) -> Count {
    match counters.count(rule, &[KeyPart { key_type: KeyType::Ip, value: address.as_bytes() }]) {
        Counting::Counted(count) => count,
        Counting::AskStore(question) => panic!("{question:?} is nobody's here"),
    }
}
