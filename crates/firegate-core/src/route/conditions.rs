//! What a route rule asks of headers and query.

use std::borrow::Cow;
use std::fmt;

use firegate_files::url_map::{HeaderMatch, QueryMatch, ValueMatch};
use http::header::COOKIE;
use http::{HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::hosts::port;
use crate::facts::RequestFacts;
use crate::headers::is_protected;
use crate::parameter::may_be_read_as;

/// A condition on a header.
#[derive(Debug)]
pub(super) struct HeaderCondition {
    subject: Subject,
    value: ValueMatch,
    invert: bool,
}

/// What of a request is looked at.
#[derive(Debug)]
enum Subject {
    Header(HeaderName),
    /// `:authority`, `host` and `x-forwarded-host`: the one host of the request, as the client writes it or as services read
    /// it; then it has to be like this.
    Host(ValueMatch),
    /// `:method`.
    Method,
    /// `port`: that of the host.
    Port,
    /// `:scheme` and `x-forwarded-proto`: as somebody trustworthy vouches for it.
    Scheme,
    /// A header that nobody may set but Firegate and Google: what the client says there is not believed.
    Nothing,
}

impl HeaderCondition {
    pub(super) fn of(found: &HeaderMatch) -> Self {
        let subject = match found.name.as_str() {
            ":authority" | "host" | "x-forwarded-host" => Subject::Host(in_lower_case(&found.value)),
            ":method" => Subject::Method,
            ":scheme" | "x-forwarded-proto" => Subject::Scheme,
            "port" => Subject::Port,
            name => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) if !is_protected(&name) => Subject::Header(name),
                _ => Subject::Nothing,
            },
        };
        Self { subject, value: found.value.clone(), invert: found.invert }
    }

    /// The header that it asks for, if it is one that clients set.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match &self.subject {
            Subject::Header(name) => Some(name),
            _ => None,
        }
    }

    /// Whether nobody knows if it holds for the request as the service gets it: another header, or none, or the first or the
    /// last of several alone, or by another method that the request names beside its own.
    pub(super) fn is_in_doubt(&self, facts: &RequestFacts<'_>) -> bool {
        let is_like = |method: &Method| is_like(&self.value, method.as_str().as_bytes());
        match &self.subject {
            Subject::Header(name) => {
                facts.doubt_about_header(name.as_str()).is_some() || self.depends_on_copies(name, facts)
            }
            Subject::Method => facts
                .other_methods()
                .is_none_or(|methods| methods.iter().any(|method| is_like(method) != is_like(facts.method))),
            Subject::Host(_) | Subject::Port | Subject::Scheme | Subject::Nothing => false,
        }
    }

    /// Whether it matters if the first or the last of several headers alone counts, or all of them as a list. Pieces of
    /// cookies are no copies.
    fn depends_on_copies(&self, name: &HeaderName, facts: &RequestFacts<'_>) -> bool {
        let mut copies = facts.headers.get_all(name).iter();
        let (Some(first), Some(last)) = (copies.next(), copies.next_back()) else { return false };
        let whole = facts.whole_header(name.as_str());
        let is_like_whole = whole.is_some_and(|whole| is_like(&self.value, &whole));
        let is_otherwise = |copy: &HeaderValue| is_like(&self.value, copy.as_bytes()) != is_like_whole;
        *name != COOKIE && [first, last].into_iter().any(is_otherwise)
    }

    pub(super) fn holds(&self, facts: &RequestFacts<'_>) -> bool {
        let value = match &self.subject {
            Subject::Header(name) => facts.whole_header(name.as_str()),
            Subject::Host(value) if is_like(value, facts.normal_host().as_bytes()) => return !self.invert,
            Subject::Host(_) => Some(Cow::Borrowed(facts.host.as_bytes())),
            Subject::Method => Some(Cow::Borrowed(facts.method.as_str().as_bytes())),
            Subject::Port => port(facts.host).map(|port| Cow::Borrowed(port.as_bytes())),
            Subject::Scheme => Some(Cow::Borrowed(facts.scheme.as_bytes())),
            Subject::Nothing => None,
        };
        // An absent header fulfils nothing, and so it fulfils what is inverted.
        value.is_some_and(|value| is_like(&self.value, &value)) != self.invert
    }
}

/// What is asked for, as a URL map writes it.
impl fmt::Display for HeaderCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.subject {
            Subject::Header(name) => name.as_str(),
            Subject::Host(_) => ":authority",
            Subject::Method => ":method",
            Subject::Port => "port",
            Subject::Scheme => ":scheme",
            Subject::Nothing => "a header that clients may not set",
        };
        let not = if self.invert { "not " } else { "" };
        write!(formatter, "{not}{name} {}", Asked(&self.value))
    }
}

/// What a value has to be like.
pub(super) struct Asked<'a>(pub(super) &'a ValueMatch);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ValueMatch::Exact(text) => write!(formatter, "= {text:?}"),
            ValueMatch::Prefix(text) => write!(formatter, "begins with {text:?}"),
            ValueMatch::Suffix(text) => write!(formatter, "ends with {text:?}"),
            ValueMatch::Present => formatter.write_str("is there"),
            ValueMatch::Range { start, end } => write!(formatter, "is from {start} to below {end}"),
            ValueMatch::Regex(regex) => write!(formatter, "is like {:?}", regex.as_str()),
        }
    }
}

/// Whether a query has a parameter that is like this. Nothing is decoded, and of several with one name the first counts.
pub(super) fn query_holds(condition: &QueryMatch, query: Option<&str>) -> bool {
    let mut parameters = query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
    let found = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (name == condition.name).then_some(value)
    });
    found.is_some_and(|value| is_like(&condition.value, value.as_bytes()))
}

/// Whether a service may read something else in the query than the condition: a parameter of this name that is written
/// otherwise, in escapes or in another case of letters, or stands behind a `;`, or one of several, of which the first counts
/// in Google's and the last in PHP and Rails.
pub(super) fn is_query_in_doubt(condition: &QueryMatch, query: Option<&str>) -> bool {
    let query = query.unwrap_or_default();
    let holds = query_holds(condition, Some(query));
    let fits = |value: &str| {
        let of_service = decoded(value);
        let is_exactly = match &condition.value {
            ValueMatch::Exact(text) => decoded(text) == of_service,
            _ => false,
        };
        is_exactly || is_like(&condition.value, value.as_bytes()) || is_like(&condition.value, &of_service)
    };
    let is_otherwise = |parameter: &str| {
        let (found, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        may_be_read_as(found, &condition.name) && fits(value) != holds
    };
    let pieces = query.split('&').filter(|parameter| parameter.contains(';')).flat_map(|all| all.split(';'));
    query.split('&').chain(pieces).any(is_otherwise)
}

/// A name or a value as services read it.
fn decoded(text: &str) -> Vec<u8> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).collect()
}

/// What a host in small letters has to be like.
fn in_lower_case(expected: &ValueMatch) -> ValueMatch {
    match expected {
        ValueMatch::Exact(text) => ValueMatch::Exact(text.to_ascii_lowercase()),
        ValueMatch::Prefix(text) => ValueMatch::Prefix(text.to_ascii_lowercase()),
        ValueMatch::Suffix(text) => ValueMatch::Suffix(text.to_ascii_lowercase()),
        other => other.clone(),
    }
}

fn is_like(expected: &ValueMatch, value: &[u8]) -> bool {
    match expected {
        ValueMatch::Exact(text) => value == text.as_bytes(),
        ValueMatch::Prefix(text) => value.starts_with(text.as_bytes()),
        ValueMatch::Suffix(text) => value.ends_with(text.as_bytes()),
        ValueMatch::Present => true,
        ValueMatch::Range { start, end } => {
            let number = str::from_utf8(value).ok().and_then(|text| text.trim().parse::<i64>().ok());
            number.is_some_and(|number| (*start..*end).contains(&number))
        }
        ValueMatch::Regex(regex) => regex.is_match(value),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::path::NormalPath;

    fn holds(name: &str, value: ValueMatch, invert: bool, pairs: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        let path = NormalPath::parse("/").expect("a path");
        let facts =
            RequestFacts { host: "api.example.com:8443", ..RequestFacts::of(&Method::POST, path, &headers) };
        HeaderCondition::of(&HeaderMatch { name: name.to_owned(), value, invert }).holds(&facts)
    }

    #[test]
    fn headers_are_compared_as_the_map_says() {
        let check = |name: &str, value: ValueMatch, pairs: &[(&str, &str)], expected: bool| {
            assert_eq!(holds(name, value.clone(), false, pairs), expected, "{name} {value:?} {pairs:?}");
            assert_eq!(holds(name, value.clone(), true, pairs), !expected, "not {name} {value:?} {pairs:?}");
        };
        let exact = |text: &str| ValueMatch::Exact(text.to_owned());
        check("x-a", exact("1"), &[("X-A", "1")], true);
        check("x-a", exact("1"), &[("X-A", "2")], false);
        check("x-a", exact("1"), &[], false);
        check("x-a", exact("1,2"), &[("X-A", "1"), ("X-A", "2")], true);
        check("x-a", exact("1"), &[("X-A", "1"), ("X-A", "2")], false);
        check("x-a", ValueMatch::Prefix("ab".to_owned()), &[("X-A", "abc")], true);
        check("x-a", ValueMatch::Suffix("bc".to_owned()), &[("X-A", "abc")], true);
        check("x-a", ValueMatch::Present, &[("X-A", "")], true);
        check("x-a", ValueMatch::Present, &[], false);
        check("x-a", ValueMatch::Range { start: 1, end: 3 }, &[("X-A", "1")], true);
        check("x-a", ValueMatch::Range { start: 1, end: 3 }, &[("X-A", "3")], false);
        check("x-a", ValueMatch::Range { start: -3, end: 0 }, &[("X-A", "-2")], true);
        check("x-a", ValueMatch::Range { start: 1, end: 3 }, &[("X-A", "one")], false);
        check(":method", exact("POST"), &[], true);
        check(":authority", exact("api.example.com:8443"), &[], true);
        check("port", exact("8443"), &[], true);
        check("x-forwarded-proto", exact("https"), &[("X-Forwarded-Proto", "https")], false);
        check("x-forwarded-proto", exact("http"), &[("X-Forwarded-Proto", "https")], true);
        check("x-forwarded-for", ValueMatch::Present, &[("X-Forwarded-For", "10.0.0.1")], false);
        check("x-firegate-user-id", exact("eve"), &[("X-Firegate-User-Id", "eve")], false);
    }

    #[test]
    fn of_several_parameters_the_first_counts() {
        let check = |name: &str, value: &ValueMatch, query: Option<&str>, expected: bool| {
            let condition = QueryMatch { name: name.to_owned(), value: value.clone() };
            assert_eq!(query_holds(&condition, query), expected, "{name} {value:?} {query:?}");
        };
        let one = ValueMatch::Exact("1".to_owned());
        check("a", &one, Some("a=1"), true);
        check("a", &one, Some("b=2&a=1"), true);
        check("a", &one, Some("a=2&a=1"), false);
        check("a", &one, Some("aa=1"), false);
        check("a", &ValueMatch::Present, Some("a"), true);
        check("a", &ValueMatch::Present, Some("a="), true);
        check("a", &ValueMatch::Present, Some("b"), false);
        check("a", &ValueMatch::Present, None, false);
    }

    #[test]
    fn a_query_that_a_service_may_read_otherwise_is_in_doubt() {
        let check = |value: &ValueMatch, query: &str, expected: bool| {
            let condition = QueryMatch { name: "a b".to_owned(), value: value.clone() };
            assert_eq!(is_query_in_doubt(&condition, Some(query)), expected, "{value:?} {query}");
        };
        let one = ValueMatch::Exact("1 x".to_owned());
        for certain in [
            "",
            "b=1",
            "a=1",
            "a+=1+x",
            "c=a+b=1+x",
            "a b=1 x",
            "a b=2",
            "a+b=2&a%20b=3",
            "c=1;a+b=2",
            "a b=2&a b=3",
            "a b=1 x&a b=1 x",
        ] {
            check(&one, certain, false);
        }
        for doubtful in [
            "a b=2&a b=1 x",
            "a b=1 x&a b=2",
            "A b=1 x",
            "a.b=1 x",
            "a_b[]=1 x",
            "a+b=1+x",
            "%61%20b=1 x",
            "a b=%31%20x",
            "a b=2&a+b=1 x",
            "a b=1 x;y",
            "c;a+b=1+x",
        ] {
            check(&one, doubtful, true);
        }
        check(&ValueMatch::Present, "a b", false);
        check(&ValueMatch::Present, "a b=1&a b=2", false);
        check(&ValueMatch::Present, "a+b", true);
        check(&ValueMatch::Present, "c;a%20b", true);
        let letters = ValueMatch::Regex(regex::bytes::Regex::new("^(?:[a-z]+)$").expect("a pattern"));
        check(&letters, "a b=abc", false);
        check(&letters, "a b=%61bc", true);
        check(&letters, "a b=1", false);
    }
}
