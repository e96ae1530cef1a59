//! The rules of a path matcher.

use std::collections::BTreeMap;

use super::super::model::{PathRule, RouteRule, RulePath, Rules};
use super::{Checker, Fields};
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::{Located, Part};
use crate::suggestion::quoted;

impl Checker<'_> {
    pub(super) fn path_rules(&mut self, matcher: &Located<'_>) -> Option<Rules> {
        let mut seen: BTreeMap<RulePath, String> = BTreeMap::new();
        let mut checked = Some(Vec::new());
        for rule in matcher.list("pathRules") {
            let mut paths = Vec::new();
            for path in rule.list("paths") {
                let Some(pattern) = self.rule_path(&path) else { continue };
                if let Some(first) = seen.insert(pattern.clone(), path.path().to_string()) {
                    let message = format!(
                        "the path {} stands in `{first}` too",
                        quoted(path.text().unwrap_or_default())
                    );
                    self.error(&path, code::URL_MAP_PATH, message, "remove one of them");
                }
                paths.push(pattern);
            }
            if rule.list("paths").next().is_none() {
                self.error_in(
                    &rule,
                    "paths",
                    code::URL_MAP_PATH,
                    "the path rule has no `paths`",
                    "add one, for example `/api/*`",
                );
            }
            match (&mut checked, self.action(&rule, &Fields::RULE)) {
                (Some(rules), Some(action)) => rules.push(PathRule { paths, action }),
                _ => checked = None,
            }
        }
        checked.map(Rules::Paths)
    }

    /// The path of a path rule: exact, or with `/*` at its end.
    fn rule_path(&mut self, path: &Located<'_>) -> Option<RulePath> {
        let text = path.text()?;
        let (base, is_prefix) = match text.strip_suffix("/*") {
            Some(base) => (format!("{base}/"), true),
            None => (text.to_owned(), false),
        };
        let wrong = |why: &str| Some(format!("{} is not the path of a rule: {why}", quoted(text)));
        let found = if !text.starts_with('/') {
            wrong("it does not begin with `/`")
        } else if base.contains('*') {
            wrong("`*` stands only at the end, after `/`")
        } else if base.contains(['?', '#']) {
            wrong("it has a query or fragment, which are cut off before paths are compared")
        } else if self.is_too_long(text) {
            wrong("it is too long")
        } else {
            None
        };
        if let Some(message) = found {
            let hint = "write an exact path such as `/status`, or a prefix such as `/public/*`; wildcards elsewhere need route rules with `pathTemplateMatch`";
            self.error(path, code::URL_MAP_PATH, message, hint);
            return None;
        }
        self.warn_of_a_path_that_is_not_normal(path, &base);
        Some(if is_prefix { RulePath::Prefix(base) } else { RulePath::Exact(base) })
    }

    pub(super) fn route_rules(&mut self, matcher: &Located<'_>) -> Option<Rules> {
        let mut seen: BTreeMap<u32, String> = BTreeMap::new();
        let mut checked = Some(Vec::new());
        for rule in matcher.list("routeRules") {
            let priority = self.priority(&rule);
            if let Some(first) = priority.and_then(|priority| seen.insert(priority, rule.path().to_string()))
            {
                self.error_in(
                    &rule,
                    "priority",
                    code::URL_MAP_RULES,
                    format!("`{first}` has the same priority"),
                    "every rule of a path matcher has a priority of its own",
                );
            }
            let matches = self.matches(&rule);
            let action = self.action(&rule, &Fields::RULE);
            let header_action = self.header_action(rule.get("headerAction"));
            match (&mut checked, priority, matches, action) {
                (Some(rules), Some(priority), Some(matches), Some(action)) => {
                    rules.push(RouteRule { priority, matches, action, header_action });
                }
                _ => checked = None,
            }
        }
        let mut rules = checked?;
        rules.sort_by_key(|rule| rule.priority);
        Some(Rules::Routes(rules))
    }

    fn priority(&mut self, rule: &Located<'_>) -> Option<u32> {
        let given = rule.get("priority").and_then(|priority| priority.integer());
        let priority = given
            .and_then(|priority| u32::try_from(priority).ok())
            .filter(|number| *number <= i32::MAX as u32);
        if priority.is_none() {
            let message = if given.is_some() {
                "the priority is out of range"
            } else {
                "the route rule has no `priority`"
            };
            self.error_in(
                rule,
                "priority",
                code::URL_MAP_RULES,
                message,
                "write a whole number from 0 to 2147483647; the smallest is tried first",
            );
        }
        priority
    }

    /// A pattern that a request's path can never be like, because paths are normalised before they are compared.
    pub(super) fn warn_of_a_path_that_is_not_normal(&mut self, located: &Located<'_>, path: &str) {
        let is_dot = |segment: &str| matches!(segment, "." | "..");
        if path.contains("//") || path.contains('\\') || path.split('/').any(is_dot) {
            let message = format!(
                "no request has the path {}: paths are normalised before they are compared",
                quoted(path)
            );
            let finding = Diagnostic::warning(code::URL_MAP_UNREACHABLE, message);
            located.report(
                self.diagnostics,
                Part::Value,
                finding.hint("write it without `//`, `\\`, `.` and `..`"),
            );
        }
    }
}
