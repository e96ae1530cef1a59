//! Where a client is sent instead of to a service. The address is always a whole one, so that no path can be read as
//! another host (`//evil.example`), and its path goes through the grammar of paths.

use std::fmt::Write as _;

use firegate_files::configuration::EncodedSlash;
use firegate_files::url_map::{RedirectPath, UrlRedirect};
use http::{HeaderValue, StatusCode};

use super::paths::{MatchedBytes, normal};
use super::rewrite;
use crate::facts::RequestFacts;
use crate::reason::Reason;
use crate::token_source::query_without_access_token;

/// A redirect, answered without asking who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectAnswer {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// The `Location`.
    pub location: HeaderValue,
}

/// What a rule sends clients to.
#[derive(Debug)]
pub(super) struct Redirect {
    settings: UrlRedirect,
    status: StatusCode,
}

impl Redirect {
    pub(super) fn of(redirect: &UrlRedirect) -> Self {
        let status = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
        Self { settings: redirect.clone(), status }
    }

    /// The answer to a request of which the rule's pattern matched so much; none for a default.
    ///
    /// # Errors
    /// If there is no host to send the client to, if the path has no one reading, or if it leads to where the client is.
    pub(super) fn answer(
        &self,
        facts: &RequestFacts<'_>,
        matched: Option<MatchedBytes>,
    ) -> Result<RedirectAnswer, Reason> {
        let url = self.url(facts, matched)?;
        let asked = format!("{}://{}{}", facts.scheme, facts.host, facts.path.as_str());
        let asked = facts.query.map_or(asked.clone(), |query| format!("{asked}?{query}"));
        if url == asked {
            return Err(Reason::RedirectLoop);
        }
        let location = HeaderValue::from_str(&url)
            .map_err(|_| Reason::RequestMalformed { why: "the redirect's address is not visible ASCII" })?;
        Ok(RedirectAnswer { status: self.status, location })
    }

    fn url(&self, facts: &RequestFacts<'_>, matched: Option<MatchedBytes>) -> Result<String, Reason> {
        let UrlRedirect { host, path, https, strip_query, .. } = &self.settings;
        let scheme = if *https { "https" } else { facts.scheme };
        let own_host = if *https { facts.host.strip_suffix(":80").unwrap_or(facts.host) } else { facts.host };
        let authority = host.as_deref().unwrap_or(own_host);
        if authority.is_empty() {
            return Err(Reason::RequestMalformed { why: "the request names no host to be redirected to" });
        }
        let asked = facts.path.as_str();
        let (text, own_query) = match path {
            RedirectPath::Kept => (asked.to_owned(), None),
            RedirectPath::Whole(text) => match text.split_once('?') {
                Some((path, query)) => (normal(path), Some(query)),
                None => (normal(text), None),
            },
            RedirectPath::Prefix(prefix) => {
                let rest = asked.get(matched.unwrap_or(0)..).unwrap_or_default();
                (format!("{}{rest}", normal(prefix)), None)
            }
        };
        // Whoever is there reads the path as ours was read; an encoded slash is the target's own affair.
        let path = rewrite::check_grammar(&text, EncodedSlash::Forward)?;
        let mut url = format!("{scheme}://{authority}{}", path.as_str());
        let leaves = host.as_ref().is_some_and(|host| !host.eq_ignore_ascii_case(facts.host));
        let query = match (own_query, facts.query) {
            (Some(query), _) => Some(query.to_owned()),
            (None, _) if *strip_query => None,
            // A token that stands in the query is for this host.
            (None, Some(query)) if leaves => query_without_access_token(query),
            (None, query) => query.map(str::to_owned),
        };
        if let Some(query) = query {
            // Writing to a String cannot fail.
            let _ = write!(url, "?{query}");
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::path::NormalPath;

    fn check(redirect: UrlRedirect, url: &str, matched: Option<usize>, expected: Result<&str, Reason>) {
        let headers = HeaderMap::new();
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (host, target) = rest.split_at(rest.find('/').expect("a path"));
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = NormalPath::parse(path).expect("a path");
        let scheme = if scheme == "https" { "https" } else { "http" };
        let facts = RequestFacts { scheme, host, query, ..RequestFacts::of(&Method::GET, path, &headers) };
        let found = Redirect::of(&redirect).answer(&facts, matched);
        let found = found.map(|answer| answer.location.to_str().expect("text").to_owned());
        assert_eq!(found.as_deref().map_err(Clone::clone), expected, "{redirect:?} {url}");
    }

    #[test]
    fn redirects_change_what_they_name_and_keep_the_rest() {
        let https = UrlRedirect { https: true, ..UrlRedirect::default() };
        check(https.clone(), "http://a.example/x?y=1", None, Ok("https://a.example/x?y=1"));
        check(https.clone(), "http://a.example:80/x", None, Ok("https://a.example/x"));
        check(https.clone(), "https://a.example/x", None, Err(Reason::RedirectLoop));
        let strip = UrlRedirect { strip_query: true, ..https };
        check(strip, "http://a.example/x?y=1", None, Ok("https://a.example/x"));
        let host = UrlRedirect { host: Some("b.example".to_owned()), ..UrlRedirect::default() };
        check(host.clone(), "http://a.example/x?y=1", None, Ok("http://b.example/x?y=1"));
        check(host, "http://a.example/x?y=1&access_token=t", None, Ok("http://b.example/x?y=1"));
        let whole =
            |path: &str| UrlRedirect { path: RedirectPath::Whole(path.to_owned()), ..UrlRedirect::default() };
        check(whole("/new"), "http://a.example/old?y=1", None, Ok("http://a.example/new?y=1"));
        check(whole("/new?z=2"), "http://a.example/old?y=1", None, Ok("http://a.example/new?z=2"));
        let prefix = |path: &str| UrlRedirect {
            path: RedirectPath::Prefix(path.to_owned()),
            ..UrlRedirect::default()
        };
        check(prefix("/new/"), "http://a.example/old/x", Some(5), Ok("http://a.example/new/x"));
        check(prefix("/new"), "http://a.example/x", None, Ok("http://a.example/new/x"));
    }

    #[test]
    fn no_path_leads_a_client_to_another_host() {
        let prefix = |path: &str| UrlRedirect {
            path: RedirectPath::Prefix(path.to_owned()),
            ..UrlRedirect::default()
        };
        check(prefix("/"), "http://a.example/old/evil.example", Some(4), Ok("http://a.example/evil.example"));
        check(
            prefix("/"),
            "http:///old/evil.example",
            Some(4),
            Err(Reason::RequestMalformed { why: "the request names no host to be redirected to" }),
        );
        let dots =
            Reason::RequestMalformed { why: "the path that the URL map makes of it holds a dot segment" };
        check(prefix("/"), "http://a.example/old../x", Some(4), Err(dots));
        let host = UrlRedirect { host: Some("b.example".to_owned()), ..UrlRedirect::default() };
        check(host, "http://a.example/@evil.example", None, Ok("http://b.example/@evil.example"));
    }
}
