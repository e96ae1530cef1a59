//! From a URL map's file to the checked map. Every problem is reported; no check stops another.

mod action;
mod condition;
mod error_policy;
mod header;
mod lint;
mod map_test;

pub(crate) use condition::is_header_name;
pub(crate) use header::header_value;

use std::collections::{BTreeMap, BTreeSet};

use regex::bytes::{Regex, RegexBuilder};

use super::format::URL_MAP;
use super::model::{
    HostPattern, HostRule, PathMatcher, PathRule, RouteRule, RulePath, RulePlace, Rules, UrlMap,
};
use super::service::ServiceName;
use crate::configuration::Dialect;
use crate::diagnostic::{Diagnostic, Diagnostics, code};
use crate::google_file::{GoogleFile, Located, Part};
use crate::limits::{
    URL_MAP_HOST_CHARACTERS_MAX, URL_MAP_REGEX_BYTES_MAX, URL_MAP_REGEXES_MAX, URL_MAP_TESTS_MAX,
    URL_MAP_TEXT_CHARACTERS_MAX,
};
use crate::suggestion::{alternatives, nearest, quoted};

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

    fn host_rules(&mut self, root: &Located<'_>, matchers: &[Option<&str>]) -> Vec<HostRule> {
        let mut seen: BTreeMap<HostPattern, String> = BTreeMap::new();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut rules = Vec::new();
        for rule in root.list("hostRules") {
            let mut hosts = Vec::new();
            for host in rule.list("hosts") {
                let Some(pattern) = self.host(&host) else { continue };
                if let Some(first) = seen.insert(pattern.clone(), host.path().to_string()) {
                    let message = format!(
                        "the host {} stands in `{first}` too",
                        quoted(host.text().unwrap_or_default())
                    );
                    self.error(&host, code::URL_MAP_HOST, message, "a host may be in one host rule only");
                }
                hosts.push(pattern);
            }
            if rule.get("hosts").is_none_or(|hosts| hosts.elements().next().is_none()) {
                self.error_in(
                    &rule,
                    "hosts",
                    code::URL_MAP_HOST,
                    "the host rule has no `hosts`",
                    "add `hosts: ['*']` for all",
                );
            }
            let Some(matcher) = rule.get("pathMatcher") else {
                self.error_in(
                    &rule,
                    "pathMatcher",
                    code::URL_MAP_PATH_MATCHER,
                    "the host rule has no `pathMatcher`",
                    "add the name of one",
                );
                continue;
            };
            let name = matcher.text().unwrap_or_default();
            let Some(path_matcher) = matchers.iter().position(|known| *known == Some(name)) else {
                let known = matchers.iter().copied().flatten();
                let hint = match nearest(name, known.clone()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the path matchers are {}", alternatives(known)),
                };
                self.error(
                    &matcher,
                    code::URL_MAP_PATH_MATCHER,
                    format!("there is no path matcher {}", quoted(name)),
                    hint,
                );
                continue;
            };
            used.insert(path_matcher);
            rules.push(HostRule { hosts, path_matcher, place: place(&rule) });
        }
        for (number, matcher) in root.list("pathMatchers").enumerate() {
            if !used.contains(&number) {
                let message = "no host rule leads to this path matcher";
                let finding = Diagnostic::warning(code::URL_MAP_PATH_MATCHER, message);
                matcher.report_field(
                    "name",
                    self.diagnostics,
                    finding.hint("add it to a host rule, or remove it"),
                );
            }
        }
        rules
    }

    /// A host of a host rule: `*`, a name that may begin with `*.` or `*-`, and perhaps a port.
    fn host(&mut self, host: &Located<'_>) -> Option<HostPattern> {
        let text = host.text()?;
        let wrong =
            |why: &str, hint: &str| Some((format!("{} is not a host: {why}", quoted(text)), hint.to_owned()));
        let (end, is_wildcard) = text.strip_prefix('*').map_or((text, false), |end| (end, true));
        let name = end.split_once(':').map_or(end, |(name, _)| name);
        let port = end.split_once(':').map(|(_, port)| port);
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        let found = if text.chars().count() > URL_MAP_HOST_CHARACTERS_MAX {
            wrong("it is too long", "a host has 255 characters at most")
        } else if end.contains('*') {
            wrong("`*` stands only at the beginning", "write `*.example.com`")
        } else if is_wildcard && !end.is_empty() && !end.starts_with(['.', '-']) {
            wrong("what follows `*` begins with `.` or `-`", "write `*.example.com` or `*-dev.example.com`")
        } else if end.contains('/') {
            wrong("it holds a path", "write the host alone: paths belong into the path matcher")
        } else if !is_name || (name.is_empty() && !(is_wildcard && port.is_none())) {
            wrong("it holds what no host has", "write letters, digits, `-` and `.`")
        } else if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            wrong("its port is none", "write `example.com:8080`")
        } else {
            None
        };
        if let Some((message, hint)) = found {
            self.error(host, code::URL_MAP_HOST, message, hint);
            return None;
        }
        let end = end.to_ascii_lowercase();
        Some(match (is_wildcard, end.is_empty()) {
            (true, true) => HostPattern::Any,
            (true, false) => HostPattern::Suffix(end),
            (false, _) => HostPattern::Exact(end),
        })
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

    fn path_rules(&mut self, matcher: &Located<'_>) -> Option<Rules> {
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

    fn route_rules(&mut self, matcher: &Located<'_>) -> Option<Rules> {
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
    fn warn_of_a_path_that_is_not_normal(&mut self, located: &Located<'_>, path: &str) {
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
