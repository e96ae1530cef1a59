//! What came of the requests of each rule.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::rule::{RateLimit, RuleLabel};
use super::{Count, CountOutcome};
use crate::limits::LIMITER_LABELS_MAX;

/// Something that is counted of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request conformed.
    Conform,
    /// A request exceeded.
    Exceed,
    /// A request's key was banned.
    Banned,
    /// A request was counted among all the keys for which there was no place.
    Overflow,
    /// The shared store could not be asked, and the process counted for itself.
    StoreFailureLocal,
    /// The shared store could not be asked, and the request passed.
    StoreFailureOpen,
    /// The shared store could not be asked, and the request did not pass.
    StoreFailureClosed,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::Conform,
        Self::Exceed,
        Self::Banned,
        Self::Overflow,
        Self::StoreFailureLocal,
        Self::StoreFailureOpen,
        Self::StoreFailureClosed,
    ];

    const fn of(outcome: CountOutcome) -> Self {
        match outcome {
            CountOutcome::Conform => Self::Conform,
            CountOutcome::Exceed => Self::Exceed,
            CountOutcome::Banned => Self::Banned,
        }
    }
}

/// The counters of one rule: one relaxed addition each.
#[derive(Debug, Default)]
pub struct RuleFigures([AtomicU64; Event::ALL.len()]);

impl RuleFigures {
    /// Counts an event.
    pub fn add(&self, event: Event) {
        if let Some(counter) = self.0.get(event as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it has happened.
    pub fn of(&self, event: Event) -> u64 {
        self.0.get(event as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    pub(super) fn add_count(&self, count: &Count) {
        self.add(Event::of(count.outcome));
        if count.is_overflow {
            self.add(Event::Overflow);
        }
    }
}

/// The figures of the labels. They never go back; those of rules that are gone stay while there is room.
#[derive(Debug, Default)]
pub(super) struct Labels(Mutex<BTreeMap<RuleLabel, Arc<RuleFigures>>>);

/// A rule's figures at one moment.
#[derive(Clone, Debug)]
pub struct RuleCounts {
    /// Which rule; without names if it is one of those for which there was no place.
    pub label: RuleLabel,
    figures: Arc<RuleFigures>,
}

impl RuleCounts {
    /// How often it has happened.
    pub fn of(&self, event: Event) -> u64 {
        self.figures.of(event)
    }
}

/// What there is to know of counters in memory.
#[derive(Clone, Debug)]
pub struct LimiterFigures {
    /// How many keys are held, some of which may be over.
    pub keys: usize,
    /// For how many there is a place.
    pub keys_max: usize,
    /// What came of each rule's requests.
    pub rules: Vec<RuleCounts>,
}

impl Labels {
    /// Gives rules the figures of their labels. What comes after many labels shares one without a name.
    pub(super) fn give(&self, rules: &[Arc<RateLimit>]) {
        let mut labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if labels.len() + rules.len() > LIMITER_LABELS_MAX {
            // Nobody has the rules of the others any more.
            labels.retain(|_, figures| Arc::strong_count(figures) > 1);
        }
        for rule in rules {
            let label = if labels.len() < LIMITER_LABELS_MAX || labels.contains_key(rule.label()) {
                rule.label().clone()
            } else {
                RuleLabel { backend: String::new(), policy: String::new(), priority: 0 }
            };
            rule.go_on_with(labels.entry(label).or_default());
        }
    }

    pub(super) fn counts(&self) -> Vec<RuleCounts> {
        let labels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = labels
            .iter()
            .map(|(label, figures)| RuleCounts { label: label.clone(), figures: Arc::clone(figures) });
        counts.collect()
    }
}
