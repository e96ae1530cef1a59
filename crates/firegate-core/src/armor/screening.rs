//! The evaluation of a policy, which can stop where the user is needed, or where a store has to count, and go on there.

use std::sync::Arc;

use firegate_expr::Outcome;
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
        while let Some((position, rule)) = self.next_rule(&policy) {
            match self.step(position, rule, subject, counters) {
                Step::Next => self.position = position + 1,
                Step::NeedsUser => return Progress::NeedsUser(Box::new(self)),
                Step::NeedsCount(question) => return Progress::NeedsCount(question, Box::new(self)),
                Step::Decided(decided) => {
                    if let Some(verdict) = self.decided(position, rule, decided) {
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
        if let Some((position, rule)) = self.next_rule(&policy)
            && let Some(limit) = &rule.limit
        {
            let decided = limited(&policy, position, rule, limit, &count, subject);
            if let Some(verdict) = self.decided(position, rule, decided) {
                return Progress::Done(verdict);
            }
        }
        self.run(subject, counters)
    }

    /// The next rule that may be for this request.
    fn next_rule<'p>(&mut self, policy: &'p Policy) -> Option<(u32, &'p PolicyRule)> {
        let from = self.position;
        let first = |positions: &[u32]| {
            let index = positions.partition_point(|position| *position < from);
            positions.get(index).copied()
        };
        let by_address = self.by_address.as_deref().and_then(first);
        let position = by_address.into_iter().chain(first(&policy.others)).min()?;
        self.position = position;
        policy.rule(position).map(|rule| (position, rule))
    }

    fn step(
        &mut self,
        position: u32,
        rule: &PolicyRule,
        subject: &Subject<'_>,
        counters: &dyn Counters,
    ) -> Step {
        if let Condition::Expression(expression) = &rule.condition {
            if expression.uses_user() && subject.identified.is_none() {
                return Step::NeedsUser;
            }
            let outcome = expression.evaluate(subject);
            // What is only tried out refuses nothing.
            if !rule.preview && subject.is_judged_otherwise(expression, outcome) {
                return Step::Decided(ambiguous(position));
            }
            match outcome {
                Outcome::True => {}
                Outcome::False => return Step::Next,
                Outcome::Unknown(name) => {
                    self.note(subject, position, || NoteKind::Unknown(name));
                    return Step::Next;
                }
                Outcome::Error(error) if error.is_missing_user() => return Step::Next,
                Outcome::Error(error) if rule.is_strict => {
                    let why = format!("its expression fails: {error}");
                    return Step::Decided(denied(
                        &self.policy,
                        position,
                        rule,
                        status(rule),
                        Some(why),
                        None,
                    ));
                }
                Outcome::Error(error) => {
                    self.note(subject, position, || NoteKind::Failed(error.to_string()));
                    return Step::Next;
                }
            }
        }
        self.act(position, rule, subject, counters)
    }

    /// What a rule does that matches.
    fn act(&self, position: u32, rule: &PolicyRule, subject: &Subject<'_>, counters: &dyn Counters) -> Step {
        let policy = &self.policy;
        if let Some(limit) = &rule.limit {
            if limit.needs_user && subject.identified.is_none() {
                return Step::NeedsUser;
            }
            let parts = key::find(&limit.keys, subject);
            let parts = parts.iter().map(key::FoundPart::part).collect::<Vec<_>>();
            return match counters.count(&limit.limit, &parts) {
                Counting::Counted(count) => {
                    Step::Decided(limited(policy, position, rule, limit, &count, subject))
                }
                Counting::AskStore(question) => Step::NeedsCount(question),
            };
        }
        Step::Decided(match &rule.action {
            Action::Deny(status) => denied(policy, position, rule, *status, None, None),
            Action::Redirect(redirect) => {
                redirected(policy, position, rule, redirect, rule.location.as_ref(), None)
            }
            Action::Allow | Action::Throttle(_) | Action::RateBasedBan(..) => Decided {
                record: RuleRecord { position, outcome: RuleOutcome::Accept, rate_limit: None },
                refusal: None,
            },
        })
    }

    /// Ends the evaluation, unless the rule is only tried out.
    fn decided(&mut self, position: u32, rule: &PolicyRule, decided: Decided) -> Option<Verdict> {
        if rule.preview {
            // Google's logs show the first one alone.
            self.screened.preview.get_or_insert(decided.record);
            self.position = position + 1;
            return None;
        }
        let mut screened = std::mem::take(&mut self.screened);
        screened.enforced = Some(decided.record);
        Some(match decided.refusal {
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

/// What a rule refuses with whose expression fails: its own status, or that of what exceeds.
fn status(rule: &PolicyRule) -> DenyStatus {
    match (&rule.action, rule.limit.as_ref().map(|limit| &limit.exceed)) {
        (Action::Deny(status), _) | (_, Some(Exceed::Deny(status))) if !status.is_of_limits() => *status,
        _ => DenyStatus::Forbidden,
    }
}

fn denied(
    policy: &Policy,
    position: u32,
    rule: &PolicyRule,
    status: DenyStatus,
    why: Option<String>,
    rate_limit: Option<RateLimitRecord>,
) -> Decided {
    let denied = ArmorDenied::by(policy, rule, status, why);
    Decided {
        record: RuleRecord { position, outcome: RuleOutcome::Deny, rate_limit },
        refusal: Some(Refusal::Denied(Reason::ArmorDenied(Box::new(denied)))),
    }
}

/// A rule would decide otherwise for a service that reads the path in another way, and nobody knows how this one does.
fn ambiguous(position: u32) -> Decided {
    let why = "a rule of the security policy would decide otherwise if the path's parameters were cut off, or its slashes decoded";
    Decided {
        record: RuleRecord { position, outcome: RuleOutcome::Deny, rate_limit: None },
        refusal: Some(Refusal::Denied(Reason::RequestMalformed { why })),
    }
}

/// Nobody can be sent to reCAPTCHA from here, and is refused instead.
fn redirected(
    policy: &Policy,
    position: u32,
    rule: &PolicyRule,
    redirect: &Redirect,
    location: Option<&HeaderValue>,
    rate_limit: Option<RateLimitRecord>,
) -> Decided {
    match location {
        Some(location) => Decided {
            record: RuleRecord { position, outcome: RuleOutcome::Redirect, rate_limit },
            refusal: Some(Refusal::Redirected(location.clone())),
        },
        None => {
            let why = match redirect {
                Redirect::GoogleRecaptcha => {
                    "it would send the client to reCAPTCHA, which Firegate cannot ask"
                }
                Redirect::External(_) => "its target cannot be written into an answer",
            };
            denied(policy, position, rule, DenyStatus::Forbidden, Some(why.to_owned()), rate_limit)
        }
    }
}

/// What a limit does with a request that it has counted.
fn limited(
    policy: &Policy,
    position: u32,
    rule: &PolicyRule,
    limit: &CompiledLimit,
    count: &Count,
    subject: &Subject<'_>,
) -> Decided {
    // By far the most requests conform, and of those nothing is said.
    if count.conforms() && !rule.preview {
        return Decided {
            record: RuleRecord { position, outcome: RuleOutcome::Accept, rate_limit: None },
            refusal: None,
        };
    }
    let parts = key::find(&limit.keys, subject);
    let key = key::description(&parts);
    let value = key::logged_value(&parts);
    let rate_limit = RateLimitRecord { key: key.clone(), value, outcome: count.outcome };
    if count.conforms() {
        let record = RuleRecord { position, outcome: RuleOutcome::Accept, rate_limit: Some(rate_limit) };
        return Decided { record, refusal: None };
    }
    match &limit.exceed {
        Exceed::Redirect(redirect) => {
            redirected(policy, position, rule, redirect, limit.location.as_ref(), Some(rate_limit))
        }
        Exceed::Deny(status) => {
            let status = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::FORBIDDEN);
            let (label, place) = (limit.limit.label().clone(), policy.place_of(rule));
            let exceeded = Exceeded { rule: label, place, key, count: *count, status };
            Decided {
                record: RuleRecord { position, outcome: RuleOutcome::Deny, rate_limit: Some(rate_limit) },
                refusal: Some(Refusal::Denied(Reason::RateLimited(Box::new(exceeded)))),
            }
        }
    }
}
