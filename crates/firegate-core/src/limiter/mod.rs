//! How often a key may come under a rule: what `throttle` and `rate_based_ban` of a security policy count by (Cloud Armor's
//! rate limiting overview).
//!
//! For each key an interval begins with its first request, and at most the threshold's `count` requests conform in it. A
//! [`Window`] is that arithmetic, pure; [`MemoryCounters`] keeps one for each key of this process, and [`SharedCounters`]
//! puts a store before it that several processes count in.

mod exceeded;
mod figures;
mod key;
mod memory;
mod rule;
mod shared;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use exceeded::Exceeded;
pub use figures::{Event, LimiterFigures, RuleCounts, RuleFigures};
pub use key::{KeyPart, KeyType, LocalKey, StoreKey};
pub use memory::MemoryCounters;
pub use rule::{
    Algorithm, Ban, Limits, OnStoreFailure, RateLimit, RateLimitDescription, RuleIdentity, RuleLabel,
    Threshold,
};
pub use shared::{Settled, SharedCounters, StoreQuestion};
pub use window::{SharedCount, Window};

/// Whom a decision asks whether a request is within a limit. To ask is to count: the same request is asked about once.
pub trait Counters: fmt::Debug + Send + Sync {
    /// Counts a request under a rule, by a key whose parts are in the order of the rule's own. What a part falls back to, if
    /// the request does not have it, is in [`KeyPart::key_type`].
    fn count(&self, rule: &Arc<RateLimit>, key: &[KeyPart<'_>]) -> Counting;

    /// What a question comes to after it was to be put to the store.
    fn settle(&self, question: &StoreQuestion, answer: StoreAnswer<'_>) -> Settled;
}

/// What became of a question to the store.
#[derive(Clone, Copy, Debug)]
pub enum StoreAnswer<'a> {
    /// What the store says.
    Counted(&'a SharedCount),
    /// It cannot be asked, or does not answer: the rule's [`OnStoreFailure`] says what holds.
    Away,
    /// It was not asked, because too many others wait for it. That says nothing of the store, and strangers bring it about:
    /// what would pass while it is away (`open`) is counted by this process.
    NotAsked,
}

/// What came of counting a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counting {
    /// It is counted.
    Counted(Count),
    /// The store that all processes count in has to be asked. The answer goes to [`Counters::settle`].
    AskStore(Box<StoreQuestion>),
}

/// Whether a request is within a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountOutcome {
    /// It is. In Google's logs `RATE_LIMIT_THRESHOLD_CONFORM`.
    Conform,
    /// It is one too many in its interval. `RATE_LIMIT_THRESHOLD_EXCEED`.
    Exceed,
    /// Its key is banned, by this request or an earlier one. `BAN_THRESHOLD_EXCEED`.
    Banned,
}

impl CountOutcome {
    /// The word of Cloud Armor's logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conform => "RATE_LIMIT_THRESHOLD_CONFORM",
            Self::Exceed => "RATE_LIMIT_THRESHOLD_EXCEED",
            Self::Banned => "BAN_THRESHOLD_EXCEED",
        }
    }
}

/// A counted request, and what a client may be told of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Whether it is within the limit.
    pub outcome: CountOutcome,
    /// How many requests conform in an interval.
    pub limit: u32,
    /// How many more would conform now.
    pub remaining: u32,
    /// How long the interval is.
    pub interval: Duration,
    /// When it may come again, or, if it conforms, when the count begins anew.
    pub reset_after: Duration,
    /// Whether it was counted among all the keys for which there was no place.
    pub is_overflow: bool,
}

impl Count {
    /// Whether it is within the limit.
    pub const fn conforms(&self) -> bool {
        matches!(self.outcome, CountOutcome::Conform)
    }

    /// [`reset_after`](Self::reset_after) in whole seconds, rounded up and at least one: a client that waits for so long does
    /// not come too early.
    pub fn reset_after_seconds(&self) -> u64 {
        u64::try_from(self.reset_after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

/// Nothing is counted and every request conforms: for whoever explains a decision, and must not use up a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCounters;

impl Counters for NoCounters {
    fn count(&self, rule: &Arc<RateLimit>, _key: &[KeyPart<'_>]) -> Counting {
        Counting::Counted(rule.untouched())
    }

    fn settle(&self, question: &StoreQuestion, _answer: StoreAnswer<'_>) -> Settled {
        Settled::Counted(question.rule().untouched())
    }
}
