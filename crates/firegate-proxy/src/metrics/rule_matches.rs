//! How often the rules of security policies decided, or would have, by policy and priority: as many series as the policies
//! in force have rules that ever matched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firegate_core::armor::{RuleOutcome, RuleRecord, Screened};
use firegate_core::snapshot::Backend;

/// What a rule did, and what one in preview would have done.
const WORDS: [&str; 6] = ["accept", "deny", "redirect", "preview_accept", "preview_deny", "preview_redirect"];

/// Where the words of rules in preview begin.
const PREVIEW: usize = 3;

/// The counters of one rule.
type RuleCounts = [AtomicU64; WORDS.len()];

/// The counters of a backend service's policy.
#[derive(Debug)]
pub(super) struct PolicyCounts {
    backend: String,
    policy: String,
    /// In the order of the policy's rules, with their priorities.
    rules: Vec<(u32, Arc<RuleCounts>)>,
}

/// One counter with its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleMatch<'a> {
    pub(super) backend: &'a str,
    pub(super) policy: &'a str,
    pub(super) priority: String,
    pub(super) outcome: &'static str,
    pub(super) count: u64,
}

impl PolicyCounts {
    /// Counters for the policies of these backends, by the backends' names. A rule that was there before counts on; one that
    /// is gone is told no longer.
    pub(super) fn of<'a>(
        backends: impl IntoIterator<Item = &'a Arc<Backend>>,
        former: &[Arc<Self>],
    ) -> BTreeMap<&'a str, Arc<Self>> {
        let mut made: BTreeMap<(&str, &str), Arc<Self>> = BTreeMap::new();
        let mut found = BTreeMap::new();
        for backend in backends {
            let Some(policy) = &backend.security_policy else { continue };
            let counts = made.entry((&policy.backend, &policy.name)).or_insert_with(|| {
                let before =
                    former.iter().find(|it| it.backend == policy.backend && it.policy == policy.name);
                let kept = |priority: u32| {
                    let rules = before.map(|before| before.rules.as_slice()).unwrap_or_default();
                    rules.iter().find(|(known, _)| *known == priority).map(|(_, counts)| Arc::clone(counts))
                };
                let rules = policy
                    .rules()
                    .iter()
                    .map(|rule| (rule.priority, kept(rule.priority).unwrap_or_default()));
                Arc::new(Self {
                    backend: policy.backend.clone(),
                    policy: policy.name.clone(),
                    rules: rules.collect(),
                })
            });
            found.insert(backend.name.as_str(), Arc::clone(counts));
        }
        found
    }

    /// Counts what the policy did with a request.
    pub(super) fn count(&self, screened: &Screened) {
        let records = [(screened.enforced.as_ref(), 0), (screened.preview.as_ref(), PREVIEW)];
        for (record, first) in records {
            let Some(RuleRecord { position, outcome, .. }) = record else { continue };
            let place = first
                + match outcome {
                    RuleOutcome::Accept => 0,
                    RuleOutcome::Deny => 1,
                    RuleOutcome::Redirect => 2,
                };
            let counts = self.rules.get(*position as usize).and_then(|(_, counts)| counts.get(place));
            if let Some(count) = counts {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The counters that ever counted anything.
    pub(super) fn written(&self) -> impl Iterator<Item = RuleMatch<'_>> {
        self.rules.iter().flat_map(move |(priority, counts)| {
            counts.iter().zip(WORDS).filter_map(move |(count, outcome)| {
                let count = count.load(Ordering::Relaxed);
                (count > 0).then(|| RuleMatch {
                    backend: &self.backend,
                    policy: &self.policy,
                    priority: priority.to_string(),
                    outcome,
                    count,
                })
            })
        })
    }
}
