//! What security policies did, and what came of limiting rates.

use std::fmt;

use firegate_core::limiter::{Event, LimiterFigures};

use super::super::Decisions;
use super::super::descriptions::{
    LIMITS_STORE_LOSSES, LIMITS_STORE_QUESTIONS, LIMITS_STORE_UP, RATE_LIMIT_KEYS, RATE_LIMIT_KEYS_MAX,
    RATE_LIMIT_OVERFLOW, RATE_LIMIT_REQUESTS, RATE_LIMIT_WITHOUT_STORE, RULE_MATCHES,
};
use super::{Families, Value, gauge};
use crate::limits_store::LimitsStoreFigures;

/// The outcomes of counting, and their words.
const OUTCOMES: [(Event, &str); 3] =
    [(Event::Conform, "conform"), (Event::Exceed, "exceed"), (Event::Banned, "banned")];

/// What held while the store could not be asked.
const WITHOUT_STORE: [(Event, &str); 3] = [
    (Event::StoreFailureLocal, "local"),
    (Event::StoreFailureOpen, "open"),
    (Event::StoreFailureClosed, "closed"),
];

impl Families<'_> {
    pub(super) fn rule_matches(&mut self, decisions: &Decisions) -> fmt::Result {
        let matches = decisions.rule_matches();
        let samples =
            matches.iter().map(|of| ([of.backend, of.policy, of.priority.as_str(), of.outcome], of.count));
        self.all(&RULE_MATCHES, samples, Value::Counter)
    }

    pub(super) fn rate_limits(
        &mut self,
        limiter: &LimiterFigures,
        store: Option<&LimitsStoreFigures>,
    ) -> fmt::Result {
        let rules =
            limiter.rules.iter().map(|rule| (rule, rule.label.priority.to_string())).collect::<Vec<_>>();
        let by = |events: [(Event, &'static str); 3]| {
            rules.iter().flat_map(move |(rule, priority)| {
                let label = &rule.label;
                events.map(|(event, word)| {
                    ([label.backend.as_str(), label.policy.as_str(), priority.as_str(), word], rule.of(event))
                })
            })
        };
        self.all(&RATE_LIMIT_REQUESTS, by(OUTCOMES), Value::Counter)?;
        let overflow = rules.iter().map(|(rule, priority)| {
            let label = &rule.label;
            let labels = [label.backend.as_str(), label.policy.as_str(), priority.as_str()];
            (labels, rule.of(Event::Overflow))
        });
        self.all(&RATE_LIMIT_OVERFLOW, overflow, Value::Counter)?;
        self.one(&RATE_LIMIT_KEYS, [], Value::Gauge(gauge(limiter.keys)))?;
        self.one(&RATE_LIMIT_KEYS_MAX, [], Value::Gauge(gauge(limiter.keys_max)))?;
        let Some(store) = store else { return Ok(()) };
        self.all(&RATE_LIMIT_WITHOUT_STORE, by(WITHOUT_STORE), Value::Counter)?;
        self.one(&LIMITS_STORE_UP, [], Value::Gauge(store.is_there.into()))?;
        self.one(&LIMITS_STORE_LOSSES, [], Value::Counter(store.losses))?;
        let questions = store.questions.iter().map(|(question, count)| ([question.as_str()], *count));
        self.all(&LIMITS_STORE_QUESTIONS, questions, Value::Counter)
    }
}
