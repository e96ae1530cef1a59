//! What a rule allows.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

pub use firegate_files::configuration::{CountAlgorithm as Algorithm, OnStoreFailure};

use super::figures::RuleFigures;
use super::{Count, CountOutcome};

/// So many requests in so long: Google's `rateLimitThreshold` and `banThreshold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    count: NonZeroU32,
    interval_ms: u64,
}

impl Threshold {
    /// At most `count` requests in `interval`, of which whole milliseconds count and at least one.
    pub fn new(count: NonZeroU32, interval: Duration) -> Self {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).clamp(1, INTERVAL_MS_MAX);
        Self { count: count.min(COUNT_MAX), interval_ms }
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.count.get()
    }

    /// In how many milliseconds.
    pub const fn interval_ms(self) -> u64 {
        self.interval_ms
    }
}

/// No interval or ban is longer, so that sums of times do not overflow: some thirty years.
const INTERVAL_MS_MAX: u64 = 1 << 40;

/// No threshold is higher, so that there is a number that is no count.
const COUNT_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(u32::MAX - 2);

/// What `rate_based_ban` adds to `throttle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    threshold: Option<Threshold>,
    duration_ms: u64,
}

impl Ban {
    /// A ban to the end of the interval and `duration` more. With a `threshold` of its own it is for the key of which more
    /// requests came than that, those included that did not conform; without one for the key that exceeds at all.
    pub fn new(threshold: Option<Threshold>, duration: Duration) -> Self {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(INTERVAL_MS_MAX);
        Self { threshold, duration_ms }
    }

    /// `banThreshold`.
    pub const fn threshold(self) -> Option<Threshold> {
        self.threshold
    }

    /// `banDurationSec`, in milliseconds.
    pub const fn duration_ms(self) -> u64 {
        self.duration_ms
    }
}

/// What is counted, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many requests conform.
    pub threshold: Threshold,
    /// Who is banned, by `rate_based_ban`.
    pub ban: Option<Ban>,
    /// How it is counted.
    pub algorithm: Algorithm,
}

/// Which rule it is, for operators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleLabel {
    /// The backend: limits are counted for each backend apart, as in Google.
    pub backend: String,
    /// The policy's name.
    pub policy: String,
    /// The rule's priority.
    pub priority: u32,
}

/// A rule's name among counters: the same in every process and after a reload, and another one once anything of the rule
/// has changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIdentity(pub(super) [u8; 16]);

/// What a [`RateLimit`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitDescription<'a> {
    /// Which rule.
    pub label: &'a RuleLabel,
    /// What it allows.
    pub limits: Limits,
    /// The rest of the rule, in any form that is the same for the same rule: what it matches, its keys, its actions.
    pub rule: &'a [u8],
    /// Whether it is only tried out: then it is counted in this process alone.
    pub preview: bool,
    /// What holds while the shared store cannot be asked.
    pub on_store_failure: OnStoreFailure,
}

/// A rule's limit.
#[derive(Debug)]
pub struct RateLimit {
    identity: RuleIdentity,
    label: RuleLabel,
    limits: Limits,
    preview: bool,
    on_store_failure: OnStoreFailure,
    /// Those of all the rules that have had this label; given by the counters.
    figures: OnceLock<Arc<RuleFigures>>,
}

impl RateLimit {
    /// A limit. Its [identity](RuleIdentity) covers the description but for what holds while there is no store.
    pub fn new(description: &RateLimitDescription<'_>) -> Self {
        let RateLimitDescription { label, limits, rule, preview, on_store_failure } = *description;
        // The text of a derived `Debug` names every member, and quotes what is text.
        let mut text = format!("{label:?} {limits:?} {preview} ").into_bytes();
        text.extend_from_slice(rule);
        let hash = digest(&SHA256, &text);
        let mut identity = [0; 16];
        identity.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        Self {
            identity: RuleIdentity(identity),
            label: label.clone(),
            limits,
            preview,
            on_store_failure,
            figures: OnceLock::new(),
        }
    }

    /// Its name among counters.
    pub const fn identity(&self) -> RuleIdentity {
        self.identity
    }

    /// Which rule it is.
    pub const fn label(&self) -> &RuleLabel {
        &self.label
    }

    /// What it allows.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether it is only tried out.
    pub(crate) const fn is_preview(&self) -> bool {
        self.preview
    }

    /// What holds while the shared store cannot be asked.
    pub const fn on_store_failure(&self) -> OnStoreFailure {
        self.on_store_failure
    }

    /// What came of its requests.
    pub fn figures(&self) -> &RuleFigures {
        self.figures.get_or_init(Arc::default)
    }

    /// Goes on with the figures of an earlier rule of the same label.
    pub(super) fn go_on_with(&self, figures: &Arc<RuleFigures>) {
        // A rule belongs to one set of counters, which gives it its figures before anything is counted.
        let _ = self.figures.set(Arc::clone(figures));
    }

    /// What is said of a request that conforms and is not counted.
    pub(super) const fn untouched(&self) -> Count {
        let threshold = self.limits.threshold;
        Count {
            outcome: CountOutcome::Conform,
            limit: threshold.count(),
            remaining: threshold.count(),
            interval: Duration::from_millis(threshold.interval_ms),
            reset_after: Duration::from_millis(threshold.interval_ms),
            is_overflow: false,
        }
    }
}

/// Hexadecimal.
impl fmt::Display for RuleIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for RuleIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
