//! What a decision knows of a request. Every door gathers the same facts; nothing is read from the wire after this.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::armor::ScreeningNote;
use crate::headers::{is_alike, named_by_connection};
use crate::method_override::other_methods;
use crate::path::NormalPath;
use crate::reason::{AmbiguousCredential, MalformedToken, MissingToken, Reason, ambiguous};

/// The facts of one request, as one reading of it.
#[derive(Clone, Debug)]
pub struct RequestFacts<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path in normal form, as it is matched and forwarded.
    pub path: NormalPath,
    /// The query as it came, without the question mark.
    pub query: Option<&'a str>,
    /// The headers as they came.
    pub headers: &'a HeaderMap,
    /// `http` or `https`, as the client reached the door, as far as somebody trustworthy vouches for it.
    pub scheme: &'static str,
    /// The host and port that the client named; empty if it named none.
    pub host: &'a str,
    /// The request opens a WebSocket (RFC 6455, section 4.1).
    pub is_web_socket: bool,
    /// A random number of this request's own, by which chance chooses among weighted services.
    pub random: u64,
    /// The client's address, as far as somebody trustworthy vouches for it, else that of whom the request came from.
    pub client: IpAddr,
    /// Whether whom the request came from may speak for others.
    pub is_vouched_for: bool,
    /// Of a request that was recorded: the headers that the record tells of. Whether it had others, or a user, is not known.
    /// `None` for a request itself, of which everything is known.
    pub recorded_headers: Option<&'a [HeaderName]>,
    /// What the backend's security policy did: noted by the decision for logs and explanations.
    pub screened: ScreeningNote,
    /// The methods that a service may take it for, beside its own, once somebody asked; `None` if there are too many.
    pub other_methods: OnceLock<Option<Vec<Method>>>,
    /// The headers that its Connection names, once somebody asked.
    pub named_by_connection: OnceLock<Vec<HeaderName>>,
}

/// Why nobody knows a header as the service gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderDoubt {
    /// Another one has a name that servers may take for it: those that fold names read `X_Debug` as `X-Debug`.
    OfTwoNames,
    /// Connection names it, so that it goes no further (RFC 9110, section 7.6.1).
    OfTheConnection,
}

/// What stands in the Authorization header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// No such header.
    Absent,
    /// `Bearer` (RFC 6750, section 2.1; the scheme is case-insensitive) and its token.
    Bearer(&'a str),
    /// A value that does not begin with `Bearer`.
    Other(&'a str),
}

impl<'a> RequestFacts<'a> {
    /// The facts of a plain request by `http`, without a query.
    pub fn of(method: &'a Method, path: NormalPath, headers: &'a HeaderMap) -> Self {
        Self {
            method,
            path,
            query: None,
            headers,
            scheme: "http",
            host: "",
            is_web_socket: false,
            random: 0,
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            is_vouched_for: false,
            recorded_headers: None,
            screened: ScreeningNote::default(),
            other_methods: OnceLock::new(),
            named_by_connection: OnceLock::new(),
        }
    }

    /// Reads the one Authorization header.
    ///
    /// # Errors
    /// If there are several, one that two parties could read differently, or one that says `Bearer` and holds no token. What is
    /// meant for a user and names none is refused wherever it is sent: it is no anonymous request.
    pub fn authorization(&self) -> Result<Authorization<'a>, Reason> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(Authorization::Absent),
            (Some(value), None) => value,
            (Some(_), Some(_)) => return ambiguous(AmbiguousCredential::SeveralAuthorizations),
        };
        if let Some(token) = plain_bearer(value) {
            return Ok(Authorization::Bearer(token));
        }
        let Ok(text) = value.to_str() else {
            let is_bearer = value
                .as_bytes()
                .get(..BEARER.len())
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER.as_bytes()));
            return Err(match is_bearer {
                true => Reason::TokenMalformed(MalformedToken::NotVisible),
                false => Reason::CredentialAmbiguous(AmbiguousCredential::AuthorizationNotVisible),
            });
        };
        let end = text.bytes().position(|byte| matches!(byte, b' ' | b'\t' | b','));
        let (scheme, rest) = text.split_at(end.unwrap_or(text.len()));
        if !scheme.eq_ignore_ascii_case(BEARER) {
            // A list of credentials is none: who reads its first and who reads its last element see different users.
            let has_bearer = rest.split(',').skip(1).any(|element| is_bearer(element.trim()));
            return if has_bearer {
                ambiguous(AmbiguousCredential::AuthorizationList)
            } else {
                Ok(Authorization::Other(text))
            };
        }
        if rest.contains(',') {
            return ambiguous(AmbiguousCredential::AuthorizationList);
        }
        let token = rest.trim_matches(' ');
        if token.trim_matches('\t').is_empty() {
            return Err(Reason::TokenMissing(MissingToken::EmptyBearer));
        }
        if token.contains([' ', '\t']) {
            return Err(Reason::TokenMalformed(MalformedToken::with_blanks(token)));
        }
        Ok(Authorization::Bearer(token))
    }

    /// The methods that a service may take the request for, beside its own. `None` if there are more than can be looked at.
    pub(crate) fn other_methods(&self) -> Option<&[Method]> {
        let find = || other_methods(self.method, self.headers, self.query);
        self.other_methods.get_or_init(find).as_deref()
    }

    /// Why the service may get another header of this name than the request has, or none.
    pub(crate) fn doubt_about_header(&self, name: &str) -> Option<HeaderDoubt> {
        let named = || self.named_by_connection.get_or_init(|| named_by_connection(self.headers));
        let is_named = || named().iter().any(|named| named == name);
        if self.headers.keys().any(|found| is_alike(found, name)) {
            Some(HeaderDoubt::OfTwoNames)
        } else if is_named() {
            Some(HeaderDoubt::OfTheConnection)
        } else {
            None
        }
    }

    /// Whether it can be said that a header is not there.
    pub fn knows_header(&self, name: &str) -> bool {
        self.recorded_headers.is_none_or(|recorded| recorded.iter().any(|known| known.as_str() == name))
    }

    /// The host in its normal form (RFC 3986, section 6.2), as rules compare it: in small letters, without the dot by which a
    /// name is a whole one, and without the port that is the scheme's own. Services take every spelling for the same host.
    pub(crate) fn normal_host(&self) -> Cow<'a, str> {
        let host = self.host_without_default_port();
        let host = without_whole_names_dot(host).unwrap_or(Cow::Borrowed(host));
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            host.to_ascii_lowercase().into()
        } else {
            host
        }
    }

    /// The host without a port that says nothing, as browsers write it.
    pub(crate) fn host_without_default_port(&self) -> &'a str {
        let default = if self.scheme == "https" { ":443" } else { ":80" };
        self.host.strip_suffix(default).unwrap_or(self.host)
    }

    /// A header's value as one text, as policies and routes compare it. Several are a list (RFC 9110, section 5.3), but pieces
    /// of cookies, which the service gets joined in their own way (RFC 9113, section 8.2.3). What HTTP/2 says without a header
    /// is told as the service gets it: the host, and that a WebSocket is asked for.
    pub(crate) fn whole_header(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        if name == HOST.as_str() && !self.host.is_empty() {
            return Some(match self.normal_host() {
                Cow::Borrowed(host) => Cow::Borrowed(host.as_bytes()),
                Cow::Owned(host) => Cow::Owned(host.into_bytes()),
            });
        }
        let mut values = self.headers.get_all(name).iter();
        let Some(first) = values.next().map(HeaderValue::as_bytes) else {
            let of_a_web_socket: &[u8] = match name {
                "upgrade" => b"websocket",
                "connection" => b"upgrade",
                _ => return None,
            };
            return self.is_web_socket.then_some(Cow::Borrowed(of_a_web_socket));
        };
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let separator: &[u8] = if name == COOKIE.as_str() { b"; " } else { b"," };
        let mut whole = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            whole.extend_from_slice(separator);
            whole.extend_from_slice(value.as_bytes());
        }
        Some(Cow::Owned(whole))
    }

    /// A header's value, if there is exactly one and it is visible ASCII.
    pub fn header(&self, name: HeaderName) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

/// A host without the dot behind its name, if it has one: `example.com.` is `example.com`, as the name service has it.
pub(crate) fn without_whole_names_dot(host: &str) -> Option<Cow<'_, str>> {
    let (name, port) = host.split_at_checked(host.find(':').unwrap_or(host.len()))?;
    let name = name.strip_suffix('.')?;
    Some(if port.is_empty() { name.into() } else { [name, port].concat().into() })
}

/// RFC 6750, section 2.1.
const BEARER: &str = "bearer";

/// The token of a value as nearly everybody writes it: `Bearer`, blanks, and visible characters without a comma. What is
/// written otherwise is looked at more closely; here many of the thousand bytes that a token has are looked at at once.
fn plain_bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, rest) = value.as_bytes().split_at_checked(BEARER.len())?;
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let (blanks, token) = rest.split_at(blanks);
    // To the end in any case: without a way out the loop takes many bytes at once.
    let is_plain = token.iter().fold(true, |all, byte| all & byte.is_ascii_graphic() & (*byte != b','));
    let is_whole = !blanks.is_empty() && !token.is_empty();
    let is_bearer = is_whole && is_plain && scheme.eq_ignore_ascii_case(BEARER.as_bytes());
    if is_bearer { str::from_utf8(token).ok() } else { None }
}

/// Whether a credential's scheme is Bearer.
fn is_bearer(credential: &str) -> bool {
    credential.split([' ', '\t']).next().is_some_and(|scheme| scheme.eq_ignore_ascii_case(BEARER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str], expected: Result<Authorization<'_>, Reason>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a header value"));
        }
        let path = NormalPath::parse("/").expect("a path");
        let facts = RequestFacts::of(&Method::GET, path, &headers);
        assert_eq!(facts.authorization(), expected, "{values:?}");
    }

    #[test]
    fn a_token_is_one_piece_of_visible_characters() {
        for character in (0..0x80_u8).map(char::from) {
            let value = format!("Bearer a{character}c");
            if HeaderValue::from_str(&value).is_err() {
                continue;
            }
            let expected = match character {
                ',' => ambiguous(AmbiguousCredential::AuthorizationList),
                _ if character.is_ascii_graphic() => Ok(Authorization::Bearer(&value["Bearer ".len()..])),
                _ => Err(Reason::TokenMalformed(MalformedToken::Blank)),
            };
            check(&[&value], expected);
        }
    }

    #[test]
    fn exactly_one_bearer_token_counts() {
        check(&[], Ok(Authorization::Absent));
        check(&["Bearer a.b.c"], Ok(Authorization::Bearer("a.b.c")));
        check(&["bEaReR  a.b.c "], Ok(Authorization::Bearer("a.b.c")));
        check(&["Basic YTpi"], Ok(Authorization::Other("Basic YTpi")));
        check(&["a.b.c"], Ok(Authorization::Other("a.b.c")));
        check(&["Bearer a", "Bearer b"], ambiguous(AmbiguousCredential::SeveralAuthorizations));
        check(&["Bearer a, Bearer b"], ambiguous(AmbiguousCredential::AuthorizationList));
        check(&["Bearer a,b"], ambiguous(AmbiguousCredential::AuthorizationList));
        check(&["Bearer,a.b.c"], ambiguous(AmbiguousCredential::AuthorizationList));
        check(&["Basic YTpi, bearer a.b.c"], ambiguous(AmbiguousCredential::AuthorizationList));
        let digest = "Digest username=\"bearer\", realm=\"x\"";
        check(&[digest], Ok(Authorization::Other(digest)));
    }

    #[test]
    fn one_broken_token_is_not_two() {
        let missing = || Err(Reason::TokenMissing(MissingToken::EmptyBearer));
        for empty in ["Bearer", "Bearer ", "bearer  ", "Bearer\t", "Bearer \t "] {
            check(&[empty], missing());
        }
        let malformed = |how| Err(Reason::TokenMalformed(how));
        check(&["Bearer [object Promise]"], malformed(MalformedToken::JavaScriptObject));
        check(&["Bearer [object Object]"], malformed(MalformedToken::JavaScriptObject));
        check(&["Bearer Bearer a.b.c"], malformed(MalformedToken::BearerTwice));
        check(&["Bearer bearer\ta.b.c"], malformed(MalformedToken::BearerTwice));
        check(&["Bearer a.b .c"], malformed(MalformedToken::Blank));
        check(&["Bearer\ta.b.c"], malformed(MalformedToken::Blank));
        check(&["Bearer \ta.b.c"], malformed(MalformedToken::Blank));
        check(&["Bearer t\u{f6}ken"], malformed(MalformedToken::NotVisible));
        check(&["Basic t\u{f6}ken"], ambiguous(AmbiguousCredential::AuthorizationNotVisible));
    }
}
