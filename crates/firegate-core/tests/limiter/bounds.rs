//! How much is kept.

use firegate_core::limiter::CountOutcome::{Banned, Conform, Exceed};
use firegate_core::limiter::{Event, MemoryCounters, RateLimit};
use std::sync::Arc;

use crate::world::{HandClock, ban, count, counters, rule, throttle};

/// As many new keys as it takes until one has no place, and more: nearly all shards are full then.
fn fill(counters: &MemoryCounters, rule: &Arc<RateLimit>) -> usize {
    (0..1_300_000).filter(|number| count(counters, rule, &format!("flood {number}")).is_overflow).count()
}

#[test]
fn a_million_keys_have_a_place_and_a_flood_of_more_takes_no_memory_and_ends_no_ban() {
    let ((clock, counters), banning) = (counters(), rule(ban(throttle(1, 3600), None, 3600)));
    let (limits, flood) = (throttle(5, 60), rule(throttle(5, 60)));
    assert_eq!(count(&counters, &banning, "192.0.2.1").outcome, Conform);
    assert_eq!(count(&counters, &banning, "192.0.2.1").outcome, Banned);
    for number in 0..1_000_000 {
        let found = count(&counters, &flood, &number.to_string());
        assert!(!found.is_overflow && found.conforms(), "{number}");
    }
    assert!(fill(&counters, &flood) > 100_000);
    let figures = counters.figures();
    assert!(figures.keys <= figures.keys_max, "{figures:?}");

    // Who is known is counted as before, and who was banned still is.
    assert_eq!(count(&counters, &banning, "192.0.2.1").outcome, Banned);
    assert_eq!(count(&counters, &flood, "7").remaining, limits.threshold.count() - 2);
    // Those who are new share one count, and are not banned for each other.
    let mut strangers = (0..).map(|number| format!("stranger {number}"));
    let mut shared = || {
        let found = strangers.by_ref().map(|stranger| count(&counters, &banning, &stranger));
        found.filter(|found| found.is_overflow).take(3).map(|found| found.outcome).collect::<Vec<_>>()
    };
    assert_eq!(shared(), [Conform, Exceed, Exceed]);
    assert!(flood.figures().of(Event::Overflow) > 100_000);

    // When the flood's windows are over, its places are free again.
    clock.advance_ms(60_000);
    assert_eq!(count(&counters, &banning, "192.0.2.1").outcome, Banned);
    let newcomers = (0..100_000).map(|number| count(&counters, &flood, &format!("newcomer {number}")));
    assert_eq!(newcomers.filter(|found| found.is_overflow).count(), 0);
    assert!(counters.figures().keys < 1_200_000);
}

#[test]
fn windows_that_are_over_go_before_the_table_grows() {
    let ((clock, counters), rule) = (counters(), rule(throttle(5, 10)));
    for round in 0..40 {
        for number in 0..20_000 {
            count(&counters, &rule, &format!("{round} {number}"));
        }
        clock.advance_ms(10_000);
    }
    let keys = counters.figures().keys;
    assert!(keys < 100_000, "{keys} of 20,000 at a time are kept");
}

#[test]
fn a_flood_of_new_keys_sweeps_a_full_table_at_most_every_quarter_of_a_second() {
    let clock = Arc::new(HandClock::default());
    let counters = MemoryCounters::new(Arc::clone(&clock) as _, [7; 16]);
    let flood = rule(throttle(5, 1));
    fill(&counters, &flood);
    clock.advance_ms(999);
    // Nothing is over yet, and it was just looked for.
    assert!(count_overflow(&counters, &flood, 0..10_000) > 8_000);
    clock.advance_ms(1);
    assert_eq!(count_overflow(&counters, &flood, 10_000..20_000), 0);
}

fn count_overflow(counters: &MemoryCounters, rule: &Arc<RateLimit>, numbers: std::ops::Range<u32>) -> usize {
    numbers.filter(|number| count(counters, rule, &format!("late {number}")).is_overflow).count()
}
