//! The decoding functions of Cloud Armor. They take bytes and give bytes, and what is invalid never fails.
//! <https://cloud.google.com/armor/docs/rules-language-reference#operations>

use std::borrow::Cow;

/// `lower`, for ASCII alone.
pub(crate) fn lower(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_uppercase) { Cow::Owned(text.to_ascii_lowercase()) } else { text }
}

/// `upper`, for ASCII alone.
pub(crate) fn upper(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_lowercase) { Cow::Owned(text.to_ascii_uppercase()) } else { text }
}

/// `base64Decode`: either alphabet, padding or none; empty if it is invalid.
pub(crate) fn base64(text: &[u8]) -> Vec<u8> {
    let unpadded = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let is_padded = unpadded.len() < text.len();
    if unpadded.len() % 4 == 1 || (is_padded && !text.len().is_multiple_of(4)) {
        return Vec::new();
    }
    let mut out = Vec::with_capacity(unpadded.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &byte in unpadded {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return Vec::new(),
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(low_byte(bits >> held));
        }
    }
    out
}

/// `urlDecode`: `%XX` and `+`; what is no such sequence stays.
pub(crate) fn url(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    decoded(text, |rest, out| percent(rest).map(|byte| out.push(byte)).map(|()| 3))
}

/// `urlDecodeUni`: `%uXXXX` beside them, which becomes UTF-8.
pub(crate) fn url_unicode(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    decoded(text, |rest, out| {
        let unicode = rest.get(1).is_some_and(|letter| matches!(letter, b'u' | b'U'));
        let character =
            unicode.then(|| rest.get(2..6).and_then(hexadecimal).and_then(char::from_u32)).flatten();
        match character {
            Some(character) => {
                out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
                Some(6)
            }
            None => percent(rest).map(|byte| out.push(byte)).map(|()| 3),
        }
    })
}

/// `utf8ToUnicode`: what is not ASCII becomes `%uXXXX`; what is not UTF-8 stays.
pub(crate) fn utf8_to_unicode(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() * 2);
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_ascii() {
                out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.extend(format!("%u{:04x}", u32::from(character)).as_bytes());
            }
        }
        out.extend(chunk.invalid());
    }
    Cow::Owned(out)
}

/// Replaces `+` by a space and every `%…` that `sequence` can read: it writes what it becomes, and says how many bytes it took.
fn decoded<'a>(
    text: Cow<'a, [u8]>,
    sequence: impl Fn(&[u8], &mut Vec<u8>) -> Option<usize>,
) -> Cow<'a, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = &*text;
    while let Some((&first, after)) = rest.split_first() {
        let taken = if first == b'%' { sequence(rest, &mut out) } else { None };
        rest = match taken {
            Some(length) => rest.get(length..).unwrap_or_default(),
            None => {
                out.push(if first == b'+' { b' ' } else { first });
                after
            }
        };
    }
    Cow::Owned(out)
}

fn percent(rest: &[u8]) -> Option<u8> {
    rest.get(1..3).and_then(hexadecimal).map(low_byte)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

const fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(decode: fn(Cow<'_, [u8]>) -> Cow<'_, [u8]>, text: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        let text = text.as_ref();
        assert_eq!(
            String::from_utf8_lossy(&decode(Cow::Borrowed(text))),
            String::from_utf8_lossy(expected.as_ref()),
            "{text:?}"
        );
    }

    #[test]
    fn texts_are_decoded_as_cloud_armor_does() {
        check(lower, "GET É", "get É");
        check(upper, "get é", "GET é");
        check(url, "a%20b+c%21", "a b c!");
        check(url, "%zz%2", "%zz%2");
        check(url, "%", "%");
        check(url, "%e9", [0xe9]);
        check(url_unicode, "value=Unicode%20Url%u0020Encoded%u0021", "value=Unicode Url Encoded!");
        check(url_unicode, "%u00e9%ud800%u12", "é%ud800%u12");
        check(url_unicode, "%U0041+", "A ");
        check(utf8_to_unicode, "Ā ā a\\x83t", "%u0100 %u0101 a\\x83t");
        check(utf8_to_unicode, "😀", "%u1f600");
        check(utf8_to_unicode, [b'a', 0xff], [b'a', 0xff]);
    }

    #[test]
    fn base64_has_both_alphabets_and_no_errors() {
        let check = |text: &str, expected: &[u8]| assert_eq!(base64(text.as_bytes()), expected, "{text}");
        check("YWJj", b"abc");
        check("YWI=", b"ab");
        check("YWI", b"ab");
        check("YQ==", b"a");
        check("YQ", b"a");
        check("-_-_", &[0xfb, 0xff, 0xbf]);
        check("+/+/", &[0xfb, 0xff, 0xbf]);
        check("", b"");
        for invalid in ["a", "YWJj=", "YQ=", "Y", "YW Jj", "YWJj\n", "Y===", "é"] {
            check(invalid, b"");
        }
    }
}
