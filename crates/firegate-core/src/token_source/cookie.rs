//! The `__session` cookie: the only one that Firebase Hosting lets through to a service, and where web apps keep their
//! session cookie (<https://firebase.google.com/docs/hosting/manage-cache#using_cookies>).

use http::HeaderMap;
use http::header::COOKIE;

use super::without_segments;
use crate::reason::Reason;

/// The cookie's name.
pub const SESSION_COOKIE: &str = "__session";

/// The cookie's value. HTTP/2 may spread cookies over several fields (RFC 9113, section 8.2.3), so all are read.
pub(super) fn session_cookie(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let fields = headers.get_all(COOKIE).iter();
    let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    // An empty one is how an app signs its user out.
    let mut values = pairs.filter_map(value_of_session_cookie).filter(|value| !value.is_empty());
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => std::str::from_utf8(value).map(Some).map_err(|_| Reason::CredentialAmbiguous),
        // Which of two a service would take is anyone's guess.
        (Some(_), Some(_)) => Err(Reason::CredentialAmbiguous),
    }
}

fn value_of_session_cookie(pair: &[u8]) -> Option<&[u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at(equals);
    (name.trim_ascii() == SESSION_COOKIE.as_bytes()).then(|| value[1..].trim_ascii())
}

/// Removes the cookie from a request's headers; other cookies stay byte for byte.
pub fn without_session_cookie(headers: &mut HeaderMap) {
    super::rewrite(headers, &COOKIE, |field| {
        without_segments(field, b';', |pair| value_of_session_cookie(pair).is_some())
    });
}
