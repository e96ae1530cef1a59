//! Which hosts go to which path matcher.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{HostPattern, HostRule};
use super::{Checker, place};
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::Located;
use crate::limits::URL_MAP_HOST_CHARACTERS_MAX;
use crate::suggestion::{alternatives, nearest, quoted};

impl Checker<'_> {
    pub(super) fn host_rules(&mut self, root: &Located<'_>, matchers: &[Option<&str>]) -> Vec<HostRule> {
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
                    None if known.clone().next().is_none() => "add it to `pathMatchers`".to_owned(),
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
}
