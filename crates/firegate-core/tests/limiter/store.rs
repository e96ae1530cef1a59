//! Counting in a shared store, as far as it is no I/O: what is asked, what is foreseen, and what holds while there is none.

use std::sync::Arc;

use firegate_core::limiter::CountOutcome::{Banned, Conform, Exceed};
use firegate_core::limiter::{
    Count, CountOutcome, Counters, Counting, Event, KeyPart, KeyType, MemoryCounters, OnStoreFailure,
    RateLimit, RateLimitDescription, Settled, SharedCount, SharedCounters, StoreAnswer, StoreQuestion,
    Window,
};

use crate::world::{HandClock, ban, label, rule, rule_on_failure, threshold, throttle};

/// A process that shares a store with others.
struct Replica {
    counters: SharedCounters,
}

impl Replica {
    fn new(clock: &Arc<HandClock>, secret: u8) -> Self {
        let memory = MemoryCounters::new(Arc::clone(clock) as _, [secret; 16]);
        Self { counters: SharedCounters::new(Arc::new(memory), [9; 32]) }
    }

    fn ask(&self, rule: &Arc<RateLimit>, address: &str) -> Counting {
        self.counters.count(rule, &[KeyPart { key_type: KeyType::Ip, value: address.as_bytes() }])
    }

    fn question(&self, rule: &Arc<RateLimit>) -> StoreQuestion {
        match self.ask(rule, "192.0.2.1") {
            Counting::AskStore(question) => *question,
            Counting::Counted(count) => panic!("{count:?} was not asked about"),
        }
    }

    fn settle(&self, question: &StoreQuestion, answer: StoreAnswer<'_>) -> Count {
        match self.counters.settle(question, answer) {
            Settled::Counted(count) => count,
            Settled::Unavailable => panic!("{question:?} is counted"),
        }
    }

    /// What a request comes to without a store.
    fn alone(&self, rule: &Arc<RateLimit>) -> CountOutcome {
        match self.ask(rule, "192.0.2.1") {
            Counting::AskStore(question) => self.settle(&question, StoreAnswer::Away).outcome,
            Counting::Counted(count) => count.outcome,
        }
    }

    /// What it comes to with one.
    fn together(&self, rule: &Arc<RateLimit>, answer: &SharedCount) -> CountOutcome {
        self.settle(&self.question(rule), StoreAnswer::Counted(answer)).outcome
    }
}

fn answer(outcome: CountOutcome, count: u32, left_ms: u64) -> SharedCount {
    SharedCount { outcome, left_ms, count, previous: 0, total_left_ms: 0, total: 0 }
}

#[test]
fn every_process_asks_for_the_same_key_and_none_keeps_it_readable() {
    let (clock, rule) = (Arc::default(), rule(throttle(1, 10)));
    let [one, other] = [1, 2].map(|secret| Replica::new(&clock, secret).question(&rule));
    assert_eq!(one, other);
    assert!(!format!("{one:?}").contains("192.0.2.1"));
}

#[test]
fn what_the_store_says_holds_and_is_not_asked_twice() {
    let (clock, rule) = (Arc::<HandClock>::default(), rule(throttle(2, 10)));
    let replica = Replica::new(&clock, 1);
    assert_eq!(replica.together(&rule, &answer(Conform, 1, 9_000)), Conform);
    // Another process let the second one pass.
    assert_eq!(replica.together(&rule, &answer(Exceed, 2, 8_000)), Exceed);
    let foreseen = replica.ask(&rule, "192.0.2.1");
    assert!(matches!(foreseen, Counting::Counted(Count { outcome: Exceed, .. })), "{foreseen:?}");
    assert!(matches!(replica.ask(&rule, "192.0.2.2"), Counting::AskStore(_)));
    clock.advance_ms(7_999);
    assert!(matches!(replica.ask(&rule, "192.0.2.1"), Counting::Counted(_)));
    clock.advance_ms(1);
    assert_eq!(replica.together(&rule, &answer(Conform, 1, 10_000)), Conform);
}

#[test]
fn a_ban_is_not_asked_about_and_what_may_still_ban_is() {
    let clock = Arc::<HandClock>::default();
    let limits = ban(throttle(1, 10), Some(threshold(9, 60)), 60);
    let (replica, rule) = (Replica::new(&clock, 1), rule(limits));
    assert_eq!(replica.together(&rule, &answer(Exceed, 1, 8_000)), Exceed);
    assert_eq!(replica.together(&rule, &answer(Banned, 0, 90_000)), Banned);
    clock.advance_ms(89_999);
    assert_eq!(replica.alone(&rule), Banned);
    clock.advance_ms(1);
    replica.question(&rule);
}

#[test]
fn an_answer_that_was_on_its_way_does_not_end_a_ban() {
    let clock = Arc::<HandClock>::default();
    let (replica, rule) = (Replica::new(&clock, 1), rule(ban(throttle(2, 10), None, 60)));
    let late = replica.question(&rule);
    assert_eq!(replica.together(&rule, &answer(Banned, 0, 70_000)), Banned);
    assert_eq!(replica.settle(&late, StoreAnswer::Counted(&answer(Conform, 2, 9_000))).outcome, Conform);
    assert_eq!(replica.alone(&rule), Banned);
}

#[test]
fn without_a_store_each_process_goes_on_from_what_was_counted_together() {
    let (clock, rule) = (Arc::<HandClock>::default(), rule(throttle(3, 10)));
    let replicas = [1, 2].map(|secret| Replica::new(&clock, secret));
    assert_eq!(replicas[0].together(&rule, &answer(Conform, 1, 10_000)), Conform);
    assert_eq!(replicas[1].together(&rule, &answer(Conform, 2, 10_000)), Conform);
    let alone = |replica: &Replica| [0; 4].map(|_| replica.alone(&rule));
    assert_eq!(alone(&replicas[0]), [Conform, Conform, Exceed, Exceed]);
    assert_eq!(alone(&replicas[1]), [Conform, Exceed, Exceed, Exceed]);
    // What exceeds once is known to exceed, and no question of the store's.
    assert_eq!(rule.figures().of(Event::StoreFailureLocal), 3);
}

/// The store, as the script counts in it.
fn store(window: &mut Option<Window>, rule: &RateLimit, unreported: u32, now_ms: u64) -> SharedCount {
    let limits = rule.limits();
    let window = window.get_or_insert_with(|| Window::new(limits, now_ms));
    window.shared(limits, unreported, now_ms)
}

#[test]
fn what_passed_without_the_store_counts_once_it_is_back() {
    let (clock, rule) = (Arc::<HandClock>::default(), rule(throttle(4, 10)));
    let replicas = [1, 2].map(|secret| Replica::new(&clock, secret));
    let mut window = None;
    let mut together = |replica: &Replica| {
        let question = replica.question(&rule);
        let answer = store(&mut window, &rule, question.unreported(), 0);
        (question.unreported(), replica.settle(&question, StoreAnswer::Counted(&answer)).outcome)
    };
    assert_eq!(together(&replicas[0]), (0, Conform));
    assert_eq!([0; 2].map(|_| replicas[0].alone(&rule)), [Conform, Conform]);
    // The store learns of the two, once.
    assert_eq!(together(&replicas[0]), (2, Conform));
    assert_eq!(together(&replicas[1]), (0, Exceed));
    clock.advance_ms(10_000);
    assert_eq!(replicas[0].question(&rule).unreported(), 0);
}

#[test]
fn while_the_store_is_away_the_rule_says_what_holds_and_too_many_waiters_open_nothing() {
    use StoreAnswer::{Away, NotAsked};
    let check = |answer: StoreAnswer<'_>, on_store_failure, expected: [Option<CountOutcome>; 3], event| {
        let clock = Arc::<HandClock>::default();
        let (replica, rule) = (Replica::new(&clock, 1), rule_on_failure(throttle(1, 10), on_store_failure));
        let found = [0; 3].map(|_| match replica.ask(&rule, "192.0.2.1") {
            Counting::Counted(count) => Some(count.outcome),
            Counting::AskStore(question) => match replica.counters.settle(&question, answer) {
                Settled::Counted(count) => Some(count.outcome),
                Settled::Unavailable => None,
            },
        });
        assert_eq!(found, expected, "{answer:?} {on_store_failure:?}");
        assert!(rule.figures().of(event) > 0);
    };
    let counted = [Some(Conform), Some(Exceed), Some(Exceed)];
    check(Away, OnStoreFailure::Local, counted, Event::StoreFailureLocal);
    check(Away, OnStoreFailure::Open, [Some(Conform); 3], Event::StoreFailureOpen);
    check(Away, OnStoreFailure::Closed, [None; 3], Event::StoreFailureClosed);
    check(NotAsked, OnStoreFailure::Local, counted, Event::StoreFailureLocal);
    check(NotAsked, OnStoreFailure::Open, counted, Event::StoreFailureLocal);
    check(NotAsked, OnStoreFailure::Closed, [None; 3], Event::StoreFailureClosed);
}

#[test]
fn what_is_only_tried_out_is_counted_here_alone() {
    let clock = Arc::<HandClock>::default();
    let description = RateLimitDescription {
        label: &label(),
        limits: throttle(1, 10),
        rule: b"IP",
        preview: true,
        on_store_failure: OnStoreFailure::Closed,
    };
    let (replica, rule) = (Replica::new(&clock, 1), Arc::new(RateLimit::new(&description)));
    let outcomes = [0; 2].map(|_| match replica.ask(&rule, "192.0.2.1") {
        Counting::Counted(count) => count.outcome,
        Counting::AskStore(_) => panic!("a rule that is tried out asks nobody"),
    });
    assert_eq!(outcomes, [Conform, Exceed]);
}
