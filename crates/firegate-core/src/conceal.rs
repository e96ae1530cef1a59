//! What a client sent, as a log or an explanation may have it: without tokens. A token does not belong into a URL, and is sent
//! there all the same: by what cannot send a header, and by mistake.

use std::borrow::Cow;

use memchr::memchr;

use crate::limits::CLIENT_TEXT_SHOWN_BYTES_MAX;
use crate::token_source::query_without_access_token;

/// What stands in the place of a token.
pub const CONCEALED: &str = "[concealed]";

/// What a JSON object without white space begins with in base64url, and so the header and the payload of every token that
/// Google or Firegate writes. Nobody else's let anybody in.
const OBJECT: &[u8] = b"eyJ";

/// How short a text may be to be taken for the header of a token, in bytes.
const HEADER_BYTES_MIN: usize = 16;

/// A URL, or the path and query of one, without the query's `access_token` and without what looks like a signed token
/// anywhere.
pub fn url(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(start) = memchr(b'?', text) else { return tokens(text) };
    let (path, query) = text.split_at(start);
    let query = query.get(1..).unwrap_or_default();
    // A name may be spelt with escapes; without either there is nothing to look at.
    if memchr(b'%', query).is_none() && !has(query, b"access_token") {
        return tokens(text);
    }
    let without = match std::str::from_utf8(query).map(query_without_access_token) {
        Ok(Some(kept)) => kept,
        Ok(None) => return tokens(path),
        // What is no UTF-8 is nobody's query; its names cannot be trusted to be what they seem.
        Err(_) => CONCEALED.to_owned(),
    };
    let url = [path, b"?", without.as_bytes()].concat();
    Cow::Owned(tokens(&url).into_owned())
}

/// What a client wrote, for a message that quotes it: at most [`CLIENT_TEXT_SHOWN_BYTES_MAX`] of it, without tokens. Whoever
/// writes it escapes it.
pub fn shown(text: &[u8]) -> String {
    let mut shown = String::from_utf8_lossy(&tokens(text)).into_owned();
    if shown.len() > CLIENT_TEXT_SHOWN_BYTES_MAX {
        shown.truncate(shown.floor_char_boundary(CLIENT_TEXT_SHOWN_BYTES_MAX));
        shown.push('…');
    }
    shown
}

/// A text without what looks like a signed token.
pub fn tokens(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'J', text).is_none() || !has(text, OBJECT) {
        return Cow::Borrowed(text);
    }
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = position(rest, OBJECT) {
        let (before, token) = rest.split_at(start);
        let header = token.iter().take_while(|byte| is_base64url(**byte)).count();
        let ends_like_a_header = matches!(token.get(header), Some(b'.' | b'%'));
        let is_token = header >= HEADER_BYTES_MIN && ends_like_a_header;
        let length = match is_token {
            true => {
                token.iter().take_while(|byte| is_base64url(**byte) || matches!(byte, b'.' | b'%')).count()
            }
            false => header,
        };
        let (token, after) = token.split_at(length);
        kept.extend_from_slice(before);
        kept.extend_from_slice(if is_token { CONCEALED.as_bytes() } else { token });
        rest = after;
    }
    kept.extend_from_slice(rest);
    Cow::Owned(kept)
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn has(text: &[u8], part: &[u8]) -> bool {
    position(text, part).is_some()
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJldmUifQ.c2lnbmF0dXJl-_";

    fn check(given: &str, expected: &str) {
        let given = given.replace("TOKEN", TOKEN);
        assert_eq!(String::from_utf8_lossy(&url(given.as_bytes())), expected, "{given}");
    }

    #[test]
    fn no_token_is_left_in_a_url_and_everything_else_is() {
        check("/a?b=c%20d&e", "/a?b=c%20d&e");
        check("/a?access_token=TOKEN", "/a");
        check("/a?access_token=opaque&x=1", "/a?x=1");
        check("/a?x=1&%61ccess%5Ftoken=opaque", "/a?x=1");
        check("https://door.example/a?x=1&access_token=opaque&y=2", "https://door.example/a?x=1&y=2");
        check("/a?id_token=TOKEN&x=1", "/a?id_token=[concealed]&x=1");
        check("/a?x=%20&id_token=TOKEN", "/a?x=%20&id_token=[concealed]");
        check("/a?access.token=TOKEN", "/a?access.token=[concealed]");
        check("/TOKEN/b", "/[concealed]/b");
        check("/aTOKEN", "/a[concealed]");
        check("/a/TOKEN%2E/TOKEN", "/a/[concealed]/[concealed]");
        check("/a?x=%65yJhbGciOi.eyJzdWIiOiJldmUifQ.c2ln", "/a?x=%65yJhbGciOi.[concealed]");
        // A cursor is no token.
        check("/a?cursor=eyJpZCI6MTIzNDU2Nzg5MDEyfQ&x=eyJ.a", "/a?cursor=eyJpZCI6MTIzNDU2Nzg5MDEyfQ&x=eyJ.a");
        check("/J", "/J");
    }

    #[test]
    fn what_is_quoted_of_a_client_is_bounded_and_no_token() {
        assert_eq!(shown(b"https://app.example.com/"), "https://app.example.com/");
        assert_eq!(shown(format!("x-{TOKEN}").as_bytes()), "x-[concealed]");
        assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
        let bound = "a".repeat(CLIENT_TEXT_SHOWN_BYTES_MAX);
        assert_eq!(shown(bound.as_bytes()), bound);
        assert_eq!(shown(format!("{bound}b").as_bytes()), format!("{bound}…"));
        let odd = "ä".repeat(CLIENT_TEXT_SHOWN_BYTES_MAX);
        assert_eq!(shown(format!("a{odd}").as_bytes()).len(), CLIENT_TEXT_SHOWN_BYTES_MAX - 1 + "…".len());
    }

    #[test]
    fn a_query_that_is_no_text_is_not_searched_but_left_out() {
        assert_eq!(url(b"/a?%\xff&access_token=opaque"), Cow::Borrowed(b"/a?[concealed]".as_slice()));
    }
}
