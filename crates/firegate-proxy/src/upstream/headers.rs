//! The headers of a forwarded request: what of the client's is deleted, and what Firegate sets. Deletion comes first and
//! does not depend on what is set, so that no copy of the client's survives on a route where a header is not set.

use std::borrow::Cow;

use firegate_core::forwarded::{Client, remove_protected, tell_way};
use firegate_core::headers::{is_protected, named_by_connection, remove_alike};
use firegate_core::route::{HeaderActions, HeaderFacts};
use firegate_core::token_source::TokenRemoval;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, TE};
use http::{HeaderMap, Version};

use super::handshake::Handshake;

/// The path before it was rewritten, where Google's load balancers leave it.
const ENVOY_ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
const SERVERLESS_AUTHORIZATION: HeaderName = HeaderName::from_static("x-serverless-authorization");
const FORWARDED_AUTHORIZATION: HeaderName = HeaderName::from_static("x-forwarded-authorization");

/// Whether a header is one connection's and not the request's (RFC 9110, section 7.6.1). Compared as texts, most names are told
/// apart by their length alone.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// A field with its value.
type Field = (HeaderName, HeaderValue);

/// Fields by names that nothing of the client's goes by, each of them once: nobody has to look whether there are others.
#[derive(Debug, Default)]
pub(crate) struct OwnFields<'a> {
    /// Who the user is, as far as it is not signed: the same each time.
    about_user: Cow<'a, [Field]>,
    others: Vec<Field>,
}

/// How many others there are at most.
const OTHERS_MAX: usize = 7;

impl OwnFields<'_> {
    /// Whether no name may be the client's, and none is said twice.
    fn are_proper(&self) -> bool {
        let names = || self.lists().into_iter().flatten().map(|(name, _)| name);
        names().all(|name| is_protected(name) && names().filter(|other| *other == name).count() == 1)
    }

    /// Adds them to the headers of a request that is sent by HTTP/2, where all are in one map.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in self.lists().into_iter().flatten() {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// Removes what goes by their names.
    pub(super) fn remove_from(&self, headers: &mut HeaderMap) {
        for (name, _) in self.lists().into_iter().flatten() {
            headers.remove(name);
        }
    }

    /// All of them.
    pub(super) fn lists(&self) -> [&[Field]; 2] {
        [&self.about_user, &self.others]
    }
}

/// Who the user of a request is.
#[derive(Debug, Default)]
pub(crate) struct IdentityHeaders<'a> {
    /// As a service may read it that believes whoever calls.
    pub(crate) plain: Cow<'a, [Field]>,
    /// As Firegate signs it.
    pub(crate) assertion: Option<Field>,
}

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
    /// `Bearer` and the Google ID token for the service.
    pub(crate) google_token: Option<&'a HeaderValue>,
}

impl RequestHeaders<'_> {
    /// The headers of the forwarded request, made out of the client's: what of those goes on, and what routes and policies make
    /// of it; and in `own`, what Firegate says itself, of the user and of the request.
    pub(crate) fn of<'u>(
        self,
        client: &HeaderMap,
        identity: IdentityHeaders<'u>,
        own: &mut OwnFields<'u>,
    ) -> HeaderMap {
        // What Connection names goes before anything is set: afterwards it could name, and so delete, what Firegate sets.
        let named = named_by_connection(client);
        let drops_authorization = self.removal.authorization;
        let mut wants_trailers = false;
        let mut headers = HeaderMap::with_capacity(client.len());
        for (name, value) in client {
            let goes_no_further = *name == HOST
                || (drops_authorization && *name == AUTHORIZATION)
                || is_hop_by_hop(name)
                || named.contains(name);
            if !goes_no_further {
                headers.append(name, value.clone());
            }
            wants_trailers |= *name == TE && names_trailers(value);
        }
        self.set(wants_trailers, &mut headers, identity, own);
        headers
    }

    fn set<'u>(
        self,
        wants_trailers: bool,
        headers: &mut HeaderMap,
        identity: IdentityHeaders<'u>,
        own: &mut OwnFields<'u>,
    ) {
        let has_rules = self.actions.is_some() || !self.screened.is_empty();
        remove_protected(headers);
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
            remove_alike(headers, name);
            headers.insert(name, value.clone());
        }
        // Each is written where it stays: values that are handed from one place to the next cost more than all that is in them.
        own.about_user = identity.plain;
        own.others.clear();
        own.others.reserve(OTHERS_MAX);
        own.others.extend(identity.assertion);
        tell_way(&self.client, self.host, self.version, &mut own.others);
        if let Some(token) = self.google_token {
            own.others.push((SERVERLESS_AUTHORIZATION, token.clone()));
        }
        debug_assert!(own.are_proper(), "{own:?}");
        if has_rules {
            // No file may name them. What is said of a user stands even if one could.
            own.remove_from(headers);
        }
    }
}

/// Whether a client that sends this TE takes trailers (RFC 9110, section 10.1.4).
fn names_trailers(te: &HeaderValue) -> bool {
    let mut elements = te.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    elements.any(|element| element.eq_ignore_ascii_case(b"trailers"))
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
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    while let Some(name) = headers.keys().find(|name| is_hop_by_hop(name)).cloned() {
        headers.remove(name);
    }
}

/// Leaves one statement of how long an answer is, the one that it was read by: a client might go by the other. What is no
/// length, or two of them, where nothing was read by it, is left out.
pub(super) fn leave_one_length(headers: &mut HeaderMap) {
    let lists = headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths =
        lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let Some(first) = lengths.next() else { return };
    let (mut is_alone, mut is_length) = (true, !first.is_empty() && first.iter().all(u8::is_ascii_digit));
    for other in lengths {
        is_alone = false;
        is_length &= other == first;
    }
    let one = HeaderValue::from_bytes(first).ok().filter(|_| is_length);
    match one {
        Some(_) if is_alone => {}
        Some(one) => {
            headers.insert(CONTENT_LENGTH, one);
        }
        // Of an answer to HEAD, or a 304, nothing was read by it, so it may be anything. An HTTP/2 client would give up.
        None => {
            headers.remove(CONTENT_LENGTH);
        }
    }
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
        let plain = [(HeaderName::from_static("x-firegate-user-id"), HeaderValue::from_static("ada"))];
        let identity = IdentityHeaders { plain: Cow::Borrowed(&plain), assertion: None };
        let google_token = HeaderValue::from_static("Bearer google");
        let mut own = OwnFields::default();
        let passed = RequestHeaders {
            client,
            host: "door.example",
            version: Version::HTTP_11,
            removal: TokenRemoval { authorization, ..TokenRemoval::default() },
            copies_authorization: false,
            actions: None,
            original_path: None,
            handshake: None,
            screened: &[],
            google_token: Some(&google_token),
        }
        .of(&headers, identity, &mut own);
        let own = own.lists().into_iter().flatten().map(|(name, value)| (name, value));
        let mut lines = passed
            .iter()
            .chain(own)
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

    /// A request that HTTP/2 did not take goes by HTTP/1 perhaps, where they would be said twice.
    #[test]
    fn what_firegate_says_leaves_a_request_as_it_came() {
        let others = vec![(FORWARDED_AUTHORIZATION, HeaderValue::from_static("a"))];
        let own = OwnFields { others, ..OwnFields::default() };
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("b"));
        let before = headers.clone();
        own.add_to(&mut headers);
        own.add_to(&mut headers);
        assert_eq!((headers.len(), &headers[FORWARDED_AUTHORIZATION]), (2, &own.others[0].1));
        own.remove_from(&mut headers);
        assert_eq!(headers, before);
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
