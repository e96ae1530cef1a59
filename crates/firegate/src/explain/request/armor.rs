//! What the backend's security policy looked at, rule by rule.

use std::sync::Arc;

use firegate_core::armor::{ConditionTrace, NoteKind, Policy, PolicyRule, RuleTrace, Screened, Subject};
use firegate_core::decision::Caller;
use firegate_core::expressions::Outcome as Verdict;
use firegate_core::reason::Stage;
use firegate_files::configuration::Backend as Settings;
use firegate_files::security_policy::{Action, Exceed, Matcher, Redirect};

use super::super::limits::RULES_SHOWN_MAX;
use super::parts::{deciding, outcome, true_parts};
use super::{FileLine, Finding, FindingVerdict, StageLine, Way};

impl Way<'_> {
    pub(super) fn armor(&self) -> StageLine {
        let Some((backend, policy)) =
            self.backend.as_ref().and_then(|backend| Some((backend, backend.security_policy.as_ref()?)))
        else {
            return self.line(
                Stage::Armor,
                "the backend has no security policy".to_owned(),
                None,
                Vec::new(),
            );
        };
        let screened = self.facts.screened.get();
        let known = self.caller.as_ref().map(Caller::user_facts);
        let subject = Subject::new(self.facts, policy, self.world.snapshot.geography.as_deref(), known);
        let looked_at = Policy::trace(policy, &subject);
        let last = screened.and_then(|screened| screened.enforced.as_ref()).map(|record| record.position);
        let looked_at = looked_at.take_while(|rule| last.is_none_or(|last| rule.position <= last));
        let mut told = looked_at.map(|rule| Told::of(rule, screened)).collect::<Vec<_>>();
        let count = told.len();
        told.sort_by_key(|told| (told.rank, told.rule.position));
        told.truncate(RULES_SHOWN_MAX);
        told.sort_by_key(|told| told.rule.position);
        let mut findings =
            told.iter().map(|told| told.finding(policy, &subject, &backend.settings)).collect::<Vec<_>>();
        if count > findings.len() {
            let why = format!(
                "{} more rules were looked at, and none of them is for this request",
                count - findings.len()
            );
            findings.push(Finding::new(FindingVerdict::DoesNotMatch, "others", None, why));
        }
        let (summary, place) = summary(policy, screened);
        self.line(Stage::Armor, summary, place, findings)
    }
}

fn summary(policy: &Arc<Policy>, screened: Option<&Screened>) -> (String, Option<FileLine>) {
    let name = &policy.name;
    let decided = screened.and_then(|screened| {
        let record = screened.enforced.as_ref()?;
        Some((record, policy.rule(record.position)?))
    });
    match decided {
        Some((record, rule)) => {
            let does = match record.outcome.as_str() {
                "ACCEPT" => "lets it pass",
                "REDIRECT" => "sends it elsewhere",
                _ => "refuses it",
            };
            let place = place(policy, rule);
            (format!("rule {} of policy {name:?} {does}", rule.priority), Some(place))
        }
        None => (format!("no rule of policy {name:?} is for it"), Some(FileLine::parse(&policy.file))),
    }
}

fn place(policy: &Policy, rule: &PolicyRule) -> FileLine {
    FileLine { file: policy.file.to_string(), line: Some(rule.line) }
}

/// A rule that is told of.
struct Told<'a> {
    rule: RuleTrace<'a>,
    /// What was noted of it when the request was decided.
    note: Option<&'a NoteKind>,
    role: Role,
    /// The smaller, the more it says about the request.
    rank: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Enforced,
    /// It would have decided, and is only tried out.
    Preview,
    Other,
}

impl<'a> Told<'a> {
    fn of(rule: RuleTrace<'a>, screened: Option<&'a Screened>) -> Self {
        let is = |record: Option<&firegate_core::armor::RuleRecord>| {
            record.is_some_and(|record| record.position == rule.position)
        };
        let role = if is(screened.and_then(|screened| screened.enforced.as_ref())) {
            Role::Enforced
        } else if is(screened.and_then(|screened| screened.preview.as_ref())) {
            Role::Preview
        } else {
            Role::Other
        };
        let notes = screened.map(|screened| screened.notes.as_slice()).unwrap_or_default();
        let note = notes.iter().find(|note| note.position == rule.position).map(|note| &note.kind);
        /// Behind every rule that came as near as any may.
        const FAR: usize = 1_000;
        let rank = match (&rule.condition, role, note) {
            (_, Role::Enforced | Role::Preview, _) => 0,
            (_, _, Some(_)) => 1,
            (ConditionTrace::Expression(trace), ..) => FAR - true_parts(trace).min(FAR - 2),
            _ => FAR + 1,
        };
        Self { rule, note, role, rank }
    }

    fn finding(&self, policy: &Policy, subject: &Subject<'_>, settings: &Settings) -> Finding {
        let RuleTrace { position, rule, condition } = &self.rule;
        let matches = match condition {
            ConditionTrace::Everything => true,
            ConditionTrace::Sources(holds) => *holds,
            ConditionTrace::Expression(trace) => outcome(trace) == Some(&Verdict::True),
            ConditionTrace::Nothing => false,
        };
        let verdict = match (self.role, self.note) {
            (Role::Enforced, _) => FindingVerdict::Matches,
            (Role::Preview, _) => FindingVerdict::Preview,
            (Role::Other, Some(_)) => FindingVerdict::NotKnown,
            // A rule that is tried out behind the first one that matched.
            (Role::Other, None) if matches && rule.preview => FindingVerdict::Preview,
            (Role::Other, None) if matches => FindingVerdict::Matches,
            (Role::Other, None) => FindingVerdict::DoesNotMatch,
        };
        let mut why = match condition {
            ConditionTrace::Everything => "it is for every request".to_owned(),
            ConditionTrace::Sources(holds) => {
                let address = subject_address(subject);
                let ranges = ranges(settings, *position);
                let is = if *holds { "is in" } else { "is in none of" };
                format!("{address} {is} {ranges}")
            }
            ConditionTrace::Expression(trace) => match outcome(trace) {
                Some(Verdict::True) => "its expression is true".to_owned(),
                Some(Verdict::False) => "its expression is false".to_owned(),
                _ => format!("its expression is no verdict: {}", trace.result),
            },
            ConditionTrace::Nothing => "the load balancer before Firegate has done what it does".to_owned(),
        };
        if matches || self.role != Role::Other {
            why.push_str(&format!("; {}", does(rule, subject)));
        }
        let what = match rule.description.as_str() {
            "" => format!("rule {}", rule.priority),
            description => format!("rule {}, {description:?}", rule.priority),
        };
        let parts = match condition {
            ConditionTrace::Expression(trace) => deciding(trace),
            _ => Vec::new(),
        };
        Finding { parts, ..Finding::new(verdict, what, Some(place(policy, rule)), why) }
    }
}

fn subject_address(subject: &Subject<'_>) -> String {
    subject.client().to_string()
}

/// The ranges of a rule, as they are written.
fn ranges(settings: &Settings, position: u32) -> String {
    let rule = settings.security_policy.as_ref().and_then(|policy| policy.rules.get(position as usize));
    match rule.map(|rule| &rule.matcher) {
        Some(Matcher::SourceRanges(ranges)) => {
            let shown = ranges.iter().take(super::super::limits::RANGES_SHOWN_MAX).map(ToString::to_string);
            let shown = shown.collect::<Vec<_>>().join(", ");
            match ranges.len().saturating_sub(super::super::limits::RANGES_SHOWN_MAX) {
                0 => shown,
                more => format!("{shown} and {more} more"),
            }
        }
        _ => "its ranges".to_owned(),
    }
}

/// What a rule does with its requests.
fn does(rule: &PolicyRule, subject: &Subject<'_>) -> String {
    let redirect = |redirect: &Redirect| match redirect {
        Redirect::External(url) => format!("a redirect to {url}"),
        Redirect::GoogleRecaptcha => "reCAPTCHA, which Firegate cannot ask".to_owned(),
    };
    let does = match (&rule.action, rule.action.rate_limit(), rule.limits()) {
        (Action::Allow, ..) => "it ends the policy and grants nothing".to_owned(),
        (Action::Deny(status), ..) => format!("it refuses with {}", status.code()),
        (Action::Redirect(to), ..) => format!("it answers with {}", redirect(to)),
        (_, Some(limit), Some(limits)) => {
            let exceed = match &limit.exceed {
                Exceed::Deny(status) => status.code().to_string(),
                Exceed::Redirect(to) => redirect(to),
            };
            let (count, key) = (limits.threshold.count(), rule.key_of(subject).unwrap_or_default());
            let seconds = limits.threshold.interval_ms() / 1000;
            let ban = if limits.ban.is_some() { ", and bans who comes too often" } else { "" };
            format!(
                "it lets {count} requests in {seconds} s pass for each {key} and answers the others with {exceed}{ban}; \
                 nothing is counted here, and this one is taken to be within the limit"
            )
        }
        _ => "it limits".to_owned(),
    };
    if rule.preview { format!("{does}, but is only tried out (preview)") } else { does }
}
