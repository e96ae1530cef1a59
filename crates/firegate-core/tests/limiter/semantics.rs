//! What a request comes to, by Cloud Armor's rate limiting overview: each line of a table is a request.

use std::sync::Arc;
use std::time::Duration;

use firegate_core::limiter::CountOutcome::{Banned, Conform, Exceed};
use firegate_core::limiter::{
    CountOutcome, Counters, Counting, KeyPart, KeyType, Limits, NoCounters, RateLimit,
};
use firegate_core::limiter::{OnStoreFailure, RateLimitDescription, RuleLabel};
use firegate_core::limits::LIMITER_LABELS_MAX;

use crate::world::{ban, count, counters, label, rule, rule_on_failure, sliding, threshold, throttle};

/// So many milliseconds after the request before it one comes, and comes to this: the outcome, how many more would conform,
/// and in how many milliseconds the count begins anew or a request would conform.
type Line = (u64, CountOutcome, u32, u64);

fn check(limits: Limits, lines: &[Line]) {
    let ((clock, counters), rule) = (counters(), rule(limits));
    for (place, (after_ms, outcome, remaining, reset_ms)) in lines.iter().enumerate() {
        clock.advance_ms(*after_ms);
        let found = count(&counters, &rule, "192.0.2.1");
        let expected = (*outcome, *remaining, Duration::from_millis(*reset_ms));
        assert_eq!(
            (found.outcome, found.remaining, found.reset_after),
            expected,
            "line {place} of {limits:?}"
        );
        assert!(!found.is_overflow);
    }
}

#[test]
fn an_interval_begins_with_the_first_request_and_with_the_first_after_its_end() {
    check(
        throttle(2, 10),
        &[
            (500, Conform, 1, 10_000),
            (9_999, Conform, 0, 1),
            (0, Exceed, 0, 1),
            (1, Conform, 1, 10_000),
            (25_000, Conform, 1, 10_000),
            (1_000, Conform, 0, 9_000),
            (1_000, Exceed, 0, 8_000),
            (7_999, Exceed, 0, 1),
            (1, Conform, 1, 10_000),
        ],
    );
}

#[test]
fn who_exceeds_is_banned_to_the_end_of_the_interval_and_the_duration_more() {
    check(
        ban(throttle(1, 10), None, 60),
        &[
            (0, Conform, 0, 10_000),
            (4_000, Banned, 0, 66_000),
            // Coming again does not make it longer.
            (36_000, Banned, 0, 30_000),
            (29_999, Banned, 0, 1),
            (1, Conform, 0, 10_000),
        ],
    );
}

#[test]
fn with_a_ban_threshold_who_exceeds_is_throttled_until_all_that_came_are_too_many() {
    check(
        ban(throttle(1, 10), Some(threshold(3, 30)), 60),
        &[
            (0, Conform, 0, 10_000),
            (1_000, Exceed, 0, 9_000),
            (9_000, Conform, 0, 10_000),
            // The fourth within 30 seconds, one that does not conform included: to the end of those, and 60 more.
            (10_000, Banned, 0, 70_000),
            (69_999, Banned, 0, 1),
            (1, Conform, 0, 10_000),
        ],
    );
    // A slow one is never banned.
    let slow = [(0, Conform, 0, 10_000), (10_000, Conform, 0, 10_000), (10_000, Conform, 0, 10_000)];
    check(ban(throttle(1, 10), Some(threshold(3, 30)), 60), &[slow, slow].concat()[..3]);
    // The ban threshold may be below the other one.
    check(
        ban(throttle(9, 10), Some(threshold(1, 10)), 60),
        &[(0, Conform, 8, 10_000), (0, Banned, 0, 70_000)],
    );
}

#[test]
fn a_sliding_count_weighs_the_former_interval_by_what_is_left_of_this_one() {
    check(
        sliding(4, 10),
        &[
            (0, Conform, 3, 10_000),
            (0, Conform, 2, 10_000),
            (0, Conform, 1, 10_000),
            (0, Conform, 0, 10_000),
            // In the next interval one more conforms once a quarter of it is over.
            (0, Exceed, 0, 12_500),
            (12_499, Exceed, 0, 1),
            (1, Conform, 0, 7_500),
            (0, Exceed, 0, 2_500),
            (2_500, Conform, 0, 5_000),
            // After an interval without any nothing is left of it.
            (15_000, Conform, 3, 10_000),
        ],
    );
    check(sliding(1, 10), &[(0, Conform, 0, 10_000), (0, Exceed, 0, 20_000), (20_000, Conform, 0, 10_000)]);
}

#[test]
fn keys_and_rules_are_counted_apart() {
    let (_, counters) = counters();
    let rules = [rule(throttle(1, 10)), rule(throttle(1, 20))];
    for rule in &rules {
        for address in ["192.0.2.1", "192.0.2.2"] {
            assert_eq!(count(&counters, rule, address).outcome, Conform);
            assert_eq!(count(&counters, rule, address).outcome, Exceed);
        }
    }
}

#[test]
fn a_step_of_the_wall_clock_neither_ends_a_ban_nor_makes_it_longer() {
    for step in [-3600, -1, 3600, 1_000_000] {
        let ((clock, counters), rule) = (counters(), rule(ban(throttle(1, 10), None, 60)));
        let check = |after_ms, expected| {
            clock.advance_ms(after_ms);
            assert_eq!(count(&counters, &rule, "192.0.2.1").outcome, expected, "{step} s, {after_ms} ms");
        };
        check(0, Conform);
        check(0, Banned);
        clock.step_wall(step);
        check(0, Banned);
        check(69_999, Banned);
        check(1, Conform);
    }
}

#[test]
fn what_was_counted_survives_a_reload_unless_the_rule_has_changed() {
    let describe = |limits, rule: &[u8], preview, on_store_failure, label: &RuleLabel| {
        Arc::new(RateLimit::new(&RateLimitDescription { label, limits, rule, preview, on_store_failure }))
    };
    let limits = ban(throttle(1, 10), None, 60);
    let (local, open) = (OnStoreFailure::Local, OnStoreFailure::Open);
    let elsewhere = RuleLabel { backend: "web".to_owned(), ..label() };
    let check = |next: &Arc<RateLimit>, expected| {
        let (_, counters) = counters();
        let first = describe(limits, b"IP", false, local, &label());
        counters.go_by(&[Arc::clone(&first)]);
        assert_eq!(count(&counters, &first, "192.0.2.1").outcome, Conform);
        counters.go_by(&[Arc::clone(next)]);
        let found = count(&counters, next, "192.0.2.1").outcome;
        assert_eq!(found, expected, "{next:?}");
    };
    check(&describe(limits, b"IP", false, local, &label()), Banned);
    check(&describe(limits, b"IP", false, open, &label()), Banned);
    check(&describe(limits, b"USER_IP", false, local, &label()), Conform);
    check(&describe(limits, b"IP", true, local, &label()), Conform);
    check(&describe(limits, b"IP", false, local, &elsewhere), Conform);
    check(&describe(throttle(1, 10), b"IP", false, local, &label()), Conform);
    check(&describe(ban(throttle(2, 10), None, 60), b"IP", false, local, &label()), Conform);
}

/// Whoever reloads often has ever new rules, and one day they would have no names any more.
#[test]
fn rules_that_are_gone_make_room_in_the_metrics() {
    let (_, counters) = counters();
    let mut in_force: Vec<Arc<RateLimit>> = Vec::new();
    let (limits, on_store_failure) = (throttle(1, 10), OnStoreFailure::Local);
    for release in 0..=LIMITER_LABELS_MAX {
        let label = RuleLabel { policy: format!("release-{release}"), ..label() };
        let description =
            RateLimitDescription { label: &label, limits, rule: b"IP", preview: false, on_store_failure };
        let next = vec![Arc::new(RateLimit::new(&description))];
        counters.go_by(&next);
        in_force = next;
    }
    let rules = counters.figures().rules;
    let policies = rules.iter().map(|rule| rule.label.policy.as_str()).collect::<Vec<_>>();
    assert!(
        policies.contains(&in_force[0].label().policy.as_str()) && !policies.contains(&""),
        "{policies:?}"
    );
}

#[test]
fn a_client_is_told_whole_seconds_that_are_enough() {
    for (reset_ms, expected) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (69_001, 70)] {
        let reset_after = Duration::from_millis(reset_ms);
        let count = firegate_core::limiter::Count { reset_after, ..untouched() };
        assert_eq!(count.reset_after_seconds(), expected, "{reset_ms}");
    }
}

fn untouched() -> firegate_core::limiter::Count {
    let rule = rule_on_failure(throttle(1, 10), OnStoreFailure::Local);
    let key = [KeyPart { key_type: KeyType::All, value: b"" }];
    match NoCounters.count(&rule, &key) {
        Counting::Counted(count) => count,
        Counting::AskStore(_) => unreachable!("it asks nobody"),
    }
}

#[test]
fn whoever_explains_uses_up_no_limit() {
    assert!((0..3).all(|_| untouched().conforms() && untouched().remaining == 1));
}
