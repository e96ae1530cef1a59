//! The conditions of route rules.

use firegate_expr::WrittenLetters;

use super::super::model::{HeaderMatch, PathMatch, PathRegex, QueryMatch, RouteMatch, ValueMatch};
use super::super::path_template::PathTemplate;
use super::Checker;
use crate::diagnostic::{Diagnostic, code};
use crate::google_file::{Located, Part};
use crate::header_names;
use crate::suggestion::quoted;

/// The fields of which a match rule has exactly one.
const PATH_FIELDS: [&str; 4] = ["prefixMatch", "fullPathMatch", "pathTemplateMatch", "regexMatch"];

impl Checker<'_> {
    pub(super) fn matches(&mut self, rule: &Located<'_>) -> Option<Vec<RouteMatch>> {
        if rule.list("matchRules").next().is_none() {
            self.error_in(
                rule,
                "matchRules",
                code::URL_MAP_MATCH,
                "the route rule has no `matchRules`",
                "add `- prefixMatch: /` for every path",
            );
            return None;
        }
        let mut checked = Some(Vec::new());
        for found in rule.list("matchRules") {
            let path = self.path_match(&found);
            let headers =
                found.list("headerMatches").map(|header| self.header_match(&header)).collect::<Vec<_>>();
            let query =
                found.list("queryParameterMatches").map(|query| self.query_match(&query)).collect::<Vec<_>>();
            let headers = headers.into_iter().collect::<Option<Vec<_>>>();
            let query = query.into_iter().collect::<Option<Vec<_>>>();
            match (&mut checked, path, headers, query) {
                (Some(matches), Some(path), Some(headers), Some(query)) => {
                    matches.push(RouteMatch { path, headers, query });
                }
                _ => checked = None,
            }
        }
        checked
    }

    fn path_match(&mut self, found: &Located<'_>) -> Option<PathMatch> {
        let given = PATH_FIELDS.iter().filter_map(|name| Some((*name, found.get(name)?))).collect::<Vec<_>>();
        let [(name, path)] = given.as_slice() else {
            let message = match given.len() {
                0 => "the match rule says nothing of the path".to_owned(),
                count => format!("the match rule says {count} things of the path"),
            };
            let hint = "exactly one of `prefixMatch`, `fullPathMatch`, `pathTemplateMatch` and `regexMatch`; `prefixMatch: /` is every path";
            self.error_in(found, "prefixMatch", code::URL_MAP_MATCH, message, hint);
            return None;
        };
        let text = path.text()?;
        let ignore_case = found.get("ignoreCase").and_then(|word| word.boolean()).unwrap_or(false);
        if ignore_case && matches!(*name, "pathTemplateMatch" | "regexMatch") {
            self.error_in(
                found,
                "ignoreCase",
                code::URL_MAP_MATCH,
                format!("`ignoreCase` does not go with `{name}`"),
                "it is for `prefixMatch` and `fullPathMatch`",
            );
        }
        // Exports of maps that were made by other means have an empty prefix, which is every path.
        let is_every = *name == "prefixMatch" && text.is_empty();
        if *name != "regexMatch" {
            self.check_written_path(path, text, is_every)?;
        }
        match *name {
            "prefixMatch" => {
                if text.contains('*') {
                    let finding =
                        Diagnostic::warning(code::URL_MAP_UNREACHABLE, "`*` stands for itself in a prefix");
                    let hint = "use `pathTemplateMatch` for wildcards; a prefix needs none at its end";
                    path.report(self.diagnostics, Part::Value, finding.hint(hint));
                }
                Some(PathMatch::Prefix { prefix: text.to_owned(), ignore_case })
            }
            "fullPathMatch" => Some(PathMatch::Full { path: text.to_owned(), ignore_case }),
            "pathTemplateMatch" => match PathTemplate::parse(text) {
                Ok(template) => Some(PathMatch::Template(template)),
                Err(error) => {
                    let message = format!("{} is no path template: {error}", quoted(text));
                    self.error(
                        path,
                        code::URL_MAP_TEMPLATE,
                        message,
                        "write for example `/users/{user}/posts/{rest=**}`",
                    );
                    None
                }
            },
            _ => self.path_regex(path).map(PathMatch::Regex),
        }
    }

    fn path_regex(&mut self, path: &Located<'_>) -> Option<PathRegex> {
        let regex = self.whole_regex(path)?;
        let WrittenLetters { in_any_case, characters_min } =
            WrittenLetters::of(regex.as_str()).unwrap_or_default();
        let in_any_case = match in_any_case {
            Some(pattern) => Some(self.compiled(path, &pattern)?),
            None => None,
        };
        Some(PathRegex { regex, in_any_case, characters_min })
    }

    /// What holds for every path that is no regular expression.
    fn check_written_path(&mut self, path: &Located<'_>, text: &str, is_every: bool) -> Option<()> {
        if !text.starts_with('/') && !is_every {
            let message = format!("{} does not begin with `/`", quoted(text));
            self.error(path, code::URL_MAP_MATCH, message, format!("write `/{text}`"));
            return None;
        }
        if self.is_too_long(text) {
            let message = "the path is longer than 1024 characters";
            self.error(path, code::URL_MAP_MATCH, message, "write a shorter one");
            return None;
        }
        self.warn_of_a_path_that_is_not_normal(path, text);
        Some(())
    }

    fn header_match(&mut self, found: &Located<'_>) -> Option<HeaderMatch> {
        let name =
            found.get("headerName").and_then(|name| name.text()).unwrap_or_default().to_ascii_lowercase();
        if !is_header_name(name.trim_start_matches(':')) {
            self.error_in(
                found,
                "headerName",
                code::URL_MAP_HEADER,
                format!("{} is not the name of a header", quoted(&name)),
                "write for example `x-version`, `:method` or `:authority`",
            );
            return None;
        }
        if name.starts_with(':') && !matches!(name.as_str(), ":method" | ":authority" | ":scheme") {
            self.error_in(
                found,
                "headerName",
                code::URL_MAP_HEADER,
                format!("{} cannot be compared", quoted(&name)),
                "of the pseudo-headers there are `:method` and `:authority`; paths have fields of their own",
            );
            return None;
        }
        let is_vouched_for = matches!(name.as_str(), "x-forwarded-proto" | "x-forwarded-host");
        if header_names::is_protected(&name) && !is_vouched_for {
            let message =
                format!("{} is never there: what a client says in it is not believed", quoted(&name));
            let finding = Diagnostic::warning(code::URL_MAP_CLIENT_HEADER, message);
            let hint = "the rule is judged as if the header were absent; route by another one";
            found.report_field("headerName", self.diagnostics, finding.hint(hint));
        }
        let value = self.value_match(
            found,
            &["exactMatch", "prefixMatch", "suffixMatch", "regexMatch", "presentMatch", "rangeMatch"],
        )?;
        let invert = found.get("invertMatch").and_then(|word| word.boolean()).unwrap_or(false);
        Some(HeaderMatch { name, value, invert })
    }

    fn query_match(&mut self, found: &Located<'_>) -> Option<QueryMatch> {
        let name = found.get("name").and_then(|name| name.text()).unwrap_or_default();
        if name.is_empty() {
            self.error_in(
                found,
                "name",
                code::URL_MAP_MATCH,
                "the parameter has no `name`",
                "add the name of the parameter",
            );
            return None;
        }
        let value = self.value_match(found, &["exactMatch", "presentMatch", "regexMatch"])?;
        Some(QueryMatch { name: name.to_owned(), value })
    }

    /// The one of `fields` that is given.
    fn value_match(&mut self, found: &Located<'_>, fields: &[&str]) -> Option<ValueMatch> {
        let given = fields.iter().filter_map(|name| Some((*name, found.get(name)?)));
        // `presentMatch: false` says nothing, as in Google's JSON, in which what is false is left out.
        let given = given.filter(|(name, value)| *name != "presentMatch" || value.boolean() == Some(true));
        let given = given.collect::<Vec<_>>();
        let [(name, value)] = given.as_slice() else {
            let message = format!("{} of the conditions are given", given.len());
            let list = fields.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.error(found, code::URL_MAP_MATCH, message, format!("exactly one of {list}"));
            return None;
        };
        let text = || value.text().map(str::to_owned);
        match *name {
            "exactMatch" => text().map(ValueMatch::Exact),
            "prefixMatch" => text().map(ValueMatch::Prefix),
            "suffixMatch" => text().map(ValueMatch::Suffix),
            "regexMatch" => self.whole_regex(value).map(ValueMatch::Regex),
            "presentMatch" => Some(ValueMatch::Present),
            _ => {
                let bound = |name: &str| value.get(name).map_or(Some(0), |bound| bound.integer());
                let (start, end) = (bound("rangeStart")?, bound("rangeEnd")?);
                if start >= end {
                    self.error(
                        value,
                        code::URL_MAP_MATCH,
                        "no number is in the range",
                        "`rangeEnd` is one more than the largest number",
                    );
                    return None;
                }
                Some(ValueMatch::Range { start, end })
            }
        }
    }
}

/// Whether a text is a token of HTTP (RFC 9110, section 5.6.2).
pub(crate) fn is_header_name(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}
