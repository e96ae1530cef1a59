//! The path that a service gets instead of the one that was matched. It goes through the grammar of paths again, so that
//! nothing a client put into it leads out of where the map's author meant it to.

use firegate_files::configuration::{EncodedSlash, RESERVED_PREFIX};
use firegate_files::url_map;
use regex::bytes::Regex;

use super::paths::{MatchedBytes, Pattern, normal};
use crate::limits::PATH_BYTES_MAX;
use crate::path::NormalPath;
use crate::reason::Reason;

/// What becomes of a path.
#[derive(Debug)]
pub(super) enum PathRewrite {
    Prefix(String),
    Template(url_map::TemplateRewrite),
    Regex { pattern: Regex, substitution: Vec<u8> },
}

impl PathRewrite {
    pub(super) fn of(rewrite: &url_map::PathRewrite) -> Self {
        match rewrite {
            url_map::PathRewrite::Prefix(prefix) => Self::Prefix(normal(prefix)),
            url_map::PathRewrite::Template(template) => Self::Template(template.clone()),
            url_map::PathRewrite::Regex { pattern, substitution } => {
                Self::Regex { pattern: pattern.clone(), substitution: substitution.clone().into_bytes() }
            }
        }
    }

    /// The path for the service.
    ///
    /// # Errors
    /// If the path that comes out has no one reading, or is one of Firegate's own.
    pub(super) fn apply(
        &self,
        path: &NormalPath,
        matched: Option<(&Pattern, MatchedBytes)>,
        encoded_slash: EncodedSlash,
    ) -> Result<NormalPath, Reason> {
        let asked = path.as_str();
        let text = match (self, matched) {
            (Self::Prefix(prefix), matched) => {
                let rest = asked.get(matched.map_or(0, |(_, bytes)| bytes)..).unwrap_or_default();
                format!("{prefix}{rest}")
            }
            (Self::Template(rewrite), Some((Pattern::Template(template), _))) => {
                let values = template.captures(asked).unwrap_or_default();
                normal(&rewrite.expand(&values))
            }
            (Self::Template(_), _) => asked.to_owned(),
            (Self::Regex { pattern, substitution }, _) => replaced(asked, pattern, substitution)?,
        };
        check(&text, encoded_slash)
    }
}

/// `path` with everything that matches replaced, as long as it stays within the bounds of a path.
fn replaced(path: &str, pattern: &Regex, substitution: &[u8]) -> Result<String, Reason> {
    let (mut text, mut end) = (Vec::new(), 0);
    for found in pattern.captures_iter(path.as_bytes()) {
        let Some(whole) = found.get(0) else { break };
        text.extend_from_slice(path.as_bytes().get(end..whole.start()).unwrap_or_default());
        found.expand(substitution, &mut text);
        end = whole.end();
        if text.len() > PATH_BYTES_MAX {
            return Err(malformed("the path that the URL map makes of it is too long"));
        }
    }
    text.extend_from_slice(path.as_bytes().get(end..).unwrap_or_default());
    String::from_utf8(text).map_err(|_| malformed("the path that the URL map makes of it is no text"))
}

/// Reads a path that was made of another and goes to a service.
///
/// # Errors
/// If it has no one reading, or is one of Firegate's own.
fn check(text: &str, encoded_slash: EncodedSlash) -> Result<NormalPath, Reason> {
    let path = check_grammar(text, encoded_slash)?;
    let leads_to_firegate =
        is_reserved(path.as_str()) || path.other_readings().iter().any(|reading| is_reserved(reading));
    if leads_to_firegate { Err(Reason::RouteNotFound) } else { Ok(path) }
}

/// Reads a path that was made of another.
///
/// # Errors
/// If it has no one reading.
pub(super) fn check_grammar(text: &str, encoded_slash: EncodedSlash) -> Result<NormalPath, Reason> {
    // Empty segments are merged, as in every path. Segments that go up are nothing that an author meant: they were put
    // together of what a client sent.
    if text.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Err(malformed("the path that the URL map makes of it holds a dot segment"));
    }
    let path = NormalPath::parse(text)
        .map_err(|_| malformed("the path that the URL map makes of it has no one reading"))?;
    if path.as_str().split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(malformed("the path that the URL map makes of it holds a dot segment"));
    }
    if path.has_encoded_separator() && encoded_slash == EncodedSlash::Refuse {
        return Err(malformed("the path that the URL map makes of it holds an encoded slash or backslash"));
    }
    Ok(path)
}

fn is_reserved(path: &str) -> bool {
    path.starts_with(RESERVED_PREFIX) || path == RESERVED_PREFIX.trim_end_matches('/')
}

fn malformed(why: &'static str) -> Reason {
    Reason::RequestMalformed { why }
}

#[cfg(test)]
mod tests {
    use firegate_files::url_map::{PathTemplate, TemplateRewrite};

    use super::*;

    const DOTS: &str = "the path that the URL map makes of it holds a dot segment";

    fn check_prefix(path: &str, matched: &str, rewrite: &str, expected: Result<&str, Reason>) {
        let rewrite = PathRewrite::of(&url_map::PathRewrite::Prefix(rewrite.to_owned()));
        let pattern = Pattern::Prefix(matched.to_owned());
        let path = NormalPath::parse(path).expect("a path");
        let bytes = pattern.find(path.as_str()).expect("it matches");
        let found = rewrite.apply(&path, Some((&pattern, bytes)), EncodedSlash::Forward);
        assert_eq!(found.as_ref().map(NormalPath::as_str).map_err(Clone::clone), expected, "{path:?}");
    }

    #[test]
    fn the_part_that_matched_is_replaced() {
        check_prefix("/old/a/b", "/old/", "/new/", Ok("/new/a/b"));
        check_prefix("/old/a", "/old", "/", Ok("/a"));
        check_prefix("/old", "/old", "/new", Ok("/new"));
        check_prefix("/old", "/old", "/", Ok("/"));
        check_prefix("/older", "/old", "/new", Ok("/newer"));
        check_prefix("/old/a%2Fb", "/old/", "/new/", Ok("/new/a%2Fb"));
        check_prefix("/old/a", "/old/", "/grün/", Ok("/gr%C3%BCn/a"));
    }

    #[test]
    fn a_rewritten_path_leads_nowhere_that_the_client_chose() {
        let dots = || Err(malformed(DOTS));
        check_prefix("/old..", "/old", "/", dots());
        check_prefix("/old.", "/old", "/new/", dots());
        check_prefix("/old../secret", "/old", "/public/", dots());
        check_prefix("/old%2E%2E/secret", "/old", "/public/", dots());
        check_prefix(
            "/old%3B/x",
            "/old",
            "/public/..",
            Err(malformed("the path that the URL map makes of it has no one reading")),
        );
        check_prefix("/x/firegate/ready", "/x/", "/.well-known/", Err(Reason::RouteNotFound));
        check_prefix("/x/firegate%2Fready", "/x/", "/.well-known/", Err(Reason::RouteNotFound));
        check_prefix("/x/firegate", "/x/", "/.well-known/", Err(Reason::RouteNotFound));
    }

    #[test]
    fn a_template_is_filled_with_what_the_variables_matched() {
        let pattern = PathTemplate::parse("/{a}/{rest=**}").expect("a template");
        let rewrite =
            |text: &str| PathRewrite::Template(TemplateRewrite::parse(text, &pattern).expect("a rewrite"));
        let matched = Pattern::Template(pattern.clone());
        let check = |path: &str, text: &str, expected: Result<&str, &str>| {
            let path = NormalPath::parse(path).expect("a path");
            let found =
                rewrite(text).apply(&path, Some((&matched, path.as_str().len())), EncodedSlash::Refuse);
            let found = found.map_err(|reason| reason.to_string());
            assert_eq!(
                found.as_ref().map(NormalPath::as_str).map_err(String::as_str),
                expected,
                "{path:?} {text}"
            );
        };
        check("/a/b/c", "/x/{rest}", Ok("/x/b/c"));
        check("/a/", "/{rest}.", Err(DOTS));
        check("/a/b", "/{a}/../{rest}", Err(DOTS));
        check("/a/", "/{rest}/x", Ok("/x"));
    }

    #[test]
    fn a_substitution_stays_within_the_bounds_of_a_path() {
        let regex = |pattern: &str, substitution: &str| PathRewrite::Regex {
            pattern: Regex::new(pattern).expect("a pattern"),
            substitution: substitution.as_bytes().to_vec(),
        };
        let apply = |rewrite: &PathRewrite, path: &str| {
            let path = NormalPath::parse(path).expect("a path");
            rewrite.apply(&path, None, EncodedSlash::Refuse).map(|path| path.as_str().to_owned())
        };
        assert_eq!(apply(&regex("^/v([0-9]+)/", "/version-${1}/"), "/v2/a"), Ok("/version-2/a".to_owned()));
        assert_eq!(apply(&regex("/b", ""), "/a/b/b/c"), Ok("/a/c".to_owned()));
        assert_eq!(apply(&regex("x", "."), "/xx/a"), Err(malformed(DOTS)));
        let long = format!("/{}", "a".repeat(4000));
        let too_long = Err(malformed("the path that the URL map makes of it is too long"));
        assert_eq!(apply(&regex("a", "aaaa"), &long), too_long);
    }
}
