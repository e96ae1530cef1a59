//! The `__session` cookie: how it is found among others, and that the others stay. Each line of the input is one Cookie
//! field, as HTTP/2 spreads them.
#![no_main]

use firegate_core::facts::RequestFacts;
use firegate_core::path::NormalPath;
use firegate_core::token_source::{SESSION_COOKIE, presented_token, without_session_cookie};
use firegate_files::configuration::TokenSource;
use firegate_fuzz::{fields, parts};
use http::header::COOKIE;
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(headers) = fields(&COOKIE, data) else { return };
    let (sessions, others): (Vec<_>, Vec<_>) =
        parts(&headers, &COOKIE, b';').into_iter().partition(|pair| is_session(pair));
    // An empty one counts for nothing, and is removed all the same.
    let set: Vec<&[u8]> =
        sessions.iter().map(|pair| value_of(pair)).filter(|value| !value.is_empty()).collect();
    match (read(&headers), &set[..]) {
        (Ok(None), []) => {}
        (Ok(Some(found)), [value]) => assert_eq!(found.as_bytes(), *value),
        // Two of them, or one that is no text.
        (Err(()), [_, _, ..]) => {}
        (Err(()), [value]) if std::str::from_utf8(value).is_err() => {}
        // Or one that other parsers would take for the session cookie.
        (Err(()), _) if others.iter().any(|pair| may_look_alike(pair)) => {}
        (found, _) => panic!("{found:?} among {set:?}"),
    }

    let mut rest = headers.clone();
    without_session_cookie(&mut rest);
    assert_eq!(read(&rest), Ok(None));
    let left = without_empty(parts(&rest, &COOKIE, b';'));
    assert!(left.iter().all(|pair| others.contains(pair)));
    if !others.iter().any(|pair| may_look_alike(pair)) {
        assert_eq!(left, without_empty(others));
        if sessions.is_empty() {
            assert_eq!(rest, headers, "nothing was to be removed");
        }
    }
});

fn read(headers: &HeaderMap) -> Result<Option<String>, ()> {
    let facts = RequestFacts::of(&Method::GET, NormalPath::parse("/").expect("a path"), headers);
    let found = presented_token(&facts, &[TokenSource::Cookie]).map_err(drop)?;
    Ok(found.map(|token| token.text.to_owned()))
}

fn is_session(pair: &[u8]) -> bool {
    let mut sides = pair.splitn(2, |byte| *byte == b'=');
    let name = sides.next().unwrap_or_default();
    name.trim_ascii() == SESSION_COOKIE.as_bytes() && sides.next().is_some()
}

/// Whether a cookie could be a look-alike at all: somewhere it names a session, or hides what it names.
fn may_look_alike(pair: &[u8]) -> bool {
    pair.contains(&b'%') || pair.windows(7).any(|window| window.eq_ignore_ascii_case(b"session"))
}

fn value_of(pair: &[u8]) -> &[u8] {
    pair.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default().trim_ascii()
}

fn without_empty(pairs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    pairs.into_iter().filter(|pair| !pair.is_empty()).collect()
}
