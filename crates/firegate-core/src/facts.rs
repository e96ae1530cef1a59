//! What a decision knows of a request. Every door gathers the same facts; nothing is read from the wire after this.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use crate::path::NormalPath;
use crate::reason::Reason;

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
}

/// What stands in the Authorization header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// No such header.
    Absent,
    /// `Bearer` (RFC 6750, section 2.1; the scheme is case-insensitive) and its token.
    Bearer(&'a str),
    /// Another scheme.
    Other,
}

impl<'a> RequestFacts<'a> {
    /// The facts of a plain request by `http`, without a query.
    pub fn of(method: &'a Method, path: NormalPath, headers: &'a HeaderMap) -> Self {
        Self { method, path, query: None, headers, scheme: "http", host: "", is_web_socket: false }
    }

    /// Reads the one Authorization header.
    ///
    /// # Errors
    /// If there are several, or one that two parties could read differently.
    pub fn authorization(&self) -> Result<Authorization<'a>, Reason> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Ok(Authorization::Absent),
            (Some(value), None) => value,
            (Some(_), Some(_)) => return Err(Reason::CredentialAmbiguous),
        };
        let Ok(text) = value.to_str() else { return Err(Reason::CredentialAmbiguous) };
        let (scheme, rest) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
        if !scheme.eq_ignore_ascii_case("bearer") {
            // A list of credentials is none: who reads its first and who reads its last element see different users.
            let has_bearer = rest.split(',').skip(1).any(|element| is_bearer(element.trim()));
            return if has_bearer { Err(Reason::CredentialAmbiguous) } else { Ok(Authorization::Other) };
        }
        let token = rest.trim_matches(' ');
        if !rest.starts_with(' ') || token.is_empty() || token.contains([' ', ',', '\t']) {
            return Err(Reason::CredentialAmbiguous);
        }
        Ok(Authorization::Bearer(token))
    }

    /// A header's value, if there is exactly one and it is visible ASCII.
    pub fn header(&self, name: http::HeaderName) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

/// Whether a credential's scheme is Bearer.
fn is_bearer(credential: &str) -> bool {
    credential.split([' ', '\t']).next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
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
    fn exactly_one_bearer_token_counts() {
        check(&[], Ok(Authorization::Absent));
        check(&["Bearer a.b.c"], Ok(Authorization::Bearer("a.b.c")));
        check(&["bEaReR  a.b.c "], Ok(Authorization::Bearer("a.b.c")));
        check(&["Basic YTpi"], Ok(Authorization::Other));
        check(&["a.b.c"], Ok(Authorization::Other));
        check(&["Bearer a", "Bearer b"], Err(Reason::CredentialAmbiguous));
        check(&["Bearer a, Bearer b"], Err(Reason::CredentialAmbiguous));
        check(&["Bearer a,b"], Err(Reason::CredentialAmbiguous));
        check(&["Bearer "], Err(Reason::CredentialAmbiguous));
        check(&["Bearer"], Err(Reason::CredentialAmbiguous));
        check(&["Bearer\ta.b.c"], Err(Reason::CredentialAmbiguous));
        check(&["Bearer \ta.b.c"], Err(Reason::CredentialAmbiguous));
        check(&["Bearer,a.b.c"], Err(Reason::CredentialAmbiguous));
        check(&["Basic YTpi, bearer a.b.c"], Err(Reason::CredentialAmbiguous));
        check(&["Digest username=\"bearer\", realm=\"x\""], Ok(Authorization::Other));
    }
}
