//! The `__session` cookie: the only one that Firebase Hosting lets through to a service, and where web apps keep their
//! session cookie (<https://firebase.google.com/docs/hosting/manage-cache#using_cookies>).

use http::HeaderMap;
use http::header::COOKIE;
use percent_encoding::percent_decode;

use super::without_segments;
use crate::reason::{AmbiguousCredential, Reason, ambiguous};

/// The cookie's name.
pub const SESSION_COOKIE: &str = "__session";

/// The cookie's value.
pub(super) fn session_cookie(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let Some(values) = values(headers, SESSION_COOKIE) else {
        return ambiguous(AmbiguousCredential::CookieLookAlike);
    };
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
    pairs(headers).any(|pair| !matches!(read(pair, SESSION_COOKIE), Pair::Other))
}

/// The values of the cookies with a name, in their order; `None` if there is another one that some service would take for it.
/// HTTP/2 may spread cookies over several fields (RFC 9113, section 8.2.3), so all are read.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &str) -> Option<Vec<&'a [u8]>> {
    let mut values = Vec::new();
    for pair in pairs(headers) {
        match read(pair, name) {
            Pair::Named(value) => values.push(value),
            Pair::LookAlike => return None,
            Pair::Other => {}
        }
    }
    Some(values)
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
}

/// One cookie, beside the name that is looked for.
enum Pair<'a> {
    /// It has the name, and this value.
    Named(&'a [u8]),
    /// It has not by RFC 6265, and has for services that read cookies more freely.
    LookAlike,
    Other,
}

fn read<'a>(pair: &'a [u8], wanted: &str) -> Pair<'a> {
    let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { return Pair::Other };
    let (name, value) = pair.split_at(equals);
    if name.trim_ascii() == wanted.as_bytes() {
        return Pair::Named(value[1..].trim_ascii());
    }
    if is_look_alike(name, wanted) || holds_another(pair, wanted) { Pair::LookAlike } else { Pair::Other }
}

/// Whether a name becomes the one that is looked for where names are unescaped, where `.`, blanks and `[` count as `_` (PHP),
/// where more than ASCII's blanks are trimmed (Python), or where letters have no case (ASP.NET Core).
fn is_look_alike(name: &[u8], wanted: &str) -> bool {
    let decoded = percent_decode(name).collect::<Vec<_>>();
    let text = String::from_utf8_lossy(&decoded);
    let is_edge =
        |character: char| character.is_whitespace() || character.is_control() || !character.is_ascii();
    let (found, wanted) = (folded(text.trim_matches(is_edge)), folded(wanted));
    let behind = found.strip_prefix(&wanted);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('_') && text.contains('['))
}

fn folded(name: &str) -> String {
    let fold = |character: char| match character {
        '.' | ' ' | '[' => '_',
        character => character.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

/// Whether a cookie of the name stands inside another one's value, behind a blank, a comma or a quotation mark: there are
/// parsers that begin a new cookie there.
fn holds_another(pair: &[u8], wanted: &str) -> bool {
    let name = wanted.as_bytes();
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
        without_segments(field, b';', |pair| !matches!(read(pair, SESSION_COOKIE), Pair::Other))
    });
}
