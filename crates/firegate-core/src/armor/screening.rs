//! The evaluation of a policy, which can stop where the user is needed, or where a store has to count, and go on there.

use std::sync::Arc;

use firegate_expr::{Expression, Outcome};
use firegate_files::security_policy::{Action, DenyStatus, Exceed, Redirect};
use http::{HeaderValue, StatusCode};

use super::compile::{CompiledLimit, Condition};
use super::key;
use super::record::{ArmorDenied, Note, NoteKind, RateLimitRecord, RuleOutcome, RuleRecord, Screened};
use super::{Policy, PolicyRule, Subject};
use crate::limiter::{Count, Counters, Counting, Exceeded, StoreQuestion};
use crate::limits::ARMOR_NOTES_MAX;
use crate::reason::Reason;
use crate::route::RedirectAnswer;

/// A policy's evaluation under way.
#[derive(Debug)]
pub struct Screening {
    policy: Arc<Policy>,
    /// The rules that are for the client's address, once they were found.
    by_address: Option<Vec<u32>>,
    /// Where to go on.
    position: u32,
    screened: Screened,
}

/// How far an evaluation came.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and costs no memory of its own"
)]
#[derive(Debug)]
pub enum Progress {
    /// The next rule asks for the user. Go on with a [`Subject`] whose user was identified.
    NeedsUser(Box<Screening>),
    /// The next rule's limit is counted in a store. Go on with [`Screening::counted`].
    NeedsCount(Box<StoreQuestion>, Box<Screening>),
    /// It is done.
    Done(Verdict),
}

/// What a policy says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It does not refuse it.
    Passed(Screened),
    /// It refuses it.
    Denied(Reason, Screened),
    /// It sends it elsewhere.
    Redirected(RedirectAnswer, Screened),
}

/// What one rule comes to.
enum Step {
    /// It is not for this request.
    Next,
    NeedsUser,
    NeedsCount(Box<StoreQuestion>),
    Decided(Decided),
}

/// What a rule does with a request.
struct Decided {
    record: RuleRecord,
    refusal: Option<Refusal>,
}

enum Refusal {
    Denied(Reason),
    Redirected(HeaderValue),
}

/// The rule whose turn it is, in its place.
#[derive(Clone, Copy)]
struct RuleInPlace<'p> {
    policy: &'p Policy,
    position: u32,
    rule: &'p PolicyRule,
}

impl Screening {
    /// Begins.
    pub fn new(policy: Arc<Policy>) -> Self {
        let screened = Screened::by(&policy);
        Self { policy, by_address: None, position: 0, screened }
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Goes on until something is needed or a rule decides.
    pub fn run(mut self, subject: &Subject<'_>, counters: &dyn Counters) -> Progress {
        let policy = Arc::clone(&self.policy);
        self.by_address.get_or_insert_with(|| policy.sources.rules_for(subject.facts.client));
        while let Some(next) = self.next_rule(&policy) {
            match self.step(next, subject, counters) {
                Step::Next => self.position = next.position + 1,
                Step::NeedsUser => return Progress::NeedsUser(Box::new(self)),
                Step::NeedsCount(question) => return Progress::NeedsCount(question, Box::new(self)),
                Step::Decided(decided) => {
                    if let Some(verdict) = self.verdict(next.rule, decided) {
                        return Progress::Done(verdict);
                    }
                }
            }
        }
        // As in a policy that is made without a default rule.
        Progress::Done(Verdict::Passed(self.screened))
    }

    /// Goes on after a store has counted for the rule that asked for it.
    pub fn counted(mut self, count: Count, subject: &Subject<'_>, counters: &dyn Counters) -> Progress {
        let policy = Arc::clone(&self.policy);
        if let Some(next) = self.next_rule(&policy)
            && let Some(limit) = &next.rule.limit
            && let Some(verdict) = self.verdict(next.rule, next.limited(limit, &count, subject))
        {
            return Progress::Done(verdict);
        }
        self.run(subject, counters)
    }

    /// The next rule that may be for this request.
    fn next_rule<'p>(&mut self, policy: &'p Policy) -> Option<RuleInPlace<'p>> {
        let from = self.position;
        let first = |positions: &[u32]| {
            let index = positions.partition_point(|position| *position < from);
            positions.get(index).copied()
        };
        let by_address = self.by_address.as_deref().and_then(first);
        let position = by_address.into_iter().chain(first(&policy.others)).min()?;
        self.position = position;
        policy.rule(position).map(|rule| RuleInPlace { policy, position, rule })
    }

    /// Whether a rule matches, and what it does then.
    fn step(&mut self, next: RuleInPlace<'_>, subject: &Subject<'_>, counters: &dyn Counters) -> Step {
        let Condition::Expression(expression) = &next.rule.condition else {
            return next.act(subject, counters);
        };
        if expression.uses_user() && subject.identified.is_none() {
            return Step::NeedsUser;
        }
        let outcome = expression.evaluate(subject);
        if let Some(why) = next.doubt(subject, expression, outcome) {
            return Step::Decided(next.ambiguous(why));
        }
        match outcome {
            Outcome::True => next.act(subject, counters),
            Outcome::False => Step::Next,
            Outcome::Unknown(name) => {
                self.note(subject, next.position, || NoteKind::Unknown(name));
                Step::Next
            }
            Outcome::Error(error) if error.is_missing_user() => Step::Next,
            Outcome::Error(error) if next.rule.is_strict => {
                let why = format!("its expression fails: {error}");
                Step::Decided(next.denied(status_of_failure(next.rule), Some(why)))
            }
            Outcome::Error(error) => {
                self.note(subject, next.position, || NoteKind::Failed(error.to_string()));
                Step::Next
            }
        }
    }

    /// Ends the evaluation, unless the rule is only tried out.
    fn verdict(&mut self, rule: &PolicyRule, decided: Decided) -> Option<Verdict> {
        let Decided { record, refusal } = decided;
        if rule.preview {
            self.position = record.position + 1;
            // Google's logs show the first one alone.
            self.screened.preview.get_or_insert(record);
            return None;
        }
        let mut screened = std::mem::take(&mut self.screened);
        screened.enforced = Some(record);
        Some(match refusal {
            None => Verdict::Passed(screened),
            Some(Refusal::Denied(reason)) => Verdict::Denied(reason, screened),
            Some(Refusal::Redirected(location)) => {
                Verdict::Redirected(RedirectAnswer { status: StatusCode::FOUND, location }, screened)
            }
        })
    }

    fn note(&mut self, subject: &Subject<'_>, position: u32, kind: impl FnOnce() -> NoteKind) {
        // Of a record it matters of every rule whether its answer is known.
        if self.screened.notes.len() < ARMOR_NOTES_MAX || subject.facts.recorded_headers.is_some() {
            self.screened.notes.push(Note { position, kind: kind() });
        }
    }
}

impl RuleInPlace<'_> {
    /// Why it might decide otherwise for a service that reads the request in another way. What is only tried out refuses
    /// nothing.
    fn doubt(self, subject: &Subject<'_>, expression: &Expression, outcome: Outcome) -> Option<&'static str> {
        if self.rule.preview {
            return None;
        }
        // Whom all copies together make refused is refused.
        let refuses = outcome == Outcome::True && matches!(self.rule.action, Action::Deny(_));
        subject.doubt_about(expression, outcome, refuses)
    }

    /// What the rule does, which matches.
    fn act(self, subject: &Subject<'_>, counters: &dyn Counters) -> Step {
        let rule = self.rule;
        if let Some(limit) = &rule.limit {
            if limit.needs_user && subject.identified.is_none() {
                return Step::NeedsUser;
            }
            let doubt = subject.doubt_about_keys(&limit.keys).filter(|_| !rule.preview);
            if let Some(why) = doubt {
                return Step::Decided(self.ambiguous(why));
            }
            let parts = key::find(&limit.keys, subject);
            let parts = parts.iter().map(key::FoundPart::part).collect::<Vec<_>>();
            return match counters.count(&limit.limit, &parts) {
                Counting::Counted(count) => Step::Decided(self.limited(limit, &count, subject)),
                Counting::AskStore(question) => Step::NeedsCount(question),
            };
        }
        Step::Decided(match &rule.action {
            Action::Deny(status) => self.denied(*status, None),
            Action::Redirect(redirect) => self.redirected(redirect, rule.location.as_ref()),
            Action::Allow | Action::Throttle(_) | Action::RateBasedBan(..) => self.accepted(),
        })
    }

    fn accepted(self) -> Decided {
        self.decided(RuleOutcome::Accept, None)
    }

    fn denied(self, status: DenyStatus, why: Option<String>) -> Decided {
        let denied = ArmorDenied::by(self.policy, self.rule, status, why);
        self.decided(RuleOutcome::Deny, Some(Refusal::Denied(Reason::ArmorDenied(Box::new(denied)))))
    }

    /// It might decide otherwise for a service that reads the request in another way, and nobody knows how this one does.
    fn ambiguous(self, why: &'static str) -> Decided {
        self.decided(RuleOutcome::Deny, Some(Refusal::Denied(Reason::RequestMalformed { why })))
    }

    /// Nobody can be sent to reCAPTCHA from here, and is refused instead.
    fn redirected(self, redirect: &Redirect, location: Option<&HeaderValue>) -> Decided {
        if let Some(location) = location {
            return self.decided(RuleOutcome::Redirect, Some(Refusal::Redirected(location.clone())));
        }
        let why = match redirect {
            Redirect::GoogleRecaptcha => "it would send the client to reCAPTCHA, which Firegate cannot ask",
            Redirect::External(_) => "its target cannot be written into an answer",
        };
        self.denied(DenyStatus::Forbidden, Some(why.to_owned()))
    }

    /// What its limit does with a request that was counted.
    fn limited(self, limit: &CompiledLimit, count: &Count, subject: &Subject<'_>) -> Decided {
        // By far the most requests conform, and of those nothing is said.
        if count.conforms() && !self.rule.preview {
            return self.accepted();
        }
        let parts = key::find(&limit.keys, subject);
        let (key, value) = (key::description(&parts), key::logged_value(&parts));
        let counted = RateLimitRecord { key: key.clone(), value, outcome: count.outcome };
        let decided = match &limit.exceed {
            _ if count.conforms() => self.accepted(),
            Exceed::Redirect(redirect) => self.redirected(redirect, limit.location.as_ref()),
            Exceed::Deny(status) => {
                let status = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::FORBIDDEN);
                let (label, place) = (limit.limit.label().clone(), self.policy.place_of(self.rule));
                let exceeded = Exceeded { rule: label, place, key, count: *count, status };
                let reason = Reason::RateLimited(Box::new(exceeded));
                self.decided(RuleOutcome::Deny, Some(Refusal::Denied(reason)))
            }
        };
        Decided { record: RuleRecord { rate_limit: Some(counted), ..decided.record }, ..decided }
    }

    fn decided(self, outcome: RuleOutcome, refusal: Option<Refusal>) -> Decided {
        Decided { record: RuleRecord { position: self.position, outcome, rate_limit: None }, refusal }
    }
}

/// What a rule refuses with whose expression fails: its own status, or that of what exceeds.
fn status_of_failure(rule: &PolicyRule) -> DenyStatus {
    match (&rule.action, rule.limit.as_ref().map(|limit| &limit.exceed)) {
        (Action::Deny(status), _) | (_, Some(Exceed::Deny(status))) if !status.is_of_limits() => *status,
        _ => DenyStatus::Forbidden,
    }
}
