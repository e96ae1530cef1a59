//! The paths of the short form of routes.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use super::names::NameError;
use crate::limits::ROUTE_PATH_BYTES_MAX;
use crate::suggestion::quoted;

/// The paths under which Firegate itself answers. They are never routed.
pub const RESERVED_PREFIX: &str = "/.well-known/firegate/";

/// The paths of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPattern {
    /// This path.
    Exact(String),
    /// Every path that begins so; ends with `/`. `/public/*` is `/public/`, which `/public` does not begin with.
    Prefix(String),
}

impl Display for PathPattern {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => formatter.write_str(path),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

impl FromStr for PathPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |why: &str, hint: String| NameError {
            message: format!("{} is not the path of a route: {why}", quoted(text)),
            hint,
        };
        let form = || "write an exact path such as `/status`, or a prefix such as `/public/*`".to_owned();
        if text.len() > ROUTE_PATH_BYTES_MAX {
            return Err(wrong("it is too long", form()));
        }
        if text.starts_with('^') || text.ends_with('$') || text.contains(".*") {
            let hint =
                "routes have no regular expressions: write `/prefix/*`, or a URL map with `regexMatch`";
            // As a path it would be found by nobody who means the one without, and by a few who mean it.
            let is_path = !text.starts_with('^') && !text.contains(".*");
            let or_path =
                if is_path { ", or with `fullPathMatch` for a path that does end with `$`" } else { "" };
            return Err(wrong("it is a regular expression", format!("{hint}{or_path}")));
        }
        if !text.starts_with('/') {
            return Err(wrong("it does not begin with `/`", format!("write `/{text}`")));
        }
        let (path, is_prefix) = match text.strip_suffix("/*") {
            Some(start) => (format!("{start}/"), true),
            None => (text.to_owned(), false),
        };
        if path.contains('*') {
            let hint = match text.strip_suffix('*') {
                Some(start) if !start.contains('*') => format!("a prefix ends with `/*`: write `{start}/*`"),
                _ => form(),
            };
            return Err(wrong("`*` stands only at the end, after `/`", hint));
        }
        if let Some(at) = path.find(['?', '#']) {
            let hint = format!("routes choose by path alone; write `{}`", path.get(..at).unwrap_or("/"));
            return Err(wrong("it has a query or fragment", hint));
        }
        // What is matched is a normalised path: a pattern that is not could never match, or match what was not meant.
        if path.contains("//")
            || path.contains('\\')
            || path.split('/').any(|part| matches!(part, "." | ".."))
        {
            return Err(wrong(
                "it is not normalised",
                "write it without `//`, `\\`, `.` and `..`".to_owned(),
            ));
        }
        if path.contains('%') {
            return Err(wrong(
                "it is percent-encoded",
                "routes choose by the plain characters of the path".to_owned(),
            ));
        }
        if path.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong("it has white space", form()));
        }
        if path.starts_with(RESERVED_PREFIX) || path == RESERVED_PREFIX.trim_end_matches('/') {
            return Err(wrong(
                "Firegate answers there itself",
                format!("`{RESERVED_PREFIX}` is never routed; remove it"),
            ));
        }
        Ok(if is_prefix { Self::Prefix(path) } else { Self::Exact(path) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_exact_or_prefixes() {
        let check = |text: &str, expected: PathPattern| {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string(), text);
        };
        check("/", PathPattern::Exact("/".into()));
        check("/*", PathPattern::Prefix("/".into()));
        check("/status", PathPattern::Exact("/status".into()));
        check("/public/*", PathPattern::Prefix("/public/".into()));
        check("/.well-known/*", PathPattern::Prefix("/.well-known/".into()));
        check("/grüße", PathPattern::Exact("/grüße".into()));
    }

    #[test]
    fn everything_else_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<PathPattern>().unwrap_err();
            let full = format!("{error}; {}", error.hint);
            assert!(full.contains(expected), "{text}: {full}");
        };
        check("", "write `/`");
        check("public/*", "write `/public/*`");
        check("*", "write `/*`");
        check("/public*", "write `/public/*`");
        check("/*/users", "only at the end");
        check("/**", "only at the end");
        check("/a?b=c", "write `/a`");
        check("/a#b", "write `/a`");
        check("/a//b", "not normalised");
        check("/a/../b", "not normalised");
        check("/a/./*", "not normalised");
        check("/a\\b", "not normalised");
        check("/a%2Fb", "percent-encoded");
        check("/a b", "white space");
        check("/.well-known/firegate/jwks.json", "never routed");
        check("/.well-known/firegate/*", "never routed");
        check(&format!("/{}", "a".repeat(ROUTE_PATH_BYTES_MAX)), "too long");
    }
}
