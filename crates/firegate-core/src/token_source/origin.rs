//! Cross-site requests. A browser adds cookies to what any page sends, so a cookie alone does not say that the user meant
//! it (CSRF). For a token that was read from one, whatever changes something, and every WebSocket, has to come from a page
//! that may.

use http::header::{HeaderName, ORIGIN};
use http::{HeaderMap, Method};

use crate::cors::CorsPolicy;
use crate::facts::RequestFacts;
use crate::reason::Reason;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a request may be served for the user whom its cookie names. `cors` says which pages of other origins may make it:
/// with cookies too, or not.
///
/// # Errors
/// If it is not safe (RFC 9110, section 9.2.1) or opens a WebSocket, and comes from a page that may not send it.
pub(crate) fn check_cookie_origin(facts: &RequestFacts<'_>, cors: Option<&CorsPolicy>) -> Result<(), Reason> {
    let is_safe = |method: &Method| [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    // A link can name the method that a service is to take it for.
    let is_safe_anyhow = || facts.other_methods().is_some_and(|others| others.iter().all(is_safe));
    if is_safe(facts.method) && !facts.is_web_socket && is_safe_anyhow() {
        return Ok(());
    }
    let is_allowed = match the_one(facts.headers, &ORIGIN) {
        Field::One(origin) => {
            is_own(facts, origin) || cors.is_some_and(|cors| cors.admits_cookies_of(origin))
        }
        // Browsers leave `Origin` out of some same-origin requests, and no page can write this header.
        Field::None => the_one(facts.headers, &SEC_FETCH_SITE) == Field::One("same-origin"),
        Field::Ambiguous => false,
    };
    if is_allowed { Ok(()) } else { Err(Reason::CookieOriginNotAllowed) }
}

/// Whether an origin is the one under which the client reached this door.
fn is_own(facts: &RequestFacts<'_>, origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    let own = facts.host_without_default_port();
    !own.is_empty() && scheme == facts.scheme && host.eq_ignore_ascii_case(own)
}

#[derive(PartialEq, Eq)]
enum Field<'a> {
    None,
    One(&'a str),
    Ambiguous,
}

fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Field<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Field::None,
        (Some(Ok(value)), None) => Field::One(value),
        _ => Field::Ambiguous,
    }
}
