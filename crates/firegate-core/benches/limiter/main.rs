//! What counting a request costs, in process and on one core, and how much memory a million keys take.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[cfg(unix)]
#[path = "../check/processor_time.rs"]
mod processor_time;

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use firegate_core::limiter::{
    Algorithm, Ban, Counters, Counting, KeyPart, KeyType, Limits, MemoryCounters, OnStoreFailure, RateLimit,
    RateLimitDescription, RuleLabel, SharedCounters, Threshold,
};
use firegate_core::time::SystemClock;

#[cfg(not(unix))]
use criterion::measurement::WallTime as Clock;
#[cfg(unix)]
use processor_time::ProcessorTime as Clock;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many keys a process has to keep count of.
const KEYS: u32 = 1_000_000;

/// In how much memory.
const MEBIBYTES_MAX: u64 = 128;

fn main() {
    let mut criterion = Criterion::default().with_measurement(Clock).configure_from_args();
    let before = resident_mebibytes();
    let counters = filled();
    if let (Some(before), Some(after)) = (before, resident_mebibytes()) {
        let taken = after.saturating_sub(before);
        println!("{KEYS} keys take {taken} MiB");
        assert!(taken <= MEBIBYTES_MAX, "{taken} MiB for {KEYS} keys");
    }
    count(&mut criterion, &counters);
    criterion.final_summary();
}

fn count(criterion: &mut Criterion<Clock>, counters: &Arc<MemoryCounters>) {
    let throttle = throttle();
    let sliding = Limits { algorithm: Algorithm::Sliding, ..throttle };
    let ban = Ban::new(Some(threshold(u32::MAX)), Duration::from_secs(600));
    let bans = Limits { ban: Some(ban), ..throttle };
    let mut group = criterion.benchmark_group("limiter");
    for (name, limits) in [("throttle", throttle), ("sliding", sliding), ("ban", bans)] {
        let rule = rule(limits);
        let mut number = 0_u32;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number = (number + 1) % 1000;
                counters.count(&rule, black_box(&[address(&number.to_le_bytes())]))
            });
        });
    }
    let rule = rule(throttle);
    let mut number = 0_u32;
    // One key of the million after another: hardly any lies in a cache of the processor.
    group.bench_function("throttle_among_a_million", |bencher| {
        bencher.iter(|| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            counters.count(&rule, black_box(&[address(&(number % KEYS).to_le_bytes())]))
        });
    });
    let user = KeyPart { key_type: KeyType::AuthUid, value: b"tenant-a\0a2kD8sLq0vXzT7mNpR4wYb1cE3f2" };
    group.bench_function("two_keys", |bencher| {
        bencher.iter(|| counters.count(&rule, black_box(&[user, address(b"192.0.2.1")])));
    });
    let shared = SharedCounters::new(Arc::clone(counters), [0; 32]);
    group.bench_function("question_to_a_store", |bencher| {
        bencher.iter(|| shared.count(&rule, black_box(&[address(b"198.51.100.7")])));
    });
    group.finish();
}

/// Counters with a million keys.
fn filled() -> Arc<MemoryCounters> {
    let counters = Arc::new(MemoryCounters::new(Arc::new(SystemClock), [7; 16]));
    let rule = rule(throttle());
    for number in 0..KEYS {
        match counters.count(&rule, &[address(&number.to_le_bytes())]) {
            Counting::Counted(count) => assert!(!count.is_overflow, "{number} has no place"),
            Counting::AskStore(_) => unreachable!("nobody is asked"),
        }
    }
    counters
}

fn threshold(count: u32) -> Threshold {
    Threshold::new(NonZeroU32::new(count).expect("not zero"), Duration::from_secs(3600))
}

fn throttle() -> Limits {
    Limits { threshold: threshold(u32::MAX), ban: None, algorithm: Algorithm::Fixed }
}

fn rule(limits: Limits) -> Arc<RateLimit> {
    let label = RuleLabel { backend: "api".to_owned(), policy: "edge".to_owned(), priority: 1000 };
    Arc::new(RateLimit::new(&RateLimitDescription {
        label: &label,
        limits,
        rule: b"",
        preview: false,
        on_store_failure: OnStoreFailure::Local,
    }))
}

fn address(value: &[u8]) -> KeyPart<'_> {
    KeyPart { key_type: KeyType::Ip, value }
}

/// How much memory the process has, where the system says so.
fn resident_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes / 1024)
}
