//! What no path has in the normal form in which rules see it (`firegate_core::path`). Said is only what is sure: whatever a
//! path in normal form may hold passes.

/// Where in a path a text has to stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// At its beginning.
    pub(super) start: bool,
    /// At its end.
    pub(super) end: bool,
    /// Upper and lower case are the same.
    pub(super) any_case: bool,
    /// The path's escapes were decoded, once.
    pub(super) decoded: bool,
}

/// Why a text is in no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// No request's path has it, however it is written; with what to know of that.
    Never(String),
    /// A request may have it, and its path in normal form never does.
    NotNormal(String),
    /// In none of a backend that refuses encoded slashes.
    EncodedSlash,
}

const DOT_SEGMENT: &str = "dot segments are resolved before rules see the path, and none is forwarded";
const DOT_SEGMENT_WITH_PARAMETERS: &str =
    "a path with such a dot segment is refused before rules see it, and none is forwarded";
const DOT_SEGMENT_BESIDE_ENCODED_SLASH: &str =
    "a dot segment beside an encoded slash is refused before rules see it, and none is forwarded";
const EMPTY_SEGMENT: &str = "doubled slashes become one before rules see the path, and none are forwarded";
const BACKSLASH: &str = "a backslash becomes a slash before rules see the path: write `/`";

/// Why no path has this text there, if none has it.
pub(super) fn absence(text: &[u8], bounds: Bounds) -> Option<Absence> {
    if bounds.start && (text.first().is_some_and(|first| *first != b'/') || (bounds.end && text.is_empty())) {
        return Some(Absence::Never("a path begins with `/`".to_owned()));
    }
    if bounds.decoded {
        return decoded_absence(text, bounds);
    }
    if text.contains(&b'?') {
        return Some(Absence::Never(
            "the path ends before the `?`; what follows is `request.query`".to_owned(),
        ));
    }
    let mut found = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let why = match byte {
            b'%' => match escape(text, at, bounds) {
                Ok(is_separator) => {
                    if is_separator {
                        found = Some(Absence::EncodedSlash);
                    }
                    None
                }
                Err(why) => Some(why),
            },
            b'\\' => Some(BACKSLASH.to_owned()),
            b'#' => Some("a path with a fragment is refused before rules see it".to_owned()),
            0x21..=0x7e => None,
            0x00..=0x1f | 0x7f => Some(CONTROL_CHARACTER.to_owned()),
            _ => Some(format!("the path has it escaped: write `{}`", escaped(text))),
        };
        if let Some(why) = why {
            return Some(Absence::NotNormal(why));
        }
        at += 1;
    }
    segments(text, bounds).map(|why| Absence::NotNormal(why.to_owned())).or(found)
}

/// The same of a path whose escapes were decoded: most of what it may not hold itself may have been one of them.
fn decoded_absence(text: &[u8], bounds: Bounds) -> Option<Absence> {
    if text.iter().any(u8::is_ascii_control) {
        return Some(Absence::NotNormal(CONTROL_CHARACTER.to_owned()));
    }
    let is_double = |escape: &[u8]| matches!(escape, [b'%', digits @ ..] if is_double_encoded(digits));
    if text.windows(3).any(is_double) {
        return Some(Absence::NotNormal(TWICE.to_owned()));
    }
    match segments(text, bounds) {
        // A slash or a backslash that was encoded stands beside one, or is one.
        Some(EMPTY_SEGMENT) => Some(Absence::EncodedSlash),
        Some(why) => Some(Absence::NotNormal(why.to_owned())),
        None => text.contains(&b'\\').then_some(Absence::EncodedSlash),
    }
}

const CONTROL_CHARACTER: &str = "a path with a control character is refused before rules see it";
const TWICE: &str = "a path that is encoded twice is refused before rules see it";

/// Whether the escape that begins here is a slash or a backslash; an error if no path has it.
fn escape(text: &[u8], at: usize, bounds: Bounds) -> Result<bool, String> {
    let digits = text.get(at + 1..).unwrap_or_default();
    let digits = digits.get(..2).unwrap_or(digits);
    if digits.iter().any(|digit| !digit.is_ascii_hexdigit()) || (digits.len() < 2 && bounds.end) {
        return Err(
            "a path with a percent sign before other than two hexadecimal digits is refused".to_owned()
        );
    }
    if !bounds.any_case && digits.iter().any(u8::is_ascii_lowercase) {
        let upper = String::from_utf8_lossy(digits).to_ascii_uppercase();
        return Err(format!(
            "the digits of escapes become upper case before rules see the path: write `%{upper}`"
        ));
    }
    let Some(value) = value(digits) else { return Ok(false) };
    if value < 0x20 || value == 0x7f {
        return Err(CONTROL_CHARACTER.to_owned());
    }
    if value.is_ascii_alphanumeric() || matches!(value, b'-' | b'.' | b'_' | b'~') {
        let plain = char::from(value);
        return Err(format!(
            "such an escape stands for its character before rules see the path: write `{plain}`"
        ));
    }
    if value == b'%' && text.get(at + 3..at + 5).is_some_and(is_double_encoded) {
        return Err(TWICE.to_owned());
    }
    Ok(matches!(value, b'/' | b'\\'))
}

/// Whether these are the digits of what must not stand behind a percent sign that is encoded itself.
fn is_double_encoded(digits: &[u8]) -> bool {
    value(digits).is_some_and(|value| b".;/\\%\0".contains(&value))
}

fn value(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// A text as a path has it.
fn escaped(text: &[u8]) -> String {
    use std::fmt::Write as _;
    text.iter().fold(String::new(), |mut written, byte| {
        match byte {
            0x21..=0x7e => written.push(char::from(*byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(written, "%{byte:02X}")),
        }
        written
    })
}

/// What begins or ends a segment, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Slash,
    EncodedSlash,
    /// Parameters begin.
    Parameters,
    /// The path ends.
    End,
    /// Nobody knows: the text is cut off there.
    Open,
}

/// Looks at the segments that the text holds as a whole.
fn segments(text: &[u8], bounds: Bounds) -> Option<&'static str> {
    let mut left = Edge::Open;
    let mut rest = text;
    loop {
        let (name, right, behind) = segment(rest, bounds);
        let is_bounded = matches!(left, Edge::Slash | Edge::EncodedSlash) && right != Edge::Open;
        match name {
            b"" if left == Edge::Slash && right == Edge::Slash => return Some(EMPTY_SEGMENT),
            b"." | b".." if is_bounded => {
                let is_encoded = left == Edge::EncodedSlash || right == Edge::EncodedSlash;
                return Some(match right {
                    _ if is_encoded => DOT_SEGMENT_BESIDE_ENCODED_SLASH,
                    Edge::Parameters => DOT_SEGMENT_WITH_PARAMETERS,
                    _ => DOT_SEGMENT,
                });
            }
            _ => {}
        }
        left = right;
        rest = behind?;
    }
}

/// The first segment of a text, what ends it, and what comes behind.
fn segment(text: &[u8], bounds: Bounds) -> (&[u8], Edge, Option<&[u8]>) {
    for at in 0..text.len() {
        let (name, behind) = text.split_at(at);
        let edges: [(&[u8], Edge); 5] = [
            (b"/", Edge::Slash),
            (b"%2f", Edge::EncodedSlash),
            (b"%5c", Edge::EncodedSlash),
            (b";", Edge::Parameters),
            (b"%3b", Edge::Parameters),
        ];
        for (mark, edge) in edges {
            if let Some((head, behind)) = behind.split_at_checked(mark.len())
                && head.eq_ignore_ascii_case(mark)
            {
                return (name, edge, Some(behind));
            }
        }
    }
    (text, if bounds.end { Edge::End } else { Edge::Open }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANYWHERE: Bounds = Bounds { start: false, end: false, any_case: false, decoded: false };
    const AT_END: Bounds = Bounds { end: true, ..ANYWHERE };

    fn check(text: &str, bounds: Bounds, expected: Option<&str>) {
        let found = absence(text.as_bytes(), bounds);
        let said = found.as_ref().map(|found| match found {
            Absence::Never(why) | Absence::NotNormal(why) => why.as_str(),
            Absence::EncodedSlash => "encoded",
        });
        match (said, expected) {
            (Some(said), Some(part)) => assert!(said.contains(part), "{text}: {said}"),
            _ => assert_eq!(said, expected, "{text}"),
        }
    }

    #[test]
    fn what_normal_form_takes_out_is_in_no_path() {
        check("//", ANYWHERE, Some("doubled"));
        check("/a//b", ANYWHERE, Some("doubled"));
        check("/./", ANYWHERE, Some("resolved"));
        check("/../", ANYWHERE, Some("resolved"));
        check("/a/..", AT_END, Some("resolved"));
        check("/.", AT_END, Some("resolved"));
        check("/..;", ANYWHERE, Some("refused"));
        check("/.;x/", ANYWHERE, Some("refused"));
        check("/..%3B", ANYWHERE, Some("refused"));
        check("/..%2F", ANYWHERE, Some("encoded slash"));
        check("%5C../", ANYWHERE, Some("encoded slash"));
        check("..\\", ANYWHERE, Some("write `/`"));
        check("a b", ANYWHERE, Some("write `a%20b`"));
        check("ü", ANYWHERE, Some("write `%C3%BC`"));
        check("\n", ANYWHERE, Some("control"));
        check("%00", ANYWHERE, Some("control"));
        check("#", ANYWHERE, Some("fragment"));
        check("%2e%2e", ANYWHERE, Some("write `%2E`"));
        check("%2E", ANYWHERE, Some("write `.`"));
        check("%c3", ANYWHERE, Some("write `%C3`"));
        check("%41", ANYWHERE, Some("write `A`"));
        check("%252E", ANYWHERE, Some("encoded twice"));
        check("%252f", ANYWHERE, Some("encoded twice"));
        check("%zz", ANYWHERE, Some("hexadecimal"));
        check("%2", AT_END, Some("hexadecimal"));
        check("/a?b", ANYWHERE, Some("request.query"));
        check("admin", Bounds { start: true, ..ANYWHERE }, Some("begins with"));
        check("", Bounds { start: true, ..AT_END }, Some("begins with"));
        check("%2e", Bounds { any_case: true, ..ANYWHERE }, Some("write `.`"));
    }

    #[test]
    fn what_a_path_may_hold_passes() {
        for text in [
            "",
            "/",
            ".",
            "..",
            "/.",
            "/..",
            "../",
            "./",
            ".../",
            "/...",
            "/.../",
            "a../",
            "/..a/",
            "/.well-known/",
            "%",
            "%2",
            "%20",
            "%C3%BC",
            "%25",
            "%2541",
            "%252",
            ";/",
            "/;",
            "/;/",
            "/%3B/",
            "..;",
            "2F",
            "~",
            "*",
        ] {
            check(text, ANYWHERE, None);
        }
        for text in ["/", "..", "a..", "/a.", "/...", "%20", "/;"] {
            check(text, AT_END, None);
        }
        check("%c3", Bounds { any_case: true, ..ANYWHERE }, None);
    }

    #[test]
    fn an_encoded_slash_is_in_paths_of_who_asks_for_it() {
        for text in ["%2F", "%5C", "/a%2Fb", "..%2F", "%2F%2F", "%2F.."] {
            check(text, ANYWHERE, Some("encoded"));
        }
        check("%2F..", AT_END, Some("encoded slash is refused"));
    }
}
