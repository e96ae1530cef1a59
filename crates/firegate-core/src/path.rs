//! The one reading of a request's path. What is matched is what is forwarded: the path is normalised once, before any
//! rule sees it, and a path that two parties could read differently is refused instead of guessed at.

mod readings;

use std::borrow::Cow;
use std::fmt::Write as _;

use firegate_expr::{Attribute, Expression, PathLetters};

use crate::limits::PATH_BYTES_MAX;
pub(crate) use readings::in_lower_case;

/// A path in normal form (RFC 3986, section 6.2.2): it begins with `/`, and has no dot segments, no empty segments but a
/// last one, and no backslash. An encoded slash or backslash is part of its segment; only backends that ask for it get
/// such a path. Parameters (RFC 3986, section 3.3) are part of their segment too. What servers make of the path that decode the
/// former, cut the latter or its end off, or take capital letters for small ones, is told beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath {
    text: String,
    has_encoded_separator: bool,
    other_readings: Vec<String>,
}

/// What some server makes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathReading<'a> {
    pub(crate) path: &'a str,
    /// It takes capital letters for small ones.
    pub(crate) ignores_case: bool,
}

impl NormalPath {
    /// Normalises the path of a request target, without its query.
    ///
    /// # Errors
    /// Says what is ambiguous about the path.
    pub fn parse(path: &str) -> Result<Self, &'static str> {
        if path.len() > PATH_BYTES_MAX {
            return Err("the path is too long");
        }
        if !path.starts_with('/') {
            return Err("the path does not begin with a slash");
        }
        if is_plain(path) {
            return Ok(Self {
                text: path.to_owned(),
                has_encoded_separator: false,
                other_readings: Vec::new(),
            });
        }
        Self::parse_thoroughly(path)
    }

    /// Takes every segment of a path that begins with a slash into its hands.
    fn parse_thoroughly(path: &str) -> Result<Self, &'static str> {
        let escaped = normal_escapes(path)?;
        let text = resolve(&escaped)?;
        let has_encoded_separator = ENCODED_SEPARATORS.iter().any(|encoded| text.contains(encoded));
        if has_encoded_separator && decoded_segments(&text).any(is_dot_segment) {
            // For a server that decodes it, it would lead out of the folder that was matched.
            return Err("the path holds a dot segment beside an encoded slash");
        }
        let other_readings = readings::others(&text, has_encoded_separator);
        Ok(Self { text, has_encoded_separator, other_readings })
    }

    /// The path as it is matched and forwarded.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds an encoded slash or backslash.
    pub(crate) fn has_encoded_separator(&self) -> bool {
        self.has_encoded_separator
    }

    /// Whether a server that decodes its separators or cuts its parameters off would read a path in this folder, which ends
    /// with a slash.
    pub fn may_be_read_in(&self, folder: &str) -> bool {
        self.other_readings.iter().any(|reading| reading.starts_with(folder))
    }

    /// The other paths that servers might make of it: each kind of encoded separator may be decoded or not, parameters cut off
    /// before or after or not at all, empty segments dropped or not, and dots and blanks cut off the end or not. The last one
    /// is what all of them agree on who do it thoroughly.
    pub(crate) fn other_readings(&self) -> &[String] {
        &self.other_readings
    }

    /// What servers make of it that decode separators, cut parameters off and take capital letters for small ones.
    pub(crate) fn most_thorough_reading(&self) -> Cow<'_, str> {
        let last = self.other_readings.last().map_or(self.text.as_str(), String::as_str);
        in_lower_case(last).map_or(Cow::Borrowed(last), Cow::Owned)
    }

    /// The readings of which an expression might say something else than of the path as it is matched. Those of servers that
    /// take capital letters for small ones, as the routers of many frameworks do, are among them where there are letters to be
    /// taken for others.
    pub(crate) fn readings_for(&self, expression: &Expression) -> impl Iterator<Item = PathReading<'_>> {
        let is_asked = expression.reads_attribute(Attribute::RequestPath);
        let letters = expression.path_letters();
        let others = self.other_readings.iter().map(String::as_str);
        let others = others.filter(move |_| is_asked);
        let in_any_case = std::iter::once(self.as_str()).chain(others.clone());
        let in_any_case = in_any_case.filter(move |path| match letters {
            PathLetters::None => false,
            PathLetters::Small => has_capital_letters(path),
            PathLetters::Capital => true,
        });
        let reading = |ignores_case| move |path| PathReading { path, ignores_case };
        others.map(reading(false)).chain(in_any_case.map(reading(true)))
    }

    /// Whether it has letters that many servers take for small ones.
    pub(crate) fn has_capital_letters(&self) -> bool {
        has_capital_letters(&self.text)
    }
}

/// A query whose escapes of unreserved characters stand for these, as for every server (RFC 3986, section 6.2.2.2); `None`
/// if it has none. All other bytes stay as they are.
pub(crate) fn without_needless_escapes(query: &str) -> Option<String> {
    if !query.contains('%') {
        return None;
    }
    let mut parts = query.split('%');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let value = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (value, part.get(2..)) {
            (Some(value), Some(rest)) if is_unreserved(value) => {
                plain.push(char::from(value));
                plain.push_str(rest);
            }
            _ => {
                plain.push('%');
                plain.push_str(part);
            }
        }
    }
    (plain != query).then_some(plain)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether there is a capital letter, be it a digit of an escape.
fn has_capital_letters(path: &str) -> bool {
    path.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// What a slash and a backslash become when they are part of a segment.
const ENCODED_SEPARATORS: [&str; 2] = ["%2F", "%5C"];

/// The segments of a path for a server that decodes its separators.
fn decoded_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').flat_map(|segment| segment.split("%2F")).flat_map(|segment| segment.split("%5C"))
}

/// Whether a segment means this folder or the one above, its parameters cut off.
fn is_dot_segment(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let name = name.split("%3B").next().unwrap_or_default();
    matches!(name, "." | "..")
}

/// Takes out dot segments and empty ones (RFC 3986, section 5.2.4).
fn resolve(escaped: &str) -> Result<String, &'static str> {
    let mut normal = String::with_capacity(escaped.len());
    let mut segments = escaped.split(['/', '\\']).skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // Servlet containers cut parameters off before they look for dot segments (`/public/..;/admin`).
        if is_dot_segment(segment) && !matches!(segment, "." | "..") {
            return Err("the path holds a dot segment with parameters");
        }
        match dots(segment) {
            // An empty or `.` segment in the middle says nothing; as the last one it means "the folder itself".
            Some(0 | 1) if last => normal.push('/'),
            Some(0 | 1) => {}
            Some(_) => {
                normal.truncate(normal.rfind('/').unwrap_or(0));
                if last {
                    normal.push('/');
                }
            }
            None => {
                normal.push('/');
                normal.push_str(segment);
            }
        }
    }
    Ok(normal)
}

/// Whether a path is in normal form already and holds nothing that has to be looked at: nearly every path of nearly every
/// app. Only letters, digits and a few marks, no segment that is empty or begins with a dot, and no dot at the end.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    let is_normal = path.bytes().all(|byte| {
        let fits = match byte {
            b'/' | b'.' => before != b'/',
            _ => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b':' | b'@' | b'=' | b',')
            }
        };
        before = byte;
        fits
    });
    is_normal && before != b'.'
}

/// How many dots a segment is made of, if it is made of at most two dots and nothing else.
fn dots(segment: &str) -> Option<usize> {
    matches!(segment, "" | "." | "..").then_some(segment.len())
}

/// Refuses every escape that servers are known to read differently, and writes the others in their normal form
/// (RFC 3986, sections 6.2.2.1 and 6.2.2.2): an unreserved character stands for itself, digits are upper case.
pub(crate) fn normal_escapes(path: &str) -> Result<String, &'static str> {
    let bytes = path.as_bytes();
    let mut normal = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let value =
                    escape_at(bytes, at).ok_or("a percent sign is not followed by two hexadecimal digits")?;
                let next = if bytes.get(at + 3) == Some(&b'%') { escape_at(bytes, at + 3) } else { None };
                match value {
                    0x00..=0x1f | 0x7f => return Err("the path holds an encoded control character"),
                    _ if is_overlong(value, next) => return Err("the path holds overlong UTF-8"),
                    _ if is_unreserved(value) => normal.push(char::from(value)),
                    // Writing to a String cannot fail.
                    _ => drop(write!(normal, "%{value:02X}")),
                }
                at += 3;
            }
            b'#' => return Err("the path holds a fragment"),
            0x21..=0x7e => {
                normal.push(char::from(byte));
                at += 1;
            }
            _ => return Err("the path holds a byte that must be escaped"),
        }
    }
    // A server that decodes twice would see what was refused above.
    let is_double = |(at, _): (usize, _)| {
        let Some(value) = twice_escaped_at(normal.as_bytes(), at) else { return false };
        let next = twice_escaped_at(normal.as_bytes(), at + 5);
        let is_escape = normal.as_bytes().get(at + 5) == Some(&b'%');
        let next = next.or_else(|| if is_escape { escape_at(normal.as_bytes(), at + 5) } else { None });
        DOUBLE_ENCODED.contains(&value) || is_overlong(value, next)
    };
    if normal.match_indices("%25").any(is_double) { Err("the path is encoded twice") } else { Ok(normal) }
}

/// What must not be encoded twice, beside overlong UTF-8.
const DOUBLE_ENCODED: [u8; 6] = *b".;/\\%\0";

/// Whether overlong UTF-8 begins with this byte: with 0xC0 and 0xC1 always, with the other leads by what follows, for most of
/// them are letters in Latin-1. Nobody may write 0xF8 and 0xFC in UTF-8 (RFC 3629), and there are decoders that read them.
fn is_overlong(lead: u8, next: Option<u8>) -> bool {
    match (lead, next) {
        (0xc0 | 0xc1, _) => true,
        (0xe0, Some(next)) => next < 0xa0,
        (0xf0, Some(next)) => next < 0x90,
        (0xf8, Some(next)) => (0x80..0x88).contains(&next),
        (0xfc, Some(next)) => (0x80..0x84).contains(&next),
        _ => false,
    }
}

/// What an escape stands for whose percent sign is escaped itself.
fn twice_escaped_at(bytes: &[u8], at: usize) -> Option<u8> {
    (bytes.get(at..at + 3) == Some(b"%25")).then(|| escape_at(bytes, at + 2))?
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let value = digit(at + 1)? * 16 + digit(at + 2)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(path: &str, expected: Result<&str, &'static str>) {
        let normal = NormalPath::parse(path);
        assert_eq!(normal.as_ref().map(NormalPath::as_str).map_err(|why| *why), expected, "{path}");
    }

    #[test]
    fn paths_have_one_reading() {
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a/b/", Ok("/a/b/"));
        check("//a///b", Ok("/a/b"));
        check("/public/../admin", Ok("/admin"));
        check("/public/%2e%2E/admin", Ok("/admin"));
        check("/public/.%2e/admin", Ok("/admin"));
        check("/public\\..\\admin", Ok("/admin"));
        check("/../../etc", Ok("/etc"));
        check("/a/.", Ok("/a/"));
        check("/a/..", Ok("/"));
        check("/a/...", Ok("/a/..."));
        check("/a%20b%c3%a9", Ok("/a%20b%C3%A9"));
        check("/100%25", Ok("/100%25"));
        check("", Err("the path does not begin with a slash"));
        check("*", Err("the path does not begin with a slash"));
        check("/a%2fb", Ok("/a%2Fb"));
        check("/a%5Cb/%2f", Ok("/a%5Cb/%2F"));
        check("/a/../b%2F..c", Ok("/b%2F..c"));
        for dots in ["/public/..%2fadmin", "/a%2f..%5cb", "/a%2f%2e%2E", "/%2f./b", "/a%2F..;x/b"] {
            check(dots, Err("the path holds a dot segment beside an encoded slash"));
        }
        check("/a%2f%252e", Err("the path is encoded twice"));
        check("/a%00b", Err("the path holds an encoded control character"));
        check("/a%0d%0ab", Err("the path holds an encoded control character"));
        check("/a%7fb", Err("the path holds an encoded control character"));
        check("/%252e%252e/", Err("the path is encoded twice"));
        check("/%c0%ae", Err("the path holds overlong UTF-8"));
        check("/%e0%80%ae", Err("the path holds overlong UTF-8"));
        for overlong in ["/%f8%80%80%80%ae", "/%F8%87%80", "/%fc%80%80%80%80%ae", "/a%fc%83"] {
            check(overlong, Err("the path holds overlong UTF-8"));
        }
        // The first characters that take three and four bytes.
        check("/%e0%a0%80%f0%90%80%80", Ok("/%E0%A0%80%F0%90%80%80"));
        // Latin-1.
        check("/Men%fc%20f%fcr/%f8%20", Ok("/Men%FC%20f%FCr/%F8%20"));
        check("/voil%e0x80", Ok("/voil%E0x80"));
        for twice in [
            "/%25c0%25ae",
            "/%25C1%ae",
            "/%25e0%2580%25ae",
            "/%25e0%80%ae",
            "/%25f0%2580%2580%25ae",
            "/%25f8%2580",
            "/%25fc%2580",
            "/a%252fb",
            "/a%255Cb",
            "/a%2525b",
            "/a%2500b",
            "/..%253b/a",
            "/a%253B/b",
        ] {
            check(twice, Err("the path is encoded twice"));
        }
        check("/100%25c3%25a9/50%25e0", Ok("/100%25c3%25a9/50%25e0"));
        check("/50%25e0x80/50%25e0xyz80", Ok("/50%25e0x80/50%25e0xyz80"));
        check("/a%2", Err("a percent sign is not followed by two hexadecimal digits"));
        check("/a%zz", Err("a percent sign is not followed by two hexadecimal digits"));
        check("/%61dmin", Ok("/admin"));
        check("/%2d%5F%7ea%2E", Ok("/-_~a."));
        check("/a;v=1/b", Ok("/a;v=1/b"));
        check("/public/..;/admin", Err("the path holds a dot segment with parameters"));
        check("/public/.%2e;x/admin", Err("the path holds a dot segment with parameters"));
        check("/public/..%3b/admin", Err("the path holds a dot segment with parameters"));
        check("/%25%32%65", Err("the path is encoded twice"));
        check("/a#b", Err("the path holds a fragment"));
        check("/ü", Err("the path holds a byte that must be escaped"));
        check("/a b", Err("the path holds a byte that must be escaped"));
        let longest = format!("/{}", "a".repeat(PATH_BYTES_MAX - 1));
        check(&longest, Ok(&longest));
        check(&format!("/{}", "a".repeat(PATH_BYTES_MAX)), Err("the path is too long"));
    }

    #[test]
    fn a_query_keeps_the_escapes_that_it_needs() {
        let check = |query: &str, expected: Option<&str>| {
            assert_eq!(without_needless_escapes(query).as_deref(), expected, "{query}");
        };
        check("", None);
        check("a=1&b=%26%3D%3d%2B", None);
        check("%61dmin=%31&%2d%7E=%5f%2e", Some("admin=1&-~=_."));
        // What that makes is no escape once more.
        check("%25%36%31", Some("%2561"));
        check("%", None);
        check("%6", None);
        check("%+1=%6é", None);
        check("%é=%61", Some("%é=a"));
    }

    #[test]
    fn a_path_that_looks_plain_is_read_like_any_other() {
        for path in ["/", "/a", "/a/b.c", "/a/b/", "/a.", "/a..", "/v1/users/@me:run", "/a=1,2"] {
            let thorough = NormalPath::parse_thoroughly(path);
            assert_eq!(thorough.as_ref().map(NormalPath::as_str), Ok(path));
            assert_eq!(NormalPath::parse(path), thorough);
        }
        for path in
            ["//", "/a//b", "/.", "/..", "/a/.b", "/a/../b", "/a;b", "/%41", "/a\\b", "/a#b", "/a b", "/ü"]
        {
            assert!(!is_plain(path), "{path}");
        }
    }

    /// What Cloud Armor's `urlDecode` makes of a path, if that is text.
    fn decoded(path: &str) -> Option<String> {
        let path = path.replace('+', " ");
        percent_encoding::percent_decode_str(&path).decode_utf8().ok().map(String::from)
    }

    proptest! {
        #[test]
        fn what_looks_plain_is_in_normal_form(path in "/[a-zA-Z0-9/._~:@=,;%\\\\-]{0,40}") {
            if is_plain(&path) {
                prop_assert_eq!(NormalPath::parse_thoroughly(&path), NormalPath::parse(&path));
                let parsed = NormalPath::parse(&path);
                prop_assert_eq!(parsed.as_ref().map(NormalPath::as_str), Ok(path.as_str()));
            }
        }

        /// Of rules that look for what no path has, `check` warns. It must not say so of what paths have.
        #[test]
        fn nothing_that_a_path_has_is_said_to_be_in_none(
            path in "/([ab.;/]|[^\\x00-\\x20'?#\\\\\\x7f-\\u{ffff}]|%2F|%5c|%20|%c3%a9|%25|%3B|\\.\\.){0,12}",
            start in 0_usize..12,
            length in 0_usize..12,
        ) {
            let parsed = NormalPath::parse(&path);
            prop_assume!(parsed.is_ok());
            let text = parsed.map(|parsed| parsed.text).unwrap_or_default();
            let decoded = decoded(&text).filter(|decoded| !decoded.contains('\''));
            let decoded = decoded.unwrap_or_else(|| "/".to_owned());
            let part: String = decoded.chars().skip(start).take(length).collect();
            let (first, last) = decoded.split_once(&part).unwrap_or_default();
            let start = start.min(text.len());
            let end = (start + length).min(text.len());
            let written = [
                format!("request.path.contains(r'{}')", &text[start..end]),
                format!("request.path.endsWith(r'{}')", &text[start..]),
                format!("request.path.startsWith(r'{}')", &text[..end]),
                format!("request.path.lower().contains(r'{}')", text[start..end].to_lowercase()),
                format!("request.path == r'{text}'"),
                format!("request.path in ['/', r'{text}']"),
                format!("request.path.urlDecode().contains(r'{part}')"),
                format!("request.path.urlDecodeUni().endsWith(r'{part}{last}')"),
                format!("request.path.urlDecode().startsWith(r'{first}{part}')"),
                format!("request.path.urlDecode().lower() in [r'{}']", decoded.to_lowercase()),
                format!("request.path.urlDecode().matches(r'{}')", regex::escape(&part)),
                format!(r"request.path.matches(r'^\Q{}\E')", &text[..end]),
                format!("request.path.matches(r'{}$')", regex::escape(&text[start..])),
            ];
            for written in written {
                use firegate_expr::{Dialect, Expression, Language};
                let expression = Expression::parse(&written, Language::Armor, Dialect::Firegate);
                let lints = expression.expect("an expression").lints();
                prop_assert!(lints.is_empty(), "{} of {}: {:?}", written, path, lints);
            }
        }

        #[test]
        fn normalising_twice_changes_nothing(path in "/([a-z./;\\\\%]|%2e|%2E|%2f|%5C|%41|//|/\\.\\./){0,40}") {
            if let Ok(once) = NormalPath::parse(&path) {
                let twice = NormalPath::parse(once.as_str()).expect("a normal path is a path");
                prop_assert_eq!(&once, &twice);
                prop_assert!(once.as_str().starts_with('/'));
                prop_assert!(!once.as_str().split('/').any(|segment| matches!(dots(segment), Some(1 | 2))));
            }
        }
    }
}
