//! What Google takes and nobody means: rules that are never reached, conditions that do not hold what they seem to, redirects
//! that lead to themselves.

use super::super::model::{
    Action, PathMatch, PathMatcher, RedirectPath, RouteMatch, RouteRule, RulePath, Rules, Target, UrlMap,
    UrlRedirect,
};
use super::Checker;
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::{Located, Part};
use crate::limits::URL_MAP_SHADOWING_RULES_MAX;
use crate::suggestion::quoted;

impl Checker<'_> {
    pub(super) fn lint(&mut self, root: &Located<'_>, map: &UrlMap) {
        for (located, matcher) in root.list("pathMatchers").zip(&map.path_matchers) {
            match &matcher.rules {
                Rules::Paths(_) => self.lint_path_rules(&located, matcher),
                Rules::Routes(rules) => self.lint_route_rules(&located, rules),
            }
        }
    }

    fn warn(&mut self, located: &Located<'_>, code: &'static str, message: String, hint: String) {
        located.report(self.diagnostics, Part::Value, Diagnostic::warning(code, message).hint(hint));
    }

    fn lint_path_rules(&mut self, located: &Located<'_>, matcher: &PathMatcher) {
        let Rules::Paths(rules) = &matcher.rules else { return };
        let all = rules.iter().flat_map(|rule| &rule.paths).collect::<std::collections::BTreeSet<_>>();
        for (located, rule) in located.list("pathRules").zip(rules) {
            for (path, pattern) in located.list("paths").zip(&rule.paths) {
                if let RulePath::Prefix(prefix) = pattern {
                    let bare = prefix.trim_end_matches('/');
                    let wider = all.contains(&RulePath::Exact(bare.to_owned()));
                    if !bare.is_empty() && !wider && !leads_alike(&rule.action, &matcher.default) {
                        let message =
                            format!("`{prefix}*` does not match `{bare}`, which goes to the default");
                        let hint = format!("add `{bare}` to the paths, if it is meant too");
                        self.warn(&path, code::URL_MAP_BARE_PREFIX, message, hint);
                    }
                }
                if let Target::Redirect(redirect) = &rule.action.target {
                    self.lint_redirect(&path, redirect, |target| covers(pattern, target));
                }
            }
        }
    }

    fn lint_route_rules(&mut self, located: &Located<'_>, rules: &[RouteRule]) {
        // The rules are sorted by priority, the file's are not.
        let by_priority = |located: &Located<'_>| {
            let priority = located.get("priority").and_then(|priority| priority.integer())?;
            rules.iter().position(|rule| i64::from(rule.priority) == priority)
        };
        // Comparing each with each would take a second for ten thousand rules.
        let compared = rules.len() <= URL_MAP_SHADOWING_RULES_MAX;
        for located in located.list("routeRules") {
            let Some(position) = by_priority(&located) else { continue };
            let Some((rule, before)) = rules.get(position).zip(rules.get(..position)) else { continue };
            let shadow = before.iter().find(|other| {
                rule.matches.iter().all(|found| other.matches.iter().any(|wider| is_within(found, wider)))
            });
            if let Some(shadow) = shadow.filter(|_| compared) {
                let message = format!(
                    "no request reaches this rule: the one with priority {} takes all of them first",
                    shadow.priority
                );
                self.warn(
                    &located,
                    code::URL_MAP_UNREACHABLE,
                    message,
                    "give this one a smaller priority, or remove it".to_owned(),
                );
            }
            self.lint_alternatives(&located, rule);
            if let Target::Redirect(redirect) = &rule.action.target {
                let matched = |target: &str| {
                    let unconditional = rule
                        .matches
                        .iter()
                        .filter(|found| found.headers.is_empty() && found.query.is_empty());
                    unconditional.into_iter().any(|found| path_matches(&found.path, target))
                };
                self.lint_redirect(&located, redirect, matched);
            }
        }
    }

    /// `matchRules` are alternatives: a condition in a list item of its own makes the other items' conditions optional.
    fn lint_alternatives(&mut self, located: &Located<'_>, rule: &RouteRule) {
        for (number, (found, item)) in rule.matches.iter().zip(located.list("matchRules")).enumerate() {
            let is_bare = |other: &RouteMatch| other.headers.is_empty() && other.query.is_empty();
            let wider = rule.matches.iter().enumerate().find(|(other, wider)| {
                *other != number
                    && is_bare(wider)
                    && !is_bare(found)
                    && is_within_path(&found.path, &wider.path)
            });
            if let Some((other, _)) = wider {
                let message = format!(
                    "matchRules[{other}] makes the conditions of matchRules[{number}] optional: one of the items is enough"
                );
                let hint =
                    "write the path and its conditions in one item, which is and; items of the list are or"
                        .to_owned();
                self.warn(&item, code::URL_MAP_OPTIONAL_CONDITION, message, hint);
            }
        }
    }

    fn lint_redirect(
        &mut self,
        located: &Located<'_>,
        redirect: &UrlRedirect,
        matches: impl Fn(&str) -> bool,
    ) {
        let RedirectPath::Whole(path) = &redirect.path else { return };
        let path = path.split('?').next().unwrap_or_default();
        if redirect.host.is_none() && !redirect.https && matches(path) {
            let message = format!("the redirect leads to {}, which this rule redirects again", quoted(path));
            let hint = "let the rule not match the path it leads to".to_owned();
            self.warn(located, code::URL_MAP_REDIRECT, message, hint);
        }
    }
}

/// Whether two actions lead to the same services, unchanged.
fn leads_alike(one: &Action, other: &Action) -> bool {
    match (&one.target, &other.target) {
        (Target::Services(one), Target::Services(other)) => {
            let names = |action: &super::super::model::RouteAction| {
                action.services.iter().map(|service| service.service.clone()).collect::<Vec<_>>()
            };
            names(one) == names(other) && one.rewrite.path.is_none() && other.rewrite.path.is_none()
        }
        (Target::Redirect(one), Target::Redirect(other)) => one == other,
        _ => false,
    }
}

fn covers(pattern: &RulePath, path: &str) -> bool {
    match pattern {
        RulePath::Exact(exact) => exact == path,
        RulePath::Prefix(prefix) => path.starts_with(prefix.as_str()),
    }
}

fn path_matches(found: &PathMatch, path: &str) -> bool {
    match found {
        PathMatch::Prefix { prefix, .. } => path.starts_with(prefix.as_str()),
        PathMatch::Full { path: full, .. } => full == path,
        PathMatch::Template(template) => template.is_match(path),
        PathMatch::Regex(found) => found.regex.is_match(path.as_bytes()),
    }
}

/// Whether every request for which `found` holds fulfils `wider` too, as far as that is plain to see.
fn is_within(found: &RouteMatch, wider: &RouteMatch) -> bool {
    wider.headers.is_empty() && wider.query.is_empty() && is_within_path(&found.path, &wider.path)
}

fn is_within_path(found: &PathMatch, wider: &PathMatch) -> bool {
    let begins = |text: &str, prefix: &str, ignore_case: bool| {
        let start = text.get(..prefix.len());
        start.is_some_and(
            |start| if ignore_case { start.eq_ignore_ascii_case(prefix) } else { start == prefix },
        )
    };
    match (found, wider) {
        (_, PathMatch::Prefix { prefix, .. }) if matches!(prefix.as_str(), "" | "/") => true,
        (
            PathMatch::Prefix { prefix: text, ignore_case: narrow }
            | PathMatch::Full { path: text, ignore_case: narrow },
            PathMatch::Prefix { prefix, ignore_case },
        ) => (*ignore_case || !narrow) && begins(text, prefix, *ignore_case),
        (PathMatch::Template(template), PathMatch::Prefix { prefix, ignore_case }) => {
            begins(template.literal_prefix(), prefix, *ignore_case)
        }
        (PathMatch::Full { path, ignore_case: narrow }, PathMatch::Full { path: other, ignore_case }) => {
            path == other && (*ignore_case || !narrow)
        }
        (PathMatch::Full { path, ignore_case: false }, PathMatch::Template(template)) => {
            template.is_match(path)
        }
        (PathMatch::Template(template), PathMatch::Template(other)) => template == other,
        _ => false,
    }
}
