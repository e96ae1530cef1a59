//! A request that is one too many.

use std::fmt;

use http::StatusCode;

use super::rule::RuleLabel;
use super::{Count, CountOutcome};

/// A request that a rule's limit refuses, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which rule.
    pub rule: RuleLabel,
    /// The file and line of the rule.
    pub place: String,
    /// By what it was counted, as an operator reads it: the types of the key, and what they fell back to.
    pub key: String,
    /// What counting it came to.
    pub count: Count,
    /// What the client is answered: the status of the rule's `exceedAction`.
    pub status: StatusCode,
}

/// The evidence in one sentence.
impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, place, key, count, .. } = self;
        let RuleLabel { backend, policy, priority } = rule;
        let (limit, interval) = (count.limit, count.interval.as_secs());
        write!(formatter, "rule {priority} of policy {policy:?} ({place}) allows {limit} requests ")?;
        write!(formatter, "in {interval} s to backend {backend:?} by {key:?}")?;
        if count.outcome == CountOutcome::Banned {
            write!(formatter, ", and bans whoever exceeds")?;
        }
        if count.is_overflow {
            write!(formatter, "; counted together with other keys, because there was no place for one more")?;
        }
        write!(formatter, "; the next one may come in {} s", count.reset_after_seconds())
    }
}
