//! What a policy did with a request, for the answer, for logs and for explanations.

use std::fmt;
use std::sync::{Arc, OnceLock};

use firegate_files::security_policy::DenyStatus;
use http::{HeaderName, HeaderValue};

use super::{Policy, PolicyRule};
use crate::limiter::CountOutcome;
use crate::reason::Reason;

/// A request that a policy does not refuse, and what is to be said of it.
#[derive(Clone, Debug, Default)]
pub struct Screened {
    policy: Option<Arc<Policy>>,
    /// The rule that decided; none where no rule matched.
    pub enforced: Option<RuleRecord>,
    /// The first rule that would have decided if it were not only tried out.
    pub preview: Option<RuleRecord>,
    /// What was strange: expressions that failed, or that depend on something unknown.
    pub notes: Vec<Note>,
}

/// What a policy did with one request. It is screened once, and once more if the user by whom the rules went turns out to be
/// nobody: then that counts.
#[derive(Clone, Debug, Default)]
pub struct ScreeningNote(OnceLock<Box<Noted>>);

#[derive(Clone, Debug)]
struct Noted {
    screened: Screened,
    as_nobodys: OnceLock<Screened>,
}

/// What a rule did, or would have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRecord {
    /// Where it stands among the policy's rules.
    pub position: u32,
    /// What became of the request.
    pub outcome: RuleOutcome,
    /// How it was counted, if the rule limits.
    pub rate_limit: Option<RateLimitRecord>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It passes.
    Accept,
    /// It is refused.
    Deny,
    /// It is sent elsewhere.
    Redirect,
}

/// How a request was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitRecord {
    /// By what: the kinds of the key, and what they fell back to. `HTTP_HEADER(x-api-key)→ALL`.
    pub key: String,
    /// The key's value, as far as it is no secret and no longer than Google's logs show it.
    pub value: String,
    /// What it came to.
    pub outcome: CountOutcome,
}

/// Something strange about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where the rule stands.
    pub position: u32,
    /// What it is.
    pub kind: NoteKind,
}

/// What can be strange about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// Its expression failed, for this reason; it did not match.
    Failed(String),
    /// Its expression depends on this, which is not known here; it did not match.
    Unknown(&'static str),
}

/// A request that a policy refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmorDenied {
    /// The policy's name.
    pub policy: String,
    /// The file and line of the rule.
    pub place: String,
    /// The rule's priority.
    pub priority: u32,
    /// The status of the answer.
    pub status: DenyStatus,
    /// Why, if the rule did not simply match.
    pub why: Option<String>,
}

impl Screened {
    pub(super) fn by(policy: &Arc<Policy>) -> Self {
        Self { policy: Some(Arc::clone(policy)), ..Self::default() }
    }

    /// The policy that looked at it; none if its backend has none.
    pub fn policy(&self) -> Option<&Arc<Policy>> {
        self.policy.as_ref()
    }

    /// The refusal where a redirect leads nowhere.
    pub(crate) fn refusal_instead_of_redirect(&self) -> Option<Reason> {
        let (policy, enforced) = (self.policy.as_ref()?, self.enforced.as_ref()?);
        let rule = policy.rule(enforced.position)?;
        let why = "it sends the client elsewhere, where no page is asked for".to_owned();
        Some(Reason::ArmorDenied(Box::new(ArmorDenied::by(policy, rule, DenyStatus::Forbidden, Some(why)))))
    }

    /// What is set in the request that goes to the service.
    pub fn request_headers(&self) -> &[(HeaderName, HeaderValue)] {
        let rule = self.enforced.as_ref().and_then(|enforced| self.policy.as_ref()?.rule(enforced.position));
        rule.map_or(&[], |rule| &rule.request_headers)
    }
}

impl ScreeningNote {
    /// What counts; none if the request was not screened.
    pub fn get(&self) -> Option<&Screened> {
        let noted = self.0.get()?;
        Some(noted.as_nobodys.get().unwrap_or(&noted.screened))
    }

    /// Notes what a policy did, the first time or the second.
    pub(crate) fn note(&self, screened: Screened) {
        let first = Box::new(Noted { screened, as_nobodys: OnceLock::new() });
        if let (Err(second), Some(noted)) = (self.0.set(first), self.0.get()) {
            // There is no third time.
            let _ = noted.as_nobodys.set(second.screened);
        }
    }
}

impl ArmorDenied {
    pub(super) fn by(policy: &Policy, rule: &PolicyRule, status: DenyStatus, why: Option<String>) -> Self {
        Self {
            policy: policy.name.clone(),
            place: policy.place_of(rule),
            priority: rule.priority,
            status,
            why,
        }
    }
}

impl RuleOutcome {
    /// The word of Google's logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Deny => "DENY",
            Self::Redirect => "REDIRECT",
        }
    }
}

/// The evidence in one sentence.
impl fmt::Display for ArmorDenied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, place, priority, .. } = self;
        write!(formatter, "rule {priority} of policy {policy:?} ({place}) refuses the request")?;
        match &self.why {
            Some(why) => write!(formatter, ": {why}"),
            None => Ok(()),
        }
    }
}
