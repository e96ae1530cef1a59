//! A policy, compiled: what of it does not depend on a request is done once.

use std::sync::Arc;

use firegate_expr::{Attribute, Dialect, Expression};
use firegate_files::configuration::{RateLimitSettings, RateLimits};
use firegate_files::header_names;
use firegate_files::security_policy::{
    self, Action, Exceed, Key, Matcher, RateLimit as LimitSource, Redirect, SecurityPolicy,
};
use http::{HeaderName, HeaderValue};

use super::source_index::SourceIndex;
use crate::limiter::{Ban, Limits, RateLimit, RateLimitDescription, RuleLabel, Threshold};
use crate::method_override::is_method_override;

/// A backend's policy.
#[derive(Debug)]
pub struct Policy {
    /// Its name, as logs show it.
    pub name: String,
    /// The backend that it is for; the services that one URL mask leads to are one.
    pub backend: String,
    /// The file that it was read from.
    pub file: Arc<str>,
    pub(super) rules: Vec<PolicyRule>,
    pub(super) sources: SourceIndex,
    /// The positions of the rules that are not found by an address.
    pub(super) others: Vec<u32>,
    pub(super) user_ip_headers: Vec<HeaderName>,
    /// Whether any rule asks which app calls.
    asks_for_app: bool,
}

/// A rule.
#[derive(Debug)]
pub struct PolicyRule {
    /// Its priority.
    pub priority: u32,
    /// The line of the file that it begins in.
    pub line: usize,
    /// What it is for, as its author says.
    pub description: String,
    /// Whether it is only tried out.
    pub preview: bool,
    /// What becomes of its requests.
    pub action: Action,
    pub(super) condition: Condition,
    /// What counts its requests, if it limits.
    pub(super) limit: Option<CompiledLimit>,
    /// Where its requests are sent, if they are.
    pub(super) location: Option<HeaderValue>,
    /// Set in a request that it allows.
    pub(super) request_headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether an expression that fails refuses: in a rule that refuses or limits, in dialect `firegate`.
    pub(super) is_strict: bool,
}

/// Which requests a rule is for.
#[derive(Debug)]
pub(super) enum Condition {
    /// All.
    Everything,
    /// Those that the index finds.
    Sources,
    /// Those for which it is true.
    Expression(Arc<Expression>),
    /// None: what it does was done by the load balancer before, and cannot be done here.
    Nothing,
}

/// A limit that counts.
#[derive(Debug)]
pub(super) struct CompiledLimit {
    pub(super) limit: Arc<RateLimit>,
    pub(super) keys: Vec<Key>,
    pub(super) needs_user: bool,
    pub(super) exceed: Exceed,
    pub(super) location: Option<HeaderValue>,
}

impl Policy {
    /// Compiles a checked policy for a backend: limits are counted for each backend apart, as in Google.
    pub fn compile(policy: &SecurityPolicy, backend: &str, settings: &RateLimits) -> Self {
        let mut sources = SourceIndex::default();
        let mut others = Vec::new();
        let mut rules = Vec::with_capacity(policy.rules.len());
        for (position, rule) in (0_u32..).zip(&policy.rules) {
            let compiled = PolicyRule::compile(policy, rule, backend, settings);
            match (&compiled.condition, &rule.matcher) {
                (Condition::Sources, Matcher::SourceRanges(ranges)) => {
                    ranges.iter().for_each(|range| sources.add(range, position));
                }
                (Condition::Nothing, _) => {}
                _ => others.push(position),
            }
            rules.push(compiled);
        }
        let names = policy.user_ip_request_headers.iter();
        Self {
            name: policy.name.clone(),
            backend: backend.to_owned(),
            file: Arc::clone(&policy.file),
            sources,
            others,
            user_ip_headers: names.filter_map(|name| name.parse().ok()).collect(),
            asks_for_app: rules.iter().any(PolicyRule::asks_for_app),
            rules,
        }
    }

    /// Its rules, in the order in which they are looked at.
    pub fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    /// The rule that stands at a position of a record.
    pub fn rule(&self, position: u32) -> Option<&PolicyRule> {
        self.rules.get(position as usize)
    }

    /// Whether headers may name the user's address.
    pub fn reads_user_ip_from_headers(&self) -> bool {
        !self.user_ip_headers.is_empty()
    }

    /// The file and line of a rule.
    pub fn place_of(&self, rule: &PolicyRule) -> String {
        format!("{}:{}", self.file, rule.line)
    }

    /// Whether a header is one of those that its rules read or count by, or that they set, under whatever name servers may take
    /// for its own.
    pub(crate) fn decides_about(&self, header: &HeaderName) -> bool {
        let is_it = |name: &str| header_names::are_alike(name, header.as_str());
        self.rules.iter().any(|rule| {
            let mut keys = rule.limit.iter().flat_map(|limit| &limit.keys);
            let of_expression = |expression: &Expression| {
                let reads_method = || expression.reads_attribute(Attribute::RequestMethod);
                expression.headers().any(is_it) || is_method_override(header) && reads_method()
            };
            rule.expression().is_some_and(of_expression)
                || keys.any(|key| matches!(key, Key::HttpHeader(name) if is_it(name)))
                || rule.request_headers.iter().any(|(name, _)| is_it(name.as_str()))
        })
    }

    /// Whether any rule asks which app calls, beside which user.
    pub(crate) fn asks_for_app(&self) -> bool {
        self.asks_for_app
    }

    /// What its limits count by, so that counters can know them.
    pub fn rate_limits(&self) -> impl Iterator<Item = &Arc<RateLimit>> {
        self.rules.iter().filter_map(|rule| rule.limit.as_ref()).map(|compiled| &compiled.limit)
    }
}

impl PolicyRule {
    fn compile(
        policy: &SecurityPolicy,
        rule: &security_policy::Rule,
        backend: &str,
        settings: &RateLimits,
    ) -> Self {
        let settings = settings.rules.get(&rule.priority).copied().unwrap_or(settings.default);
        let condition = match &rule.matcher {
            _ if policy.evaluated_upstream && was_done_upstream(&rule.action) => Condition::Nothing,
            Matcher::Everything => Condition::Everything,
            Matcher::SourceRanges(_) => Condition::Sources,
            Matcher::Expression(expression) => Condition::Expression(Arc::clone(expression)),
        };
        let headers = rule.request_headers.iter();
        Self {
            priority: rule.priority,
            line: rule.line,
            description: rule.description.clone(),
            preview: rule.preview,
            condition,
            limit: rule
                .action
                .rate_limit()
                .map(|limit| CompiledLimit::compile(policy, rule, limit, backend, settings)),
            location: match &rule.action {
                Action::Redirect(redirect) => location(redirect),
                _ => None,
            },
            request_headers: headers
                .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
                .collect(),
            is_strict: policy.dialect == Dialect::Firegate && !matches!(rule.action, Action::Allow),
            action: rule.action.clone(),
        }
    }

    fn asks_for_app(&self) -> bool {
        let by_key = self.limit.as_ref().is_some_and(|limit| limit.keys.contains(&Key::AppId));
        let by_expression = match &self.condition {
            Condition::Expression(expression) => expression.reads_attribute(Attribute::AuthAppId),
            _ => false,
        };
        by_key || by_expression
    }

    /// Its expression, if it has one.
    pub fn expression(&self) -> Option<&Expression> {
        match &self.condition {
            Condition::Expression(expression) => Some(expression),
            _ => None,
        }
    }
}

/// Whether a rule does what Firegate cannot, so that only a load balancer before it can have done it.
fn was_done_upstream(action: &Action) -> bool {
    let to_recaptcha = |redirect: &Redirect| *redirect == Redirect::GoogleRecaptcha;
    match action {
        Action::Redirect(redirect) => to_recaptcha(redirect),
        Action::Throttle(limit) | Action::RateBasedBan(limit, _) => {
            limit.keys.iter().any(|key| matches!(key, Key::TlsJa3Fingerprint | Key::TlsJa4Fingerprint))
        }
        Action::Allow | Action::Deny(_) => false,
    }
}

fn location(redirect: &Redirect) -> Option<HeaderValue> {
    match redirect {
        Redirect::External(url) => url.as_str().parse().ok(),
        Redirect::GoogleRecaptcha => None,
    }
}

impl CompiledLimit {
    fn compile(
        policy: &SecurityPolicy,
        rule: &security_policy::Rule,
        limit: &LimitSource,
        backend: &str,
        settings: RateLimitSettings,
    ) -> Self {
        let label =
            RuleLabel { backend: backend.to_owned(), policy: policy.name.clone(), priority: rule.priority };
        let threshold =
            |threshold: security_policy::Threshold| Threshold::new(threshold.count, threshold.interval);
        let ban = match &rule.action {
            Action::RateBasedBan(_, ban) => Some(Ban::new(ban.threshold.map(threshold), ban.duration)),
            _ => None,
        };
        // What a rule is for is part of what it counts: another condition begins at nothing.
        let matcher = match &rule.matcher {
            Matcher::Everything => "*".to_owned(),
            Matcher::SourceRanges(ranges) => format!("{ranges:?}"),
            Matcher::Expression(expression) => expression.text().to_owned(),
        };
        let rest = format!("{matcher:?} {:?} {:?}", limit.keys, limit.exceed);
        let description = RateLimitDescription {
            label: &label,
            limits: Limits { threshold: threshold(limit.threshold), ban, algorithm: settings.algorithm },
            rule: rest.as_bytes(),
            preview: rule.preview,
            on_store_failure: settings.on_store_failure,
        };
        Self {
            limit: Arc::new(RateLimit::new(&description)),
            keys: limit.keys.clone(),
            needs_user: limit.keys.iter().any(Key::is_of_user),
            exceed: limit.exceed.clone(),
            location: match &limit.exceed {
                Exceed::Redirect(redirect) => location(redirect),
                Exceed::Deny(_) => None,
            },
        }
    }
}
