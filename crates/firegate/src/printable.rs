//! Texts of strangers on their way to a terminal: what acts there instead of showing is written as an escape.

use std::fmt::Write as _;

use firegate_core::conceal;
use firegate_files::text::is_obeyed;
use serde::Serialize;

/// The text with every character that acts instead of showing written as an escape.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_obeyed(character) {
            printable.extend(character.escape_unicode());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// The text without what looks like a signed token.
pub(crate) fn without_tokens(text: &str) -> String {
    String::from_utf8_lossy(&conceal::tokens(text.as_bytes())).into_owned()
}

/// A value as JSON in lines, and a line feed. JSON escapes fewer control characters than act on a terminal (RFC 8259, section
/// 7); the others are escaped as it may, so that it reads the same.
///
/// # Errors
/// If the value is none that JSON can hold.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let pretty = serde_json::to_string_pretty(value)?;
    let mut json = String::with_capacity(pretty.len() + 1);
    for character in pretty.chars() {
        if is_obeyed(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{unit:04x}");
            }
        } else {
            json.push(character);
        }
    }
    json.push('\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;

    const ACTING: [&str; 7] =
        ["\u{1b}[31m", "\u{9b}31m", "\u{7f}", "\u{202e}", "\u{61c}", "\u{200b}", "\u{e0041}"];

    #[test]
    fn what_acts_on_a_terminal_is_shown_as_its_number() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}é\u{e0041}"), r"a\u{1b}[31mb\u{202e}é\u{e0041}");
        assert_eq!(printable("Grüße, 世界 \u{1f600}"), "Grüße, 世界 \u{1f600}");
    }

    #[test]
    fn json_says_the_same_without_acting() {
        for acting in ACTING {
            let told = value!({ acting: [acting, "Grüße\n\"\\", 1], "b": null });
            let text = json(&told).expect("JSON");
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), told, "{acting:?}");
            assert!(text.chars().all(|character| character == '\n' || !is_obeyed(character)), "{text:?}");
        }
        assert_eq!(json(&value!({"a": "é"})).expect("JSON"), "{\n  \"a\": \"é\"\n}\n");
    }
}
