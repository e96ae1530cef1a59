//! The `__session` cookie: the only one that Firebase Hosting lets through to a service, and where web apps keep their
//! session cookie (<https://firebase.google.com/docs/hosting/manage-cache#using_cookies>).

use http::HeaderMap;
use http::header::COOKIE;
use percent_encoding::percent_decode;

use super::without_segments;
use crate::reason::{AmbiguousCredential, Reason, ambiguous};

/// The cookie's name.
pub const SESSION_COOKIE: &str = "__session";

/// The cookie's value. HTTP/2 may spread cookies over several fields (RFC 9113, section 8.2.3), so all are read.
pub(super) fn session_cookie(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let mut values = Vec::new();
    for pair in pairs(headers) {
        match read(pair) {
            Pair::Session(value) => values.push(value),
            // Some service would take it for the session cookie.
            Pair::LookAlike => return ambiguous(AmbiguousCredential::CookieLookAlike),
            Pair::Other => {}
        }
    }
    // An empty one is how an app signs its user out.
    let mut values = values.into_iter().filter(|value| !value.is_empty());
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => std::str::from_utf8(value)
            .map(Some)
            .map_err(|_| Reason::CredentialAmbiguous(AmbiguousCredential::CookieNotText)),
        // Which of two a service would take is anyone's guess.
        (Some(_), Some(_)) => ambiguous(AmbiguousCredential::SeveralCookies),
    }
}

/// Whether there is a session cookie, or anything that a service could take for one.
pub(super) fn has_session_cookie(headers: &HeaderMap) -> bool {
    pairs(headers).any(|pair| !matches!(read(pair), Pair::Other))
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
}

/// One cookie, as far as it concerns Firegate.
enum Pair<'a> {
    /// The session cookie with its value.
    Session(&'a [u8]),
    /// What is none by RFC 6265, and is one for services that read cookies more freely.
    LookAlike,
    Other,
}

fn read(pair: &[u8]) -> Pair<'_> {
    let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { return Pair::Other };
    let (name, value) = pair.split_at(equals);
    if name.trim_ascii() == SESSION_COOKIE.as_bytes() {
        return Pair::Session(value[1..].trim_ascii());
    }
    if is_look_alike(name) || holds_another(pair) { Pair::LookAlike } else { Pair::Other }
}

/// Whether a name becomes the session cookie's where names are unescaped, where `.`, blanks and `[` count as `_` (PHP), where
/// more than ASCII's blanks are trimmed (Python), or where letters have no case (ASP.NET Core).
fn is_look_alike(name: &[u8]) -> bool {
    let decoded = percent_decode(name).collect::<Vec<_>>();
    let text = String::from_utf8_lossy(&decoded);
    let is_edge =
        |character: char| character.is_whitespace() || character.is_control() || !character.is_ascii();
    let folded: String = text
        .trim_matches(is_edge)
        .chars()
        .map(
            |character| {
                if matches!(character, '.' | ' ' | '[') { '_' } else { character.to_ascii_lowercase() }
            },
        )
        .collect();
    folded == SESSION_COOKIE || folded.starts_with("__session_") && text.contains('[')
}

/// Whether a session cookie stands inside another one's value, behind a blank, a comma or a quotation mark: there are parsers
/// that begin a new cookie there.
fn holds_another(pair: &[u8]) -> bool {
    let name = SESSION_COOKIE.as_bytes();
    pair.windows(name.len() + 1).enumerate().any(|(index, window)| {
        let before = index.checked_sub(1).and_then(|before| pair.get(before));
        window.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && matches!(window.last(), Some(b'=' | b' ' | b'\t'))
            && before.is_some_and(|byte| {
                matches!(byte, b',' | b'"') || byte.is_ascii_whitespace() || !byte.is_ascii()
            })
    })
}

/// Removes the cookie from a request's headers, and what a service could take for it; other cookies stay byte for byte.
pub fn without_session_cookie(headers: &mut HeaderMap) {
    super::rewrite(headers, &COOKIE, |field| {
        without_segments(field, b';', |pair| !matches!(read(pair), Pair::Other))
    });
}
