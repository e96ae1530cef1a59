//! The headers of a forwarded request: what of the client's is deleted, and what Firegate sets. Deletion comes first and
//! does not depend on what is set, so that no copy of the client's survives on a route where a header is not set.

use firegate_core::forwarded::{Client, rewrite};
use firegate_core::headers::is_protected;
use firegate_core::route::{HeaderActions, HeaderFacts};
use firegate_core::token_source::TokenRemoval;
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Version};

use super::handshake::Handshake;

/// The path before it was rewritten, where Google's load balancers leave it.
const ENVOY_ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
const SERVERLESS_AUTHORIZATION: HeaderName = HeaderName::from_static("x-serverless-authorization");
const FORWARDED_AUTHORIZATION: HeaderName = HeaderName::from_static("x-forwarded-authorization");

/// The headers of one connection, not of the request (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What Connection cannot name, beside what is protected.
const KEPT: [&str; 3] = ["authorization", "content-length", "host"];

/// How many headers a request is given on its way, in most cases: with room for them from the start nothing is moved.
const SET_HEADERS: usize = 12;

/// What Firegate sets on a forwarded request.
#[derive(Debug)]
pub(crate) struct RequestHeaders<'a> {
    pub(crate) client: Client,
    /// The host that the client named.
    pub(crate) host: &'a str,
    /// The version of HTTP that it spoke.
    pub(crate) version: Version,
    /// What holds the user's token and goes no further.
    pub(crate) removal: TokenRemoval,
    /// The Authorization header is copied to where API Gateway leaves it.
    pub(crate) copies_authorization: bool,
    /// What the route does to headers.
    pub(crate) actions: Option<(&'a HeaderActions, HeaderFacts<'a>)>,
    /// The path and query that were asked for, if the service gets another path.
    pub(crate) original_path: Option<HeaderValue>,
    /// The WebSocket that the client asked for.
    pub(crate) handshake: Option<&'a Handshake>,
    /// What the security policy sets.
    pub(crate) screened: &'a [(HeaderName, HeaderValue)],
    /// Who the user is.
    pub(crate) identity: Vec<(HeaderName, HeaderValue)>,
    /// `Bearer` and the Google ID token for the service.
    pub(crate) google_token: Option<HeaderValue>,
}

impl RequestHeaders<'_> {
    /// The headers of the forwarded request, made out of the client's.
    pub(crate) fn of(self, client: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(client.len() + SET_HEADERS);
        headers.extend(client.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.apply(&mut headers);
        headers
    }

    fn apply(self, headers: &mut HeaderMap) {
        let wants_trailers = wants_trailers(headers);
        // First what Connection names: afterwards it could name, and so delete, what Firegate sets.
        strip_hop_by_hop(headers);
        rewrite(headers, &self.client, self.host, self.version);
        headers.remove(HOST);
        self.removal.apply(headers);
        join_cookies(headers);
        // After what a client may not say is gone, and before Firegate says anything: what it says stands in any case.
        if let Some((actions, facts)) = self.actions {
            actions.change_request(headers, &facts);
        }
        if let Some(path) = self.original_path {
            headers.insert(ENVOY_ORIGINAL_PATH, path);
        }
        // gRPC servers refuse requests that do not say so, and it promises nothing that is not kept.
        if wants_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(handshake) = self.handshake {
            handshake.ask(headers);
        }
        if self.copies_authorization
            && let Some(authorization) = headers.get(AUTHORIZATION).cloned()
        {
            headers.insert(FORWARDED_AUTHORIZATION, authorization);
        }
        // Nothing that Firegate sets itself can be set by a policy in its stead.
        for (name, value) in self.screened {
            headers.insert(name, value.clone());
        }
        for (name, value) in self.identity {
            headers.insert(name, value);
        }
        if let Some(token) = self.google_token {
            headers.insert(SERVERLESS_AUTHORIZATION, token);
        }
    }
}

/// Whether the client takes trailers (RFC 9110, section 10.1.4).
fn wants_trailers(headers: &HeaderMap) -> bool {
    let elements = headers.get_all(TE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).any(|element| element.eq_ignore_ascii_case(b"trailers"))
}

/// HTTP/2 clients may send a cookie header in pieces, HTTP/1 servers expect it whole (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let pieces = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    if let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(COOKIE, whole);
    }
}

/// Removes what belongs to the connection a message came by, and what its Connection header names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let mut removed = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect::<Vec<_>>();
    for value in headers.get_all(CONNECTION) {
        let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let names = names.filter_map(|name| HeaderName::from_bytes(name).ok());
        // Nobody may have the framing, the credential or what is set for them deleted by naming it.
        removed.extend(names.filter(|name| !is_protected(name) && !KEPT.contains(&name.as_str())));
    }
    for name in removed {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(pairs: &[(&str, &str)], authorization: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a name"),
                value.parse().expect("a value"),
            );
        }
        let client = Client { address: [203, 0, 113, 9].into(), scheme: "https", is_vouched_for: false };
        let identity = vec![(HeaderName::from_static("x-firegate-user-id"), HeaderValue::from_static("ada"))];
        let google_token = Some(HeaderValue::from_static("Bearer google"));
        RequestHeaders {
            client,
            host: "door.example",
            version: Version::HTTP_11,
            removal: TokenRemoval { authorization, ..TokenRemoval::default() },
            copies_authorization: false,
            actions: None,
            original_path: None,
            handshake: None,
            screened: &[],
            identity,
            google_token,
        }
        .apply(&mut headers);
        let mut lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")))
            .collect::<Vec<_>>();
        lines.retain(|line| {
            !["x-forwarded-", "forwarded:", "via:"].iter().any(|start| line.starts_with(start))
        });
        lines.sort();
        lines
    }

    fn check(pairs: &[(&str, &str)], drops_authorization: bool, expected: &[&str]) {
        let set = ["x-firegate-user-id: ada", "x-serverless-authorization: Bearer google"];
        let mut expected = expected.iter().chain(&set).copied().collect::<Vec<_>>();
        expected.sort_unstable();
        assert_eq!(forwarded(pairs, drops_authorization), expected, "{pairs:?}");
    }

    #[test]
    fn the_clients_copies_never_survive() {
        check(
            &[("X-Firegate-User-Id", "eve"), ("x_firegate_user_id", "eve"), ("X.Firegate.User.Email", "eve")],
            true,
            &[],
        );
        check(&[("X-Serverless-Authorization", "Bearer eve")], true, &[]);
        check(&[("X-Firegate-User-Id", "eve"), ("X-Firegate-User-Id", "eve")], true, &[]);
        check(&[("Authorization", "Bearer user"), ("Accept", "*/*")], true, &["accept: */*"]);
        check(&[("Authorization", "Bearer user")], false, &["authorization: Bearer user"]);
    }

    #[test]
    fn connection_cannot_name_what_firegate_sets() {
        check(
            &[
                ("Connection", "x-firegate-user-id, X-Serverless-Authorization, authorization"),
                ("Authorization", "Basic x"),
            ],
            false,
            &["authorization: Basic x"],
        );
        check(
            &[
                ("Connection", "x-custom, keep-alive"),
                ("X-Custom", "1"),
                ("X-Other", "2"),
                ("Keep-Alive", "5"),
            ],
            true,
            &["x-other: 2"],
        );
        check(&[("TE", "trailers")], true, &["te: trailers"]);
        check(&[("TE", "gzip;q=0.5, Trailers")], true, &["te: trailers"]);
        check(&[("Cookie", "a=1"), ("Cookie", "b=2")], true, &["cookie: a=1; b=2"]);
        check(&[("TE", "gzip"), ("Transfer-Encoding", "chunked")], true, &[]);
    }
}
