//! Where in a request the user's token stands, and how a request looks without it.
//!
//! A token that the client put there on purpose (`Authorization`, the query, `Sec-WebSocket-Protocol`) wins over the
//! `__session` cookie, which a browser sends by itself; two tokens on purpose are none. Whatever was looked for is found
//! and removed by the same reading, so that nothing is left behind that another reader would take for a token.

mod cookie;
mod origin;
mod query;
mod subprotocol;

use std::fmt;

use firegate_files::configuration::TokenSource;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use cookie::values as cookies_named;
pub use cookie::{SESSION_COOKIE, without_session_cookie};
pub(crate) use origin::check_cookie_origin;
pub use query::{ACCESS_TOKEN, query_without_access_token};
use subprotocol::without_access_token_protocol;

use crate::app_check::FIREBASE_APP_CHECK;
use crate::facts::{Authorization, RequestFacts};
use crate::headers::remove_alike;
use crate::reason::{AmbiguousCredential, Reason, ambiguous};

/// A token that a request carries, not yet proven to be anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where it stands.
    pub source: TokenSource,
    /// The request also has a `__session` cookie, which lost against this token.
    pub supersedes_cookie: bool,
    /// It is a good one, of a Google account that is nobody here: other backends may let the account in by it, so that it goes
    /// no further than a user's.
    pub is_good_elsewhere: bool,
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        formatter.debug_struct("PresentedToken").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Finds the one token of a request, looking in `sources` alone.
///
/// # Errors
/// If there are two of a kind, or one that two parties could read differently.
pub fn presented_token<'a>(
    facts: &RequestFacts<'a>,
    sources: &[TokenSource],
) -> Result<Option<PresentedToken<'a>>, Reason> {
    let looks_in = |source| sources.contains(&source);
    // It is read in any case: what nobody judged must not travel beside a user whom something else names.
    let authorization = match facts.authorization()? {
        Authorization::Bearer(token) => Some((token, TokenSource::Authorization)),
        Authorization::Absent | Authorization::Other(_) => None,
    };
    let query = match facts.query {
        Some(query) if looks_in(TokenSource::Query) && may_carry_in_query(facts) => {
            query::access_token(query)?.map(|token| (token, TokenSource::Query))
        }
        _ => None,
    };
    let protocol = if looks_in(TokenSource::WebsocketProtocol) && facts.is_web_socket {
        subprotocol::access_token(facts.headers)?.map(|token| (token, TokenSource::WebsocketProtocol))
    } else {
        None
    };
    let mut on_purpose = [authorization, query, protocol].into_iter().flatten();
    let supersedes_cookie = looks_in(TokenSource::Cookie) && cookie::has_session_cookie(facts.headers);
    let presented = match (on_purpose.next(), on_purpose.next()) {
        (Some(_), Some(_)) => ambiguous(AmbiguousCredential::SeveralPlaces),
        // A sibling's page can plant cookies; they must not get in the way of a token that was sent on purpose.
        (Some((text, source)), None) if looks_in(source) => {
            Ok(Some(PresentedToken { text, source, supersedes_cookie, is_good_elsewhere: false }))
        }
        // A Bearer token where none is read. With a cookie beside it there would be two users in one request.
        (Some(_), None) if supersedes_cookie => ambiguous(AmbiguousCredential::CookieBesideBearer),
        (None, _) if looks_in(TokenSource::Cookie) => {
            let cookie = cookie::session_cookie(facts.headers)?;
            let presented = |text| PresentedToken {
                text,
                source: TokenSource::Cookie,
                supersedes_cookie: false,
                is_good_elsewhere: false,
            };
            Ok(cookie.map(presented))
        }
        (Some(_), None) | (None, _) => Ok(None),
    }?;
    // Where queries are read, one that does not count would reach the service beside the user whom the other token names.
    let is_beside = looks_in(TokenSource::Query) && !may_carry_in_query(facts) && is_in_query(facts);
    if presented.is_some() && is_beside {
        ambiguous(AmbiguousCredential::SeveralPlaces)
    } else {
        Ok(presented)
    }
}

/// Whether the query has an `access_token`, or what some service takes for one.
pub(crate) fn is_in_query(facts: &RequestFacts<'_>) -> bool {
    facts.query.is_some_and(|query| !matches!(query::access_token(query), Ok(None)))
}

/// Whether a token in the query counts: only for what a browser opens without letting the page set headers, a WebSocket
/// or an `EventSource`. Everything else can send `Authorization`, which is not written into every log on the way.
fn may_carry_in_query(facts: &RequestFacts<'_>) -> bool {
    let mut accepted = facts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    facts.is_web_socket
        || accepted.any(|value| {
            value.split(',').any(|range| {
                range
                    .split(';')
                    .next()
                    .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
            })
        })
}

/// What of a request is not forwarded: the places that a token was read from, or lost in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenRemoval {
    /// The Authorization header.
    pub authorization: bool,
    /// The `__session` cookie; other cookies stay.
    pub cookie: bool,
    /// The query's `access_token`; other parameters stay.
    pub query: bool,
    /// `access_token` and the token in `Sec-WebSocket-Protocol`; other protocols stay.
    pub websocket_protocol: bool,
    /// The App Check token, if the backend required one.
    pub app_check: bool,
}

impl TokenRemoval {
    /// Removes the token that was read, unless it is forwarded, and the cookie that lost against it in any case.
    pub fn of(token: Option<&PresentedToken<'_>>, forwards_user_token: bool) -> Self {
        let Some(token) = token else { return Self::default() };
        let drops = |source| token.source == source && !forwards_user_token;
        Self {
            authorization: drops(TokenSource::Authorization),
            cookie: drops(TokenSource::Cookie) || token.supersedes_cookie,
            query: drops(TokenSource::Query),
            websocket_protocol: drops(TokenSource::WebsocketProtocol),
            app_check: false,
        }
    }

    /// Removes from a request's headers what stands there. All other bytes stay as they are.
    pub fn apply(self, headers: &mut HeaderMap) {
        if self.authorization {
            headers.remove(AUTHORIZATION);
        }
        if self.cookie {
            without_session_cookie(headers);
        }
        if self.app_check {
            remove_alike(headers, &FIREBASE_APP_CHECK);
        }
        if self.websocket_protocol {
            without_access_token_protocol(headers);
        }
    }
}

/// Rewrites every field of a name; a field of which nothing is left goes.
fn rewrite(headers: &mut HeaderMap, name: &HeaderName, mut edit: impl FnMut(&[u8]) -> Option<Vec<u8>>) {
    let fields = headers.get_all(name).iter().filter_map(|field| {
        let mut kept = HeaderValue::from_bytes(&edit(field.as_bytes())?).ok()?;
        kept.set_sensitive(field.is_sensitive());
        Some(kept)
    });
    let fields = fields.collect::<Vec<_>>();
    headers.remove(name);
    for field in fields {
        headers.append(name, field);
    }
}

/// Removes segments from a delimited text and keeps every other byte, but for the blank that the removed segment left at the
/// start. `None` if nothing is left.
fn without_segments(
    text: &[u8],
    delimiter: u8,
    mut is_removed: impl FnMut(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut kept: Vec<u8> = Vec::with_capacity(text.len());
    let mut is_first = true;
    let mut removed_any = false;
    for segment in text.split(|byte| *byte == delimiter) {
        if is_removed(segment) {
            removed_any = true;
            continue;
        }
        if is_first {
            kept.extend_from_slice(if removed_any { segment.trim_ascii_start() } else { segment });
        } else {
            kept.push(delimiter);
            kept.extend_from_slice(segment);
        }
        is_first = false;
    }
    (!is_first).then_some(kept)
}

#[cfg(test)]
mod tests;
