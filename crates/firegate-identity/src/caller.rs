//! Who calls, and from where. Administrators' and control calls are for programs on this machine: not for other
//! machines, not for web pages of other origins, and not for pages that reach a loopback address under a name of their
//! own (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri, request};

use crate::error::ApiError;
use crate::routes::API_HOSTS;
use crate::sign_in::Locality;

/// The caller of one request.
#[derive(Clone)]
pub(crate) struct Caller {
    peer: IpAddr,
    /// The request's host and port as they came.
    authority: Option<String>,
    /// The request's host in lower case.
    pub(crate) host: Option<String>,
    pub(crate) origin: Option<HeaderValue>,
    bearer: Option<String>,
    has_api_key: bool,
}

impl Caller {
    pub(crate) fn of(peer: SocketAddr, request: &request::Parts) -> Self {
        let headers = &request.headers;
        // HTTP/2 has the host in the target, HTTP/1 in a header.
        let authority = match request.uri.authority() {
            Some(authority) => Some(authority.to_string()),
            None => single_text(headers, HOST.as_str()),
        };
        let host = authority.as_deref().and_then(host_of);
        Self {
            peer: peer.ip().to_canonical(),
            authority,
            host,
            origin: headers.get(ORIGIN).cloned(),
            bearer: headers.get(AUTHORIZATION).and_then(bearer_of),
            has_api_key: has_api_key(request),
        }
    }

    /// This server's own host and port as the caller knows them, none if the caller knows it by a name of Google's.
    pub(crate) fn own_authority(&self) -> Option<&str> {
        let is_google = self.host.as_deref().is_some_and(|host| API_HOSTS.contains(&host));
        self.authority.as_deref().filter(|_| !is_google)
    }

    /// Whether the caller is a program on this machine, or a page that this machine served.
    pub(crate) fn locality(&self) -> Locality {
        let host_is_ours =
            self.host.as_deref().is_some_and(|host| is_loopback(host) || API_HOSTS.contains(&host));
        if self.peer.is_loopback() && host_is_ours && !self.is_foreign_page() {
            Locality::ThisMachine
        } else {
            Locality::Elsewhere
        }
    }

    /// Whether a browser says that a page of another machine is behind the request.
    pub(crate) fn is_foreign_page(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| !is_local_origin(origin))
    }

    /// End users' calls need an API key; any will do, because there is but one project.
    pub(crate) fn require_api_key(&self) -> Result<(), ApiError> {
        if self.has_api_key { Ok(()) } else { Err(ApiError::MissingApiKey) }
    }

    /// Administrators' calls need a bearer token that a program on this machine brings.
    pub(crate) fn require_administrator(&self) -> Result<(), ApiError> {
        if self.locality() == Locality::Elsewhere {
            return Err(ApiError::Forbidden(
                "Administrators' operations are open to programs on this machine alone, at a loopback address.",
            ));
        }
        match self.bearer.as_deref() {
            None => Err(ApiError::MissingCredentials),
            // What the Admin SDKs send to an emulator, and what they send with real credentials.
            Some(token) if token.eq_ignore_ascii_case("owner") || token.starts_with("ya29.") => Ok(()),
            Some(_) => Err(ApiError::InvalidCredentials),
        }
    }

    /// Control calls need no token, but a loopback name in `Host`.
    pub(crate) fn require_control(&self) -> Result<(), ApiError> {
        let is_at_loopback = self.host.as_deref().is_some_and(is_loopback);
        if is_at_loopback && self.locality() == Locality::ThisMachine {
            return Ok(());
        }
        Err(ApiError::Forbidden(
            "Control operations are open to programs on this machine alone, at localhost or a loopback address.",
        ))
    }
}

fn single_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::to_owned),
        _ => None,
    }
}

fn host_of(authority: &str) -> Option<String> {
    let authority: http::uri::Authority = authority.parse().ok()?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

fn bearer_of(value: &HeaderValue) -> Option<String> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn has_api_key(request: &request::Parts) -> bool {
    let in_query = request.uri.query().is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "key" && !value.is_empty())
    });
    in_query || request.headers.get("x-goog-api-key").is_some_and(|key| !key.is_empty())
}

fn is_local_origin(origin: &HeaderValue) -> bool {
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let host = uri.as_ref().and_then(|uri| host_of(uri.authority()?.as_str()));
    host.is_some_and(|host| is_loopback(&host))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| IpAddr::V6(address).to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, headers: &[(&str, &str)]) -> Caller {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Caller::of(SocketAddr::new(peer.parse().unwrap(), 50_000), &request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_programs_on_this_machine_are_local() {
        fn check(peer: &str, headers: &[(&str, &str)], expected: Locality) {
            assert_eq!(caller(peer, headers).locality(), expected, "{peer} {headers:?}");
        }
        use Locality::{Elsewhere, ThisMachine};
        check("127.0.0.1", &[("host", "localhost:9099")], ThisMachine);
        check("127.0.0.1", &[("host", "LOCALHOST")], ThisMachine);
        check("::1", &[("host", "[::1]:9099")], ThisMachine);
        check("::ffff:127.0.0.1", &[("host", "127.0.0.1:9099")], ThisMachine);
        check("127.0.0.1", &[("host", "identitytoolkit.googleapis.com")], ThisMachine);
        check("127.0.0.1", &[("host", "localhost"), ("origin", "http://localhost:8081")], ThisMachine);
        check("192.168.1.7", &[("host", "localhost")], Elsewhere);
        check("127.0.0.1", &[("host", "rebound.example.com:9099")], Elsewhere);
        check("127.0.0.1", &[("host", "localhost.example.com")], Elsewhere);
        check("127.0.0.1", &[("host", "localhost"), ("host", "localhost")], Elsewhere);
        check("127.0.0.1", &[], Elsewhere);
        check("127.0.0.1", &[("host", "localhost"), ("origin", "https://example.com")], Elsewhere);
        check("127.0.0.1", &[("host", "localhost"), ("origin", "http://localhost.example.com")], Elsewhere);
        check("127.0.0.1", &[("host", "localhost"), ("origin", "null")], Elsewhere);
    }

    #[test]
    fn administrators_bring_a_bearer_token_from_this_machine() {
        fn check(authorization: Option<&str>, expected: Result<(), ApiError>) {
            let mut headers = vec![("host", "localhost:9099")];
            headers.extend(authorization.map(|value| ("authorization", value)));
            assert_eq!(caller("127.0.0.1", &headers).require_administrator(), expected, "{authorization:?}");
        }
        check(Some("Bearer owner"), Ok(()));
        check(Some("bearer Owner"), Ok(()));
        check(Some("Bearer ya29.abc"), Ok(()));
        check(None, Err(ApiError::MissingCredentials));
        check(Some("Basic owner"), Err(ApiError::MissingCredentials));
        check(Some("Bearer someone"), Err(ApiError::InvalidCredentials));
        let remote = caller("10.0.0.7", &[("host", "localhost"), ("authorization", "Bearer owner")]);
        assert!(matches!(remote.require_administrator(), Err(ApiError::Forbidden(_))));
    }

    #[test]
    fn controls_need_a_loopback_name() {
        assert_eq!(caller("127.0.0.1", &[("host", "127.0.0.1:9099")]).require_control(), Ok(()));
        let google = caller("127.0.0.1", &[("host", "identitytoolkit.googleapis.com")]);
        assert!(matches!(google.require_control(), Err(ApiError::Forbidden(_))));
    }
}
