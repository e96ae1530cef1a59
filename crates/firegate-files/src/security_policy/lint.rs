//! What is sound and probably not meant, of the rules of a policy by themselves and side by side.

use std::collections::HashMap;

use ipnet::IpNet;

use super::check::Checker;
use super::matcher::is_recaptcha;
use super::model::{Action, DEFAULT_RULE_PRIORITY, Exceed, Key, Matcher, RateLimit, Redirect, Rule};
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::Located;

/// Looks at all rules, which are in the order of their priorities.
pub(super) fn rules_side_by_side(
    checker: &mut Checker<'_>,
    root: &Located<'_>,
    rules: &[(Rule, &Located<'_>)],
) {
    default_rule(checker, root, rules);
    shadows(checker, rules);
}

/// Looks at each rule by itself, and at what holds for all of them.
pub(super) fn each_rule(checker: &mut Checker<'_>, root: &Located<'_>, rules: &[(Rule, &Located<'_>)]) {
    for (rule, located) in rules {
        if let Some(limit) = rule.action.rate_limit() {
            keys(checker, located, limit);
        }
        let to_recaptcha = rule
            .action
            .rate_limit()
            .is_some_and(|limit| limit.exceed == Exceed::Redirect(Redirect::GoogleRecaptcha));
        if (is_recaptcha(&rule.action) || to_recaptcha) && !checker.attachment.evaluated_upstream {
            let message =
                "Firegate cannot ask reCAPTCHA: requests that this rule would send there are refused";
            let hint = "if the load balancer before Firegate evaluates the same policy, attach the file with \
                `assume: evaluated_upstream`: then the rule does not match";
            checker.report_field(located, "action", Diagnostic::warning(code::RECAPTCHA, message).hint(hint));
        }
    }
    user_ip_headers(checker, root);
}

/// An export always has one; a policy without allows, as one that is made without does.
fn default_rule(checker: &mut Checker<'_>, root: &Located<'_>, rules: &[(Rule, &Located<'_>)]) {
    match rules.last() {
        Some((rule, located)) if rule.priority == DEFAULT_RULE_PRIORITY => {
            if !matches!(rule.matcher, Matcher::Everything) {
                let message = "the default rule is not for all requests";
                let hint = "write `match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}`";
                checker.report_field(
                    located,
                    "match",
                    Diagnostic::error(code::DEFAULT_RULE, message).hint(hint),
                );
            }
            if rule.preview && !matches!(rule.action, Action::Allow) {
                let message = "the default rule is only tried out: requests that no rule matches are allowed";
                let hint = "remove `preview` to put it in force";
                checker.report_field(
                    located,
                    "preview",
                    Diagnostic::warning(code::DEFAULT_RULE, message).hint(hint),
                );
            }
        }
        _ => {
            let message = "there is no default rule: requests that no rule matches are allowed";
            let hint = format!(
                "add a rule of the priority {DEFAULT_RULE_PRIORITY} for all requests that says so, or `deny(403)`"
            );
            checker.report_field(root, "rules", Diagnostic::warning(code::DEFAULT_RULE, message).hint(hint));
        }
    }
}

/// What the rules before one have taken already.
#[derive(Default)]
struct Taken<'a> {
    /// The first rule that takes everything.
    everything: Option<&'a Rule>,
    /// The rule that takes a range, for every range.
    ranges: HashMap<IpNet, &'a Rule>,
    /// The rules with expressions.
    expressions: Vec<(&'a str, &'a Rule)>,
}

fn shadows(checker: &mut Checker<'_>, rules: &[(Rule, &Located<'_>)]) {
    let mut taken = Taken::default();
    for (rule, located) in rules {
        if let Some(former) = taken.by(rule) {
            report_shadow(checker, rule, located, former);
        }
        // A rule that is tried out leaves everything to those after it.
        if !rule.preview {
            taken.add(rule);
        }
    }
}

impl<'a> Taken<'a> {
    /// The rule that leaves nothing for this one.
    fn by(&self, rule: &Rule) -> Option<&'a Rule> {
        if self.everything.is_some() {
            return self.everything;
        }
        match &rule.matcher {
            Matcher::Everything => None,
            Matcher::SourceRanges(ranges) => {
                let covering = |range: &IpNet| {
                    (0..=range.prefix_len()).find_map(|length| {
                        let wider = IpNet::new(range.addr(), length).ok()?.trunc();
                        self.ranges.get(&wider).copied()
                    })
                };
                let covers = ranges.iter().map(covering);
                let covers: Option<Vec<&Rule>> = covers.collect();
                covers?.into_iter().max_by_key(|former| former.priority)
            }
            Matcher::Expression(expression) => {
                let same = self.expressions.iter().find(|(text, _)| *text == expression.text());
                same.map(|(_, former)| *former)
            }
        }
    }

    fn add(&mut self, rule: &'a Rule) {
        match &rule.matcher {
            Matcher::Everything => {
                self.everything.get_or_insert(rule);
            }
            Matcher::SourceRanges(ranges) => ranges.iter().for_each(|range| {
                self.ranges.entry(*range).or_insert(rule);
            }),
            Matcher::Expression(expression) => self.expressions.push((expression.text(), rule)),
        }
    }
}

fn report_shadow(checker: &mut Checker<'_>, rule: &Rule, located: &Located<'_>, former: &Rule) {
    let is_default = rule.priority == DEFAULT_RULE_PRIORITY;
    if is_default && matches!(rule.action, Action::Allow) {
        // It is there because it has to be, and changes nothing.
        return;
    }
    let place = format!("the rule {} in line {}", former.priority, former.line);
    let found = if former.action.rate_limit().is_some() {
        let message = format!("no request reaches this rule: {place} is a limit, and allows what conforms");
        Diagnostic::warning(code::LIMIT_ALLOWS, message)
            .hint("a limit ends the evaluation for every request that it matches; put this rule before it")
    } else {
        let message = format!("no request reaches this rule: {place} takes all of its requests");
        Diagnostic::warning(code::RULE_SHADOWED, message)
            .hint("give it a lower priority number, or remove it")
    };
    checker.report_field(located, "priority", found);
}

fn keys(checker: &mut Checker<'_>, rule: &Located<'_>, limit: &RateLimit) {
    let Some(options) = rule.get("rateLimitOptions") else { return };
    let configs: Vec<Located<'_>> = options.list("enforceOnKeyConfigs").collect();
    for (index, key) in limit.keys.iter().enumerate() {
        let at = configs.get(index).cloned().or_else(|| options.get("enforceOnKey"));
        let Some(at) = at else { continue };
        if *key == Key::XffIp {
            let message =
                "in Google, `XFF_IP` is the first address of `X-Forwarded-For`, which every client can write";
            let hint =
                "Firegate takes the address that `behind` vouches for, which is that of `IP`; write `IP`";
            checker.report(&at, Diagnostic::warning(code::CLIENT_WRITES_ADDRESS, message).hint(hint));
        } else if matches!(key, Key::TlsJa3Fingerprint | Key::TlsJa4Fingerprint) {
            if !checker.attachment.evaluated_upstream {
                let message = "Firegate does not know how a client speaks TLS: all would share one count";
                let hint = "count by `IP`; or, if the load balancer before Firegate evaluates the same policy, attach the file \
                    with `assume: evaluated_upstream`: then the rule does not match";
                checker.report(&at, Diagnostic::error(code::RATE_LIMIT_KEY, message).hint(hint));
            }
        } else if key.falls_back_to_all() && limit.keys.len() == 1 {
            let message = format!("clients without the `{}` share one count", key.type_name());
            let hint = "one of them can use up the limit of all the others; count by `IP` too, in `enforceOnKeyConfigs`";
            checker.report(&at, Diagnostic::warning(code::KEY_SHARED, message).hint(hint));
        }
    }
}

fn user_ip_headers(checker: &mut Checker<'_>, root: &Located<'_>) {
    let Some(options) = root.get("advancedOptionsConfig") else { return };
    for header in options.list("userIpRequestHeaders") {
        if header.text().is_some_and(|name| name.eq_ignore_ascii_case("x-forwarded-for")) {
            let message = "clients can write elements of `X-Forwarded-For` themselves";
            let hint =
                "Firegate takes the address that `behind` vouches for, and nothing that stands before it";
            checker.report(&header, Diagnostic::note(code::CLIENT_WRITES_ADDRESS, message).hint(hint));
        }
    }
}
