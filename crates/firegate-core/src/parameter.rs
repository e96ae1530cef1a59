//! The names of a query's parameters, which services read in more ways than one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Whether some service takes a parameter for the one of this name, both as they are written in a query: escapes are decoded
/// everywhere, letters have no case in ASP.NET Core, and in PHP blanks before a name are none of it, `.`, blanks and a `[`
/// that is not closed count as `_`, and one that is closed makes a list.
pub(crate) fn may_be_read_as(found: &str, name: &str) -> bool {
    let (found, name) = (decoded(found), decoded(name));
    let (found, name) = (found.trim(), name.trim());
    let is_name =
        |text: &str| text.len() == name.len() && text.bytes().map(folded).eq(name.bytes().map(folded));
    is_name(found) || found.split_once('[').is_some_and(|(list, _)| is_name(list))
}

fn decoded(text: &str) -> Cow<'_, str> {
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    if decoded.contains('+') { decoded.replace('+', " ").into() } else { decoded }
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' | b'[' => b'_',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_service_takes_for_another_are_known() {
        let check = |found: &str, expected: bool| {
            assert_eq!(may_be_read_as(found, "access_token"), expected, "{found}");
        };
        for alike in [
            "access_token",
            "%61ccess%5ftoken",
            "Access_TOKEN",
            "access.token",
            "access+token",
            "access%20token",
            "+access_token",
            "access[token",
            "access_token[]",
            "access_token%5b0]",
            "access.token[",
        ] {
            check(alike, true);
        }
        for other in [
            "",
            "access",
            "accesstoken",
            "access-token",
            "xaccess_token",
            "access_token2",
            "access[token]",
            "x[access_token]",
        ] {
            check(other, false);
        }
        assert!(may_be_read_as("a_b", "a.b"));
        assert!(may_be_read_as("a+b", "a%20b"));
    }
}
