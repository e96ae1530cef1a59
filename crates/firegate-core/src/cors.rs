//! Cross-origin requests (the Fetch standard, section 3.2). A preflight is answered here, after the route is known and
//! before any token is asked for, because a browser sends none with it.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use regex::bytes::Regex;
use url::{Host, Url};

use crate::conceal;
use crate::facts::RequestFacts;
use crate::reason::Reason;

/// What a browser may keep of a preflight's answer, in seconds: short enough for a change to be seen.
const PREFLIGHT_MAX_AGE_SECONDS: u32 = 600;

/// What pages may use without being allowed to (the Fetch standard, section 2.2.1): browsers send such a
/// request after a preflight that does not list its method, and before one with cookies alone they send no
/// preflight.
const SAFELISTED_METHODS: [Method; 3] = [Method::GET, Method::HEAD, Method::POST];

/// What pages may read of an answer beyond the headers that are always readable. With those of gRPC a client of gRPC-Web
/// reads an answer that has nothing but a status.
const EXPOSED_HEADERS: [&str; 7] = [
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "retry-after",
    "www-authenticate",
    "x-firegate-reason",
    "x-firegate-request-id",
];

/// The headers of a backend's answer that Firegate's replace.
const CORS_HEADERS: [HeaderName; 6] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
];

/// Which pages may call.
#[derive(Clone, Debug, Default)]
pub struct CorsPolicy {
    /// Exact origins, as browsers write them; `*` stands for every one.
    pub origins: Vec<String>,
    /// Origins the whole of which matches one of these.
    pub origin_patterns: Vec<Regex>,
    /// Also pages of localhost and of private addresses, on any port: `firegate dev` alone.
    pub local_network_origins: bool,
    /// Methods a page may use, beside those that need no listing.
    pub methods: Vec<Method>,
    /// Request headers a page may set.
    pub headers: Vec<HeaderName>,
    /// What pages may read of an answer, beyond what they always may and what Firegate says of itself.
    pub exposed_headers: Vec<HeaderName>,
    /// What a browser may keep of a preflight's answer, in seconds; none for 600.
    pub max_age_seconds: Option<u32>,
    /// Whether pages may send cookies.
    pub credentials: bool,
}

/// The answer to a preflight that is allowed: a 204 with these headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightAnswer {
    /// The headers to send.
    pub headers: HeaderMap,
}

impl CorsPolicy {
    /// Whether a request is a preflight. Any other OPTIONS request needs a token like every other request.
    pub fn is_preflight(facts: &RequestFacts<'_>) -> bool {
        facts.method == Method::OPTIONS
            && facts.headers.contains_key(ORIGIN)
            && facts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The origin for which a preflight asks, as it is shown; none of any other request.
    pub(crate) fn preflight_origin(facts: &RequestFacts<'_>) -> Option<String> {
        let origin = facts.headers.get(ORIGIN).filter(|_| Self::is_preflight(facts))?;
        Some(conceal::shown(origin.as_bytes()))
    }

    /// Answers a preflight.
    ///
    /// # Errors
    /// If the origin, the method or a header is not allowed.
    pub fn preflight(&self, facts: &RequestFacts<'_>) -> Result<PreflightAnswer, Reason> {
        let refuse =
            |part, value: &[u8]| Err(Reason::CorsOriginNotAllowed { part, value: conceal::shown(value) });
        let Some(origin) =
            facts.headers.get(ORIGIN).filter(|_| facts.header(ORIGIN).is_some_and(|text| self.admits(text)))
        else {
            return refuse("origin", facts.headers.get(ORIGIN).map_or(b"", HeaderValue::as_bytes));
        };
        let method = facts.header(ACCESS_CONTROL_REQUEST_METHOD).unwrap_or_default();
        let is_listed = |allowed: &Method| allowed.as_str() == method || self.is_every(allowed.as_str());
        if !SAFELISTED_METHODS.iter().chain(&self.methods).any(is_listed) {
            let asked = facts.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
            return refuse("method", asked.map_or(b"", HeaderValue::as_bytes));
        }
        for value in facts.headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
            let Ok(names) = value.to_str() else { return refuse("header", value.as_bytes()) };
            let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            let names_it = |allowed: &HeaderName, name: &str| {
                let is_named = allowed.as_str().eq_ignore_ascii_case(name);
                is_named || (self.is_every(allowed.as_str()) && !name.eq_ignore_ascii_case("authorization"))
            };
            let is_allowed = |name: &str| self.headers.iter().any(|allowed| names_it(allowed, name));
            if let Some(name) = names.find(|name| !is_allowed(name)) {
                return refuse("header", name.as_bytes());
            }
        }
        let mut headers = HeaderMap::new();
        self.grant(&mut headers, origin);
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, join(self.methods.iter().map(Method::as_str)));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, join(self.headers.iter().map(HeaderName::as_str)));
        let max_age_seconds = self.max_age_seconds.unwrap_or(PREFLIGHT_MAX_AGE_SECONDS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(max_age_seconds));
        headers.append(
            VARY,
            HeaderValue::from_static("access-control-request-method, access-control-request-headers"),
        );
        Ok(PreflightAnswer { headers })
    }

    /// Whether a word stands for every method or header, as browsers read it (the Fetch standard, section
    /// 4.8): not with cookies, and never for `Authorization`.
    fn is_every(&self, word: &str) -> bool {
        word == "*" && !self.credentials
    }

    /// Replaces the CORS headers of an answer by those of this policy: on errors too, or a browser would hide the
    /// reason from the page. Which of its other headers a page may read, whose origin is admitted, the service says itself.
    pub fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let exposed = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().cloned().collect::<Vec<_>>();
        for name in CORS_HEADERS {
            headers.remove(name);
        }
        match origin {
            Some(origin) if origin.to_str().is_ok_and(|text| self.admits(text)) => {
                self.grant(headers, origin);
                for value in exposed {
                    headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, value);
                }
            }
            _ => {
                headers.append(VARY, HeaderValue::from_static("origin"));
            }
        }
    }

    fn grant(&self, headers: &mut HeaderMap, origin: &HeaderValue) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        let exposed = EXPOSED_HEADERS.into_iter().chain(self.exposed_headers.iter().map(HeaderName::as_str));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, join(exposed));
        // The answer differs by origin, whoever is allowed, and a cache has to know.
        headers.append(VARY, HeaderValue::from_static("origin"));
    }

    /// Whether pages of this origin may have done what they ask with the user's cookies. Those that `*` or the developer's own
    /// machine stand for may not: whoever makes a page is one of them.
    pub(crate) fn admits_cookies_of(&self, origin: &str) -> bool {
        self.credentials && origin != "null" && self.names(origin)
    }

    /// Whether this very origin is listed, or matches a pattern.
    fn names(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
            || self.origin_patterns.iter().any(|pattern| pattern.is_match(origin.as_bytes()))
    }

    fn admits(&self, origin: &str) -> bool {
        // A sandboxed frame or a local file says "null"; anyone can make a page that does.
        if origin == "null" {
            return false;
        }
        self.names(origin)
            || self.origins.iter().any(|allowed| allowed == "*")
            || (self.local_network_origins && is_local_network(origin))
    }
}

fn is_local_network(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else { return false };
    let plain =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    plain
        && matches!(url.scheme(), "http" | "https")
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => {
                address.is_loopback() || address.is_private() || address.is_link_local()
            }
            Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
            None => false,
        }
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> HeaderValue {
    // Methods and header names are tokens, so their list is always a header value.
    HeaderValue::from_str(&words.collect::<Vec<_>>().join(", ")).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::NormalPath;

    fn policy() -> CorsPolicy {
        CorsPolicy {
            origins: vec!["https://app.example.com".to_owned()],
            methods: vec![Method::GET, Method::POST],
            headers: vec![http::header::AUTHORIZATION],
            ..CorsPolicy::default()
        }
    }

    fn fields(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        headers
    }

    fn facts<'a>(method: &'a Method, headers: &'a HeaderMap) -> RequestFacts<'a> {
        RequestFacts::of(method, NormalPath::parse("/").expect("a path"), headers)
    }

    fn check(
        policy: &CorsPolicy,
        origin: &str,
        method: &str,
        headers: &str,
        expected: Result<(), &'static str>,
    ) {
        let request = fields(&[
            (ORIGIN, origin),
            (ACCESS_CONTROL_REQUEST_METHOD, method),
            (ACCESS_CONTROL_REQUEST_HEADERS, headers),
        ]);
        let facts = facts(&Method::OPTIONS, &request);
        assert!(CorsPolicy::is_preflight(&facts));
        let found = policy.preflight(&facts).map(|answer| {
            assert_eq!(answer.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN), Some(&request[ORIGIN]));
        });
        let expected = expected.map_err(|part| {
            let value = match part {
                "origin" => origin,
                "method" => method,
                _ => headers.split(", ").last().expect("a name"),
            };
            Reason::CorsOriginNotAllowed { part, value: value.to_owned() }
        });
        assert_eq!(found, expected, "{origin} {method} {headers}");
    }

    /// Whatever is none needs a token.
    #[test]
    fn a_preflight_is_an_options_of_an_origin_that_asks_for_a_method() {
        let (origin, asked) = ((ORIGIN, "https://app.example.com"), (ACCESS_CONTROL_REQUEST_METHOD, "GET"));
        let check = |method: Method, pairs: &[(HeaderName, &str)], expected: bool| {
            let headers = fields(pairs);
            let facts = facts(&method, &headers);
            assert_eq!(CorsPolicy::is_preflight(&facts), expected, "{method} {pairs:?}");
            assert_eq!(CorsPolicy::preflight_origin(&facts).is_some(), expected, "{method} {pairs:?}");
        };
        check(Method::OPTIONS, &[origin.clone(), asked.clone()], true);
        check(Method::OPTIONS, std::slice::from_ref(&origin), false);
        check(Method::OPTIONS, std::slice::from_ref(&asked), false);
        for method in [Method::GET, Method::POST, Method::HEAD] {
            check(method, &[origin.clone(), asked.clone()], false);
        }
    }

    #[test]
    fn what_a_preflight_says_twice_or_in_no_text_it_does_not_say() {
        let policy = policy();
        let (origin, asked) = ((ORIGIN, "https://app.example.com"), (ACCESS_CONTROL_REQUEST_METHOD, "GET"));
        let check = |pairs: &[(HeaderName, &str)], expected: Option<&str>| {
            let headers = fields(&[&[origin.clone(), asked.clone()], pairs].concat());
            let part = match policy.preflight(&facts(&Method::OPTIONS, &headers)) {
                Ok(_) => None,
                Err(Reason::CorsOriginNotAllowed { part, .. }) => Some(part),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(part, expected, "{pairs:?}");
        };
        let headers = |text| (ACCESS_CONTROL_REQUEST_HEADERS, text);
        check(&[headers("authorization"), headers(" ,Authorization , ")], None);
        check(std::slice::from_ref(&origin), Some("origin"));
        check(&[(ORIGIN, "https://evil.example")], Some("origin"));
        check(std::slice::from_ref(&asked), Some("method"));
        check(&[headers("authorization"), headers("x-other")], Some("header"));
        check(&[headers("authorization"), headers("x-\u{fc}")], Some("header"));
    }

    #[test]
    fn a_preflight_is_told_what_may_be_asked_for_and_a_cache_by_what_that_differs() {
        let request = fields(&[
            (ORIGIN, "https://app.example.com"),
            (ACCESS_CONTROL_REQUEST_METHOD, "GET"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "authorization"),
        ]);
        let answered = |policy: &CorsPolicy| {
            let answer = policy.preflight(&facts(&Method::OPTIONS, &request)).expect("an answer");
            let line = |(name, value): (&HeaderName, &HeaderValue)| {
                format!("{name}: {}", value.to_str().expect("text"))
            };
            let mut told = answer.headers.iter().map(line).collect::<Vec<_>>();
            told.sort();
            told
        };
        let policy = CorsPolicy { headers: vec![http::header::AUTHORIZATION, ORIGIN], ..policy() };
        let expected = [
            "access-control-allow-headers: authorization, origin",
            "access-control-allow-methods: GET, POST",
            "access-control-allow-origin: https://app.example.com",
            "access-control-max-age: 600",
            "vary: access-control-request-method, access-control-request-headers",
            "vary: origin",
        ];
        assert_eq!(answered(&policy), expected);
        let told = answered(&CorsPolicy { credentials: true, max_age_seconds: Some(7), ..policy });
        assert!(told.contains(&"access-control-allow-credentials: true".to_owned()), "{told:?}");
        assert!(told.contains(&"access-control-max-age: 7".to_owned()), "{told:?}");
    }

    #[test]
    fn preflights_are_exact() {
        let policy = policy();
        check(&policy, "https://app.example.com", "GET", "Authorization", Ok(()));
        check(&policy, "https://app.example.com", "POST", "", Ok(()));
        check(&policy, "https://app.example.com.evil.example", "GET", "", Err("origin"));
        check(&policy, "https://app.example.com:443", "GET", "", Err("origin"));
        check(&policy, "http://app.example.com", "GET", "", Err("origin"));
        check(&policy, "null", "GET", "", Err("origin"));
        check(&policy, "https://app.example.com", "DELETE", "", Err("method"));
        check(&policy, "https://app.example.com", "GET", "authorization, x-other", Err("header"));
        check(&policy, "http://localhost:8081", "GET", "", Err("origin"));
    }

    /// The last step but one of the Fetch standard's CORS-preflight fetch; the load balancer leaves the
    /// comparison to browsers.
    #[test]
    fn what_browsers_send_without_listing_needs_none() {
        let policy = CorsPolicy { methods: vec![Method::PUT], ..policy() };
        for method in ["GET", "HEAD", "POST", "PUT"] {
            check(&policy, "https://app.example.com", method, "Authorization", Ok(()));
            check(&policy, "https://evil.example", method, "", Err("origin"));
            check(&policy, "https://app.example.com", method, "x-other", Err("header"));
        }
        for method in ["get", "OPTIONS", "DELETE", "PATCH", "CONNECT", ""] {
            check(&policy, "https://app.example.com", method, "", Err("method"));
        }
    }

    #[test]
    fn a_star_is_every_method_and_header_as_browsers_read_it() {
        let star = CorsPolicy {
            methods: vec!["*".parse().expect("a token")],
            headers: vec![HeaderName::from_static("*")],
            ..policy()
        };
        check(&star, "https://app.example.com", "DELETE", "x-other", Ok(()));
        check(&star, "https://app.example.com", "DELETE", "x-other, Authorization", Err("header"));
        let with_cookies = CorsPolicy { credentials: true, ..star };
        check(&with_cookies, "https://app.example.com", "DELETE", "", Err("method"));
    }

    #[test]
    fn local_origins_are_local_addresses_by_their_own_name() {
        let policy = CorsPolicy { local_network_origins: true, ..policy() };
        for origin in [
            "http://localhost:8081",
            "https://localhost",
            "http://app.localhost:3000",
            "http://127.0.0.1:3000",
            "http://169.254.7.7",
            "http://192.168.1.7:19006",
            "http://[::1]:5173",
            "http://[fd00::7]:5173",
        ] {
            check(&policy, origin, "GET", "", Ok(()));
        }
        for origin in [
            "http://localhost.evil.example",
            "http://notlocalhost",
            "http://8.8.8.8",
            "http://[2001:db8::1]",
            "file://localhost",
            "ftp://localhost",
            "http://user@localhost",
            "http://localhost/a",
            "http://localhost?a",
            "http://localhost#a",
        ] {
            check(&policy, origin, "GET", "", Err("origin"));
        }
    }

    #[test]
    fn origins_are_listed_or_match_as_a_whole_and_null_is_nobodys() {
        let pattern = Regex::new("^(?:https://[a-z]+[.]example[.]com)$").expect("a pattern");
        let by_pattern = CorsPolicy { origins: Vec::new(), origin_patterns: vec![pattern], ..policy() };
        check(&by_pattern, "https://any.example.com", "GET", "", Ok(()));
        check(&by_pattern, "https://any.example.net", "GET", "", Err("origin"));
        let every = CorsPolicy { origins: vec!["*".to_owned(), "null".to_owned()], ..policy() };
        check(&every, "https://evil.example", "GET", "", Ok(()));
        check(&every, "null", "GET", "", Err("origin"));
    }

    #[test]
    fn the_backends_own_grants_are_replaced() {
        let decorated = |policy: &CorsPolicy, origin: Option<&'static str>| {
            let mut headers =
                CORS_HEADERS.map(|name| (name, HeaderValue::from_static("*"))).into_iter().collect();
            policy.decorate(origin.map(HeaderValue::from_static).as_ref(), &mut headers);
            assert_eq!(headers.remove(VARY), Some(HeaderValue::from_static("origin")), "{origin:?}");
            headers
        };
        for origin in [None, Some("https://evil.example"), Some("null")] {
            assert_eq!(decorated(&policy(), origin), HeaderMap::new(), "{origin:?}");
        }
        let app = "https://app.example.com";
        let exposed = "grpc-message, grpc-status, grpc-status-details-bin, retry-after, www-authenticate, x-firegate-reason, \
                       x-firegate-request-id";
        // Which of its headers a page may read is the service's affair, and nothing else is.
        let of_the_service = (ACCESS_CONTROL_EXPOSE_HEADERS, "*");
        let granted = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, app),
            (ACCESS_CONTROL_EXPOSE_HEADERS, exposed),
            of_the_service.clone(),
        ];
        assert_eq!(decorated(&policy(), Some(app)), fields(&granted));
        let more = CorsPolicy {
            credentials: true,
            exposed_headers: vec![HeaderName::from_static("x-total")],
            ..policy()
        };
        let exposed = format!("{exposed}, x-total");
        let granted = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, app),
            (ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
            (ACCESS_CONTROL_EXPOSE_HEADERS, &exposed),
            of_the_service,
        ];
        assert_eq!(decorated(&more, Some(app)), fields(&granted));
    }
}
