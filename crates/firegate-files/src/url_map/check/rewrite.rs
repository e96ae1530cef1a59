//! Where a service or client is sent: rewrites and redirects of URLs.

use super::super::format::REDIRECT_CODES;
use super::super::model::{PathRewrite, RedirectPath, UrlRedirect, UrlRewrite};
use super::super::path_template::{PathTemplate, TemplateRewrite};
use super::Checker;
use super::action::is_true;
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::{Located, Part};
use crate::limits::URL_MAP_HOST_CHARACTERS_MAX;
use crate::optional;
use crate::suggestion::quoted;

impl Checker<'_> {
    pub(super) fn rewrite(&mut self, rule: &Located<'_>, rewrite: &Located<'_>) -> Option<UrlRewrite> {
        let (prefix, template, regex) = (
            rewrite.get("pathPrefixRewrite"),
            rewrite.get("pathTemplateRewrite"),
            rewrite.get("regexRewrite"),
        );
        let path = match (prefix, template, regex) {
            (None, None, None) => None,
            (Some(prefix), None, None) => Some(self.prefix_rewrite(rule, &prefix)?),
            (None, Some(template), None) => Some(self.template_rewrite(rule, &template)?),
            (None, None, Some(regex)) => Some(self.regex_rewrite(&regex)?),
            _ => {
                self.error(
                    rewrite,
                    code::URL_MAP_REWRITE,
                    "the path is rewritten in more than one way",
                    "keep one of `pathPrefixRewrite`, `pathTemplateRewrite` and `regexRewrite`",
                );
                return None;
            }
        };
        let host = rewrite.get("hostRewrite").map(|host| self.host_to_go_to(&host, code::URL_MAP_REWRITE));
        Some(UrlRewrite { host: optional(host)?, path })
    }

    fn prefix_rewrite(&mut self, rule: &Located<'_>, prefix: &Located<'_>) -> Option<PathRewrite> {
        let text = self.made_path(prefix, code::URL_MAP_REWRITE)?;
        let matched = rule.list("paths").filter_map(|path| path.text()).find(|path| path.ends_with("/*"));
        if let Some(path) = matched.filter(|_| !text.ends_with('/')) {
            let base = path.trim_end_matches('*');
            let message =
                format!("`{base}x` becomes `{text}x`: what matched is {}, with its slash", quoted(base));
            let finding = Diagnostic::warning(code::URL_MAP_REWRITE, message);
            prefix.report(self.diagnostics, Part::Value, finding.hint(format!("write `{text}/`")));
        }
        Some(PathRewrite::Prefix(text))
    }

    fn template_rewrite(&mut self, rule: &Located<'_>, rewrite: &Located<'_>) -> Option<PathRewrite> {
        let text = self.made_path(rewrite, code::URL_MAP_REWRITE)?;
        let templates =
            rule.list("matchRules").map(|rule| rule.get("pathTemplateMatch").and_then(|text| text.text()));
        let templates = templates.collect::<Option<Vec<_>>>().unwrap_or_default();
        if templates.is_empty() {
            self.error(
                rewrite,
                code::URL_MAP_REWRITE,
                "there is no template whose variables it could be made of",
                "every match rule of the rule needs a `pathTemplateMatch`",
            );
            return None;
        }
        let mut made = None;
        for template in templates {
            // A template that cannot be read is reported where it stands.
            let template = PathTemplate::parse(template).ok()?;
            match TemplateRewrite::parse(&text, &template) {
                Ok(rewrite) => made = made.or(Some(rewrite)),
                Err(error) => {
                    self.error(
                        rewrite,
                        code::URL_MAP_REWRITE,
                        format!("{} cannot be made: {error}", quoted(&text)),
                        "only variables of `pathTemplateMatch` stand in it, as `{name}`",
                    );
                    return None;
                }
            }
        }
        made.map(PathRewrite::Template)
    }

    fn regex_rewrite(&mut self, rewrite: &Located<'_>) -> Option<PathRewrite> {
        let (pattern, substitution) = (rewrite.get("pathPattern"), rewrite.get("pathSubstitution"));
        let Some(pattern) = pattern else {
            self.error_in(
                rewrite,
                "pathPattern",
                code::URL_MAP_REWRITE,
                "the rewrite has no `pathPattern`",
                "add the regular expression of what is replaced",
            );
            return None;
        };
        let text = pattern.text()?;
        let pattern = self.regex(&pattern, text)?;
        let substitution = substitution.and_then(|text| text.text()).unwrap_or_default();
        Some(PathRewrite::Regex { pattern, substitution: with_groups(substitution) })
    }

    pub(super) fn redirect(&mut self, redirect: &Located<'_>) -> Option<UrlRedirect> {
        let host = redirect.get("hostRedirect").map(|host| self.host_to_go_to(&host, code::URL_MAP_REDIRECT));
        let path = match (redirect.get("pathRedirect"), redirect.get("prefixRedirect")) {
            (None, None) => Some(RedirectPath::Kept),
            (Some(path), None) => self.made_path(&path, code::URL_MAP_REDIRECT).map(RedirectPath::Whole),
            (None, Some(prefix)) => self.made_path(&prefix, code::URL_MAP_REDIRECT).map(RedirectPath::Prefix),
            (Some(_), Some(prefix)) => {
                self.error(
                    &prefix,
                    code::URL_MAP_REDIRECT,
                    "`pathRedirect` and `prefixRedirect` exclude each other",
                    "keep one of them",
                );
                None
            }
        };
        let word = redirect.get("redirectResponseCode").and_then(|word| word.word(&REDIRECT_CODES));
        let status = match word {
            Some("FOUND") => 302,
            Some("SEE_OTHER") => 303,
            Some("TEMPORARY_REDIRECT") => 307,
            Some("PERMANENT_REDIRECT") => 308,
            _ => 301,
        };
        let (https, strip_query) =
            (is_true(Some(redirect), "httpsRedirect"), is_true(Some(redirect), "stripQuery"));
        let redirected = UrlRedirect { host: optional(host)?, path: path?, https, strip_query, status };
        let changes_nothing =
            redirected.host.is_none() && redirected.path == RedirectPath::Kept && !https && !strip_query;
        if changes_nothing {
            self.error(
                redirect,
                code::URL_MAP_REDIRECT,
                "the redirect leads to where the client is",
                "add `httpsRedirect`, `hostRedirect`, `pathRedirect` or `prefixRedirect`",
            );
            return None;
        }
        Some(redirected)
    }

    /// A path that a service or client is sent to, as far as it is written in the file.
    pub(super) fn made_path(&mut self, located: &Located<'_>, code: &'static str) -> Option<String> {
        let text = located.text()?;
        let path = text.split('?').next().unwrap_or_default();
        let is_dot = |segment: &str| matches!(segment, "." | "..");
        let (why, hint) = if !text.starts_with('/') {
            ("it does not begin with `/`", "write a path such as `/v2/`")
        } else if self.is_too_long(text) {
            ("it is too long", "a path has 1024 characters at most")
        } else if path.split(['/', '\\']).any(is_dot) || path.contains('\\') {
            ("it holds `.`, `..` or `\\`", "write the path that is meant")
        } else if path.contains('#') || text.chars().any(|c| c.is_control() || c == ' ') {
            ("it holds what no path has", "escape it, for example a space as `%20`")
        } else if path.starts_with(crate::configuration::RESERVED_PREFIX) {
            ("Firegate answers there itself", "write another path")
        } else {
            return Some(text.to_owned());
        };
        self.error(located, code, format!("{} is not a path to go to: {why}", quoted(text)), hint);
        None
    }

    /// A host that a service or client is sent to.
    fn host_to_go_to(&mut self, host: &Located<'_>, code: &'static str) -> Option<String> {
        let text = host.text()?;
        let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
        let is_label = |label: &str| {
            let is_character = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(is_character)
        };
        let is_name = name.split('.').all(is_label);
        let is_port = port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if is_name && is_port && text.len() <= URL_MAP_HOST_CHARACTERS_MAX {
            return Some(text.to_owned());
        }
        self.error(
            host,
            code,
            format!("{} is not a host", quoted(text)),
            "write for example `www.example.com`",
        );
        None
    }
}

/// A substitution of RE2 (`\1`) in the spelling of the `regex` crate (`${1}`).
fn with_groups(substitution: &str) -> String {
    let mut text = String::new();
    let mut characters = substitution.chars();
    while let Some(c) = characters.next() {
        match c {
            '$' => text.push_str("$$"),
            '\\' => match characters.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    text.push_str("${");
                    text.push(digit);
                    text.push('}');
                }
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_groups;

    #[test]
    fn groups_are_spelt_as_the_engine_reads_them() {
        assert_eq!(with_groups(r"/a/\1-\2"), "/a/${1}-${2}");
        assert_eq!(with_groups(r"/$1/\\x"), r"/$$1/\x");
    }
}
