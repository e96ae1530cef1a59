//! The counters beside a model that keeps every request and looks through all of them.

use std::time::Duration;

use firegate_core::limiter::{Algorithm, Ban, CountOutcome, Limits, Threshold};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use crate::world::{count, counters, rule};

/// One key's requests: when each came, and what it came to.
#[derive(Debug, Default)]
struct Model {
    requests: Vec<(u64, CountOutcome)>,
    banned_until_ms: u64,
}

impl Model {
    fn count(&mut self, limits: &Limits, now_ms: u64) -> CountOutcome {
        let outcome = self.judge(limits, now_ms);
        self.requests.push((now_ms, outcome));
        outcome
    }

    fn judge(&mut self, limits: &Limits, now_ms: u64) -> CountOutcome {
        if now_ms < self.banned_until_ms {
            return CountOutcome::Banned;
        }
        // Nothing from before a ban counts after it.
        let after_ban = self.requests.iter().rposition(|(_, outcome)| *outcome == CountOutcome::Banned);
        let requests = self.requests.split_off(after_ban.map_or(0, |place| place + 1));
        self.requests.clone_from(&requests);
        let (limit, interval_ms) = (u64::from(limits.threshold.count()), limits.threshold.interval_ms());
        if let Some((ban, threshold)) = limits.ban.and_then(|ban| Some((ban, ban.threshold()?))) {
            let all = requests.iter().map(|(at_ms, _)| *at_ms).chain([now_ms]).collect::<Vec<_>>();
            let begin_ms = intervals(&all, threshold.interval_ms()).last().copied().unwrap_or(now_ms);
            let came = all.iter().filter(|at_ms| **at_ms >= begin_ms).count();
            if came > usize::try_from(threshold.count()).expect("a count") {
                let before = requests.iter().map(|(at_ms, _)| *at_ms).collect::<Vec<_>>();
                let rest_ms = match limits.algorithm {
                    Algorithm::Fixed => intervals(&before, interval_ms),
                    Algorithm::Sliding => chained_intervals(&before, interval_ms),
                };
                let rest_ms = rest_ms.last().copied().unwrap_or(now_ms) + interval_ms;
                self.banned_until_ms = rest_ms.max(begin_ms + threshold.interval_ms()) + ban.duration_ms();
                return CountOutcome::Banned;
            }
        }
        let all = requests.iter().map(|(at_ms, _)| *at_ms).chain([now_ms]).collect::<Vec<_>>();
        let conforming = |from_ms: u64, to_ms: u64| {
            let within = |(at_ms, outcome): &&(u64, CountOutcome)| {
                (from_ms..to_ms).contains(at_ms) && *outcome == CountOutcome::Conform
            };
            u64::try_from(requests.iter().filter(within).count()).expect("a count")
        };
        let begin_ms = match limits.algorithm {
            Algorithm::Fixed => intervals(&all, interval_ms).last().copied().unwrap_or(now_ms),
            Algorithm::Sliding => chained_intervals(&all, interval_ms).last().copied().unwrap_or(now_ms),
        };
        let (present, end_ms) = (conforming(begin_ms, begin_ms + interval_ms), begin_ms + interval_ms);
        let has_room = match limits.algorithm {
            Algorithm::Fixed => present < limit,
            Algorithm::Sliding => {
                let former = conforming(begin_ms.saturating_sub(interval_ms), begin_ms);
                former * (end_ms - now_ms) + (present + 1) * interval_ms <= limit * interval_ms
            }
        };
        match (has_room, limits.ban) {
            (true, _) => CountOutcome::Conform,
            (false, Some(ban)) if ban.threshold().is_none() => {
                self.banned_until_ms = end_ms + ban.duration_ms();
                CountOutcome::Banned
            }
            (false, _) => CountOutcome::Exceed,
        }
    }
}

/// When the intervals begin: with the first request, and with the first one after each end.
fn intervals(all_ms: &[u64], interval_ms: u64) -> Vec<u64> {
    let mut begins: Vec<u64> = Vec::new();
    for at_ms in all_ms {
        if begins.last().is_none_or(|begin_ms| *at_ms >= begin_ms + interval_ms) {
            begins.push(*at_ms);
        }
    }
    begins
}

/// The same, but an interval follows right upon the former one if a request comes in it.
fn chained_intervals(all_ms: &[u64], interval_ms: u64) -> Vec<u64> {
    let mut begins: Vec<u64> = Vec::new();
    for at_ms in all_ms {
        match begins.last() {
            Some(begin_ms) if *at_ms < begin_ms + interval_ms => {}
            Some(begin_ms) if *at_ms < begin_ms + 2 * interval_ms => begins.push(begin_ms + interval_ms),
            _ => begins.push(*at_ms),
        }
    }
    begins
}

fn threshold() -> impl Strategy<Value = Threshold> {
    (1..6_u32, 1..40_u64).prop_map(|(count, interval_ms)| {
        Threshold::new(count.try_into().expect("not zero"), Duration::from_millis(interval_ms))
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let ban = (prop::option::of(threshold()), 0..60_u64)
        .prop_map(|(threshold, duration_ms)| Ban::new(threshold, Duration::from_millis(duration_ms)));
    (threshold(), prop::option::of(ban), any::<bool>()).prop_map(|(threshold, ban, slides)| Limits {
        threshold,
        ban,
        algorithm: if slides { Algorithm::Sliding } else { Algorithm::Fixed },
    })
}

proptest! {
    #[test]
    fn every_request_comes_to_what_the_model_says(
        limits in limits(),
        pauses_ms in prop::collection::vec((0..12_u64, 0..3_usize), 1..200),
    ) {
        let ((clock, counters), rule) = (counters(), rule(limits));
        let mut models = [(); 3].map(|()| Model::default());
        let mut now_ms = 0;
        for (pause_ms, key) in pauses_ms {
            clock.advance_ms(pause_ms);
            now_ms += pause_ms;
            let found = count(&counters, &rule, &key.to_string());
            prop_assert_eq!(found.outcome, models[key].count(&limits, now_ms), "at {}, key {}", now_ms, key);
            // What a client is told is worth waiting for: a request would conform then, and would not before.
            if found.outcome == CountOutcome::Exceed {
                let wait_ms = u64::try_from(found.reset_after.as_millis()).expect("a time");
                let at = |wait_ms| {
                    let requests = models[key].requests.clone();
                    let mut then = Model { requests, banned_until_ms: 0 };
                    then.judge(&Limits { ban: None, ..limits }, now_ms + wait_ms)
                };
                prop_assert!(wait_ms > 0);
                prop_assert_eq!(at(wait_ms), CountOutcome::Conform, "after {} ms", wait_ms);
                prop_assert_eq!(at(wait_ms - 1), CountOutcome::Exceed, "after {} ms", wait_ms - 1);
            }
        }
    }

    #[test]
    fn in_no_interval_more_conform_than_may(
        limits in limits(),
        pauses_ms in prop::collection::vec(0..12_u64, 1..200),
    ) {
        let limits = Limits { algorithm: Algorithm::Fixed, ..limits };
        let ((clock, counters), rule) = (counters(), rule(limits));
        let (mut now_ms, mut conforming) = (0, Vec::new());
        for pause_ms in pauses_ms {
            clock.advance_ms(pause_ms);
            now_ms += pause_ms;
            if count(&counters, &rule, "192.0.2.1").conforms() {
                conforming.push(now_ms);
            }
        }
        // Wherever an interval lies, two of the counted ones reach into it at most.
        let (limit, interval_ms) = (limits.threshold.count() as usize, limits.threshold.interval_ms());
        for begin_ms in &conforming {
            let within = conforming.iter().filter(|at_ms| (*begin_ms..begin_ms + interval_ms).contains(at_ms));
            prop_assert!(within.count() <= 2 * limit);
        }
        for begin_ms in intervals(&conforming, interval_ms) {
            let within = conforming.iter().filter(|at_ms| (begin_ms..begin_ms + interval_ms).contains(at_ms));
            prop_assert!(within.count() <= limit);
        }
    }
}
