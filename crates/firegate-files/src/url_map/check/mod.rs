//! From a URL map's file to the checked map, a file for each part of it. Every problem is reported; no check stops another.
//! What Google would take, and nobody means, is told by `lint`.

mod action;
mod condition;
mod error_policy;
mod header;
mod host;
mod lint;
mod map_test;
mod rewrite;
mod rules;

pub(crate) use condition::is_header_name;
pub(crate) use header::header_value;

use std::collections::BTreeSet;

use firegate_expr::Dialect;
use regex::bytes::{Regex, RegexBuilder};

use super::format::URL_MAP;
use super::model::{PathMatcher, RulePlace, UrlMap};
use super::service::ServiceName;
use crate::diagnostic::{Diagnostic, Diagnostics, code};
use crate::google_file::{GoogleFile, Located, Part};
use crate::limits::{
    URL_MAP_REGEX_BYTES_MAX, URL_MAP_REGEXES_MAX, URL_MAP_TESTS_MAX, URL_MAP_TEXT_CHARACTERS_MAX,
};
use crate::suggestion::quoted;

/// Reads a URL map. `name` is what the diagnostics call the file. `backends` are the services there are, if that is known: a
/// map that names another is refused. There is none if the file has errors, which are in `diagnostics` then.
pub fn parse(
    name: &str,
    text: &str,
    dialect: Dialect,
    backends: Option<&[String]>,
    diagnostics: &mut Diagnostics,
) -> Option<UrlMap> {
    let mut found = Diagnostics::new();
    let map = GoogleFile::parse(name, text, &URL_MAP, &mut found).and_then(|file| {
        let root = file.root();
        // Google's regional load balancers have regular expressions, the global ones do not.
        let is_regional = root.get("region").is_some()
            || root
                .get("selfLink")
                .is_some_and(|link| link.text().is_some_and(|link| link.contains("/regions/")));
        let has_regex = is_regional || dialect == Dialect::Firegate;
        let mut checker = Checker {
            dialect,
            has_regex,
            regexes: 0,
            backends,
            error_service: None,
            diagnostics: &mut found,
        };
        checker.map(&file, &root)
    });
    let map = map.filter(|_| !found.has_errors());
    diagnostics.append(found);
    map
}

struct Checker<'a> {
    dialect: Dialect,
    has_regex: bool,
    regexes: usize,
    backends: Option<&'a [String]>,
    /// The service with the pages of errors that the levels above say.
    error_service: Option<ServiceName>,
    diagnostics: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn map(&mut self, file: &GoogleFile, root: &Located<'_>) -> Option<UrlMap> {
        self.error_service = self.error_service_below(root);
        let path_matchers = self.path_matchers(root);
        let names = root.list("pathMatchers").map(|matcher| matcher.get("name").and_then(|name| name.text()));
        let names = names.collect::<Vec<_>>();
        let host_rules = self.host_rules(root, &names);
        let default = self.default_action(root);
        let header_action = self.header_action(root.get("headerAction"));
        let tests = self.tests(root);
        let name = root.get("name").and_then(|name| name.text()).unwrap_or_default().to_owned();
        let file = file.name().clone();
        let map = UrlMap {
            file,
            name,
            host_rules,
            path_matchers: path_matchers?,
            default: default?,
            header_action,
            tests,
        };
        self.lint(root, &map);
        Some(map)
    }

    fn path_matchers(&mut self, root: &Located<'_>) -> Option<Vec<PathMatcher>> {
        let mut seen = BTreeSet::new();
        let mut checked = Some(Vec::new());
        for matcher in root.list("pathMatchers") {
            let name = matcher.get("name").and_then(|name| name.text()).unwrap_or_default();
            if name.is_empty() {
                self.error_in(
                    &matcher,
                    "name",
                    code::URL_MAP_PATH_MATCHER,
                    "the path matcher has no `name`",
                    "host rules refer to it by its name",
                );
            } else if !seen.insert(name) {
                self.error_in(
                    &matcher,
                    "name",
                    code::URL_MAP_PATH_MATCHER,
                    format!("there is another path matcher {}", quoted(name)),
                    "rename one of them",
                );
            }
            let has_paths = matcher.list("pathRules").next().is_some();
            if let Some(routes) =
                matcher.get("routeRules").filter(|routes| has_paths && routes.elements().next().is_some())
            {
                self.error(
                    &routes,
                    code::URL_MAP_RULES,
                    "`pathRules` and `routeRules` exclude each other",
                    "move the path rules into route rules with priorities, or keep one of the lists",
                );
            }
            let below = self.error_service_below(&matcher);
            let above = std::mem::replace(&mut self.error_service, below);
            let rules = if has_paths { self.path_rules(&matcher) } else { self.route_rules(&matcher) };
            let default = self.default_action(&matcher);
            self.error_service = above;
            let header_action = self.header_action(matcher.get("headerAction"));
            match (&mut checked, rules, default) {
                (Some(matchers), Some(rules), Some(default)) => {
                    matchers.push(PathMatcher { name: name.to_owned(), rules, default, header_action });
                }
                _ => checked = None,
            }
        }
        checked
    }

    /// A regular expression that matches the whole of a text, of which bytes are looked at as RE2's Latin-1 does.
    fn whole_regex(&mut self, located: &Located<'_>) -> Option<Regex> {
        let text = located.text()?;
        self.regex(located, &format!("^(?:{text})$"))
    }

    fn regex(&mut self, located: &Located<'_>, pattern: &str) -> Option<Regex> {
        if !self.has_regex {
            let message = "Google's global load balancers take no regular expressions";
            self.error(
                located,
                code::URL_MAP_REGEX,
                message,
                "use `pathTemplateMatch` or a prefix; or attach the map with `dialect: firegate`",
            );
            return None;
        }
        self.regexes += 1;
        if self.regexes > URL_MAP_REGEXES_MAX {
            let message = format!("the map has more than {URL_MAP_REGEXES_MAX} regular expressions");
            self.error(
                located,
                code::URL_MAP_REGEX,
                message,
                "use templates or prefixes: they are found without being tried one by one",
            );
            return None;
        }
        self.compiled(located, pattern)
    }

    fn compiled(&mut self, located: &Located<'_>, pattern: &str) -> Option<Regex> {
        let built = RegexBuilder::new(pattern).unicode(false).size_limit(URL_MAP_REGEX_BYTES_MAX).build();
        match built {
            Ok(regex) => Some(regex),
            Err(error) => {
                let text = error.to_string();
                let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.error(
                    located,
                    code::URL_MAP_REGEX,
                    format!("this is no regular expression of RE2's: {why}"),
                    "see https://github.com/google/re2/wiki/Syntax",
                );
                None
            }
        }
    }

    /// Whether a text is longer than Google takes.
    fn is_too_long(&self, text: &str) -> bool {
        text.chars().count() > URL_MAP_TEXT_CHARACTERS_MAX
    }

    fn is_gcloud(&self) -> bool {
        self.dialect == Dialect::Gcloud
    }

    fn error(
        &mut self,
        located: &Located<'_>,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        located.report(self.diagnostics, Part::Value, Diagnostic::error(code, message).hint(hint));
    }

    /// Reports something about the field `name`, which may be missing.
    fn error_in(
        &mut self,
        located: &Located<'_>,
        name: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        located.report_field(name, self.diagnostics, Diagnostic::error(code, message).hint(hint));
    }

    fn tests(&mut self, root: &Located<'_>) -> Vec<super::MapTest> {
        let count = root.list("tests").count();
        if self.is_gcloud() && count > URL_MAP_TESTS_MAX {
            let message = format!("the map has {count} tests, the most is {URL_MAP_TESTS_MAX}");
            self.error_in(
                root,
                "tests",
                code::URL_MAP_LIMIT,
                message,
                "remove some, or attach the map with `dialect: firegate`",
            );
        }
        root.list("tests").filter_map(|test| self.test(&test)).collect()
    }
}

/// The names of the fields that say what is done, in a rule or in a default.
struct Fields {
    service: &'static str,
    redirect: &'static str,
    action: &'static str,
    errors: &'static str,
}

impl Fields {
    const RULE: Self = Self {
        service: "service",
        redirect: "urlRedirect",
        action: "routeAction",
        errors: "customErrorResponsePolicy",
    };
    const DEFAULT: Self = Self {
        service: "defaultService",
        redirect: "defaultUrlRedirect",
        action: "defaultRouteAction",
        errors: "defaultCustomErrorResponsePolicy",
    };
}

/// Where a message stands: where its first field does.
fn place(located: &Located<'_>) -> RulePlace {
    let line = located.beginning().map_or(1, |place| place.line);
    RulePlace { path: located.path().to_string(), line }
}
