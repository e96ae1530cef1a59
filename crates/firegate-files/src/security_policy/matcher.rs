//! Which requests a rule is for.

use std::sync::Arc;

use firegate_expr::{Expression, ExpressionError, Language};
use ipnet::IpNet;

use super::check::Checker;
use super::model::{Action, Matcher, Redirect};
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::Located;
use crate::limits::GOOGLE_SOURCE_RANGES_MAX;
use crate::suggestion::quoted;

/// What to do about a file that only Firegate can read.
pub(super) const FIREGATE_ONLY_HINT: &str = "attach the file with `security_policy: { file: …, dialect: firegate }`; Google \
    refuses it, and evaluates none of it";

/// Reads `match`.
pub(super) fn read(
    checker: &mut Checker<'_>,
    rule: &Located<'_>,
    action: Option<&Action>,
) -> Option<Matcher> {
    let Some(given) = rule.get("match") else {
        let found = Diagnostic::error(code::RULE_MATCH, "the rule does not say which requests it is for")
            .hint("add `match: {versionedExpr: SRC_IPS_V1, config: {srcIpRanges: ['*']}}` for all");
        checker.report_field(rule, "match", found);
        return None;
    };
    match (given.get("expr"), given.get("versionedExpr"), given.get("config")) {
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            let message = "`expr` and the ranges of `config` exclude each other";
            let hint = "keep one of them; an expression asks for addresses by `inIpRange(origin.ip, '…')`";
            checker.report(&other, Diagnostic::error(code::RULE_MATCH, message).hint(hint));
            None
        }
        (Some(expr), None, None) => expression(checker, &expr, action),
        (None, version, Some(config)) => {
            if version.is_none() {
                let message = "`config` has no effect without `versionedExpr`";
                let hint = "add `versionedExpr: SRC_IPS_V1`";
                checker.report(&config, Diagnostic::error(code::RULE_MATCH, message).hint(hint));
            }
            ranges(checker, &config)
        }
        (None, _, None) => {
            let message = "`match` has neither an `expr` nor the ranges of a `config`";
            let hint = "add `config: {srcIpRanges: […]}`";
            // An old form was reported already.
            if given.get("srcIpRanges").is_none() {
                checker.report(&given, Diagnostic::error(code::RULE_MATCH, message).hint(hint));
            }
            None
        }
    }
}

fn ranges(checker: &mut Checker<'_>, config: &Located<'_>) -> Option<Matcher> {
    let elements: Vec<Located<'_>> = config.list("srcIpRanges").collect();
    let Some(list) = config.get("srcIpRanges").filter(|_| !elements.is_empty()) else {
        let message = "the rule is for no address";
        let hint = "list ranges in `srcIpRanges`, or `'*'` for all";
        checker.report_field(
            config,
            "srcIpRanges",
            Diagnostic::error(code::SOURCE_RANGE, message).hint(hint),
        );
        return None;
    };
    if elements.len() > GOOGLE_SOURCE_RANGES_MAX {
        let message =
            format!("{} ranges are more than Google's {GOOGLE_SOURCE_RANGES_MAX} for a rule", elements.len());
        checker.google_limit(&list, message, "make several rules of it");
    }
    let mut ranges = Some(Vec::with_capacity(elements.len()));
    let mut has_everything = false;
    for element in &elements {
        let text = element.text()?;
        if text == "*" {
            has_everything = true;
            continue;
        }
        match (range(text), &mut ranges) {
            (Ok((range, exact)), ranges) => {
                if !exact {
                    let message = format!("{} has bits behind its prefix, which do not count", quoted(text));
                    let hint = format!("write `{range}`");
                    checker.report(element, Diagnostic::warning(code::SOURCE_RANGE, message).hint(hint));
                }
                if let Some(ranges) = ranges {
                    ranges.push(range);
                }
            }
            (Err(()), ranges) => {
                let message = format!("{} is no range of addresses", quoted(text));
                let hint = "write for example `203.0.113.0/24`, `2001:db8::/32`, or `*` for all";
                checker.report(element, Diagnostic::error(code::SOURCE_RANGE, message).hint(hint));
                *ranges = None;
            }
        }
    }
    let ranges = ranges?;
    let is_everything = has_everything || covers_everything(&ranges);
    Some(if is_everything { Matcher::Everything } else { Matcher::SourceRanges(ranges) })
}

/// A range, or an address as one, and whether it was written as the range that it is. IPv4 addresses within IPv6 are IPv4.
fn range(text: &str) -> Result<(IpNet, bool), ()> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok((IpNet::from(address.to_canonical()), true));
    }
    let net: IpNet = text.parse().map_err(|_| ())?;
    let range = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(net, IpNet::V4),
            None => net,
        },
        _ => net,
    };
    Ok((range.trunc(), range.trunc() == range))
}

fn covers_everything(ranges: &[IpNet]) -> bool {
    let all = |is_v4: bool| {
        ranges.iter().any(|range| range.prefix_len() == 0 && matches!(range, IpNet::V4(_)) == is_v4)
    };
    all(true) && all(false)
}

fn expression(checker: &mut Checker<'_>, expr: &Located<'_>, action: Option<&Action>) -> Option<Matcher> {
    let Some(given) = expr.get("expression") else {
        let message = "`expr` has no `expression`";
        checker.report_field(expr, "expression", Diagnostic::error(code::RULE_MATCH, message));
        return None;
    };
    let expression = match Expression::parse(given.text()?, Language::Armor, checker.attachment.dialect) {
        Ok(expression) => expression,
        Err(errors) => {
            for ExpressionError { span, code, message, hint } in errors {
                let only_firegate = code == firegate_expr::code::FIREGATE_ONLY;
                let hint = if only_firegate { Some(FIREGATE_ONLY_HINT.to_owned()) } else { hint };
                let found = Diagnostic::error(code, message).hint_if(hint);
                given.report_within(checker.diagnostics, span, found);
            }
            return None;
        }
    };
    expression_lints(checker, &given, &expression, action);
    // `true` is how a rule for everything is written as an expression.
    Some(if expression.is_always_true() {
        Matcher::Everything
    } else {
        Matcher::Expression(Arc::new(expression))
    })
}

/// What is sound and probably not meant. What is not evaluated is an error where nothing else would stop the request.
fn expression_lints(
    checker: &mut Checker<'_>,
    given: &Located<'_>,
    expression: &Expression,
    action: Option<&Action>,
) {
    let upstream = checker.attachment.evaluated_upstream;
    let refuses = !checker.is_gcloud() && action.is_some_and(|action| !matches!(action, Action::Allow));
    let by_an_error = if refuses { "refuses" } else { "does not match" };
    let mut lints = expression.lints();
    if !checker.attachment.may_see_encoded_slash {
        lints.extend(expression.encoded_slash_lints());
    }
    for lint in lints {
        use firegate_expr::code::{ENCODED_SLASH, HAS_MISSING, NOT_EVALUATED, NOT_NORMAL, UNKNOWN_NEGATED};
        let is_upstreams = matches!(lint.code, NOT_EVALUATED | UNKNOWN_NEGATED | NOT_NORMAL | ENCODED_SLASH);
        let found = match lint.code {
            // A load balancer knows what is unknown here, and sees the path as it was sent.
            _ if is_upstreams && upstream => continue,
            UNKNOWN_NEGATED => Diagnostic::error(lint.code, lint.message),
            HAS_MISSING => {
                Diagnostic::warning(lint.code, format!("{}, and the rule {by_an_error}", lint.message))
            }
            NOT_EVALUATED => Diagnostic::note(lint.code, lint.message),
            _ => Diagnostic::warning(lint.code, lint.message),
        };
        given.report_within(checker.diagnostics, lint.span, found.hint_if(lint.hint));
    }
    let unknown = expression.unknown_functions();
    if let (Some(name), Some(Action::Allow), false) = (unknown.first(), action, upstream) {
        let message =
            format!("this rule allows by `{name}`, which Firegate does not evaluate: it never matches");
        let hint = "if the load balancer before Firegate evaluates the same policy, attach the file with \
            `assume: evaluated_upstream`";
        checker.report(given, Diagnostic::error(code::RULE_NOT_EVALUATED, message).hint(hint));
    }
}

/// Whether a redirect goes to a page that Firegate cannot send anybody to.
pub(super) fn is_recaptcha(action: &Action) -> bool {
    matches!(action, Action::Redirect(Redirect::GoogleRecaptcha))
}
